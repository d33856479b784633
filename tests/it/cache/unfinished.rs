//! Unfinished downloads as people see them: one for each file, by its name.

use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;
use crate::harness::hub::sha1_hex;

#[test]
fn an_unfinished_download_is_one_and_has_the_name_of_its_file() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("o/m");
    let commit = repo.main([("config.json", "{}")]);
    repo.listing(&commit, [("sub/big.bin", 100)]);
    let etag = sha1_hex(&[b"sub/big.bin"]);
    let nameless = "c".repeat(40);
    for stem in [&etag, &nameless] {
        repo.abandoned(&format!("{stem}.hf-sparse"), "0123456789");
        repo.abandoned(&format!("{stem}.hf-journal"), "noted");
    }
    let listed = env.run(["cache", "ls"]).ok();
    let hint = listed.stderr();
    assert!(hint.contains("2 unfinished downloads of "), "{listed}");
    assert!(hint.contains("model/o/m sub/big.bin ("), "{listed}");
    assert!(hint.contains(" of 100.0)"), "{listed}");
    assert!(hint.contains(&format!("blobs/{nameless}")), "{listed}");

    let output = env.run(["cache", "prune", "--dry-run"]).ok();
    assert_eq!(output.said().matches("(unfinished)").count(), 2, "{output}");
    assert!(
        output.said().contains("model/o/m sub/big.bin (unfinished)"),
        "{output}"
    );
    let output = env.run(["cache", "prune", "--dry-run", "--json"]).ok();
    assert_eq!(output.json()["incomplete"], 2, "{output}");

    let output = env.run(["cache", "doctor", "--json"]).ok();
    let rows = output.json();
    let rows = rows.as_array().expect("rows").iter();
    let details: Vec<&serde_json::Value> = rows
        .filter(|row| row["problem"] == "unfinished")
        .map(|row| &row["detail"])
        .collect();
    assert_eq!(details.len(), 2, "{output}");
    assert!(
        details.contains(&&"of sub/big.bin, 100 bytes in all".into()),
        "{output}"
    );

    let output = env.run(["cache", "prune", "-y", "--json"]).ok();
    assert_eq!(output.json()["incomplete_deleted"], 2, "{output}");
    let left = std::fs::read_dir(repo.root().join("blobs"))
        .unwrap()
        .count();
    assert_eq!(left, 1, "the blob of config.json");
}

/// Version 0.1 knows no journal, so it fetches the whole file, and what a newer version began stays beside it.
#[test]
fn what_version_0_1_finished_leaves_a_partial_that_goes() {
    let (prune, fix) = (["cache", "prune", "-y"], ["cache", "doctor", "--fix", "-y"]);
    for command in [&prune[..], &fix[..]] {
        let env = TestEnv::new();
        let repo = CacheTree::at(env.cache()).model("o/m");
        let commit = repo.main([("big.bin", "the whole file")]);
        let link = std::fs::read_link(repo.file(&commit, "big.bin")).unwrap();
        let etag = link.file_name().unwrap().to_str().unwrap().to_owned();
        // Both versions lock a download by this file, so nothing has to be a day old.
        let locks = env.cache().join(".locks/models--o--m");
        std::fs::create_dir_all(&locks).unwrap();
        std::fs::write(locks.join(format!("{etag}.lock")), "").unwrap();
        std::fs::write(repo.blob(&format!("{etag}.hf-sparse")), "the wh").unwrap();
        std::fs::write(repo.blob(&format!("{etag}.hf-journal")), "noted").unwrap();
        let output = env.run(command).ok();
        let left = std::fs::read_dir(repo.root().join("blobs")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [etag.as_str()], "{output}");
        assert!(repo.file(&commit, "big.bin").exists(), "{output}");
    }
}
