//! When a file of the cache was last used.
//!
//! An eviction deletes the least recently used files first. "Used" is the time of the last read of a
//! blob, as the file system keeps it. Many file systems update it late (`relatime`: once a day) or
//! never (`noatime`), and a download that finds every file complete reads nothing. So a download sets
//! the time of the last read itself. The time of the last write stays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sys::mark_read;

/// The time of last use is set when it is older than this, to avoid a write for every use.
const STALE: Duration = Duration::from_secs(3600);

/// Marks these files, or the targets of these links, as used now. Files of other users, on read-only
/// disks or missing are skipped without an error.
///
/// It stops at the first file that was used recently: a repository counts as used when its latest file
/// was, so the other files change nothing.
pub fn mark(paths: impl IntoIterator<Item = PathBuf>) {
    for path in paths {
        if mark_one(&path) == Before::Lately {
            return;
        }
    }
}

/// When a file was last used before it was marked.
#[derive(Debug, PartialEq, Eq)]
enum Before {
    Lately,
    LongAgo,
}

fn mark_one(path: &Path) -> Before {
    let accessed = path.metadata().and_then(|meta| meta.accessed());
    let age = accessed.map(|time| time.elapsed().unwrap_or_default());
    if age.is_ok_and(|age| age <= STALE) {
        return Before::Lately;
    }
    let _ = mark_read(path);
    Before::LongAgo
}

/// Marks the files below a folder; links to folders are not followed.
pub fn mark_below(path: &Path) {
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return mark([path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let (folders, files): (Vec<_>, Vec<_>) = entries
        .map(|entry| entry.path())
        .partition(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir()));
    mark(files);
    folders.iter().for_each(|folder| mark_below(folder));
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{File, FileTimes};
    use std::os::unix::fs::MetadataExt;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_the_time_of_the_last_read_changes_and_not_for_every_look() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("blob"), folder.path().join("link"));
        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink("blob", &link).unwrap();
        let now = SystemTime::now();
        let ago = |seconds| now - Duration::from_secs(seconds);
        for (age, is_renewed) in [(86_400 * 400, true), (600, false)] {
            let times = FileTimes::new()
                .set_accessed(ago(age))
                .set_modified(ago(age));
            File::open(&file).unwrap().set_times(times).unwrap();
            let before = file.metadata().unwrap();
            mark([link.clone()]);
            let after = file.metadata().unwrap();
            assert_eq!(after.mtime(), before.mtime());
            assert_eq!(after.atime() > before.atime(), is_renewed, "{age}");
        }
        // The future stays: a wrong clock is not corrected here.
        let times = FileTimes::new().set_accessed(now + Duration::from_secs(86_400));
        File::open(&file).unwrap().set_times(times).unwrap();
        mark([file.clone()]);
        assert!(file.metadata().unwrap().accessed().unwrap() > now);
        // A file used recently ends the marking of those after it, and of no others.
        let old = folder.path().join("old");
        std::fs::write(&old, "x").unwrap();
        let times = FileTimes::new().set_accessed(ago(86_400));
        File::open(&old).unwrap().set_times(times).unwrap();
        mark([file.clone(), old.clone()]);
        assert!(old.metadata().unwrap().accessed().unwrap() < ago(80_000));
        mark([old.clone(), file]);
        assert!(old.metadata().unwrap().accessed().unwrap() > ago(80_000));
        mark_below(&folder.path().join("none"));
    }
}
