//! Which room of the sources may import which: read off the sources and compared with one table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::whole::imports::imports;

/// The rooms below `src`, from the ground up, and what each may import: the table in
/// `docs/architecture.md`. A room stands below all that import it, so no circle of rooms is possible.
pub const ROOMS: [(&str, &[&str]); 13] = [
    ("types", &[]),
    ("sys", &[]),
    ("config", &["types", "sys"]),
    ("cache", &["types", "sys"]),
    ("hub", &["config", "types", "sys"]),
    ("auth", &["hub", "config", "types", "sys"]),
    ("download", &["hub", "cache", "config", "types", "sys"]),
    (
        "api",
        &["download", "auth", "hub", "cache", "config", "types", "sys"],
    ),
    ("console", &["config", "types"]),
    (
        "commands",
        &[
            "console", "download", "auth", "hub", "cache", "config", "types", "sys",
        ],
    ),
    (
        "cli",
        &[
            "commands", "console", "auth", "cache", "config", "types", "sys",
        ],
    ),
    // The door for tests and benches.
    (
        "testing",
        &[
            "cli", "commands", "download", "auth", "hub", "cache", "config", "types", "sys",
        ],
    ),
    ("main", &[]),
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All source files but unit tests in files of their own: those may know everything.
fn files() -> Vec<PathBuf> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(&src(), &mut files);
    files.retain(|file| !file.ends_with("tests.rs"));
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
    let tests = ["#[cfg(test)]\nmod ", "#[cfg(all(test, unix))]\nmod "];
    let end = tests.iter().filter_map(|start| text.find(start)).min();
    text[..end.unwrap_or(text.len())].to_owned()
}

/// Each module with what it names of this program, as `room::file::Item`, and of other crates.
fn named() -> BTreeMap<String, BTreeSet<String>> {
    let named = files().into_iter().map(|file| {
        let module = module_of(&file);
        let paths = imports(&code_of(&file), &module);
        let of_binary = |path: &str| {
            path.strip_prefix("hf_cli::")
                .map(|rest| format!("crate::{rest}"))
        };
        let paths = paths
            .into_iter()
            .map(|import| of_binary(&import.path).unwrap_or(import.path));
        (module.join("::"), paths.collect())
    });
    named.collect()
}

/// What breaks the table, as `from -> to`.
fn forbidden(named: &BTreeMap<String, BTreeSet<String>>, rooms: &[(&str, &[&str])]) -> Vec<String> {
    let mut found = Vec::new();
    for (module, paths) in named {
        let room = module.split("::").next().unwrap_or_default();
        let Some((_, allowed)) = rooms.iter().find(|(name, _)| *name == room) else {
            // The root declares the rooms.
            if !module.is_empty() {
                found.push(format!("{module}: a room that the table lacks"));
            }
            continue;
        };
        for path in paths {
            let Some(path) = path.strip_prefix("crate::") else {
                continue;
            };
            let other = path.split("::").next().unwrap_or_default();
            let is_room = rooms.iter().any(|(name, _)| *name == other);
            if is_room && other != room && !allowed.contains(&other) {
                found.push(format!("{module} -> {path}"));
            }
        }
    }
    found
}

/// From each file to the files that it imports; arrows between a file and one below it in the tree are
/// left out, since a parent declares its children and children use what their parent shares.
fn graph(named: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    let is_kin = |a: &str, b: &str| {
        let below = |child: &str, parent: &str| child.starts_with(&format!("{parent}::"));
        a == b || below(a, b) || below(b, a)
    };
    let mut graph = BTreeMap::new();
    for (module, paths) in named {
        let goals = paths.iter().filter_map(|path| {
            let mut path = path.strip_prefix("crate::")?;
            while !named.contains_key(path) {
                path = path.rsplit_once("::")?.0;
            }
            (!is_kin(module, path)).then(|| path.to_owned())
        });
        graph.insert(module.clone(), goals.collect::<BTreeSet<String>>());
    }
    graph
}

/// Files that import one another in a circle, each circle once.
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(file) = next.pop() {
            for goal in graph.get(&file).into_iter().flatten() {
                if seen.insert(goal.clone()) {
                    next.push(goal.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        graph.keys().map(|file| (file, reach(file))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, goals) in &reached {
        if goals.contains(*file) {
            let both =
                |other: &&String| reached.get(other).is_some_and(|back| back.contains(*file));
            circles.insert(goals.iter().filter(both).cloned().collect());
        }
    }
    circles.into_iter().collect()
}

#[test]
fn rooms_import_what_the_table_allows() {
    let named = named();
    assert_eq!(forbidden(&named, &ROOMS), Vec::<String>::new());
    for (at, (room, allowed)) in ROOMS.iter().enumerate() {
        for other in *allowed {
            let floor = ROOMS.iter().position(|(name, _)| name == other).unwrap();
            assert!(floor < at, "{room} stands below {other}");
            // An arrow that nothing uses is taken out of the table.
            let is_used = named.iter().any(|(module, paths)| {
                let below = format!("crate::{other}::");
                module.split("::").next() == Some(room)
                    && paths.iter().any(|path| path.starts_with(&below))
            });
            assert!(is_used, "{room} -> {other} is not used");
        }
    }
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    assert_eq!(circles(&graph(&named())), Vec::<Vec<String>>::new());
}

/// That the engine knows no terminal is proved by the compiler, which builds it without the feature `cli`.
#[test]
fn only_the_hub_speaks_http() {
    for (module, paths) in named() {
        let uses = paths.iter().any(|path| path.starts_with("reqwest::"));
        assert!(!uses || module.starts_with("hub"), "{module}");
    }
}

#[test]
fn the_checks_see_what_they_look_for() {
    let of = |list: &[(&str, &[&str])]| -> BTreeMap<String, BTreeSet<String>> {
        let owned = list.iter().map(|(module, paths)| {
            let paths = paths.iter().map(|path| format!("crate::{path}"));
            ((*module).to_owned(), paths.collect())
        });
        owned.collect()
    };
    let upward = of(&[("types::a", &["hub::http::Hub"]), ("attic", &[])]);
    assert_eq!(
        forbidden(&upward, &ROOMS),
        [
            "attic: a room that the table lacks",
            "types::a -> hub::http::Hub"
        ]
    );
    let ring = of(&[
        ("a", &["a::x::X", "a::y::Y"]),
        ("a::x", &["a::y::Y", "a::Own"]),
        ("a::y", &["b::Z"]),
        ("b", &["a::x::X"]),
    ]);
    assert_eq!(circles(&graph(&ring)), [["a::x", "a::y", "b"]]);
    let kin = of(&[("a", &["a::x::X"]), ("a::x", &["a::Own"])]);
    assert_eq!(circles(&graph(&kin)), Vec::<Vec<String>>::new());
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
    for file in files() {
        if module_of(&file)
            .first()
            .is_some_and(|room| room == "console")
        {
            continue;
        }
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

/// Files outside `sys` with code for one system only, and why it cannot be there.
const OF_ONE_SYSTEM: [(&str, &str); 3] = [
    (
        "cache/check/doctor/mod.rs",
        "Windows has no modes to examine",
    ),
    (
        "console/interrupt.rs",
        "signals end commands; the engine leaves them alone",
    ),
    (
        "console/terminal.rs",
        "the engine, which `sys` is a part of, knows no terminal",
    ),
];

/// Code that the compiler leaves out on another system is checked on one system only, so it has one place.
/// `cfg!(windows)` in an expression is allowed everywhere: all systems compile both sides.
#[test]
fn only_sys_has_code_for_one_system() {
    let is_of_one_system = |line: &str| {
        let line = line.trim_start();
        line.starts_with("#[cfg(")
            && ["unix", "windows", "target_os"].map(|word| line.contains(word)) != [false; 3]
    };
    let found: BTreeSet<String> = files()
        .into_iter()
        .filter(|file| code_of(file).lines().any(is_of_one_system))
        .map(|file| {
            file.strip_prefix(src())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .filter(|file| !file.starts_with("sys/"))
        .collect();
    let allowed = OF_ONE_SYSTEM.map(|(file, _)| file.to_owned());
    assert_eq!(found, BTreeSet::from(allowed));
}
