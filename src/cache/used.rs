//! When a file of the cache was last used.
//!
//! What is used least is what an eviction lets go first, and "used" is the time of a blob's last read
//! as the file system keeps it. Many keep it late (`relatime`: once a day) or never (`noatime`), and a
//! download that finds everything in place reads nothing. So it says itself that it used the files,
//! in the one place where every program looks: the time of the last read. The time of the last write
//! stays.

#[cfg(any(test, not(unix)))]
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A time of last use is renewed when it is older than this: no write for every look.
const STALE: Duration = Duration::from_secs(3600);

/// Notes that a file, or what a link leads to, is used now. Nothing is done for what belongs to
/// somebody else, lies on a read-only disk or is not there: it is a courtesy.
pub fn mark(path: &Path) {
    let is_stale = |time: SystemTime| time.elapsed().is_ok_and(|age| age > STALE);
    let accessed = path.metadata().and_then(|meta| meta.accessed());
    if accessed.is_ok_and(is_stale) {
        let _ = touch(path);
    }
}

/// Notes the same of all files below a folder, links to folders not entered.
pub fn mark_all(path: &Path) {
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return mark(path);
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.for_each(|entry| mark_all(&entry.path()));
}

#[cfg(unix)]
fn touch(path: &Path) -> std::io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
    let only = |nanos| Timespec {
        tv_sec: 0,
        tv_nsec: nanos,
    };
    let times = Timestamps {
        last_access: only(UTIME_NOW),
        last_modification: only(UTIME_OMIT),
    };
    Ok(utimensat(CWD, path, &times, AtFlags::empty())?)
}

#[cfg(not(unix))]
fn touch(path: &Path) -> std::io::Result<()> {
    let times = std::fs::FileTimes::new().set_accessed(SystemTime::now());
    File::open(path)?.set_times(times)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::FileTimes;
    use std::os::unix::fs::MetadataExt;

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
            mark(&link);
            let after = file.metadata().unwrap();
            assert_eq!(after.mtime(), before.mtime());
            assert_eq!(after.atime() > before.atime(), is_renewed, "{age}");
        }
        // The future stays: it is for the owner of the clock to mend.
        let times = FileTimes::new().set_accessed(now + Duration::from_secs(86_400));
        File::open(&file).unwrap().set_times(times).unwrap();
        mark(&file);
        assert!(file.metadata().unwrap().accessed().unwrap() > now);
        mark_all(&folder.path().join("none"));
    }
}
