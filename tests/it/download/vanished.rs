//! The Hub disappears in the middle: what is said of it, and how often.

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Repo};
use crate::harness::partial::{all_below, kept};

const FILES: usize = 8;

/// Lines that tell of another attempt.
fn retries(stderr: &str) -> Vec<&str> {
    let lines = stderr.lines();
    lines.filter(|line| line.contains("trying again")).collect()
}

#[test]
fn a_hub_that_disappears_is_told_once_in_a_round_and_what_came_is_kept() {
    let mut hub = Hub::start();
    let repo = (0..FILES).fold(Repo::model("o/m"), |repo, number| {
        let content = Content::synthetic(2_000_000, number as u64);
        repo.lfs(&format!("{number}.bin"), content)
    });
    hub.add(repo);
    let stall = Fault::Stall {
        after_bytes: 1_200_000,
    };
    hub.fault(stall.on(".bin"));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let mut running = env.hf(["download", "o/m"]).spawn();
    let blobs = env.cache().join("models--o--m/blobs");
    running.wait_until("the start of every file", |_| {
        let files = std::fs::read_dir(&blobs).into_iter().flatten().flatten();
        let paths = files.map(|file| file.path());
        let begun = paths.filter(|path| {
            let is_ours = path.extension().is_some_and(|end| end == "hf-sparse");
            is_ours && kept(path) > 0
        });
        begun.count() == FILES
    });
    hub.stop();
    let output = running.wait().fails(1);
    let told = retries(output.stderr());
    // Every one of the connections tries at least five times again.
    assert!(!told.is_empty() && told.len() <= 2 * FILES, "{output}");
    let several = told.iter().filter(|line| line.ends_with(" connections)."));
    assert!(several.count() > 0, "{output}");
    assert!(!output.stderr().contains("end of file"), "{output}");
    let hint = output.stderr().lines().last().unwrap_or_default();
    let says = " are kept; the same command continues from here; check the network";
    assert!(
        hint.starts_with("Hint: ") && hint.contains(says),
        "{output}"
    );
    assert!(hint.contains(" of 16.0M are kept"), "{output}");
    let there: u64 = all_below(env.cache()).iter().map(|path| kept(path)).sum();
    assert!(there > 0);

    hub.clear_faults();
    hub.resume();
    let before = hub.content_bytes_sent();
    env.run(["download", "o/m"]).ok();
    let fetched = hub.content_bytes_sent() - before;
    assert!(
        fetched <= 2_000_000 * FILES as u64 - there,
        "{fetched} {there}"
    );
}

/// In words for people, not in those of the HTTP crate.
#[test]
fn an_answer_that_ends_too_early_is_called_that() {
    let hub = Hub::start();
    hub.add(Repo::model("o/m").lfs("a.bin", Content::synthetic(2_000_000, 1)));
    let close = Fault::CloseEarly {
        after_bytes: 1_000_000,
    };
    hub.fault(close.on("a.bin").times(1));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let output = env.run(["download", "o/m"]).ok();
    let told = retries(output.stderr());
    let words = ": the connection ended before the whole answer had come; trying again in 1 s.";
    assert!(
        told.len() == 1
            && told[0].starts_with("Warning: Cannot reach ")
            && told[0].ends_with(words),
        "{output}"
    );
}
