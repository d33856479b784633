//! Cutting a command line into words as a shell does, and quoting a word for bash. Pure.

/// A command line up to the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// Its words without quotes, the name of the program first. The last one is to be completed; it
    /// is empty when the cursor stands after a blank.
    pub words: Vec<String>,
    /// The last word begins with a quote that is not closed yet.
    pub in_quotes: bool,
}

impl Line {
    /// Words that need no cutting.
    pub fn of(words: impl IntoIterator<Item = String>) -> Self {
        Line {
            words: words.into_iter().collect(),
            in_quotes: false,
        }
    }

    /// The word to complete.
    pub fn current(&self) -> &str {
        self.words.last().map_or("", String::as_str)
    }
}

/// Cuts a line. What a shell would refuse, an open quote or a final backslash, is accepted: the
/// line is not finished.
pub fn split(text: &str) -> Line {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some('"'), '\\') if matches!(chars.peek(), Some('"' | '\\' | '$' | '`')) => {
                word.get_or_insert_default().extend(chars.next());
            }
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    words.push(word.unwrap_or_default());
    Line {
        words,
        in_quotes: quote.is_some(),
    }
}

/// Joins what bash has cut at `:` and `=`, which it takes for ends of words: `hf : //x` was `hf://x`.
pub fn glue(words: &[String]) -> Vec<String> {
    let is_break = |word: &str| !word.is_empty() && word.chars().all(|c| matches!(c, ':' | '='));
    let mut glued: Vec<String> = Vec::new();
    let mut open = false;
    for word in words {
        match glued.last_mut() {
            Some(last) if open || (is_break(word) && last.as_str() != "") => last.push_str(word),
            _ => glued.push(word.clone()),
        }
        open = is_break(word);
    }
    glued
}

/// A word with backslashes before characters that are special in bash.
pub fn quote(word: &str) -> String {
    let mut quoted = String::with_capacity(word.len());
    for (at, c) in word.char_indices() {
        let plain = c.is_alphanumeric()
            || "/_-.,+=:@%^".contains(c)
            || (c == '~' && at == 0)
            || !c.is_ascii();
        if !plain {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_as_a_shell_does() {
        for (text, words, in_quotes) in [
            ("", &[""][..], false),
            ("hf", &["hf"], false),
            ("hf ", &["hf", ""], false),
            ("  hf  cache\trm ", &["hf", "cache", "rm", ""], false),
            (r"hf a\ b", &["hf", "a b"], false),
            (r#"hf "a b" c"#, &["hf", "a b", "c"], false),
            (r#"hf "a \"b\" \x"#, &["hf", r#"a "b" \x"#], true),
            (r"hf 'a \b", &["hf", r"a \b"], true),
            ("hf '' ", &["hf", "", ""], false),
            ("hf ''", &["hf", ""], false),
            ("hf x\\", &["hf", "x"], false),
            (r#"hf --a="b c"d"#, &["hf", "--a=b cd"], false),
        ] {
            let line = split(text);
            assert_eq!(line.words, words, "{text}");
            assert_eq!(line.in_quotes, in_quotes, "{text}");
        }
    }

    #[test]
    fn pieces_are_joined() {
        for (pieces, words) in [
            ("hf rm hf : //o/n", "hf rm hf://o/n"),
            ("hf ls --sort size : d", "hf ls --sort size:d"),
            ("hf ls --sort size :", "hf ls --sort size:"),
            ("hf x --revision = ma", "hf x --revision=ma"),
            ("hf x y", "hf x y"),
        ] {
            let pieces: Vec<String> = pieces.split(' ').map(str::to_owned).collect();
            assert_eq!(glue(&pieces).join(" "), words);
        }
    }

    #[test]
    fn quoting_is_undone_by_cutting() {
        for word in [
            "a b", "it's", "$(rm)", "`x`", "a\\b", "ü", "o/n:x=1", "#*?[~]", "~/a b",
        ] {
            let quoted = quote(word);
            assert_eq!(split(&quoted).words, [word], "{quoted}");
        }
        assert_eq!(quote("model/org/name"), "model/org/name");
        assert_eq!(quote("~/x"), "~/x");
    }
}
