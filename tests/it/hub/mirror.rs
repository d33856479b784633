//! Mirrors: another host, perhaps below a path, that repeats the answers of the public Hub, with its links.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::cas::Cas;
use crate::harness::hub::{Content, Fault, Hub, Origin, Repo, Settings};

const TOKEN: &str = "hf_alice_token_0000";

fn mirror(prefix: &str) -> Hub {
    let hub = Hub::with(Settings {
        path_prefix: prefix.to_owned(),
        public_links: true,
        resolve_cache: true,
        page_size: 3,
        ..Settings::default()
    });
    hub.user("alice").token(TOKEN, "read", "laptop");
    hub
}

#[test]
fn links_to_the_public_hub_are_followed_on_the_mirror() {
    for prefix in ["", "/mirror/hf"] {
        let hub = mirror(prefix);
        let mut repo = Repo::model("org/old").private().allow("alice");
        for k in 0..7 {
            repo = repo.file(&format!("f{k}.txt"), format!("{k}"));
        }
        hub.add(repo.lfs("big.bin", Content::synthetic(100_000, 1)))
            .rename("org/new");
        let mut env = TestEnv::for_hub(&hub);
        env.set("HF_TOKEN", TOKEN);
        let output = env.run(["download", "org/old"]).ok();
        let folder = output.stdout().trim();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 8);
        assert_eq!(fs::read_to_string(format!("{folder}/f6.txt")).unwrap(), "6");
        // Pages, renames and cached copies: all requests go to the mirror, below the prefix, with the token.
        let api = hub.count(|r| {
            r.path
                .starts_with(&format!("{prefix}/api/models/org/new/tree/"))
        });
        assert!(api >= 3, "{}", hub.log_text());
        let cached = hub.count(|r| r.path.starts_with(&format!("{prefix}/api/resolve-cache/")));
        assert!(cached >= 7, "{}", hub.log_text());
        assert!(hub.leaked_tokens().is_empty());
        assert!(
            hub.requests().iter().all(|r| r.status < 400),
            "{}",
            hub.log_text()
        );
    }
}

#[test]
fn xet_access_is_requested_from_the_mirror() {
    let (cas, hub) = (Cas::start(), mirror("/mirror"));
    let content = Content::synthetic(300_000, 5).to_bytes().to_vec();
    let hash = cas.store(&content);
    hub.add(Repo::model("org/name").xet("big.bin", content, &hash));
    hub.xet(Some(cas.endpoint()));
    for arguments in [&["org/name"][..], &["org/name", "big.bin"]] {
        let env = TestEnv::for_hub(&hub);
        hub.clear_requests();
        env.run(["download"].iter().chain(arguments)).ok();
        let asked = hub.count(|r| {
            r.path
                .starts_with("/mirror/api/models/org/name/xet-read-token/")
        });
        assert_eq!(asked, 1, "{}", hub.log_text());
        assert_eq!(hub.content_bytes_sent(), 0);
    }
}

#[test]
fn the_token_stays_with_the_mirror_and_the_hub() {
    let (hub, other) = (mirror(""), Hub::start());
    hub.add(Repo::model("org/name").file("a.txt", "a"));
    other.add(Repo::model("org/name").file("a.txt", "a"));
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_TOKEN", TOKEN);
    // A path like the Hub's does not make another host the mirror.
    let address = format!(
        "{}/org/name/resolve/main/a.txt?huggingface.co",
        other.endpoint()
    );
    hub.fault(Fault::ForeignRedirect(address).on("/resolve/"));
    env.run(["download", "org/name"]).ok();
    assert!(other.requests().iter().all(|r| r.authorization.is_none()));
    assert!(!other.requests().is_empty());
}

#[test]
fn a_mirror_below_a_path_works() {
    let hub = Hub::with(Settings {
        path_prefix: "/mirror".to_owned(),
        ..Settings::default()
    });
    hub.add(Repo::model("org/name").file("a", "a").lfs("b", "b"));
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    assert!(
        hub.requests()
            .iter()
            .all(|r| r.origin == Origin::Cdn || r.path.starts_with("/mirror/"))
    );
}
