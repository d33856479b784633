//! A small Hub of your own on the loopback interface: something to log in to and download from without the network.
//!
//! `cargo run --example hub -- [--port N] [--files N] [--big-mib N] [--latency-ms N] [--cap-mb N] [--pictures]`
//!
//! `--files N` adds `bench/small` with N files of 1 to 8 KiB, `--big-mib N` adds `bench/big` with one file of that size,
//! `--latency-ms` waits before every answer, `--cap-mb` limits every connection to so many megabytes per second.
//! `--pictures` adds what docs/pictures/make shows.
//! Runs until Ctrl-C.

#![allow(
    clippy::disallowed_methods,
    reason = "an example is a process of its own"
)]

#[path = "../tests/it/harness/hub/mod.rs"]
mod hub;

use std::time::Duration;

use hub::{Content, Hub, Repo, Settings};

#[derive(Debug, Default)]
struct Options {
    port: u64,
    files: u64,
    big_mib: u64,
    latency_ms: u64,
    cap_mb: u64,
    pictures: bool,
}

fn main() {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    };
    let hub = Hub::with(Settings {
        port: u16::try_from(options.port).expect("a port number"),
        latency: Duration::from_millis(options.latency_ms),
        bandwidth: Some(options.cap_mb * 1_000_000).filter(|rate| *rate > 0),
        ..Settings::default()
    });
    publish(&hub, &options);
    introduce(&hub, &options);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let interrupted = runtime.expect("runtime").block_on(tokio::signal::ctrl_c());
    interrupted.expect("signal handler");
    eprintln!("\n{}", hub.log_text());
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(flag) = arguments.next() {
        if flag == "--pictures" {
            options.pictures = true;
            continue;
        }
        let place = match flag.as_str() {
            "--port" => &mut options.port,
            "--files" => &mut options.files,
            "--big-mib" => &mut options.big_mib,
            "--latency-ms" => &mut options.latency_ms,
            "--cap-mb" => &mut options.cap_mb,
            _ => {
                return Err(format!(
                    "unknown option {flag}; there are --port, --files, --big-mib, --latency-ms, --cap-mb"
                ));
            }
        };
        let value = arguments.next().unwrap_or_default();
        let wrong = |_| format!("{flag} needs a whole number, not \"{value}\"");
        *place = value.parse().map_err(wrong)?;
    }
    Ok(options)
}

fn publish(hub: &Hub, options: &Options) {
    hub.user("alice")
        .token("hf_alice_laptop", "write", "alice-laptop")
        .orgs(["demo"]);
    hub.user("bob").token("hf_bob_read", "read", "bob-read");
    hub.add(
        Repo::model("demo/tiny")
            .file("README.md", "# tiny\n\nA model to practise with.\n")
            .file("config.json", "{\"hidden_size\": 8}\n")
            .then()
            .tag("v1.0")
            .file("config.json", "{\"hidden_size\": 16}\n")
            .file("tokenizer/vocab.txt", "a\nb\nc\n")
            .file("tokenizer/special/tokens.json", "[\"<s>\"]\n")
            .lfs("model.safetensors", Content::synthetic(5_000_000, 1))
            .branch("refs/pr/1", |tree| {
                tree.file("config.json", "{\"hidden_size\": 32}\n")
            }),
    );
    hub.add(
        Repo::model("acme/gated")
            .gated()
            .allow("alice")
            .file("config.json", "{}\n")
            .lfs("model.safetensors", Content::synthetic(1_000_000, 2)),
    );
    hub.add(
        Repo::model("alice/secret")
            .private()
            .file("config.json", "{\"secret\": true}\n"),
    );
    hub.add(
        Repo::dataset("demo/words")
            .file("README.md", "# words\n")
            .file("data/train.csv", "text,label\nhello,1\n"),
    );
    if options.pictures {
        publish_for_pictures(hub);
    }
    if options.files > 0 {
        hub.add(small_files(options.files));
    }
    if options.big_mib > 0 {
        let content = Content::synthetic(options.big_mib << 20, 3);
        hub.add(Repo::model("bench/big").lfs("big.bin", content));
    }
}

/// A model of some size, and a login in the browser that is confirmed at the third question.
fn publish_for_pictures(hub: &Hub) {
    let part = |n: u64| format!("model-0000{n}-of-00003.safetensors");
    let large = |repo: Repo, n: u64| {
        repo.lfs(
            &part(n),
            Content::synthetic(120_000_000 - n * 20_000_000, n),
        )
    };
    let repo = Repo::model("acme/chat-small")
        .file("README.md", "# chat-small\n")
        .file("config.json", "{\"model_type\": \"llama\"}\n")
        .file("generation_config.json", "{}\n")
        .file("tokenizer_config.json", "{}\n")
        .lfs("tokenizer.json", Content::synthetic(9_000_000, 9));
    hub.add((1..=3).fold(repo, large));
    hub.add(
        Repo::dataset("acme/questions").lfs("train.parquet", Content::synthetic(31_000_000, 7)),
    );
    hub.add(
        Repo::model("acme/embeddings-large")
            .lfs("model.safetensors", Content::synthetic(57_000_000, 8)),
    );
    let pending = ["authorization_pending"; 2];
    hub.device_login("ada", &pending, 3600 * 24 * 30);
}

/// `count` files of 1 to 8 KiB in folders of a hundred.
fn small_files(count: u64) -> Repo {
    (0..count).fold(Repo::model("bench/small"), |repo, n| {
        let content = Content::synthetic(1024 + n * 7919 % 7168, n % 16);
        repo.file(&format!("part-{:03}/file-{n:05}.txt", n / 100), content)
    })
}

fn introduce(hub: &Hub, options: &Options) {
    let endpoint = hub.endpoint();
    println!("{endpoint}");
    println!();
    println!("export HF_ENDPOINT={endpoint} HF_HOME=$(mktemp -d)");
    println!(
        "hf download demo/tiny                        # public, with folders and one large file"
    );
    println!("hf download demo/tiny --revision refs/pr/1   # also v1.0");
    println!("hf download datasets/demo/words");
    println!("hf auth login --token hf_alice_laptop        # alice; bob is hf_bob_read");
    println!("hf auth whoami");
    println!("hf download acme/gated                       # alice may, bob may not");
    println!("hf download alice/secret                     # alice only");
    println!("hf cache verify demo/tiny");
    if options.files > 0 {
        println!(
            "hf download bench/small                      # {} small files",
            options.files
        );
    }
    if options.big_mib > 0 {
        println!(
            "hf download bench/big                        # {} MiB",
            options.big_mib
        );
    }
    println!("\nCtrl-C ends it and prints what was asked.");
}
