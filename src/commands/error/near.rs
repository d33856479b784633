//! Names that are nearly the one that was asked for. Pure.

use crate::console::text::escape;

/// Most names that are suggested.
const MOST: usize = 3;

/// The names that are nearest to a wrong one, best first: the same but for the case of letters or the
/// folder, or with few letters wrong. The measure counts typing mistakes: a letter that is missing,
/// added or wrong, and two that are swapped.
fn nearest<'a>(wanted: &str, there: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let (folded, base) = (wanted.to_lowercase(), base_name(wanted).to_lowercase());
    let allowed = |text: &str| (text.chars().count() / 5).clamp(1, 3);
    let mistakes = |name: &str| -> Option<usize> {
        let name = name.to_lowercase();
        if name == folded {
            return Some(0);
        }
        let far = |a: &str, b: &str| a.len().abs_diff(b.len()) > 4 * 3;
        let whole = match far(&name, &folded) {
            true => usize::MAX,
            false => strsim::osa_distance(&name, &folded),
        };
        if whole <= allowed(&folded) {
            return Some(1 + whole);
        }
        // The right name in another folder, perhaps misspelled.
        let other = base_name(&name);
        if (folded == base && other == name) || far(other, &base) {
            return None;
        }
        let end = strsim::osa_distance(other, &base);
        (end <= allowed(&base)).then_some(4 + end)
    };
    let scored = there.into_iter();
    let mut scored: Vec<(usize, &str)> = scored
        .filter(|name| *name != wanted)
        .filter_map(|name| Some((mistakes(name)?, name)))
        .collect();
    scored.sort();
    scored
        .into_iter()
        .take(MOST)
        .map(|(_, name)| name)
        .collect()
}

/// `did you mean a.json or b.json?`
pub(super) fn did_you_mean(wanted: &str, there: &[String]) -> Option<String> {
    let near = nearest(wanted, there.iter().map(String::as_str));
    let (last, first) = near.split_last()?;
    Some(match first {
        [] => format!("did you mean {}?", escape(last)),
        _ => format!(
            "did you mean {} or {}?",
            escape(&first.join(", ")),
            escape(last)
        ),
    })
}

/// What to write where a name is that of a folder, which an exact name never means.
pub(super) fn is_a_folder(wanted: &str, there: &[String]) -> Option<String> {
    let below = |path: &String| {
        let rest = path.strip_prefix(wanted);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let name = escape(wanted);
    there
        .iter()
        .any(below)
        .then(|| format!("{name} is a folder: {name}/, with the slash, fetches all of it"))
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let there = [
            "config.json",
            "Readme.md",
            "onnx/model.onnx",
            "model.safetensors",
            "model-00001-of-00002.safetensors",
            "v1.0",
            "tf_model.h5",
            "a",
        ];
        for (wanted, expected) in [
            ("confg.json", &["config.json"][..]),
            ("confgi.json", &["config.json"]),
            ("sub/config.json", &["config.json"]),
            ("README.md", &["Readme.md"]),
            ("model.onnx", &["onnx/model.onnx"]),
            ("model.safetensor", &["model.safetensors"]),
            ("v1.O", &["v1.0"]),
            ("v2.0", &["v1.0"]),
            ("tokenizer.json", &[]),
            ("b", &["a"]),
            ("", &["a"]),
            ("nope.txt", &[]),
        ] {
            assert_eq!(nearest(wanted, there), expected, "{wanted}");
        }
    }
}
