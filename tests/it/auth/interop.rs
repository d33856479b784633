//! The token files between this tool and both Python clients.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use hf_cli::testing::Ini;
use serde_json::Value;

use crate::auth::login::{login, read};
use crate::harness::TestEnv;
use crate::harness::hub::Hub;
use crate::harness::oracle::Oracle;

/// Token names as users choose them on the settings page.
const NAMES: [&str; 5] = [
    "my laptop",
    "100% mine",
    "naïve: 日本 = [x]",
    "#hash; semi",
    "plain",
];

fn token(index: usize) -> String {
    format!("hf_{:034}", index + 1)
}

fn hub() -> Hub {
    let hub = Hub::start();
    for (index, name) in NAMES.iter().enumerate() {
        hub.user("alice").token(&token(index), "write", name);
    }
    hub
}

/// What a Python client finds: the active token, and all by name.
fn python_sees(oracle: &Oracle, env: &TestEnv) -> (Option<String>, BTreeMap<String, String>) {
    let code = "import json; from huggingface_hub import get_token; \
        from huggingface_hub.utils import get_stored_tokens as all; \
        print(json.dumps([get_token(), all()]))";
    let output = oracle.python(env, code).run().ok();
    let seen: Value = serde_json::from_str(output.stdout().lines().last().unwrap()).unwrap();
    let named = seen[1].as_object().unwrap().iter();
    (
        seen[0].as_str().map(str::to_owned),
        named
            .map(|(name, token)| (name.clone(), token.as_str().unwrap().to_owned()))
            .collect(),
    )
}

/// The same as this program shows it.
fn we_see(env: &TestEnv) -> (Option<String>, Vec<String>) {
    let active = env.run(["auth", "token", "-q"]);
    let active = (active.code == Some(0)).then(|| active.stdout().trim_end().to_owned());
    let names = env.run(["auth", "list", "-q"]).ok().stdout().to_owned();
    (active, names.lines().map(str::to_owned).collect())
}

fn both() -> Vec<(&'static str, Oracle)> {
    let modern = Oracle::modern().map(|oracle| ("modern", oracle));
    let legacy = Oracle::legacy().map(|oracle| ("legacy", oracle));
    modern.into_iter().chain(legacy).collect()
}

#[test]
fn both_clients_read_and_change_what_we_store() {
    for (which, oracle) in both() {
        let hub = hub();
        let env = TestEnv::for_hub(&hub);
        for index in 0..NAMES.len() {
            login(&env, &token(index));
        }
        let (active, named) = python_sees(&oracle, &env);
        assert_eq!(active, Some(token(4)), "{which}");
        assert_eq!(named.len(), NAMES.len(), "{which}: {named:?}");
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(named.get(*name), Some(&token(index)), "{which}");
        }
        // A switch or a logout by one program is seen by the other.
        oracle
            .hf(&env, ["auth", "switch", "--token-name", NAMES[2]])
            .run()
            .ok();
        assert_eq!(we_see(&env).0, Some(token(2)), "{which}");
        env.run(["auth", "switch", "--token-name", NAMES[1]]).ok();
        assert_eq!(python_sees(&oracle, &env).0, Some(token(1)), "{which}");
        oracle
            .hf(&env, ["auth", "logout", "--token-name", NAMES[0]])
            .run()
            .ok();
        let (_, names) = we_see(&env);
        assert_eq!(names.len(), 4, "{which}: {names:?}");
        assert!(!names.contains(&NAMES[0].to_owned()), "{which}");
        env.run(["auth", "logout", "--token-name", NAMES[1]]).ok();
        let (active, named) = python_sees(&oracle, &env);
        assert_eq!((active, named.len()), (None, 3), "{which}");
        env.run(["auth", "logout"]).ok();
        assert_eq!(
            python_sees(&oracle, &env),
            (None, BTreeMap::new()),
            "{which}"
        );
    }
}

#[test]
fn we_store_what_both_clients_store_except_the_hub_of_a_login() {
    for (which, oracle) in both() {
        let hub = hub();
        let (theirs, ours) = (TestEnv::for_hub(&hub), TestEnv::for_hub(&hub));
        for index in 0..NAMES.len() {
            oracle
                .hf(&theirs, ["auth", "login", "--token", &token(index)])
                .run()
                .ok();
            login(&ours, &token(index));
        }
        assert_eq!(read(&ours, "token"), read(&theirs, "token"), "{which}");
        // For the public Hub the key is left out.
        let endpoint = format!("endpoint = {}\n", hub.endpoint());
        let stored = read(&ours, "stored_tokens");
        assert_eq!(stored.matches(&endpoint).count(), NAMES.len(), "{which}");
        let stored = stored.replace(&endpoint, "");
        assert_eq!(stored, read(&theirs, "stored_tokens"), "{which}");
        let (active, names) = we_see(&theirs);
        assert_eq!(active, Some(token(4)), "{which}");
        let mut expected = NAMES.to_vec();
        expected.sort_unstable();
        assert_eq!(names, expected, "{which}");
        assert_eq!(
            theirs.run(["auth", "whoami", "-q"]).ok().stdout(),
            "alice\n",
            "{which}"
        );
        oracle.hf(&theirs, ["auth", "logout"]).run().ok();
        theirs.run(["auth", "token"]).fails(1);
    }
}

#[test]
fn the_list_looks_like_the_modern_clients() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    for index in [0, 1, 4] {
        login(&env, &token(index));
    }
    let stored =
        read(&env, "stored_tokens").replace("[plain]\n", "[plain]\nexpires_at = 1690000000\n");
    fs::write(env.hf_home().join("stored_tokens"), stored).unwrap();
    for vars in [&[][..], &[("TZ", "America/Los_Angeles")]] {
        let mut theirs = modern.hf(&env, ["auth", "list"]);
        let mut ours = env.hf(["auth", "list"]);
        for (name, value) in vars {
            (theirs, ours) = (theirs.var(name, value), ours.var(name, value));
        }
        let (theirs, ours) = (theirs.run().ok(), ours.run().ok());
        assert_eq!(ours.stdout(), theirs.stdout());
    }
    let whoami = |format: &str| {
        let args = ["auth", "whoami", "--format", format];
        let theirs = modern.hf(&env, args).run().ok();
        (env.run(args).ok(), theirs)
    };
    for format in ["quiet", "agent"] {
        let (ours, theirs) = whoami(format);
        assert_eq!(ours.stdout(), theirs.stdout());
    }
    let (ours, theirs) = whoami("json");
    for (key, value) in theirs.json().as_object().unwrap() {
        assert_eq!(&ours.json()[key], value);
    }
}

/// A login that one side made in the browser and the other uses. The Python client keeps the Hub of a
/// login as long as it writes other sections, and drops it with the section that it writes.
#[test]
fn the_modern_client_renews_our_login_and_forgets_its_hub() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = Hub::start();
    hub.device_login("bob", &[], 600);
    hub.user("bob").token(&token(8), "read", "page");
    let env = TestEnv::for_hub(&hub);
    env.run(["auth", "login"]).ok();
    assert_eq!(read(&env, "token"), "hf_oauth_access00001");
    let endpoint = format!("endpoint = {}\n", hub.endpoint());
    modern
        .hf(&env, ["auth", "login", "--token", &token(8)])
        .run()
        .ok();
    let stored = read(&env, "stored_tokens");
    assert_eq!(stored.matches(&endpoint).count(), 1, "{stored}");
    env.run(["auth", "switch", "--token-name", "oauth-bob"])
        .ok();
    let (active, _) = python_sees(&modern, &env);
    assert_eq!(active.as_deref(), Some("hf_oauth_access00002"));
    assert!(!read(&env, "stored_tokens").contains("endpoint"));
    // The Hub of the login is unknown now. It counts as the public one, so this Hub gets no renewal.
    let ours = env.run(["auth", "whoami"]).ok();
    assert!(
        ours.stderr().contains("a login at https://huggingface.co"),
        "{ours}"
    );
    assert_eq!(hub.refreshes(), (1, 0));
    // A login with this program stores the Hub again, and both programs work.
    env.run(["auth", "login", "--force"]).ok();
    let ours = env.run(["auth", "token"]).ok();
    assert_eq!(ours.stdout(), "hf_oauth_access00004\n");
    let (active, named) = python_sees(&modern, &env);
    assert_eq!(active.as_deref(), Some("hf_oauth_access00005"));
    assert_eq!(named.len(), 2);
    assert_eq!(hub.refreshes(), (3, 0));
    // A legacy client that rewrites the file drops what renewal needs; the token itself stays valid.
    let Some(legacy) = Oracle::legacy() else {
        return;
    };
    hub.user("bob").token(&token(9), "read", "another");
    legacy
        .hf(&env, ["auth", "login", "--token", &token(9)])
        .run()
        .ok();
    assert!(!read(&env, "stored_tokens").contains("refresh_token"));
    env.run(["auth", "switch", "--token-name", "oauth-bob"])
        .ok();
    let last = env.run(["auth", "token"]).ok();
    assert_eq!(last.stdout(), "hf_oauth_access00005\n");
}

#[test]
fn a_lock_that_python_holds_is_waited_for() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    login(&env, &token(0));
    let code = "import os, time; from huggingface_hub.utils import WeakFileLock; \
        from huggingface_hub import constants as c\n\
        with WeakFileLock(c.HF_STORED_TOKENS_PATH + '.lock'):\n\
        \x20 print('held', flush=True)\n\
        \x20 while not os.path.exists('../released'): time.sleep(0.01)";
    let mut holder = modern.python(&env, code).spawn();
    holder.wait_until("the lock", |holder| holder.stdout().contains("held"));
    hub.clear_requests();
    let mut waiting = env.hf(["auth", "login", "--token", &token(1)]).spawn();
    waiting.wait_until("the token is good", |_| {
        hub.count(|request| request.status == 200) > 0
    });
    // Long enough to catch a program that does not wait; one that waits is not limited.
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waiting.ended(), "it did not wait");
    fs::write(env.path("released"), "").unwrap();
    waiting.wait().ok();
    holder.wait().ok();
}

/// Our INI reader and Python's, on random texts made of the parts of such files.
#[test]
fn ini_is_read_as_configparser_reads_it() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let parts = [
        "[a]\n",
        "[b c]\n",
        " [d]\n",
        "[DEFAULT]\n",
        "[]\n",
        "[x]y]\n",
        "[e",
        "]",
        "\n",
        "\n\n",
        "\r\n",
        "k = v\n",
        "K: w\n",
        "hf_token = hf_1\n",
        "j=\n",
        "  more\n",
        "\tdeep\n",
        "# note\n",
        "; note\n",
        "  # note\n",
        "= v\n",
        "bare\n",
        "l = a # b ; c\n",
        "m = 100%\n",
        "\u{a0}n = é\n",
        "\u{1f}\n",
        "o : = p\n",
        "  \n",
        "q = \u{85}x\n",
        "[ü]\n",
        "\u{c}r = 1\n",
    ];
    let mut seed = 42u64;
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let texts: Vec<String> = (0..2000)
        .map(|_| {
            let start = if next() % 4 == 0 { "" } else { "[a1]\n" };
            let count = next() % 9;
            let rest: String = (0..count).map(|_| parts[next() % parts.len()]).collect();
            format!("{start}{rest}")
        })
        .collect();
    let env = TestEnv::new();
    let path = env.path("texts.json");
    fs::write(&path, serde_json::to_vec(&texts).unwrap()).unwrap();
    let code = "import configparser, io, json, sys\n\
        for text in json.load(open(sys.argv[-1] if len(sys.argv) > 1 else 'texts.json', encoding='utf-8')):\n\
        \x20 c = configparser.ConfigParser(interpolation=None)\n\
        \x20 try:\n\
        \x20   c.read_file(io.TextIOWrapper(io.BytesIO(text.encode()), encoding='utf-8'))\n\
        \x20   print(json.dumps([[s, dict(c.items(s))] for s in c.sections()]))\n\
        \x20 except configparser.Error: print('null')";
    let output = modern.python(&env, code).folder(env.root()).run().ok();
    let answers: Vec<Value> = output
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), texts.len());
    let mut read_well = 0;
    for (text, answer) in texts.iter().zip(&answers) {
        match (Ini::parse(text), answer.as_array()) {
            (Err(_), None) => {}
            (Ok(ini), Some(sections)) => {
                read_well += 1;
                let names: Vec<&str> = ini.names().collect();
                let expected: Vec<&str> = sections.iter().map(|s| s[0].as_str().unwrap()).collect();
                assert_eq!(names, expected, "{text:?}");
                for section in sections {
                    for (key, value) in section[1].as_object().unwrap() {
                        let name = section[0].as_str().unwrap();
                        assert_eq!(ini.get(name, key), value.as_str(), "{text:?} {key:?}");
                    }
                }
            }
            (ours, theirs) => panic!("{text:?}: ours {ours:?}, theirs {theirs:?}"),
        }
    }
    assert!(read_well > 300, "{read_well} texts were good");
}
