//! SIGTERM and SIGHUP end the program as Ctrl-C does, whatever it is doing and wherever it runs.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::hub::{Content, Fault, Hub, Repo};
use crate::harness::oracle::{installed, skip};
use crate::harness::tree::listing;
use crate::harness::{Running, TestEnv};

const ENDINGS: [(Signal, i32); 3] = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];

fn hub() -> Hub {
    let hub = Hub::start();
    hub.add(Repo::model("o/m").lfs("large.bin", Content::synthetic(3_000_000, 9)));
    hub.fault(
        Fault::Stall {
            after_bytes: 1_500_000,
        }
        .on("large.bin"),
    );
    hub
}

/// Waits until bytes of the stalled file are on the disk.
fn wait_for_bytes(env: &TestEnv, running: &mut Running) {
    let blobs = env.cache().join("models--o--m/blobs");
    running.wait_until("bytes", |_| {
        let entries = fs::read_dir(&blobs).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.metadata().ok())
            .any(|meta| meta.blocks() > 0)
    });
}

#[test]
fn a_download_ends_in_order_and_goes_on_later() {
    for (signal, code) in ENDINGS {
        let hub = hub();
        let env = TestEnv::for_hub(&hub);
        let mut running = env.hf(["download", "o/m"]).spawn();
        wait_for_bytes(&env, &mut running);
        running.signal(signal);
        let output = running.wait().fails(code);
        assert!(output.stderr().contains("Stopped"), "{output}");
        let left = listing(env.cache());
        assert!(!left.contains(".tmp"), "{left}");
        let before = hub.content_bytes_sent();
        hub.clear_faults();
        env.run(["download", "o/m"]).ok();
        assert!(hub.content_bytes_sent() - before < 3_000_000, "{signal:?}");
    }
}

#[test]
fn whatever_does_not_wait_for_the_network_ends_at_once() {
    for (signal, code) in ENDINGS {
        let env = TestEnv::new();
        let pipe = env.path("work/pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let mut running = env.hf(["--env-file", "pipe", "version"]).spawn();
        // Opening it to write succeeds once the program waits at the other end.
        let mut writer = None;
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
        running.wait_until("the reader", |_| {
            let mut options = OpenOptions::new();
            let opened = options.write(true).custom_flags(nonblocking).open(&pipe);
            writer = opened.ok();
            writer.is_some()
        });
        running.signal(signal);
        let _ = running.wait().fails(code);
    }
}

#[test]
fn what_was_ignored_stays_ignored() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let script = "trap '' HUP INT; exec \"$@\"";
    let args = [
        "-c",
        script,
        "sh",
        env!("CARGO_BIN_EXE_hf"),
        "download",
        "o/m",
    ];
    let mut running = env.program("sh", args).spawn();
    wait_for_bytes(&env, &mut running);
    for (signal, code) in [
        (Signal::HUP, None),
        (Signal::INT, None),
        (Signal::TERM, Some(143)),
    ] {
        running.signal(signal);
        if let Some(code) = code {
            let _ = running.wait().fails(code);
            return;
        }
    }
}

#[test]
fn the_first_process_of_a_container_hears_them() {
    if installed(["unshare"]).is_none() {
        return;
    }
    let hub = hub();
    for (signal, code) in ENDINGS {
        let env = TestEnv::for_hub(&hub);
        if env
            .program("unshare", ["--pid", "--fork", "true"])
            .run()
            .code
            != Some(0)
        {
            skip::<()>("process namespaces: only root may make them");
            return;
        }
        let args = ["--pid", "--fork", "--kill-child", env!("CARGO_BIN_EXE_hf")];
        let args = args.iter().chain(&["download", "o/m"]);
        let mut running = env.program("unshare", args).spawn();
        wait_for_bytes(&env, &mut running);
        kill_process(child_of(running.id()), signal).unwrap();
        let _ = running.wait().fails(code);
    }
}

/// The only child of a process.
fn child_of(id: u32) -> Pid {
    let list = format!("/proc/{id}/task/{id}/children");
    let text = fs::read_to_string(Path::new(&list)).expect("children");
    let child = text.split_whitespace().next().expect("a child");
    Pid::from_raw(child.parse().expect("number")).expect("process id")
}
