//! A login belongs to the Hub that issued it: which host gets which token when `HF_ENDPOINT` names
//! another Hub.

use std::fs;

use crate::auth::login::{LAPTOP, SERVER, hub, login, read};
use crate::harness::hub::{Hub, Repo};
use crate::harness::{Output, TestEnv};

/// A second Hub that accepts the same tokens, as a mirror does.
fn mirror() -> Hub {
    let mirror = hub();
    mirror.add(Repo::model("org/name").file("config.json", "{}"));
    mirror
}

/// How often the warning about another Hub was given.
fn warned(output: &Output, from: &str, to: &Hub) -> usize {
    let to = to.endpoint();
    let lines = output.stderr().lines();
    lines
        .filter(|line| {
            line.contains(&format!("is a login at {from}"))
                && line.contains(&format!("sent to {to}"))
        })
        .count()
}

#[test]
fn a_token_sent_to_another_hub_is_warned_of_once_a_command() {
    let (home, mirror) = (hub(), mirror());
    let mut env = TestEnv::for_hub(&home);
    let from = home.endpoint();
    let output = login(&env, LAPTOP);
    assert_eq!(warned(&output, &from, &home), 0);
    let output = env.run(["auth", "whoami"]).ok();
    assert_eq!(output.stderr(), "✓ Logged in\n", "it is where it was given");
    env.set("HF_ENDPOINT", mirror.endpoint());
    let commands: [&[&str]; 4] = [
        &["auth", "whoami"],
        &["download", "org/name"],
        &["auth", "login"],
        &["cache", "verify", "org/name"],
    ];
    for command in commands {
        let output = env.run(command).ok();
        assert_eq!(warned(&output, &from, &mirror), 1, "{output}");
        assert!(output.stderr().contains("HF_TRUSTED_ENDPOINTS"), "{output}");
        let trusted = env.hf(command).var(
            "HF_TRUSTED_ENDPOINTS",
            format!("https://x.test, {}", mirror.endpoint()),
        );
        let output = trusted.run().ok();
        assert!(!output.stderr().contains("is a login at"), "{output}");
        // The issuer, or a similar address, in the list does not allow the actual destination.
        for other in [from.clone(), format!("{}0", mirror.endpoint())] {
            let output = env
                .hf(command)
                .var("HF_TRUSTED_ENDPOINTS", other)
                .run()
                .ok();
            assert_eq!(warned(&output, &from, &mirror), 1, "{output}");
        }
    }
    assert!(mirror.count(|request| request.authorization.as_deref() == Some(LAPTOP)) > 0);
    let output = env.run(["auth", "whoami", "--json"]).ok();
    assert_eq!(output.json()["user"], "alice");
    // A command without requests gives no warning.
    for command in [
        &["auth", "token"][..],
        &["auth", "list"],
        &["download", "org/name", "--offline"],
        &["auth", "switch", "--token-name", "my laptop"],
    ] {
        let output = env.run(command).ok();
        assert!(!output.stderr().contains("is a login at"), "{output}");
    }
}

#[test]
fn a_token_that_is_no_saved_login_has_no_known_issuer() {
    let (home, mirror) = (hub(), mirror());
    let mut env = TestEnv::for_hub(&home);
    login(&env, LAPTOP);
    env.set("HF_ENDPOINT", mirror.endpoint());
    // The same token, but the user set the variable and the endpoint together.
    for token in [LAPTOP, SERVER] {
        let output = env.hf(["auth", "whoami"]).var("HF_TOKEN", token).run().ok();
        assert_eq!(output.stderr(), "✓ Logged in\n");
    }
    let output = env.run(["download", "org/name", "--token", LAPTOP]).ok();
    assert!(!output.stderr().contains("is a login at"), "{output}");
    fs::write(env.hf_home().join("token"), SERVER).unwrap();
    let output = env.run(["auth", "whoami"]).ok();
    assert_eq!(output.stderr(), "✓ Logged in\n");
    // A section without a Hub belongs to the public one: the Python clients write it so.
    let stored = format!("[s]\nhf_token = {SERVER}\n\n");
    fs::write(env.hf_home().join("stored_tokens"), stored).unwrap();
    let output = env.run(["auth", "whoami"]).ok();
    assert_eq!(
        warned(&output, "https://huggingface.co", &mirror),
        1,
        "{output}"
    );
}

#[test]
fn a_refresh_token_goes_only_to_the_hub_that_issued_it() {
    let (home, mirror) = (Hub::start(), Hub::start());
    home.device_login("bob", &[], 600);
    mirror.refresh_token("bob", "never asked for", 600);
    let mut env = TestEnv::for_hub(&home);
    env.run(["auth", "login"]).ok();
    let due = "hf_oauth_access00001";
    assert_eq!(read(&env, "token"), due);
    mirror.user("bob").oauth_token(due);
    let stored = read(&env, "stored_tokens");
    let named = format!("endpoint = {}\n", home.endpoint());
    assert!(stored.contains(&named), "{stored}");
    env.set("HF_ENDPOINT", mirror.endpoint());
    let nobodys = stored.replace(&named, "endpoint = nonsense\n");
    let public = stored.replace(&named, "");
    for (stored, from) in [
        (&stored, home.endpoint()),
        (&public, "https://huggingface.co".to_owned()),
        (&nobodys, "nonsense".to_owned()),
    ] {
        fs::write(env.hf_home().join("stored_tokens"), stored).unwrap();
        for trusted in ["", &mirror.endpoint()] {
            let output = env
                .hf(["auth", "whoami"])
                .var("HF_TRUSTED_ENDPOINTS", trusted)
                .run()
                .ok();
            assert_eq!(output.stderr().matches("Warning:").count(), 1, "{output}");
            assert!(
                output
                    .stderr()
                    .contains(&format!("only a command that talks to {from} can renew it")),
                "{output}"
            );
        }
        let output = env.run(["auth", "token"]).ok();
        assert_eq!(output.stdout(), format!("{due}\n"));
        assert_eq!(read(&env, "stored_tokens"), **stored);
    }
    assert_eq!(mirror.count(|request| request.path.contains("oauth")), 0);
    assert_eq!(home.refreshes(), (0, 0));
    fs::write(env.hf_home().join("stored_tokens"), &stored).unwrap();
    env.set("HF_ENDPOINT", home.endpoint());
    env.run(["auth", "whoami"]).ok();
    assert_eq!(home.refreshes(), (1, 0));
    assert!(
        read(&env, "stored_tokens").contains(&named),
        "it stays bound"
    );
}

#[test]
fn a_password_in_the_address_of_a_hub_is_not_stored() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    let address = hub.endpoint().replace("http://", "http://user:hunter2@");
    env.set("HF_ENDPOINT", address);
    let output = env.run(["auth", "login", "--token", LAPTOP]);
    if output.code == Some(0) {
        let stored = read(&env, "stored_tokens");
        assert!(
            stored.contains(&format!("endpoint = {}\n", hub.endpoint())),
            "{stored}"
        );
    }
    assert!(!read(&env, "stored_tokens").contains("hunter2"));
}

#[test]
fn status_shows_where_a_token_is_from() {
    let (home, mirror) = (hub(), mirror());
    let mut env = TestEnv::for_hub(&home);
    login(&env, LAPTOP);
    let json = env.run(["auth", "status", "--json"]).ok().json();
    assert_eq!(json["token_endpoint"], home.endpoint());
    assert_eq!(json["warnings"].as_array().unwrap().len(), 0);
    env.set("HF_ENDPOINT", mirror.endpoint());
    let output = env.run(["auth", "status", "--no-truncate"]).ok();
    assert_eq!(warned(&output, &home.endpoint(), &mirror), 1, "{output}");
    assert!(
        output
            .stdout()
            .contains(&format!("; from {}", home.endpoint())),
        "{output}"
    );
    env.set("HF_TRUSTED_ENDPOINTS", mirror.endpoint());
    let json = env.run(["auth", "status", "--json"]).ok().json();
    assert_eq!(json["token_endpoint"], home.endpoint());
    assert_eq!(json["endpoint"], mirror.endpoint());
    assert_eq!(json["trusted_endpoints"][0], mirror.endpoint());
    assert_eq!(json["warnings"].as_array().unwrap().len(), 0);
    let file = json["sources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["kind"] == "file");
    assert_eq!(file.unwrap()["endpoint"], home.endpoint());
}
