//! Which files of a listing the user asked for. Pure.

use std::collections::HashSet;

use crate::types::listing::Listing;
use crate::types::pattern::Pattern;
use crate::types::{InvalidName, RepoPath};

/// The user's choice of files.
#[derive(Debug, Clone, Default)]
pub enum Selection {
    /// The whole repository.
    #[default]
    Everything,
    /// One file, named literally: no listing is needed.
    File(RepoPath),
    /// What these names and patterns choose from a listing.
    Some(Filter),
}

/// Names and patterns.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Files named one by one, as typed.
    names: Vec<String>,
    /// Whole folders, as patterns; the text is what was typed.
    folders: Vec<Pattern>,
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

/// What a selection comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selected {
    /// The chosen files, by their places in the listing, which ascend.
    pub places: Vec<u32>,
    /// Chosen files that cannot be stored, sorted.
    pub refused: Vec<String>,
    /// Names and folders that the listing does not have.
    pub missing: Vec<String>,
    /// Patterns that matched nothing.
    pub idle_patterns: Vec<String>,
}

impl Selection {
    /// A selection from command-line arguments. An argument that ends in `/` means a folder.
    ///
    /// # Errors
    /// A single argument is the name of a file and cannot be one.
    pub fn new(
        arguments: &[String],
        include: &[String],
        exclude: &[String],
    ) -> Result<Self, InvalidName> {
        match (arguments, include, exclude) {
            ([], [], []) => Ok(Selection::Everything),
            ([name], [], []) if !name.ends_with('/') => {
                Ok(Selection::File(below_here(name).parse()?))
            }
            _ => Ok(Selection::Some(Filter::new(arguments, include, exclude))),
        }
    }

    /// All files that match: names, patterns, and folders with a final slash. All files without any.
    pub fn matching(patterns: &[String]) -> Self {
        match patterns {
            [] => Selection::Everything,
            patterns => Selection::Some(Filter::new(patterns, &[], &[])),
        }
    }

    /// Chooses from a listing.
    pub fn apply(&self, listing: &Listing) -> Selected {
        match self {
            Selection::Everything => Filter::default().apply(listing),
            Selection::File(path) => {
                let place = listing.place(path);
                let missing = place.is_none().then(|| path.to_string());
                Selected {
                    places: place.into_iter().collect(),
                    missing: missing.into_iter().collect(),
                    ..Selected::default()
                }
            }
            Selection::Some(filter) => filter.apply(listing),
        }
    }
}

impl Selection {
    /// Whether what is chosen from a part of a listing is chosen from the whole as well, in little time.
    ///
    /// Not where a name may be a pattern, which it is unless a file is called so; nor with very many names: a
    /// part lacks most of them, and compares each as a pattern.
    pub fn works_in_parts(&self) -> bool {
        const MOST_NAMES: usize = 64;
        let may_be_pattern = |name: &String| name.contains(['*', '?', '[', '\\']);
        match self {
            Selection::Everything => true,
            Selection::File(_) => false,
            Selection::Some(filter) => {
                filter.names.len() <= MOST_NAMES && !filter.names.iter().any(may_be_pattern)
            }
        }
    }
}

/// `config.json` for `./config.json`, as a shell completes the name of a file that lies here as well.
fn below_here(text: &str) -> &str {
    let plain = text.strip_prefix("./").unwrap_or(text);
    if plain.is_empty() { text } else { plain }
}

impl Filter {
    fn new(arguments: &[String], include: &[String], exclude: &[String]) -> Self {
        let (folders, names): (Vec<_>, Vec<_>) = arguments
            .iter()
            .map(|argument| below_here(argument).to_owned())
            .partition(|argument| argument.ends_with('/'));
        let patterns = |texts: &[String]| {
            let texts = texts.iter().map(|text| below_here(text));
            texts.map(Pattern::new).collect()
        };
        Filter {
            names,
            folders: patterns(&folders),
            include: patterns(include),
            exclude: patterns(exclude),
        }
    }

    /// Names and folders and `--include` add up; `--exclude` takes away. A
    /// name with wildcards is a pattern, as in the Python client, unless a file is called so.
    fn apply(&self, listing: &Listing) -> Selected {
        let mut selected = Selected::default();
        let mut wanted: Vec<&Pattern> = self.include.iter().chain(&self.folders).collect();
        let (mut literal, mut globs) = (HashSet::new(), Vec::new());
        for name in &self.names {
            match name.parse::<RepoPath>() {
                Ok(path) if listing.contains_key(&path) => drop(literal.insert(path)),
                _ => globs.push(Pattern::new(name)),
            }
        }
        wanted.extend(&globs);
        let chooses_all = self.names.is_empty() && wanted.is_empty();
        let mut used = vec![false; wanted.len()];
        let mut used_exclude = vec![false; self.exclude.len()];
        let mut chooses = |name: &str, is_literal: bool| {
            let mut is_wanted = chooses_all || is_literal;
            for (pattern, used) in wanted.iter().zip(&mut used) {
                if pattern.matches(name) {
                    is_wanted = true;
                    *used = true;
                }
            }
            for (pattern, used) in self.exclude.iter().zip(&mut used_exclude) {
                if pattern.matches(name) {
                    is_wanted = false;
                    *used = true;
                }
            }
            is_wanted
        };
        for (place, path) in (0..).zip(listing.keys()) {
            if chooses(path.as_str(), literal.contains(path)) {
                selected.places.push(place);
            }
        }
        for name in listing.refused().keys() {
            if chooses(name, false) {
                selected.refused.push(name.clone());
            }
        }
        let idle = wanted
            .iter()
            .zip(&used)
            .filter(|(_, used)| !**used)
            .map(|(pattern, _)| *pattern);
        for pattern in idle {
            let text = pattern.as_str().to_owned();
            if self.include.contains(pattern) {
                selected.idle_patterns.push(text);
            } else {
                selected.missing.push(text);
            }
        }
        let idle = self
            .exclude
            .iter()
            .zip(&used_exclude)
            .filter(|(_, used)| !**used);
        selected
            .idle_patterns
            .extend(idle.map(|(pattern, _)| pattern.as_str().to_owned()));
        selected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::listing::{FileEntry, ListingBuilder};

    fn apply(names: &[&str], include: &[&str], exclude: &[&str]) -> (String, String, String) {
        let listing: Listing = ["a.json", "a.bin", "d/b.json", "d/e/c.bin", "x[1].txt"]
            .into_iter()
            .map(|path| (path.parse().unwrap(), FileEntry::in_git(1)))
            .collect();
        let owned = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let selection = Selection::new(&owned(names), &owned(include), &owned(exclude));
        let selected = selection.unwrap().apply(&listing);
        let places = selected.places.iter();
        let paths: Vec<&str> = places.map(|&place| listing.at(place).0.as_str()).collect();
        (
            paths.join(" "),
            selected.missing.join(" "),
            selected.idle_patterns.join(" "),
        )
    }

    #[test]
    fn table() {
        for (names, include, exclude, paths, missing, idle) in [
            (
                &[][..],
                &[][..],
                &[][..],
                "a.bin a.json d/b.json d/e/c.bin x[1].txt",
                "",
                "",
            ),
            (&["a.json", "d/b.json"], &[], &[], "a.json d/b.json", "", ""),
            (&["a.json", "nope"], &[], &[], "a.json", "nope", ""),
            (&["d/"], &[], &[], "d/b.json d/e/c.bin", "", ""),
            (
                &["./d/", "./a.bin"],
                &[],
                &[],
                "a.bin d/b.json d/e/c.bin",
                "",
                "",
            ),
            (&[], &["./*.json"], &["./d/*"], "a.json", "", ""),
            (&["./a.bin"], &[], &[], "a.bin", "", ""),
            (&["none/", "a.bin"], &[], &[], "a.bin", "none/", ""),
            (
                &["*.json", "a.bin"],
                &[],
                &[],
                "a.bin a.json d/b.json",
                "",
                "",
            ),
            (&["x[1].txt", "a.bin"], &[], &[], "a.bin x[1].txt", "", ""),
            (&[], &["*.json"], &[], "a.json d/b.json", "", ""),
            (
                &[],
                &["*.json", "*.gguf"],
                &["zzz*"],
                "a.json d/b.json",
                "",
                "*.gguf zzz*",
            ),
            (&[], &[], &["*.bin", "x*"], "a.json d/b.json", "", ""),
            (&[], &["*.json"], &["d/*"], "a.json", "", ""),
            (&["a.bin"], &["*.json"], &["d/*"], "a.bin a.json", "", ""),
            (&["../etc"], &[], &["*"], "", "../etc", ""),
        ] {
            let expected = (paths.to_owned(), missing.to_owned(), idle.to_owned());
            assert_eq!(
                apply(names, include, exclude),
                expected,
                "{names:?} {include:?} {exclude:?}"
            );
        }
    }

    #[test]
    fn names_that_cannot_be_stored_count_only_where_they_are_asked_for() {
        let mut listing = ListingBuilder::new();
        for name in ["a.json", "d/../x.bin", "../config"] {
            listing.add(name, FileEntry::in_git(1));
        }
        let listing = listing.finish();
        for (names, include, exclude, expected) in [
            (&[][..], &[][..], &[][..], "../config d/../x.bin"),
            (&["a.json"], &[], &[], ""),
            (&["d/"], &[], &[], "d/../x.bin"),
            (&["d/../x.bin", "a.json"], &[], &[], "d/../x.bin"),
            (&[], &["*.bin"], &[], "d/../x.bin"),
            (&[], &["*.json"], &[], ""),
            (&[], &[], &["d/*", "..*"], ""),
            (&[], &[], &["d/*"], "../config"),
        ] {
            let owned = |texts: &[&str]| -> Vec<String> {
                texts.iter().map(|text| (*text).to_owned()).collect()
            };
            let selection = Selection::new(&owned(names), &owned(include), &owned(exclude));
            let selected = selection.unwrap().apply(&listing);
            assert_eq!(
                selected.refused.join(" "),
                expected,
                "{names:?} {include:?}"
            );
        }
    }

    #[test]
    fn one_name_is_a_file_and_has_to_be_one() {
        let one = |name: &str| Selection::new(&[name.to_owned()], &[], &[]);
        assert!(
            matches!(one("d/a.json"), Ok(Selection::File(path)) if path.as_str() == "d/a.json")
        );
        assert!(matches!(one("d/"), Ok(Selection::Some(_))));
        assert!(one("d/../x.bin").is_err());
        assert!(matches!(
            Selection::new(&[], &[], &[]),
            Ok(Selection::Everything)
        ));
    }
}
