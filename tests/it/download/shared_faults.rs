//! Faults of the shared blob store: damaged shared blobs, lost manifests, folders that are not ours, users
//! without permission, and programs that are killed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Repo};
use crate::harness::oracle::{Oracle, root};
use crate::harness::tree::listing;

use crate::cache::users::{STRANGER, become_stranger, give};
use crate::download::shared::{
    SIZE, Shared, lacks_a_link_at_most, noise, python, scans_clean, shared,
};

const ONE: [&str; 2] = ["download", "org/one"];
const COPY: [&str; 3] = ["download", "org/two", "d/copy.bin"];

fn overwrite(path: &Path, content: impl AsRef<[u8]>) {
    fs::remove_file(path).expect("file");
    fs::write(path, content).expect("file");
}

/// The repository's blob is a file of its own and right.
#[track_caller]
fn is_plain(shared: &Shared, env: &TestEnv, folder: &str) {
    let blob = shared.blob(env, folder);
    let meta = blob.symlink_metadata().expect("blob");
    assert!(meta.is_file(), "{}", listing(env.cache()));
    assert!(fs::read(blob).expect("blob") == shared.bytes);
}

#[test]
fn a_damaged_shared_blob_is_not_linked_and_is_fixed() {
    let shared = shared();
    for (damage, is_noticed) in [(noise(7, SIZE), true), (noise(7, SIZE - 1), false)] {
        let env = shared.env();
        env.run(ONE).ok();
        overwrite(&shared.shared_blob(&env), damage);
        let output = env.run(COPY).ok();
        assert_eq!(
            output.stderr().contains("is damaged"),
            is_noticed,
            "{output}"
        );
        assert!(fs::read(output.stdout().trim_end()).unwrap() == shared.bytes);
        // The content from Xet has the name of the shared blob and replaced it, also for the other repository.
        shared.is_linked(&env, "models--org--one");
        shared.is_linked(&env, "models--org--two");
        let mode = fs::metadata(shared.shared_blob(&env)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o444);
        scans_clean(None, &env);
    }
}

#[test]
fn a_shared_blob_that_the_hub_misnames_is_unchanged() {
    let shared = shared();
    let env = shared.env();
    env.run(ONE).ok();
    // All but the names of its users.
    let store = || {
        let lines = listing(env.cache().join("blobs"));
        let lines = lines.lines().filter(|line| !line.contains(".refs"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = store();
    // Of the same size, and the Hub gives it the name of another content.
    let other = noise(8, SIZE);
    let repo = Repo::model("org/liar");
    shared
        .hub
        .add(repo.xet("f.bin", Content::memory(other.clone()), &shared.hash));
    let output = env.run(["download", "org/liar"]).ok();
    assert!(
        output.stderr().contains("does not have the hash"),
        "{output}"
    );
    // The storage has one content of that Xet hash, and the liar's own repository gets it.
    let file = Path::new(output.stdout().trim_end()).join("f.bin");
    assert!(fs::read(file).unwrap() == shared.bytes);
    assert_eq!(store(), before);
    assert!(fs::read(shared.shared_blob(&env)).unwrap() == shared.bytes);
    let honest = Repo::model("org/honest").lfs("f.bin", Content::memory(other.clone()));
    shared.hub.add(honest);
    let output = env.run(["download", "org/honest"]).ok();
    let file = Path::new(output.stdout().trim_end()).join("f.bin");
    assert!(
        fs::read(file).unwrap() == other,
        "no other repository is fooled"
    );
    shared.is_linked(&env, "models--org--one");
}

#[test]
fn a_shared_blob_without_a_manifest_gets_a_complete_one() {
    let shared = shared();
    let env = shared.env();
    env.run(ONE).ok();
    env.run(COPY).ok();
    let manifest = shared
        .shared_blob(&env)
        .with_file_name(format!("{}.refs", shared.hash));
    fs::remove_file(&manifest).unwrap();
    let three = ["download", "org/three", "--repo-type", "dataset"];
    env.run(three).ok();
    let folders = [
        "datasets--org--three",
        "models--org--one",
        "models--org--two",
    ];
    let all = folders.map(|folder| shared.line(folder)).concat();
    assert_eq!(shared.manifest(&env), all);
    env.run(["cache", "rm", "dataset/org/three", "-y"]).ok();
    shared.is_linked(&env, "models--org--one");
    // A line that a crash has cut off does not damage the next one.
    let mut file = OpenOptions::new().append(true).open(&manifest).unwrap();
    file.write_all(b"models--org--on").unwrap();
    env.run(three).ok();
    env.run(["cache", "rm", "model/org/one", "-y"]).ok();
    env.run(["cache", "rm", "model/org/two", "-y"]).ok();
    shared.is_linked(&env, "datasets--org--three");
    assert_eq!(shared.manifest(&env), shared.line("datasets--org--three"));
    // An unreadable manifest is not written: no link, and no damage.
    fs::remove_file(&manifest).unwrap();
    symlink("/dev/null", &manifest).unwrap();
    env.run(ONE).ok();
    is_plain(&shared, &env, "models--org--one");
    shared.is_linked(&env, "datasets--org--three");
}

#[test]
fn folders_of_others_are_left_alone() {
    let shared = shared();
    for (name, text) in [("mine.txt", "x"), (".huggingface-shared-blobs", "2\n")] {
        let env = shared.env();
        let blobs = env.cache().join("blobs");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(name), text).unwrap();
        let before = listing(&blobs);
        let output = env.run(ONE).ok();
        assert_eq!(output.said(), "");
        is_plain(&shared, &env, "models--org--one");
        assert_eq!(listing(&blobs), before);
    }
    // Other kinds of files in place of the shared blob and its folder.
    let env = shared.env();
    env.run(["download", "org/two", "own.bin"]).ok();
    fs::create_dir_all(shared.shared_blob(&env)).unwrap();
    env.run(ONE).ok();
    is_plain(&shared, &env, "models--org--one");
    fs::remove_dir(shared.shared_blob(&env)).unwrap();
    let prefix = shared.shared_blob(&env).parent().unwrap().to_path_buf();
    fs::remove_dir_all(&prefix).unwrap();
    fs::write(&prefix, "").unwrap();
    env.run(COPY).ok();
    is_plain(&shared, &env, "models--org--two");
    // A repository on another disk: a relative link from there would be broken.
    let env = shared.env();
    env.run(COPY).ok();
    fs::create_dir(env.path("elsewhere")).unwrap();
    symlink(env.path("elsewhere"), env.cache().join("models--org--one")).unwrap();
    env.run(ONE).ok();
    is_plain(&shared, &env, "models--org--one");
}

#[test]
fn what_was_there_before_is_unchanged() {
    let shared = shared();
    let env = shared.env();
    env.hf(ONE)
        .var("HF_HUB_DISABLE_SHARED_BLOBS", "1")
        .run()
        .ok();
    is_plain(&shared, &env, "models--org--one");
    env.run(ONE).ok();
    env.run(COPY).ok();
    is_plain(&shared, &env, "models--org--one");
    shared.is_linked(&env, "models--org--two");
    // Fetched again, it is a new file.
    env.run(ONE.iter().chain(&["--force-download"])).ok();
    shared.is_linked(&env, "models--org--one");
    // And content from HTTP is not published.
    shared.hub.xet(None);
    let env = shared.env();
    env.run(ONE).ok();
    is_plain(&shared, &env, "models--org--one");
    assert!(!env.cache().join("blobs").exists());
}

#[test]
fn the_store_of_another_user() {
    let Some(()) = root("a store of another user") else {
        return;
    };
    let shared = shared();
    for (lock_mode, is_linked) in [(0o666, true), (0o600, false)] {
        let env = shared.env();
        env.run(ONE).ok();
        let store = env.cache().join("blobs");
        let lock = shared
            .shared_blob(&env)
            .with_file_name(format!("{}.lock", shared.hash));
        fs::set_permissions(lock, fs::Permissions::from_mode(lock_mode)).unwrap();
        let before = listing(&store);
        give(env.root(), STRANGER);
        give(&store, 0);
        let output = become_stranger(&env, &COPY).ok();
        assert_eq!(output.said(), "");
        assert!(fs::read(output.stdout().trim_end()).unwrap() == shared.bytes);
        if is_linked {
            shared.is_linked(&env, "models--org--two");
        } else {
            is_plain(&shared, &env, "models--org--two");
            assert_eq!(listing(&store), before);
        }
        assert_eq!(fs::metadata(shared.shared_blob(&env)).unwrap().uid(), 0);
        scans_clean(None, &env);
    }
}

/// What a program that was killed may leave, step by step.
#[test]
fn downloads_succeed_from_every_state_that_a_killed_program_leaves() {
    let shared = shared();
    let modern = Oracle::modern();
    type Leave = fn(&Shared, &TestEnv);
    let pointer = |shared: &Shared, env: &TestEnv| {
        let commit = shared.hub.repo("models/org/one").commit("main");
        env.cache()
            .join("models--org--one/snapshots")
            .join(commit)
            .join("big.bin")
    };
    let states: [(&str, bool, Leave); 5] = [
        (
            "a blob that was about to be published",
            false,
            |shared, env| {
                let blob = shared.blob(env, "models--org--one");
                fs::rename(shared.shared_blob(env), &blob).unwrap();
            },
        ),
        ("the link staged, and written down", false, |shared, env| {
            let blob = shared.blob(env, "models--org--one");
            let staged = blob.with_file_name(format!(".{}.hf.shared", shared.etag()));
            fs::rename(&blob, staged).unwrap();
            fs::rename(shared.shared_blob(env), &blob).unwrap();
        }),
        ("a shared blob without its user", true, |shared, env| {
            let blob = shared.blob(env, "models--org--one");
            let staged = blob.with_file_name(format!(".{}.hf.shared", shared.etag()));
            fs::rename(&blob, staged).unwrap();
        }),
        ("a blob without pointer", true, |_, _| {}),
        ("no store, and a marker on its way", true, |shared, env| {
            let blobs = env.cache().join("blobs");
            fs::remove_dir_all(&blobs).unwrap();
            fs::create_dir(&blobs).unwrap();
            fs::write(blobs.join(".huggingface-shared-blobs.0123abcd.tmp"), "1").unwrap();
            fs::remove_file(shared.blob(env, "models--org--one")).unwrap();
        }),
    ];
    for (name, is_shared, leave) in states {
        let env = shared.env();
        env.run(ONE).ok();
        fs::remove_file(pointer(&shared, &env)).unwrap();
        leave(&shared, &env);
        let has_content = name != states[4].0;
        if has_content {
            lacks_a_link_at_most(modern.as_ref(), &env);
        }
        shared.hub.clear_requests();
        env.run(ONE).ok();
        if has_content {
            assert_eq!(shared.fetched(), 0, "{name}: {}", shared.hub.log_text());
        }
        if is_shared {
            shared.is_linked(&env, "models--org--one");
        } else {
            is_plain(&shared, &env, "models--org--one");
        }
        assert!(
            fs::read(pointer(&shared, &env)).unwrap() == shared.bytes,
            "{name}"
        );
        let left = listing(env.cache());
        assert!(!is_shared || !left.contains(".hf.shared"), "{name}: {left}");
        scans_clean(modern.as_ref(), &env);
    }
}

#[test]
fn killed_at_any_moment() {
    let shared = shared();
    let modern = Oracle::modern();
    let env = shared.env();
    // On a busy machine the first ones are killed before they have written anything.
    env.run(["download", "org/two", "own.bin"]).ok();
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..12 {
        let line: &[&str] = if round % 2 == 0 { &ONE } else { &COPY };
        let running = env.hf(line).spawn();
        std::thread::sleep(Duration::from_millis(random.u64(20..400)));
        drop(running.kill());
        if round % 4 == 3 {
            env.run(["cache", "prune", "-y"]).ok();
        }
        if round % 6 == 5 {
            scans_clean(None, &env);
            env.run(["cache", "rm", "model/org/two", "-y"]).ok();
        }
    }
    env.run(ONE).ok();
    match &modern {
        Some(modern) => python(modern, &env, &COPY).run().ok(),
        None => env.run(COPY).ok(),
    };
    for folder in ["models--org--one", "models--org--two"] {
        let blob = shared.blob(&env, folder);
        assert!(fs::read(&blob).unwrap() == shared.bytes, "{folder}");
        let line = shared.line(folder);
        assert!(!blob.is_symlink() || shared.manifest(&env).contains(&line));
    }
    scans_clean(modern.as_ref(), &env);
}
