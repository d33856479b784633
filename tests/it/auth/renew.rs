//! Renewal of browser logins.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hf_cli::testing::{Env, HubClient, HubOptions, Notice, Session, Settings, plan_token};

use crate::auth::login::{LAPTOP, hub, read};
use crate::harness::hub::{Fault, Hub};
use crate::harness::shim::shim;
use crate::harness::{Held, Output, TestEnv};

const OLD: &str = "hf_oauth_oldoldold";

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// An old login of bob, which expires in `seconds`.
pub fn logged_in(hub: &Hub, seconds: u64) -> TestEnv {
    let env = TestEnv::for_hub(hub);
    hub.user("bob").oauth_token(OLD);
    hub.refresh_token("bob", "hf_refresh_first", 30 * 24 * 3600);
    fs::write(env.hf_home().join("token"), OLD).unwrap();
    let stored = format!(
        "[oauth-bob]\nhf_token = {OLD}\nrefresh_token = hf_refresh_first\nexpires_at = {}\nendpoint = {endpoint}\n\n[other]\nhf_token = {LAPTOP}\nendpoint = {endpoint}\n\n",
        now() + seconds,
        endpoint = hub.endpoint()
    );
    fs::write(env.hf_home().join("stored_tokens"), stored).unwrap();
    env
}

fn token(output: &Output) -> &str {
    output.stdout().trim_end()
}

#[test]
fn a_login_is_renewed_in_its_last_day() {
    let hub = hub();
    let env = logged_in(&hub, 25 * 3600);
    assert_eq!(token(&env.run(["auth", "token"]).ok()), OLD);
    assert_eq!(hub.refreshes(), (0, 0));
    let env = logged_in(&hub, 23 * 3600);
    let output = env.run(["auth", "token"]).ok();
    assert_eq!(token(&output), "hf_oauth_access00001");
    assert_eq!(read(&env, "token"), "hf_oauth_access00001");
    let stored = read(&env, "stored_tokens");
    assert!(
        stored.contains("refresh_token = hf_refresh_rotated00001\n"),
        "{stored}"
    );
    assert!(
        stored.ends_with(&format!(
            "[other]\nhf_token = {LAPTOP}\nendpoint = {}\n\n",
            hub.endpoint()
        )),
        "{stored}"
    );
    let json = env.run(["auth", "list", "--json"]).ok().json();
    assert_eq!(json[0]["active"], true);
    assert_eq!(json[0]["renewable"], true);
    assert_eq!(hub.refreshes(), (1, 0), "it is valid for a month now");
}

#[test]
fn twenty_processes_renew_once() {
    let hub = hub();
    hub.configure(|settings| settings.latency = Duration::from_millis(50));
    for round in 1..=3 {
        let env = logged_in(&hub, 60);
        let running: Vec<_> = (0..20).map(|_| env.hf(["auth", "token"]).spawn()).collect();
        let tokens: Vec<String> = running
            .into_iter()
            .map(|process| token(&process.wait().ok()).to_owned())
            .collect();
        let fresh = read(&env, "token");
        assert!(fresh.starts_with("hf_oauth_access"), "{fresh}");
        assert!(tokens.iter().all(|token| *token == fresh), "{tokens:?}");
        assert_eq!(hub.refreshes(), (round, 0));
        env.run(["auth", "whoami"]).ok();
    }
}

/// Tokens so short-lived that every command renews: each of many processes rotates the refresh token.
#[test]
fn processes_that_all_renew_never_reuse_a_refresh_token() {
    let hub = hub();
    let env = logged_in(&hub, 60);
    hub.refresh_token("bob", "hf_refresh_first", 600);
    let mut before = 0;
    for wave in 1..=4 {
        let running: Vec<_> = (0..6)
            .map(|_| env.hf(["auth", "whoami", "-q"]).spawn())
            .collect();
        for process in running {
            let output = process.wait().ok();
            assert_eq!(output.stdout(), "bob\n");
            assert_eq!(output.stderr(), "");
        }
        let (renewed, reused) = hub.refreshes();
        assert_eq!(reused, 0, "wave {wave}");
        // The first process renews the token; each process that waited for it uses the new token.
        let of_this_wave = renewed - before;
        assert!((1..=6).contains(&of_this_wave), "{renewed} after {before}");
        before = renewed;
        // The token of the last renewal is in both files.
        assert_eq!(read(&env, "token"), format!("hf_oauth_access{renewed:05}"));
        let last = format!("refresh_token = hf_refresh_rotated{renewed:05}\n");
        assert!(read(&env, "stored_tokens").contains(&last), "{last}");
    }
}

/// A renewal replaces the list first and the token file after it. A reader in between waits for
/// the second, and does not send a token that may be revoked by now.
#[test]
fn a_reader_between_the_two_files_of_a_renewal_waits_for_the_second() {
    let hub = hub();
    let env = logged_in(&hub, 30 * 24 * 3600);
    let lock = Held::at(env.hf_home().join("stored_tokens.lock"));
    let stored = read(&env, "stored_tokens").replace(OLD, "hf_oauth_newnewnew");
    fs::write(env.hf_home().join("stored_tokens"), stored).unwrap();
    let mut reader = env.hf(["auth", "token"]).spawn();
    let fds = format!("/proc/{}/fd", reader.id());
    reader.wait_until("it waits for the lock", |_| {
        let open = fs::read_dir(&fds).into_iter().flatten().flatten();
        open.filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|path| path.ends_with("stored_tokens.lock"))
    });
    fs::write(env.hf_home().join("token"), "hf_oauth_newnewnew").unwrap();
    drop(lock);
    let output = reader.wait().ok();
    assert_eq!(token(&output), "hf_oauth_newnewnew");
}

#[test]
fn a_login_that_ended_is_reported_and_the_old_token_is_used() {
    let hub = hub();
    let env = logged_in(&hub, 60);
    hub.refresh_token("bob", "another", 600);
    let stored = read(&env, "stored_tokens").replace("hf_refresh_first", "hf_refresh_revoked");
    fs::write(env.hf_home().join("stored_tokens"), &stored).unwrap();
    let output = env.run(["auth", "token"]).ok();
    assert_eq!(token(&output), OLD);
    assert!(output.stderr().contains("oauth-bob has ended"), "{output}");
    assert!(
        output.stderr().contains("hf auth login --force"),
        "{output}"
    );
    assert_eq!(read(&env, "stored_tokens"), stored);
}

#[test]
fn a_temporary_failure_is_reported_once_and_renewed_later() {
    let hub = hub();
    let env = logged_in(&hub, 60);
    let strikes = hub.fault(Fault::status(500).on("/oauth/token").times(1));
    // `status` asks for the token more than once.
    let output = env.run(["auth", "status"]).ok();
    assert_eq!(
        output
            .stderr()
            .matches("could not be renewed just now")
            .count(),
        1,
        "{output}"
    );
    assert_eq!(strikes.count(), 1);
    let offline = env
        .hf(["auth", "token"])
        .var("HF_HUB_OFFLINE", "1")
        .run()
        .ok();
    assert_eq!(token(&offline), OLD);
    assert!(!offline.stderr().contains("renewed"), "{offline}");
    assert_eq!(
        token(&env.run(["auth", "token"]).ok()),
        "hf_oauth_access00001"
    );
}

/// A program that embeds the engine has no console: a callback gets the events.
#[tokio::test]
async fn a_program_without_a_console_renews_and_gets_the_events() {
    let hub = hub();
    let env = logged_in(&hub, 60);
    let (home, endpoint) = (env.hf_home(), hub.endpoint());
    let pairs = [
        ("HF_HOME", home.to_str().unwrap()),
        ("HF_ENDPOINT", endpoint.as_str()),
    ];
    let variables = Env::from_pairs(env.root(), pairs);
    let settings = Settings::resolve(&variables).unwrap();
    let options = HubOptions::from_settings(&settings).unwrap();
    let client = HubClient::new(options, Arc::new(|_| {})).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let start = || {
        let heard = Arc::clone(&heard);
        let notify = move |notice| heard.lock().unwrap().push(notice);
        Arc::new(Session::new(settings.clone(), Box::new(notify)))
    };
    let step = || plan_token(None, &variables, &settings, now().cast_signed()).unwrap();
    let strikes = hub.fault(Fault::status(500).on("/oauth/token").times(1));
    let failed = start();
    for _ in 0..2 {
        let found = failed.token(step(), &client).await.unwrap().unwrap();
        assert_eq!(found.token.expose(), OLD);
    }
    assert_eq!(strikes.count(), 1, "a session tries once");
    let notices = std::mem::take(&mut *heard.lock().unwrap());
    assert!(
        matches!(&notices[..], [Notice::NotRenewed { name, .. }] if name == "oauth-bob"),
        "{notices:?}"
    );
    let session = start();
    // The second renewal waits for the first one, not for its lock.
    let (one, two) = tokio::join!(
        session.token(step(), &client),
        session.token(step(), &client)
    );
    for found in [one, two] {
        assert_eq!(
            found.unwrap().unwrap().token.expose(),
            "hf_oauth_access00001"
        );
    }
    assert_eq!(hub.refreshes(), (1, 0));
    assert_eq!(read(&env, "token"), "hf_oauth_access00001");
    assert!(heard.lock().unwrap().is_empty());
}

/// The Hub forgets the old refresh token when it answers, so the answer has to be saved although the
/// program has dropped the future.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_ends_although_its_future_is_dropped() {
    let hub = hub();
    let env = logged_in(&hub, 60);
    let endpoint = hf_cli::types::Endpoint::parse(&hub.endpoint()).unwrap();
    let config = hf_cli::Config::builder()
        .home(env.hf_home())
        .endpoint(&endpoint)
        .build()
        .unwrap();
    hub.configure(|settings| settings.latency = Duration::from_millis(500));
    let client = hf_cli::Hub::new(&config).unwrap();
    let pause = || tokio::time::sleep(Duration::from_millis(5));
    let is_asked = || hub.count(|request| request.path.contains("/oauth/token")) > 0;
    tokio::select! {
        done = client.whoami() => panic!("{done:?}"),
        () = async { while !is_asked() { pause().await } } => {}
    }
    let saved = async {
        while read(&env, "token") != "hf_oauth_access00001" {
            pause().await;
        }
    };
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, saved)
        .await
        .expect("it is saved");
    assert!(read(&env, "stored_tokens").contains("hf_refresh_rotated00001"));
    assert_eq!(hub.refreshes(), (1, 0));
}

#[test]
fn a_token_from_a_variable_or_an_option_is_not_renewed() {
    let hub = hub();
    let env = logged_in(&hub, 60);
    let output = env.hf(["auth", "token"]).var("HF_TOKEN", OLD).run().ok();
    assert_eq!(token(&output), OLD);
    env.run(["auth", "switch", "--token-name", "other"]).ok();
    assert_eq!(token(&env.run(["auth", "token"]).ok()), LAPTOP);
    assert_eq!(hub.refreshes(), (0, 0));
}

#[test]
fn a_refresh_token_follows_no_redirect() {
    let hub = hub();
    let env = logged_in(&hub, 60);
    let elsewhere = format!("{}/steal", hub.cdn_origin());
    hub.fault(
        Fault::ForeignRedirect(elsewhere)
            .on("/oauth/token")
            .times(1),
    );
    let output = env.run(["auth", "token"]).ok();
    assert_eq!(token(&output), OLD);
    assert!(output.stderr().contains("not safe to follow"), "{output}");
    assert_eq!(hub.count(|request| request.path == "/steal"), 0);
}

/// Killed at every change that a renewal makes to the disk: the next command has a token that the Hub
/// knows, and both files agree again once the renewal has reached the first of them.
#[test]
fn a_renewal_killed_at_any_step_is_completed_by_the_next_command() {
    let Some(shim) = shim() else { return };
    let mut between = 0;
    for at in 1.. {
        assert!(at < 100, "it never gets to its end");
        let hub = hub();
        let env = logged_in(&hub, 60);
        hub.refresh_token("bob", "hf_refresh_first", 30 * 24 * 3600);
        let killed = env
            .hf(["auth", "token"])
            .var("LD_PRELOAD", &shim)
            .var("HF_SHIM_KILL_AT", at.to_string())
            .run();
        if killed.signal.is_none() {
            killed.ok();
            break;
        }
        let was_renewed = !read(&env, "stored_tokens").contains(OLD);
        between += usize::from(was_renewed && read(&env, "token") == OLD);
        let output = env.run(["auth", "token"]).ok();
        env.run(["auth", "whoami"]).ok();
        assert_eq!(token(&output), read(&env, "token"));
        if was_renewed {
            assert_eq!(token(&output), "hf_oauth_access00001", "killed at {at}");
            assert_eq!(output.stderr(), killed_hint(), "killed at {at}");
            assert_eq!(hub.refreshes(), (1, 0));
        }
    }
    assert!(between > 0, "it was never killed between the two files");
}

/// The hint that `auth token` always prints.
fn killed_hint() -> &'static str {
    "Hint: `hf auth whoami` shows which account this token belongs to\n"
}

/// A server that gets the refresh token and then sends nothing, single bytes, or data without end: the
/// old token is used, and the lock is released.
#[test]
fn a_renewal_that_stalls_releases_the_lock_and_the_old_token_is_used() {
    let endless: &'static str = format!(
        "{{\"access_token\": \"hf_x\", \"x\": \"{}",
        "y".repeat(3 << 20)
    )
    .leak();
    for (fault, words) in [
        (Fault::NeverAnswer, "no answer in time"),
        (
            Fault::Stall { after_bytes: 20 },
            "sent no more than 20 bytes in 1 s",
        ),
        (
            Fault::Trickle {
                bytes_per_second: 20,
            },
            "",
        ),
        (
            Fault::Body("application/json", endless),
            "longer than any such answer",
        ),
        (Fault::Body("application/json", "[1e999]"), "no JSON object"),
    ] {
        let hub = hub();
        let env = logged_in(&hub, 60);
        let strikes = hub.fault(fault.clone().on("/oauth/token"));
        let mut stalled = env
            .hf(["auth", "whoami", "-q"])
            .var("HF_HUB_DOWNLOAD_TIMEOUT", "1")
            .spawn();
        stalled.wait_until("the renewal", |_| strikes.count() > 0);
        env.run(["auth", "switch", "--token-name", "other"]).ok();
        let output = stalled.wait().ok();
        assert_eq!(output.stdout(), "bob\n", "{fault:?}");
        assert!(
            output.stderr().contains("could not be renewed just now"),
            "{output}"
        );
        assert!(output.stderr().contains(words), "{fault:?} {output}");
    }
}
