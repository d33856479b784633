//! One grammar of names: every form of a name, through every command that takes one.

use serde_json::Value;

use crate::harness::TestEnv;
use crate::harness::hub::{Hub, Repo};

const NONE: &str = "";

/// A form, what it names for `hf download` (`NONE`: no such repository, or a refused form), and what it names
/// in the cache.
struct Form(&'static str, &'static str, &'static [&'static str]);

/// `{endpoint}` stands for that of the local Hub.
const FORMS: [Form; 34] = [
    Form("gpt2", "model/gpt2", &["model/gpt2"]),
    Form("model/gpt2", NONE, &["model/gpt2"]),
    Form("models/gpt2", "model/gpt2", &["model/gpt2"]),
    Form("models--gpt2", "model/gpt2", &["model/gpt2"]),
    Form("https://huggingface.co/gpt2", "model/gpt2", &["model/gpt2"]),
    Form("{endpoint}/gpt2", "model/gpt2", &["model/gpt2"]),
    Form("o/m", "model/o/m", &["model/o/m"]),
    Form("model/o/m", "model/o/m", &["model/o/m"]),
    Form("models/o/m", "model/o/m", &["model/o/m"]),
    Form("models--o--m", "model/o/m", &["model/o/m"]),
    Form("hf://o/m", "model/o/m", &["model/o/m"]),
    Form("hf://models/o/m", "model/o/m", &["model/o/m"]),
    Form("https://huggingface.co/o/m", "model/o/m", &["model/o/m"]),
    Form("hf.co/o/m", "model/o/m", &["model/o/m"]),
    Form("{endpoint}/o/m", "model/o/m", &["model/o/m"]),
    Form("squad", NONE, &["dataset/squad"]),
    Form("dataset/squad", NONE, &["dataset/squad"]),
    Form("datasets/squad", "dataset/squad", &["dataset/squad"]),
    Form("datasets--squad", "dataset/squad", &["dataset/squad"]),
    Form(
        "{endpoint}/datasets/squad",
        "dataset/squad",
        &["dataset/squad"],
    ),
    Form("o/d", NONE, &["dataset/o/d"]),
    Form("dataset/o/d", "dataset/o/d", &["dataset/o/d"]),
    Form("datasets/o/d", "dataset/o/d", &["dataset/o/d"]),
    Form("datasets--o--d", "dataset/o/d", &["dataset/o/d"]),
    Form("hf://datasets/o/d", "dataset/o/d", &["dataset/o/d"]),
    Form(
        "huggingface.co/datasets/o/d",
        "dataset/o/d",
        &["dataset/o/d"],
    ),
    // Cached as a model and as a Space.
    Form("o/both", "model/o/both", &[]),
    Form("spaces/o/both", "space/o/both", &["space/o/both"]),
    Form("space/o/both", "space/o/both", &["space/o/both"]),
    // Patterns.
    Form(
        "o/*",
        NONE,
        &["dataset/o/d", "model/o/both", "model/o/m", "space/o/both"],
    ),
    Form("model/o/*", NONE, &["model/o/both", "model/o/m"]),
    Form("datasets--o--*", NONE, &["dataset/o/d"]),
    Form("hf://o/*", NONE, &["model/o/both", "model/o/m"]),
    Form("gpt?", NONE, &["model/gpt2"]),
];

/// A Hub with these repositories, and a cache that has them all.
fn world() -> (Hub, TestEnv) {
    let hub = Hub::start();
    let with_files = |repo: Repo| repo.file("config.json", "{}").file("sub/a.txt", "a");
    for repo in [
        Repo::model("gpt2"),
        Repo::model("o/m").tag("v1"),
        Repo::model("o/both"),
        Repo::space("o/both"),
        Repo::dataset("squad"),
        Repo::dataset("o/d"),
    ] {
        hub.add(with_files(repo));
    }
    let env = TestEnv::for_hub(&hub);
    for name in [
        "gpt2",
        "o/m",
        "o/both",
        "spaces/o/both",
        "datasets/squad",
        "datasets/o/d",
    ] {
        env.run(["download", name]).ok();
    }
    (hub, env)
}

fn ids(value: &Value) -> Vec<&str> {
    let ids = value.as_array().expect("a list").iter();
    ids.map(|id| id.as_str().expect("an id")).collect()
}

/// The cache folder of `model/o/m`.
fn folder(id: &str) -> String {
    let (kind, id) = id.split_once('/').expect("an id");
    format!("{kind}s--{}", id.replace('/', "--"))
}

#[test]
fn every_form_means_the_same_to_every_command() {
    let (hub, env) = world();
    for Form(form, on_hub, cached) in FORMS {
        let form = &form.replace("{endpoint}", &hub.endpoint());
        let output = env.run(["download", form, "-q"]);
        match on_hub {
            NONE => assert_eq!(
                (output.code, output.stdout()),
                (Some(1), ""),
                "{form}\n{output}"
            ),
            id => {
                let is_there = output
                    .stdout()
                    .contains(&format!("/{}/snapshots/", folder(id)));
                assert!(output.code == Some(0) && is_there, "{form}\n{output}");
            }
        }
        in_the_cache(&env, form, cached);
    }
}

/// What a form names to each command on the cache.
fn in_the_cache(env: &TestEnv, form: &str, cached: &[&str]) {
    let code = Some(i32::from(cached.is_empty()));
    let output = env.run(["cache", "ls", form, "-q"]);
    let listed: Vec<&str> = output.stdout().lines().collect();
    assert_eq!(
        (output.code, &listed[..]),
        (code, cached),
        "{form}\n{output}"
    );

    let output = env.run(["cache", "rm", form, "--dry-run", "--json"]);
    assert_eq!(output.code, code, "{form}\n{output}");
    if code == Some(0) {
        assert_eq!(output.json()["repos"], cached.len(), "{form}\n{output}");
    }
    let output = env.run(["cache", "rm", form, "--dry-run"]);
    for id in ["model/gpt2", "model/o/m", "dataset/o/d", "dataset/squad"] {
        let names = output.said().contains(id);
        assert_eq!(names, cached.contains(&id), "{form} {id}\n{output}");
    }

    let output = env.run(["cache", "verify", form, "--json"]);
    match cached {
        [one] => {
            let found = output.json();
            let id = format!(
                "{}/{}",
                found["repo_type"].as_str().unwrap(),
                found["repo_id"].as_str().unwrap()
            );
            assert_eq!(
                (output.code, id.as_str()),
                (Some(0), *one),
                "{form}\n{output}"
            );
        }
        _ => assert_eq!(output.code, Some(1), "{form}\n{output}"),
    }

    for command in ["pin", "unpin"] {
        let output = env.run(["cache", command, form, "--json"]);
        assert_eq!(output.code, code, "{form}\n{output}");
        if code == Some(0) {
            let mut found = output.json()["ids"].clone();
            found
                .as_array_mut()
                .expect("ids")
                .sort_by_key(Value::to_string);
            assert_eq!(ids(&found), cached, "{form}\n{output}");
        }
    }
}

/// What is typed so far is completed to the whole form, by every command that understands it.
#[test]
fn every_form_is_completed() {
    let (hub, env) = world();
    for Form(form, on_hub, cached) in FORMS {
        let form = &form.replace("{endpoint}", &hub.endpoint());
        if form.contains(['*', '?']) || cached.len() != 1 {
            continue;
        }
        let all = [
            "cache rm",
            "cache ls",
            "cache pin",
            "cache unpin",
            "cache verify",
            "download",
        ];
        let commands = if on_hub == NONE { &all[..4] } else { &all };
        for command in commands {
            let begun = &form[..form.len() - 1];
            let words = ["hf"].into_iter().chain(command.split(' ')).chain([begun]);
            let words: Vec<&str> = words.collect();
            let call = env.hf([""; 0]).var("_HF_COMPLETE", "complete_zsh");
            let output = call.var("_TYPER_COMPLETE_ARGS", words.join(" ")).run();
            let found = output.stdout().replace('\\', "");
            assert!(found.contains(form.as_str()), "{command} {form}\n{output}");
        }
    }
}

/// Revisions and files of an address.
#[test]
fn addresses_name_revisions_and_files() {
    let (_hub, env) = world();
    let commit = env.run(["cache", "ls", "o/m", "--revisions", "-q"]).ok();
    let commit = commit.stdout().trim().to_owned();
    for address in [
        "hf://o/m@main".to_owned(),
        "https://huggingface.co/o/m/tree/main".to_owned(),
        format!("https://huggingface.co/o/m/tree/{commit}"),
    ] {
        let listed = env.run(["cache", "ls", &address, "--revisions", "-q"]).ok();
        assert_eq!(listed.stdout().trim(), commit, "{address}");
        let output = env
            .run(["cache", "rm", &address, "--dry-run", "--json"])
            .ok();
        assert_eq!(output.json()["revisions"], 1, "{output}");
        let output = env.run(["cache", "verify", &address, "--json"]).ok();
        assert_eq!(output.json()["checked"], 2, "{output}");
        let output = env.run(["cache", "pin", &address]).fails(1);
        assert!(output.stderr().contains("whole repositories"), "{output}");
    }
    for (address, files) in [
        ("https://huggingface.co/o/m/blob/main/config.json", 1),
        (
            "https://huggingface.co/o/m/resolve/main/sub/a.txt?download=true",
            1,
        ),
        ("https://huggingface.co/o/m/tree/main/sub", 1),
        ("hf://o/m/sub/a.txt", 1),
        ("hf://o/m/*.json", 1),
        ("hf://o/m@main/*", 2),
    ] {
        let output = env
            .run(["cache", "rm", address, "--dry-run", "--json"])
            .ok();
        assert_eq!(output.json()["files"], files, "{address}\n{output}");
        let output = env.run(["cache", "verify", address, "--json"]).ok();
        assert_eq!(output.json()["checked"], files, "{address}\n{output}");
        for command in ["ls", "pin"] {
            env.run(["cache", command, address]).fails(1);
        }
    }
    for absent in [
        "hf://o/m@v1",
        "hf://o/m@v1/config.json",
        "hf://o/m/none.txt",
    ] {
        let output = env.run(["cache", "rm", absent, "--dry-run"]).ok();
        assert!(
            output.stderr().contains("The cache has no hf://"),
            "{output}"
        );
        env.run(["cache", "verify", absent]).fails(1);
    }
}
