//! Paths as text that keeps every byte.

use std::path::Path;

use serde_json::Value;

/// Stands for the byte 0x80 of a path that is not UTF-8; the following ones for the other bytes. They
/// end the last plane for private use. See [`path_text`].
const FIRST_BYTE: u32 = 0x10_ff80;

/// A path as text that keeps every byte: bytes that are not UTF-8 become private-use characters,
/// which `bytes_of` turns back. Shown to people they are `\xe9`; JSON writes them as Python does
/// (`surrogateescape`): `\udce9`.
pub fn path_text(path: impl AsRef<Path>) -> String {
    let mut out = String::new();
    let stand_in = |byte: u8| char::from_u32(FIRST_BYTE + u32::from(byte) - 0x80);
    for chunk in path.as_ref().as_os_str().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte_of(c) {
                // One of those characters itself: as the bytes that it consists of.
                Some(_) => {
                    let mut buffer = [0; 4];
                    out.extend(c.encode_utf8(&mut buffer).bytes().filter_map(stand_in));
                }
                None => out.push(c),
            }
        }
        out.extend(chunk.invalid().iter().copied().filter_map(stand_in));
    }
    out
}

/// A path as a value: see [`path_text`].
pub fn path_value(path: impl AsRef<Path>) -> Value {
    Value::String(path_text(path))
}

/// The bytes of a text of [`path_text`].
pub(super) fn bytes_of(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// The byte that a character of [`path_text`] stands for.
pub(super) fn byte_of(c: char) -> Option<u8> {
    let offset = (c as u32).checked_sub(FIRST_BYTE)?;
    u8::try_from(offset + 0x80).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::console::text::escape;

    #[test]
    fn paths_keep_every_byte() {
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes: &'static [u8]| Path::new(std::ffi::OsStr::from_bytes(bytes));
        for (bytes, shown, json) in [
            (
                &b"/home/caf\xc3\xa9"[..],
                "/home/café",
                r#""/home/caf\u00e9""#,
            ),
            (
                b"/home/caf\xe9/x",
                "/home/caf\\xe9/x",
                r#""/home/caf\udce9/x""#,
            ),
            (b"\xff\x80", "\\xff\\x80", r#""\udcff\udc80""#),
            // U+10FF80, which stands for a byte elsewhere.
            (
                b"\xf4\x8f\xbe\x80",
                "\\xf4\\x8f\\xbe\\x80",
                r#""\udcf4\udc8f\udcbe\udc80""#,
            ),
        ] {
            let text = path_text(path(bytes));
            assert_eq!(bytes_of(&text), bytes);
            assert_eq!(escape(&text), shown);
            let value = path_value(path(bytes));
            assert_eq!(crate::console::json::to_python_json(&value), json);
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1024))]

        #[test]
        fn any_path_keeps_every_byte(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
            use std::os::unix::ffi::OsStrExt;
            let text = path_text(Path::new(std::ffi::OsStr::from_bytes(&bytes)));
            proptest::prop_assert_eq!(bytes_of(&text), bytes);
        }
    }
}
