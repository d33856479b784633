//! Other programs that keep their files in the same cache, each one of those that people have, in a fixed version.
//!
//! Installed as the oracles are, below `target/oracle`, by the first test that needs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::env::TestEnv;
use super::oracle::{self, Oracle, call, once, skip};
use super::process::Invocation;

/// Version of `@huggingface/hub`.
const JS: &str = "2.17.5";
/// A program that is nothing but a call of the crate `hf-hub`.
#[derive(Clone, Copy)]
struct Program {
    version: &'static str,
    /// Without default features it needs no TLS library of the system.
    features: &'static str,
    main: &'static str,
}

const CRATE_0_5: Program = Program {
    version: "0.5.0",
    features: "ureq",
    main: r#"use hf_hub::api::sync::ApiBuilder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let api = ApiBuilder::from_env().with_progress(false).build()?;
    println!("{}", api.model(args[1].clone()).get(&args[2])?.display());
    Ok(())
}
"#,
};

const CRATE_1: Program = Program {
    version: "1.0.0",
    features: "blocking",
    main: r#"use hf_hub::HFClientSync;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let (owner, name) = args[1].split_once('/').expect("an id");
    let model = HFClientSync::new()?.model(owner, name);
    println!("{}", model.download_file().filename(args[2].clone()).send()?.display());
    Ok(())
}
"#,
};

/// A program that shares the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// `huggingface_hub` 0.20.3, told to resume: writes `blobs/<etag>.incomplete` and holds a lock.
    OldHub,
    /// As transformers 4 does it: `version.txt` in the cache's root, then `huggingface_hub` 0.20.3 as it is by
    /// default, which writes `tmpXXXXXXXX` in the root and holds a lock.
    Transformers4,
    /// `huggingface_hub` 2.4.0: `blobs/<etag>.<8 hex>.incomplete` and a lock.
    ModernHub,
    /// `@huggingface/hub` for JavaScript: `blobs/<etag>.incomplete` and no lock at all.
    JavaScript,
    /// The crate `hf-hub` 0.5.0: `blobs/<etag>.part` and `blobs/<etag>.lock` beside it.
    HfHubCrate,
    /// The crate `hf-hub` 1.0.0: `blobs/<etag>.incomplete` and a lock.
    HfHubCrate1,
}

impl Neighbour {
    /// Installs it. Where that cannot be done the test is skipped, or fails, as [`skip`] has it.
    pub fn installed(self) -> Option<Self> {
        match self {
            Self::OldHub | Self::Transformers4 => Oracle::old().map(drop),
            Self::ModernHub => Oracle::modern().map(drop),
            Self::JavaScript => js().map(drop),
            Self::HfHubCrate => CRATE_0_5.built().map(drop),
            Self::HfHubCrate1 => CRATE_1.built().map(drop),
        }?;
        Some(self)
    }

    /// Gets a file of `org/name`, by its cache or from the Hub, and prints its path in the last line.
    pub fn get<'a>(self, env: &'a TestEnv, file: &str) -> Invocation<'a> {
        const INSTALLED: &str = "installed";
        let python = |python: Option<Oracle>, more: &str, options: &str| {
            let code = format!(
                "from huggingface_hub import hf_hub_download\n{more}\n\
                 print(hf_hub_download('org/name', '{file}'{options}))"
            );
            python.expect(INSTALLED).python(env, &code)
        };
        match self {
            Self::OldHub => python(Oracle::old(), "", ", resume_download=True"),
            Self::Transformers4 => {
                let version = "import os\nfrom huggingface_hub import constants\n\
                     os.makedirs(constants.HF_HUB_CACHE, exist_ok=True)\n\
                     open(os.path.join(constants.HF_HUB_CACHE, 'version.txt'), 'w').write('1')";
                python(Oracle::old(), version, "")
            }
            Self::ModernHub => python(Oracle::modern(), "", ""),
            Self::JavaScript => {
                let module = js()
                    .expect(INSTALLED)
                    .join("node_modules/@huggingface/hub/dist/index.mjs");
                let code = format!(
                    "const {{ downloadFileToCacheDir }} = await import('file://{}');\n\
                     console.debug = () => {{}};\n\
                     console.log(await downloadFileToCacheDir({{ repo: 'org/name', path: '{file}', \
                     hubUrl: process.env.HF_ENDPOINT }}));",
                    module.display()
                );
                env.program("node", ["--input-type=module", "--eval", &code])
            }
            Self::HfHubCrate => {
                env.program(CRATE_0_5.built().expect(INSTALLED), ["org/name", file])
            }
            Self::HfHubCrate1 => env.program(CRATE_1.built().expect(INSTALLED), ["org/name", file]),
        }
    }
}

/// The folder with `node_modules`.
fn js() -> Option<PathBuf> {
    static JS_FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let known = JS_FOLDER.get_or_init(|| {
        oracle::installed(["node", "npm"])?;
        let made = once(&format!("js-{JS}"), |folder| {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
            call(npm.arg(folder).arg(format!("@huggingface/hub@{JS}")))
        });
        made.map_or_else(|why| skip(&format!("@huggingface/hub: {why}")), Some)
    });
    known.clone()
}

impl Program {
    /// The program, built by the first test that needs it; tests at the same time wait for it.
    fn built(self) -> Option<PathBuf> {
        oracle::installed(["cargo"])?;
        match once(&format!("hf-hub-{}", self.version), |folder| {
            self.build(folder)
        }) {
            Ok(folder) => Some(folder.join("target/debug/neighbour")),
            Err(why) => skip(&format!("hf-hub {}: {why}", self.version)),
        }
    }

    fn build(self, folder: &Path) -> Result<(), String> {
        let Program {
            version,
            features,
            main,
        } = self;
        let manifest = format!(
            "[package]\nname = \"neighbour\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[dependencies]\n\
             hf-hub = {{ version = \"={version}\", default-features = false, features = [\"{features}\"] }}\n\n[workspace]\n"
        );
        let source = folder.join("src");
        let written = fs::create_dir_all(&source)
            .and_then(|()| fs::write(folder.join("Cargo.toml"), manifest))
            .and_then(|()| fs::write(source.join("main.rs"), main));
        written.map_err(|e| e.to_string())?;
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--manifest-path"]);
        cargo
            .arg(folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(folder.join("target"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        call(&mut cargo)
    }
}
