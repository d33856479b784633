//! One cache, three clients: what one writes the others use, byte for byte, without a request.

use std::path::Path;

use crate::harness::TestEnv;
use crate::harness::hub::Hub;
use crate::harness::oracle::{Oracle, real_model};
use crate::harness::tree::{NodeKind, tree_of};

use crate::download::basic::example_hub;

/// Paths, link targets and contents of a cache. Modes are left out: the Python client writes its
/// listings 0600, which keeps a group from sharing them, and lock files with the mode of the umask.
fn comparable(root: &Path, with_trees: bool) -> Vec<String> {
    let nodes = tree_of(root).into_iter().filter(|node| {
        with_trees || !(node.path.contains("/trees") || node.path == "CACHEDIR.TAG")
    });
    nodes
        .map(|node| format!("{} {:?}", node.path, node.kind))
        .collect()
}

fn prepare(oracle: &Oracle, legacy: bool, hub: &Hub, arguments: &[&str]) -> TestEnv {
    let env = TestEnv::for_hub(hub);
    let command = ["download", "org/name"].iter().chain(arguments);
    let invocation = if legacy {
        oracle.huggingface_cli(&env, command)
    } else {
        oracle.hf(&env, command)
    };
    invocation.run().ok();
    env
}

#[test]
fn the_same_tree_as_both_python_clients() {
    let (Some(modern), Some(legacy)) = (Oracle::modern(), Oracle::legacy()) else {
        return;
    };
    let hub = example_hub();
    for arguments in [
        &[][..],
        &["--revision", "refs/pr/1"],
        &["config.json"],
        &["config.json", "empty.txt"],
        &["--include", "*.json"],
    ] {
        let ours = TestEnv::for_hub(&hub);
        ours.run(["download", "org/name"].iter().chain(arguments))
            .ok();
        for (oracle, is_legacy) in [(&modern, false), (&legacy, true)] {
            let theirs = prepare(oracle, is_legacy, &hub, arguments);
            assert_eq!(
                comparable(&ours.cache(), !is_legacy),
                comparable(&theirs.cache(), !is_legacy),
                "{arguments:?}, legacy: {is_legacy}"
            );
        }
    }
}

#[test]
fn each_uses_the_others_cache_offline() {
    let (Some(modern), Some(legacy)) = (Oracle::modern(), Oracle::legacy()) else {
        return;
    };
    let hub = example_hub();
    let mut ours = TestEnv::for_hub(&hub);
    let expected = ours.run(["download", "org/name"]).ok();
    let mut caches = vec![
        (prepare(&modern, false, &hub, &[]), "modern"),
        (prepare(&legacy, true, &hub, &[]), "legacy"),
    ];
    let requests = hub.requests().len();
    // Theirs, read by us.
    for (env, name) in &mut caches {
        env.set("HF_HUB_OFFLINE", "1");
        let output = env.run(["download", "org/name"]).ok();
        let snapshot = output.stdout().trim_end().to_owned();
        assert!(
            expected
                .stdout()
                .trim_end()
                .ends_with(snapshot.rsplit('/').next().unwrap()),
            "{name}"
        );
        env.run(["download", "org/name", "config.json"]).ok();
    }
    // Ours, read by them: as a snapshot, and file by file as libraries ask.
    ours.set("HF_HUB_OFFLINE", "1");
    let code = "from huggingface_hub import snapshot_download, hf_hub_download\n\
                hf_hub_download('org/name', 'model.safetensors')\n\
                print(snapshot_download('org/name'))";
    for oracle in [&modern, &legacy] {
        let output = oracle.python(&ours, code).run().ok();
        assert_eq!(output.stdout(), expected.stdout());
    }
    assert_eq!(
        hub.requests().len(),
        requests,
        "not one request: {}",
        hub.log_text()
    );
}

#[test]
fn a_snapshot_begun_by_one_is_completed_by_another() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name", "--include", "*.json"])
        .ok();
    modern
        .hf(&env, ["download", "org/name", "empty.txt"])
        .run()
        .ok();
    env.run(["download", "org/name"]).ok();
    modern.hf(&env, ["download", "org/name"]).run().ok();
    modern
        .hf(
            &env,
            ["cache", "verify", "org/name", "--fail-on-missing-files"],
        )
        .run()
        .ok();
    let fetched = hub
        .requests()
        .into_iter()
        .filter(|r| r.content && r.method == "GET")
        .count();
    let blobs = tree_of(env.cache().join("models--org--name/blobs")).len();
    assert!(
        fetched <= blobs,
        "nothing was fetched twice: {}",
        hub.log_text()
    );
}

#[test]
fn an_absent_file_is_remembered_as_the_python_client_does() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = example_hub();
    let (ours, theirs) = (TestEnv::for_hub(&hub), TestEnv::for_hub(&hub));
    ours.run(["download", "org/name", "nope.json"]).fails(1);
    modern
        .hf(&theirs, ["download", "org/name", "nope.json"])
        .run()
        .fails(1);
    let marker = |env: &TestEnv| {
        let nodes = tree_of(env.cache()).into_iter();
        nodes
            .filter(|n| n.path.contains(".no_exist") && matches!(n.kind, NodeKind::File { .. }))
            .collect::<Vec<_>>()
    };
    assert_eq!(marker(&ours).len(), 1);
    assert_eq!(marker(&ours), marker(&theirs));
}

#[test]
fn a_real_model_arrives_and_loads() {
    let (Some(model), Some(modern)) = (real_model(), Oracle::modern()) else {
        return;
    };
    let hub = Hub::start();
    let (repo, files) = serve_folder(&model, "sentence-transformers/all-MiniLM-L6-v2");
    hub.add(repo);
    let mut env = TestEnv::for_hub(&hub);
    let output = env
        .run(["download", "sentence-transformers/all-MiniLM-L6-v2"])
        .ok();
    let snapshot = Path::new(output.stdout().trim_end());
    for file in &files {
        let (sent, arrived) = (
            std::fs::read(model.join(file)).unwrap(),
            std::fs::read(snapshot.join(file)).unwrap(),
        );
        assert!(sent == arrived, "{file}");
    }
    env.set("HF_HUB_OFFLINE", "1");
    let requests = hub.requests().len();
    let code = "from huggingface_hub import snapshot_download\n\
                print(snapshot_download('sentence-transformers/all-MiniLM-L6-v2'))";
    let resolved = modern.python(&env, code).run().ok();
    assert_eq!(resolved.stdout(), output.stdout());
    assert_eq!(hub.requests().len(), requests);
    let weights = std::fs::read(snapshot.join("model.safetensors")).unwrap();
    let header = safetensors_header(&weights);
    let embeddings = &header["embeddings.word_embeddings.weight"];
    assert_eq!(
        embeddings["shape"],
        serde_json::json!([30522, 384]),
        "{embeddings}"
    );
}

/// A repository of all files below a folder: large and binary ones in large-file storage, as the
/// Hub keeps them.
fn serve_folder(folder: &Path, id: &str) -> (crate::harness::hub::Repo, Vec<String>) {
    use crate::harness::hub::{Content, Repo};
    let mut repo = Repo::model(id);
    let mut files = Vec::new();
    for node in tree_of(folder) {
        let NodeKind::File { size, .. } = node.kind else {
            continue;
        };
        let content = Content::disk(folder.join(&node.path));
        let is_large = size > 1_000_000 || node.path.ends_with(".safetensors");
        repo = if is_large {
            repo.lfs(&node.path, content)
        } else {
            repo.file(&node.path, content)
        };
        files.push(node.path);
    }
    (repo, files)
}

/// The JSON header of a safetensors file: its length in 8 bytes, little-endian, then itself; data
/// offsets are checked against the size of the file.
fn safetensors_header(file: &[u8]) -> serde_json::Value {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let end = header
        .as_object()
        .unwrap()
        .values()
        .filter_map(|tensor| tensor["data_offsets"][1].as_u64())
        .max();
    assert_eq!(
        8 + length as u64 + end.unwrap(),
        file.len() as u64,
        "the data fills the file"
    );
    header
}
