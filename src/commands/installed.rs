//! How this program was installed, and the command that brings a newer version.
//!
//! [`decide`] is pure: it is given the program's path and which files stand around it. Every package
//! manager leaves such a mark; what has none is an unpacked archive.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of all packages but that of the crate (`package.metadata.packaging` in Cargo.toml).
const PACKAGE: &str = "hf-native";
/// What pip makes of it in file names.
const DISTRIBUTION: &str = "hf_native-";

/// A way to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `uv tool install`.
    UvTool,
    /// `uvx`, which runs from uv's own cache.
    Uvx,
    /// `pipx install`.
    Pipx,
    /// `pip install` into an environment.
    Pip,
    /// npm, for all projects.
    NpmGlobal,
    /// npm, in a project.
    Npm,
    /// The `.deb`.
    Deb,
    /// A conda environment.
    Conda,
    /// `cargo install` or `cargo binstall`.
    Cargo,
    /// Built in a checkout of the sources.
    Source,
    /// An unpacked archive, also by the install script.
    Archive,
}

impl Way {
    /// The word in JSON. It does not change.
    pub fn as_str(self) -> &'static str {
        match self {
            Way::UvTool => "uv tool",
            Way::Uvx => "uvx",
            Way::Pipx => "pipx",
            Way::Pip => "pip",
            Way::NpmGlobal => "npm (global)",
            Way::Npm => "npm",
            Way::Deb => "deb",
            Way::Conda => "conda",
            Way::Cargo => "cargo",
            Way::Source => "source",
            Way::Archive => "archive",
        }
    }
}

/// The marks around the program.
#[derive(Debug, Default, Clone)]
pub struct Marks {
    /// dpkg says that it put the program there.
    dpkg: bool,
    /// conda's record of the package in the folder above `bin`.
    conda: bool,
    /// pip's record of the package in the folder above `bin`.
    pip: bool,
    /// cargo's record of the package in the folder above `bin`, `hf-cli 1.0.0 (registry+…)`.
    cargo: Option<String>,
}

impl Marks {
    /// Looks for them around the program at `path`. What cannot be read is not there.
    pub fn around(path: &Path) -> Self {
        let Some(above) = path.parent().and_then(Path::parent) else {
            return Marks::default();
        };
        let list = format!("/var/lib/dpkg/info/{PACKAGE}.list");
        Marks {
            dpkg: fs::read_to_string(list)
                .is_ok_and(|list| list.lines().any(|line| Path::new(line) == path)),
            conda: has(&above.join("conda-meta"), PACKAGE),
            pip: site_packages(above).any(|folder| has(&folder, DISTRIBUTION)),
            cargo: fs::read_to_string(above.join(".crates.toml"))
                .ok()
                .and_then(|text| crate_of(&text)),
        }
    }
}

/// Whether a folder holds a name that begins so.
fn has(folder: &Path, start: &str) -> bool {
    fs::read_dir(folder).is_ok_and(|names| {
        names
            .flatten()
            .any(|name| name.file_name().to_string_lossy().starts_with(start))
    })
}

/// `lib/python3.12/site-packages`, also those of Debian's Python, and `Lib/site-packages` on Windows.
fn site_packages(above: &Path) -> impl Iterator<Item = PathBuf> {
    let versions = fs::read_dir(above.join("lib")).into_iter().flatten();
    let folders = versions.flatten().map(|version| version.path());
    folders
        .flat_map(|folder| [folder.join("site-packages"), folder.join("dist-packages")])
        .chain([above.join("Lib").join("site-packages")])
}

/// The entry of this crate in cargo's `.crates.toml`: `"hf-cli 1.0.0 (registry+…)" = ["hf"]`.
fn crate_of(text: &str) -> Option<String> {
    let start = concat!("\"", env!("CARGO_PKG_NAME"), " ");
    let line = text.lines().find(|line| line.starts_with(start))?;
    Some(line[1..].split('"').next()?.to_owned())
}

/// How the program at `path` was installed.
pub fn decide(path: &Path, marks: &Marks) -> Way {
    let parts: Vec<&OsStr> = path.iter().collect();
    let follows = |first: &str, second: &str| {
        let mut pairs = parts.windows(2);
        pairs.any(|pair| pair[0] == first && pair[1].to_string_lossy().starts_with(second))
    };
    let position = |name: &str| parts.iter().position(|part| *part == name);
    if marks.dpkg {
        return Way::Deb;
    }
    if let Some(at) = position("node_modules") {
        // Unix keeps global packages in PREFIX/lib, Windows in AppData\npm.
        let above = at.checked_sub(1).map(|at| parts[at]);
        let global = above.is_some_and(|name| name == "lib" || name == "npm");
        return if global { Way::NpmGlobal } else { Way::Npm };
    }
    if follows("uv", "archive-v") {
        return Way::Uvx;
    }
    if marks.pip {
        return if follows("uv", "tools") {
            Way::UvTool
        } else if follows("pipx", "venvs") {
            Way::Pipx
        } else {
            Way::Pip
        };
    }
    if marks.conda {
        return Way::Conda;
    }
    if marks.cargo.is_some() {
        return Way::Cargo;
    }
    match parts.as_slice() {
        [.., profile, _] if *profile == "debug" || *profile == "release" => Way::Source,
        _ => Way::Archive,
    }
}

/// The command that brings a newer version, or in words what to do where there is none.
pub fn update(way: Way, path: &Path, marks: &Marks) -> String {
    let folder = path.parent().unwrap_or(Path::new("."));
    match way {
        Way::UvTool => format!("uv tool upgrade {PACKAGE}"),
        Way::Uvx => format!("uvx --from {PACKAGE}@latest hf"),
        Way::Pipx => format!("pipx upgrade {PACKAGE}"),
        Way::Pip => {
            let python = quoted(&folder.join("python"));
            format!("{python} -m pip install --upgrade {PACKAGE}")
        }
        Way::NpmGlobal => format!("npm install --global {PACKAGE}@latest"),
        Way::Npm => format!("npm install {PACKAGE}@latest"),
        Way::Deb => format!("sudo apt install ./{PACKAGE}_VERSION_{}.deb", deb_arch()),
        Way::Conda => format!("conda update {PACKAGE}"),
        Way::Cargo => {
            let source = marks.cargo.as_deref().unwrap_or_default();
            let checkout = source
                .split_once("(path+file://")
                .and_then(|(_, rest)| rest.split(['#', ')']).next());
            match checkout {
                Some(checkout) => format!(
                    "cargo install --locked --path {}",
                    quoted(Path::new(checkout))
                ),
                None => concat!("cargo install --locked ", env!("CARGO_PKG_NAME")).to_owned(),
            }
        }
        Way::Source => "cargo build --release --locked".to_owned(),
        Way::Archive => format!("sh install.sh --to {}", quoted(folder)),
    }
}

/// A word for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:\\~".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn deb_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(words: &str) -> Marks {
        Marks {
            dpkg: words.contains("dpkg"),
            conda: words.contains("conda"),
            pip: words.contains("pip"),
            cargo: words
                .contains("cargo")
                .then(|| "hf-cli 0.1.0 (registry+https://x)".to_owned()),
        }
    }

    #[test]
    fn each_package_manager_is_told_by_what_it_leaves() {
        for (path, words, way, command) in [
            (
                "/home/a/.local/share/uv/tools/hf-native/bin/hf",
                "pip",
                Way::UvTool,
                "uv tool upgrade hf-native",
            ),
            (
                "/home/a/.cache/uv/archive-v0/x1/bin/hf",
                "pip",
                Way::Uvx,
                "uvx --from hf-native@latest hf",
            ),
            (
                "/home/a/.local/share/pipx/venvs/hf-native/bin/hf",
                "pip",
                Way::Pipx,
                "pipx upgrade hf-native",
            ),
            (
                "/home/a/.local/pipx/venvs/hf-native/bin/hf",
                "pip",
                Way::Pipx,
                "pipx upgrade hf-native",
            ),
            (
                "/srv/env/bin/hf",
                "pip",
                Way::Pip,
                "/srv/env/bin/python -m pip install --upgrade hf-native",
            ),
            (
                "/srv/my env/bin/hf",
                "pip",
                Way::Pip,
                "'/srv/my env/bin/python' -m pip install --upgrade hf-native",
            ),
            // A virtual environment in a conda environment is pip's.
            (
                "/opt/conda/bin/hf",
                "conda",
                Way::Conda,
                "conda update hf-native",
            ),
            (
                "/opt/conda/bin/hf",
                "conda pip",
                Way::Pip,
                "/opt/conda/bin/python -m pip install --upgrade hf-native",
            ),
            (
                "/usr/lib/node_modules/hf-native/node_modules/@hf-native/linux-x64/hf",
                "",
                Way::NpmGlobal,
                "npm install --global hf-native@latest",
            ),
            (
                "/home/a/site/node_modules/@hf-native/linux-x64/hf",
                "",
                Way::Npm,
                "npm install hf-native@latest",
            ),
            (
                "/home/a/.cargo/bin/hf",
                "cargo",
                Way::Cargo,
                "cargo install --locked hf-cli",
            ),
            (
                "/home/a/hf/target/release/hf",
                "",
                Way::Source,
                "cargo build --release --locked",
            ),
            (
                "/build/x86_64-unknown-linux-musl/debug/hf",
                "",
                Way::Source,
                "cargo build --release --locked",
            ),
            (
                "/home/a/.local/bin/hf",
                "",
                Way::Archive,
                "sh install.sh --to /home/a/.local/bin",
            ),
            // Somebody's copy where cargo installs, without cargo's record.
            (
                "/home/a/.cargo/bin/hf",
                "",
                Way::Archive,
                "sh install.sh --to /home/a/.cargo/bin",
            ),
            // Only what dpkg lists is the package's.
            (
                "/usr/bin/hf",
                "",
                Way::Archive,
                "sh install.sh --to /usr/bin",
            ),
            ("/hf", "", Way::Archive, "sh install.sh --to /"),
        ] {
            let (path, marks) = (Path::new(path), marks(words));
            assert_eq!(decide(path, &marks), way, "{path:?} {words}");
            assert_eq!(update(way, path, &marks), command, "{path:?}");
        }
        let deb = marks("dpkg");
        assert_eq!(decide(Path::new("/usr/bin/hf"), &deb), Way::Deb);
        let command = update(Way::Deb, Path::new("/usr/bin/hf"), &deb);
        assert!(command.starts_with("sudo apt install ./hf-native_VERSION_"));
    }

    #[test]
    fn cargo_s_record_names_the_source() {
        let text = "[v1]\n\"bat 0.1.0 (registry+https://x)\" = [\"bat\"]\n\"hf-cli 0.1.0 (path+file:///src/hf)\" = [\"hf\"]\n";
        let marks = Marks {
            cargo: crate_of(text),
            ..Marks::default()
        };
        assert_eq!(
            marks.cargo.as_deref(),
            Some("hf-cli 0.1.0 (path+file:///src/hf)")
        );
        let command = update(Way::Cargo, Path::new("/c/bin/hf"), &marks);
        assert_eq!(command, "cargo install --locked --path /src/hf");
        assert_eq!(crate_of("[v1]\n\"hf-clique 1.0.0 (x)\" = []\n"), None);
    }

    #[test]
    fn marks_are_found_on_the_disk() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("bin/hf");
        let marks = || Marks::around(&program);
        assert!(!marks().pip && !marks().conda && !marks().dpkg && marks().cargo.is_none());
        let record = home
            .path()
            .join("lib/python3.12/site-packages/hf_native-0.1.0.dist-info");
        fs::create_dir_all(record).unwrap();
        assert!(marks().pip);
        let meta = home.path().join("conda-meta");
        fs::create_dir_all(&meta).unwrap();
        crate::sys::write_atomic(
            &meta.join("hf-native-0.1.0-0.json"),
            b"{}",
            crate::sys::Mode::Umask,
        )
        .unwrap();
        assert!(marks().conda);
    }
}
