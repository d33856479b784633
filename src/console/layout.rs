//! A table on a terminal: whole identifiers first; what matters less is shortened, then left out. Pure.

use console::{measure_text_width, truncate_str};

/// One column of a table, ready to be laid out.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its number in the table.
    pub number: usize,
    /// Its heading.
    pub header: String,
    /// Characters of its longest cell, the heading included.
    pub width: usize,
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

/// How a table fits, and whether it shows less than there is.
#[derive(Debug, Default)]
pub(super) struct Layout {
    columns: Vec<Column>,
    widths: Vec<usize>,
    /// Cells are shortened.
    pub is_shortened: bool,
    /// Headings of columns that are left out.
    pub left_out: Vec<String>,
}

impl Column {
    fn least_width(&self) -> usize {
        match self.fit {
            Fit::Whole => self.width,
            Fit::Shortened(least) | Fit::Beginning(least) => {
                self.width.min(least).max(measure_text_width(&self.header))
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
    let mut cut = columns.iter().zip(&widths).skip(1);
    Layout {
        is_shortened: cut.any(|(column, &width)| column.width > width),
        columns,
        widths,
        left_out,
    }
}

impl Layout {
    /// The headings, and a rule below them.
    pub fn heading(&self) -> String {
        let headers = self.columns.iter().map(|column| column.header.clone());
        let rule = self.widths.iter().map(|&width| "-".repeat(width));
        [
            self.padded(&headers.collect::<Vec<_>>()),
            self.padded(&rule.collect::<Vec<_>>()),
        ]
        .join("\n")
    }

    /// A row, whose cells are asked for by the numbers of their columns.
    pub fn line(&self, cell: impl Fn(usize) -> String) -> String {
        let columns = self.columns.iter().zip(&self.widths).enumerate();
        let cells = columns.map(|(index, (column, &width))| {
            let cell = cell(column.number);
            if index == 0 || measure_text_width(&cell) <= width {
                return cell;
            }
            let end = match column.fit {
                Fit::Beginning(_) => "",
                _ => "…",
            };
            truncate_str(&cell, width, end).into_owned()
        });
        self.padded(&cells.collect::<Vec<_>>())
    }

    /// Cells in one line, or in two where the first of them is too long.
    fn padded(&self, cells: &[String]) -> String {
        let mut out = String::new();
        for (index, (cell, &width)) in cells.iter().zip(&self.widths).enumerate() {
            let blanks = " ".repeat(width.saturating_sub(measure_text_width(cell)));
            if index > 0 {
                out.push(' ');
            }
            match self.columns[index].right {
                true => out.extend([&blanks, cell.as_str()]),
                false => out.extend([cell.as_str(), &blanks]),
            }
            if index == 0 && measure_text_width(cell) > width && cells.len() > 1 {
                out.push('\n');
                out.push_str(&" ".repeat(width));
            }
        }
        let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
        lines.join("\n")
    }
}

/// Widths that fit, by shortening from the last column on; else the least ones.
fn widths_within(columns: &[Column], width: usize) -> Result<Vec<usize>, Vec<usize>> {
    let mut widths: Vec<usize> = columns.iter().map(|column| column.width).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: [[&str; 2]; 4] = [
        ["model/org/a-long-name", "model/名前"],
        ["1.0K", "999.9M"],
        ["5 minutes ago", "1 week ago"],
        ["main, refs/pr/1, v1", ""],
    ];

    fn columns() -> Vec<Column> {
        let column = |number: usize, header: &str, right, fit| Column {
            number,
            header: header.to_owned(),
            width: CELLS[number]
                .iter()
                .chain([&header])
                .map(|text| measure_text_width(text))
                .max()
                .unwrap(),
            right,
            fit,
        };
        vec![
            column(0, "ID", false, Fit::Whole),
            column(1, "SIZE", true, Fit::Whole),
            column(2, "AGE", false, Fit::Whole),
            column(3, "REFS", false, Fit::Shortened(8)),
        ]
    }

    /// The table without its rule, and what is not shown.
    fn shown(width: usize) -> (Vec<String>, bool, Vec<String>) {
        let layout = lay_out(columns(), &[2, 3], width);
        let rows = (0..2).map(|row| layout.line(|column| CELLS[column][row].to_owned()));
        let lines: Vec<String> = [layout.heading()].into_iter().chain(rows).collect();
        let lines = lines.join("\n");
        let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
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
        let cells = ["model/a".to_owned(), "0123456789".repeat(4)];
        let column = |number: usize, fit| Column {
            number,
            header: "X".to_owned(),
            width: cells[number].len(),
            right: false,
            fit,
        };
        let columns = vec![column(0, Fit::Whole), column(1, Fit::Beginning(12))];
        let layout = lay_out(columns, &[], 24);
        let line = layout.line(|column| cells[column].clone());
        assert_eq!(line, "model/a 012345678901");
        assert!(layout.is_shortened);
    }
}
