//! Token files on file systems that lack a feature, and other kinds of files in their place.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::auth::login::{LAPTOP, SERVER, hub, login, read};
use crate::harness::TestEnv;
use crate::harness::oracle::{installed, skip};
use crate::harness::shim::shim;

#[test]
fn logging_in_needs_neither_locks_nor_flushing() {
    let Some(shim) = shim() else { return };
    // EBADF, EACCES, EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP.
    let cases = [9, 13, 22, 37, 38, 95].map(|errno| ("HF_SHIM_FLOCK", errno));
    // The errors of file systems without this feature. EIO and a full disk are real failures.
    for (what, errno) in cases
        .into_iter()
        .chain([("HF_SHIM_FSYNC", 22), ("HF_SHIM_FSYNC", 95)])
    {
        let hub = hub();
        let env = TestEnv::for_hub(&hub);
        let run = |args: &[&str]| {
            let run = env.hf(args).var("LD_PRELOAD", &shim);
            run.var(what, errno.to_string()).run().ok()
        };
        run(&["auth", "login", "--token", LAPTOP]);
        run(&["auth", "login", "--token", SERVER]);
        assert_eq!(read(&env, "token"), SERVER, "{what} {errno}");
        run(&["auth", "switch", "--token-name", "my laptop"]);
        assert_eq!(read(&env, "token"), LAPTOP);
        run(&["auth", "logout", "--token-name", "my laptop"]);
        assert_eq!(read(&env, "token"), "");
        assert!(read(&env, "stored_tokens").contains(SERVER));
    }
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    let failing = env
        .hf(["auth", "login", "--token", SERVER])
        .var("LD_PRELOAD", &shim);
    let output = failing.var("HF_SHIM_FSYNC", "5").run().fails(1);
    assert!(output.stderr().contains("stored_tokens"), "{output}");
    assert_eq!(read(&env, "token"), LAPTOP);
}

#[test]
fn a_lock_of_another_user_does_not_prevent_a_login() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let lock = env.hf_home().join("stored_tokens.lock");
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o000)).unwrap();
    login(&env, LAPTOP);
    assert_eq!(read(&env, "token"), LAPTOP);
}

/// As containers have it: `-v token:/root/.cache/huggingface/token`.
#[test]
fn a_token_file_that_is_a_mount_is_written_in_place() {
    if installed(["unshare", "mount"]).is_none() {
        return;
    }
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let (outside, inside) = (env.path("work/outside"), env.hf_home().join("token"));
    fs::write(
        &outside,
        "hf_old_token_that_is_longer_than_the_one_that_comes_now",
    )
    .unwrap();
    fs::write(&inside, "").unwrap();
    let mount = format!("mount --bind {} {}", outside.display(), inside.display());
    let can = |flags: &str| {
        let try_it = env.program("unshare", [flags, "sh", "-c", &mount]);
        try_it.run().code == Some(0)
    };
    let Some(flags) = ["-m", "-rm"].into_iter().find(|flags| can(flags)) else {
        skip::<()>("a mounted token file: nothing can be mounted here");
        return;
    };
    let script = format!(
        "{mount} && {} auth login --token {LAPTOP} --force",
        env!("CARGO_BIN_EXE_hf")
    );
    env.program("unshare", [flags, "sh", "-c", &script])
        .run()
        .ok();
    assert_eq!(fs::read_to_string(&outside).unwrap(), LAPTOP);
    assert_eq!(
        fs::read_to_string(&inside).unwrap(),
        "",
        "what is below the mount"
    );
    assert!(read(&env, "stored_tokens").contains(LAPTOP));
    let left = fs::read_dir(env.hf_home()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().ends_with(".tmp")),
        "{left:?}"
    );
}

/// What can be in the place of a token file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    Pipe,
    LinkToPipe,
    Socket,
    /// Made in the test's own folder: a faulty program must not damage the system's devices.
    Device,
    Folder,
}

impl Odd {
    /// Puts it there; answers the path that has to stay what it is, `None` when it cannot be made.
    fn put(self, env: &TestEnv, path: &Path) -> Option<PathBuf> {
        use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
        let make = |path: &Path, kind, device| {
            mknodat(CWD, path, kind, Mode::from_raw_mode(0o666), device).ok()
        };
        match self {
            Odd::Pipe => make(path, FileType::Fifo, 0)?,
            Odd::LinkToPipe => {
                let pipe = env.path("work/pipe");
                make(&pipe, FileType::Fifo, 0)?;
                symlink(&pipe, path).unwrap();
                return Some(pipe);
            }
            Odd::Socket => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
            // The same device as /dev/zero.
            Odd::Device => make(path, FileType::CharacterDevice, makedev(1, 5))?,
            Odd::Folder => fs::create_dir(path).unwrap(),
        }
        Some(path.to_owned())
    }
}

#[test]
fn what_is_no_regular_file_is_refused_at_once_and_stays() {
    let hub = hub();
    let kinds = [
        Odd::Pipe,
        Odd::LinkToPipe,
        Odd::Socket,
        Odd::Device,
        Odd::Folder,
    ];
    for name in [
        "token",
        "stored_tokens",
        "keyring_tokens",
        "stored_tokens.lock",
    ] {
        for kind in kinds {
            let env = TestEnv::for_hub(&hub);
            login(&env, LAPTOP);
            let path = env.hf_home().join(name);
            let _ = fs::remove_file(&path);
            let Some(odd) = kind.put(&env, &path) else {
                // Only root can.
                assert_eq!(kind, Odd::Device);
                continue;
            };
            let before = fs::symlink_metadata(&odd).unwrap();
            let mut refused = 0;
            for args in [
                &["auth", "whoami"][..],
                &["auth", "token"],
                &["auth", "list"],
                &["auth", "status"],
                &["auth", "login", "--token", SERVER],
                &["auth", "switch", "--token-name", "my laptop"],
            ] {
                let output = env.hf(args).limit(Duration::from_secs(60)).run();
                if output.code == Some(0) {
                    continue;
                }
                refused += 1;
                let text = output.stderr();
                let is_named = text.contains(name) || text.contains(&*odd.to_string_lossy());
                assert!(is_named, "{name} {kind:?} {args:?}\n{output}");
            }
            assert!(refused > 0, "{name} {kind:?}");
            let after = fs::symlink_metadata(&odd).unwrap();
            assert_eq!(after.ino(), before.ino(), "{name} {kind:?}");
            assert_eq!(after.file_type(), before.file_type());
            assert_eq!(after.mode(), before.mode());
        }
    }
}

#[test]
fn variables_can_come_from_a_pipe() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let hf = env!("CARGO_BIN_EXE_hf");
    // What a shell makes of `--env-file <(…)`.
    let script = format!(
        "{{ printf 'A=1\\n'; printf 'HF_TOKEN=%s\\n' {LAPTOP}; }} | {hf} auth token -q --env-file /dev/fd/3 3<&0 </dev/null"
    );
    let output = env.program("sh", ["-c", &script]).run().ok();
    assert_eq!(output.stdout(), format!("{LAPTOP}\n"));
    let script = format!("yes A=1 | head -c 2000000 | {hf} auth token --env-file /dev/stdin");
    let output = env.program("sh", ["-c", &script]).run().fails(1);
    assert!(output.stderr().contains("longer than 1024 KiB"), "{output}");
}
