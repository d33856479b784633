//! JSON in the spelling of Python's `json.dumps`: `, ` and `: `, non-ASCII as `\uXXXX`. Scripts
//! compare it as text (docs/reference.md#output-formats).

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CharEscape, Formatter, Serializer};

/// JSON on one line, in memory: see [`write`].
pub fn to_python_json(value: &Value) -> String {
    let mut out = Vec::new();
    write(&mut out, value).expect("a JSON value always serializes into memory");
    String::from_utf8(out).expect("the formatter writes ASCII")
}

/// Writes JSON on one line, as it is made. What stands for a byte of a path (see [`super::paths::path_text`]) is written as a
/// lone surrogate, by which Python knows such bytes; a DEL, which Python leaves as it is, as `\u007f`.
///
/// # Errors
/// That of `out`.
pub fn write(out: &mut dyn Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, PythonSpelling))?;
    Ok(())
}

struct PythonSpelling;

impl Formatter for PythonSpelling {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        write_ascii(out, text)
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            // serde_json would write U+007F as it is, and so does Python; other controls agree.
            CharEscape::AsciiControl(byte) => write!(out, "\\u{byte:04x}"),
            CharEscape::Quote => out.write_all(b"\\\""),
            CharEscape::ReverseSolidus => out.write_all(b"\\\\"),
            CharEscape::Solidus => out.write_all(b"/"),
            CharEscape::Backspace => out.write_all(b"\\b"),
            CharEscape::FormFeed => out.write_all(b"\\f"),
            CharEscape::LineFeed => out.write_all(b"\\n"),
            CharEscape::CarriageReturn => out.write_all(b"\\r"),
            CharEscape::Tab => out.write_all(b"\\t"),
        }
    }
}

/// Writes text with every non-ASCII character as `\uXXXX`, in surrogate pairs where needed.
fn write_ascii<W: ?Sized + Write>(out: &mut W, text: &str) -> io::Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| !c.is_ascii() || c == '\u{7f}') {
        out.write_all(&rest.as_bytes()[..at])?;
        let c = rest[at..].chars().next().expect("find gave a position");
        match super::paths::byte_of(c) {
            Some(byte) => write!(out, "\\udc{byte:02x}")?,
            None => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        rest = &rest[at + c.len_utf8()..];
    }
    out.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spelled_like_python() {
        // Expected values from `python3 -c 'import json; print(json.dumps(...))'`.
        for (value, expected) in [
            (
                json!({"a": 1, "b": [1, "x", null]}),
                r#"{"a": 1, "b": [1, "x", null]}"#,
            ),
            (json!({}), "{}"),
            (json!([]), "[]"),
            (
                json!("é \u{1f600} \u{7} \" \\ / \n"),
                r#""\u00e9 \ud83d\ude00 \u0007 \" \\ / \n""#,
            ),
        ] {
            assert_eq!(to_python_json(&value), expected);
        }
    }
}
