//! Help texts and man pages: as a user sees them, and what they promise.

use std::collections::BTreeMap;
use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Repo};
use crate::harness::oracle::installed;

/// Words of every command that help shows, `hf` itself first.
fn commands() -> Vec<String> {
    fn collect(command: &clap::Command, path: &str, all: &mut Vec<String>) {
        all.push(path.trim_start().to_owned());
        for one in command.get_subcommands() {
            if !one.is_hide_set() && one.get_name() != "help" {
                collect(one, &format!("{path} {}", one.get_name()), all);
            }
        }
    }
    let mut all = Vec::new();
    collect(&hf_cli::testing::grammar(), "", &mut all);
    all
}

fn help(env: &TestEnv, command: &str, flag: &str) -> String {
    let words = command.split_whitespace().chain([flag]);
    let output = env.hf(words).var("COLUMNS", "100").run().ok();
    assert_eq!(output.stderr(), "");
    output.stdout().to_owned()
}

#[test]
fn every_help_text() {
    let env = TestEnv::new();
    for command in commands() {
        let long = help(&env, &command, "--help");
        let short = help(&env, &command, "-h");
        for text in [&long, &short] {
            let wide = text.lines().find(|line| line.chars().count() > 100);
            assert_eq!(wide, None, "{command}");
            assert!(text.contains("Examples:\n"), "{command}\n{text}");
            let rust = ["OsString", "PathBuf", "Option<", "Vec<", "String>"];
            assert!(!rust.iter().any(|word| text.contains(word)), "{text}");
        }
        let page = hf_cli::testing::page(&command).unwrap();
        assert_eq!(
            long.contains("Environment:\n"),
            !page.variables.is_empty(),
            "{command}"
        );
        assert!(!short.contains("--no-truncate"), "{short}");
        assert!(long.contains("--no-truncate"), "{long}");
        let name = format!("hf {command}").trim_end().replace(' ', "-");
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name, format!("{short}\n=== --help ===\n{long}"));
        });
    }
}

#[test]
fn help_as_a_command() {
    let env = TestEnv::new();
    for command in ["download", "cache rm", "auth login"] {
        let words = ["help"].into_iter().chain(command.split(' '));
        let output = env.hf(words).var("COLUMNS", "100").run().ok();
        assert_eq!(output.stdout(), help(&env, command, "--help"));
    }
}

/// The words of each call of `hf` in a line, as bash cuts them.
fn words(env: &TestEnv, line: &str) -> Vec<String> {
    let code = format!(
        "hf() {{ printf '%s\\n' hf \"$@\" >&2; }}; man() {{ :; }}; touch token.txt; {line}"
    );
    let output = env.program("bash", ["-c", &code]).run().ok();
    output.stderr().lines().map(str::to_owned).collect()
}

#[test]
fn every_example_is_in_the_grammar() {
    let Some(()) = installed(["bash"]) else {
        return;
    };
    let env = TestEnv::new();
    let pages: BTreeMap<&str, _> = hf_cli::testing::PAGES
        .iter()
        .map(|page| (page.command, page))
        .collect();
    assert_eq!(pages.len(), hf_cli::testing::PAGES.len());
    let mut expected = commands();
    expected.sort();
    assert_eq!(pages.keys().copied().collect::<Vec<_>>(), expected);
    for page in pages.values() {
        for example in page.examples {
            let words = words(&env, example);
            let parsed = hf_cli::testing::grammar().try_get_matches_from(&words);
            assert!(parsed.is_ok(), "{example}: {parsed:?}");
            let of_command = format!("hf {}", page.command);
            assert!(
                page.command == "completions" || words.join(" ").starts_with(of_command.trim_end()),
                "{example}"
            );
        }
    }
}

#[test]
fn examples_run() {
    let Some(()) = installed(["bash"]) else {
        return;
    };
    let hub = Hub::start();

    hub.add(
        Repo::model("openai-community/gpt2")
            .file("config.json", "{}")
            .lfs("model.safetensors", Content::synthetic(2000, 1))
            .file("onnx/a.json", "{}"),
    );
    let env = TestEnv::for_hub(&hub);
    let folder = env.path("bin");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hf"), folder.join("hf")).unwrap();
    let list = "openai-community/gpt2 config.json\n";
    std::fs::write(env.work().join("models.txt"), list).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    for command in [
        "download",
        "ls",
        "cache ls",
        "cache verify",
        "cache doctor",
        "cache scan",
        "env",
        "version",
        "update",
        "completions",
        "man",
        "cache",
        "cache prune",
        "cache rm",
    ] {
        for example in hf_cli::testing::page(command).unwrap().examples {
            // Not on this Hub; and man(1) may not be here.
            if example.contains("glue") || example.contains("| man") {
                continue;
            }
            let code = format!("set -o pipefail; {example}");
            let call = env
                .program("bash", ["-c", &code])
                .var("PATH", &path)
                .stdin("y\n");
            let _ = call.var("SHELL", "/bin/bash").run().ok();
        }
    }
}

#[test]
fn man_pages_are_made_for_every_command() {
    let env = TestEnv::new();
    let folder = env.path("man1");
    let output = env
        .run(["man", "--out", folder.to_str().unwrap(), "--json"])
        .ok()
        .json();
    let mut expected: Vec<String> = commands()
        .iter()
        .map(|command| format!("hf {command}").trim_end().replace(' ', "-") + ".1")
        .collect();
    expected.sort();
    let entries = fs::read_dir(&folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, expected);
    assert_eq!(output["pages"], names.len());
    let main = fs::read_to_string(folder.join("hf.1")).unwrap();
    assert_eq!(env.run(["man"]).ok().stdout(), main);
    let Some(()) = installed(["mandoc"]) else {
        return;
    };
    let pages = names.iter().map(|name| folder.join(name).into_os_string());
    let lint = ["-T", "lint", "-W", "error"].map(Into::into);
    let output = env.program("mandoc", lint.into_iter().chain(pages)).run();
    assert_eq!(output.code, Some(0), "{output}");
    let page = folder.join("hf-download.1");
    let shown = env
        .program("mandoc", ["-T", "utf8", page.to_str().unwrap()])
        .run()
        .ok();
    let bare: String = shown.stdout().chars().fold(String::new(), |mut text, c| {
        // Overstriking stands for bold and underlined.
        if c == '\u{8}' {
            text.pop();
        } else {
            text.push(c);
        }
        text
    });
    for expected in [
        "hf download openai-community/gpt2 --local-dir ./gpt2\n",
        "HF_HUB_CACHE",
        "SYNOPSIS",
        "--include",
    ] {
        assert!(bare.contains(expected), "{expected}\n{bare}");
    }
}
