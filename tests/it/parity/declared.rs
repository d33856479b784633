//! Which scenario shows which differences: one text file an area, beside this one.
//!
//! A line is the name of a scenario; indented below it stand the names of the differences it shows, nothing when the two
//! clients agree in everything. `HF_PARITY=update` rewrites the files from what is seen. That can only ever name
//! entries of the list: a disagreement that none of them accounts for fails whatever the file says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use super::differences::{Difference, named};
use super::scenario::Scenario;

/// Whether the files, and the table in the README, are to be written.
pub fn updating() -> bool {
    std::env::var("HF_PARITY").is_ok_and(|value| value == "update")
}

/// The file of one area.
pub struct Declared(BTreeMap<String, Vec<&'static Difference>>);

fn place(area: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/parity/declared/{area}.txt"))
}

impl Declared {
    /// Reads it. Panics when it is not about exactly these scenarios.
    pub fn load(area: &str, scenarios: &[Scenario]) -> Self {
        let text = fs::read_to_string(place(area)).unwrap_or_default();
        let declared = Self::parse(&text);
        let names: BTreeSet<String> = scenarios.iter().map(Scenario::name).collect();
        assert_eq!(
            names.len(),
            scenarios.len(),
            "{area}: a scenario is there twice"
        );
        let known: BTreeSet<String> = declared.0.keys().cloned().collect();
        assert!(
            updating() || known == names,
            "declared/{area}.txt is about other scenarios (HF_PARITY=update writes it): {:?}",
            known.symmetric_difference(&names)
        );
        declared
    }

    fn parse(text: &str) -> Self {
        let mut all: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            match line.strip_prefix("    ") {
                Some(name) => all.get_mut(&current).expect("a scenario").push(named(name)),
                None => {
                    current = line.to_owned();
                    all.insert(current.clone(), Vec::new());
                }
            }
        }
        Self(all)
    }

    /// The differences that a scenario shows.
    pub fn of(&self, scenario: &Scenario) -> Vec<&'static Difference> {
        self.0.get(&scenario.name()).cloned().unwrap_or_default()
    }

    /// All scenarios with their differences.
    pub fn rows(&self) -> impl Iterator<Item = &[&'static Difference]> {
        self.0.values().map(Vec::as_slice)
    }
}

/// Writes the file of an area.
pub fn write<'a>(
    area: &str,
    seen: impl Iterator<Item = (&'a Scenario, &'a BTreeSet<&'static str>)>,
) {
    let mut text = String::new();
    for (scenario, differences) in seen {
        text.push_str(&format!("{}\n", scenario.name()));
        for name in differences {
            text.push_str(&format!("    {name}\n"));
        }
    }
    fs::write(place(area), text).expect("declared differences");
}
