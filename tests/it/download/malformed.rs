//! Malformed answers: each is accepted where the hash still decides, or refused with a sentence. Nothing wrong gets into
//! the cache, and nothing panics.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Repo};
use crate::harness::tree::listing;

const SIZE: u64 = 300_000;

fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name").file("a.txt", "a");
    hub.add(repo.lfs("big.bin", Content::synthetic(SIZE, 3)));
    hub
}

/// Downloads with a fault on requests that contain `part`: `Ok` when the file arrived and is right, else stderr.
#[track_caller]
fn outcome(fault: &Fault, part: &str, arguments: &[&str]) -> Result<(), String> {
    let hub = hub();
    let strikes = hub.fault(fault.clone().on(part));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let output = env.run(["download", "org/name"].iter().chain(arguments));
    assert!(strikes.count() > 0, "{fault:?}: {}", hub.log_text());
    assert!(!output.stderr().contains("panicked"), "{fault:?}: {output}");
    let repo = hub.repo("models/org/name");
    let snapshots = env.cache().join("models--org--name/snapshots");
    let file = snapshots.join(repo.commit("main")).join("big.bin");
    let left = listing(env.root());
    assert!(!left.contains("evil"), "{fault:?}: {left}");
    match output.code {
        Some(0) => {
            let content = repo.entry("big.bin").content.to_bytes();
            assert!(fs::read(file).unwrap() == content, "{fault:?}");
            Ok(())
        }
        _ => {
            let output = output.fails(1);
            assert_eq!(output.stdout(), "");
            assert!(!left.contains("snapshots/"), "{fault:?}: {left}");
            assert_eq!(
                output.stderr().matches("Error: ").count(),
                1,
                "{fault:?}: {output}"
            );
            Err(output.stderr().to_owned())
        }
    }
}

#[track_caller]
fn is(found: Result<(), String>, expected: Option<&str>, what: &dyn std::fmt::Debug) {
    match (found, expected) {
        (Ok(()), None) => {}
        (Err(text), Some(words)) => assert!(text.contains(words), "{what:?}: {text}"),
        (found, expected) => panic!("{what:?}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn headers_of_a_file() {
    let cases: &[(&'static str, &'static [u8], Option<&str>)] = &[
        // Without a usable size the hash alone decides.
        ("X-Linked-Size", b"abc", None),
        ("X-Linked-Size", b"-5", None),
        ("X-Linked-Size", b"\xff\xfe", None),
        ("X-Linked-Size", b"99999999999999999999999", None),
        ("X-Linked-Size", b"18446744073709551615", Some("room")),
        ("X-Linked-Etag", b"\"\"", Some("header X-Linked-Etag")),
        (
            "X-Linked-Etag",
            b"\"../../evil\"",
            Some("header X-Linked-Etag"),
        ),
        ("X-Linked-Etag", b"\"/evil\"", Some("header X-Linked-Etag")),
        ("X-Linked-Etag", b"\xff", Some("header X-Linked-Etag")),
        ("X-Repo-Commit", b"main", Some("commit")),
        ("X-Repo-Commit", b"../../../evil", Some("commit")),
        ("X-Repo-Commit", b"\xc3\x28", Some("X-Repo-Commit")),
        ("X-Repo-Commit", b"", Some("X-Repo-Commit")),
        ("X-Xet-Hash", b"../evil", None),
        ("X-Xet-Hash", b"\xff", None),
        ("Location", b"", Some("big.bin to nowhere")),
        ("Location", b"\xff\xff", Some("which is not a web address")),
        (
            "Location",
            b"http://",
            Some("to \"http://\", which is not a web"),
        ),
        ("Location", b"file:///etc/passwd", Some("not safe")),
        ("X-HF-Warning", b"\xff", None),
        ("Link", b"\xff", None),
        ("Link", b"<<<>>>; rel=xet-auth", None),
        ("Content-Type", b"text/html", None),
    ];
    for (name, value, expected) in cases {
        let fault = Fault::Headers(vec![(name, value)]);
        is(
            outcome(&fault, "/resolve/", &["big.bin"]),
            *expected,
            &fault,
        );
    }
}

#[test]
fn an_impossible_size_is_an_error() {
    // Also without the check of the disk space.
    let fault = Fault::Headers(vec![("X-Linked-Size", b"18446744073709551615")]);
    let found = outcome(&fault, "/resolve/", &["big.bin", "--no-space-check"]);
    // Such a large file is requested as a range, and the answer has its true length.
    is(found, Some("another range"), &fault);
}

#[test]
fn headers_of_a_listing() {
    let cases: &[(&'static str, &'static [u8], Option<&str>)] = &[
        ("Link", b"\xff", None),
        ("Link", b"<; rel=\"next\"", None),
        (
            "Link",
            b"<http://[>; rel=\"next\"",
            Some("not a web address"),
        ),
        (
            "Link",
            b"<http://evil.test/>; rel=\"next\"",
            Some("another host"),
        ),
        (
            "Link",
            b"<file:///etc>; rel=\"next\"",
            Some("not a web address"),
        ),
        (
            "Link",
            b"<?recursive=true&expand=false>; rel=\"next\"",
            Some("repeats itself"),
        ),
        ("Content-Type", b"text/html", None),
        ("Content-Type", b"\xff", None),
    ];
    for (name, value, expected) in cases {
        let fault = Fault::Headers(vec![(name, value)]);
        is(outcome(&fault, "/tree/", &[]), *expected, &fault);
    }
}

#[test]
fn listings_of_another_form() {
    const OID: &str = "0123456789012345678901234567890123456789";
    const FORM: Option<&str> = Some("its JSON has an unexpected form");
    let row = |fields: &str| -> &'static str {
        String::leak(format!(
            "[{{\"type\":\"file\",\"oid\":\"{OID}\",{fields}}}]"
        ))
    };
    for (body, expected) in [
        ("", Some("it is empty")),
        (" \n", Some("it is empty")),
        ("<html>Sign in</html>", Some("A web page came from")),
        ("Sign in", Some("it is not JSON")),
        ("[{\"type\":", Some("ends too early")),
        ("{\"error\":\"no\"}", FORM),
        ("null", FORM),
        ("[1]", FORM),
        ("[null]", FORM),
        ("[[]]", FORM),
        (row("\"path\":\"x\",\"size\":\"5\""), FORM),
        (row("\"path\":\"x\",\"size\":-5"), FORM),
        (row("\"path\":\"x\",\"size\":1.5"), FORM),
        (row("\"path\":\"x\",\"size\":1e30"), FORM),
        (
            row("\"path\":\"x\",\"size\":null"),
            Some("gives no size for the file"),
        ),
        (row("\"path\":\"x\""), Some("gives no size for the file")),
        (
            row("\"path\":\"x\",\"size\":18446744073709551615"),
            Some("room"),
        ),
        (row("\"path\":7,\"size\":5"), FORM),
        (row("\"path\":null,\"size\":5"), FORM),
        (row("\"size\":5"), FORM),
        (row("\"path\":\"\",\"size\":5"), Some("file name")),
        (
            row("\"path\":\"../evil\",\"size\":5"),
            Some("leave its folder"),
        ),
        (row("\"path\":\"x\",\"size\":5,\"lfs\":\"y\""), FORM),
        (
            row("\"path\":\"x\",\"size\":5,\"lfs\":{\"oid\":\"y\",\"size\":5}"),
            Some("gives no usable hash"),
        ),
        (
            row("\"path\":\"x\",\"size\":5,\"lfs\":{\"oid\":5,\"size\":5}"),
            FORM,
        ),
        (row("\"path\":\"x\",\"size\":5,\"xetHash\":5"), FORM),
        (
            "[{\"type\":\"file\",\"path\":\"x\",\"size\":5}]",
            Some("gives no usable hash"),
        ),
        (
            "[{\"type\":\"file\",\"path\":\"x\",\"size\":5,\"oid\":\"../evil\"}]",
            Some("gives no usable hash"),
        ),
        (String::leak("[".repeat(100_000)), FORM),
    ] {
        let fault = Fault::Body("application/json", body);
        is(outcome(&fault, "/tree/", &[]), expected, &fault);
    }
    for body in [
        "[]",
        "{}",
        "{\"sha\":null}",
        "{\"sha\":5}",
        "{\"sha\":\"main\"}",
        "{\"sha\":\"../evil\"}",
    ] {
        let fault = Fault::Body("text/html", body);
        is(
            outcome(&fault, "/revision/", &[]),
            Some("makes no sense"),
            &fault,
        );
    }
}

#[test]
fn secrets_in_broken_answers_are_not_repeated() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let body = "{\"sha\":{\"access_token\":\"hf_secret\"}}";
    hub.fault(Fault::Body("application/json", body).on("/revision/"));
    let output = env.hf(["download", "org/name"]).var("HF_DEBUG", "1").run();
    let output = output.fails(1);
    assert!(output.stderr().contains("unexpected form"), "{output}");
    assert!(!output.to_string().contains("hf_secret"), "{output}");
    // And none of our types is named.
    assert!(!output.stderr().contains("struct"), "{output}");
}
