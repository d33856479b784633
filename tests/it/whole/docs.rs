//! Links in the documents lead to a file and a section that exist, and so does each mark in the
//! sources that cites a section (a comment such as "Source: docs/reference.md#locks").

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What a source tree consists of, for marks.
const SOURCES: [&str; 7] = [
    "src",
    "tests",
    "benches",
    "examples",
    "Cargo.toml",
    "clippy.toml",
    ".ci/run",
];
/// The document that comments cite.
const REFERENCE: &str = "docs/reference.md";

/// The page about the tests.
const TESTS: &str = "tests/it/README.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a path that are text, by their path from the root.
fn texts(path: &str) -> Vec<(PathBuf, String)> {
    let whole = root().join(path);
    if !whole.is_dir() {
        let text = fs::read_to_string(&whole).ok();
        return text.into_iter().map(|text| (path.into(), text)).collect();
    }
    let entries = fs::read_dir(&whole).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .flat_map(|name| texts(&format!("{path}/{name}")))
        .collect()
}

/// The Markdown documents: those in the root, below `docs/`, and the page about the tests.
fn documents() -> BTreeMap<PathBuf, String> {
    let in_root = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap());
    let names = in_root.map(|entry| entry.file_name().into_string().unwrap());
    let is_markdown = |name: &Path| name.extension().is_some_and(|ending| ending == "md");
    let all = names
        .filter(|name| is_markdown(Path::new(name)))
        .flat_map(|name| texts(&name));
    let below = texts("docs").into_iter().chain(texts(TESTS));
    all.chain(below.filter(|(path, _)| is_markdown(path)))
        .collect()
}

fn events(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES)
}

/// The anchors of a document's headings, in order.
fn headings(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut heading: Option<String> = None;
    for event in events(markdown) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => found.push(anchor(&heading.take().unwrap())),
            Event::Text(text) | Event::Code(text) => {
                heading.iter_mut().for_each(|words| words.push_str(&text));
            }
            _ => {}
        }
    }
    found
}

/// The same as GitHub makes them: a heading that is there already gets a number.
fn anchors(markdown: &str) -> Vec<String> {
    let headings = headings(markdown);
    let numbered = headings.iter().enumerate().map(|(index, heading)| {
        let before = headings[..index].iter().filter(|other| *other == heading);
        match before.count() {
            0 => heading.clone(),
            count => format!("{heading}-{count}"),
        }
    });
    numbered.collect()
}

/// The anchor of a heading: lower case, blanks as hyphens, no signs.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c })
        .collect::<String>()
        .to_lowercase()
}

/// Where the links and pictures of a document lead to, web addresses apart.
fn links(markdown: &str) -> Vec<String> {
    let targets = events(markdown).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url),
        _ => None,
    });
    targets
        .map(|target| target.to_string())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

/// The documents, with sections or without, that a source text cites.
fn marks(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./#".contains(c);
    let found = text.match_indices("docs/").filter_map(|(at, _)| {
        if text[..at].ends_with(is_part) {
            return None;
        }
        let rest = &text[at..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches(['.', '/']))
    });
    found.filter(|mark| mark.contains(".md")).collect()
}

/// What is wrong with a link in a document of this path; `None` when it leads somewhere.
fn broken(document: &Path, link: &str, documents: &BTreeMap<PathBuf, String>) -> Option<String> {
    let (path, section) = match link.split_once('#') {
        Some((path, section)) => (path, Some(section)),
        None => (link, None),
    };
    let target = match path {
        "" => document.to_path_buf(),
        path => {
            let whole = root().join(document.parent().unwrap()).join(path);
            let Ok(found) = whole.canonicalize() else {
                return Some(format!("there is no {path}"));
            };
            match found.strip_prefix(root().canonicalize().unwrap()) {
                Ok(inside) => inside.to_path_buf(),
                Err(_) => return Some(format!("{path} is not in the repository")),
            }
        }
    };
    let section = section?;
    match documents.get(&target) {
        None => Some(format!("{} is no document with sections", target.display())),
        Some(text) if anchors(text).iter().any(|anchor| anchor == section) => None,
        Some(_) => Some(format!("{} has no section {section}", target.display())),
    }
}

#[test]
fn every_mark_in_the_sources_leads_to_a_section() {
    let documents = documents();
    let mut cited = BTreeSet::new();
    let mut wrong = Vec::new();
    for (path, text) in SOURCES.into_iter().flat_map(texts) {
        for mark in marks(&text) {
            if let Some(why) = broken(Path::new("README.md"), mark, &documents) {
                wrong.push(format!("{}: {mark}: {why}", path.display()));
            }
            cited.insert(mark.to_owned());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let sections = cited.iter().filter(|mark| mark.starts_with(REFERENCE));
    assert!(sections.count() > 25, "only {cited:?}");
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let documents = documents();
    let mut wrong = Vec::new();
    for (path, text) in &documents {
        for link in links(text) {
            if let Some(why) = broken(path, &link, &documents) {
                wrong.push(format!("{}: {link}: {why}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let of_readme = links(&documents[Path::new("README.md")]);
    let architecture = "docs/architecture.md";
    for page in [REFERENCE, architecture, "CONTRIBUTING.md", "CHANGELOG.md"] {
        assert!(of_readme.iter().any(|link| link == page), "{page}");
    }
    let of_contributing = links(&documents[Path::new("CONTRIBUTING.md")]);
    for page in [REFERENCE, architecture, TESTS] {
        assert!(of_contributing.iter().any(|link| link == page), "{page}");
    }
}

#[test]
fn sections_of_the_reference_have_names_of_their_own() {
    let headings = headings(&documents()[Path::new(REFERENCE)]);
    let different: BTreeSet<&String> = headings.iter().collect();
    assert_eq!(different.len(), headings.len(), "{headings:?}");
}

#[test]
fn no_comment_cites_a_file_outside_the_repository() {
    let old = ["REFER", "ENCE "].concat();
    let everything = SOURCES.into_iter().flat_map(texts).chain(documents());
    for (path, text) in everything {
        let cites = text
            .split(&old)
            .skip(1)
            .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        assert!(!cites, "{}", path.display());
    }
}

#[test]
fn what_leads_nowhere_is_found() {
    let docs = "docs";
    let text = format!(
        "/// See {docs}/reference.md#locks. And ({docs}/a.md), https://x/{docs}/b.md, {docs}/, {docs}/x.txt"
    );
    assert_eq!(
        marks(&text),
        [format!("{docs}/reference.md#locks"), format!("{docs}/a.md")]
    );
    let markdown = "# A `b`, C\n\n## Rm & co_1\n\n# A b c\n\n```sh\n# no heading\n```\n\n\
                    [x](y.md#z) ![](p.png) <https://a.test> [w](https://b.test) `[no](link)`\n";
    assert_eq!(anchors(markdown), ["a-b-c", "rm--co_1", "a-b-c-1"]);
    assert_eq!(links(markdown), ["y.md#z", "p.png"]);
    let documents = BTreeMap::from([(PathBuf::from("README.md"), markdown.to_owned())]);
    for (link, is_broken) in [
        ("#a-b-c", false),
        ("#a-b", true),
        ("README.md", false),
        ("README.md#rm--co_1", false),
        ("README.md#gone", true),
        ("tests/it", false),
        ("tests/it/gone.rs", true),
        ("tests/it#x", true),
        ("..", true),
    ] {
        let found = broken(Path::new("README.md"), link, &documents);
        assert_eq!(found.is_some(), is_broken, "{link}: {found:?}");
    }
}
