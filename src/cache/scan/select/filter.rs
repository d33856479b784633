//! Which rows are wanted.

use std::cmp::Ordering;
use std::str::FromStr;

use super::{Row, SelectError};

/// A condition on a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Condition);

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    Size(Operator, i128),
    Accessed(Operator, i128),
    Modified(Operator, i128),
    Type(String),
    Ref(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

/// Longest first, so that `>=` is not taken for `>`.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("=", Operator::Equal),
];

/// Decimal units; a `b` may follow each.
const BYTE_UNITS: [(&str, i128); 5] = [
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("p", 1_000_000_000_000_000),
];

/// Units in seconds. A month has 30 days, a year 365.
const TIME_UNITS: [(&str, i128); 7] = [
    ("s", 1),
    ("m", 60),
    ("h", 3_600),
    ("d", 86_400),
    ("w", 604_800),
    ("mo", 2_592_000),
    ("y", 31_536_000),
];

impl Operator {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Operator::Equal => ordering.is_eq(),
            Operator::NotEqual => ordering.is_ne(),
            Operator::Greater => ordering.is_gt(),
            Operator::Less => ordering.is_lt(),
            Operator::GreaterOrEqual => ordering.is_ge(),
            Operator::LessOrEqual => ordering.is_le(),
        }
    }
}

impl FromStr for Filter {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let form = || SelectError::Form(text.to_owned());
        let trimmed = text.trim();
        let key_end = trimmed
            .find(|c: char| !(c.is_ascii_alphabetic() || c == '_'))
            .filter(|&end| end > 0)
            .ok_or_else(form)?;
        let (key, rest) = trimmed.split_at(key_end);
        let key = key.to_ascii_lowercase();
        let rest = rest.trim_start();
        if rest.starts_with("==") {
            return Err(SelectError::Operator(text.to_owned(), "use = for equality"));
        }
        let (operator, value) = OPERATORS
            .iter()
            .find_map(|&(sign, operator)| Some((operator, rest.strip_prefix(sign)?.trim())))
            .filter(|(_, value)| !value.is_empty())
            .ok_or_else(form)?;
        let only_equal = || match operator {
            Operator::Equal => Ok(()),
            _ => Err(SelectError::Operator(
                text.to_owned(),
                "only = works with this key",
            )),
        };
        Ok(Filter(match key.as_str() {
            "size" => Condition::Size(operator, size(value)?),
            "accessed" => Condition::Accessed(operator, duration(value)?),
            "modified" => Condition::Modified(operator, duration(value)?),
            "type" => {
                only_equal()?;
                Condition::Type(value.to_lowercase())
            }
            "refs" => {
                only_equal()?;
                Condition::Ref(value.to_lowercase())
            }
            _ => return Err(SelectError::Key(key)),
        }))
    }
}

impl Filter {
    /// Whether a row meets the condition. `now` is in seconds since 1970.
    pub fn matches(&self, row: &Row<'_>, now: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "an age needs no such precision")]
        let age = |operator: Operator, time: f64, limit: i128| {
            (now - time)
                .partial_cmp(&(limit as f64))
                .is_some_and(|ordering| operator.holds(ordering))
        };
        match &self.0 {
            Condition::Size(operator, limit) => operator.holds(i128::from(row.size()).cmp(limit)),
            Condition::Accessed(operator, limit) => age(*operator, row.accessed(), *limit),
            Condition::Modified(operator, limit) => age(*operator, row.modified(), *limit),
            Condition::Type(name) => row.repo.id.repo_type.as_str() == name,
            Condition::Ref(name) => row.refs().iter().any(|r| r.to_lowercase() == *name),
        }
    }
}

/// Bytes: a whole number, bare or with a decimal unit (`10MB`, `5g`).
///
/// # Errors
/// [`SelectError::Value`].
pub fn size(text: &str) -> Result<i128, SelectError> {
    number_with_unit(text, |unit| {
        let unit = unit.strip_suffix('b').unwrap_or(unit);
        BYTE_UNITS.iter().find(|(name, _)| *name == unit)
    })
    .ok_or_else(|| {
        SelectError::Value(
            text.to_owned(),
            "a size: write a whole number, perhaps with k, m, g, t or p, as in 500MB",
        )
    })
}

/// Seconds: a whole number, bare or with a unit (`30d`, `6mo`).
///
/// # Errors
/// [`SelectError::Value`].
pub fn duration(text: &str) -> Result<i128, SelectError> {
    number_with_unit(text, |unit| {
        TIME_UNITS.iter().find(|(name, _)| *name == unit)
    })
    .ok_or_else(|| {
        SelectError::Value(
            text.to_owned(),
            "a time: write a whole number, perhaps with s, m, h, d, w, mo or y, as in 30d",
        )
    })
}

/// A number as Python's `int()` takes it (a sign, single underscores between digits), or bare
/// digits and a unit.
fn number_with_unit<'a>(
    text: &str,
    unit: impl FnOnce(&str) -> Option<&'a (&'static str, i128)>,
) -> Option<i128> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned
        .split('_')
        .all(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    if is_number {
        return text.replace('_', "").parse().ok();
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .filter(|&end| end > 0)?;
    let (digits, suffix) = text.split_at(end);
    let (_, factor) = unit(&suffix.to_ascii_lowercase())?;
    digits.parse::<i128>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::super::tests::repo;
    use super::*;

    #[test]
    fn filters() {
        let now = 1_000_000.0;
        let repo = repo("o/n", 5_000, now - 3_600.0, &["main", "refs/pr/1"]);
        let row = Row {
            repo: &repo,
            revision: None,
            problem: None,
        };
        for (text, expected) in [
            ("size>4k", true),
            ("size>5KB", false),
            ("size>=5000", true),
            ("size = 5_000", true),
            ("size!=5k", false),
            ("SIZE<1TB", true),
            ("size>-1", true),
            ("accessed>59m", true),
            ("accessed>1d", false),
            ("modified<=2h", true),
            ("modified<1mo", true),
            ("type=model", true),
            ("type=MODEL", true),
            ("type=thing", false),
            ("refs=MAIN", true),
            ("refs=refs/pr/1", true),
            ("refs=v1", false),
        ] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.matches(&row, now), expected, "{text}");
        }
        for bad in [
            "",
            "size",
            "size>",
            "size==1",
            "size>>1",
            "size=>1",
            "size>1.5k",
            "size>1kib",
            "size>k",
            "size>1 k",
            "accessed>1x",
            "accessed>1kb",
            "color=red",
            "type!=model",
            "refs>main",
            ">1",
            "size>1__0",
            "size>99999999999999999999999999999999999999p",
        ] {
            assert!(bad.parse::<Filter>().is_err(), "{bad}");
        }
    }
}
