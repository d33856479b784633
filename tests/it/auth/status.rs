//! `hf auth status`, `--env-file`, and outputs that must not show a token.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::auth::login::{LAPTOP, SERVER, hub, login, read};
use crate::harness::TestEnv;
use crate::harness::endurance::in_two_sizes;
use crate::harness::hub::{Fault, Hub, Origin};

#[test]
fn not_logged_in() {
    let env = TestEnv::new();
    let output = env.run(["auth", "status"]).fails(1);
    assert!(output.stdout().contains("  HF_TOKEN"), "{output}");
    assert_eq!(output.stdout().matches("not set").count(), 6, "{output}");
    assert!(output.stderr().contains("Not logged in"), "{output}");
    let json = env.run(["auth", "status", "--json"]).fails(1).json();
    assert_eq!(json["resolved"], false);
    assert_eq!(json["sources"].as_array().unwrap().len(), 6);
}

#[test]
fn a_variable_hides_the_file() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    let output = env.run(["auth", "status", "--no-truncate"]).ok();
    assert!(
        output
            .stdout()
            .contains("used: the first that is set; saved as my laptop"),
        "{output}"
    );
    assert!(
        output
            .stdout()
            .contains("  user: alice\n  orgs: acme,bees\n  token_name: my laptop\n  role: write\n"),
        "{output}"
    );
    assert!(!output.stderr().contains("Warning"), "{output}");
    env.set("HUGGING_FACE_HUB_TOKEN", SERVER);
    let output = env.run(["auth", "status"]).ok();
    assert!(
        output.stdout().contains("* HUGGING_FACE_HUB_TOKEN"),
        "{output}"
    );
    assert!(
        output
            .stderr()
            .contains("hides the saved token my laptop; unset HUGGING_FACE_HUB_TOKEN"),
        "{output}"
    );
    let json = env.run(["auth", "status", "--json"]).ok().json();
    let used: Vec<&serde_json::Value> = json["sources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["used"] == true)
        .collect();
    assert_eq!(used.len(), 1);
    assert_eq!(used[0]["source"], "HUGGING_FACE_HUB_TOKEN");
    assert_eq!(used[0]["token"], "hf_****serv");
    assert_eq!(json["token_name"], "server % 1");
    assert_eq!(json["warnings"].as_array().unwrap().len(), 1);
    assert_eq!(
        env.run(["auth", "status", "-q"]).ok().stdout(),
        "variable\n"
    );
}

#[test]
fn likely_mistakes_are_named() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    let token = env.hf_home().join("token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let output = env
        .hf(["auth", "status"])
        .var("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
        .run()
        .ok();
    assert!(
        output
            .stderr()
            .contains("can be read by others (mode 0644)"),
        "{output}"
    );
    assert!(
        output.stderr().contains("downloads carry no token"),
        "{output}"
    );
    let output = env
        .hf(["auth", "status"])
        .var("HF_TOKEN", "hf_gone")
        .run()
        .fails(1);
    assert!(
        output
            .stderr()
            .contains("does not accept the token from the environment variable HF_TOKEN"),
        "{output}"
    );
    assert!(
        output.stderr().contains("hides the saved token my laptop"),
        "{output}"
    );
    fs::write(&token, format!("{LAPTOP} # work")).unwrap();
    let output = env.run(["auth", "status", "--no-truncate"]).fails(1);
    assert!(output.stdout().contains("unusable"), "{output}");
    assert!(output.stderr().contains("blanks in the middle"), "{output}");
    fs::write(&token, b"\xff\xfe").unwrap();
    let output = env.run(["auth", "whoami"]).fails(1);
    assert!(
        output.stderr().contains("damaged: it is not text"),
        "{output}"
    );
}

#[test]
fn the_hub_may_be_down_and_clocks_may_differ() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    let offline = env
        .hf(["auth", "status"])
        .var("HF_HUB_OFFLINE", "1")
        .run()
        .ok();
    assert!(
        offline.stderr().contains("the Hub is not asked"),
        "{offline}"
    );
    let away = env
        .hf(["auth", "status"])
        .var("HF_ENDPOINT", "http://127.0.0.1:9")
        .run()
        .ok();
    assert!(
        away.stderr().contains("cannot be asked about the token"),
        "{away}"
    );
    hub.fault(Fault::status(503).on("whoami").times(1));
    let trouble = env.run(["auth", "status"]).ok();
    assert!(trouble.stderr().contains("503"), "{trouble}");
}

#[test]
fn the_environment_wins_over_a_file_of_variables() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let path = env.path("work/my.env");
    fs::write(
        &path,
        format!("# for work\nexport HF_TOKEN=\"{LAPTOP}\"\nSSL_CERT_FILE=x\n"),
    )
    .unwrap();
    // Never read unless asked for, not even a .env in this folder.
    fs::copy(&path, env.path("work/.env")).unwrap();
    env.run(["auth", "token"]).fails(1);
    let output = env
        .run(["auth", "status", "--env-file", "my.env", "--no-truncate"])
        .ok();
    assert!(
        output
            .stdout()
            .contains(&format!("from {}", path.display())),
        "{output}"
    );
    assert!(
        output.stderr().contains("SSL_CERT_FILE has no effect"),
        "{output}"
    );
    let json = env
        .run(["--env-file", "my.env", "auth", "whoami", "--json"])
        .ok()
        .json();
    assert_eq!(
        json["source"],
        format!("the variable HF_TOKEN in the file {}", path.display())
    );
    let real = env
        .hf(["auth", "token", "--env-file", "my.env"])
        .var("HF_TOKEN", SERVER)
        .run()
        .ok();
    assert_eq!(real.stdout(), format!("{SERVER}\n"));
    let output = env
        .run(["auth", "token", "--env-file", "none.env"])
        .fails(1);
    assert!(output.stderr().contains("none.env"), "{output}");
    fs::write(&path, format!("HF_TOKEN {LAPTOP}\n")).unwrap();
    let output = env.run(["auth", "token", "--env-file", "my.env"]).fails(1);
    assert!(output.stderr().contains("NAME=value"), "{output}");
    assert!(!output.to_string().contains(LAPTOP), "{output}");
}

in_two_sizes!(no_output_shows_a_token: &[37], &[8, 12, 37, 200]);

/// Tokens of many shapes through every command, format and failure: only `auth token` may print one.
fn no_output_shows_a_token(lengths: &[usize]) {
    let mut seed = 7u64;
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    let commands: &[&[&str]] = &[
        &["auth", "whoami"],
        &["auth", "list"],
        &["auth", "status"],
        &["auth", "login"],
        &["auth", "switch", "--token-name", "t"],
        &["auth", "switch", "--token-name", "none"],
        &["auth", "logout", "--token-name", "none"],
        &["env"],
        &["download", "org/none"],
    ];
    for length in lengths {
        let hub = Hub::start();
        let random: String = (0..*length)
            .map(|_| char::from(b'!' + next() % 94))
            .collect();
        // A comment sign or a quote at the start would change the meaning of the files.
        let token = format!("hf_x{}", random.replace(['"', '\'', '`'], "q"));
        let refresh = format!("r{token}");
        let secret = &token[4..];
        for accepted in [true, false] {
            hub.device_login("alice", &["access_denied"; 50], 0);
            if accepted {
                hub.user("alice").token(&token, "write", "t");
            } else {
                hub.revoke(&token);
            }
            for in_file in [true, false] {
                let mut env = TestEnv::for_hub(&hub);
                env.set("HF_DEBUG", "1");
                if in_file {
                    fs::write(env.hf_home().join("token"), &token).unwrap();
                    let stored = format!(
                        "[t]\nhf_token = {token}\nrefresh_token = {refresh}\nexpires_at = 1\n"
                    );
                    fs::write(env.hf_home().join("stored_tokens"), stored).unwrap();
                } else {
                    env.set("HF_TOKEN", &token);
                }
                for format in ["human", "json", "quiet", "agent"] {
                    for command in commands {
                        let args = [command, &["--format", format][..]].concat();
                        let output = env.run(&args);
                        assert!(!output.to_string().contains(secret), "{args:?}\n{output}");
                    }
                    let output = env
                        .hf(["auth", "login", "--token", &token, "--format", format])
                        .run();
                    assert!(!output.to_string().contains(secret), "{output}");
                }
            }
        }
        assert!(hub.leaked_tokens().is_empty());
    }
}

#[test]
fn a_redirect_to_another_host_gets_no_token() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    let elsewhere = format!("{}/api/whoami-v2", hub.cdn_origin());
    let strikes = hub.fault(Fault::ForeignRedirect(elsewhere).on("whoami"));
    for command in [
        &["auth", "whoami"][..],
        &["auth", "status"],
        &["auth", "login", "--token", SERVER],
    ] {
        let output = env.run(command);
        assert!(!output.stdout().contains("alice"), "{output}");
    }
    assert!(strikes.count() >= 3);
    assert!(
        hub.count(|request| request.origin == Origin::Cdn) >= 3,
        "{}",
        hub.log_text()
    );
    assert!(hub.leaked_tokens().is_empty());
}

#[test]
fn a_token_file_is_never_half_written() {
    // Readers and writers at the same time: each reader finds one of the two tokens, complete.
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    login(&env, SERVER);
    let path = env.hf_home().join("token");
    std::thread::scope(|scope| {
        let env = &env;
        let writers: Vec<_> = (0..2)
            .map(|which| {
                scope.spawn(move || {
                    for _ in 0..15 {
                        let name = ["my laptop", "server % 1"][which];
                        env.run(["auth", "switch", "--token-name", name]).ok();
                    }
                })
            })
            .collect();
        while !writers
            .iter()
            .all(std::thread::ScopedJoinHandle::is_finished)
        {
            let seen = fs::read_to_string(&path).unwrap();
            assert!(seen == LAPTOP || seen == SERVER, "{seen:?}");
        }
    });
    assert_eq!(read(&env, "stored_tokens").matches('[').count(), 2);
}
