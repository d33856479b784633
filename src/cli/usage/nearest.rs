//! Which command a wrong word most likely means. Pure.
//!
//! clap suggests within one group only; `hf ls` means a command of another. The measure is the one
//! that clap uses, from the crate that it uses.

use clap::Command;

/// Words that other tools use for our commands.
const SYNONYMS: [(&str, &str); 9] = [
    ("clean", "cache prune"),
    ("clear", "cache prune"),
    ("clone", "download"),
    ("fetch", "download"),
    ("gc", "cache prune"),
    ("get", "download"),
    ("pull", "download"),
    ("purge", "cache prune"),
    ("remove", "cache rm"),
];

/// How alike two words have to be, from 0 to 1, to take one for the other. clap uses 0.7,
/// and suggests `logout` for `bogus`.
const ALIKE: f64 = 0.75;
/// As [`ALIKE`], for a command of another group.
const ALIKE_ELSEWHERE: f64 = 0.85;

/// A command that a wrong word may mean.
pub struct Known {
    /// As typed: `cache ls`.
    path: String,
    /// Its name and its aliases.
    words: Vec<String>,
    is_hidden: bool,
}

impl Known {
    fn new(path: String, command: &Command) -> Self {
        let aliases = command.get_all_aliases();
        let words = std::iter::once(command.get_name()).chain(aliases);
        Known {
            path,
            words: words.map(str::to_owned).collect(),
            is_hidden: command.is_hide_set(),
        }
    }

    fn is_in(&self, group: &[String]) -> bool {
        let (parent, _) = self.path.rsplit_once(' ').unwrap_or_default();
        parent == group.join(" ")
    }

    fn alike(&self, word: &str) -> f64 {
        let each = self.words.iter().map(|own| strsim::jaro(word, own));
        each.fold(0.0, f64::max)
    }
}

/// All commands below a root.
pub fn known(root: &Command) -> Vec<Known> {
    let mut found = Vec::new();
    for command in root.get_subcommands() {
        let name = command.get_name();
        found.push(Known::new(name.to_owned(), command));
        found.extend(
            command
                .get_subcommands()
                .map(|leaf| Known::new(format!("{name} {}", leaf.get_name()), leaf)),
        );
    }
    found
}

/// The commands that a wrong word below `group` most likely means: the same word elsewhere, the most
/// similar one in the group, the most similar one elsewhere.
pub fn nearest(word: &str, group: &[String], known: &[Known]) -> Vec<String> {
    let mut same: Vec<&Known> = known
        .iter()
        .filter(|known| known.words.iter().any(|own| own == word))
        // A bare `ls` or `rm` does not mean `hf alias`.
        .filter(|known| !known.path.starts_with("alias "))
        .collect();
    if same.iter().any(|known| !known.is_hidden) {
        same.retain(|known| !known.is_hidden);
    }
    // What lists files comes before what lists accounts.
    same.sort_by_key(|known| !known.path.starts_with("cache "));
    if !same.is_empty() {
        return same.iter().map(|known| known.path.clone()).collect();
    }
    let meant = SYNONYMS.iter().find(|(other, _)| *other == word);
    let meant = meant.and_then(|(_, path)| known.iter().find(|known| known.path == *path));
    let best = |in_group: bool, limit: f64| {
        known
            .iter()
            .filter(|known| known.is_in(group) == in_group && known.alike(word) > limit)
            .max_by(|a, b| a.alike(word).total_cmp(&b.alike(word)))
    };
    meant
        .or_else(|| best(true, ALIKE))
        .or_else(|| best(false, ALIKE_ELSEWHERE))
        .map(|known| known.path.clone())
        .into_iter()
        .collect()
}
