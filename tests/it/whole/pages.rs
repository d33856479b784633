//! The pages for those who work on the program are true: the table of arrows is the one that the sources are checked
//! against, the functions and types that a walk names are in the files that it links, and no folder or fault of the tests
//! is missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::whole::layers::ROOMS;

fn page() -> String {
    text("docs/architecture.md").unwrap()
}

/// A file of the repository.
fn text(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// The heading and text of each section.
fn sections(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("\n## ")
        .skip(1)
        .map(|section| section.split_once('\n').unwrap())
}

/// The cells of the rows of a section's table, its head apart.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = sections(page).find(|(name, _)| *name == heading).unwrap();
    let rows = section.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        Some(cells.map(str::to_owned).collect())
    });
    rows.skip(2).collect()
}

/// The steps of the walks: items of numbered lists, and paragraphs.
fn steps(page: &str) -> Vec<String> {
    let walks = sections(page).filter(|(name, _)| name.ends_with("from room to room"));
    let mut steps: Vec<String> = Vec::new();
    for line in walks.flat_map(|(_, section)| section.lines()) {
        match steps.last_mut() {
            Some(step) if line.starts_with(' ') => *step += line,
            Some(step) if !line.is_empty() && !step.is_empty() && !is_item(line) => *step += line,
            _ => steps.push(line.to_owned()),
        }
    }
    steps.retain(|step| !step.is_empty());
    steps
}

fn is_item(line: &str) -> bool {
    line.split_once(". ")
        .is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// The source files that a step links.
fn files(step: &str) -> Vec<&str> {
    let links = step.split("](../").skip(1);
    links
        .filter_map(|link| link.split(')').next())
        .filter(|path| path.ends_with(".rs"))
        .collect()
}

/// What a step says is in its files: `function()`, `Type`, or both as `Type::function()`.
fn names(step: &str) -> Vec<&str> {
    let code = step.split('`').skip(1).step_by(2);
    code.filter(|code| {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
        let word = code.trim_end_matches("()");
        let mut letters = word.chars();
        let is_type = letters.next().is_some_and(char::is_uppercase)
            && letters.next().is_some_and(char::is_lowercase);
        word.chars().all(is_word) && (is_type || word != *code)
    })
    .collect()
}

/// Whether a source text defines a name. The type of `Type::function()` may be defined elsewhere.
fn defines(source: &str, name: &str) -> bool {
    let words: Vec<&str> = match name.strip_suffix("()") {
        Some(path) => vec!["fn", path.rsplit("::").next().unwrap()],
        None => vec!["struct enum trait type", name],
    };
    let mut pieces = source
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|piece| !piece.is_empty());
    let mut last = "";
    pieces.any(|piece| {
        let is_here = piece == words[1] && words[0].split(' ').any(|keyword| keyword == last);
        last = piece;
        is_here
    })
}

/// What a step names and none of its files defines.
fn undefined(step: &str) -> Vec<String> {
    let sources: Vec<String> = files(step).into_iter().filter_map(text).collect();
    let missing = names(step)
        .into_iter()
        .filter(|name| !sources.iter().any(|source| defines(source, name)));
    missing.map(str::to_owned).collect()
}

#[test]
fn the_table_of_arrows_is_the_one_that_is_checked() {
    let expected: Vec<Vec<String>> = ROOMS
        .iter()
        .rev()
        .map(|(room, allowed)| {
            let names: Vec<String> = allowed.iter().map(|name| format!("`{name}`")).collect();
            let allowed = match names.is_empty() {
                true => "nothing".to_owned(),
                false => names.join(", "),
            };
            vec![format!("`{room}`"), allowed]
        })
        .collect();
    let lines: Vec<String> = expected
        .iter()
        .map(|row| format!("| {} |", row.join(" | ")))
        .collect();
    assert_eq!(
        rows(&page(), "Allowed arrows"),
        expected,
        "docs/architecture.md should say:\n{}",
        lines.join("\n")
    );
}

#[test]
fn every_room_is_described() {
    let described: BTreeSet<String> = rows(&page(), "The rooms")
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let rooms = ROOMS
        .iter()
        .map(|(room, _)| (*room).to_owned())
        .filter(|room| room != "main");
    assert_eq!(described, rooms.collect());
}

#[test]
fn what_the_walks_name_is_in_the_files_they_link() {
    let steps = steps(&page());
    let wrong: Vec<(Vec<String>, &String)> = steps
        .iter()
        .map(|step| (undefined(step), step))
        .filter(|(missing, _)| !missing.is_empty())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let named = steps.iter().map(|step| names(step).len()).sum::<usize>();
    assert!(named > 40, "the walks name only {named} things");
}

#[test]
fn what_is_not_there_is_found() {
    let here = "[a](../tests/it/whole/pages.rs)";
    let page = format!(
        "\n## A walk, from room to room\n`hf x`\n\n1. {here}: `undefined()`, `Page`\n   and \
         `gone()`, `--flag`, `HF_HOME`, `a/`\n2. {here} `Step::steps()`\n\n{here}\n`Gone`\n\n\
         ## Other\n`no()`\n"
    );
    let steps = steps(&page);
    assert_eq!(steps.len(), 4, "{steps:#?}");
    let missing: Vec<String> = steps.iter().flat_map(|step| undefined(step)).collect();
    assert_eq!(missing, ["Page", "gone()", "Gone"]);
    assert_eq!(files(&steps[1]), ["tests/it/whole/pages.rs"]);
    assert!(defines("pub async fn run<T>(", "run()") && !defines("run()", "run()"));
    assert!(defines("enum Run {", "Run") && !defines("fn Run {", "Run"));
}

#[test]
fn the_page_about_the_tests_knows_all_folders_and_faults() {
    let page = text("tests/it/README.md").unwrap();
    let first = |heading: &str| -> BTreeSet<String> {
        let cells = rows(&page, heading).into_iter();
        cells
            .map(|mut row| row.remove(0))
            .map(|cell| cell.split('`').nth(1).unwrap().to_owned())
            .collect()
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let folders = fs::read_dir(here)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| format!("{}/", entry.file_name().into_string().unwrap()));
    assert_eq!(first("Folders"), folders.collect());
    let source = text("tests/it/harness/hub/faults.rs").unwrap();
    let (_, faults) = source.split_once("pub enum Fault {\n").unwrap();
    let (faults, _) = faults.split_once("\n}\n").unwrap();
    let names = faults
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(char::is_uppercase))
        .map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap());
    assert_eq!(
        first("Faults of the local Hub"),
        names.map(str::to_owned).collect()
    );
}
