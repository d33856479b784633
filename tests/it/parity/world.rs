//! What a scenario starts from: a home, a Hub with the same repositories for all, and states that add to them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::harness::TestEnv;
use crate::harness::cache::{CacheTree, CachedRepo};
use crate::harness::hub::{Content, Hub, Repo, Rule, Strikes};
use crate::harness::shim::CLOCK_SPEED;

/// Alice's tokens; `broken_rules` looks for their beginning in the output.
pub const LAPTOP: &str = "hf_secret_laptop_0001";
/// A second one of hers.
pub const SERVER: &str = "hf_secret_server_0002";
/// A user without access to anything.
pub const BOB: &str = "hf_secret_bob_0003";
/// Known to no Hub.
pub const WRONG: &str = "hf_secret_wrong_0004";

/// The registry of coding agents, as the Python client caches it for a day.
const AGENTS: &str = ".agent_harnesses.json";

/// One client's world. Each of the two gets its own, made in the same way.
pub struct World {
    pub env: TestEnv,
    pub hub: Hub,
    /// How often each planned fault struck.
    pub faults: Vec<Strikes>,
    /// Texts that command lines and variables name in braces.
    pub names: BTreeMap<&'static str, String>,
}

impl World {
    /// An empty home and a Hub with repositories and users.
    pub fn new() -> Self {
        let hub = Hub::start();
        publish(&hub);
        let mut env = TestEnv::for_hub(&hub).fast_clock();
        // Cells of tables are cut to this width; paths of temporary folders must fit.
        env.set("COLUMNS", "200");
        // A busy machine is no fault of the Hub.
        let timeout = (60 * CLOCK_SPEED).to_string();
        env.set("HF_HUB_ETAG_TIMEOUT", &timeout);
        env.set("HF_HUB_DOWNLOAD_TIMEOUT", &timeout);
        let model = hub.repo("models/org/name");
        let names = BTreeMap::from([
            ("braces", "{a,b}".to_owned()),
            ("main", model.commit("main")),
            ("short", model.commit("main")[..8].to_owned()),
            ("pr", model.commit("refs/pr/1")),
            ("root", env.root().display().to_string()),
            ("hub", hub.endpoint()),
            ("laptop", LAPTOP.to_owned()),
            ("server", SERVER.to_owned()),
            ("bob", BOB.to_owned()),
            ("wrong", WRONG.to_owned()),
        ]);
        let mut world = Self {
            env,
            hub,
            faults: Vec::new(),
            names,
        };
        let agents = "{\"standardEnvVars\": [\"AI_AGENT\"], \"harnesses\": {\"robot\": {\"envVars\": {\"ROBOT\": \"*\"}}}}";
        write_secret(&mut world, AGENTS, agents);
        world
    }

    /// The text with every `{name}` replaced. Panics at an unknown one.
    pub fn fill(&self, text: &str) -> String {
        let mut parts = text.split('{');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').expect("a closing brace");
            let value = self.names.get(name);
            filled.push_str(value.unwrap_or_else(|| panic!("unknown name in {text}")));
            filled.push_str(rest);
        }
        filled
    }
}

fn publish(hub: &Hub) {
    hub.user("alice")
        .token(LAPTOP, "write", "laptop")
        .token(SERVER, "read", "server")
        .orgs(["org", "labs"]);
    hub.user("bob").token(BOB, "fineGrained", "bob");
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{\"a\": 1}")
            .file("copy/config.json", "{\"a\": 1}")
            .file("empty.txt", "")
            .file("sub/deep/ünï cödé #1.txt", "text")
            .lfs("model.safetensors", Content::synthetic(50_000, 1))
            .tag("v1")
            .branch("refs/pr/1", |tree| tree.file("config.json", "{\"a\": 2}")),
    );
    hub.add(
        Repo::dataset("org/data")
            .file("data/test.csv", "c,d\n")
            .file("data/train.csv", "a,b\n")
            .file("readme.md", "r"),
    );
    hub.add(Repo::space("org/demo").file("app.py", "pass\n"));
    hub.add(Repo::kernel("org/kern").file("build.toml", "[k]\n"));
    hub.add(
        Repo::model("gpt2")
            .file("config.json", "{}")
            .lfs("model.bin", "weights"),
    );
    hub.add(
        Repo::model("alice/secret")
            .private()
            .file("config.json", "{\"s\": 1}"),
    );
    hub.add(
        Repo::model("org/gated")
            .gated()
            .allow("alice")
            .file("config.json", "{\"g\": 1}"),
    );
    hub.add(Repo::model("org/gone").disabled().file("config.json", "{}"));
    hub.add(
        Repo::model("org/partly")
            .file("a.txt", "a".repeat(3_000))
            .listed_only("missing.txt", 5),
    );
    hub.add(
        Repo::model("org/hostile")
            .file("a.txt", "a")
            .listed_only("../../../evil.txt", 5),
    );
    hub.add(
        Repo::model("org/huge")
            .file("a.txt", "a")
            .listed_only("huge.bin", 1 << 60),
    );
}

/// Writes the files of a login as clients do: `stored_tokens` with these names, the first one active.
pub fn store_tokens(world: &mut World, tokens: &[(&str, &str)]) {
    let mut sections: Vec<_> = tokens.to_vec();
    sections.sort_unstable();
    // What this program notes, and the Python client passes over.
    let endpoint = world.hub.endpoint();
    let sections = sections
        .iter()
        .map(|(name, token)| format!("[{name}]\nhf_token = {token}\nendpoint = {endpoint}\n\n"));
    write_secret(world, "stored_tokens", &sections.collect::<String>());
    write_secret(world, "token", tokens[0].1);
}

/// A file in `HF_HOME` that only its owner may read.
pub fn write_secret(world: &mut World, name: &str, text: &str) {
    let path = world.env.hf_home().join(name);
    fs::write(&path, text).expect("token file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("mode");
}

/// Logged in as alice.
pub fn logged_in(world: &mut World) {
    store_tokens(world, &[("laptop", LAPTOP)]);
}

/// Logged in as alice, with two more tokens stored.
pub fn three_tokens(world: &mut World) {
    store_tokens(
        world,
        &[("laptop", LAPTOP), ("server", SERVER), ("bob", BOB)],
    );
}

/// The port is closed.
pub fn hub_down(world: &mut World) {
    world.hub.stop();
}

/// Variables that forbid all requests, and a closed port in case one is made.
pub fn offline(world: &mut World) {
    world.env.set("HF_HUB_OFFLINE", "1");
}

/// Switches a fault on. One of the two clients has to meet it.
pub fn fault(rule: impl Into<Rule>) -> impl Fn(&mut World) + Send + Sync + 'static {
    let rule = rule.into().optional();
    move |world| {
        let strikes = world.hub.fault(rule.clone());
        world.faults.push(strikes);
    }
}

fn ago(hours: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(3600 * hours + 60)
}

/// Sets the times of all files of a snapshot.
fn age(repo: &CachedRepo, commit: &str, files: &[&str], hours: u64) {
    for (index, file) in (0..).zip(files) {
        let (read, written) = (ago(hours + index), ago(hours + 24 + index));
        repo.times(commit, file, read, written);
    }
}

/// Repositories of every kind, several revisions, one of them detached, files shared between revisions.
pub fn full_cache(world: &mut World) {
    let tree = CacheTree::at(world.env.cache());
    let model = tree.model("org/name");
    let old = model.commit([
        ("config.json", "{\"old\": 1}"),
        ("shared.txt", "shared by two"),
    ]);
    let weights = "w".repeat(3_000);
    let new = model.main([
        ("config.json", "{\"new\": 1}"),
        ("shared.txt", "shared by two"),
        ("sub/model.safetensors", &weights),
    ]);
    let pr = model.commit([("config.json", "{\"pr\": 1}")]);
    model.refer("refs/pr/1", &pr).refer("v1", &new);
    age(
        &model,
        &new,
        &["config.json", "shared.txt", "sub/model.safetensors"],
        50,
    );
    age(&model, &old, &["config.json"], 400);
    age(&model, &pr, &["config.json"], 3);
    let data = tree.dataset("org/data");
    let rows = "row\n".repeat(500);
    let commit = data.main([("train.csv", &rows), ("empty.txt", "")]);
    age(&data, &commit, &["train.csv", "empty.txt"], 24 * 20);
    let plain = tree.model("gpt2");
    let commit = plain.main([("config.json", "{}")]);
    age(&plain, &commit, &["config.json"], 24 * 90);
    let space = tree.space("org/demo");
    let commit = space.main([("app.py", "pass\n")]);
    age(&space, &commit, &["app.py"], 24 * 800);
    let kernel = tree.kernel("org/kern");
    let commit = kernel.main([("build.toml", "[k]\n")]);
    age(&kernel, &commit, &["build.toml"], 1);
    world
        .names
        .extend([("old", old), ("new", new), ("cached_pr", pr)]);
}

/// Beside a sound repository: every kind of corruption, unfinished downloads, things that are no repository.
pub fn damaged_cache(world: &mut World) {
    let tree = CacheTree::at(world.env.cache());
    let sound = tree.model("org/sound");
    let commit = sound.main([("config.json", "{}")]);
    age(&sound, &commit, &["config.json"], 50);
    let broken = tree.model("org/broken-link");
    let commit = broken.main([("config.json", "{\"b\": 1}")]);
    broken.lose_blob(&commit, "config.json");
    tree.model("org/no-snapshots").without_snapshots();
    let refs = tree.model("org/refs-file");
    refs.main([("config.json", "{\"r\": 1}")]);
    refs.refs_as_file();
    let nowhere = tree.model("org/ref-nowhere");
    nowhere.main([("config.json", "{\"n\": 1}")]);
    nowhere.refer("dev", &"0".repeat(40));
    let stray = tree.model("org/stray-snapshot");
    stray.main([("config.json", "{\"s\": 1}")]);
    stray.stray_snapshot("notes.txt");
    tree.repo("widgets", "org/unknown-kind");
    tree.stray_file("notes.txt", "mine")
        .stray_folder("no-dashes");
    sound.partial("abc.0123abcd", "unfinished");
    world.names.insert("sound", commit);
}

/// The snapshot of `org/name` as the Hub has it, made by hand.
pub fn name_cached(world: &mut World) {
    cached_at(world, "main");
}

/// The same for a revision, referred to as `main`, with its listing.
fn cached_at(world: &mut World, revision: &str) {
    let repo = world.hub.repo("models/org/name");
    let commit = repo.commit(revision);
    let root = world.env.cache().join("models--org--name");
    let paths = [
        "config.json",
        "copy/config.json",
        "empty.txt",
        "sub/deep/ünï cödé #1.txt",
        "model.safetensors",
    ];
    let mut listing = serde_json::Map::new();
    for path in paths {
        let entry = repo.entry(path);
        let blob = root.join("blobs").join(entry.etag());
        let link = root.join("snapshots").join(&commit).join(path);
        for folder in [blob.parent(), link.parent()] {
            fs::create_dir_all(folder.expect("parent")).expect("folder");
        }
        fs::write(&blob, entry.content.to_bytes()).expect("blob");
        let up = "../".repeat(2 + path.matches('/').count());
        let target = format!("{up}blobs/{}", entry.etag());
        std::os::unix::fs::symlink(target, link).expect("link");
        let mut row = serde_json::json!({"size": entry.content.len(), "blob_id": entry.oid()});
        if entry.lfs {
            row["lfs_sha256"] = entry.content.sha256().into();
            row["lfs_size"] = entry.content.len().into();
        }
        listing.insert(path.to_owned(), row);
    }
    let listing = serde_json::json!({"format_version": 1, "files": listing});
    for (place, text) in [
        ("refs/main".to_owned(), commit.clone()),
        (format!("trees/{commit}.json"), listing.to_string()),
    ] {
        let place = root.join(place);
        fs::create_dir_all(place.parent().expect("parent")).expect("folder");
        fs::write(place, text).expect("file");
    }
    CacheTree::at(world.env.cache());
}

/// The snapshot of `org/name`, with the blob of one file gone and its link with it.
pub fn name_half_cached(world: &mut World) {
    name_cached(world);
    let root = world.env.cache().join("models--org--name");
    let commit = &world.names["main"];
    let link = root
        .join("snapshots")
        .join(commit)
        .join("model.safetensors");
    fs::remove_file(fs::canonicalize(&link).expect("blob")).expect("blob");
    fs::remove_file(link).expect("link");
}

/// The snapshot of `org/name`, with one byte of a file changed.
pub fn name_spoiled(world: &mut World) {
    name_cached(world);
    let root = world.env.cache().join("models--org--name");
    let link = root
        .join("snapshots")
        .join(&world.names["main"])
        .join("model.safetensors");
    let mut bytes = fs::read(&link).expect("blob");
    bytes[7] ^= 1;
    fs::write(&link, bytes).expect("blob");
}

/// The snapshot of `org/name`, with a file that the Hub does not have.
pub fn name_with_extra(world: &mut World) {
    name_cached(world);
    let root = world.env.cache().join("models--org--name");
    let snapshot = root.join("snapshots").join(&world.names["main"]);
    fs::write(snapshot.join("extra.txt"), "mine").expect("file");
}

/// The registry of coding agents was never fetched.
pub fn no_registry(world: &mut World) {
    fs::remove_file(world.env.hf_home().join(AGENTS)).expect("registry");
}
