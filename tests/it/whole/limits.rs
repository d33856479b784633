//! Machines with tight limits: few threads, few descriptors, small files, no inodes, no home folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::hub::{Content, Fault, Hub, Repo};
use crate::harness::oracle::skip;
use crate::harness::process::{Invocation, Running};
use crate::harness::shim::shim;
use crate::harness::tree::listing;
use crate::harness::{Output, TestEnv};

const TOKEN: &str = "hf_laptoplaptoplaptoplaptoplaptoplapt";

fn hub(files: usize) -> Hub {
    let hub = Hub::start();
    hub.user("alice").token(TOKEN, "read", "laptop");
    let mut repo = Repo::model("o/m").lfs("large.bin", Content::synthetic(3_000_000, 7));
    for number in 0..files {
        repo = repo.file(
            &format!("d/{number:03}.json"),
            format!("{{\"n\": {number}}}"),
        );
    }
    hub.add(repo);
    hub
}

/// `hf` behind a shell that sets a limit first.
fn limited<'a>(env: &'a TestEnv, limit: &str, args: &[&str]) -> Invocation<'a> {
    let script = format!("{limit} && exec \"$@\"");
    let shell = ["-c", &script, "sh", env!("CARGO_BIN_EXE_hf")];
    env.program("sh", shell.iter().chain(args))
}

/// Fails when a program crashed at a limit, or blamed the network for it.
fn is_sober(output: &Output, what: &str) {
    let text = output.stderr();
    assert!(output.signal.is_none(), "{what}: {output}");
    for word in ["panicked", "Cannot reach", "retry", "trying again"] {
        assert!(!text.contains(word), "{what}: {output}");
    }
}

#[test]
fn whatever_threads_there_are_suffice() {
    let Some(shim) = shim() else { return };
    let hub = hub(5);
    for threads in 0..=24 {
        let env = TestEnv::for_hub(&hub);
        let run = |args: &[&str]| {
            env.hf(args)
                .var("LD_PRELOAD", &shim)
                .var("HF_SHIM_THREADS", threads.to_string())
                .var("HF_TOKEN", TOKEN)
                .limit(Duration::from_secs(60))
                .run()
        };
        let output = run(&["download", "o/m"]);
        is_sober(&output, &format!("{threads} threads"));
        output.ok();
        if threads < 3 {
            run(&["auth", "whoami"]).ok();
            run(&["cache", "ls"]).ok();
            run(&["cache", "verify", "o/m"]).ok();
        }
    }
}

/// Other programs take the threads while this one runs: after it looked whether there are enough of
/// them, while its runtime starts, or in the middle of the work.
#[test]
fn threads_may_run_out_at_any_moment() {
    let Some(shim) = shim() else { return };
    let hub = hub(5);
    // It looks by starting some two dozen of them.
    for from in 1..=44 {
        let env = TestEnv::for_hub(&hub);
        let output = env
            .hf(["download", "o/m"])
            .var("LD_PRELOAD", &shim)
            .var("HF_SHIM_THREADS_FROM", from.to_string())
            .limit(Duration::from_secs(60))
            .run();
        is_sober(&output, &format!("no thread from the {from}th on"));
        output.ok();
        env.run(["cache", "verify", "--all"]).ok();
    }
}

#[test]
fn progress_bars_do_without_threads() {
    let Some(shim) = shim() else { return };
    let hub = hub(5);
    for from in [1, 2, 10].into_iter().chain(18..=30) {
        let env = TestEnv::for_hub(&hub);
        let mut terminal = env
            .hf(["download", "o/m"])
            .var("LD_PRELOAD", &shim)
            .var("HF_SHIM_THREADS_FROM", from.to_string())
            .terminal(24, 100);
        let code = terminal.exit_code();
        let shown = terminal.transcript();
        assert!(code == 0 && !shown.contains("panicked"), "{from}: {shown}");
    }
}

#[test]
fn one_thread_asks_who_i_am() {
    let hub = hub(0);
    hub.fault(Fault::NeverAnswer.on("whoami"));
    let env = TestEnv::for_hub(&hub);
    let mut running = env
        .hf(["auth", "whoami"])
        .var("HF_TOKEN", TOKEN)
        .var("TOKIO_WORKER_THREADS", "0")
        .spawn();
    running.wait_until("the request", |_| hub.count(|_| true) > 0);
    let tasks = fs::read_dir(format!("/proc/{}/task", running.id()));
    if let Ok(tasks) = tasks {
        assert_eq!(tasks.count(), 1);
    }
    let _ = running.kill();
}

#[test]
fn few_descriptors_suffice() {
    let hub = hub(200);
    for most in [64, 40] {
        let env = TestEnv::for_hub(&hub);
        let limit = format!("ulimit -n {most}");
        let output = limited(&env, &limit, &["download", "o/m"]).run();
        is_sober(&output, &limit);
        output.ok();
    }
    // Too few to do anything: the message says so and does not blame the network.
    let env = TestEnv::for_hub(&hub);
    let output = limited(&env, "ulimit -n 8", &["download", "o/m"]).run();
    is_sober(&output, "8 descriptors");
    assert!(output.stderr().contains("open files"), "{output}");
}

/// Wherever they run out, in the middle of a download too: it gets through, or names the limit. What is
/// published is right, and the same command continues from there.
#[test]
fn descriptors_may_run_out_anywhere() {
    let hub = hub(12);
    // With fewer the system cannot even load the program.
    let limits = 6..=32;
    let envs: Vec<TestEnv> = limits
        .clone()
        .map(|_| TestEnv::for_hub(&hub).fast_clock())
        .collect();
    // All at a time: without the fast clock some of them wait a quarter of a minute for other programs
    // to close files.
    let runs: Vec<Running> = limits
        .clone()
        .zip(&envs)
        .map(|(most, env)| limited(env, &format!("ulimit -n {most}"), &["download", "o/m"]).spawn())
        .collect();
    let mut outcomes = Vec::new();
    for ((most, env), run) in limits.zip(&envs).zip(runs) {
        let output = run.wait();
        let text = output.stderr();
        for word in ["panicked", "Cannot reach"] {
            assert!(!text.contains(word), "{most}: {output}");
        }
        outcomes.push(output.code);
        if output.code != Some(0) {
            assert!(output.code == Some(1), "{most}: {output}");
            assert!(text.contains("oo many"), "{most}: {output}");
            assert!(text.contains("ulimit -n"), "{most}: {output}");
            env.run(["download", "o/m"]).ok();
        }
        env.run(["cache", "verify", "o/m", "--fail-on-missing-files"])
            .ok();
    }
    assert!(
        outcomes.contains(&Some(0)) && outcomes.contains(&Some(1)),
        "{outcomes:?}"
    );
}

#[test]
fn the_soft_limit_of_open_files_is_no_limit() {
    let hub = hub(0);
    hub.fault(Fault::NeverAnswer.on("whoami"));
    let env = TestEnv::for_hub(&hub);
    let mut running = limited(&env, "ulimit -Sn 20 && ulimit -Hn 300", &["auth", "whoami"])
        .var("HF_TOKEN", TOKEN)
        .spawn();
    running.wait_until("the request", |_| hub.count(|_| true) > 0);
    let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", running.id())) else {
        return;
    };
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = line.unwrap().split_whitespace().skip(3).collect();
    assert_eq!(numbers[..2], ["300", "300"], "{limits}");
    let _ = running.kill();
}

#[test]
fn a_file_that_may_not_grow_is_an_error() {
    let hub = hub(0);
    let env = TestEnv::for_hub(&hub);
    // In blocks of 512 or 1024 bytes: less than the file has.
    let output = limited(&env, "ulimit -f 1000", &["download", "o/m"])
        .run()
        .fails(1);
    assert!(output.stderr().contains("ulimit -f"), "{output}");
    env.run(["download", "o/m"]).ok();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `hf` in a mount namespace of its own, after this script; `None`, with a message, where that is not allowed.
fn mounted<'a>(env: &'a TestEnv, script: &str, args: &[&str]) -> Option<Invocation<'a>> {
    let may = is_root() && env.program("unshare", ["-m", "true"]).run().code == Some(0);
    if !may {
        return skip("mounts: only root may make them");
    }
    let script = format!("{script} && exec \"$@\"");
    let shell = ["-m", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_hf")];
    Some(env.program("unshare", shell.iter().chain(args)))
}

#[test]
fn a_disk_without_inodes_is_called_that() {
    let hub = hub(100);
    let env = TestEnv::for_hub(&hub);
    let script = "mount -t tmpfs -o size=50m,nr_inodes=60 none ../hf";
    let Some(run) = mounted(&env, script, &["download", "o/m"]) else {
        return;
    };
    let output = run.run().fails(1);
    assert!(output.stderr().contains("no inodes"), "{output}");
}

#[test]
fn a_token_file_that_is_mounted_by_itself_is_written_in_place() {
    let hub = hub(0);
    let env = TestEnv::for_hub(&hub);
    for path in ["work/secret", "hf/token"] {
        fs::write(
            env.path(path),
            "hf_old_and_longer_than_the_new_one_is_by_far",
        )
        .unwrap();
    }
    let script = "mount --bind secret ../hf/token";
    let args = ["auth", "login", "--force", "--token", TOKEN];
    let Some(run) = mounted(&env, script, &args) else {
        return;
    };
    run.run().ok();
    assert_eq!(fs::read_to_string(env.path("work/secret")).unwrap(), TOKEN);
    let left = listing(env.hf_home());
    assert!(!left.contains(".tmp"), "{left}");
}

#[test]
fn folders_on_other_disks_are_written_by_copies() {
    let Some(shim) = shim() else { return };
    let hub = hub(3);
    for args in [
        &["download", "o/m"][..],
        &["download", "o/m", "--local-dir", "here"],
    ] {
        let (plain, crossed) = (TestEnv::for_hub(&hub), TestEnv::for_hub(&hub));
        plain.run(args).ok();
        let no_rename = crossed.hf(args).var("LD_PRELOAD", &shim);
        no_rename.var("HF_SHIM_RENAME", "18").run().ok();
        assert_eq!(names(&crossed), names(&plain));
        let verify = ["cache", "verify", "o/m"].iter().chain(&args[2..]);
        crossed.run(verify).ok();
    }
}

#[test]
fn a_part_of_the_cache_or_of_a_folder_may_be_another_disk() {
    let hub = hub(3);
    for (disks, args) in [
        ("../hf/hub/models--o--m/blobs", &["download", "o/m"][..]),
        (
            "../hf/hub/models--o--m/refs ../hf/hub/.locks",
            &["download", "o/m"],
        ),
        ("here/.cache", &["download", "o/m", "--local-dir", "here"]),
        ("here/d", &["download", "o/m", "--local-dir", "here"]),
    ] {
        let env = TestEnv::for_hub(&hub);
        let mount = "mkdir -p $disk && mount -t tmpfs -o size=50m none $disk || exit 99";
        let script = format!("for disk in {disks}; do {mount}; done");
        // The disks are gone when the program ends, so their content is read before.
        let verify = "\"$@\" > /dev/null && test -z \"$(find .. -name '.hf-*')\"";
        let Some(run) = mounted(&env, &format!("{script} && {verify}"), args) else {
            return;
        };
        run.run().ok();
    }
}

/// What lies in a place, without modes and times.
fn names(env: &TestEnv) -> Vec<String> {
    let nodes = crate::harness::tree_of(env.root());
    nodes.into_iter().map(|node| node.path).collect()
}

#[test]
fn a_disk_that_cannot_flush_takes_tokens() {
    let Some(shim) = shim() else { return };
    let hub = hub(0);
    // EINVAL, ENOSYS, ENOTSUP; and EIO, which says that the bytes are lost.
    for (errno, code) in [("22", 0), ("38", 0), ("95", 0), ("5", 1)] {
        let env = TestEnv::for_hub(&hub);
        let login = env.hf(["auth", "login", "--token", TOKEN]);
        let login = login.var("LD_PRELOAD", &shim).var("HF_SHIM_FSYNC", errno);
        login.run().fails(code);
        assert_eq!(env.hf_home().join("token").exists(), code == 0, "{errno}");
    }
}

/// `hf` as a user without a home: no `HOME`, and no entry in the list of users.
fn homeless<'a>(env: &'a TestEnv, args: &[&str]) -> Option<Invocation<'a>> {
    let home_less = |run: Invocation<'a>| run.without("HOME").without("HF_HOME");
    let nobody = ["--reuid=54321", "--regid=54321", "--clear-groups"];
    if !is_root()
        || env
            .program("setpriv", nobody.iter().chain(&["true"]))
            .run()
            .code
            != Some(0)
    {
        return skip("a user without an entry: only root, with setpriv, may be one");
    }
    let program = nobody.iter().chain(&[env!("CARGO_BIN_EXE_hf")]);
    Some(home_less(env.program("setpriv", program.chain(args))))
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

#[test]
fn without_a_home_folder_what_needs_none_works() {
    let hub = hub(1);
    let env = TestEnv::for_hub(&hub);
    for folder in [env.root().to_path_buf(), env.work()] {
        open_to_all(&folder);
    }
    let rows: [(&[&str], i32); 8] = [
        (&["version"], 0),
        (&["--version"], 0),
        (&["env"], 0),
        (&["download", "o/m", "--cache-dir", "cache"], 0),
        (&["cache", "ls", "--cache-dir", "cache"], 0),
        (&["download", "o/m", "--local-dir", "here"], 0),
        (&["download", "o/m"], 1),
        (&["auth", "login", "--token", TOKEN], 1),
    ];
    for (args, code) in rows {
        let Some(run) = homeless(&env, args) else {
            return;
        };
        let output = run.run();
        assert_eq!(output.code, Some(code), "{args:?}: {output}");
        if code == 1 {
            assert!(
                output.stderr().contains("home folder"),
                "{args:?}: {output}"
            );
            assert!(output.stderr().contains("HF_HOME"), "{args:?}: {output}");
        }
    }
    assert!(!Path::new("/nonexistent").exists());
}
