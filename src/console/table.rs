//! Tables, in the four output formats. Pure.
//!
//! The rows of a long table are made while they are printed, and are in memory one at a time. Where widths have
//! to be known first, they are made twice.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

use super::layout::{Column, Fit, Layout, lay_out};
use super::text;

/// One row.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// A cell a column.
    pub cells: Vec<Value>,
    /// Further keys, which only JSON shows. One that has the name of a column takes its place.
    pub extra: Vec<(&'static str, Value)>,
}

/// Makes the rows, each time the same ones.
type Make<'a> = dyn Fn() -> Box<dyn Iterator<Item = Row> + 'a> + 'a;

/// Rows of cells under named columns. A column whose cells are all null is not shown.
#[derive(Default)]
pub struct Table<'a> {
    columns: Vec<&'static str>,
    rows: Vec<Row>,
    made: Option<Box<Make<'a>>>,
    id_column: usize,
    plain_headers: bool,
    json_only: Vec<&'static str>,
    right: Vec<&'static str>,
    expendable: Vec<&'static str>,
    shortened: Vec<(&'static str, Fit)>,
}

/// Characters to which a cell may be cut where nothing else is said.
const LEAST: usize = 12;

impl<'a> Table<'a> {
    /// An empty table with these columns; the first one is what `quiet` prints.
    pub fn new(columns: &[&'static str]) -> Self {
        Table {
            columns: columns.to_vec(),
            ..Table::default()
        }
    }

    /// Takes its rows from here, instead of those that are added.
    pub fn with_rows<I: Iterator<Item = Row> + 'a>(mut self, make: impl Fn() -> I + 'a) -> Self {
        self.made = Some(Box::new(move || Box::new(make())));
        self
    }

    /// Chooses the column that `quiet` prints.
    pub fn with_id(mut self, column: &'static str) -> Self {
        self.id_column = self
            .columns
            .iter()
            .position(|&c| c == column)
            .expect("the id column is one of the columns");
        self
    }

    /// Shows the column names to people as they are, not in capitals: `auth list` of the Python
    /// client has always done so.
    pub fn with_plain_headers(mut self) -> Self {
        self.plain_headers = true;
        self
    }

    /// Keeps these columns for JSON: a table has no room for them.
    pub fn only_in_json(mut self, columns: &[&'static str]) -> Self {
        self.json_only.extend(columns);
        self
    }

    /// Aligns this column to the right though it holds text. Columns of numbers are anyway.
    pub fn right_aligned(mut self, column: &'static str) -> Self {
        self.right.push(column);
        self
    }

    /// Columns that a narrow terminal does without, the first one first. The others are shortened at most.
    pub fn expendable(mut self, columns: &[&'static str]) -> Self {
        self.expendable.extend(columns);
        self
    }

    /// Lets a terminal that is too narrow show as little as so many characters of this column.
    pub fn shortened(mut self, column: &'static str, least: usize) -> Self {
        self.shortened.push((column, Fit::Shortened(least)));
        self
    }

    /// As [`Table::shortened`], for values whose beginning means the same: commits.
    pub fn beginning(mut self, column: &'static str, least: usize) -> Self {
        self.shortened.push((column, Fit::Beginning(least)));
        self
    }

    /// Adds a row.
    pub fn push(&mut self, cells: Vec<Value>) {
        self.push_with(cells, Vec::new());
    }

    /// Adds a row with further keys that only JSON shows.
    pub fn push_with(&mut self, cells: Vec<Value>, extra: Vec<(&'static str, Value)>) {
        assert_eq!(cells.len(), self.columns.len(), "one cell a column");
        self.rows.push(Row { cells, extra });
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.each(|_| Err(())).is_ok()
    }

    /// Calls `each` with every row.
    fn each<E>(&self, mut each: impl FnMut(&Row) -> Result<(), E>) -> Result<(), E> {
        match &self.made {
            Some(make) => make().try_for_each(|row| each(&row)),
            None => self.rows.iter().try_for_each(each),
        }
    }

    /// What has to be known of the columns before the first row is printed.
    fn survey(&self, width: fn(&str) -> usize) -> Survey {
        let headers = self.columns.iter().map(|name| match self.plain_headers {
            true => (*name).to_owned(),
            false => text::screaming_snake(name),
        });
        let mut columns: Vec<Surveyed> = headers
            .map(|header| Surveyed {
                width: width(&header),
                header,
                is_shown: false,
                is_number: true,
            })
            .collect();
        let mut is_empty = true;
        let _ = self.each(|row| -> Result<(), io::Error> {
            is_empty = false;
            for (column, cell) in columns.iter_mut().zip(&row.cells) {
                column.is_shown |= !cell.is_null();
                column.is_number &= cell.is_null() || cell.is_number();
                column.width = column.width.max(width(&human_cell(cell)));
            }
            Ok(())
        });
        for (column, name) in columns.iter_mut().zip(&self.columns) {
            column.is_shown &= !self.json_only.contains(name);
        }
        Survey { is_empty, columns }
    }

    /// Writes padded columns under a rule of dashes; no cell is cut.
    pub(super) fn write_human(&self, out: &mut dyn Write) -> io::Result<()> {
        let survey = self.survey(chars);
        if survey.is_empty {
            return out.write_all(NOTHING);
        }
        let shown: Vec<usize> = survey.shown().collect();
        let widths: Vec<usize> = shown.iter().map(|&c| survey.columns[c].width).collect();
        let right = shown
            .iter()
            .map(|&c| survey.columns[c].is_number || self.right.contains(&self.columns[c]));
        let right: Vec<bool> = right.collect();
        let mut line = |cell: &dyn Fn(usize) -> String| {
            let cells: Vec<String> = shown.iter().map(|&c| cell(c)).collect();
            writeln!(out, "{}", padded(&cells, &widths, &right))
        };
        line(&|c| survey.columns[c].header.clone())?;
        line(&|c| "-".repeat(survey.columns[c].width))?;
        self.each(|row| line(&|c| human_cell(&row.cells[c])))
    }

    /// Writes the table for a person at a terminal of this width: see [`lay_out`]. Sizes stand to the right.
    /// Answers how it was laid out.
    pub(super) fn write_terminal(&self, width: usize, out: &mut dyn Write) -> io::Result<Layout> {
        let survey = self.survey(console::measure_text_width);
        let shown: Vec<usize> = survey.shown().collect();
        if survey.is_empty || shown.is_empty() {
            out.write_all(NOTHING)?;
            return Ok(Layout::default());
        }
        let columns = shown.iter().map(|&c| {
            let (name, surveyed) = (self.columns[c], &survey.columns[c]);
            let declared = self.shortened.iter().find(|(column, _)| *column == name);
            let right = surveyed.is_number || name == "size" || self.right.contains(&name);
            Column {
                number: c,
                header: surveyed.header.clone(),
                width: surveyed.width,
                right,
                fit: match declared {
                    Some((_, fit)) => *fit,
                    None if c == shown[0] || right => Fit::Whole,
                    None => Fit::Shortened(LEAST),
                },
            }
        });
        let place = |name: &&str| shown.iter().position(|&c| self.columns[c] == *name);
        let expendable: Vec<usize> = self.expendable.iter().filter_map(place).collect();
        let layout = lay_out(columns.collect(), &expendable, width);
        writeln!(out, "{}", layout.heading())?;
        self.each(|row| {
            let line = layout.line(|column| human_cell(&row.cells[column]));
            writeln!(out, "{line}")
        })?;
        Ok(layout)
    }

    /// Writes tab-separated values with a header; lists in Python notation.
    pub(super) fn write_tsv(&self, out: &mut dyn Write) -> io::Result<()> {
        let survey = self.survey(|_| 0);
        if survey.is_empty {
            return out.write_all(NOTHING);
        }
        let shown: Vec<usize> = survey.shown().collect();
        let header: Vec<&str> = shown.iter().map(|&c| self.columns[c]).collect();
        writeln!(out, "{}", header.join("\t"))?;
        self.each(|row| {
            let cells = shown.iter().map(|&c| match &row.cells[c] {
                Value::String(s) => text::single_line(s),
                other => text::python_literal(other),
            });
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("\t"))
        })
    }

    /// Writes the id column, one a line; nothing without rows.
    pub(super) fn write_ids(&self, out: &mut dyn Write) -> io::Result<()> {
        self.each(|row| writeln!(out, "{}", text::plain(&row.cells[self.id_column])))
    }
}

/// What people and agents read where there is no row.
const NOTHING: &[u8] = b"No results found.\n";

/// A table as it is before its rows are printed.
struct Survey {
    is_empty: bool,
    columns: Vec<Surveyed>,
}

struct Surveyed {
    header: String,
    /// Of its longest cell, the header included.
    width: usize,
    is_shown: bool,
    /// Its cells are numbers, where there are any.
    is_number: bool,
}

impl Survey {
    fn shown(&self) -> impl Iterator<Item = usize> + '_ {
        let columns = self.columns.iter().enumerate();
        columns.filter_map(|(c, column)| column.is_shown.then_some(c))
    }
}

/// A list of objects, all columns and the extra keys, nulls kept.
impl Serialize for Table<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        self.each(|row| {
            list.serialize_element(&Object {
                columns: &self.columns,
                row,
            })
        })?;
        list.end()
    }
}

struct Object<'a> {
    columns: &'a [&'static str],
    row: &'a Row,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (column, cell) in self.columns.iter().zip(&self.row.cells) {
            let replaced = self.row.extra.iter().find(|(key, _)| key == column);
            object.serialize_entry(column, replaced.map_or(cell, |(_, value)| value))?;
        }
        for (key, value) in &self.row.extra {
            if !self.columns.contains(key) {
                object.serialize_entry(key, value)?;
            }
        }
        object.end()
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

fn human_cell(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::Bool(true) => "✔".to_owned(),
        Value::String(s) => text::single_line(s),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(human_cell).collect();
            items.join(", ")
        }
        other => text::plain(other),
    }
}

/// The table of huggingface_hub 0.36.2: every cell padded to its column and followed by a blank, the
/// last one too. Cells under the header `number` stand to the right, where Python puts numbers.
pub fn legacy_table(headers: &[&str], rows: &[Vec<String>], number: &str) -> String {
    let widths: Vec<usize> = (0..headers.len())
        .map(|c| {
            rows.iter()
                .map(|row| chars(&row[c]))
                .chain([chars(headers[c])])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |cell: &dyn Fn(usize) -> String, is_data: bool| -> String {
        (0..headers.len())
            .map(|c| {
                let (cell, width) = (cell(c), widths[c]);
                if is_data && headers[c] == number {
                    format!("{cell:>width$} ")
                } else {
                    format!("{cell:<width$} ")
                }
            })
            .collect()
    };
    let mut lines = vec![
        line(&|c| headers[c].to_owned(), false),
        line(&|c| "-".repeat(widths[c]), false),
    ];
    lines.extend(rows.iter().map(|row| line(&|c| row[c].clone(), true)));
    lines.join("\n")
}

fn padded(row: &[String], widths: &[usize], right: &[bool]) -> String {
    let cells: Vec<String> = row
        .iter()
        .zip(widths)
        .zip(right)
        .map(|((cell, &width), &right)| {
            if right {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        })
        .collect();
    cells.join(" ")
}

#[cfg(test)]
mod tests;
