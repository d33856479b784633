//! Help on request, mistakes in a command line and in variables, and what is shown on request.

use crate::harness::TestEnv;
use crate::harness::hub::{Fault, Hub, Repo};

#[test]
fn help_is_a_command() {
    let env = TestEnv::new();
    for (asked, same) in [
        ("help", "--help"),
        ("help --help", "--help"),
        ("help help", "--help"),
        ("help download", "download --help"),
        ("help cache rm", "cache rm --help"),
        ("cache help rm", "cache rm --help"),
        ("cache help", "cache --help"),
        ("--offline help cache", "cache --help"),
    ] {
        let expected = env.run(same.split(' ')).ok();
        let output = env.run(asked.split(' ')).ok();
        assert_eq!(output.stdout(), expected.stdout(), "{asked}");
        assert_eq!(output.stderr(), "", "{asked}");
    }
    for (asked, what) in [
        ("help nope", "Error: There is no command `hf nope`."),
        (
            "help cache nope",
            "Error: There is no command `hf cache nope`.",
        ),
        ("help dowload", "did you mean `hf download`?"),
    ] {
        let output = env.run(asked.split(' ')).fails(2);
        assert!(output.stderr().contains(what), "{output}");
        assert_eq!(output.stdout(), "");
    }
    for (asked, same) in [
        ("help", "--help"),
        ("help download", "download --help"),
        ("help auth list", "auth list --help"),
    ] {
        let expected = env.huggingface_cli(same.split(' ')).run().ok();
        let output = env.huggingface_cli(asked.split(' ')).run().ok();
        assert_eq!(output.stdout(), expected.stdout(), "{asked}");
    }
    env.huggingface_cli(["help", "nope"]).run().fails(2);
}

/// Every mistake is one line and a hint, in the words of this program.
#[test]
fn mistakes_are_told_in_two_lines() {
    let env = TestEnv::new();
    for line in [
        "download",
        "download a --nope",
        "download a --revision",
        "download a --stall-timeout -1",
        "cache ls --limit x",
        "cache verify --all gpt2",
        "version x",
        "version --format xml",
    ] {
        let output = env.run(line.split(' ')).fails(2);
        let lines: Vec<&str> = output.stderr().lines().collect();
        assert!(
            lines.len() == 2 && lines[0].starts_with("Error: ") && lines[1].starts_with("Hint: "),
            "{output}"
        );
        let output = env.run(line.split(' ').chain(["--json"]));
        if !line.contains("--format") && !line.ends_with("--revision") {
            let error: serde_json::Value = serde_json::from_str(output.stderr()).expect("JSON");
            assert_eq!(error["kind"], "usage", "{output}");
        }
    }
}

#[test]
fn variables_that_are_not_understood_are_named() {
    let env = TestEnv::new();
    for (name, value, said) in [
        (
            "HF_HUB_ETAG_TIMEOUT",
            "1.5",
            "a whole number of seconds, at least 1, and not \"1.5\": 10 is used",
        ),
        (
            "HF_HUB_DOWNLOAD_TIMEOUT",
            "-1",
            "a whole number of seconds, at least 1, and not \"-1\": 10 is used",
        ),
        (
            "HF_HUB_VERBOSITY",
            "loud",
            "debug, info, warning, error or critical, and not \"loud\": it is ignored",
        ),
    ] {
        let output = env.hf(["version"]).var(name, value).run().ok();
        assert!(output.stderr().contains(said), "{output}");
        let output = env.hf(["version"]).var(name, "").run().ok();
        assert_eq!(output.stderr(), "");
    }
}

#[test]
fn requests_are_shown_in_every_format() {
    let hub = Hub::start();
    hub.add(Repo::model("o/m").file("config.json", "{}"));
    for (name, value) in [("HF_DEBUG", "1"), ("HF_HUB_VERBOSITY", "debug")] {
        for format in ["human", "agent", "json", "quiet"] {
            let env = TestEnv::for_hub(&hub);
            let args = ["download", "o/m", "--format", format];
            let plain = env.run(args).ok();
            std::fs::remove_dir_all(env.cache()).unwrap();
            let output = env.hf(args).var(name, value).run().ok();
            assert!(
                output.stderr().contains("[debug] "),
                "{name} {format} {output}"
            );
            assert_eq!(output.stdout(), plain.stdout(), "{name} {format}");
        }
    }
}

#[test]
fn verbosity_hides_warnings_of_the_hub() {
    for (level, is_shown) in [
        ("info", true),
        ("warning", true),
        ("error", false),
        ("critical", false),
    ] {
        let hub = Hub::start();
        hub.add(Repo::model("o/m").file("config.json", "{}"));
        hub.warning("topic; something is old");
        let env = TestEnv::for_hub(&hub);
        let output = env
            .hf(["download", "o/m"])
            .var("HF_HUB_VERBOSITY", level)
            .run()
            .ok();
        assert_eq!(
            output.stderr().contains("something is old"),
            is_shown,
            "{level} {output}"
        );
        // What failed is told at every level.
        hub.fault(Fault::status(404).on("/revision/").optional());
        let output = env
            .hf(["download", "o/n"])
            .var("HF_HUB_VERBOSITY", level)
            .run()
            .fails(1);
        assert!(output.stderr().contains("Error: "), "{output}");
    }
}

#[test]
fn braces_and_commas_are_told_to_be_ordinary() {
    let hub = Hub::start();
    let repo = Repo::model("o/m").file("a.json", "{}").file("b.txt", "b");
    hub.add(repo.file("x{1,2}.md", "x"));
    for (args, code, is_told) in [
        (&["--include", "*.{json,txt}"][..], 1, true),
        (&["--include", "*.json,*.txt"], 1, true),
        (&["--include", "*.json", "--exclude", "*.{md,txt}"], 0, true),
        (&["--include", "x{1,2}.*"], 0, false),
        (&["--include", "*.gguf"], 1, false),
        (&["--include", "*.json"], 0, false),
    ] {
        let env = TestEnv::for_hub(&hub);
        let output = env.run(["download", "o/m"].iter().chain(args)).fails(code);
        let told = output.stderr().contains("stand for themselves");
        assert_eq!(told, is_told, "{args:?} {output}");
    }
}
