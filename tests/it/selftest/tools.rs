//! The tools of the harness do what the tests rely on.

use std::time::Duration;

use crate::harness::cache::{CacheTree, blob_name};
use crate::harness::hub::{Fault, Hub};
use crate::harness::oracle::{Oracle, installed};
use crate::harness::shim::{CLOCK_SPEED, shim};
use crate::harness::tree::{NodeKind, listing};
use crate::harness::{TestEnv, tree_of};

fn shell<'a>(env: &'a TestEnv, script: &str) -> crate::harness::Invocation<'a> {
    env.program("/bin/sh", ["-c", script])
}

#[test]
fn programs_see_only_the_environment_of_the_test() {
    let env = TestEnv::new();
    let output = shell(&env, "env")
        .var("EXTRA", "1")
        .without("LANG")
        .run()
        .ok();
    let names: Vec<&str> = output
        .stdout()
        .lines()
        .filter_map(|l| l.split('=').next())
        .collect();
    assert!(
        names.contains(&"HF_HOME") && names.contains(&"EXTRA"),
        "{names:?}"
    );
    assert!(!names.contains(&"LANG"));
    let stray = |name: &&str| name.ends_with("_proxy") || name.starts_with("CARGO");
    assert!(!names.iter().any(stray), "{names:?}");
    let home = env.home().display().to_string();
    let place = shell(&env, "echo $HOME; pwd").run().ok();
    assert_eq!(
        place.stdout(),
        format!("{home}\n{}\n", env.work().display())
    );
}

#[test]
fn what_is_said_has_no_lines_of_progress() {
    let env = TestEnv::new();
    let lines = [
        "listing files… 1,000",
        "0 of 1 file, 0.0 of 600.0K, 0 B/s",
        "Warning: 2 of 3 files are old",
        "2 of 3 files, 4.0M of 4.0M, 296 kB/s, 0 s left",
        "3 of 3 files, 4.0M of 4.0M in 10 s, 281 kB/s on average",
        "3 files could not be fetched",
        "Fetching 3 files:  66%|██████    | 2/3 [00:10<00:04, 296 kB/s, 4.0M of 6.0M]",
    ];
    let output = shell(&env, "cat >&2").stdin(lines.join("\n")).run().ok();
    assert_eq!(output.said(), format!("{}\n{}\n", lines[2], lines[5]));
}

#[test]
fn input_output_codes_and_signals_are_reported() {
    let env = TestEnv::new();
    let script = "read a; echo out $a; echo err >&2; exit 3";
    let output = shell(&env, script).stdin("hello\n").run().fails(3);
    assert_eq!((output.stdout(), output.stderr()), ("out hello\n", "err\n"));
    assert_eq!(output.signal, None);
    let mut running = shell(&env, "echo started; exec sleep 60").spawn();
    running.wait_until("start", |r| r.stdout().contains("started"));
    assert!(!running.ended());
    let killed = running.kill();
    assert_eq!((killed.code, killed.signal), (None, Some(9)));
    let trap = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.01; done";
    let mut running = shell(&env, trap).spawn();
    running.wait_until("ready", |r| r.stdout().contains("ready"));
    running.signal(rustix::process::Signal::INT);
    assert_eq!(running.wait().fails(7).stdout(), "ready\ncaught\n");
}

#[test]
#[should_panic(expected = "hung after")]
fn a_program_that_hangs_fails_the_test() {
    let env = TestEnv::new();
    let hanging = shell(&env, "exec sleep 60").limit(Duration::from_millis(200));
    let _ = hanging.run();
}

#[test]
#[should_panic(expected = "no request met")]
fn a_fault_that_no_request_meets_fails_the_test() {
    let hub = Hub::start();
    hub.fault(Fault::status(500).on("/never/asked"));
}

#[test]
#[should_panic(expected = "no request met")]
fn a_cleared_fault_that_no_request_met_fails_the_test() {
    let hub = Hub::start();
    hub.fault(Fault::status(500).optional());
    hub.clear_faults();
    hub.fault(Fault::status(500).on("/never/asked"));
    hub.clear_faults();
}

#[test]
fn snapshots_hide_what_differs_from_run_to_run() {
    let env = TestEnv::new();
    let output = shell(&env, "pwd; echo http://127.0.0.1:4711/x").run().ok();
    let wanted = "exit: 0\n----- stdout\n[ROOT]/work\nhttp://127.0.0.1:[PORT]/x\n----- stderr\n";
    assert_eq!(output.snapshot(&env), wanted);
}

#[test]
fn the_binary_starts_under_both_names() {
    let env = TestEnv::new();
    // Exit codes are the business of other tests: here it counts that it runs and ends by itself.
    assert_eq!(env.run(["--version"]).signal, None);
    assert_eq!(env.huggingface_cli(["version"]).run().signal, None);
}

#[test]
fn a_terminal_has_a_size_hides_typing_and_shows_the_screen() {
    let Some(()) = installed(["bash", "stty"]) else {
        return;
    };
    let env = TestEnv::new();
    let script = "stty size; printf 'one\\rtwo\\n'; stty -echo; printf 'secret: '; read s; \
        stty echo; echo; echo got ${#s}; read -p 'again? ' t; stty size; test -t 2; exit 5";
    let mut terminal = env.program("bash", ["-c", script]).terminal(30, 97);
    terminal.expect("secret:");
    assert_eq!(terminal.screen(), "30 97\ntwo\nsecret:");
    terminal.send_line("hidden");
    terminal.expect("again?");
    terminal.resize(20, 50);
    terminal.send_line("yes");
    assert_eq!(terminal.exit_code(), 5);
    assert!(
        terminal.screen().ends_with("got 6\nagain? yes\n20 50"),
        "{}",
        terminal.screen()
    );
    assert!(!terminal.transcript().contains("hidden"));
}

#[test]
fn control_c_reaches_the_program_through_the_terminal() {
    let env = TestEnv::new();
    // No `trap` in a shell: it drops a signal that comes while one of its commands ends.
    let script = "echo ready; exec sleep 100";
    let mut terminal = env.program("sh", ["-c", script]).terminal(24, 80);
    terminal.expect("ready");
    terminal.send("\u{3}");
    assert_eq!(terminal.exit_code(), 130);
}

#[test]
fn a_tree_tells_kinds_contents_and_modes() {
    let env = TestEnv::new();
    let script = "umask 022; mkdir d; echo x > d/f; ln -s d/f l; chmod 600 d/f; mkfifo p";
    let _ = shell(&env, script).run().ok();
    let wanted = "0755 d/\n0600 d/f 2 73cb3858\nlink l -> d/f\n0644 p (other)";
    assert_eq!(listing(env.work()), wanted);
    let before = tree_of(env.work());
    let _ = shell(&env, "echo y > d/f").run().ok();
    assert_ne!(tree_of(env.work()), before);
    assert!(tree_of(env.path("absent")).is_empty());
}

#[test]
fn a_cache_tree_is_laid_out_as_clients_do() {
    let env = TestEnv::new();
    let cache = CacheTree::at(env.cache());
    let repo = cache.model("org/name");
    let commit = repo.main([("config.json", "{}"), ("sub/model.bin", "large")]);
    repo.refer("refs/pr/1", &commit)
        .listing(&commit, [("absent.txt", 4)]);
    repo.partial("abc", "unfinished").no_exist(&commit, "x/y");
    let text = std::fs::read_to_string(repo.file(&commit, "sub/model.bin"));
    assert_eq!(text.expect("the link leads to the blob"), "large");
    assert_eq!(
        blob_name("config.json", "{}"),
        "9e26dfeeb6e641a33dae4961196235bdb965b21b"
    );
    let nodes = tree_of(repo.root());
    let link = nodes
        .iter()
        .find(|n| n.path.ends_with("sub/model.bin"))
        .expect("link");
    let name = blob_name("x.bin", "large");
    let target = format!("../../../blobs/{name}");
    assert_eq!(link.kind, NodeKind::Link { target });
    let listing = std::fs::read_to_string(repo.root().join(format!("trees/{commit}.json")));
    let listing: serde_json::Value =
        serde_json::from_str(&listing.expect("listing")).expect("JSON");
    assert_eq!(listing["files"]["sub/model.bin"]["lfs_sha256"], name);
    assert_eq!(listing["files"]["absent.txt"]["size"], 4);
    assert_eq!(
        std::fs::metadata(env.cache().join("CACHEDIR.TAG"))
            .expect("tag")
            .len(),
        191
    );
    repo.lose_blob(&commit, "config.json");
    assert!(!repo.file(&commit, "config.json").exists());
}

#[test]
fn waits_are_short_by_the_fast_clock() {
    let env = TestEnv::new().fast_clock();
    let output = env.run(["download", "org/name"]).fails(1);
    assert_eq!(
        output.stderr().matches("trying again").count(),
        5,
        "{output}"
    );
    // One clock by the other, so that a busy machine makes no difference.
    let (Some(_), Some(())) = (shim(), installed(["python3"])) else {
        return;
    };
    let code = "import time; t, m = time.time(), time.monotonic(); time.sleep(4)\n\
                print((time.monotonic() - m) / (time.time() - t))";
    let output = env.program("python3", ["-c", code]).run().ok();
    let speed: f64 = output.stdout().trim().parse().expect("a number");
    let wanted = f64::from(CLOCK_SPEED);
    assert!((wanted * 0.8..wanted * 1.2).contains(&speed), "{speed}");
}

/// Runs of a Python client are forked from one process; they must behave as one that is started by itself.
#[test]
fn a_forked_python_behaves_as_a_started_one() {
    let codes = [
        "import sys; print(sys.argv, sys.path, __name__, sys.flags, sys.stdin.read())",
        "import sys; print([(s.encoding, s.errors, s.isatty(), s.line_buffering) for s in (sys.stdin, sys.stdout, sys.stderr)])",
        "import os; print(sorted(os.environ.items()), os.getcwd(), os.umask(0))",
        "from huggingface_hub import constants as c; print(c.HF_HOME, c.ENDPOINT, c.HF_HUB_OFFLINE, c.HF_HUB_ETAG_TIMEOUT)",
        "import time; print(time.strftime('%H %Z', time.gmtime(0)), time.localtime(0).tm_hour)",
        "import sys; sys.exit('words')",
        "import sys; sys.exit(300)",
        "raise ValueError('é')",
        "import os; os.kill(os.getpid(), 9)",
        "import os, sys; print('not flushed'); os._exit(3)",
        "import atexit, threading, time; atexit.register(print, 'bye')\n\
         threading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()",
        "import signal; print(signal.getsignal(signal.SIGCHLD), signal.getsignal(signal.SIGINT))",
        "import subprocess; print(subprocess.run(['sh', '-c', 'cat; echo to stderr >&2; exit 4']).returncode)",
    ];
    for oracle in [Oracle::modern(), Oracle::legacy()].into_iter().flatten() {
        let mut env = TestEnv::new();
        env.set("TZ", "Asia/Tokyo").set("HF_HUB_OFFLINE", "1");
        for code in codes {
            let run = || oracle.python(&env, code).stdin("read\n");
            assert_eq!(run().run(), run().spawn().wait(), "{code}");
        }
        for args in [&["version"][..], &["nonsense"], &["cache", "--help"]] {
            let run = || oracle.hf(&env, args);
            assert_eq!(run().run(), run().spawn().wait(), "{args:?}");
        }
    }
}
