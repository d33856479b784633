//! `hf download --from-file`: several repositories, one bar, one exit code.

use serde_json::json;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Repo};
use crate::harness::tree::listing;

fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/a")
        .file("config.json", "{}")
        .file("a.txt", "a");
    hub.add(repo.lfs("model.bin", Content::synthetic(2_000_000, 1)));
    hub.add(
        Repo::model("org/b")
            .file("config.json", "{}")
            .then()
            .tag("v1")
            .file("new.txt", "new"),
    );
    hub.add(
        Repo::dataset("org/d")
            .file("data/x.csv", "1,2")
            .file("README.md", "d"),
    );
    hub
}

const LIST: &str = "# what we need\norg/a *.json model.bin\n\norg/b@v1   # pinned\n\
    datasets/org/d data/ --revision main\n";

/// The snapshot folders that the list names.
fn paths(env: &TestEnv, hub: &Hub) -> Vec<String> {
    let folder = |name: &str, key: &str, revision: &str| {
        let commit = hub.repo(key).commit(revision);
        let path = env.cache().join(name).join("snapshots").join(commit);
        path.display().to_string()
    };
    vec![
        folder("models--org--a", "models/org/a", "main"),
        folder("models--org--b", "models/org/b", "v1"),
        folder("datasets--org--d", "datasets/org/d", "main"),
    ]
}

#[test]
fn every_line_is_a_download() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    std::fs::write(env.path("work/list.txt"), LIST).unwrap();
    let output = env.run(["download", "--from-file", "list.txt"]).ok();
    let expected = paths(&env, &hub);
    assert_eq!(output.stdout().lines().collect::<Vec<_>>(), expected);
    assert_eq!(output.said(), "");
    let files = listing(env.cache());
    for file in ["config.json", "model.bin", "data/x.csv"] {
        assert!(files.contains(file), "{files}");
    }
    assert!(
        !files.contains("a.txt") && !files.contains("new.txt"),
        "{files}"
    );
    // Once more, from a pipe, in the other formats.
    let run = |format: &str| {
        let run = env.hf(["download", "--from-file", "-", "--format", format]);
        run.stdin(LIST).run().ok()
    };
    assert_eq!(run("quiet").stdout().lines().collect::<Vec<_>>(), expected);
    let agent: Vec<String> = expected.iter().map(|path| format!("path={path}")).collect();
    assert_eq!(run("agent").stdout().lines().collect::<Vec<_>>(), agent);
    assert_eq!(
        run("json").json(),
        json!([
            {"line": 2, "repo_id": "org/a", "repo_type": "model", "revision": "main", "path": expected[0]},
            {"line": 4, "repo_id": "org/b", "repo_type": "model", "revision": "v1", "path": expected[1]},
            {"line": 5, "repo_id": "org/d", "repo_type": "dataset", "revision": "main", "path": expected[2]},
        ])
    );
}

#[test]
fn the_others_go_on_and_the_first_failure_decides() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let list = "org/none\norg/a\norg/b nope.txt\ndatasets/org/d\n";
    let run = |arguments: &[&str]| {
        let arguments = [&["download", "--from-file", "-"], arguments].concat();
        env.hf(arguments).stdin(list).run().fails(1)
    };
    let output = run(&[]);
    assert_eq!(output.stdout().lines().count(), 2, "{output}");
    let said = output.stderr();
    let at = |text: &str| {
        said.find(text)
            .unwrap_or_else(|| panic!("{text}: {output}"))
    };
    assert!(
        at("Error: Line 1: There is no model org/none") < at("Error: Line 3: "),
        "{output}"
    );
    assert!(
        at("Error: Line 3: ") < at("Error: 2 of 4 downloads failed."),
        "{output}"
    );
    let output = run(&["--json"]);
    let rows = output.json();
    assert_eq!(rows[0]["error"]["kind"], "repo_not_found");
    assert_eq!(rows[2]["error"]["kind"], "file_not_found");
    assert!(rows[1]["path"].is_string() && rows[1].get("error").is_none());
    let error: serde_json::Value = serde_json::from_str(output.stderr()).unwrap();
    assert_eq!(error["kind"], "repo_not_found", "the first failure's kind");
    // A failure while bytes come stops no other either.
    let env = TestEnv::for_hub(&hub).fast_clock();
    hub.fault(Fault::WrongBytes.on("model.bin"));
    let run = env
        .hf(["download", "--from-file", "-"])
        .stdin("org/a\norg/b\n");
    let output = run.run().fails(1);
    assert!(
        output
            .stderr()
            .contains("Error: Line 1: The Hub sent wrong bytes"),
        "{output}"
    );
    assert_eq!(output.stdout().lines().count(), 1, "{output}");
}

#[test]
fn a_mistake_in_the_list_is_found_before_the_first_request() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    for (list, expected) in [
        (
            "org/a\norg/b --fast\n",
            "Line 2 of the list on standard input: --fast is not known here",
        ),
        (
            "org/a\n\norg//b\n",
            "Line 3 of the list on standard input: ",
        ),
        (
            "org/a @v1 --revision\n",
            "Line 1 of the list on standard input: no value follows --revision",
        ),
        (
            "datasets/org/d --repo-type model\n",
            "Line 1 of the list on standard input: ",
        ),
        ("org/a \u{1b}[2J --\u{1b}\n", "\\x1b"),
    ] {
        let run = env.hf(["download", "--from-file", "-"]).stdin(list);
        let output = run.run().fails(2);
        assert!(output.stderr().contains(expected), "{list}: {output}");
        assert_eq!(output.stdout(), "");
    }
    for arguments in [
        &["org/a", "--from-file", "-"][..],
        &["--from-file", "-", "--include", "*"],
        &["--from-file", "-", "--revision", "v1"],
        &["--from-file", "-", "--local-dir", "d"],
        &[],
    ] {
        let arguments = [&["download"], arguments].concat();
        env.hf(arguments).stdin("org/a\n").run().fails(2);
    }
    env.run(["download", "--from-file", "gone.txt"]).fails(1);
    assert_eq!(hub.count(|_| true), 0, "{}", hub.log_text());
    let run = env.hf(["download", "--from-file", "-", "--json"]);
    assert_eq!(run.stdin("# none\n").run().ok().json(), json!([]));
}

#[test]
fn a_dry_run_of_a_list_writes_nothing() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let run = |arguments: &[&str]| {
        let arguments = [&["download", "--from-file", "-", "--dry-run"], arguments].concat();
        env.hf(arguments).stdin(LIST).run().ok()
    };
    let output = run(&[]);
    let first = "[dry-run] Will download 4 files (out of 4) totalling 2.0M.\n";
    assert!(output.stdout().starts_with(first), "{output}");
    assert!(output.stdout().contains("dataset/org/d"), "{output}");
    let rows = run(&["--json"]).json();
    assert_eq!(
        rows[1]["files"],
        json!([{"file": "config.json", "size": "2.0", "bytes": 2, "will_download": true, "from_shared_store": false, "copied_bytes": 0}])
    );
    assert_eq!(rows[1]["commit"], hub.repo("models/org/b").commit("v1"));
    assert!(!env.cache().exists());
}

#[test]
fn one_bar_for_all_on_a_terminal() {
    let hub = hub();
    hub.configure(|settings| settings.bandwidth = Some(400_000));
    let env = TestEnv::for_hub(&hub);
    std::fs::write(env.path("work/list.txt"), LIST).unwrap();
    let mut terminal = env
        .hf(["download", "--from-file", "list.txt"])
        .terminal(24, 200);
    terminal.expect("/4 files");
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[0].starts_with("✓ 4 files, 2.0 MB in "), "{screen}");
    assert!(
        lines[1].starts_with("  model/org/a: /") && lines.len() == 4,
        "{screen}"
    );
}
