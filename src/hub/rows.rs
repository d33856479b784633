//! Parses a long JSON array as it arrives: one row at a time, never the whole text.

use serde::de::DeserializeOwned;

/// Most bytes of one row. The longest real one holds a path of a few kilobytes.
const LONGEST_ROW: usize = 1 << 20;

/// Why a text is no array of objects, in words that repeat nothing of it: values may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRows {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It breaks the rules of JSON.
    #[error("it is not JSON")]
    NotJson,
    /// It is something else than an array of the objects expected.
    #[error("its JSON has an unexpected form (row {0})")]
    Form(usize),
    /// It ends in the middle.
    #[error("its JSON ends too early")]
    Early,
    /// A row without an end.
    #[error("row {0} is longer than any honest one")]
    Long(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the `[`.
    Start,
    /// After the `[`: a row or the end.
    First,
    /// After a comma: a row.
    Next,
    /// Inside a row.
    Row,
    /// After a row: a comma or the end.
    Behind,
    /// After the `]`.
    End,
}

/// The rows of one array. Pure: it is given the text in pieces of any length.
#[derive(Debug)]
pub struct Rows<T> {
    rows: Vec<T>,
    state: State,
    /// The row being read.
    text: Vec<u8>,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl<T: DeserializeOwned> Rows<T> {
    /// Nothing has arrived yet.
    pub fn new() -> Self {
        Rows {
            rows: Vec::new(),
            state: State::Start,
            text: Vec::new(),
            depth: 0,
            in_string: false,
            is_escaped: false,
        }
    }

    /// More of the text.
    ///
    /// # Errors
    /// [`BadRows`] as soon as it is seen.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), BadRows> {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if self.state == State::Row {
                let end = self.row_ends_at(rest);
                self.text
                    .extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
                if self.text.len() > LONGEST_ROW {
                    return Err(BadRows::Long(self.number()));
                }
                let Some(end) = end else { return Ok(()) };
                self.finish_row()?;
                rest = &rest[end..];
                continue;
            }
            // A row begins with this very byte, which belongs to it.
            if self.between(byte)? != State::Row {
                rest = &rest[1..];
            }
        }
        Ok(())
    }

    /// All rows, once the text is at its end.
    ///
    /// # Errors
    /// [`BadRows`] when it ends too early.
    pub fn finish(self) -> Result<Vec<T>, BadRows> {
        match self.state {
            State::End => Ok(self.rows),
            State::Start => Err(BadRows::Empty),
            _ => Err(BadRows::Early),
        }
    }

    /// Number of the next row, or the row being read, from 1.
    fn number(&self) -> usize {
        self.rows.len() + 1
    }

    /// Takes a byte outside a row; returns the state after it.
    fn between(&mut self, byte: u8) -> Result<State, BadRows> {
        let next = match (self.state, byte) {
            (state, b' ' | b'\t' | b'\n' | b'\r') => state,
            (State::Start, b'[') => State::First,
            (State::First | State::Next, b'{') => State::Row,
            (State::First | State::Behind, b']') => State::End,
            (State::Behind, b',') => State::Next,
            // The first byte of another JSON value.
            (
                State::Start | State::First | State::Next,
                b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n',
            ) => return Err(BadRows::Form(self.number())),
            _ => return Err(BadRows::NotJson),
        };
        self.state = next;
        Ok(next)
    }

    /// Where the row being read ends in these bytes, if it does.
    fn row_ends_at(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn finish_row(&mut self) -> Result<(), BadRows> {
        use serde_json::error::Category;
        let row = serde_json::from_slice(&self.text).map_err(|error| match error.classify() {
            Category::Data => BadRows::Form(self.number()),
            Category::Syntax | Category::Eof | Category::Io => BadRows::NotJson,
        })?;
        self.rows.push(row);
        self.text.clear();
        self.state = State::Behind;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    type Row = Map<String, Value>;

    fn rows(pieces: &[&[u8]]) -> Result<Vec<Row>, BadRows> {
        let mut rows = Rows::new();
        for piece in pieces {
            rows.push(piece)?;
        }
        rows.finish()
    }

    #[test]
    fn arrays() {
        for (text, expected) in [
            ("[]", Ok(0)),
            (" [ ] \n", Ok(0)),
            ("[{}]", Ok(1)),
            ("[{\"a\": \"]}\\\"\"}, {\"b\": [1, {}]} ]", Ok(2)),
            ("", Err(BadRows::Empty)),
            (" \n", Err(BadRows::Empty)),
            ("<html>", Err(BadRows::NotJson)),
            ("[{}", Err(BadRows::Early)),
            ("[{\"a\": 1", Err(BadRows::Early)),
            ("[", Err(BadRows::Early)),
            ("[{},", Err(BadRows::Early)),
            ("[{},]", Err(BadRows::NotJson)),
            ("[,{}]", Err(BadRows::NotJson)),
            ("[{}{}]", Err(BadRows::NotJson)),
            ("[{}]]", Err(BadRows::NotJson)),
            ("[{\"a\"]}]", Err(BadRows::NotJson)),
            ("null", Err(BadRows::Form(1))),
            ("{\"error\": 1}", Err(BadRows::Form(1))),
            ("[{}, 5]", Err(BadRows::Form(2))),
            ("[[[[", Err(BadRows::Form(1))),
        ] {
            let seen = rows(&[text.as_bytes()]).map(|rows| rows.len());
            assert_eq!(seen, expected, "{text}");
        }
    }

    #[test]
    fn a_row_without_an_end_is_not_kept() {
        let mut rows = Rows::<Row>::new();
        rows.push(b"[{\"a\": \"").unwrap();
        let piece = [b'x'; 1 << 16];
        let pushed = (0..100).find_map(|_| rows.push(&piece).err());
        assert_eq!(pushed, Some(BadRows::Long(1)));
        assert!(rows.text.len() <= LONGEST_ROW + piece.len());
    }

    /// JSON values of every kind, strings with all that means something to JSON included.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],: \n\u{e9}]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z\"\\\\]{0,4}", inner, 0..4)
                    .prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// However a good array is cut into pieces, its rows are those of the whole.
        #[test]
        fn pieces_make_no_difference(
            list in proptest::collection::vec(proptest::collection::btree_map("[a-z]{1,4}", value(), 0..4), 0..6),
            is_pretty: bool,
            size in 1_usize..9,
        ) {
            let list = json!(list);
            let text = if is_pretty { serde_json::to_vec_pretty(&list) } else { serde_json::to_vec(&list) }.unwrap();
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            prop_assert_eq!(rows(&pieces).map(|rows| json!(rows)), Ok(list));
        }

        /// A damaged text is accepted exactly when a parser of whole texts accepts it.
        #[test]
        fn agrees_with_a_whole_parser(
            list in proptest::collection::vec(proptest::collection::btree_map("[a-z]{1,4}", value(), 0..3), 0..4),
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), prop_oneof![
                Just(b'['), Just(b']'), Just(b'{'), Just(b'}'), Just(b','), Just(b'"'), Just(b'\\'), Just(b' '), any::<u8>(),
            ]), 0..4),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut text = serde_json::to_vec(&json!(list)).unwrap();
            for (at, byte) in damage {
                let at = at.index(text.len());
                text[at] = byte;
            }
            let cut = cut.index(text.len() + 1);
            let whole: Result<Vec<Row>, _> = serde_json::from_slice(&text);
            prop_assert_eq!(rows(&[&text[..cut], &text[cut..]]).ok(), whole.ok());
        }

        /// Nothing panics.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = rows(&[&bytes]);
        }
    }
}
