//! The local Hub answers by the protocol of the real one, section by section: seen on a bare connection.

use std::time::Duration;

use serde_json::json;

use crate::harness::http::{get, head, request};
use crate::harness::hub::{Access, Content, Hub, Kind, Origin, Repo, Settings};

const ALICE: (&str, &str) = ("Authorization", "Bearer hf_alice");
const BOB: (&str, &str) = ("Authorization", "Bearer hf_bob");

/// One repository with small and large files, a tag and a pull request; users alice and bob.
fn small_hub() -> Hub {
    let hub = Hub::start();
    hub.user("alice")
        .token("hf_alice", "write", "laptop")
        .orgs(["acme", "zoo"]);
    hub.user("bob").token("hf_bob", "read", "bob-read");
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{}")
            .tag("v1")
            .file("config.json", "{\"a\": 1}")
            .file("sub/deep/x.txt", "x")
            .lfs("model.bin", Content::synthetic(100_000, 1))
            .branch("refs/pr/1", |tree| tree.file("new.txt", "new")),
    );
    hub
}

fn resolve(hub: &Hub, rest: &str) -> String {
    format!("{}/org/name/resolve/{rest}", hub.endpoint())
}

/// Follows the link of a large file.
fn link(hub: &Hub) -> String {
    let answer = get(&resolve(hub, "main/model.bin"), &[]);
    assert_eq!(answer.status, 302);
    answer.header("location").expect("location").to_owned()
}

#[test]
fn hashes_are_those_of_git_and_sha256() {
    // Known values: `printf '{}' | git hash-object --stdin` and `printf abc | sha256sum`.
    let content = Content::from("{}");
    assert_eq!(content.git_id(), "9e26dfeeb6e641a33dae4961196235bdb965b21b");
    let sha256 = Content::from("abc").sha256();
    assert_eq!(
        sha256,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn content_is_the_same_in_memory_on_disk_and_in_pieces() {
    let synthetic = Content::synthetic(3_000_000, 9);
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("file");
    std::fs::write(&path, synthetic.to_bytes()).expect("file");
    let disk = Content::disk(&path);
    assert_eq!(disk.sha256(), synthetic.sha256());
    let hub = Hub::start();
    hub.add(Repo::model("a/b").file("f", disk));
    let answer = get(&format!("{}/a/b/resolve/main/f", hub.endpoint()), &[]);
    assert!(answer.body == synthetic.to_bytes());
}

#[test]
fn whoami_knows_its_users_and_refuses_others() {
    let hub = small_hub();
    let url = format!("{}/api/whoami-v2", hub.endpoint());
    let me = get(&url, &[ALICE]).json();
    assert_eq!(me["name"], "alice");
    assert_eq!(me["orgs"][0]["name"], "acme");
    assert_eq!(me["auth"]["accessToken"]["displayName"], "laptop");
    assert_eq!(me["auth"]["accessToken"]["role"], "write");
    let wrong = get(&url, &[("Authorization", "Bearer hf_nobody")]);
    assert_eq!(wrong.status, 401);
    let message = "Invalid credentials in Authorization header";
    assert_eq!(wrong.header("x-error-message"), Some(message));
    assert_eq!(wrong.json(), json!({"error": message}));
    assert!(wrong.header("x-request-id").is_some());
    hub.revoke("hf_alice");
    assert_eq!(get(&url, &[ALICE]).status, 401);
}

#[test]
fn repository_info_names_the_commit_of_the_revision() {
    let hub = small_hub();
    let repo = hub.repo("models/org/name");
    let base = format!("{}/api/models/org/name", hub.endpoint());
    let info = get(&base, &[]).json();
    assert_eq!(info["sha"], repo.commit("main"));
    assert_eq!(info["siblings"].as_array().map(Vec::len), Some(3));
    for (revision, name) in [("refs%2Fpr%2F1", "refs/pr/1"), ("v1", "v1")] {
        let info = get(&format!("{base}/revision/{revision}"), &[]).json();
        assert_eq!(info["sha"], repo.commit(name), "{revision}");
        assert_ne!(info["sha"], repo.commit("main"), "{revision}");
    }
    let missing = get(&format!("{base}/revision/none"), &[]);
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("x-error-code"), Some("RevisionNotFound"));
}

#[test]
fn a_listing_comes_in_pages_with_folders_among_the_rows() {
    let hub = Hub::with(Settings {
        page_size: 2,
        ..Settings::default()
    });
    hub.add(
        Repo::dataset("org/data")
            .file("a.txt", "a")
            .file("b/c/d.txt", "d")
            .lfs("z.bin", "large"),
    );
    let mut url = format!(
        "{}/api/datasets/org/data/tree/main?recursive=true&expand=false",
        hub.endpoint()
    );
    let mut rows = Vec::new();
    loop {
        let page = get(&url, &[]);
        rows.extend(page.json().as_array().expect("rows").clone());
        let Some(next) = page.header("link") else {
            break;
        };
        assert!(next.ends_with("; rel=\"next\""));
        url = next[1..next.find('>').expect("bracket")].to_owned();
    }
    let names: Vec<_> = rows
        .iter()
        .map(|row| (&row["type"], &row["path"]))
        .collect();
    let wanted = [
        ("file", "a.txt"),
        ("directory", "b"),
        ("directory", "b/c"),
        ("file", "b/c/d.txt"),
        ("file", "z.bin"),
    ];
    assert_eq!(json!(names), json!(wanted));
    assert_eq!(hub.requests().len(), 3);
    let large = hub.repo("datasets/org/data").entry("z.bin");
    let lfs = json!({"oid": large.etag(), "size": 5, "pointerSize": large.pointer_size()});
    assert_eq!(rows[4]["lfs"], lfs);
    assert_eq!(rows[4]["oid"], large.oid());
}

#[test]
fn a_small_file_is_answered_with_its_names() {
    let hub = small_hub();
    let repo = hub.repo("models/org/name");
    let url = resolve(&hub, "main/sub/deep/x.txt");
    let answer = head(&url, &[("Accept-Encoding", "identity")]);
    assert_eq!((answer.status, answer.promised()), (200, 1));
    assert!(answer.body.is_empty());
    let etag = format!("\"{}\"", repo.entry("sub/deep/x.txt").etag());
    assert_eq!(answer.header("etag"), Some(etag.as_str()));
    assert_eq!(
        answer.header("x-repo-commit"),
        Some(repo.commit("main").as_str())
    );
    assert_eq!(get(&url, &[]).text(), "x");
    let other = get(&resolve(&hub, "refs%2Fpr%2F1/new.txt"), &[]);
    assert_eq!(other.text(), "new");
    let missing = get(&resolve(&hub, "main/none"), &[]);
    assert_eq!(missing.header("x-error-code"), Some("EntryNotFound"));
    hub.configure(|settings| settings.weak_etags = true);
    assert_eq!(
        head(&url, &[]).header("etag"),
        Some(format!("W/{etag}").as_str())
    );
}

#[test]
fn a_large_file_is_a_signed_link_to_another_origin() {
    let hub = small_hub();
    let entry = hub.repo("models/org/name").entry("model.bin");
    let answer = head(&resolve(&hub, "main/model.bin"), &[]);
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("x-linked-size"), Some("100000"));
    let etag = format!("\"{}\"", entry.etag());
    assert_eq!(answer.header("x-linked-etag"), Some(etag.as_str()));
    let link = link(&hub);
    assert!(link.starts_with(&hub.cdn_origin()));
    let body = get(&link, &[]).body;
    assert_eq!(Content::from(body).sha256(), entry.etag());
    let forged = link.replace("Signature=", "Signature=0");
    assert_eq!(get(&forged, &[]).status, 403);
    assert_eq!(hub.content_bytes_sent(), 100_000);
}

#[test]
fn the_cdn_refuses_and_records_a_token() {
    let hub = small_hub();
    let link = link(&hub);
    assert!(hub.leaked_tokens().is_empty());
    assert_eq!(get(&link, &[ALICE]).status, 400);
    let leaked = hub.leaked_tokens();
    assert_eq!(leaked[0].authorization.as_deref(), Some("hf_alice"));
    assert_eq!(leaked[0].origin, Origin::Cdn);
}

#[test]
fn links_expire() {
    let hub = small_hub();
    assert_eq!(get(&link(&hub), &[]).status, 200);
    hub.configure(|settings| settings.link_lifetime = Duration::ZERO);
    let link = link(&hub);
    std::thread::sleep(Duration::from_millis(5));
    let late = get(&link, &[]);
    assert_eq!(late.status, 403);
    assert!(late.text().contains("expired"));
}

#[test]
fn ranges_work_on_both_origins() {
    let hub = small_hub();
    let whole = Content::synthetic(100_000, 1).to_bytes();
    let link = link(&hub);
    let ask = |url: &str, range: &str| get(url, &[("Range", range)]);
    for (range, from, to) in [
        ("bytes=0-9", 0, 10),
        ("bytes=99990-", 99_990, 100_000),
        ("bytes=-5", 99_995, 100_000),
        ("bytes=50000-999999", 50_000, 100_000),
    ] {
        let answer = ask(&link, range);
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.body == whole[from..to], "{range}");
        let told = format!("bytes {from}-{}/100000", to - 1);
        assert_eq!(answer.header("content-range"), Some(told.as_str()));
    }
    let beyond = ask(&link, "bytes=100000-");
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), Some("bytes */100000"));
    let small = ask(&resolve(&hub, "main/config.json"), "bytes=1-3");
    assert_eq!((small.status, small.text().as_str()), (206, "\"a\""));
    let last = hub.requests().pop().expect("request");
    assert_eq!(last.range.as_deref(), Some("bytes=1-3"));
}

#[test]
fn small_files_may_take_the_way_through_the_cache_route() {
    let hub = small_hub();
    hub.configure(|settings| settings.resolve_cache = true);
    let first = get(&resolve(&hub, "main/sub/deep/x.txt"), &[]);
    assert_eq!(first.status, 307);
    let location = first.header("location").expect("location");
    assert!(location.starts_with("/api/resolve-cache/models/org/name/"));
    let second = get(&format!("{}{location}", hub.endpoint()), &[]);
    assert_eq!((second.status, second.text().as_str()), (200, "x"));
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_eq!(get(&resolve(&hub, "main/model.bin"), &[]).status, 302);
}

#[test]
fn private_gated_disabled_and_absent_repositories_are_told_apart_as_the_hub_does() {
    let hub = small_hub();
    hub.add(Repo::model("alice/secret").private().file("f", "f"));
    hub.add(Repo::model("acme/team").private().file("f", "f"));
    hub.add(
        Repo::model("corp/gated")
            .gated()
            .allow("alice")
            .file("f", "f"),
    );
    hub.add(Repo::model("corp/off").disabled().file("f", "f"));
    let file = |id: &str, headers: &[(&str, &str)]| {
        get(&format!("{}/{id}/resolve/main/f", hub.endpoint()), headers)
    };
    for id in ["alice/secret", "acme/team", "no/such"] {
        let anonymous = file(id, &[]);
        assert_eq!(
            (anonymous.status, anonymous.header("x-error-code")),
            (401, None)
        );
        let stranger = file(id, &[BOB]);
        assert_eq!(stranger.status, 404);
        assert_eq!(stranger.header("x-error-code"), Some("RepoNotFound"));
    }
    assert_eq!(file("alice/secret", &[ALICE]).text(), "f");
    assert_eq!(file("acme/team", &[ALICE]).text(), "f");
    for (headers, status, part) in [
        (&[][..], 401, "Please log in."),
        (&[BOB][..], 403, "not in the authorized list"),
    ] {
        let answer = file("corp/gated", headers);
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-error-code"), Some("GatedRepo"));
        assert!(
            answer
                .header("x-error-message")
                .expect("message")
                .contains(part)
        );
    }
    assert_eq!(file("corp/gated", &[ALICE]).status, 200);
    let listing = format!("{}/api/models/corp/gated/tree/main", hub.endpoint());
    assert_eq!(get(&listing, &[]).status, 200);
    let off = file("corp/off", &[ALICE]);
    assert_eq!(off.status, 403);
    let message = "Access to this resource is disabled.";
    assert_eq!(off.header("x-error-message"), Some(message));
}

#[test]
fn a_renamed_repository_redirects_and_an_updated_one_moves_on() {
    let hub = small_hub();
    let repo = hub.repo("models/org/name");
    let before = repo.commit("main");
    let after = repo.update(|tree| tree.file("config.json", "{\"b\": 2}"));
    assert_ne!(before, after);
    assert_eq!(repo.commit("main"), after);
    assert_eq!(
        get(&resolve(&hub, "main/config.json"), &[]).text(),
        "{\"b\": 2}"
    );
    let old = get(&resolve(&hub, &format!("{before}/config.json")), &[]);
    assert_eq!(old.text(), "{\"a\": 1}");
    let short = get(
        &resolve(&hub, &format!("{}/config.json", &before[..7])),
        &[],
    );
    assert_eq!(short.text(), "{\"a\": 1}");
    let moved = repo.rename("org/renamed");
    let answer = get(&resolve(&hub, "main/sub/deep/x.txt"), &[]);
    assert_eq!(answer.status, 307);
    let wanted = "/org/renamed/resolve/main/sub/deep/x.txt";
    assert_eq!(answer.header("location"), Some(wanted));
    let info = get(&format!("{}/api/models/org/name", hub.endpoint()), &[]);
    let wanted = "/api/models/org/renamed/revision/main";
    assert_eq!(info.header("location"), Some(wanted));
    moved.set_access(Access::Disabled);
    let url = format!("{}{wanted}", hub.endpoint());
    assert_eq!(get(&url, &[]).status, 403);
    moved.delete();
    assert_eq!(get(&url, &[]).status, 401);
}

#[test]
fn the_other_routes_answer() {
    let hub = small_hub();
    let base = format!("{}/api/models/org/name", hub.endpoint());
    let form = "paths=config.json&paths=sub&paths=none&expand=False";
    let timeout = Duration::from_secs(5);
    let rows = request(
        "POST",
        &format!("{base}/paths-info/main"),
        &[],
        form,
        timeout,
    )
    .json();
    assert_eq!(
        (&rows[0]["path"], &rows[1]["type"]),
        (&json!("config.json"), &json!("directory"))
    );
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    let refs = get(&format!("{base}/refs?include_prs=1"), &[]).json();
    assert_eq!(refs["pullRequests"][0]["ref"], "refs/pr/1");
    let commit = hub.repo("models/org/name").commit("main");
    let token = get(&format!("{base}/xet-read-token/{commit}"), &[]);
    assert_eq!(token.status, 404);
    assert_eq!(
        get(&format!("{}/nowhere/at/all", hub.endpoint()), &[]).status,
        404
    );
}

#[test]
fn every_kind_has_its_addresses_and_names_may_lack_a_namespace() {
    let hub = Hub::start();
    for kind in [Kind::Model, Kind::Dataset, Kind::Space, Kind::Kernel] {
        let make = match kind {
            Kind::Model => Repo::model,
            Kind::Dataset => Repo::dataset,
            Kind::Space => Repo::space,
            Kind::Kernel => Repo::kernel,
        };
        for id in ["gpt2", "org/refs"] {
            hub.add(make(id).file("ä b#?.txt", kind.plural()));
            let (endpoint, prefix) = (hub.endpoint(), kind.prefix());
            let path = "%C3%A4%20b%23%3F.txt";
            let file = get(&format!("{endpoint}/{prefix}{id}/resolve/main/{path}"), &[]);
            assert_eq!(file.text(), kind.plural());
            let info = get(
                &format!("{endpoint}/api/{}/{id}/revision/main", kind.plural()),
                &[],
            );
            assert_eq!(info.json()["id"], id);
        }
    }
}

#[test]
fn a_warning_goes_with_every_answer_and_a_prefix_before_every_address() {
    let hub = Hub::with(Settings {
        path_prefix: "/mirror".to_owned(),
        ..Settings::default()
    });
    hub.warning("old; Please update.");
    hub.add(Repo::model("a/b").file("f", "f").listed_only("../evil", 3));
    assert!(hub.endpoint().ends_with("/mirror"));
    let answer = get(
        &format!("{}/api/models/a/b/tree/main?recursive=true", hub.endpoint()),
        &[],
    );
    assert_eq!(answer.header("x-hf-warning"), Some("old; Please update."));
    assert!(answer.text().contains("\"../evil\""));
    let evil = get(
        &format!("{}/a/b/resolve/main/..%2Fevil", hub.endpoint()),
        &[],
    );
    assert_eq!(evil.header("x-error-code"), Some("EntryNotFound"));
}
