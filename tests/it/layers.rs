//! The arrows of the house: which part may know which, read off the sources.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Lines of code below `src/<part>` that contain one of the words; comments and tests do not count.
fn offenders(part: &str, words: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(part);
    let mut files = Vec::new();
    if root.is_dir() {
        sources(&root, &mut files);
    } else {
        files.push(root.with_extension("rs"));
    }
    assert!(!files.is_empty());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let bad = lines.filter(|line| words.iter().any(|word| line.contains(word)));
        found.extend(bad.map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    found
}

#[test]
fn arrows_point_one_way() {
    let nothing: Vec<String> = Vec::new();
    assert_eq!(
        offenders(
            "hub",
            &[
                "crate::cache",
                "crate::download",
                "crate::auth",
                "crate::commands",
                "crate::console"
            ]
        ),
        nothing
    );
    assert_eq!(
        offenders(
            "cache",
            &[
                "crate::hub",
                "crate::download::",
                "crate::auth",
                "crate::commands",
                "reqwest::"
            ]
        ),
        nothing
    );
    assert_eq!(
        offenders(
            "auth",
            &[
                "crate::cache",
                "crate::download",
                "crate::commands",
                "crate::console"
            ]
        ),
        nothing
    );
    assert_eq!(
        offenders(
            "download",
            &["crate::auth", "crate::commands", "crate::console"]
        ),
        nothing
    );
    for part in [
        "env", "settings", "agent", "token", "repo", "listing", "progress", "hash", "fs",
    ] {
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
        assert_eq!(offenders(part, &prints), Vec::<String>::new(), "{part}");
    }
}
