//! What a message suggests when something was not found: how many requests that takes, and that they do no harm.

use crate::harness::hub::{Fault, Hub, Repo};
use crate::harness::{Output, TestEnv};

const TOKEN: &str = "hf_alice_token_0000";

fn hub() -> Hub {
    let hub = Hub::start();
    hub.user("alice").token(TOKEN, "read", "laptop");
    let files = |repo: Repo| repo.file("config.json", "{}").file("sub/model.onnx", "x");
    hub.add(files(Repo::model("o/m")).tag("v1.0").tag("v1.1"));
    hub.add(files(Repo::model("gpt2")));
    hub.add(files(Repo::dataset("o/d")));
    hub.add(files(Repo::space("o/s")));
    hub
}

/// Runs a download that fails, with a token; answers what it said and how many requests it made.
#[track_caller]
fn refused(hub: &Hub, line: &str) -> (Output, usize) {
    let mut env = TestEnv::for_hub(hub);
    env.set("HF_TOKEN", TOKEN);
    hub.clear_requests();
    let words = ["download"].into_iter().chain(line.split(' '));
    let output = env.run(words).fails(1);
    assert_eq!(output.stdout(), "", "{output}");
    assert!(hub.leaked_tokens().is_empty(), "{}", hub.log_text());
    // The account's name is part of the message, and not of the hint.
    let count = hub.count(|request| !request.path.contains("whoami"));
    (output, count)
}

/// A command line, its hint, and the requests that it makes, with those for the hint.
const CASES: [(&str, &str, usize); 16] = [
    (
        "o/d",
        "there is a dataset of that name: `hf download datasets/o/d`",
        2,
    ),
    (
        "o/s",
        "there is a space of that name: `hf download spaces/o/s`",
        3,
    ),
    (
        "spaces/o/m",
        "there is a model of that name: `hf download models/o/m`",
        2,
    ),
    (
        "o/d config.json",
        "there is a dataset of that name: `hf download datasets/o/d`",
        2,
    ),
    (
        "model/gpt2",
        "there is a model of that name: `hf download models/gpt2`",
        2,
    ),
    ("o/nothing", "check the spelling", 4),
    ("o/m confg.json", "did you mean config.json?", 2),
    ("o/m model.onnx", "did you mean sub/model.onnx?", 2),
    ("o/m sub", "sub is a folder: sub/, with the slash,", 2),
    (
        "o/m config.json sub",
        "sub is a folder: sub/, with the slash,",
        2,
    ),
    ("o/m tokenizer.model", "see what there is at", 2),
    ("o/m *.json", "for a pattern use --include", 1),
    // The listing is there already.
    (
        "o/m config.json modle.onnx",
        "did you mean sub/model.onnx?",
        2,
    ),
    ("o/m --revision v1.2", "did you mean v1.0 or v1.1?", 2),
    (
        "o/m --revision dev",
        "its branches and tags are main, v1.0, v1.1",
        2,
    ),
    (
        "datasets/o/d --revision master",
        "its branches and tags are main",
        2,
    ),
];

#[test]
fn a_hint_takes_no_more_requests_than_needed() {
    let hub = hub();
    for (line, hint, requests) in CASES {
        let (output, count) = refused(&hub, line);
        let expected = format!("\nHint: {hint}");
        assert!(output.stderr().contains(&expected), "{line}\n{output}");
        assert_eq!(count, requests, "{line}\n{}", hub.log_text());
        assert_eq!(output.stderr().lines().count(), 2, "{line}\n{output}");
    }
}

#[test]
fn quiet_asks_nothing_more() {
    let hub = hub();
    for (line, hint, _) in CASES {
        let (loud, _) = refused(&hub, line);
        let (quiet, count) = refused(&hub, &format!("{line} -q"));
        // Two: the commit and the listing.
        let expected = if line.contains("config.json ") { 2 } else { 1 };
        assert_eq!(count, expected, "{line}\n{}", hub.log_text());
        assert!(!quiet.stderr().contains(hint), "{quiet}");
        assert_eq!(quiet.stderr().lines().next(), loud.stderr().lines().next());
    }
}

/// The error is the same and nothing else is said, whatever becomes of the requests for the hint.
#[test]
fn a_hint_that_fails_is_silent() {
    let elsewhere = Hub::start();
    let address = format!("{}/o/d", elsewhere.endpoint());
    let faults = [
        Fault::status(500),
        Fault::rate_limited(30),
        Fault::CloseEarly { after_bytes: 10 },
        Fault::ForeignRedirect(address),
        Fault::MalformedJson,
        Fault::NeverAnswer,
    ];
    for (line, route) in [
        ("o/nothing", "/api/datasets/"),
        ("o/m confg.json", "/tree/"),
        ("o/m --revision v1.2", "/refs"),
    ] {
        for fault in &faults {
            let hub = hub();
            let (plain, _) = refused(&hub, line);
            hub.fault(fault.clone().on(route).optional());
            let begun = std::time::Instant::now();
            let (output, _) = refused(&hub, line);
            assert_eq!(
                output.stderr().lines().next(),
                plain.stderr().lines().next()
            );
            assert_eq!(output.stderr().lines().count(), 2, "{fault:?} {output}");
            let asked = hub.count(|request| request.path.contains(route));
            assert!(asked <= 1, "{fault:?}\n{}", hub.log_text());
            let waited = begun.elapsed().as_secs();
            assert!(waited < 20, "{fault:?}: {waited} s");
            assert_eq!(
                elsewhere
                    .requests()
                    .iter()
                    .filter(|r| r.authorization.is_some())
                    .count(),
                0
            );
        }
    }
}

#[test]
fn a_rename_is_told_once() {
    let hub = hub();
    hub.repo("models/o/m").rename("new/name");
    let env = TestEnv::for_hub(&hub);
    for (args, count) in [
        (&["download", "o/m"][..], 1),
        (&["download", "o/m", "config.json", "--force-download"], 1),
        (&["download", "o/m", "-q", "--force-download"], 0),
        (&["download", "new/name"], 0),
    ] {
        let output = env.run(args).ok();
        let told = output
            .stderr()
            .matches("Hint: o/m is called new/name now")
            .count();
        assert_eq!(told, count, "{args:?}\n{output}");
    }
}
