//! `hf update` and `hf version --json`, for a program where package managers put it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::harness::TestEnv;

/// The program at another place below the home.
fn placed(env: &TestEnv, path: &str) -> std::path::PathBuf {
    fs::create_dir_all(env.path(path).parent().unwrap()).unwrap();
    env.install(path)
}

fn json(env: &TestEnv, program: &Path, command: &str) -> Value {
    let output = env.program(program.to_str().unwrap(), [command, "--json"]);
    serde_json::from_str(output.run().ok().stdout()).unwrap()
}

#[test]
fn the_way_of_installing_is_told_by_what_stands_around_the_program() {
    let env = TestEnv::new();
    for (path, mark, way, command) in [
        (
            "uv/tools/hf-native/bin/hf",
            "uv/tools/hf-native/lib/python3.12/site-packages/hf_native-1.dist-info/RECORD",
            "uv tool",
            "uv tool upgrade hf-native",
        ),
        (
            "pipx/venvs/hf-native/bin/hf",
            "pipx/venvs/hf-native/lib/python3.12/site-packages/hf_native-1.dist-info/RECORD",
            "pipx",
            "pipx upgrade hf-native",
        ),
        (
            "conda/bin/hf",
            "conda/conda-meta/hf-native-1-0.json",
            "conda",
            "conda update hf-native",
        ),
        (
            "n/node_modules/@hf-native/linux-x64/hf",
            "n/package.json",
            "npm",
            "npm install hf-native@latest",
        ),
        (
            "src/target/release/hf",
            "src/Cargo.toml",
            "source",
            "cargo build --release --locked",
        ),
    ] {
        let program = placed(&env, path);
        let mark = env.path(mark);
        fs::create_dir_all(mark.parent().unwrap()).unwrap();
        fs::write(mark, "").unwrap();
        let version = json(&env, &program, "version");
        assert_eq!(version["installed"], way);
        assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
        assert!(
            version["target"]
                .as_str()
                .unwrap()
                .contains(std::env::consts::ARCH)
        );
        let update = json(&env, &program, "update");
        assert_eq!(
            (&update["installed"], &update["command"]),
            (&way.into(), &command.into())
        );
        // The links that these managers put on PATH lead to the same answer.
        let link = env.path("link");
        symlink(&program, &link).unwrap();
        let quiet = env
            .program(link.to_str().unwrap(), ["update", "-q"])
            .run()
            .ok();
        assert_eq!(quiet.stdout(), format!("{command}\n"));
        fs::remove_file(link).unwrap();
    }
}
