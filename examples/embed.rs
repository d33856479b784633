//! The engine inside another program: downloads a file, plans and fetches a snapshot, lists the cache.
//!
//!     cargo run --no-default-features --example embed -- openai-community/gpt2

use hf_cli::{Cache, Config, Download, Event, Hub};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("name a repository")?;
    let config = Config::from_env()?;
    let hub = Hub::new(&config)?;

    let file = Download::new(name.parse()?)
        .file("config.json")?
        .run(&hub)
        .await?;
    println!("{}", file.path().display());

    let plan = Download::new(name.parse()?)
        .include("*.json")
        .progress(|event: Event| eprintln!("{event}"))
        .plan(&hub)
        .await?;
    println!(
        "{} files, {} bytes to fetch",
        plan.files().len(),
        plan.bytes()
    );
    let snapshot = plan.run().await?;
    println!("{}", snapshot.path().display());

    for repo in Cache::open(config.cache_dir())?.scan()?.repos() {
        println!("{} {}", repo.id(), repo.size());
    }
    Ok(())
}
