//! Unfinished files whose writer was killed.

use std::fs;
use std::path::Path;

use super::lockfile::{State, hold};

/// Start and end of the name of an unfinished file; hexadecimal digits are between.
pub(super) const STAGED: (&str, &str) = (".hf-", ".tmp");

/// Removes the unfinished files that a killed process left in a folder, and in folders below it.
/// Their writers lock them: those of a process that lives stay, and so does everything where the file
/// system cannot tell. For folders that are ours alone.
pub fn remove_abandoned(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
            remove_abandoned(&path);
        } else if kind.is_ok_and(|kind| kind.is_file())
            && is_staged(&entry.file_name().to_string_lossy())
        {
            remove_unlocked(&path);
        }
    }
}

/// Removes an unfinished file that no process locks. It may be complete by now, and renamed: then nothing is
/// made in its place.
fn remove_unlocked(path: &Path) {
    if let (State::Free, _held) = hold(path) {
        // A file that cannot be removed only takes space.
        let _ = fs::remove_file(path);
    }
}

fn is_staged(name: &str) -> bool {
    let rest = name.strip_prefix(STAGED.0);
    let digits = rest.and_then(|rest| rest.strip_suffix(STAGED.1));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::sys::{Mode, write_atomic_from};

    #[test]
    fn what_is_complete_by_now_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        remove_unlocked(&folder.path().join(".hf-0123abcd.tmp"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_what_no_process_writes_is_abandoned() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        for name in [
            ".hf-0123abcd.tmp",
            ".hf-.tmp",
            ".hf-my notes.tmp",
            "hf-a.tmp",
        ] {
            fs::write(below.join(name), "x").unwrap();
        }
        let path = below.join("written");
        write_atomic_from(&path, Mode::Umask, &below, |file| {
            remove_abandoned(folder.path());
            file.write_all(b"whole")
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        let entries = fs::read_dir(&below).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(
            names,
            [".hf-.tmp", ".hf-my notes.tmp", "hf-a.tmp", "written"]
        );
    }
}
