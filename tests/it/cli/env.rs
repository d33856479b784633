//! `hf env`: what a bug report needs, without secrets and without a request but one. And the detection of agents.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;

use crate::cache::users::as_stranger;
use crate::harness::hub::Hub;
use crate::harness::oracle::Oracle;
use crate::harness::{TestEnv, tree_of};

const REGISTRY: &str = r#"{"standardEnvVars": ["AI_AGENT", "AGENT"], "harnesses": {
  "loud": {"envVars": {"LOUD": "*"}}, "Exact": {"envVars": {"EXACT": "yes"}}, "bare": {}}}"#;

#[test]
fn no_secret_and_no_request_but_whose_token_it_is() {
    let hub = Hub::start();
    let mut env = TestEnv::for_hub(&hub);
    let secret = "NeverToBeShown";
    for name in [
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HUGGINGFACE_TOKEN",
        "HF_OIDC_ID_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "HF_XET_API_KEY",
    ] {
        env.set(name, format!("hf_{secret}aaaa"));
    }
    env.set("http_proxy", format!("http://user:{secret}@p.test:1"));
    env.set("HTTPS_PROXY", format!("user:{secret}@p.test:1"));
    env.set("ALL_PROXY", format!("socks5://{secret}@p.test:1"));
    let stored = format!("[a]\nhf_token = hf_{secret}bbbb\nrefresh_token = hf_{secret}cccc\n\n");
    fs::write(env.hf_home().join("stored_tokens"), stored).unwrap();
    fs::write(env.hf_home().join("token"), format!("hf_{secret}bbbb")).unwrap();
    let config = format!(
        "[credential]\n\thelper = !echo password={secret}\n\thelper = store --file {secret}\n"
    );
    fs::write(env.home().join(".gitconfig"), config).unwrap();
    let before = tree_of(env.root());
    for format in ["auto", "human", "agent", "json", "quiet"] {
        let output = env.run(["env", "--format", format]).ok();
        assert!(!output.to_string().contains(secret), "{output}");
        assert!(output.stdout().contains("hf_****aaaa"), "{output}");
    }
    let asked = hub.requests();
    assert!(
        asked.iter().all(|one| one.path == "/api/whoami-v2"),
        "{asked:?}"
    );
    assert_eq!(tree_of(env.root()), before, "nothing is left behind");
}

#[test]
fn the_same_keys_in_every_format() {
    let env = TestEnv::new();
    let json = env.run(["env", "--json"]).ok().json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    for format in ["human", "agent", "quiet"] {
        let output = env.run(["env", "--format", format]).ok();
        let lines = output.stdout().lines();
        let shown: Vec<&str> = lines
            .map(|line| line.strip_prefix("- ").unwrap().split_once(": ").unwrap().0)
            .collect();
        assert_eq!(shown, keys, "{format}");
    }
    assert_eq!(env.run(["env", "-q"]).ok().stderr(), "");
    assert_eq!(json["Cache folder"], "does not exist yet");
    assert_eq!(json["Symlinks in the cache"], "yes");
    assert_eq!(json["File locks in the cache"], "yes");
    assert_eq!(json["HF_HOME source"], "HF_HOME");
}

/// Keys that both have must say the same.
#[test]
fn agrees_with_the_python_client() {
    let Some(oracle) = Oracle::modern() else {
        return;
    };
    let mut env = TestEnv::new();
    env.set("HF_HUB_DISABLE_SYMLINKS", "1");
    env.set("HF_HUB_ETAG_TIMEOUT", "7");
    fs::write(env.hf_home().join("token"), "hf_x").unwrap();
    fs::write(
        env.home().join(".gitconfig"),
        "[credential]\n\thelper = store\n",
    )
    .unwrap();
    fs::write(env.hf_home().join(".agent_harnesses.json"), REGISTRY).unwrap();
    let facts = |text: &str| -> Vec<(String, String)> {
        let pairs = text
            .lines()
            .filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let same = |call: fn(crate::harness::Invocation) -> crate::harness::Invocation| {
        let ours = call(
            env.hf(["env"])
                .var("HF_HUB_DISABLE_TELEMETRY", "1")
                .var("HF_HUB_DISABLE_XET", "1"),
        );
        let ours = facts(ours.run().ok().stdout());
        let theirs = facts(call(oracle.hf(&env, ["env"])).run().ok().stdout());
        let mut compared = Vec::new();
        for (key, value) in &theirs {
            // Theirs has more after the kernel's name.
            if let Some((_, mine)) = ours.iter().find(|(k, _)| k == key && k != "Platform") {
                let mine = mine.strip_suffix(" (loud)").unwrap_or(mine);
                assert_eq!(mine, value, "{key}");
                compared.push(key.clone());
            }
        }
        assert!(compared.len() >= 15, "{compared:?}");
    };
    same(|call| call);
    same(|call| call.var("LOUD", "1").var("HF_HUB_OFFLINE", "1"));
}

#[test]
fn a_cache_that_cannot_be_written_to() {
    // No folder can be made there.
    let env = TestEnv::new();
    let nowhere = env
        .hf(["env", "--json"])
        .var("HF_HUB_CACHE", "/proc/self/hub");
    let output = nowhere.run().ok().json();
    assert_eq!(output["Cache folder"], "does not exist, and cannot be made");
    assert_eq!(
        output["Symlinks in the cache"],
        "unknown: nothing can be written there to try it"
    );
    let env = TestEnv::new();
    fs::create_dir_all(env.cache()).unwrap();
    fs::set_permissions(env.cache(), fs::Permissions::from_mode(0o500)).unwrap();
    let output = as_stranger(&env, &["env", "--json"]).ok().json();
    assert_eq!(output["Cache folder"], "exists, cannot be written to");
}

#[test]
fn agents_are_known_as_the_python_client_knows_them() {
    let Some(oracle) = Oracle::modern() else {
        return;
    };
    let env = TestEnv::new();
    fs::write(env.hf_home().join(".agent_harnesses.json"), REGISTRY).unwrap();
    let code =
        "from huggingface_hub.utils._detect_agent import detect_agent; print(detect_agent())";
    for (pairs, is_agent) in [
        (&[][..], false),
        (&[("LOUD", "x")], true),
        (&[("LOUD", "")], false),
        (&[("EXACT", "yes")], true),
        (&[("EXACT", "YES")], false),
        (&[("AI_AGENT", "bare")], true),
        (&[("AGENT", "exact")], true),
        (&[("AGENT", "something")], true),
        (&[("AGENT", " ")], false),
    ] {
        let with = |call| {
            pairs
                .iter()
                .fold(call, |call: crate::harness::Invocation, (name, value)| {
                    call.var(name, value)
                })
        };
        let theirs = with(oracle.python(&env, code)).run().ok();
        let theirs = theirs.stdout().trim().to_owned();
        let ours = with(env.hf(["env", "--json"])).run().ok().json();
        let expected = match theirs.as_str() {
            "None" => "No".to_owned(),
            name => format!("Yes ({name})"),
        };
        assert_eq!(
            ours["Run by AI agent ?"],
            Value::from(expected),
            "{pairs:?}"
        );
        let version = with(env.hf(["version"])).run().ok();
        assert_eq!(
            version.stdout().starts_with("version="),
            is_agent,
            "{version}"
        );
        let theirs = with(oracle.hf(&env, ["version"])).run().ok();
        assert_eq!(
            theirs.stdout().starts_with("version="),
            is_agent,
            "{theirs}"
        );
        let human = with(env.hf(["version", "--format", "human"])).run().ok();
        assert!(human.stdout().starts_with('✓'), "{human}");
    }
}

#[test]
fn a_registry_that_is_none_is_passed_over() {
    let env = TestEnv::new();
    let path = env.hf_home().join(".agent_harnesses.json");
    let deep = "[".repeat(100_000);
    let large = format!("{{\"x\": \"{}\"}}", "y".repeat(2 << 20));
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{\"harnesses\": 1}",
        "\0",
        deep.as_str(),
        large.as_str(),
    ] {
        fs::write(&path, text).unwrap();
        let output = env.hf(["version"]).var("AGENT", "x").run().ok();
        assert!(output.stdout().starts_with('✓'), "{output}");
        assert_eq!(output.stderr(), "");
        let output = env.hf(["version"]).var("HF_DEBUG", "1").run().ok();
        assert!(output.stderr().starts_with("[debug] "), "{output}");
    }
    fs::remove_file(&path).unwrap();
    // A pipe without a writer.
    let pipe = env.path("pipe");
    env.program("mkfifo", [&pipe]).run().ok();
    symlink(&pipe, &path).unwrap();
    let output = env.run(["version"]).ok();
    assert!(output.stdout().starts_with('✓'), "{output}");
}
