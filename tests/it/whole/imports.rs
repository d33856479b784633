//! Which paths a source file names: in `use` items, grouped or not, and in the code itself. Relative ones (`self::`,
//! `super::`) are made absolute, so that a path means the same in every file.
//!
//! Not a parser of Rust: it cuts the text into words and signs, which is all that paths are made of.

/// A path that is named somewhere, from `crate` or another crate on, and the line where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub path: String,
    pub line: usize,
}

/// A word, `::`, or any other single sign.
#[derive(Debug, PartialEq, Eq)]
struct Piece<'a> {
    text: &'a str,
    line: usize,
}

/// All paths of two or more names in the code of `module`, and whole `use` items whatever their length.
pub fn imports(code: &str, module: &[String]) -> Vec<Import> {
    let pieces = cut(code);
    let mut found = Vec::new();
    let mut at = 0;
    // Blocks of modules within the file, each with the depth of braces at which it ends.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    while at < pieces.len() {
        let here: Vec<String> = module
            .iter()
            .cloned()
            .chain(inner.iter().map(|(name, _)| name.clone()))
            .collect();
        match pieces[at].text {
            "use" => {
                at = tree(&pieces, at + 1, &[], &here, &mut found);
                continue;
            }
            "mod" if text(&pieces, at + 2) == "{" => {
                inner.push((text(&pieces, at + 1).to_owned(), depth));
                depth += 1;
                at += 3;
                continue;
            }
            "{" => depth += 1,
            "}" => {
                depth = usize::saturating_sub(depth, 1);
                inner.retain(|(_, end)| *end < depth);
            }
            word if is_word(word) && text(&pieces, at + 1) == "::" => {
                let line = pieces[at].line;
                let mut names = vec![word.to_owned()];
                at += 1;
                while text(&pieces, at) == "::" && is_word(text(&pieces, at + 1)) {
                    names.push(text(&pieces, at + 1).to_owned());
                    at += 2;
                }
                // `Vec::<u8>::new`: what follows the sign is looked at by itself.
                if text(&pieces, at) == "::" {
                    at += 1;
                }
                found.push(Import {
                    path: absolute(&names, &here),
                    line,
                });
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one tree of a `use` item that follows `before`; answers where it ends.
fn tree(
    pieces: &[Piece],
    mut at: usize,
    before: &[String],
    here: &[String],
    found: &mut Vec<Import>,
) -> usize {
    let mut names = before.to_vec();
    loop {
        match text(pieces, at) {
            "::" => at += 1,
            "{" => {
                at += 1;
                while !matches!(text(pieces, at), "}" | "") {
                    at = tree(pieces, at, &names, here, found);
                    if text(pieces, at) == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            word if is_word(word) || word == "*" => {
                // `a::{self}` is `a`.
                if word != "self" || names.is_empty() {
                    names.push(word.to_owned());
                }
                at += 1;
            }
            _ => {
                if let Some(line) = pieces.get(at.saturating_sub(1)).map(|piece| piece.line)
                    && !names.is_empty()
                {
                    let path = absolute(&names, here);
                    found.push(Import { path, line });
                }
                return at;
            }
        }
    }
}

fn absolute(names: &[String], here: &[String]) -> String {
    let mut rest = names;
    let mut base: Option<Vec<String>> = None;
    while let Some(first) = rest.first() {
        match first.as_str() {
            "self" => base = base.or_else(|| Some(here.to_vec())),
            "super" => {
                let mut up = base.unwrap_or_else(|| here.to_vec());
                up.pop();
                base = Some(up);
            }
            _ => break,
        }
        rest = &rest[1..];
    }
    let start = base.map(|base| ["crate".to_owned()].into_iter().chain(base));
    let all: Vec<String> = match start {
        Some(start) => start.chain(rest.iter().cloned()).collect(),
        None => rest.to_vec(),
    };
    all.join("::")
}

fn text<'a>(pieces: &[Piece<'a>], at: usize) -> &'a str {
    pieces.get(at).map_or("", |piece| piece.text)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Cuts code into pieces; comments, texts and characters in quotes are left out.
fn cut(code: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut line) = (code, 1);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ if rest.starts_with("::") => 2,
            'r' | 'b' if quoted(rest).is_some() => quoted(rest).unwrap_or(1),
            '"' | '\'' => quoted(rest).unwrap_or(1),
            _ if is_word(rest) => rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let text = &rest[..length];
        let is_left_out = text.starts_with("//")
            || text.starts_with("/*")
            || first.is_whitespace()
            || text.contains(['"', '\'']);
        if !is_left_out {
            pieces.push(Piece { text, line });
        }
        line += text.matches('\n').count();
        rest = &rest[length..];
    }
    pieces
}

/// The length of the text or character in quotes that stands at the beginning; `None` when there is none (a lifetime, a
/// name that only begins with the letter).
fn quoted(rest: &str) -> Option<usize> {
    let body = rest.trim_start_matches('b');
    let prefix = rest.len() - body.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inside = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = inside.find(&end)? + end.len();
        return Some(prefix + 1 + hashes + 1 + length);
    }
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        // 'a is a lifetime unless the quote closes after one character.
        if quote == '\'' && at > 1 && c != '\'' && !body[1..].starts_with('\\') {
            return None;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(prefix + at + 1),
            _ => {}
        }
    }
    None
}

#[test]
fn every_form_of_a_path_is_found() {
    let module = ["hub".to_owned(), "http".to_owned()];
    let paths = |code: &str| -> Vec<String> {
        let found = imports(code, &module).into_iter();
        found.map(|import| import.path).collect()
    };
    for (code, expected) in [
        ("use crate::cache;", &["crate::cache"][..]),
        (
            "pub(crate) use crate::{self, cache, auth::{self, store::*}};",
            &[
                "crate",
                "crate::cache",
                "crate::auth",
                "crate::auth::store::*",
            ],
        ),
        (
            "use crate::{sys::FsError as E, hub};",
            &["crate::sys::FsError", "crate::hub"],
        ),
        (
            "use super::super::cache::layout;",
            &["crate::cache::layout"],
        ),
        (
            "use super::{gate, super::{auth, repo}};",
            &["crate::hub::gate", "crate::auth", "crate::repo"],
        ),
        ("use self::inner::X;", &["crate::hub::http::inner::X"]),
        (
            "mod a { use super::super::b; } use super::c;",
            &["crate::hub::b", "crate::hub::c"],
        ),
        (
            "fn f(x: &super::super::auth::Y) -> reqwest::Error { crate::z() }",
            &["crate::auth::Y", "reqwest::Error", "crate::z"],
        ),
        (
            "// crate::a\n/* crate::b */ let x = \"crate::c\"; let y = r#\"crate::\"d\"#;",
            &[],
        ),
        (
            "fn f<'a>(x: &'a str) { x == 'c' || '\\'' == b'\"'; crate::e() }",
            &["crate::e"],
        ),
    ] {
        assert_eq!(paths(code), expected, "{code}");
    }
    let lines = imports("\n\nuse a::{\n  b,\n  c,\n};", &module);
    let lines: Vec<usize> = lines.iter().map(|import| import.line).collect();
    assert_eq!(lines, [4, 5]);
}
