//! `huggingface-cli`: the legacy name, its grammar, and what it prints, beside huggingface_hub 0.36.2.

use std::fs;
use std::path::Path;

use crate::auth::login::{LAPTOP, SERVER};
use crate::cache::table::age;
use crate::download::basic::example_hub;
use crate::harness::cache::CacheTree;
use crate::harness::hub::Hub;
use crate::harness::oracle::Oracle;
use crate::harness::tree::{NodeKind, tree_of};
use crate::harness::{Output, TestEnv};

/// The line that the Python client prints before everything; here it is not printed.
fn without_warning(output: &Output) -> String {
    let (first, rest) = output.stdout().split_once('\n').unwrap_or_default();
    assert!(first.contains("is deprecated"), "{output}");
    rest.to_owned()
}

fn stdout_of(env: &TestEnv, text: &str) -> String {
    text.replace(&env.root().display().to_string(), "[ROOT]")
}

/// Runs the same command by both clients, each in a home of its own, made alike.
struct Pair {
    oracle: Oracle,
    ours: TestEnv,
    theirs: TestEnv,
}

impl Pair {
    fn new(hub: &Hub, make: impl Fn(&TestEnv)) -> Option<Self> {
        let oracle = Oracle::legacy()?;
        let mut homes = [TestEnv::for_hub(hub), TestEnv::for_hub(hub)];
        for env in &mut homes {
            env.set("NO_COLOR", "1");
            make(env);
        }
        let [ours, theirs] = homes;
        Some(Self {
            oracle,
            ours,
            theirs,
        })
    }

    /// Fails the test unless the exit code is the same, and stdout too when that is 0.
    #[track_caller]
    fn same(&self, args: &[&str], vars: &[(&str, &str)]) -> Output {
        let mut mine = self.ours.huggingface_cli(args);
        let mut other = self.oracle.huggingface_cli(&self.theirs, args);
        for (name, value) in vars {
            mine = mine.var(name, value);
            other = other.var(name, value);
        }
        let (mine, other) = (mine.run(), other.run());
        assert_eq!(mine.code, other.code, "{args:?}\n{mine}\n{other}");
        let expected = match mine.code {
            Some(0) => stdout_of(&self.theirs, &without_warning(&other)),
            // The Python client says some errors on stdout.
            _ => String::new(),
        };
        assert_eq!(stdout_of(&self.ours, mine.stdout()), expected, "{args:?}");
        mine
    }
}

fn hub_with_users() -> Hub {
    let hub = example_hub();
    hub.user("alice")
        .token(LAPTOP, "write", "my-laptop")
        .token(SERVER, "read", "server")
        .orgs(["acme", "labs"]);
    hub.user("bob").token("hf_bobbobbobbobbob", "read", "bob");
    hub
}

#[test]
fn accounts_are_shown_as_the_python_client_shows_them() {
    let hub = hub_with_users();
    let Some(pair) = Pair::new(&hub, |_| {}) else {
        return;
    };
    pair.same(&["whoami"], &[]);
    pair.same(&["auth", "list"], &[]);
    // There is none to switch to, and it says so on stderr.
    pair.ours.huggingface_cli(["auth", "switch"]).run().ok();
    pair.same(&["auth", "switch", "--token-name", "x"], &[]);
    pair.same(&["logout"], &[]);
    pair.same(&["whoami"], &[("HF_TOKEN", "hf_nobodyknowsthisone")]);
    pair.same(&["whoami"], &[("HF_TOKEN", "hf_bobbobbobbobbob")]);
    for token in [SERVER, LAPTOP] {
        pair.same(&["login", "--token", token], &[]);
    }
    let shown = pair.same(&["whoami"], &[]);
    assert!(
        shown.stdout().starts_with("alice\norgs:  acme,labs\n"),
        "{shown}"
    );
    let listed = pair.same(&["auth", "list"], &[]);
    assert!(listed.stdout().contains("\n* my-laptop"), "{listed}");
    pair.same(&["auth", "list"], &[("HF_TOKEN", SERVER)]);
    pair.same(&["auth", "switch", "--token-n", "server"], &[]);
    pair.same(&["auth", "list"], &[]);
    pair.same(&["auth", "switch", "--token-name", "unknown"], &[]);
    pair.same(&["logout", "--token-name", "server"], &[]);
    pair.same(&["auth", "list"], &[]);
    pair.same(&["whoami"], &[]);
    let ours = format!("endpoint = {}\n", hub.endpoint());
    for (env, own) in [(&pair.ours, ours.as_str()), (&pair.theirs, "")] {
        let stored = fs::read_to_string(env.hf_home().join("stored_tokens")).unwrap();
        assert_eq!(stored, format!("[my-laptop]\nhf_token = {LAPTOP}\n{own}\n"));
    }
    pair.same(&["login", "--token", "api_org_abc"], &[]);
    pair.same(&["login", "--token", "hf_nobodyknowsthisone"], &[]);
    pair.same(&["logout"], &[]);
    assert!(!pair.ours.hf_home().join("token").exists());
}

#[test]
fn downloads_print_the_bare_path_and_leave_the_same_files() {
    let hub = hub_with_users();
    for args in [
        &["download", "org/name"][..],
        &["download", "org/name", "config.json"],
        &[
            "download",
            "org/name",
            "config.json",
            "empty.txt",
            "--quiet",
        ],
        &["download", "org/name", "--include", "*.json", "*.txt"],
        &[
            "download",
            "org/name",
            "--include",
            "*.json",
            "--exclude",
            "config*",
            "art/*",
        ],
        &[
            "download",
            "org/name",
            "--include",
            "*.txt",
            "--include",
            "*.json",
        ],
        &[
            "download",
            "org/name",
            "--rev",
            "refs/pr/1",
            "--res",
            "--max-w",
            "2",
        ],
        &["download", "org/name", "config.json", "--local-dir", "out"],
        &[
            "download",
            "org/name",
            "--local-dir",
            "out",
            "--local-dir-use-symlinks",
            "False",
        ],
        &[
            "download",
            "org/name",
            "config.json",
            "--local-dir",
            "out",
            "--cache-dir",
            "cache",
        ],
        &[
            "download",
            "org/name",
            "config.json",
            "--cache-dir",
            "cache",
            "--force",
        ],
        &["download", "org/absent"],
        &["download", "org/name", "absent.bin"],
        &["download", "org/name", "--revision", "absent"],
        &["download", "not a name"],
    ] {
        let Some(pair) = Pair::new(&hub, |_| {}) else {
            return;
        };
        pair.same(args, &[]);
        let files = |env: &TestEnv| -> Vec<String> {
            [env.cache(), env.work()]
                .iter()
                .flat_map(|root| published(root))
                .collect()
        };
        assert_eq!(files(&pair.ours), files(&pair.theirs), "{args:?}");
    }
}

/// Blobs, snapshots and plain files with their contents; not the clients' own records.
fn published(root: &Path) -> Vec<String> {
    if !root.exists() {
        return Vec::new();
    }
    tree_of(root)
        .into_iter()
        .filter(|node| node.kind != NodeKind::Folder)
        .filter(|node| {
            let path = format!("/{}", node.path);
            ![
                "/.locks",
                "/trees",
                "/.cache",
                "/CACHEDIR.TAG",
                "/.no_exist",
                "/refs",
            ]
            .iter()
            .any(|part| path.contains(part))
        })
        .map(|node| format!("{} {:?}", node.path, node.kind))
        .collect()
}

#[test]
fn mistakes_are_as_wrong_here_as_there() {
    let hub = hub_with_users();
    let Some(pair) = Pair::new(&hub, |_| {}) else {
        return;
    };
    for args in [
        &["bogus"][..],
        &["download"],
        &["download", "org/name", "--re", "x"],
        &["download", "org/name", "--repo-type", "kernel"],
        &["download", "org/name", "--max-workers", "many"],
        &["download", "--include", "*.json", "org/name"],
        &["download", "org/name", "--json"],
        &["whoami", "extra"],
        &["auth", "bogus"],
        &["delete-cache", "--sort", "name"],
        &["scan-cache", "--bogus"],
        &["cache", "ls"],
        &[],
        &["auth"],
    ] {
        let mine = pair.ours.huggingface_cli(args).run();
        let other = pair.oracle.huggingface_cli(&pair.theirs, args).run();
        assert_eq!(mine.code, other.code, "{args:?}\n{mine}\n{other}");
        assert_eq!(mine.stdout(), "", "{args:?}\n{mine}");
        assert_ne!(mine.stderr(), "", "{args:?}");
    }
    // Help is asked for, so it is the result.
    for args in [&["--help"][..], &["download", "-h"], &["auth", "--he"]] {
        let help = pair.ours.huggingface_cli(args).run().ok();
        assert!(help.stdout().contains("Usage: huggingface-cli"), "{help}");
    }
}

fn fill(env: &TestEnv) {
    let tree = CacheTree::at(env.cache());
    tree.dataset("org/data").main([("d", "1234")]);
    let model = tree.model("org/name");
    model.commit([("shared", "12345"), ("old.bin", "1234567")]);
    model.main([("shared", "12345"), ("new.bin", "123")]);
    tree.stray_file("stray", "x");
    age(&env.cache());
}

/// All lines but the one with the time that a scan took.
fn tables(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.is_empty());
    let mut lines: Vec<&str> = lines.collect();
    // The Python client keeps repositories in a set: its rows come in any order.
    let rows = lines.len().min(2);
    lines[rows..].sort_unstable();
    lines.join("\n")
}

#[test]
fn the_cache_is_shown_in_the_same_table() {
    let hub = hub_with_users();
    let Some(pair) = Pair::new(&hub, fill) else {
        return;
    };
    for args in [
        &["scan-cache"][..],
        &["scan-cache", "-v"],
        &["scan-cache", "-vvv"],
        &["scan-cache", "--dir", "../hf/hub", "--verbose"],
    ] {
        let mine = pair.ours.huggingface_cli(args).run().ok();
        let other = pair.oracle.huggingface_cli(&pair.theirs, args).run().ok();
        assert_eq!(
            tables(&stdout_of(&pair.ours, mine.stdout())),
            tables(&stdout_of(&pair.theirs, &without_warning(&other))),
            "{args:?}"
        );
    }
    for args in [
        &["scan-cache", "--dir", "absent"][..],
        &["delete-cache", "--dir", "absent"],
    ] {
        let mine = pair.ours.huggingface_cli(args).run();
        let other = pair.oracle.huggingface_cli(&pair.theirs, args).run();
        assert_eq!(mine.code, other.code, "{args:?}\n{mine}\n{other}");
    }
}

/// Chooses every revision in the list that is to be edited: removes the comment sign before its commit.
fn choose_all(folder: &Path) {
    let mut files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let list = files.find(|path| path.extension().is_some_and(|end| end == "txt"));
    let list = list.expect("a list");
    let is_commit = |word: &str| word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let edited: Vec<String> = fs::read_to_string(&list)
        .unwrap()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.split_whitespace().next().is_some_and(is_commit) => rest.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    fs::write(list, edited.join("\n") + "\n").unwrap();
}

#[test]
fn a_list_edited_and_refused_is_a_good_end() {
    let env = TestEnv::new();
    fill(&env);
    let before = tree_of(env.cache());
    let mut terminal = env
        .huggingface_cli(["delete-cache", "--disable-tui", "--sort", "size"])
        .terminal(24, 100);
    terminal.expect("(y/N)");
    choose_all(&env.path("tmp"));
    terminal.send_line("1");
    terminal.expect("3 revisions chosen");
    terminal.send_line("n");
    terminal.expect("Nothing was deleted.");
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(tree_of(env.cache()), before);
    let ended = env
        .huggingface_cli(["delete-cache", "--disable-tui"])
        .run()
        .fails(1);
    assert!(ended.stderr().contains("Aborted"), "{ended}");
}

#[test]
fn logging_in_asks_for_a_token_and_for_git() {
    let hub = hub_with_users();
    let env = TestEnv::for_hub(&hub);
    let mut terminal = env.huggingface_cli(["login"]).terminal(24, 100);
    terminal.expect_hidden("Enter your token (input will not be visible):");
    terminal.send_line(LAPTOP);
    terminal.expect("Add token as git credential?");
    terminal.send_line("n");
    terminal.expect("Logged in as alice.");
    assert_eq!(terminal.exit_code(), 0);
    assert!(!terminal.transcript().contains(&LAPTOP[3..]));
    // Again, although a user is logged in; and from a pipe.
    for input in [format!("{SERVER}\nn\n"), format!("{SERVER}\n")] {
        let piped = env.huggingface_cli(["login"]).stdin(input).run().ok();
        assert_eq!(piped.stdout(), "");
        let token = fs::read_to_string(env.hf_home().join("token")).unwrap();
        assert_eq!(token, SERVER);
        env.huggingface_cli(["logout"]).run().ok();
    }
    let nothing = env.huggingface_cli(["login"]).run().fails(1);
    assert!(nothing.stderr().contains("--token"), "{nothing}");
}

#[test]
fn a_token_to_switch_to_is_chosen_by_number() {
    let hub = hub_with_users();
    let env = TestEnv::for_hub(&hub);
    for token in [LAPTOP, SERVER] {
        env.huggingface_cli(["login", "--token", token]).run().ok();
    }
    env.huggingface_cli(["auth", "switch"])
        .stdin("1\n")
        .run()
        .ok();
    let token = fs::read_to_string(env.hf_home().join("token")).unwrap();
    assert_eq!(token, LAPTOP);
    env.huggingface_cli(["auth", "switch"]).run().fails(1);
}

#[test]
fn the_name_counts_however_it_was_made() {
    let env = TestEnv::new();
    let binary = Path::new(env!("CARGO_BIN_EXE_hf"));
    let expected = format!("huggingface_hub version: {}\n", env!("CARGO_PKG_VERSION"));
    let exe = env.path("bin/huggingface-cli.exe");
    fs::create_dir(env.path("bin/copy")).unwrap();
    let copy = env.install("bin/copy/huggingface-cli");
    fs::hard_link(&copy, &exe).unwrap();
    let link = env.path("bin/huggingface-cli");
    std::os::unix::fs::symlink(binary, &link).unwrap();
    for program in [&copy, &exe, &link] {
        assert_eq!(
            env.program(program, ["version"]).run().ok().stdout(),
            expected
        );
    }
    let found = env
        .program(
            "sh",
            ["-c", "PATH=\"$1:$PATH\" huggingface-cli version", "sh"],
        )
        .run();
    assert_ne!(
        found.code,
        Some(0),
        "$1 is empty: only this machine's own could be found"
    );
    let path = format!(
        "PATH={}:$PATH huggingface-cli version",
        env.path("bin").display()
    );
    let found = env.program("sh", ["-c", &path]).run().ok();
    assert_eq!(found.stdout(), expected);
    // The modern name does not know the legacy grammar.
    env.run(["download", "o/n", "--rev", "main"]).fails(2);
}

#[test]
fn deprecated_flags_are_noted_unless_quiet() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let args = ["download", "org/name", "config.json", "--resume-download"];
    let noted = env.huggingface_cli(args).run().ok();
    assert!(
        noted
            .stderr()
            .contains("--resume-download is deprecated and has no effect."),
        "{noted}"
    );
    let quiet = env
        .huggingface_cli(args.iter().chain(&["--quiet"]))
        .run()
        .ok();
    assert_eq!(quiet.stderr(), "");
    assert_eq!(quiet.stdout(), noted.stdout());
}
