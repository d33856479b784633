//! The files of a plan: which ones of a listing, and what to do with each. Paths and hashes are in memory
//! once, in the listing.

use std::sync::Arc;

use super::file::{Action, OnDisk, PlannedFile};
use super::whole::Length;
use crate::types::RepoPath;
use crate::types::listing::{Checksum, FileEntry, Listing};

/// The files of a plan, sorted by path. A clone shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
enum Inner {
    /// Described one by one.
    Given(Vec<PlannedFile>),
    /// Files of a listing.
    Listed {
        listing: Listing,
        choices: Vec<Choice>,
    },
}

/// What to do with a file of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Its place in the listing.
    place: u32,
    leftover: bool,
    action: Action,
}

impl Choice {
    /// Plans the file at this place of a listing. `force` fetches what is there already.
    pub fn new(place: u32, entry: &FileEntry, disk: OnDisk, force: bool) -> Self {
        let (action, leftover) = disk.decide(Some(entry.size), force);
        Choice {
            place,
            leftover,
            action,
        }
    }
}

impl From<Vec<PlannedFile>> for Files {
    fn from(files: Vec<PlannedFile>) -> Self {
        Files(Arc::new(Inner::Given(files)))
    }
}

impl Files {
    /// Files of a listing, by their places in it, which ascend.
    pub fn of_listing(listing: Listing, choices: Vec<Choice>) -> Self {
        Files(Arc::new(Inner::Listed { listing, choices }))
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        match &*self.0 {
            Inner::Given(files) => files.len(),
            Inner::Listed { choices, .. } => choices.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The listing that they are from.
    pub fn listing(&self) -> Option<&Listing> {
        match &*self.0 {
            Inner::Given(_) => None,
            Inner::Listed { listing, .. } => Some(listing),
        }
    }

    /// The file with this number.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn get(&self, number: usize) -> PlannedFile {
        match &*self.0 {
            Inner::Given(files) => files[number].clone(),
            Inner::Listed { listing, choices } => {
                let Choice {
                    place,
                    leftover,
                    action,
                } = choices[number];
                let (path, entry) = listing.at(place);
                PlannedFile {
                    path: path.clone(),
                    checksum: entry.checksum(),
                    length: Length::Sure(entry.size),
                    action,
                    xet_hash: entry.xet_hash.clone(),
                    leftover,
                    link: None,
                }
            }
        }
    }

    /// Path of the file with this number.
    ///
    /// # Panics
    /// As [`Files::get`].
    pub fn path(&self, number: usize) -> &RepoPath {
        match &*self.0 {
            Inner::Given(files) => &files[number].path,
            Inner::Listed { listing, choices } => listing.at(choices[number].place).0,
        }
    }

    /// Hash of the file with this number.
    ///
    /// # Panics
    /// As [`Files::get`].
    pub fn checksum(&self, number: usize) -> Checksum {
        match &*self.0 {
            Inner::Given(files) => files[number].checksum.clone(),
            Inner::Listed { listing, choices } => listing.at(choices[number].place).1.checksum(),
        }
    }

    /// All files, each made when it is asked for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = PlannedFile> + Clone + '_ {
        (0..self.len()).map(|number| self.get(number))
    }

    /// All paths.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &RepoPath> + Clone + '_ {
        (0..self.len()).map(|number| self.path(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_little_memory() {
        assert!(size_of::<Choice>() <= 24);
    }

    /// Whether they are described one by one or by their listing, they are the same.
    #[test]
    fn files_of_a_listing() {
        let (plain, large) = (FileEntry::in_git(3), FileEntry::in_xet(9));
        let path = |text: &str| text.parse::<RepoPath>().unwrap();
        let there = OnDisk {
            file: true,
            partial: Some(2),
            ..OnDisk::default()
        };
        let entries = [("a", &plain), ("b", &large), ("c", &plain)];
        let listing: Listing = entries
            .iter()
            .map(|&(name, entry)| (path(name), entry.clone()))
            .collect();
        let choices = [(0, there), (1, OnDisk::default())];
        let choices = choices.map(|(place, disk)| {
            let (_, entry) = listing.at(place);
            Choice::new(place, entry, disk, false)
        });
        let listed = Files::of_listing(listing, choices.to_vec());
        let given = |name: &str, entry: &FileEntry, disk: OnDisk| {
            let length = Length::Sure(entry.size);
            PlannedFile::new(path(name), entry.checksum(), length, disk, false)
                .with_xet_hash(entry.xet_hash.clone())
        };
        let given = Files::from(vec![
            given("a", &plain, there),
            given("b", &large, OnDisk::default()),
        ]);
        assert!(listed.iter().eq(given.iter()));
        assert!(listed.paths().eq(given.paths()));
        for number in 0..2 {
            assert_eq!(listed.checksum(number), given.checksum(number));
        }
        assert!(listed.get(0).leftover && !listed.get(1).leftover);
        assert_eq!(listed.listing().map(Listing::len), Some(3));
    }
}
