//! What progress looks like: the largest files by name, and all files together. Pure.

use console::measure_text_width;

use super::screen::Window;
use crate::console::safe::{Paint, Safe};
use crate::console::text;

/// Most files that are shown by name.
const NAMED: usize = 4;

/// A bar is no narrower, and no wider.
const BAR: std::ops::RangeInclusive<usize> = 8..=40;

/// The narrowest bar where there is room for little else.
const SHORT_BAR: usize = 5;

/// Columns between the parts of a line.
const GAP: usize = 2;

/// A file that is being fetched or read. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileView {
    /// Its path.
    pub name: String,
    /// Bytes that are there.
    pub done: u64,
    /// Its size, when it is known.
    pub size: Option<u64>,
}

/// All that is shown. Sizes in bytes, times in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Files in all, and those that are done.
    pub files: (u64, u64),
    /// Bytes in all, and those that are there.
    pub bytes: (u64, u64),
    /// Bytes a second, once there is something to judge by.
    pub rate: Option<u64>,
    /// For how long nothing has come, when that is worth a word.
    pub silent: Option<u64>,
    /// Files in flight that are worth a line, the largest first.
    pub named: Vec<FileView>,
}

/// The lines for a window.
pub(super) fn lines(view: &View, window: Window) -> Vec<Safe> {
    let is_one = view.files.0 == 1;
    let room = match is_one {
        true => 0,
        false => NAMED.min(window.rows.saturating_sub(1)),
    };
    let named = &view.named[..view.named.len().min(room)];
    let label = match (is_one, view.named.first()) {
        (true, Some(file)) => text::escape(&file.name),
        _ => files(view.files),
    };
    let shape = Shape::new(view, &label, named, window.columns);
    let mut lines: Vec<Safe> = named
        .iter()
        .filter_map(|file| shape.file(file, window))
        .collect();
    lines.push(shape.total(view, &label, window));
    lines
}

/// `3/12 files`.
fn files((all, done): (u64, u64)) -> String {
    format!("{done}/{}", text::count(all, "file"))
}

/// How wide the parts of all lines are; 0: a part is not shown.
#[derive(Debug, Default)]
struct Shape {
    label: usize,
    bar: usize,
    percent: bool,
    amount: usize,
    rate: bool,
    left: usize,
}

/// `999 MB/s`.
const RATE: usize = 8;

/// `59 min 59 s left`.
const LEFT: usize = 16;

/// Part of a name that tells files apart, and the narrowest that still says something.
const NAME: (usize, usize) = (24, 10);

impl Shape {
    /// The richest shape that fits.
    fn new(view: &View, label: &str, named: &[FileView], columns: usize) -> Self {
        let names = named.iter().map(|file| width(&text::escape(&file.name)));
        let wanted = names.chain([width(label)]).max().unwrap_or(0);
        let amounts = named
            .iter()
            .map(|file| width(&amount(file.done, file.size)));
        let amount = amounts
            .chain([width(&amount(view.bytes.0, Some(view.bytes.0)))])
            .max()
            .unwrap_or(0);
        let shape = |label: usize, percent: bool, amount: usize, rate: bool, left: usize| Shape {
            label,
            bar: *BAR.start(),
            percent,
            amount,
            rate,
            left,
        };
        let (name, short) = (wanted.min(NAME.0), wanted.min(NAME.1));
        let candidates = [
            shape(name, true, amount, true, LEFT),
            shape(name, false, amount, true, LEFT),
            shape(short, false, amount, true, LEFT),
            shape(short, false, amount, false, LEFT),
            shape(short, true, 0, false, LEFT),
            Shape {
                bar: SHORT_BAR,
                ..shape(0, true, 0, false, LEFT)
            },
            shape(0, true, 0, false, 0),
        ];
        let fitting = candidates
            .into_iter()
            .find(|shape| shape.width() <= columns);
        let Some(mut shape) = fitting else {
            return Shape {
                percent: columns >= 4,
                ..Shape::default()
            };
        };
        let mut spare = columns - shape.width();
        if shape.label > 0 {
            let more = (wanted - shape.label).min(spare);
            shape.label += more;
            spare -= more;
        }
        shape.bar += spare.min(BAR.end() - BAR.start());
        shape
    }

    fn width(&self) -> usize {
        let percent = if self.percent { 4 } else { 0 };
        let rate = if self.rate { RATE } else { 0 };
        let parts = [self.label, self.bar, percent, self.amount, rate, self.left];
        let shown = parts.iter().filter(|&&part| part > 0);
        parts.iter().sum::<usize>() + GAP * shown.count().saturating_sub(1)
    }

    /// The line of a file; `None` where there is no room for names.
    fn file(&self, file: &FileView, window: Window) -> Option<Safe> {
        if self.label == 0 {
            return None;
        }
        let mut parts = self.beginning(
            &text::escape(&file.name),
            file.done,
            file.size,
            window,
            Paint::Cyan,
        );
        if self.amount > 0 {
            parts.push(Part::Text(
                None,
                right(&amount(file.done, file.size), self.amount),
            ));
        }
        Some(line(&parts, window))
    }

    /// The line of all files.
    fn total(&self, view: &View, label: &str, window: Window) -> Safe {
        let (all, done) = view.bytes;
        let fill = Paint::Green;
        let mut parts = self.beginning(label, done, Some(all), window, fill);
        if self.amount > 0 {
            parts.push(Part::Text(
                None,
                right(&amount(done, Some(all)), self.amount),
            ));
        }
        if let Some(seconds) = view.silent {
            let silence = format!("nothing for {}", text::time(seconds));
            let room = if self.rate { RATE + GAP } else { 0 } + self.left;
            if width(&silence) <= room {
                parts.push(Part::Text(Some(Paint::Yellow), silence));
            }
            return line(&parts, window);
        }
        let rate = view.rate.filter(|&rate| rate > 0);
        if self.rate {
            let shown = rate.map(text::rate).unwrap_or_default();
            parts.push(Part::Text(None, right(&shown, RATE)));
        }
        if self.left > 0 {
            let left = match rate {
                _ if all > 0 && done >= all => "finishing".to_owned(),
                Some(rate) if all > done => format!(
                    "{} left",
                    text::time(all.saturating_sub(done).div_ceil(rate))
                ),
                _ => String::new(),
            };
            parts.push(Part::Text(Some(Paint::Gray), left));
        }
        line(&parts, window)
    }

    /// Label, bar and percentage.
    fn beginning(
        &self,
        label: &str,
        done: u64,
        size: Option<u64>,
        window: Window,
        fill: Paint,
    ) -> Vec<Part> {
        let mut parts = Vec::new();
        if self.label > 0 {
            parts.push(Part::Text(
                None,
                left(&end_of(label, self.label), self.label),
            ));
        }
        let share = share(done, size);
        if self.bar > 0 {
            let (full, track) = bar(share.unwrap_or(0.0), self.bar, window.color);
            parts.push(Part::Bar(fill, full, track));
        }
        if self.percent {
            let shown = share.map_or_else(String::new, |share| {
                format!("{:.0}%", (share * 100.0).floor())
            });
            parts.push(Part::Text(None, right(&shown, 4)));
        }
        parts
    }
}

/// A part of a line: a text, or a bar and its track.
enum Part {
    Text(Option<Paint>, String),
    Bar(Paint, String, String),
}

/// Joins parts.
fn line(parts: &[Part], window: Window) -> Safe {
    let painted = |paint: Option<Paint>, text: &str| match text.is_empty() {
        true => Safe::default(),
        false => Safe::line(text).painted(paint.filter(|_| window.color)),
    };
    let mut out = Safe::default();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out = out.then(Safe::line(&" ".repeat(GAP)));
        }
        out = out.then(match part {
            Part::Text(paint, text) => painted(*paint, text),
            Part::Bar(paint, full, track) => {
                painted(Some(*paint), full).then(painted(Some(Paint::Gray), track))
            }
        });
    }
    out
}

fn share(done: u64, size: Option<u64>) -> Option<f64> {
    let size = size.filter(|&size| size > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "a bar needs no more")]
    Some((done as f64 / size as f64).clamp(0.0, 1.0))
}

/// The full part of a bar and its track. Half a cell is the finest step.
fn bar(share: f64, columns: usize, color: bool) -> (String, String) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of some columns"
    )]
    let halves = (share * columns as f64 * 2.0).floor() as usize;
    let half = if halves % 2 == 1 { "╸" } else { "" };
    let full = format!("{}{half}", "━".repeat(halves / 2));
    let track = if color { "━" } else { "─" };
    (full, track.repeat(columns - halves.div_ceil(2)))
}

/// `1.2/4.9 GB`, or `1.2 GB` of an unknown size.
fn amount(done: u64, size: Option<u64>) -> String {
    let Some(size) = size.filter(|&size| size >= done.max(1)) else {
        return text::bytes(done);
    };
    let (unit, divisor) = match size {
        1_000_000_000.. => ("GB", 1e9),
        1_000_000.. => ("MB", 1e6),
        1000.. => ("kB", 1e3),
        _ => return format!("{done}/{size} B"),
    };
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let shown = |bytes: u64| format!("{:.1}", bytes as f64 / divisor);
    format!("{}/{} {unit}", shown(done), shown(size))
}

fn width(text: &str) -> usize {
    measure_text_width(text)
}

/// The end of a name, which tells files of one folder apart, with an ellipsis before it.
fn end_of(name: &str, columns: usize) -> String {
    if width(name) <= columns {
        return name.to_owned();
    }
    let mut end = String::new();
    for c in name.chars().rev() {
        if width(&end) + width(c.encode_utf8(&mut [0; 4])) + 1 > columns {
            break;
        }
        end.insert(0, c);
    }
    format!("…{end}")
}

fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests;
