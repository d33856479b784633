//! Every kind of cache × every way to look at it, beside both Python clients.
//!
//! A Python client takes half a second to start, so one process of each runs all commands. The table
//! of what agreed is printed (`cargo test --test it -- cache_table --nocapture`).

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::cache::made_up::{Health, make_up, settle};
use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;
use crate::harness::hub::{Hub, Repo};
use crate::harness::oracle::Oracle;

/// Runs a list of command lines in one process; answers code and stdout of each.
const DRIVER: &str = r#"
import contextlib, io, json, os, sys
def load():
    try:
        from huggingface_hub.cli.hf import main
    except ImportError:
        from huggingface_hub.commands.huggingface_cli import main
    return main
main, answers = load(), []
for args in json.load(open(os.environ["COMMANDS"])):
    out, code = io.StringIO(), 0
    sys.argv = ["hf"] + args
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
        except SystemExit as error:
            code = error.code or 0
    answers.append([code if isinstance(code, int) else 1, out.getvalue()])
print(json.dumps(answers))
"#;

type Make = fn(&CacheTree);

/// Kinds of caches, by name. Each has a sound repository too.
const KINDS: [(&str, Make); 22] = [
    ("plain", |_| ()),
    ("blobs shared across revisions", |tree| {
        let repo = tree.model("org/shared");
        let old = repo.commit([("same", "12345"), ("old.bin", "1")]);
        repo.main([("same", "12345"), ("twice", "12345"), ("new.bin", "22")]);
        repo.refer("v1", &old);
    }),
    ("shared store", store),
    ("detached revisions", |tree| {
        let repo = tree.dataset("org/detached");
        repo.commit([("a", "1")]);
        repo.commit([("a", "22"), ("b", "333")]);
        repo.main([("b", "333")]);
    }),
    ("copies instead of links", |tree| {
        let repo = tree.model("org/copies");
        let commit = repo.main([("link", "12345")]);
        let snapshot = repo.root().join("snapshots").join(commit);
        fs::write(snapshot.join("copy"), "12345").unwrap();
        fs::write(snapshot.join("other"), "123").unwrap();
    }),
    ("links of other forms", |tree| {
        let far = tree.model("org/far").main([("f", "12345")]);
        let repo = tree.model("org/odd-links");
        let commit = repo.main([("f", "1")]);
        let snapshot = repo.root().join("snapshots").join(commit);
        let blob = fs::canonicalize(tree.model("org/far").file(&far, "f")).unwrap();
        symlink(&blob, snapshot.join("absolute")).unwrap();
        symlink("f", snapshot.join("to-a-link")).unwrap();
        symlink("../../refs", snapshot.join("to-a-folder")).unwrap();
    }),
    ("odd names", |tree| {
        let repo = tree.model("Org.x/ünï-cödé_名前");
        repo.main([
            ("a b/ç 'd'.bin", "1"),
            (".hidden/.f", "22"),
            ("日本", "333"),
        ]);
        repo.commit([("refs/heads/x", "4444")]);
        let commit = tree.dataset("no-namespace").main([("f", "55555")]);
        tree.dataset("no-namespace")
            .refer("refs/pr/1", &commit)
            .refer("feat/ä b", &commit);
        tree.model("a--b/c").main([("f", "666666")]);
    }),
    ("all types", |tree| {
        tree.dataset("org/d").main([("f", "1")]);
        tree.space("org/s").main([("f", "22")]);
        tree.kernel("org/k").main([("f", "333")]);
    }),
    ("empty repositories and revisions", |tree| {
        tree.model("org/empty");
        let repo = tree.model("org/hollow");
        fs::create_dir_all(repo.root().join("snapshots").join("c".repeat(40))).unwrap();
        fs::create_dir_all(repo.root().join("refs")).unwrap();
    }),
    ("unfinished downloads", |tree| {
        let repo = tree.model("org/unfinished");
        repo.main([("f", "1")]);
        repo.partial("abc", "12345").partial("def.0123abcd", "123");
    }),
    ("files of operating systems", |tree| {
        let repo = tree.model("org/strewn");
        repo.main([("f", "1")]);
        for place in ["", "snapshots", "refs", "blobs"] {
            fs::write(repo.root().join(place).join(".DS_Store"), "x").unwrap();
        }
        tree.stray_file("Thumbs.db", "x")
            .stray_file("desktop.ini", "x");
    }),
    ("made up, sound", |tree| {
        make_up(tree.root(), 4242, Health::Sound)
    }),
    ("file in the root", |tree| {
        tree.stray_file("version.txt", "1");
    }),
    ("foreign folder", |tree| {
        tree.stray_folder("mine");
    }),
    ("unknown type", |tree| {
        tree.stray_folder("things--x");
    }),
    ("no snapshots", |tree| {
        tree.model("org/bad").without_snapshots();
    }),
    ("refs is a file", |tree| {
        tree.model("org/bad").main([("f", "1")]);
        tree.model("org/bad").refs_as_file();
    }),
    ("file in snapshots", |tree| {
        tree.model("org/bad").main([("f", "1")]);
        tree.model("org/bad").stray_snapshot("stray");
    }),
    ("broken link", |tree| {
        let commit = tree.model("org/bad").main([("f", "1"), ("g", "22")]);
        tree.model("org/bad").lose_blob(&commit, "f");
    }),
    ("ref to nowhere", |tree| {
        tree.model("org/bad").main([("f", "1")]);
        tree.model("org/bad").refer("gone", &"0".repeat(40));
    }),
    ("ref with a newline", |tree| {
        let commit = tree.model("org/bad").commit([("f", "1")]);
        tree.model("org/bad").refer("main", &format!("{commit}\n"));
    }),
    ("unmarked store", |tree| {
        store(tree);
        fs::remove_file(tree.root().join("blobs/.huggingface-shared-blobs")).unwrap();
    }),
];

/// Two repositories with one shared blob, and a shared blob without users.
fn store(tree: &CacheTree) {
    let (used, unused) = ("ab".repeat(32), "cd".repeat(32));
    tree.stray_file("blobs/.huggingface-shared-blobs", "1\n");
    tree.stray_file(&format!("blobs/ab/{used}"), "shared content");
    tree.stray_file(&format!("blobs/cd/{unused}"), "unused");
    tree.stray_file(&format!("blobs/cd/{unused}.refs"), "models--gone/blobs/x\n");
    let mut lines = String::new();
    for id in ["org/a", "org/b"] {
        let repo = tree.model(id);
        let commit = repo.main([("own", id)]);
        symlink(format!("../../blobs/ab/{used}"), repo.blob("x")).unwrap();
        symlink("../../blobs/x", repo.file(&commit, "shared")).unwrap();
        lines += &format!("models--{}/blobs/x\n", id.replace('/', "--"));
    }
    tree.stray_file(&format!("blobs/ab/{used}.refs"), &lines);
}

/// The sound repository of every kind.
const SOUND: [(&str, &str); 2] = [("f.bin", "1234567890"), ("sub/g", "12")];

/// A Hub that has the sound repository at its commit.
fn hub(env: &TestEnv) -> Hub {
    let commit = CacheTree::at(env.path("sound"))
        .model("org/sound")
        .main(SOUND);
    let hub = Hub::start();
    let [(large, bytes), (small, text)] = SOUND;
    let repo = Repo::model("org/sound").lfs(large, bytes).file(small, text);
    hub.add(repo.tag(&commit));
    hub
}

/// Ways to look with the modern grammar. `ID` and `COMMIT` stand for the sound repository's.
const MODERN: [&[&str]; 14] = [
    &["ls"],
    &["ls", "-q"],
    &["ls", "--format", "agent"],
    &["ls", "--json"],
    &["ls", "--revisions"],
    &["ls", "--revisions", "--json"],
    &["ls", "--filter", "size>10", "--sort", "name:desc", "--json"],
    &["ls", "--filter", "type=model", "--sort", "size", "-q"],
    &[
        "ls",
        "--filter",
        "accessed>1d",
        "--sort",
        "accessed",
        "--limit",
        "3",
        "-q",
    ],
    &[
        "ls",
        "--filter",
        "refs=main",
        "--revisions",
        "--sort",
        "modified:asc",
        "-q",
    ],
    &["rm", "ID", "--dry-run", "--json"],
    &["rm", "COMMIT", "--dry-run", "--json"],
    &["rm", "dataset/not/there", "--dry-run", "--json"],
    &["prune", "--dry-run", "--json"],
];

/// Ways to check. Only of the sound repository is there a Hub to ask: the others beside it must not
/// be in the way. Last of all, for they read the files, and so renew the times that `ls` shows.
const VERIFY: [&[&str]; 2] = [
    &["verify", "org/sound", "--json"],
    &["verify", "org/sound", "--revision", "COMMIT", "-q"],
];

/// Ways to look with the legacy grammar.
const LEGACY: [&[&str]; 3] = [&["scan"], &["scan", "-v"], &["scan", "-vvv"]];

/// Kinds for which the two Python clients differ; we agree with the modern one. The
/// legacy client follows a link that leads to a link to its end, and knows no kernels.
const NOT_AS_LEGACY: [&str; 2] = ["links of other forms", "all types"];

/// Gives every file one age, far from where its wording changes.
pub fn age(folder: &Path) {
    let time = SystemTime::now() - Duration::from_secs(3_000_000);
    for node in crate::harness::tree_of(folder) {
        let path = folder.join(&node.path);
        if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_symlink()) {
            let times = FileTimes::new().set_accessed(time).set_modified(time);
            File::open(path).unwrap().set_times(times).unwrap();
        }
    }
    settle(folder);
}

/// The part of two outputs that has to be the same. Damaged repositories, which ours lists and the Python clients hide,
/// are left out.
fn comparable(args: &[&str], stdout: &str, has_damaged: bool) -> Value {
    match serde_json::from_str(stdout) {
        Ok(Value::Array(rows)) if args.contains(&"--json") => {
            let is_sound = |row: &Value| row.get("problem").is_none_or(Value::is_null);
            rows.into_iter().filter(is_sound).collect()
        }
        Ok(value) if args.contains(&"--json") => value,
        _ => {
            // The footer, after an empty line, is worded differently.
            let table = stdout.split("\n\n").next().unwrap_or_default();
            let table = table.trim_end_matches('\n');
            match has_damaged {
                true => json!(sound_rows(table)),
                false => json!(table),
            }
        }
    }
}

/// The rows of a table without those that name a problem, without the column of problems, and without
/// what the widths of the columns change.
fn sound_rows(table: &str) -> Vec<String> {
    let head = table.lines().next().unwrap_or_default();
    let column = head.to_lowercase().find("problem");
    let is_tabbed = head.contains('\t');
    let rows = table.lines().filter(|line| !line.starts_with("---"));
    rows.filter_map(|line| {
        let (row, problem) = match column {
            Some(_) if is_tabbed => line.rsplit_once('\t').unwrap_or((line, "")),
            Some(at) => line.split_at(at.min(line.len())),
            None => (line, ""),
        };
        let is_sound = matches!(problem.trim(), "" | "None" | "problem" | "PROBLEM");
        is_sound.then(|| row.split_whitespace().collect::<Vec<_>>().join(" "))
    })
    .collect()
}

/// Whether ours has all of theirs: objects may have more keys here.
fn agrees(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => theirs
            .iter()
            .all(|(key, value)| ours.get(key).is_some_and(|own| agrees(own, value))),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| agrees(a, b))
        }
        _ => ours == theirs,
    }
}

/// Runs all commands on all caches with one client and with ours; returns the differences, by kind.
fn compare(
    oracle: &Oracle,
    env: &TestEnv,
    looks: &[&[&str]],
    flag: &str,
) -> BTreeMap<(usize, usize), String> {
    let mut commands = Vec::new();
    for (number, (_, make)) in KINDS.iter().enumerate() {
        let root = env.path(format!("caches/{number}"));
        if !root.exists() {
            let tree = CacheTree::at(&root);
            let repo = tree.model("org/sound");
            repo.main(SOUND);
            make(&tree);
            age(&root);
        }
        let refs = root.join("models--org--sound/refs/main");
        let commit = fs::read_to_string(refs).unwrap();
        for look in looks {
            let words = look.iter().map(|&word| match word {
                "ID" => "model/org/sound".to_owned(),
                "COMMIT" => commit.clone(),
                word => word.to_owned(),
            });
            let root = root.display().to_string();
            let all = ["cache".to_owned()].into_iter().chain(words);
            commands.push(all.chain([flag.to_owned(), root]).collect::<Vec<String>>());
        }
    }
    let list = env.path("commands.json");
    fs::write(&list, json!(commands).to_string()).unwrap();
    let answers = oracle.python(env, DRIVER).var("COMMANDS", &list).run().ok();
    let answers = answers.json();
    let mut wrong = BTreeMap::new();
    for (number, command) in commands.iter().enumerate() {
        let theirs = &answers[number];
        let ours = env.run(command);
        let place = (number / looks.len(), number % looks.len());
        let look = looks[place.1];
        let has_damaged = ours.stdout().to_lowercase().contains("problem");
        let (a, b) = (
            comparable(look, ours.stdout(), has_damaged),
            comparable(look, theirs[1].as_str().unwrap_or_default(), has_damaged),
        );
        if !agrees(&a, &b) || ours.code.map(|code| json!(code)) != Some(theirs[0].clone()) {
            let kind = KINDS[place.0].0;
            wrong.insert(place, format!("{kind}: {look:?}\n{theirs}\n{ours}"));
        }
    }
    wrong
}

#[test]
fn every_kind_of_cache_looks_the_same_to_both_clients() {
    let (Some(modern), Some(legacy)) = (Oracle::modern(), Oracle::legacy()) else {
        return;
    };
    let mut env = TestEnv::new();
    let hub = hub(&env);
    env.set("HF_ENDPOINT", hub.endpoint());
    env.set("COLUMNS", "200").set("NO_COLOR", "1");
    let with_modern = compare(&modern, &env, &MODERN, "--cache-dir");
    let mut with_legacy = compare(&legacy, &env, &LEGACY, "--dir");
    let with_verify = compare(&modern, &env, &VERIFY, "--cache-dir");
    let place = env.path("caches/0").display().to_string();
    let checked = env.run([&["cache"], VERIFY[0], &["--cache-dir", &place]].concat());
    assert_eq!(
        checked.ok().json()["checked"],
        2,
        "they agree on files, not on a failure"
    );
    let heads: Vec<String> = MODERN
        .iter()
        .chain(&LEGACY)
        .chain(&VERIFY)
        .map(|look| look.join(" "))
        .collect();
    println!(
        "| cache | {} |\n|{}",
        heads.join(" | "),
        "---|".repeat(heads.len() + 1)
    );
    for (number, (kind, _)) in KINDS.iter().enumerate() {
        let mark = |wrong: bool| if wrong { "**no**" } else { "yes" };
        let modern = (0..MODERN.len()).map(|look| mark(with_modern.contains_key(&(number, look))));
        let legacy = (0..LEGACY.len()).map(|look| mark(with_legacy.contains_key(&(number, look))));
        let verify = (0..VERIFY.len()).map(|look| mark(with_verify.contains_key(&(number, look))));
        let cells: Vec<&str> = modern.chain(legacy).chain(verify).collect();
        println!("| {kind} | {} |", cells.join(" | "));
    }
    with_legacy.retain(|(kind, _), _| !NOT_AS_LEGACY.contains(&KINDS[*kind].0));
    let wrong: Vec<String> = with_modern
        .into_values()
        .chain(with_legacy.into_values())
        .chain(with_verify.into_values())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} differ\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
