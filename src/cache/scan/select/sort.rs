//! In what order rows come.

use std::str::FromStr;

use super::{Row, SelectError};

/// An order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    key: SortKey,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SortKey {
    Accessed,
    Modified,
    Name,
    Size,
}

impl FromStr for Sort {
    type Err = SelectError;

    /// Newest and biggest come first unless the expression says otherwise; names ascend.
    fn from_str(text: &str) -> Result<Self, SelectError> {
        let bad = || SelectError::Sort(text.to_owned());
        let (key, order) = match text.split_once(':') {
            Some((key, order)) => (key, Some(order)),
            None => (text, None),
        };
        let key = match key {
            "accessed" => SortKey::Accessed,
            "modified" => SortKey::Modified,
            "name" => SortKey::Name,
            "size" => SortKey::Size,
            _ => return Err(bad()),
        };
        let descending = match order {
            Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(bad()),
            None => key != SortKey::Name,
        };
        Ok(Sort { key, descending })
    }
}

impl Sort {
    /// Sorts rows; equal ones keep their order, also when descending.
    pub fn apply(self, rows: &mut [Row<'_>]) {
        rows.sort_by(|a, b| {
            let ordering = match self.key {
                SortKey::Accessed => a.accessed().total_cmp(&b.accessed()),
                SortKey::Modified => a.modified().total_cmp(&b.modified()),
                SortKey::Size => a.size().cmp(&b.size()),
                SortKey::Name => a.repo.id.cmp_ignoring_case(&b.repo.id),
            };
            if self.descending {
                ordering.reverse()
            } else {
                ordering
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::super::tests::{repo, report};
    use super::*;

    #[test]
    fn sorts_are_stable_both_ways() {
        let report = report(vec![
            repo("b/x", 10, 3.0, &[]),
            repo("A/y", 10, 1.0, &[]),
            repo("a/z", 20, 2.0, &[]),
        ]);
        for (text, expected) in [
            ("size", ["a/z", "A/y", "b/x"]),
            ("size:asc", ["A/y", "b/x", "a/z"]),
            ("name", ["A/y", "a/z", "b/x"]),
            ("name:desc", ["b/x", "a/z", "A/y"]),
            ("accessed", ["b/x", "a/z", "A/y"]),
            ("modified:asc", ["A/y", "a/z", "b/x"]),
        ] {
            let mut sorted = rows(&report, false);
            text.parse::<Sort>().unwrap().apply(&mut sorted);
            let ids: Vec<&str> = sorted.iter().map(|row| row.repo.id.id.as_str()).collect();
            assert_eq!(ids, expected, "{text}");
        }
        for bad in ["", "age", "size:up", "size:", ":asc", "size:asc:desc"] {
            assert!(bad.parse::<Sort>().is_err(), "{bad}");
        }
    }
}
