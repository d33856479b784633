//! Python's `fnmatchcase`, reimplemented: the Hub's users write patterns for it, and the glob crates
//! differ in what matters here (`*` crosses `/`, no braces, `[!…]` only, an unclosed
//! `[` is a bracket). Pure.

/// A pattern over whole repository paths (docs/reference.md#patterns).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    AnyOne,
    AnyRun,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Compiles a pattern. A backslash is read as a slash, and a final slash means everything below.
    pub fn new(text: &str) -> Self {
        let mut normal = text.replace('\\', "/");
        if normal.ends_with('/') {
            normal.push('*');
        }
        Pattern {
            text: text.to_owned(),
            tokens: tokenize(&normal),
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole path matches.
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        let (mut p, mut t) = (0, 0);
        // Where to resume when the text after the last `*` turns out not to match.
        let mut retry: Option<(usize, usize)> = None;
        while p < path.len() {
            match self.tokens.get(t) {
                Some(Token::AnyRun) => {
                    retry = Some((p, t));
                    t += 1;
                }
                Some(token) if token.matches(path[p]) => {
                    p += 1;
                    t += 1;
                }
                _ => match &mut retry {
                    Some((from, star)) => {
                        *from += 1;
                        p = *from;
                        t = *star + 1;
                    }
                    None => return false,
                },
            }
        }
        self.tokens[t..].iter().all(|token| *token == Token::AnyRun)
    }
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Token::Literal(literal) => *literal == c,
            Token::AnyOne => true,
            Token::AnyRun => false,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|&(low, high)| (low..=high).contains(&c)) != *negated
            }
        }
    }
}

fn tokenize(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let token = match chars[at] {
            '*' => Token::AnyRun,
            '?' => Token::AnyOne,
            '[' => match class(&chars[at + 1..]) {
                Some((class, used)) => {
                    at += used;
                    class
                }
                None => Token::Literal('['),
            },
            c => Token::Literal(c),
        };
        at += 1;
        if !(token == Token::AnyRun && tokens.last() == Some(&Token::AnyRun)) {
            tokens.push(token);
        }
    }
    tokens
}

/// Parses what follows a `[`; returns the class and how many characters it took, the `]` included.
/// `None` when it is never closed. A `]` in first place is literal.
fn class(rest: &[char]) -> Option<(Token, usize)> {
    let negated = rest.first() == Some(&'!');
    let start = usize::from(negated);
    let end = rest.iter().skip(start + 1).position(|&c| c == ']')? + start + 1;
    let body = &rest[start..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < body.len() {
        if at + 2 < body.len() && body[at + 1] == '-' {
            // A range that runs backwards matches nothing, as in Python.
            ranges.push((body[at], body[at + 2]));
            at += 3;
        } else {
            ranges.push((body[at], body[at]));
            at += 1;
        }
    }
    Some((Token::Class { negated, ranges }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (pattern, text, result of Python 3.11's `fnmatch.fnmatchcase` after the client's rewriting).
    const TABLE: &[(&str, &str, bool)] = &[
        ("*.json", "config.json", true),
        ("*.json", "a/b/config.json", true),
        ("*.json", "config.JSON", false),
        ("a/*", "a/b/c", true),
        ("a/", "a/b/c", true),
        ("a/", "ab", false),
        ("a\\*", "a/b", true),
        ("?", "a", true),
        ("?", "", false),
        ("a?c", "a/c", true),
        ("[ab]x", "ax", true),
        ("[!ab]x", "ax", false),
        ("[!ab]x", "cx", true),
        ("[^a]", "^", true),
        ("[^a]", "a", true),
        ("[^a]", "b", false),
        ("[a-c]", "b", true),
        ("[c-a]", "b", false),
        ("[]a]", "]", true),
        ("[!]a]", "]", false),
        ("[!]a]", "b", true),
        ("[a", "[a", true),
        ("[]", "[]", true),
        ("[a-]", "-", true),
        ("{a,b}", "a", false),
        ("{a,b}", "{a,b}", true),
        ("**", "a/b", true),
        ("a**b", "axxb", true),
        ("a*b*c", "abxbxc", true),
        ("a*b*c", "abxbx", false),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("é*", "éa", true),
        (".", "a", false),
    ];

    #[test]
    fn as_python() {
        for &(pattern, text, expected) in TABLE {
            assert_eq!(
                Pattern::new(pattern).matches(text),
                expected,
                "{pattern} {text}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_literals_match_themselves(text in "[a-z./]{0,12}", pattern in "[\\PC]{0,12}") {
            Pattern::new(&pattern).matches(&text);
            if !text.ends_with('/') {
                assert!(Pattern::new(&text).matches(&text));
            }
        }

        #[test]
        fn a_star_matches_any_middle(a in "[a-z]{0,4}", middle in "[a-z/.]{0,6}", b in "[a-z]{0,4}") {
            let path = format!("{a}{middle}{b}");
            let pattern = format!("{a}*{b}");
            assert!(Pattern::new(&pattern).matches(&path));
        }
    }
}
