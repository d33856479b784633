//! Small texts: sizes, ages, escaping. Pure.

use serde_json::Value;

use super::paths::byte_of;

/// A size in decimal units as both Python clients write it: `1.5K`, `2.7G`, `999.0`
/// (docs/reference.md#sizes).
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = bytes as f64;
    for unit in ["", "K", "M", "G", "T", "P", "E", "Z"] {
        if value.abs() < 1000.0 {
            return format!("{value:.1}{unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1}Y")
}

/// A size in a sentence: `980 kB`, `2.1 GB`.
pub fn bytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    // A digit after the point where there is but one before it.
    let digits = usize::from(unit != "B" && value < 9.95);
    format!("{value:.digits$} {unit}")
}

/// A number with commas: `12,345`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate in bytes a second: `980 kB/s`, `2.1 MB/s`.
pub fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// A stretch of time in its two largest units: `54 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn time(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// [`time`], with a fraction of a second for what is short: `0.02 s`, `0.4 s`, `9 s`.
pub fn short_time(took: std::time::Duration) -> String {
    match took.as_secs_f64() {
        ..0.095 => format!("{:.2} s", took.as_secs_f64().max(0.01)),
        ..0.95 => format!("{:.1} s", took.as_secs_f64()),
        seconds => time(std::time::Duration::from_secs_f64(seconds.round()).as_secs()),
    }
}

/// The text with the beginning of each hash in it, which names a commit or a blob well enough for a person.
pub fn short_hashes(text: &str) -> String {
    /// Digits of the shortest hash, a commit's.
    const WHOLE: usize = 40;
    const SHOWN: usize = 12;
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let (mut short, mut rest) = (String::with_capacity(text.len()), text);
    while !rest.is_empty() {
        let other = rest.find(is_digit).unwrap_or(rest.len());
        let digits = rest[other..].find(|c| !is_digit(c));
        let end = digits.map_or(rest.len(), |count| other + count);
        let run = &rest[other..end];
        short.push_str(&rest[..other]);
        short.push_str(&run[..if run.len() < WHOLE { run.len() } else { SHOWN }]);
        rest = &rest[end..];
    }
    short
}

/// How long ago something was, in words (docs/reference.md#ages). `seconds` may be negative (a
/// clock that was set back): that is "a few seconds ago", as the Python clients say.
pub fn age(seconds: f64) -> String {
    age_in(seconds, [59, 59, 23])
}

/// [`age`] as huggingface_hub 0.36.2 words it, for its table: `60 minutes ago` and `24 hours ago`
/// still exist there.
pub fn legacy_age(seconds: f64) -> String {
    age_in(seconds, [60, 60, 24])
}

/// `most`: the largest count of seconds, minutes and hours before the next unit takes over.
fn age_in(seconds: f64, most: [i64; 3]) -> String {
    if seconds < 20.0 {
        return "a few seconds ago".to_owned();
    }
    let units = [
        ("second", 1.0, Some(most[0])),
        ("minute", 60.0, Some(most[1])),
        ("hour", 3600.0, Some(most[2])),
        ("day", 86_400.0, Some(6)),
        ("week", 604_800.0, Some(6)),
        ("month", 2_592_000.0, Some(11)),
        ("year", 31_536_000.0, None),
    ];
    for (unit, length, most) in units {
        #[expect(clippy::cast_possible_truncation, reason = "an age in years is small")]
        let count = (seconds / length).round_ties_even() as i64;
        if most.is_none_or(|most| count <= most) {
            let plural = if count > 1 { "s" } else { "" };
            return format!("{count} {unit}{plural} ago");
        }
    }
    unreachable!("the last unit has no limit")
}

/// A time in seconds since 1970 as RFC 3339 in UTC, to the second; `None` outside the years that
/// the format can write.
pub fn rfc3339(seconds: f64) -> Option<String> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "floats saturate, and jiff checks"
    )]
    let timestamp = jiff::Timestamp::from_second(seconds.floor() as i64).ok()?;
    Some(timestamp.to_string())
}

/// Characters that are not shown as themselves: those that a file name may not hide, and all others
/// that a terminal shows as nothing (Unicode, Default_Ignorable_Code_Point, except variation
/// selectors), or that stand for a byte.
pub fn is_deceptive(c: char) -> bool {
    crate::types::is_deceptive(c)
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e00ff}'
            | '\u{e01f0}'..='\u{e0fff}')
        || byte_of(c).is_some()
}

/// Text with control, direction-changing and invisible characters spelled out, so that a name from a
/// server or a file system cannot move the cursor or pose as another name.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut out, c));
    out
}

/// One character of [`escape`].
pub(super) fn push_escaped(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if !is_deceptive(c) => out.push(c),
        c => match (byte_of(c), c as u32) {
            (Some(byte), _) => out.push_str(&format!("\\x{byte:02x}")),
            (None, code @ 0..0x100) => out.push_str(&format!("\\x{code:02x}")),
            (None, code @ 0x100..0x1_0000) => out.push_str(&format!("\\u{code:04x}")),
            (None, code) => out.push_str(&format!("\\U{code:08x}")),
        },
    }
}

/// [`escape`] after folding runs of white space into one space: always one line.
pub fn single_line(text: &str) -> String {
    escape(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A JSON value as a word in a sentence: strings bare and escaped, booleans in Python's spelling.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => escape(text),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(_) => python_literal(value),
        Value::Object(_) => super::json::to_python_json(value),
    }
}

/// A value in Python notation, as `agent` output writes lists: `['main', 'refs/pr/1']`.
pub fn python_literal(value: &Value) -> String {
    match value {
        Value::String(text) => {
            // Python prefers single quotes and changes to double ones only to avoid an escape.
            let quote = if text.contains('\'') && !text.contains('"') {
                '"'
            } else {
                '\''
            };
            let mut escaped = escape(&text.replace('\\', "\\\\"));
            if quote == '\'' {
                escaped = escaped.replace('\'', "\\'");
            }
            format!("{quote}{escaped}{quote}")
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(python_literal).collect();
            format!("[{}]", items.join(", "))
        }
        other => plain(other),
    }
}

/// A column name as a table header: `lastAccessed` and `last_accessed` become `LAST_ACCESSED`.
pub fn screaming_snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    let mut previous_is_lower = false;
    for c in name.chars() {
        if previous_is_lower && c.is_ascii_uppercase() {
            out.push('_');
        }
        previous_is_lower = c.is_ascii_lowercase();
        out.push(c.to_ascii_uppercase());
    }
    out
}

/// A part of a whole as a bar of up to ten blocks, in eighths of a block, and in percent.
pub fn share(part: u64, whole: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    #[expect(clippy::cast_precision_loss, reason = "a bar needs no more")]
    let share = (part as f64 / whole.max(1) as f64).clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 80"
    )]
    let eighths = (share * 80.0).round() as usize;
    let bar = format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8]);
    format!("{bar} {:.0}%", share * 100.0)
        .trim_start()
        .to_owned()
}

/// `1 file`, `2 files`, `2 entries`.
pub fn count(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix("ry")) {
        (1, _) => format!("{number} {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ries"),
        (_, None) => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hashes_are_named_by_their_beginning() {
        let (commit, etag) = ("0123456789abcdef".repeat(2) + "01234567", "ab".repeat(32));
        for (text, expected) in [
            (String::new(), ""),
            (
                format!("snapshots/{commit}/f.bin"),
                "snapshots/0123456789ab/f.bin",
            ),
            (
                format!("blobs/{etag}.1234abcd.incomplete"),
                "blobs/abababababab.1234abcd.incomplete",
            ),
            (commit.clone(), "0123456789ab"),
            (
                format!("é{}/cafe", &commit[1..]),
                "é123456789abcdef0123456789abcdef01234567/cafe",
            ),
        ] {
            assert_eq!(short_hashes(&text), expected);
        }
    }

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0.0"),
            (999, "999.0"),
            (1000, "1.0K"),
            (1536, "1.5K"),
            (999_949, "999.9K"),
            (999_950, "1000.0K"),
            (2_700_000_000, "2.7G"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn rates_and_times() {
        for (bytes, expected) in [
            (0, "0 B/s"),
            (999, "999 B/s"),
            (1000, "1.0 kB/s"),
            (9949, "9.9 kB/s"),
            (9950, "10 kB/s"),
            (999_499, "999 kB/s"),
            (999_500, "1.0 MB/s"),
            (210_400_000, "210 MB/s"),
            (u64::MAX, "18446744 TB/s"),
        ] {
            assert_eq!(rate(bytes), expected, "{bytes}");
        }
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3599, "59 min 59 s"),
            (3600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (100_000, "1 d 3 h"),
        ] {
            assert_eq!(time(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn sizes_and_numbers_in_sentences() {
        assert_eq!(bytes(1_100_000_000), "1.1 GB");
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), expected);
        }
        for (milliseconds, expected) in [
            (0, "0.01 s"),
            (20, "0.02 s"),
            (94, "0.09 s"),
            (95, "0.1 s"),
            (440, "0.4 s"),
            (960, "1 s"),
            (61_400, "1 min 1 s"),
        ] {
            let took = std::time::Duration::from_millis(milliseconds);
            assert_eq!(short_time(took), expected);
        }
    }

    #[test]
    fn shares() {
        for (part, whole, expected) in [
            (0, 0, "0%"),
            (0, 10, "0%"),
            (10, 10, "██████████ 100%"),
            (1, 2, "█████ 50%"),
            (1, 80, "▏ 1%"),
            (9, 80, "█▏ 11%"),
            (5, 1, "██████████ 100%"),
        ] {
            assert_eq!(share(part, whole), expected, "{part} of {whole}");
        }
    }

    #[test]
    fn ages() {
        for (seconds, expected) in [
            (-5.0, "a few seconds ago"),
            (19.9, "a few seconds ago"),
            (20.0, "20 seconds ago"),
            (59.4, "59 seconds ago"),
            (59.6, "1 minute ago"),
            (90.0, "2 minutes ago"),
            (150.0, "2 minutes ago"),
            (3600.0 * 23.4, "23 hours ago"),
            (86_400.0 * 7.0, "1 week ago"),
            (86_400.0 * 45.0, "6 weeks ago"),
            (86_400.0 * 75.0, "2 months ago"),
            (86_400.0 * 365.0, "1 year ago"),
        ] {
            assert_eq!(age(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn legacy_ages_roll_over_one_later() {
        for (seconds, expected) in [
            (60.0, "60 seconds ago"),
            (61.0, "1 minute ago"),
            (3600.0, "60 minutes ago"),
            (86_400.0, "24 hours ago"),
            (86_400.0 * 7.0, "1 week ago"),
        ] {
            assert_eq!(legacy_age(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(rfc3339(0.9).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(
            rfc3339(1_700_000_000.0).as_deref(),
            Some("2023-11-14T22:13:20Z")
        );
        assert_eq!(rfc3339(f64::INFINITY), None);
    }

    #[test]
    fn escapes() {
        assert_eq!(escape("a\u{1b}[2J\u{202e}é"), "a\\x1b[2J\\u202eé");
        assert_eq!(single_line(" a \n b\t"), "a b");
    }

    #[test]
    fn python_notation() {
        assert_eq!(
            python_literal(&json!(["main", "refs/pr/1"])),
            "['main', 'refs/pr/1']"
        );
        assert_eq!(python_literal(&json!(["it's"])), "[\"it's\"]");
        assert_eq!(python_literal(&json!([])), "[]");
    }
}
