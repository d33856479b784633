//! The arrows of the house: which part may know which, read off the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::imports::{Import, imports};

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of a part, `src/<part>.rs` or all below `src/<part>`, tests apart: those may know everything.
fn files_of(part: &str) -> Vec<PathBuf> {
    let root = src().join(part);
    let mut files = Vec::new();
    if root.is_dir() {
        sources(&root, &mut files);
    }
    let file = root.with_extension("rs");
    if file.is_file() {
        files.push(file);
    }
    files.retain(|file| !file.ends_with("tests.rs"));
    assert!(!files.is_empty(), "{part}");
    files
}

/// The path of the module that a file holds: `hub/http.rs` is `hub::http`, `hub/mod.rs` is `hub`.
fn module_of(file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(src()).unwrap().with_extension("");
    let names = relative
        .iter()
        .map(|name| name.to_str().unwrap().to_owned());
    let mut module: Vec<String> = names.collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// Code without its unit tests: `#[cfg(test)]` stands before the module that ends the file.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
    code.split("#[cfg(all(test, unix))]\nmod ")
        .next()
        .unwrap()
        .to_owned()
}

/// What the files of a part name that begins with one of these paths, such as `crate::hub`.
fn offenders(part: &str, forbidden: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files_of(part) {
        for Import { path, line } in imports(&code_of(&file), &module_of(&file)) {
            let is_below = |word: &&&str| path == ***word || path.starts_with(&format!("{word}::"));
            if forbidden.iter().any(|word| is_below(&word)) {
                found.insert(format!("{}:{line}: {path}", file.display()));
            }
        }
    }
    found
}

#[test]
fn arrows_point_one_way() {
    let nothing = BTreeSet::new();
    assert_ne!(offenders("download", &["crate::cache"]), nothing, "it sees");
    let houses: [(&str, &[&str]); 4] = [
        (
            "hub",
            &[
                "crate::cache",
                "crate::download",
                "crate::auth",
                "crate::commands",
                "crate::console",
            ],
        ),
        (
            "cache",
            &[
                "crate::hub",
                "crate::download",
                "crate::auth",
                "crate::commands",
                "crate::console",
                "reqwest",
            ],
        ),
        (
            "auth",
            &[
                "crate::cache",
                "crate::download",
                "crate::commands",
                "crate::console",
            ],
        ),
        (
            "download",
            &["crate::auth", "crate::commands", "crate::console"],
        ),
    ];
    for (part, above) in houses {
        assert_eq!(offenders(part, above), nothing, "{part}");
    }
    for part in ["config", "types", "sys"] {
        let above = [
            "crate::hub",
            "crate::cache",
            "crate::download",
            "crate::auth",
            "crate::commands",
            "crate::console",
            "crate::context",
        ];
        assert_eq!(offenders(part, &above), nothing, "{part}");
    }
}

#[test]
fn only_the_console_prints() {
    let prints = [
        "println!",
        "print!(",
        "eprint",
        "std::io::stdout",
        "std::io::stderr",
        "io::stdout(",
        "io::stderr(",
    ];
    for part in ["hub", "cache", "auth", "download", "commands", "context"] {
        for file in files_of(part) {
            let code = code_of(&file);
            let lines = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for line in lines {
                let prints = prints.iter().any(|word| line.contains(word));
                assert!(!prints, "{}: {line}", file.display());
            }
        }
    }
}
