//! A list on the terminal to tick entries in. State and drawing are pure; [`Console::pick`] joins
//! them to the terminal.
//!
//! Built on `console`, which `indicatif` brings along anyway. `inquire` and `dialoguer` were refused:
//! neither can keep a line up to date that says how much would be freed.

use std::collections::BTreeSet;
use std::io;

use console::{Key, Term};

use super::Console;

/// Rows of the screen that are not list: question, status, and one to spare for the cursor.
const OTHER_ROWS: usize = 3;

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Stands above this entry, when it opens a group.
    pub heading: Option<String>,
    /// The entry itself.
    pub label: String,
}

/// What a key led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Moved,
    Toggled,
    Accepted,
    Cancelled,
}

struct Picker<'a> {
    entries: &'a [Entry],
    cursor: usize,
    ticked: BTreeSet<usize>,
}

impl Picker<'_> {
    fn press(&mut self, key: &Key, page: usize) -> Step {
        let last = self.entries.len().saturating_sub(1);
        match key {
            Key::ArrowUp | Key::Char('k') => self.cursor = self.cursor.saturating_sub(1),
            Key::ArrowDown | Key::Char('j') => self.cursor = (self.cursor + 1).min(last),
            Key::PageUp => self.cursor = self.cursor.saturating_sub(page),
            Key::PageDown => self.cursor = (self.cursor + page).min(last),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = last,
            Key::Char(' ') => {
                if !self.ticked.remove(&self.cursor) {
                    self.ticked.insert(self.cursor);
                }
                return Step::Toggled;
            }
            Key::Char('a') => {
                if self.ticked.len() == self.entries.len() {
                    self.ticked.clear();
                } else {
                    self.ticked = (0..self.entries.len()).collect();
                }
                return Step::Toggled;
            }
            Key::Enter => return Step::Accepted,
            Key::Escape | Key::Char('q') | Key::CtrlC => return Step::Cancelled,
            _ => {}
        }
        Step::Moved
    }

    /// The lines to show on `rows` rows of `columns` columns, around the cursor.
    fn lines(&self, rows: usize, columns: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut at = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            lines.extend(entry.heading.clone());
            if index == self.cursor {
                at = lines.len();
            }
            let arrow = if index == self.cursor { '>' } else { ' ' };
            let tick = if self.ticked.contains(&index) {
                'x'
            } else {
                ' '
            };
            lines.push(format!("{arrow} [{tick}] {}", entry.label));
        }
        let rows = rows.max(1);
        let first = at
            .saturating_sub(rows / 2)
            .min(lines.len().saturating_sub(rows));
        lines
            .into_iter()
            .skip(first)
            .take(rows)
            .map(|line| line.chars().take(columns.saturating_sub(1)).collect())
            .collect()
    }
}

impl Console {
    /// Lets a person tick entries on the terminal; answers their indices, or `None` when the choice
    /// was cancelled. `status` says in a line what the ticked ones come to.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub fn pick(
        &self,
        question: &str,
        entries: &[Entry],
        status: impl Fn(&BTreeSet<usize>) -> String,
    ) -> io::Result<Option<BTreeSet<usize>>> {
        let term = Term::stderr();
        let mut picker = Picker {
            entries,
            cursor: 0,
            ticked: BTreeSet::new(),
        };
        let mut footer = status(&picker.ticked);
        term.write_line(question)?;
        term.hide_cursor()?;
        let answer = loop {
            let (rows, columns) = term.size();
            let rows = usize::from(rows).saturating_sub(OTHER_ROWS);
            let mut lines = picker.lines(rows, columns.into());
            lines.push(footer.clone());
            for line in &lines {
                term.write_line(line)?;
            }
            let step = match term.read_key_raw() {
                Ok(key) => picker.press(&key, rows),
                Err(error) => break Err(error),
            };
            match step {
                Step::Moved => {}
                Step::Toggled => footer = status(&picker.ticked),
                Step::Accepted => break Ok(Some(picker.ticked)),
                Step::Cancelled => break Ok(None),
            }
            term.clear_last_lines(lines.len())?;
        };
        term.show_cursor()?;
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        (0..5)
            .map(|number| Entry {
                heading: (number % 2 == 0).then(|| format!("group {number}")),
                label: format!("entry {number}"),
            })
            .collect()
    }

    #[test]
    fn keys() {
        let entries = entries();
        for (keys, expected, ticked) in [
            (&[Key::Char(' '), Key::Enter][..], Step::Accepted, &[0][..]),
            (
                &[Key::ArrowDown, Key::Char(' '), Key::End, Key::Char(' ')],
                Step::Toggled,
                &[1, 4],
            ),
            (&[Key::Char(' '), Key::Char(' ')], Step::Toggled, &[]),
            (&[Key::Char('a')], Step::Toggled, &[0, 1, 2, 3, 4]),
            (&[Key::Char('a'), Key::Char('a')], Step::Toggled, &[]),
            (
                &[Key::PageDown, Key::ArrowUp, Key::Char(' ')],
                Step::Toggled,
                &[2],
            ),
            (&[Key::ArrowUp, Key::CtrlC], Step::Cancelled, &[]),
            (&[Key::Escape], Step::Cancelled, &[]),
            (&[Key::Char('z')], Step::Moved, &[]),
        ] {
            let mut picker = Picker {
                entries: &entries,
                cursor: 0,
                ticked: BTreeSet::new(),
            };
            let last = keys.iter().map(|key| picker.press(key, 3)).last();
            assert_eq!(last, Some(expected), "{keys:?}");
            assert_eq!(picker.ticked, ticked.iter().copied().collect(), "{keys:?}");
        }
    }

    #[test]
    fn a_long_list_scrolls_with_the_cursor_and_never_wraps() {
        let entries = entries();
        let picker = Picker {
            entries: &entries,
            cursor: 4,
            ticked: BTreeSet::from([3]),
        };
        assert_eq!(
            picker.lines(3, 80),
            ["  [x] entry 3", "group 4", "> [ ] entry 4"]
        );
        assert_eq!(picker.lines(1, 8), ["> [ ] e"]);
        assert_eq!(picker.lines(100, 80).len(), 8);
    }
}
