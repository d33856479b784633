//! The Python clients accept the local Hub as they accept the real one. Which requests succeed, and which error they name,
//! shows that the local Hub is true to the real one. All other tests rely on it.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Repo, Settings};
use crate::harness::oracle::Oracle;

/// Repositories of each sort, and users alice (may read all) and bob (may read what is public).
fn example_hub() -> Hub {
    let hub = Hub::start();
    hub.user("alice")
        .token("hf_alice", "write", "laptop")
        .orgs(["acme", "zoo"]);
    hub.user("bob").token("hf_bob", "read", "bob-read");
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{\"a\": 1}")
            .file("sub/deep/ünï cödé #1.txt", "text")
            .lfs("model.safetensors", Content::synthetic(2_000_000, 1))
            .branch("refs/pr/1", |tree| tree.file("config.json", "{\"a\": 2}")),
    );
    hub.add(Repo::dataset("org/data").file("data/train.csv", "a,b\n"));
    hub.add(
        Repo::model("corp/gated")
            .gated()
            .allow("alice")
            .file("f", "f"),
    );
    hub.add(Repo::model("alice/secret").private().file("f", "f"));
    hub.add(Repo::model("corp/off").disabled().file("f", "f"));
    hub
}

/// The snapshot's files equal what the Hub holds at `revision`.
#[track_caller]
fn snapshot_is_complete(env: &TestEnv, hub: &Hub) {
    let repo = hub.repo("models/org/name");
    let snapshot = env
        .cache()
        .join("models--org--name/snapshots")
        .join(repo.commit("main"));
    for path in [
        "config.json",
        "sub/deep/ünï cödé #1.txt",
        "model.safetensors",
    ] {
        let bytes = fs::read(snapshot.join(path)).expect("a file of the snapshot");
        assert!(bytes == repo.entry(path).content.to_bytes(), "{path}");
        let blob = fs::canonicalize(snapshot.join(path)).expect("blob");
        assert!(
            blob.ends_with(repo.entry(path).etag()),
            "{path}: {}",
            blob.display()
        );
    }
}

#[test]
fn modern_logs_in_and_asks_who_it_is() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let login = modern.hf(&env, ["auth", "login", "--token", "hf_alice"]);
    let _ = login.run().ok();
    let stored = fs::read_to_string(env.hf_home().join("stored_tokens")).expect("stored tokens");
    assert!(stored.contains("[laptop]\nhf_token = hf_alice"), "{stored}");
    let me = modern
        .hf(&env, ["auth", "whoami", "--format", "json"])
        .run()
        .ok();
    assert_eq!(me.json()["user"], "alice");
    assert_eq!(me.json()["orgs"], "acme,zoo");
    let bad = modern
        .hf(&env, ["auth", "whoami"])
        .var("HF_TOKEN", "hf_nobody");
    let bad = bad.run().fails(1);
    assert!(bad.stderr().contains("Invalid user token"), "{bad}");
}

#[test]
fn modern_downloads_repositories_and_files() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = example_hub();
    // Pages of two rows: the client has to follow the links.
    hub.configure(|settings| settings.page_size = 2);
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_TOKEN", "hf_alice");
    let _ = modern.hf(&env, ["download", "org/name"]).run().ok();
    snapshot_is_complete(&env, &hub);
    assert_eq!(hub.count(|r| r.path.contains("/tree/")), 3);
    assert!(hub.count(|r| r.authorization.as_deref() == Some("hf_alice")) > 0);
    assert!(hub.leaked_tokens().is_empty(), "{}", hub.log_text());
    hub.configure(|settings| settings.resolve_cache = true);
    let file = [
        "download",
        "org/name",
        "config.json",
        "--revision",
        "refs/pr/1",
        "-q",
    ];
    let path = modern.hf(&env, file).run().ok();
    let text = fs::read_to_string(path.stdout().trim()).expect("the file it names");
    assert_eq!(text, "{\"a\": 2}");
    assert!(hub.count(|r| r.path.contains("/resolve-cache/")) > 0);
    let data = ["download", "org/data", "--repo-type", "dataset", "-q"];
    let folder = modern.hf(&env, data).run().ok();
    let file = std::path::Path::new(folder.stdout().trim()).join("data/train.csv");
    assert_eq!(fs::read_to_string(file).expect("the file"), "a,b\n");
}

#[test]
fn modern_verifies_and_notices_a_flipped_byte() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let _ = modern.hf(&env, ["download", "org/name"]).run().ok();
    let verify = ["cache", "verify", "org/name", "--format", "json"];
    let good = modern.hf(&env, verify).run().ok();
    assert_eq!(good.json()["checked"], 3);
    let blob = hub
        .repo("models/org/name")
        .entry("model.safetensors")
        .etag();
    let blob = env.cache().join("models--org--name/blobs").join(blob);
    let mut bytes = fs::read(&blob).expect("blob");
    bytes[1000] ^= 1;
    fs::write(&blob, bytes).expect("blob");
    let bad = modern
        .hf(&env, ["cache", "verify", "org/name"])
        .run()
        .fails(1);
    let text = format!("{}{}", bad.stdout(), bad.stderr());
    assert!(text.contains("model.safetensors"), "{bad}");
}

/// Asks for one file after another and prints the class of each exception, a line each.
const EXCEPTIONS: &str = r#"
import tempfile
from huggingface_hub import hf_hub_download, snapshot_download
def attempt(call, *args, **kwargs):
    try:
        call(*args, cache_dir=tempfile.mkdtemp(), **kwargs)
        print("fine")
    except Exception as error:
        # An error that the client answers with its cache is the cause of the one it raises.
        local = type(error).__name__ == "LocalEntryNotFoundError"
        print(type(error.__cause__ if local else error).__name__)
for token in ("hf_alice", "hf_bob", False):
    attempt(hf_hub_download, "corp/gated", "f", token=token)
    attempt(hf_hub_download, "alice/secret", "f", token=token)
attempt(hf_hub_download, "no/such", "f", token="hf_bob")
attempt(snapshot_download, "no/such", token="hf_bob")
attempt(hf_hub_download, "org/name", "none", token="hf_bob")
attempt(hf_hub_download, "org/name", "config.json", revision="none", token="hf_bob")
attempt(hf_hub_download, "corp/off", "f", token="hf_bob")
attempt(snapshot_download, "org/name", revision="none", token=False)
"#;

#[test]
fn both_clients_name_the_same_errors() {
    // A bare 401 means "no such repository" only at https addresses: on loopback it stays a plain HTTP error.
    let wanted = |missing_file: &str| {
        let lines = [
            "fine",
            "fine",
            "GatedRepoError",
            "RepositoryNotFoundError",
            "GatedRepoError",
            "HfHubHTTPError",
            "RepositoryNotFoundError",
            "RepositoryNotFoundError",
            missing_file,
            "RevisionNotFoundError",
            "DisabledRepoError",
            "RevisionNotFoundError",
        ];
        lines.join("\n") + "\n"
    };
    let hub = example_hub();
    for (oracle, missing_file) in [
        (Oracle::modern(), "RemoteEntryNotFoundError"),
        (Oracle::legacy(), "EntryNotFoundError"),
    ] {
        let Some(oracle) = oracle else { continue };
        let env = TestEnv::for_hub(&hub);
        let output = oracle.python(&env, EXCEPTIONS).run().ok();
        assert_eq!(output.stdout(), wanted(missing_file), "{}", output.stderr());
    }
}

#[test]
fn modern_follows_a_rename_and_shows_a_warning() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = example_hub();
    hub.warning("news; The Hub says hello.");
    hub.repo("models/org/name").rename("org/other");
    let env = TestEnv::for_hub(&hub);
    let output = modern.hf(&env, ["download", "org/name", "config.json"]);
    let output = output.run().ok();
    assert!(output.stderr().contains("The Hub says hello."), "{output}");
    let cached = env.cache().join("models--org--name/refs/main");
    let commit = hub.repo("models/org/other").commit("main");
    assert_eq!(fs::read_to_string(cached).expect("ref"), commit);
}

#[test]
fn legacy_logs_in_and_downloads() {
    let Some(legacy) = Oracle::legacy() else {
        return;
    };
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let login = legacy.huggingface_cli(&env, ["login", "--token", "hf_alice"]);
    let _ = login.run().ok();
    let me = legacy.huggingface_cli(&env, ["whoami"]).run().ok();
    assert!(me.stdout().contains("alice"), "{me}");
    let download = legacy.huggingface_cli(&env, ["download", "org/name", "--quiet"]);
    let _ = download.run().ok();
    snapshot_is_complete(&env, &hub);
    assert!(hub.leaked_tokens().is_empty(), "{}", hub.log_text());
}

#[test]
fn modern_trusts_the_hub_over_tls_and_reads_a_bare_401_as_no_such_repository() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = Hub::with(Settings {
        tls: true,
        ..Settings::default()
    });
    hub.add(Repo::model("org/name").lfs("model.bin", "large"));
    let mut env = TestEnv::for_hub(&hub);
    let pem = env.path("ca.pem");
    fs::write(&pem, hub.ca_pem()).expect("certificate");
    let stranger = modern.hf(&env, ["download", "org/name"]).run();
    assert_ne!(stranger.code, Some(0), "{stranger}");
    assert!(
        hub.requests().is_empty(),
        "an untrusted Hub is asked nothing"
    );
    env.set("SSL_CERT_FILE", &pem);
    let file = ["download", "org/name", "model.bin", "-q"];
    let path = modern.hf(&env, file).run().ok();
    assert_eq!(
        fs::read_to_string(path.stdout().trim()).expect("file"),
        "large"
    );
    assert_eq!(hub.count(|request| !request.encrypted), 0);
    let absent = modern.hf(&env, ["download", "no/such", "f"]);
    let absent = absent.run().fails(1);
    assert!(absent.stderr().contains("not found"), "{absent}");
}
