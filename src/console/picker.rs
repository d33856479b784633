//! A list on the terminal to tick entries in. State and drawing are pure; [`Console::pick`] joins
//! them to the terminal.
//!
//! Built on `console`. `inquire` and `dialoguer` are not used:
//! neither can update a line with the size that would be freed. The list uses the alternate screen, so
//! that a change of size leaves nothing behind and the old content comes back afterwards.

use std::collections::BTreeSet;
use std::io;

use console::{Key, Term};

use super::Console;
use super::safe::{Paint, Safe};
use super::terminal::{self, Changed};

/// What the keys do, below the list.
const KEYS: &str = "Space ticks, r its repo, a all; Enter goes on, q leaves";
/// Rows of the screen that are not list: question, totals, keys.
const OTHER_ROWS: usize = 3;

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Heading above this entry, when it opens a group.
    pub heading: Option<String>,
    /// The entry itself.
    pub label: String,
}

/// The effect of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Moved,
    Toggled,
    Accepted,
    Cancelled,
    Interrupted,
}

/// How a line is drawn where there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Heading,
    Ticked,
    Cursor,
    Faint,
}

impl Style {
    fn paint(self) -> Option<Paint> {
        match self {
            Style::Plain => None,
            Style::Heading => Some(Paint::Bold),
            Style::Ticked => Some(Paint::Red),
            Style::Cursor => Some(Paint::Inverse),
            Style::Faint => Some(Paint::Gray),
        }
    }
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
            Key::Char(' ') => return self.toggle(self.cursor..self.cursor + 1),
            Key::Char('r') => return self.toggle(self.group()),
            Key::Char('a') => return self.toggle(0..self.entries.len()),
            Key::Enter => return Step::Accepted,
            Key::Escape | Key::Char('q') => return Step::Cancelled,
            Key::CtrlC => return Step::Interrupted,
            _ => {}
        }
        Step::Moved
    }

    /// Ticks these entries; when all of them are, takes the ticks away.
    fn toggle(&mut self, entries: std::ops::Range<usize>) -> Step {
        if entries.clone().all(|entry| self.ticked.contains(&entry)) {
            self.ticked.retain(|entry| !entries.contains(entry));
        } else {
            self.ticked.extend(entries);
        }
        Step::Toggled
    }

    /// The entries under the same heading as the one at the cursor.
    fn group(&self) -> std::ops::Range<usize> {
        let opens = |entry: &usize| self.entries[*entry].heading.is_some();
        let first = (0..=self.cursor).rev().find(opens).unwrap_or_default();
        let next = (self.cursor + 1..self.entries.len()).find(opens);
        first..next.unwrap_or(self.entries.len())
    }

    /// The lines to show on `rows` rows of `columns` columns, around the cursor. What is left out
    /// above and below is counted in the first and last line.
    fn lines(&self, rows: usize, columns: usize) -> Vec<(Style, Safe)> {
        let mut lines = Vec::new();
        let mut at = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            let heading = entry.heading.clone();
            lines.extend(heading.map(|heading| (Style::Heading, heading)));
            let is_ticked = self.ticked.contains(&index);
            let style = match (index == self.cursor, is_ticked) {
                (true, _) => Style::Cursor,
                (false, true) => Style::Ticked,
                (false, false) => Style::Plain,
            };
            if index == self.cursor {
                at = lines.len();
            }
            let arrow = if index == self.cursor { '>' } else { ' ' };
            let tick = if is_ticked { 'x' } else { ' ' };
            lines.push((style, format!("{arrow} [{tick}] {}", entry.label)));
        }
        let rows = rows.max(1);
        let count = lines.len();
        let first = at.saturating_sub(rows / 2).min(count.saturating_sub(rows));
        let below = count.saturating_sub(first + rows);
        let mut shown: Vec<(Style, String)> = lines.into_iter().skip(first).take(rows).collect();
        let last = shown.len().saturating_sub(1);
        // On one or two lines only entries are shown.
        if rows > 2 && first > 0 && at > first {
            shown[0] = (Style::Faint, format!("  … {} more above", first + 1));
        }
        if rows > 2 && below > 0 && at < first + last {
            shown[last] = (Style::Faint, format!("  … {} more below", below + 1));
        }
        shown
            .into_iter()
            .map(|(style, text)| (style, fitting(&text, columns)))
            .collect()
    }

    /// The whole screen.
    fn screen(&self, question: &str, totals: &str, size: (u16, u16)) -> Vec<(Style, Safe)> {
        let (rows, columns) = (usize::from(size.0), usize::from(size.1));
        let fit = |text: &str| fitting(text, columns);
        let mut lines = vec![(Style::Plain, fit(question))];
        lines.extend(self.lines(rows.saturating_sub(OTHER_ROWS), columns));
        lines.push((Style::Heading, fit(totals)));
        lines.push((Style::Faint, fit(KEYS)));
        // On a screen of very few rows the list is what counts, and goes first.
        if lines.len() > rows {
            lines.remove(0);
            lines.truncate(rows.max(1));
        }
        lines
    }
}

/// What of a line fits on the screen.
fn fitting(text: &str, columns: usize) -> Safe {
    Safe::line(text).cut(columns.saturating_sub(1))
}

/// The terminal while the list is on it: raw, without cursor, on the alternate screen. Dropping it
/// restores the terminal.
struct Stage<'a> {
    term: &'a Term,
    _raw: Option<Changed>,
}

impl<'a> Stage<'a> {
    fn enter(term: &'a Term) -> io::Result<Self> {
        let stage = Stage {
            term,
            _raw: Changed::to_raw(),
        };
        term.write_str("\u{1b}[?1049h\u{1b}[?25l")?;
        Ok(stage)
    }

    /// Draws a frame over the one before.
    fn draw(&self, lines: Vec<(Style, Safe)>, color: bool) -> io::Result<()> {
        let shown: Vec<Safe> = lines
            .into_iter()
            .map(|(style, text)| text.painted(style.paint().filter(|_| color)))
            .collect();
        let shown: Vec<&str> = shown.iter().map(Safe::as_str).collect();
        let frame = shown.join("\u{1b}[K\r\n");
        self.term
            .write_str(&format!("\u{1b}[H{frame}\u{1b}[K\u{1b}[J"))?;
        self.term.flush()
    }

    /// Waits for a key; `None` when the size of the terminal has changed.
    fn key(&self, size: (u16, u16)) -> io::Result<Option<Key>> {
        while !terminal::has_input() {
            if self.term.size() != size {
                return Ok(None);
            }
        }
        self.term.read_key_raw().map(Some)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let _ = self.term.write_str("\u{1b}[?25h\u{1b}[?1049l");
        let _ = self.term.flush();
    }
}

impl Console {
    /// Lets a person tick entries on the terminal; returns their indices, or `None` when the choice
    /// was cancelled. `totals` gives a line about the ticked ones.
    ///
    /// # Errors
    /// The terminal cannot be used; [`io::ErrorKind::Interrupted`] after Ctrl-C.
    pub fn pick(
        &self,
        question: &str,
        entries: &[Entry],
        totals: impl Fn(&BTreeSet<usize>) -> String,
    ) -> io::Result<Option<BTreeSet<usize>>> {
        let term = Term::stderr();
        let color = self.stderr.lock().unwrap().color;
        let mut picker = Picker {
            entries,
            cursor: 0,
            ticked: BTreeSet::new(),
        };
        let mut total = totals(&picker.ticked);
        let stage = Stage::enter(&term)?;
        loop {
            let size = term.size();
            stage.draw(picker.screen(question, &total, size), color)?;
            let Some(key) = stage.key(size)? else {
                continue;
            };
            match picker.press(&key, usize::from(size.0).saturating_sub(OTHER_ROWS)) {
                Step::Moved => {}
                Step::Toggled => total = totals(&picker.ticked),
                Step::Accepted => return Ok(Some(picker.ticked)),
                Step::Cancelled => return Ok(None),
                Step::Interrupted => return Err(io::ErrorKind::Interrupted.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
