use super::*;

fn args(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

#[test]
fn formats_of_senseless_lines() {
    for (line, expected) in [
        ("hf bogus", None),
        ("hf bogus --json", Some(OutputFormat::Json)),
        ("hf --json bogus", Some(OutputFormat::Json)),
        ("hf cache --format json bogus", Some(OutputFormat::Json)),
        ("hf cache --format=agent bogus", Some(OutputFormat::Agent)),
        ("hf bogus -q", Some(OutputFormat::Quiet)),
        ("hf bogus -q --json", Some(OutputFormat::Json)),
        ("hf bogus --format", None),
        ("hf bogus --format xml", None),
        ("hf bogus -- --json", None),
        ("--json bogus", None),
    ] {
        assert_eq!(wanted_format(&args(line)), expected, "{line}");
    }
}

#[test]
fn places() {
    for (line, path, word) in [
        ("hf", "hf", None),
        ("hf bogus x", "hf", Some("bogus")),
        ("hf --format json bogus", "hf", Some("bogus")),
        ("hf --env-file ls bogus", "hf", Some("bogus")),
        ("hf --format=json -q cache bogus", "hf cache", Some("bogus")),
        ("hf cache list bogus", "hf cache ls", None),
        ("hf -- bogus", "hf", None),
    ] {
        let place = Place::of(&args(line), &Cli::command());
        assert_eq!(place.called(), path, "{line}");
        assert_eq!(place.word.as_deref(), word, "{line}");
    }
}

fn said(line: &str, json: bool) -> (String, Option<String>) {
    let args = args(line);
    let (program, root, error) = if line.starts_with("hf") {
        let error = <Cli as clap::Parser>::try_parse_from(&args).unwrap_err();
        (Program::Hf, Cli::command(), error)
    } else {
        let error = crate::cli::legacy::parse(&args).unwrap_err();
        (Program::HuggingfaceCli, LegacyCli::command(), error)
    };
    let place = Place::of(&args, &root);
    let error = explain(&error, &args, &place, &root, program, json)
        .unwrap_or_else(|| in_one_line(&error.render().to_string(), &place));
    assert_eq!(error.kind, Kind::Usage);
    (error.message, error.hint)
}

#[test]
fn mistyped_commands() {
    for (line, expected) in [
        ("hf dowload o/n", "did you mean `hf download`?"),
        ("hf loign", "did you mean `hf login`?"),
        ("hf rm model/gpt2", "did you mean `hf cache rm`?"),
        ("hf prune", "did you mean `hf cache prune`?"),
        ("hf verfy gpt2", "did you mean `hf cache verify`?"),
        ("hf token", "did you mean `hf auth token`?"),
        ("hf cache lsit", "did you mean `hf cache ls`?"),
        ("hf cache whoami", "did you mean `hf auth whoami`?"),
        ("hf cache clear", "did you mean `hf cache prune`?"),
        ("hf pull gpt2", "did you mean `hf download`?"),
        ("hf auth download x", "did you mean `hf download`?"),
        ("hf bogus", "`hf --help` shows what can be given"),
        ("hf xyzzy", "`hf --help` shows what can be given"),
        (
            "hf cache xyzzy",
            "`hf cache --help` shows what can be given",
        ),
        (
            "huggingface-cli scan",
            "did you mean `huggingface-cli scan-cache`?",
        ),
        (
            "huggingface-cli switch",
            "did you mean `huggingface-cli auth switch`?",
        ),
        (
            "huggingface-cli cache ls",
            "`hf cache` is one: call this tool by its name hf",
        ),
    ] {
        let (message, hint) = said(line, false);
        assert!(message.starts_with("There is no command `"), "{message}");
        assert_eq!(hint.as_deref(), Some(expected), "{line}");
    }
}

#[test]
fn what_only_the_python_client_has_is_said_in_one_line() {
    for (line, expected) in [
        (
            "hf upload o/n . --json",
            "`hf upload` is not part of this tool; use the Python client: `uvx --from huggingface_hub hf upload o/n . --json`, or `git push`.",
        ),
        (
            "hf repo create x",
            "`hf repo` is not part of this tool; use the Python client: `uvx --from 'huggingface_hub<1' hf repo create x`.",
        ),
        (
            "huggingface-cli tag o/n v1",
            "`huggingface-cli tag` is not part of this tool; use the Python client: `uvx --from 'huggingface_hub<1' huggingface-cli tag o/n v1`.",
        ),
        (
            "hf --skills",
            "`hf --skills` is not part of this tool; use the Python client: `uvx --from huggingface_hub hf --skills`.",
        ),
    ] {
        assert_eq!(said(line, false), (expected.to_owned(), None), "{line}");
        let (message, hint) = said(line, true);
        assert!(message.ends_with("is not part of this tool."), "{message}");
        assert!(hint.is_some(), "{line}");
    }
}

#[test]
fn other_mistakes_fit_into_a_line() {
    for (line, what, hint) in [
        (
            "hf download",
            "`hf download` needs REPO_ID.",
            "`hf download --help` shows what can be given",
        ),
        (
            "hf cache ls --limt 3",
            "`hf cache ls` has no flag --limt.",
            "did you mean --limit?",
        ),
        (
            "hf download a b --nope",
            "`hf download` has no flag --nope.",
            "`hf download --help` shows what can be given",
        ),
        (
            "hf download a --revision",
            "--revision needs a value.",
            "`hf download --help` shows what can be given",
        ),
        (
            "hf download a --max-workers 0",
            "--max-workers takes a whole number from 1 to 256, not 0.",
            "`hf download --help` shows what can be given",
        ),
        (
            "hf download a --stall-timeout -1",
            "--stall-timeout takes whole seconds from 1 to 86400, without a unit, not -1.",
            "`hf download --help` shows what can be given",
        ),
        (
            "hf download a --stall-timeout 1.5",
            "--stall-timeout takes whole seconds from 1 to 86400, without a unit, not 1.5.",
            "`hf download --help` shows what can be given",
        ),
        (
            "hf download a --limit-rate -1",
            "--limit-rate takes bytes a second, perhaps with k, M or G, as in 20M, not -1.",
            "`hf download --help` shows what can be given",
        ),
        (
            "hf download a -5",
            "`hf download` has no flag -5.",
            "a value that begins with a dash goes behind an equals sign: --flag=-1",
        ),
        (
            "hf cache ls --limit x",
            "--limit takes a whole number from 0, not x.",
            "`hf cache ls --help` shows what can be given",
        ),
        (
            "hf cache prune --keep-last -1",
            "--keep-last takes a whole number from 0, not -1.",
            "`hf cache prune --help` shows what can be given",
        ),
        (
            "hf cache verify --all gpt2",
            "--all cannot be used with REPO_ID.",
            "`hf cache verify --help` shows what can be given",
        ),
        (
            "hf version x",
            "`hf version` does not take the word x.",
            "`hf version --help` shows what can be given",
        ),
        (
            "hf version --format xml",
            "--format takes auto, human, agent, json or quiet, not xml.",
            "`hf version --help` shows what can be given",
        ),
        (
            "hf download a --repo-type",
            "--repo-type needs a value: model, dataset, space or kernel.",
            "`hf download --help` shows what can be given",
        ),
        (
            "huggingface-cli download a --max-workers 0",
            "--max-workers takes a whole number from 1, not 0.",
            "`huggingface-cli download --help` shows what can be given",
        ),
    ] {
        assert_eq!(
            said(line, true),
            (what.to_owned(), Some(hint.to_owned())),
            "{line}"
        );
    }
}
