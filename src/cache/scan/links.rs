//! What a link in a snapshot means. Pure.

use std::path::Path;

use crate::cache::layout;
use crate::sys::dir::path_of;

/// `blobs/<name>`, when a link has exactly the text that a client writes: one `../` for every folder
/// between it and the repository, then `blobs/<name>`. `depth` counts
/// the folders inside the snapshot.
pub fn usual_blob(target: &[u8], depth: usize) -> Option<&[u8]> {
    let mut rest = target;
    for _ in 0..depth + 2 {
        rest = rest.strip_prefix(b"../")?;
    }
    let name = rest.strip_prefix(b"blobs/")?;
    let is_plain = !name.contains(&b'/') && !matches!(name, b"" | b"." | b"..");
    is_plain.then_some(rest)
}

/// Where any other link leads, resolved without reading the disk: relative to the repository's
/// folder when inside of it, else absolute. `folder` is the absolute path of the link's folder.
pub fn place(repo: &Path, folder: &Path, target: &[u8]) -> Box<[u8]> {
    let absolute = layout::normalize(&folder.join(path_of(target)));
    let shown = match absolute.strip_prefix(repo) {
        Ok(inside) if !inside.as_os_str().is_empty() => inside,
        _ => &absolute,
    };
    shown.as_os_str().as_encoded_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_links() {
        for (target, depth, expected) in [
            ("../../blobs/abc", 0, Some("blobs/abc")),
            ("../../../blobs/abc", 1, Some("blobs/abc")),
            ("../../blobs/abc", 1, None),
            ("../../../blobs/abc", 0, None),
            ("../../blobs/a/b", 0, None),
            ("../../blobs/", 0, None),
            ("../../blobs/..", 0, None),
            ("../../snapshots/x", 0, None),
            ("/x/blobs/abc", 0, None),
            ("", 0, None),
        ] {
            assert_eq!(
                usual_blob(target.as_bytes(), depth),
                expected.map(str::as_bytes),
                "{target} at {depth}"
            );
        }
    }

    #[test]
    fn odd_links() {
        let repo = Path::new("/c/models--o--n");
        let folder = repo.join("snapshots/abc/sub");
        for (target, expected) in [
            ("../../../blobs/x", "blobs/x"),
            ("../f", "snapshots/abc/f"),
            ("./g", "snapshots/abc/sub/g"),
            ("/c/models--o--n/blobs/x", "blobs/x"),
            (
                "../../../../models--o--m/blobs/x",
                "/c/models--o--m/blobs/x",
            ),
            ("/etc/passwd", "/etc/passwd"),
            ("../../..", "/c/models--o--n"),
        ] {
            assert_eq!(
                place(repo, &folder, target.as_bytes()).as_ref(),
                expected.as_bytes(),
                "{target}"
            );
        }
    }
}
