//! What scripts rely on: every command in every format, errors as JSON, pipes without colour, and
//! streams that are closed.

use std::fs;

use serde_json::Value;

use crate::auth::login::{LAPTOP, SERVER};
use crate::download::basic::example_hub;
use crate::harness::cache::CacheTree;
use crate::harness::hub::Hub;
use crate::harness::oracle::installed;
use crate::harness::tree::listing;
use crate::harness::{Output, TestEnv};

const FORMATS: [&str; 5] = ["auto", "human", "agent", "json", "quiet"];

/// Every command that ends by itself, in an order in which each finds what it needs.
const COMMANDS: [&[&str]; 29] = [
    &["version"],
    &["update"],
    &["env"],
    &["alias"],
    &["auth", "login", "--token", SERVER],
    &["auth", "switch", "--token-name", "my-laptop"],
    &["auth", "whoami"],
    &["whoami"],
    &["auth", "list"],
    &["auth", "ls"],
    &["auth", "token"],
    &["auth", "status"],
    &["download", "org/name"],
    &["download", "org/name", "config.json"],
    &["download", "org/name", "--dry-run"],
    &["download", "org/name", "--dry-run", "--force-download"],
    &["cache", "ls"],
    &["cache", "list", "--revisions"],
    &["cache", "ls", "--filter", "size>1t"],
    &["cache", "scan"],
    &["cache", "scan", "-v"],
    &["scan-cache"],
    &["cache", "rm", "model/org/name", "--dry-run"],
    &["cache", "rm", "model/org/absent", "--yes"],
    &["cache", "prune", "--dry-run"],
    &["cache", "prune", "--yes"],
    &["cache", "verify", "org/name"],
    &["cache", "doctor"],
    &["auth", "logout", "--token-name", "server"],
];

fn hub() -> Hub {
    let hub = example_hub();
    hub.user("alice")
        .token(LAPTOP, "write", "my-laptop")
        .token(SERVER, "read", "server")
        .orgs(["acme", "labs"]);
    hub
}

/// A home with two tokens, a download, and a revision that nothing refers to.
fn home(hub: &Hub) -> TestEnv {
    let env = TestEnv::for_hub(hub);
    for token in [SERVER, LAPTOP] {
        env.run(["auth", "login", "--token", token]).ok();
    }
    env.run(["download", "org/name"]).ok();
    let loose = CacheTree::at(env.cache()).model("org/loose");
    loose.commit([("old.bin", "old")]);
    env
}

/// What the cache holds, save the locks that were once taken.
fn cached(env: &TestEnv) -> String {
    let text = listing(env.cache());
    let lines = text.lines().filter(|line| !line.contains(".locks/"));
    lines.collect::<Vec<_>>().join("\n")
}

/// No escape sequence, whatever a program may have made of the pipe.
#[track_caller]
fn is_plain(output: &Output) {
    for text in [output.stdout(), output.stderr()] {
        assert!(!text.contains('\u{1b}'), "{output}");
        assert!(!text.contains('\r'), "{output}");
    }
}

#[test]
fn every_command_honours_every_format() {
    let hub = hub();
    for format in FORMATS {
        let env = home(&hub);
        for command in COMMANDS {
            let flags: &[&str] = match format {
                "json" => &["--json"],
                "quiet" => &["-q"],
                _ => &["--format", format],
            };
            let output = env
                .hf(command.iter().chain(flags))
                .var("CLICOLOR_FORCE", "1")
                .var("TERM", "xterm-256color")
                .run()
                .ok();
            let named = env.hf([&["--format", format], command].concat()).run().ok();
            is_plain(&output);
            is_plain(&named);
            let stdout = output.stdout();
            let lines: Vec<&str> = stdout.lines().collect();
            match format {
                // `cache rm` that finds nothing prints nothing, as in the Python client.
                "json" if stdout.is_empty() => assert!(command.contains(&"rm"), "{output}"),
                "json" => {
                    assert_eq!(lines.len(), 1, "{command:?}\n{output}");
                    let value = output.json();
                    assert!(
                        value.is_object() || value.is_array(),
                        "{command:?}\n{output}"
                    );
                }
                "quiet" => {
                    let bare = |line: &&str| {
                        !line.contains(['✓', '\t']) && !line.contains(": ") && !line.is_empty()
                    };
                    // `env` is a report and has no one value.
                    let report = command == ["env"];
                    assert!(report || lines.iter().all(bare), "{command:?}\n{output}");
                }
                "agent" => {
                    assert!(!stdout.contains(['✓', '✔']), "{command:?}\n{output}");
                    let columns = |line: &str| line.split('\t').count();
                    let tables = lines.iter().filter(|line| line.contains('\t'));
                    let widths: Vec<usize> = tables.map(|line| columns(line)).collect();
                    assert!(
                        widths.iter().all(|&width| width == widths[0]),
                        "{command:?}\n{output}"
                    );
                }
                _ => {}
            }
        }
    }
}

#[test]
fn errors_in_json_are_json_with_the_same_exit_code() {
    let hub = hub();
    let env = home(&hub);
    for (command, kind, code) in [
        (&["download", "org/absent"][..], "repo_not_found", 1),
        (&["download", "org/name", "absent"], "file_not_found", 1),
        (
            &["download", "org/name", "--revision", "x"],
            "revision_not_found",
            1,
        ),
        (&["download", "a b"], "other", 1),
        (
            &["download", "datasets/a/b", "--repo-type", "model"],
            "usage",
            2,
        ),
        (&["download"], "usage", 2),
        (&["download", "o/n", "--max-workers", "0"], "usage", 2),
        (&["download", "o/n", "--bogus"], "usage", 2),
        (&["cache", "ls", "--sort", "colour"], "usage", 2),
        (&["cache", "ls", "--filter", "size==1"], "usage", 2),
        (&["cache", "ls", "--cache-dir", "absent"], "disk", 1),
        (&["cache", "rm", "model/org/name"], "aborted", 1),
        (&["cache", "delete"], "aborted", 1),
        (&["cache", "verify", "org/absent"], "revision_not_found", 1),
        (&["auth", "switch", "--token-name", "x"], "other", 1),
        (&["auth", "switch"], "usage", 2),
        (&["auth", "login"], "usage", 2),
        (
            &["auth", "login", "--token", "hf_unknown"],
            "invalid_token",
            1,
        ),
        (&["alias", "add", "--dir", "absent"], "disk", 1),
        (&["version", "-q"], "usage", 2),
        (&["upload", "o/n"], "usage", 2),
        (&["bogus"], "usage", 2),
        (&["cache"], "usage", 2),
        (&["auth", "bogus"], "usage", 2),
        (&[], "usage", 2),
    ] {
        let output = env.hf(command.iter().chain(&["--json"])).run().fails(code);
        assert_eq!(output.stdout(), "", "{command:?}\n{output}");
        let last = output.stderr().lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(last)
            .unwrap_or_else(|error| panic!("{command:?}: {error}\n{output}"));
        assert_eq!(error["kind"], kind, "{command:?}\n{output}");
        let keys: Vec<&String> = error.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["error", "kind", "hint"], "{command:?}");
        assert!(error["error"].is_string(), "{command:?}");
        is_plain(&output);
        // Without JSON the exit code is the same, and the words are for people. (A login that may ask
        // finds a login; one format alone is no mistake.)
        let plain = env.hf(command).run();
        is_plain(&plain);
        let differs = [&["auth", "login"][..], &["version", "-q"]].contains(&command);
        assert_eq!(plain.code, Some(if differs { 0 } else { code }), "{plain}");
    }
}

#[test]
fn commands_of_the_python_client_name_what_to_use_instead() {
    let mut env = TestEnv::new();
    // No client of the developer's is asked.
    env.set("PATH", "/usr/bin:/bin");
    for word in [
        "upload",
        "upload-large-folder",
        "jobs",
        "repos",
        "repo",
        "models",
        "datasets",
        "spaces",
        "papers",
        "collections",
        "discussions",
        "webhooks",
        "endpoints",
        "buckets",
        "sync",
        "cp",
        "sandbox",
        "extensions",
        "ext",
        "skills",
        "lfs-enable-largefiles",
        "lfs-multipart-upload",
        "tag",
        "repo-files",
    ] {
        for output in [
            env.run([word, "x", "--help"]).fails(2),
            env.huggingface_cli([word, "x", "--flag=1"]).run().fails(2),
            env.run([word, "-q"]).fails(2),
        ] {
            assert_eq!(output.stdout(), "");
            assert_eq!(output.stderr().lines().count(), 1, "{output}");
            assert!(output.stderr().contains("`uvx --from "), "{output}");
        }
    }
    let json = env.run(["--json", "upload"]).fails(2);
    let error: Value = serde_json::from_str(json.stderr()).unwrap();
    assert!(error["hint"].as_str().unwrap().contains("uvx"), "{json}");
}

#[test]
fn a_reader_that_leaves_ends_every_command_quietly() {
    let Some(()) = installed(["bash"]) else {
        return;
    };
    let hub = hub();
    let env = home(&hub);
    for command in COMMANDS
        .iter()
        .chain(&[&["--help"][..], &["cache", "ls", "--help"]])
    {
        let script = "\"$@\" | true; exit ${PIPESTATUS[0]}";
        let words = ["-c", script, "bash", env!("CARGO_BIN_EXE_hf")];
        let output = env.program("bash", words.iter().chain(*command)).run().ok();
        let said = output.stderr().to_lowercase();
        assert!(!said.contains("broken pipe"), "{command:?}\n{output}");
        assert!(!said.contains("panic"), "{command:?}\n{output}");
    }
}

#[test]
fn closed_and_empty_streams_change_nothing() {
    let hub = hub();
    let clean = home(&hub);
    clean.run(["cache", "prune", "--yes"]).ok();
    let expected = cached(&clean);
    for streams in [
        "<&-",
        ">&-",
        "2>&-",
        "<&- >&- 2>&-",
        "</dev/null >/dev/null 2>&1",
    ] {
        let env = home(&hub);
        for command in COMMANDS.iter().chain(&[
            &["download", "org/name", "--force-download"][..],
            &["download", "org/data", "--repo-type", "dataset"],
            &["cache", "rm", "dataset/org/data", "--yes"],
        ]) {
            let script = format!("exec \"$@\" {streams}");
            let words = ["-c", &script, "sh", env!("CARGO_BIN_EXE_hf")];
            env.program("sh", words.iter().copied().chain(command.iter().copied()))
                .run()
                .ok();
        }
        // A descriptor that was taken for stdout would have left its text in one of the files.
        assert_eq!(cached(&env), expected, "{streams}");
        let stored = fs::read_to_string(env.hf_home().join("stored_tokens")).unwrap();
        assert_eq!(
            stored,
            format!(
                "[my-laptop]\nhf_token = {LAPTOP}\nendpoint = {}\n\n",
                hub.endpoint()
            ),
            "{streams}"
        );
        env.run(["cache", "verify", "org/name"]).ok();
    }
}

#[test]
fn questions_without_anybody_to_answer_end() {
    let hub = hub();
    let env = home(&hub);
    for command in [
        &["cache", "rm", "model/org/name"][..],
        &["cache", "delete"],
        &["cache", "delete", "--disable-tui"],
        &["auth", "switch"],
    ] {
        for streams in ["<&-", "</dev/null", "<&- 2>&-"] {
            let script = format!("exec \"$@\" {streams}");
            let words = ["-c", &script, "sh", env!("CARGO_BIN_EXE_hf")];
            let output = env
                .program("sh", words.iter().copied().chain(command.iter().copied()))
                .run();
            assert!(
                matches!(output.code, Some(1 | 2)),
                "{command:?} {streams}\n{output}"
            );
            is_plain(&output);
        }
    }
    env.run(["cache", "verify", "org/name"]).ok();
}
