//! Limits of this process: open descriptors.

/// Descriptors that are kept for everything but the files and connections of a download: what a
/// library opens for a moment, a folder being walked, a program that is started.
#[cfg(unix)]
const RESERVE: usize = 16;

/// Raises the soft limit of open files to the hard one, which needs no privilege. It is low for
/// old programs that use `select(2)` on descriptors below 1024; this one does not.
#[cfg(unix)]
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // macOS refuses values above its own limit; the old limit then stays.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                ..limit
            },
        );
    }
}

/// Nothing to raise.
#[cfg(not(unix))]
pub fn raise_open_files() {}

/// Whether the system refused another file or connection: to this process or to all.
#[cfg(unix)]
pub fn is_about_descriptors(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let number = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&number)
}

/// Whether an operation failed because too many files are open: `ERROR_TOO_MANY_OPEN_FILES`.
#[cfg(not(unix))]
pub fn is_about_descriptors(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(4)
}

/// How many files and connections a download may open, beside what is open already.
#[cfg(unix)]
pub fn descriptors_left() -> usize {
    use rustix::process::{Resource, getrlimit};
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return usize::MAX;
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    limit.saturating_sub(open_now() + RESERVE)
}

/// Unknown on this system.
#[cfg(not(unix))]
pub fn descriptors_left() -> usize {
    usize::MAX
}

/// Open descriptors of this process; a guess where the system has no list of them.
#[cfg(unix)]
fn open_now() -> usize {
    /// Standard streams, and what the runtime opens.
    const GUESS: usize = 16;
    std::fs::read_dir("/dev/fd").map_or(GUESS, Iterator::count)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_counted() {
        let before = descriptors_left();
        let files: Vec<_> = (0..20)
            .map(|_| std::fs::File::open("/dev/null").unwrap())
            .collect();
        // Other tests open and close files meanwhile.
        assert!(open_now() >= files.len());
        assert!(before == usize::MAX || before > 0);
    }
}
