//! Tables, in the four output formats. Pure.

use serde_json::{Map, Value};

use super::layout::{Column, Fit, Layout, lay_out};
use super::text;

/// Rows of cells under named columns. A column whose cells are all null is not shown.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
    extra: Vec<Map<String, Value>>,
    id_column: usize,
    plain_headers: bool,
    json_only: Vec<&'static str>,
    right: Vec<&'static str>,
    expendable: Vec<&'static str>,
    shortened: Vec<(&'static str, Fit)>,
}

/// Characters to which a cell may be cut where nothing else is said.
const LEAST: usize = 12;

impl Table {
    /// An empty table with these columns; the first one is what `quiet` prints.
    pub fn new(columns: &[&'static str]) -> Self {
        Table {
            columns: columns.to_vec(),
            ..Table::default()
        }
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
        self.push_with(cells, Map::new());
    }

    /// Adds a row with further keys that only JSON shows.
    pub fn push_with(&mut self, cells: Vec<Value>, extra: Map<String, Value>) {
        assert_eq!(cells.len(), self.columns.len(), "one cell a column");
        self.rows.push(cells);
        self.extra.push(extra);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn shown_columns(&self) -> Vec<usize> {
        (0..self.columns.len())
            .filter(|&c| !self.json_only.contains(&self.columns[c]))
            .filter(|&c| self.rows.iter().any(|row| !row[c].is_null()))
            .collect()
    }

    /// Padded columns under a rule of dashes; no cell is cut.
    pub fn to_human(&self) -> String {
        if self.is_empty() {
            return "No results found.".to_owned();
        }
        let shown = self.shown_columns();
        let headers: Vec<String> = shown
            .iter()
            .map(|&c| match self.plain_headers {
                true => self.columns[c].to_owned(),
                false => text::screaming_snake(self.columns[c]),
            })
            .collect();
        let right: Vec<bool> = shown
            .iter()
            .map(|&c| {
                self.right.contains(&self.columns[c])
                    || self
                        .rows
                        .iter()
                        .all(|row| row[c].is_null() || row[c].is_number())
            })
            .collect();
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| shown.iter().map(|&c| human_cell(&row[c])).collect())
            .collect();
        let widths = natural_widths(&headers, &cells);
        let rule: Vec<String> = widths.iter().map(|&w| "-".repeat(w)).collect();
        let lines: Vec<String> = [&headers, &rule]
            .into_iter()
            .chain(&cells)
            .map(|row| padded(row, &widths, &right))
            .collect();
        lines.join("\n")
    }

    /// The table for a person at a terminal of this width: see [`lay_out`]. Sizes stand to the right.
    pub(super) fn to_terminal(&self, width: usize) -> Layout {
        let shown = self.shown_columns();
        if self.is_empty() || shown.is_empty() {
            return Layout {
                text: "No results found.".to_owned(),
                is_shortened: false,
                left_out: Vec::new(),
            };
        }
        let columns = shown.iter().map(|&c| {
            let (name, cells) = (self.columns[c], self.rows.iter().map(|row| &row[c]));
            let is_number = cells.clone().all(|cell| cell.is_null() || cell.is_number());
            let declared = self.shortened.iter().find(|(column, _)| *column == name);
            let right = is_number || name == "size" || self.right.contains(&name);
            Column {
                header: match self.plain_headers {
                    true => name.to_owned(),
                    false => text::screaming_snake(name),
                },
                cells: cells.map(human_cell).collect(),
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
        lay_out(columns.collect(), &expendable, width)
    }

    /// Tab-separated values with a header; lists in Python notation.
    pub fn to_tsv(&self) -> String {
        if self.is_empty() {
            return "No results found.".to_owned();
        }
        let shown = self.shown_columns();
        let header: Vec<&str> = shown.iter().map(|&c| self.columns[c]).collect();
        let mut lines = vec![header.join("\t")];
        for row in &self.rows {
            let cells: Vec<String> = shown
                .iter()
                .map(|&c| match &row[c] {
                    Value::String(s) => text::single_line(s),
                    other => text::python_literal(other),
                })
                .collect();
            lines.push(cells.join("\t"));
        }
        lines.join("\n")
    }

    /// A list of objects, all columns and the extra keys, nulls kept.
    pub fn to_json(&self) -> Value {
        let objects = self.rows.iter().zip(&self.extra).map(|(row, extra)| {
            let mut object: Map<String, Value> = self
                .columns
                .iter()
                .zip(row)
                .map(|(&column, cell)| (column.to_owned(), cell.clone()))
                .collect();
            object.extend(extra.clone());
            Value::Object(object)
        });
        Value::Array(objects.collect())
    }

    /// The id column, one a line; empty without rows.
    pub fn to_ids(&self) -> String {
        let ids: Vec<String> = self
            .rows
            .iter()
            .map(|row| text::plain(&row[self.id_column]))
            .collect();
        ids.join("\n")
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

/// Characters of the longest cell of each column, its header included.
fn natural_widths(headers: &[String], cells: &[Vec<String>]) -> Vec<usize> {
    (0..headers.len())
        .map(|c| {
            let cells = cells.iter().map(|row| chars(&row[c]));
            cells.chain([chars(&headers[c])]).max().unwrap_or(0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["id", "size", "none", "refs"]);
        table.push(vec![
            json!("model/gpt2"),
            json!("1.0K"),
            Value::Null,
            json!(["main", "v1"]),
        ]);
        table.push(vec![
            json!("model/a\u{1b}b"),
            json!("10.0"),
            Value::Null,
            json!([]),
        ]);
        table
    }

    #[test]
    fn human() {
        let text = table().to_human();
        assert_eq!(
            text,
            "ID          SIZE REFS    \n\
             ----------- ---- --------\n\
             model/gpt2  1.0K main, v1\n\
             model/a\\x1bb 10.0         "
                .replace("ID          SIZE", "ID           SIZE")
                .replace("----------- ----", "------------ ----")
                .replace("model/gpt2  1.0K", "model/gpt2   1.0K")
        );
    }

    #[test]
    fn columns_for_json_alone_and_columns_to_the_right() {
        let mut table = Table::new(&["id", "secret", "size"])
            .only_in_json(&["secret"])
            .right_aligned("size");
        table.push(vec![json!("a"), json!("x"), json!("1.0")]);
        assert_eq!(table.to_tsv(), "id\tsize\na\t1.0");
        assert_eq!(table.to_human(), "ID SIZE\n-- ----\na   1.0");
        assert_eq!(
            super::super::json::to_python_json(&table.to_json()),
            r#"[{"id": "a", "secret": "x", "size": "1.0"}]"#
        );
    }

    #[test]
    fn the_legacy_table_ends_every_cell_with_a_blank() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            legacy_table(&["NAME", "N"], &[row(["a", "10"]), row(["b", "1"])], "N"),
            "NAME N  \n---- -- \na    10 \nb     1 "
        );
        assert_eq!(legacy_table(&["NAME"], &[], "N"), "NAME \n---- ");
    }

    #[test]
    fn machine_formats() {
        assert_eq!(
            table().to_tsv(),
            "id\tsize\trefs\nmodel/gpt2\t1.0K\t['main', 'v1']\nmodel/a\\x1bb\t10.0\t[]"
        );
        assert_eq!(table().to_ids(), "model/gpt2\nmodel/a\\x1bb");
        assert_eq!(table().to_json()[0]["none"], Value::Null);
        assert_eq!(Table::new(&["id"]).to_json(), json!([]));
        assert_eq!(Table::new(&["id"]).to_ids(), "");
        assert_eq!(Table::new(&["id"]).to_tsv(), "No results found.");
    }
}
