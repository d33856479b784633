//! A table on a terminal: whole identifiers first; what matters less is shortened, then left out. Pure.

use console::{measure_text_width, truncate_str};

/// One column of a table, ready to be laid out.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its heading.
    pub header: String,
    /// Its cells, from the first row on.
    pub cells: Vec<String>,
    /// Numbers stand to the right.
    pub right: bool,
    /// What may happen to it in a narrow window.
    pub fit: Fit,
}

/// What may happen to a column that finds no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Nothing: it names the row.
    Whole,
    /// Its cells may be cut to so many characters, with an ellipsis.
    Shortened(usize),
    /// Its cells may be cut to so many characters, and the beginning means the same: a commit.
    Beginning(usize),
}

/// A table that fits, and whether it shows less than there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Heading, rule and rows.
    pub text: String,
    /// Cells were shortened.
    pub is_shortened: bool,
    /// Headings of columns that are left out.
    pub left_out: Vec<String>,
}

impl Column {
    fn natural_width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| measure_text_width(cell));
        let header = measure_text_width(&self.header);
        cells.chain([header]).max().unwrap_or(0)
    }

    fn least_width(&self) -> usize {
        let natural = self.natural_width();
        match self.fit {
            Fit::Whole => natural,
            Fit::Shortened(least) | Fit::Beginning(least) => {
                natural.min(least).max(measure_text_width(&self.header))
            }
        }
    }
}

/// Lays out columns for a window of this width. `expendable` are indices of columns, the first to be left
/// out first. The first column names the rows: where it alone leaves no room, the other cells of such a row
/// stand on a line of their own.
pub(super) fn lay_out(mut columns: Vec<Column>, expendable: &[usize], width: usize) -> Layout {
    let mut expendable = expendable.to_vec();
    let mut left_out = Vec::new();
    let mut widths = loop {
        match widths_within(&columns, width) {
            Ok(widths) => break widths,
            Err(widths) if expendable.is_empty() => break widths,
            Err(_) => {
                let gone = expendable.remove(0);
                left_out.push(columns.remove(gone).header);
                for index in &mut expendable {
                    *index -= usize::from(*index > gone);
                }
            }
        }
    };
    let rest: usize = widths[1..].iter().map(|width| width + 1).sum();
    let least = measure_text_width(&columns[0].header);
    widths[0] = widths[0].min(width.saturating_sub(rest).max(least));
    let mut is_shortened = false;
    for (column, &width) in columns.iter_mut().zip(&widths).skip(1) {
        let end = match column.fit {
            Fit::Beginning(_) => "",
            _ => "…",
        };
        for cell in &mut column.cells {
            if measure_text_width(cell) > width {
                *cell = truncate_str(cell, width, end).into_owned();
                is_shortened = true;
            }
        }
    }
    let rule = widths.iter().map(|&width| "-".repeat(width)).collect();
    let headers = columns.iter().map(|column| column.header.clone()).collect();
    let rows = (0..columns[0].cells.len()).map(|row| {
        columns
            .iter()
            .map(|column| column.cells[row].clone())
            .collect()
    });
    let lines: Vec<String> = [headers, rule]
        .into_iter()
        .chain(rows)
        .map(|row: Vec<String>| line(&row, &columns, &widths))
        .collect();
    Layout {
        text: lines.join("\n"),
        is_shortened,
        left_out,
    }
}

/// Widths that fit, by shortening from the last column on; else the least ones.
fn widths_within(columns: &[Column], width: usize) -> Result<Vec<usize>, Vec<usize>> {
    let mut widths: Vec<usize> = columns.iter().map(Column::natural_width).collect();
    let gaps = columns.len().saturating_sub(1);
    if widths.iter().sum::<usize>() + gaps > width {
        for (width, column) in widths.iter_mut().zip(columns) {
            if matches!(column.fit, Fit::Beginning(_)) {
                *width = column.least_width();
            }
        }
    }
    for (index, column) in columns.iter().enumerate().rev() {
        let excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
        if excess == 0 {
            return Ok(widths);
        }
        widths[index] = column
            .least_width()
            .max(widths[index].saturating_sub(excess));
    }
    match widths.iter().sum::<usize>() + gaps <= width {
        true => Ok(widths),
        false => Err(widths),
    }
}

/// A row in one line, or in two where its name is too long.
fn line(row: &[String], columns: &[Column], widths: &[usize]) -> String {
    let mut out = String::new();
    for (index, (cell, &width)) in row.iter().zip(widths).enumerate() {
        let blanks = " ".repeat(width.saturating_sub(measure_text_width(cell)));
        if index > 0 {
            out.push(' ');
        }
        match columns[index].right {
            true => out.extend([&blanks, cell.as_str()]),
            false => out.extend([cell.as_str(), &blanks]),
        }
        if index == 0 && measure_text_width(cell) > width && row.len() > 1 {
            out.push('\n');
            out.push_str(&" ".repeat(width));
        }
    }
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let column = |header: &str, cells: [&str; 2], right, fit| Column {
            header: header.to_owned(),
            cells: cells.map(str::to_owned).to_vec(),
            right,
            fit,
        };
        vec![
            column(
                "ID",
                ["model/org/a-long-name", "model/名前"],
                false,
                Fit::Whole,
            ),
            column("SIZE", ["1.0K", "999.9M"], true, Fit::Whole),
            column("AGE", ["5 minutes ago", "1 week ago"], false, Fit::Whole),
            column(
                "REFS",
                ["main, refs/pr/1, v1", ""],
                false,
                Fit::Shortened(8),
            ),
        ]
    }

    /// The table without its rule, and what is not shown.
    fn shown(width: usize) -> (Vec<String>, bool, Vec<String>) {
        let layout = lay_out(columns(), &[2, 3], width);
        let mut lines: Vec<String> = layout.text.lines().map(str::to_owned).collect();
        lines.remove(1);
        (lines, layout.is_shortened, layout.left_out)
    }

    #[test]
    fn what_matters_less_gives_way() {
        for (width, expected, is_shortened, left_out) in [
            (
                80,
                &[
                    "ID                      SIZE AGE           REFS",
                    "model/org/a-long-name   1.0K 5 minutes ago main, refs/pr/1, v1",
                    "model/名前            999.9M 1 week ago",
                ][..],
                false,
                &[][..],
            ),
            (
                54,
                &[
                    "ID                      SIZE AGE           REFS",
                    "model/org/a-long-name   1.0K 5 minutes ago main, refs…",
                    "model/名前            999.9M 1 week ago",
                ],
                true,
                &[],
            ),
            (
                44,
                &[
                    "ID                      SIZE REFS",
                    "model/org/a-long-name   1.0K main, refs/pr/…",
                    "model/名前            999.9M",
                ],
                true,
                &["AGE"],
            ),
            (
                30,
                &[
                    "ID                      SIZE",
                    "model/org/a-long-name   1.0K",
                    "model/名前            999.9M",
                ],
                false,
                &["AGE", "REFS"],
            ),
            (
                20,
                &[
                    "ID              SIZE",
                    "model/org/a-long-name",
                    "                1.0K",
                    "model/名前    999.9M",
                ],
                false,
                &["AGE", "REFS"],
            ),
        ] {
            let (lines, shortened, gone) = shown(width);
            assert_eq!(lines, expected, "{width}");
            assert_eq!(
                (shortened, &gone[..]),
                (
                    is_shortened,
                    &left_out.iter().map(ToString::to_string).collect::<Vec<_>>()[..]
                ),
                "{width}"
            );
        }
    }

    #[test]
    fn the_beginning_of_a_commit_has_no_ellipsis() {
        let column = |cell: &str, fit| Column {
            header: "X".to_owned(),
            cells: vec![cell.to_owned()],
            right: false,
            fit,
        };
        let columns = vec![
            column("model/a", Fit::Whole),
            column(&"0123456789".repeat(4), Fit::Beginning(12)),
        ];
        let layout = lay_out(columns, &[], 24);
        assert!(
            layout.text.ends_with("model/a 012345678901"),
            "{}",
            layout.text
        );
        assert!(layout.is_shortened);
    }
}
