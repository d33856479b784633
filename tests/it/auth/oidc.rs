//! The exchange of a CI job's identity, and answers of login routes that do not end.

use crate::auth::login::{LAPTOP, hub};
use crate::harness::TestEnv;
use crate::harness::hub::{Fault, Hub};

/// The variables of a job of GitHub Actions, whose identity server is the test's Hub.
fn in_a_job(env: &mut TestEnv, hub: &Hub) {
    let identity = format!("{}/actions/identity?v=2", hub.endpoint());
    env.set("GITHUB_ACTIONS", "true")
        .set("ACTIONS_ID_TOKEN_REQUEST_URL", identity)
        .set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-credential");
}

#[test]
fn a_job_exchanges_its_identity() {
    let hub = hub();
    hub.trust_identity("eyJ.identity.token", "bob");
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_OIDC_RESOURCE", "bob/model");
    // The variable of any CI system, which wins over HF_TOKEN.
    let output = env
        .hf(["auth", "whoami", "--json"])
        .var("HF_OIDC_ID_TOKEN", "eyJ.identity.token")
        .var("HF_TOKEN", LAPTOP)
        .run()
        .ok();
    assert_eq!(output.json()["user"], "bob");
    assert_eq!(
        output.json()["source"],
        "the exchanged identity of this CI job for bob/model"
    );
    // Requested from GitHub Actions. The credential of the job is sent only there.
    in_a_job(&mut env, &hub);
    hub.clear_requests();
    let output = env.run(["auth", "whoami", "-q"]).ok();
    assert_eq!(output.stdout(), "bob\n");
    let asked = hub.requests();
    assert_eq!(asked.len(), 3, "{}", hub.log_text());
    assert!(
        asked[0].query.starts_with("v=2&audience=http"),
        "{}",
        asked[0].query
    );
    for request in &asked {
        let shown = request.authorization.as_deref() == Some("job-credential");
        assert_eq!(shown, request.path == "/actions/identity");
    }
    // --token wins over it.
    let output = env.run(["auth", "login", "--token", LAPTOP]).ok();
    assert!(output.stderr().contains("Logged in as alice"), "{output}");
}

#[test]
fn a_failed_exchange_is_an_error_and_no_other_source_is_used() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_OIDC_RESOURCE", "bob/model")
        .set("HF_TOKEN", LAPTOP);
    let output = env.run(["auth", "whoami"]).fails(1);
    assert!(output.stderr().contains("HF_OIDC_ID_TOKEN"), "{output}");
    let output = env
        .hf(["auth", "whoami"])
        .var("HF_OIDC_ID_TOKEN", "eyJ.unknown")
        .run()
        .fails(1);
    assert!(output.stderr().contains("invalid_grant"), "{output}");
    assert!(!output.stderr().contains("eyJ.unknown"), "{output}");
    let output = env
        .hf(["auth", "whoami"])
        .var("GITHUB_ACTIONS", "true")
        .run()
        .fails(1);
    assert!(output.stderr().contains("id-token: write"), "{output}");
    assert_eq!(hub.count(|request| request.authorization.is_some()), 0);
}

#[test]
fn an_identity_server_that_refuses_is_named_with_its_message() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_OIDC_RESOURCE", "bob/model")
        .set("GITHUB_ACTIONS", "true")
        .set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-credential");
    let own = hub.endpoint();
    let elsewhere = hub.cdn_origin();
    for (server, code) in [
        (&own, 401),
        (&own, 404),
        (&elsewhere, 404),
        (&elsewhere, 410),
    ] {
        env.set(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!("{server}/actions/identity?v=2"),
        );
        hub.fault(Fault::status(code).on("/actions/identity").times(1));
        let output = env.run(["auth", "whoami"]).fails(1);
        let text = output.stderr();
        assert!(
            text.contains(&format!("identity server {server}")),
            "{output}"
        );
        assert!(text.contains(&code.to_string()), "{output}");
        assert!(
            !text.contains("expired") && !text.contains("repository,"),
            "{output}"
        );
        assert!(text.contains("ACTIONS_ID_TOKEN_REQUEST_URL"), "{output}");
    }
    hub.trust_identity("eyJ.identity.token", "bob");
    hub.fault(Fault::status(404).on("/oauth/token").times(1));
    env.set("HF_OIDC_ID_TOKEN", "eyJ.identity.token");
    let output = env.run(["auth", "whoami"]).fails(1);
    assert!(
        output.stderr().contains("could not be exchanged"),
        "{output}"
    );
    assert!(output.stderr().contains("404"), "{output}");
    assert!(!output.stderr().contains("expired"), "{output}");
}

/// Single bytes without end: each attempt ends after its limit, and so does the request.
#[test]
fn an_answer_that_trickles_is_an_error() {
    let hub = hub();
    hub.trust_identity("eyJ.identity.token", "bob");
    let mut env = TestEnv::for_hub(&hub).fast_clock();
    let second = env.one_real_second();
    env.set("HF_HUB_DOWNLOAD_TIMEOUT", second);
    in_a_job(&mut env, &hub);
    let asked = [
        ("/api/whoami-v2", "HF_TOKEN", LAPTOP),
        ("/actions/identity", "HF_OIDC_RESOURCE", "bob/model"),
    ]
    .map(|(route, source, value)| {
        let bytes_per_second = 4;
        hub.fault(Fault::Trickle { bytes_per_second }.on(route));
        env.hf(["auth", "whoami"]).var(source, value).spawn()
    });
    for command in asked {
        let output = command.wait().fails(1);
        // On a busy machine even single bytes may come too late.
        let words = ["no answer in time", "sent no"];
        let said = output.stderr();
        assert!(words.iter().any(|words| said.contains(words)), "{output}");
    }
}

/// Many groups of a user make an answer of hundreds of kilobytes, which comes in many pieces.
#[test]
fn a_long_answer_is_no_answer_without_end() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let long: &'static str = format!(
        "{{\"type\": \"user\", \"name\": \"alice\", \"orgs\": [], \"x\": \"{}\"}}",
        "y".repeat(900_000)
    )
    .leak();
    hub.fault(Fault::Body("application/json", long).on("whoami"));
    let output = env
        .hf(["auth", "whoami"])
        .var("HF_TOKEN", LAPTOP)
        .run()
        .ok();
    assert!(output.stdout().contains("alice"), "{output}");
}

/// No valid answer of these routes has a megabyte.
#[test]
fn an_answer_without_end_is_an_error() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    let endless: &'static str = format!(
        "{{\"name\": \"alice\", \"value\": \"eyJ.x\", \"x\": \"{}\"}}",
        "y".repeat(2 << 20)
    )
    .leak();
    let endless = || Fault::Body("application/json", endless);
    hub.fault(endless().on("whoami"));
    let output = env
        .hf(["auth", "whoami"])
        .var("HF_TOKEN", LAPTOP)
        .run()
        .fails(1);
    assert!(
        output
            .stderr()
            .contains("more than such an answer ever has"),
        "{output}"
    );
    hub.fault(endless().on("/oauth/device"));
    let output = env.run(["auth", "login"]).fails(1);
    assert!(
        output.stderr().contains("longer than any such answer"),
        "{output}"
    );
    hub.fault(endless().on("/actions/identity"));
    in_a_job(&mut env, &hub);
    let output = env
        .hf(["auth", "token"])
        .var("HF_OIDC_RESOURCE", "bob/model")
        .run()
        .fails(1);
    assert!(
        output
            .stderr()
            .contains("more than such an answer ever has"),
        "{output}"
    );
}
