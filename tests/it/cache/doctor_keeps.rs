//! `hf cache doctor --fix` where it cannot tell, and where the disk cannot do what it does elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::io::Errno;

use crate::cache::doctor::findings;
use crate::cache::doctor_relink::{FILES, fix, kinds, links, make_old, repository};
use crate::harness::shim::shim;
use crate::harness::tree::{listing, tree_of};
use crate::harness::{Held, TestEnv};

/// A listing that cannot be read may name any blob: none of the repository counts as an orphan.
#[test]
fn an_unreadable_listing_keeps_all_blobs() {
    for (what, text, mode) in [
        ("cut off", "{\"format_version\": 1, \"files\": {", 0o644),
        ("empty", "", 0o644),
        (
            "of a later format",
            "{\"format_version\": 2, \"files\": {}}",
            0o644,
        ),
        ("of another user", "{}", 0o000),
    ] {
        let env = TestEnv::new();
        let (repo, first, second) = repository(&env);
        repo.listing(&first, []).listing(&second, []);
        let orphan = repo.blob(&"7".repeat(40));
        fs::write(&orphan, "unknown").unwrap();
        make_old(&orphan);
        let damaged = repo.root().join("trees").join(format!("{second}.json"));
        let right = fs::read(&damaged).unwrap();
        fs::write(&damaged, text).unwrap();
        fs::set_permissions(&damaged, fs::Permissions::from_mode(mode)).unwrap();
        let before = tree_of(env.cache());
        assert_eq!(
            kinds(&env, 0),
            ["unreadable-listing", "orphan-blob"],
            "{what}"
        );
        let shown = env.run(["cache", "doctor"]).ok();
        assert!(shown.stdout().contains("may name it"), "{shown}");
        env.run(["cache", "doctor", "--fix", "-y"]).ok();
        assert_eq!(tree_of(env.cache()), before, "{what}");
        fs::set_permissions(&damaged, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&damaged, right).unwrap();
        fix(&env);
        assert!(!orphan.exists(), "{what}");
    }
}

/// A ref to a lost snapshot is kept for its blobs, also while a listing cannot be read.
#[test]
fn an_unreadable_listing_does_not_lose_a_ref() {
    let env = TestEnv::new();
    let (repo, first, second) = repository(&env);
    repo.listing(&second, []);
    let damaged = repo.root().join("trees").join(format!("{second}.json"));
    fs::write(&damaged, "").unwrap();
    fs::remove_dir_all(repo.root().join("snapshots").join(&first)).unwrap();
    env.run(["cache", "doctor", "--fix", "-y"]).ok();
    let kept = repo.root().join("set-aside/main");
    assert_eq!(fs::read_to_string(kept).unwrap(), first);
}

/// On a disk without symbolic links the files take the places of the links, as after a download there.
#[test]
fn without_symbolic_links_files_are_put_in_place() {
    let Some(shim) = shim() else { return };
    for error in [Errno::PERM, Errno::INVAL] {
        let env = TestEnv::new();
        let (repo, first, second) = repository(&env);
        repo.listing(&first, []).listing(&second, []);
        for link in links(&repo) {
            fs::remove_file(link).unwrap();
        }
        let output = env
            .hf(["cache", "doctor", "--fix", "-y"])
            .var("LD_PRELOAD", &shim)
            .var("HF_SHIM_SYMLINK", error.raw_os_error().to_string())
            .run()
            .ok();
        let words = "This disk has no symbolic links: 6 files were put in the place of a link.";
        assert!(output.stderr().contains(words), "{output}");
        for (path, text) in FILES {
            assert_eq!(fs::read_to_string(repo.file(&first, path)).unwrap(), text);
        }
        for (path, text) in [("config.json", "{\"v\": 2}"), (FILES[1].0, FILES[1].1)] {
            assert_eq!(fs::read_to_string(repo.file(&second, path)).unwrap(), text);
        }
        let left = listing(env.cache());
        assert!(!left.contains("->"), "{left}");
        // Each blob was moved to its last place: nothing takes twice the disk space.
        assert_eq!(
            fs::read_dir(repo.root().join("blobs")).unwrap().count(),
            0,
            "{left}"
        );
        assert!(findings(&env, 0).is_empty());
    }
}

/// A process that downloads may be about to use a blob: it is copied then.
#[test]
fn without_symbolic_links_a_running_download_keeps_its_blobs() {
    let Some(shim) = shim() else { return };
    let env = TestEnv::new();
    let (repo, first, second) = repository(&env);
    repo.listing(&first, []).listing(&second, []);
    let blobs = tree_of(repo.root().join("blobs"));
    let link = repo.file(&first, "tokenizer/vocab.txt");
    fs::remove_file(&link).unwrap();
    let lock = env.cache().join(".locks/models--org--name/x.lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let held = Held::at(&lock);
    env.hf(["cache", "doctor", "--fix", "-y"])
        .var("LD_PRELOAD", &shim)
        .var("HF_SHIM_SYMLINK", "1")
        .run()
        .ok();
    assert_eq!(fs::read_to_string(&link).unwrap(), "a b c");
    assert_eq!(tree_of(repo.root().join("blobs")), blobs);
    drop(held);
}
