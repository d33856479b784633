//! Unexpected answers: what the message says, and when the cache is used instead.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Fault, Hub, Origin, Repo, Rule, Settings};

const TOKEN: &str = "hf_alice_token_0000";

fn hub() -> Hub {
    let hub = Hub::start();
    hub.user("alice").token(TOKEN, "read", "laptop");
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{}")
            .lfs("model.bin", "large"),
    );
    hub
}

/// What an environment without any download says on stderr, the Hub's address aside.
#[track_caller]
fn said(hub: &Hub, env: &TestEnv, arguments: &[&str]) -> String {
    let output = env.run(["download"].iter().chain(arguments)).fails(1);
    assert_eq!(output.stdout(), "");
    let text = output.stderr().replace(&hub.endpoint(), "[HUB]");
    text.replace(&hub.cdn_origin(), "[ELSEWHERE]")
}

/// A login page for every request, or a redirect to one.
fn portals(hub: &Hub) -> [Fault; 4] {
    let page = "<!DOCTYPE html><title>Airport</title>Accept our terms";
    let elsewhere = format!("{}/terms?from=hub", hub.cdn_origin());
    [
        Fault::Body("text/html; charset=utf-8", page),
        Fault::Body("text/html", "Accept our terms"),
        Fault::ForeignRedirect(elsewhere),
        Fault::status(511),
    ]
}

#[test]
fn behind_a_portal_the_cache_is_used() {
    for number in 0..4 {
        let hub = hub();
        let env = TestEnv::for_hub(&hub);
        let whole = env.run(["download", "org/name"]).ok();
        let file = env.run(["download", "org/name", "config.json"]).ok();
        let strikes = hub.fault(Rule::from(portals(&hub)[number].clone()).at(Origin::Hub));
        for (arguments, before) in [(&[][..], &whole), (&["config.json"], &file)] {
            let seen = strikes.count();
            let output = env
                .run(["download", "org/name"].iter().chain(arguments))
                .ok();
            assert!(strikes.count() > seen, "{number}");
            assert_eq!(output.stdout(), before.stdout(), "{number}");
            let warning =
                "Warning: The Hub cannot be reached (a web page came from http://127.0.0.1:";
            assert!(output.stderr().starts_with(warning), "{number}: {output}");
        }
        // Nothing is cached: the error says what happened.
        let fresh = TestEnv::for_hub(&hub);
        let text = said(&hub, &fresh, &["org/name", "config.json"]);
        assert!(text.contains("log in first"), "{number}: {text}");
        let error = fresh.run(["download", "org/name", "--json"]).fails(1);
        assert!(
            error.stderr().contains("\"kind\": \"unreachable\""),
            "{number}: {error}"
        );
        // A file that was not downloaded before is an error.
        env.run(["download", "org/name", "other.json"]).fails(1);
    }
}

#[test]
fn a_web_page_in_a_repository_is_no_portal() {
    let hub = Hub::start();
    let page = "<html><title>Docs</title></html>";
    hub.add(Repo::model("org/name").file("index.html", page));
    let headers = vec![("Content-Type", &b"text/html"[..])];
    hub.fault(Fault::Headers(headers).on("/resolve/"));
    for arguments in [&[][..], &["index.html"]] {
        let env = TestEnv::for_hub(&hub);
        env.run(["download", "org/name"].iter().chain(arguments))
            .ok();
    }
}

#[test]
fn an_expired_token_is_named() {
    let hub = hub();
    let words = "Access Token \"nightly\" has expired";
    let env = || {
        let mut env = TestEnv::for_hub(&hub);
        env.set("HF_TOKEN", TOKEN);
        env
    };
    let cached = env();
    let before = cached.run(["download", "org/name"]).ok();
    hub.fault(Fault::status_with(401, &[("X-Error-Message", words)]));
    for arguments in [&["org/name"][..], &["org/name", "config.json"]] {
        assert_eq!(
            said(&hub, &env(), arguments),
            "Error: The Hub refuses the token from the environment variable HF_TOKEN: it has expired \
             (the Hub says: Access Token \"nightly\" has expired).\n\
             Hint: make a new one at [HUB]/settings/tokens and put it into HF_TOKEN, or unset HF_TOKEN\n"
        );
    }
    let served = cached.run(["download", "org/name"]).ok();
    assert_eq!(served.stdout(), before.stdout());
    assert_eq!(
        served.said(),
        "Warning: The Hub refuses the token from the environment variable HF_TOKEN: it has expired \
         (the Hub says: Access Token \"nightly\" has expired). Using what was downloaded before.\n"
    );
    hub.clear_faults();
    hub.revoke(TOKEN);
    let served = cached.run(["download", "org/name"]).ok();
    assert!(
        served
            .stderr()
            .contains("from the environment variable HF_TOKEN"),
        "{served}"
    );
}

#[test]
fn without_a_token_no_message_mentions_one() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    hub.fault(
        Fault::status_with(403, &[("X-Error-Message", "Your address is blocked")]).on("/revision/"),
    );
    assert_eq!(
        said(&hub, &env, &["org/name"]),
        "Error: The model org/name cannot be read without a token, or not from this network \
         (the Hub says: Your address is blocked).\n\
         Hint: run `hf auth login`, or check HF_ENDPOINT and the proxy variables\n"
    );
}

#[test]
fn a_permanent_refusal_does_not_say_try_again() {
    for code in [400, 405, 418, 451] {
        let hub = hub();
        let strikes = hub.fault(Fault::status(code).on("/revision/"));
        let text = said(&hub, &TestEnv::for_hub(&hub), &["org/name"]);
        assert!(text.contains("will be refused again"), "{code}: {text}");
        assert!(!text.contains("try again"), "{code}: {text}");
        assert_eq!(strikes.count(), 1, "{code}");
    }
}

#[test]
fn one_request_has_one_retry_budget() {
    let hub = hub();
    // Refusals before and after an answer that is cut off: six attempts in all.
    hub.fault(Fault::status(503).on("/revision/").times(3));
    hub.fault(
        Fault::CloseEarly { after_bytes: 3 }
            .on("/revision/")
            .times(1),
    );
    hub.fault(Fault::status(503).on("/revision/").after(1));
    let env = TestEnv::for_hub(&hub).fast_clock();
    env.run(["download", "org/name"]).fails(1);
    assert_eq!(hub.requests().len(), 6, "{}", hub.log_text());
    // A listing is read as it arrives, within the same budget.
    hub.clear_faults();
    hub.clear_requests();
    hub.fault(Fault::CloseEarly { after_bytes: 3 }.on("/tree/").times(2));
    env.run(["download", "org/name"]).ok();
    assert_eq!(hub.count(|request| request.path.contains("/tree/")), 3);
}

#[test]
fn a_warning_of_the_hub_is_passed_on_once_for_each_topic() {
    let hub = hub();
    for warning in [
        "old; Please update.",
        "old; Again.",
        "empty; ",
        "; No topic.",
    ] {
        hub.warning(warning);
    }
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name"]).ok();
    assert!(hub.requests().len() > 2, "{}", hub.log_text());
    let warnings: Vec<&str> = output
        .stderr()
        .lines()
        .filter(|line| line.starts_with("Warning: "))
        .collect();
    assert_eq!(warnings.len(), 2, "{output}");
    for words in ["Please update.", "No topic."] {
        assert!(warnings.iter().any(|line| line.contains(words)), "{output}");
    }
}

#[test]
fn a_malformed_redirect_is_named() {
    let hub = hub();
    let target = b"https://cdn.test:port/x?Signature=secret";
    hub.fault(Fault::Headers(vec![("Location", target)]).on("model.bin"));
    let text = said(&hub, &TestEnv::for_hub(&hub), &["org/name", "model.bin"]);
    let commit = hub.repo("models/org/name").commit("main");
    let words = "Error: The server redirects [HUB]/org/name/resolve/main/model.bin to \
                 \"https://cdn.test:port/x\", which is not a web address.";
    assert!(text.replace(&commit, "main").starts_with(words), "{text}");
}

#[test]
fn a_listing_without_end_ends() {
    let hub = hub();
    // Each page is empty and links to another address, one folder deeper.
    hub.fault(Fault::Body("application/json", "[]").on("/tree/"));
    hub.fault(Fault::Headers(vec![("Link", b"<n/m>; rel=\"next\"")]).on("/tree/"));
    let text = said(&hub, &TestEnv::for_hub(&hub), &["org/name"]);
    assert!(text.contains("has no end"), "{text}");
    assert_eq!(hub.count(|request| request.path.contains("/tree/")), 3);
}

#[test]
fn an_encoding_that_was_not_asked_for_is_unpacked_or_named() {
    let hub = hub();
    let strikes = hub.fault(Fault::Gzip.on("/api/"));
    TestEnv::for_hub(&hub).run(["download", "org/name"]).ok();
    assert_eq!(strikes.count(), 2, "information and listing");
    let asked = hub.requests().remove(0);
    let accepted = asked
        .headers
        .iter()
        .find(|(name, _)| name == "accept-encoding");
    assert_eq!(accepted.map(|(_, value)| value.as_str()), Some("identity"));
    hub.clear_faults();
    for (encoding, words) in [
        (
            &b"br"[..],
            "compressed as \"br\", which the request did not allow",
        ),
        (b"gzip", "not in the encoding that it says"),
    ] {
        hub.clear_faults();
        hub.fault(Fault::Headers(vec![("Content-Encoding", encoding)]).on("/revision/"));
        let text = said(&hub, &TestEnv::for_hub(&hub), &["org/name"]);
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn debug_output_shows_each_request_and_no_secret() {
    let hub = hub();
    hub.fault(Fault::status(500).on("/revision/").times(1));
    let mut env = TestEnv::for_hub(&hub).fast_clock();
    env.set("HF_TOKEN", TOKEN).set("HF_DEBUG", "1");
    let output = env.run(["download", "org/name"]).ok();
    assert!(!output.to_string().contains(TOKEN), "{output}");
    let expected = hub.requests().into_iter().map(|request| {
        let (origin, token) = match (request.origin, request.authorization) {
            (Origin::Hub, Some(_)) => (hub.endpoint(), "(with token) "),
            (Origin::Hub, None) => (hub.endpoint(), ""),
            (_, token) => {
                assert_eq!(token, None);
                assert!(request.query.contains("Signature"), "{}", request.query);
                assert!(!output.stderr().contains(&request.query), "{output}");
                (hub.cdn_origin(), "")
            }
        };
        let (method, path, status) = (request.method, request.path, request.status);
        format!("[debug] {method} {origin}{path} {token}→ {status} ")
    });
    let mut expected: Vec<String> = expected.collect();
    let shown = output.stderr().lines().filter(|line| line.contains(" → "));
    let mut shown: Vec<&str> = shown.collect();
    expected.sort();
    shown.sort();
    assert_eq!(shown.len(), expected.len(), "{output}");
    for (shown, expected) in shown.iter().zip(&expected) {
        assert!(shown.starts_with(expected.as_str()), "{shown}: {expected}");
    }
}

#[test]
fn a_login_in_the_endpoint_goes_in_place_of_the_token() {
    let hub = hub();
    hub.configure(|settings| settings.resolve_cache = true);
    let mut env = TestEnv::for_hub(&hub);
    let endpoint = hub.endpoint().replace("http://", "http://clerk:s%40fe@");
    env.set("HF_ENDPOINT", &endpoint).set("HF_TOKEN", TOKEN);
    let output = env.hf(["download", "org/name"]).var("HF_DEBUG", "1").run();
    assert!(!output.to_string().contains("s%40fe"), "{output}");
    let seen = hub.requests();
    assert!(!seen.is_empty());
    for request in seen {
        let sent: Vec<&str> = request
            .headers
            .iter()
            .filter(|(name, _)| name == "authorization")
            .map(|(_, value)| value.as_str())
            .collect();
        // `clerk:s@fe` in Base64.
        let expected = ["Basic Y2xlcms6c0BmZQ=="];
        assert_eq!(sent, expected, "{}", request.line());
    }
}

/// The Hub has not seen the token, so nothing may say that it accepts it.
#[test]
fn a_login_in_the_endpoint_says_nothing_about_the_token() {
    // The same account for whatever login comes.
    let hub = Hub::start();
    let account = "{\"name\": \"clerk\", \"auth\": {\"accessToken\": {\"role\": \"write\"}}}";
    hub.fault(Fault::Body("application/json", account).on("whoami"));
    let words = "The user name and password in HF_ENDPOINT are sent in place of the token";
    let mut env = TestEnv::for_hub(&hub);
    let token = ["auth", "login", "--token", TOKEN, "--force"];
    let output = env.run(token).ok();
    assert!(output.stderr().contains("The token is valid"), "{output}");
    for login in ["clerk:secret@", "clerk@"] {
        let endpoint = hub.endpoint().replace("://", &format!("://{login}"));
        env.set("HF_ENDPOINT", &endpoint);
        let output = env.run(["auth", "status"]).ok();
        assert!(output.stderr().contains(words), "{output}");
        assert!(
            !output.to_string().contains("accepts the token"),
            "{output}"
        );
        let json = env.run(["auth", "status", "--json"]).ok().json();
        assert!(json["warnings"].to_string().contains(words), "{json}");
        let output = env.run(token).ok();
        assert!(output.stderr().contains(words), "{output}");
        assert!(!output.stderr().contains("is valid"), "{output}");
    }
    assert_eq!(
        hub.count(|request| request.authorization.as_deref() == Some(TOKEN)),
        1,
        "{}",
        hub.log_text()
    );
}

#[test]
fn certificate_authorities_are_read_when_they_are_needed() {
    let (plain, encrypted) = (
        hub(),
        Hub::with(Settings {
            tls: true,
            ..Settings::default()
        }),
    );
    encrypted.add(Repo::model("org/name").file("config.json", "{}"));
    let env = TestEnv::for_hub(&plain);
    let folder = env.path("authorities");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("ours.crt"), encrypted.ca_pem()).unwrap();
    fs::write(folder.join("README"), "words").unwrap();
    fs::create_dir(env.path("empty")).unwrap();
    for variable in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
        for (path, words) in [
            ("authorities", None),
            ("missing", Some("which cannot be read: no such file")),
            ("empty", Some("which holds no certificate")),
        ] {
            let path = env.path(path);
            for hub in [&plain, &encrypted] {
                let env = TestEnv::for_hub(hub);
                let download = env.hf(["download", "org/name"]).var(variable, &path);
                let output = download.without("SSL_CERT_FILE").run();
                match words.filter(|_| hub.endpoint().starts_with("https")) {
                    None => drop(output.ok()),
                    Some(words) => {
                        let output = output.fails(1);
                        let named = format!("{variable} names {}, {words}", path.display());
                        assert!(output.stderr().contains(&named), "{output}");
                        assert!(!output.stderr().contains("Cannot reach"), "{output}");
                    }
                }
            }
            env.hf(["auth", "list"]).var(variable, &path).run().ok();
        }
    }
}
