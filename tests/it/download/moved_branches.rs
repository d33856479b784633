//! Branches that move during a download, and names of branches that clash as files and folders.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Fault, Hub, Repo};
use crate::harness::tree::listing;

/// A Hub whose branch was moved by a force-push: the first request is still answered with the
/// former commit.
pub fn moved(lost: &str) -> (Hub, String, String) {
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file("a.txt", "old")
            .file("b.txt", "b"),
    );
    let old = hub.repo("models/org/name").commit("main");
    let new = hub
        .repo("models/org/name")
        .update(|tree| tree.file("a.txt", "new"));
    let answer = format!("{{\"id\": \"org/name\", \"sha\": \"{old}\"}}");
    let answer: &'static str = Box::leak(answer.into_boxed_str());
    let first = Fault::Body("application/json", answer);
    hub.fault(first.on("/api/models/org/name/revision/main").times(1));
    let gone = Fault::status_with(404, &[("X-Error-Code", "RevisionNotFound")]);
    hub.fault(gone.on(&format!("{lost}/{old}")));
    (hub, old, new)
}

#[test]
fn a_branch_that_moves_during_the_download_is_followed() {
    for lost in ["/resolve", "/tree"] {
        for place in [&[][..], &["--local-dir", "here"]] {
            let (hub, old, new) = moved(lost);
            let env = TestEnv::for_hub(&hub);
            let command = ["download", "org/name"];
            let output = env.run(command.iter().chain(place)).ok();
            let folder = output.stdout().trim_end();
            let content = fs::read_to_string(format!("{folder}/a.txt")).unwrap();
            assert_eq!(content, "new", "{lost}");
            if lost == "/resolve" {
                let told = format!("main was moved from {old} to {new}");
                assert!(output.stderr().contains(&told), "{output}");
            }
            if place.is_empty() {
                assert!(folder.ends_with(&new));
                env.run(["cache", "doctor"]).ok();
            }
        }
    }
}

#[test]
fn a_commit_that_is_gone_is_an_error_after_one_request() {
    let hub = Hub::start();
    hub.add(Repo::model("org/name").file("a.txt", "a"));
    let old = hub.repo("models/org/name").commit("main");
    let gone = Fault::status_with(404, &[("X-Error-Code", "RevisionNotFound")]);
    hub.fault(gone.on("/resolve/"));
    let env = TestEnv::for_hub(&hub);
    let output = env
        .run(["download", "org/name", "--revision", &old])
        .fails(1);
    assert!(output.stderr().contains("no revision"), "{output}");
    let hub = Hub::start();
    hub.add(Repo::model("org/name").file("a.txt", "a"));
    let env = TestEnv::for_hub(&hub);
    // Quiet, it does not look for what there is instead.
    env.run(["download", "org/name", "--revision", "nope", "-q"])
        .fails(1);
    assert_eq!(hub.requests().len(), 1, "{}", hub.log_text());
}

#[test]
fn a_branch_in_the_folder_of_another_one() {
    for (first, second) in [("feature", "feature/x"), ("feature/x", "feature")] {
        let hub = Hub::start();
        let repo = Repo::model("org/name").file("a.txt", "main");
        let repo = repo.branch("one", |tree| tree.file("a.txt", "one"));
        hub.add(repo.branch("two", |tree| tree.file("a.txt", "two")));
        let (one, two) = (
            hub.repo("models/org/name").commit("one"),
            hub.repo("models/org/name").commit("two"),
        );
        // Never both on the Hub at the same time, but one after the other.
        for (name, commit) in [(first, &one), (second, &two)] {
            let answer = format!("{{\"id\": \"org/name\", \"sha\": \"{commit}\"}}");
            let answer: &'static str = Box::leak(answer.into_boxed_str());
            let encoded = format!("/revision/{name}");
            hub.fault(
                Fault::Body("application/json", answer)
                    .on(&encoded)
                    .times(1),
            );
        }
        let mut env = TestEnv::for_hub(&hub);
        let run = |env: &TestEnv, name: &str| env.run(["download", "org/name", "--revision", name]);
        let read = |output: &crate::harness::Output| {
            fs::read_to_string(format!("{}/a.txt", output.stdout().trim_end())).unwrap()
        };
        let output = run(&env, first).ok();
        assert_eq!(
            (read(&output).as_str(), output.said().as_str()),
            ("one", "")
        );
        let output = run(&env, second).ok();
        assert_eq!(read(&output), "two");
        assert!(output.stderr().contains("in its way"), "{output}");
        env.run(["cache", "prune", "--yes"]).ok();
        env.run(["cache", "doctor"]).ok();
        env.set("HF_HUB_OFFLINE", "1");
        assert_eq!(read(&run(&env, first).ok()), "one");
        let output = run(&env, second).ok();
        assert_eq!(read(&output), "two", "{}", listing(env.cache()));
    }
}
