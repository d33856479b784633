//! Reading small files that another user may have put there: no waiting for a pipe that no process
//! writes to, no device without end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// Opens a file to read it, through links. Anything but a regular file is an error at once.
///
/// # Errors
/// The system's reason, or an [`Obstacle`](super::Obstacle) that says what it is.
#[cfg(unix)]
pub fn open_regular(path: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, stat};

    use super::folder::obstacle;

    let check = |mode| match obstacle(FileType::from_raw_mode(mode)) {
        Some(obstacle) => Err(obstacle.into_error()),
        None => Ok(()),
    };
    // Opening some devices does something.
    check(stat(path)?.st_mode)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty())?;
    check(fstat(&file)?.st_mode)?;
    Ok(file.into())
}

/// Opens a file to read it; here only a folder is refused, by the system.
///
/// # Errors
/// The system's reason.
#[cfg(not(unix))]
pub fn open_regular(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open_regular`]; [`io::ErrorKind::InvalidData`] when it is longer.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut file = open_regular(path)?;
    let mut content = Vec::new();
    file.by_ref().take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(too_long(limit));
    }
    Ok(content)
}

/// As [`read_limited`], as text.
///
/// # Errors
/// As [`read_limited`]; [`io::ErrorKind::InvalidData`] when it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_limited(path, limit)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

fn too_long(limit: u64) -> io::Error {
    let text = format!("it is longer than {} KiB", limit >> 10);
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Reads to the end what may be a pipe or a device, as a shell's `<(…)` is: at most `limit` bytes,
/// which have to come within `patience`.
///
/// # Errors
/// The system's reason; [`io::ErrorKind::TimedOut`]; [`io::ErrorKind::InvalidData`] when it is
/// longer.
#[cfg(unix)]
pub fn read_once(path: &Path, limit: u64, patience: Duration) -> io::Result<Vec<u8>> {
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::fs::{CWD, Mode, OFlags, openat};

    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut file = File::from(openat(CWD, path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(super::Obstacle::Folder.into_error());
    }
    // A named pipe reads as empty until a process opens it for writing.
    let mut may_be_early = is_named_pipe(path, &metadata);
    let deadline = Instant::now() + patience;
    let mut content = Vec::new();
    let mut buffer = [0; 1 << 14];
    loop {
        match file.read(&mut buffer) {
            Ok(0) if !may_be_early => return Ok(content),
            Ok(0) => {}
            Ok(count) => {
                may_be_early = false;
                content.extend_from_slice(&buffer[..count]);
                if content.len() as u64 > limit {
                    return Err(too_long(limit));
                }
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A process has it open for writing.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => may_be_early = false,
            Err(error) => return Err(error),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = rustix::event::Timespec {
            tv_sec: left.as_secs() as _,
            tv_nsec: left.subsec_nanos() as _,
        };
        let mut ready = [PollFd::new(&file, PollFlags::IN)];
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) => {
                let text = format!("nothing came within {} s", patience.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            // Bytes, or the end.
            Ok(_) => may_be_early = false,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether a path is a pipe in the file system, and not one that a shell has opened for us.
#[cfg(unix)]
fn is_named_pipe(path: &Path, metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let itself = path.symlink_metadata();
    metadata.file_type().is_fifo() && itself.is_ok_and(|meta| meta.file_type().is_fifo())
}

/// Reads to the end.
///
/// # Errors
/// As [`read_limited`].
#[cfg(not(unix))]
pub fn read_once(path: &Path, limit: u64, _patience: Duration) -> io::Result<Vec<u8>> {
    read_limited(path, limit)
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::sys::Obstacle;

    const LIMIT: u64 = 1 << 10;
    const LONG: Duration = Duration::from_secs(60);

    fn pipe(path: &Path) {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    }

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        assert_eq!(read_text(&at("link"), LIMIT).unwrap(), "text");
        std::fs::write(at("long"), vec![b'x'; 1025]).unwrap();
        let error = read_limited(&at("long"), LIMIT).unwrap_err();
        assert_eq!(error.to_string(), "it is longer than 1 KiB");
        std::fs::write(at("bytes"), b"\xff").unwrap();
        let error = read_text(&at("bytes"), LIMIT).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        pipe(&at("pipe"));
        std::os::unix::fs::symlink("pipe", at("to-pipe")).unwrap();
        for (path, what) in [
            (at("pipe"), "it is a pipe and no regular file"),
            (at("to-pipe"), "it is a pipe and no regular file"),
            (folder.path().into(), "it is a folder"),
            ("/dev/zero".into(), "it is a device and no regular file"),
        ] {
            let error = read_limited(&path, LIMIT).unwrap_err();
            assert!(Obstacle::of(&error).is_some());
            assert_eq!(error.to_string(), what);
        }
    }

    #[test]
    fn a_pipe_is_read_to_its_end_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        pipe(&path);
        let to = path.clone();
        let writer = std::thread::spawn(move || {
            // Waits for the reader.
            let mut file = std::fs::OpenOptions::new().write(true).open(to).unwrap();
            file.write_all(b"first ").unwrap();
            file.write_all(b"second").unwrap();
        });
        assert_eq!(read_once(&path, LIMIT, LONG).unwrap(), b"first second");
        writer.join().unwrap();
        let error = read_once(&path, LIMIT, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = read_once(Path::new("/dev/zero"), LIMIT, LONG).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(read_once(Path::new("/dev/null"), LIMIT, LONG).unwrap(), b"");
        std::fs::write(folder.path().join("file"), "text").unwrap();
        let text = read_once(&folder.path().join("file"), LIMIT, Duration::ZERO);
        assert_eq!(text.unwrap(), b"text");
    }

    #[test]
    fn a_pipe_that_a_shell_opened_is_read_also_when_its_writer_has_ended() {
        for text in ["", "A=1\n"] {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(text.as_bytes()).unwrap();
            drop(writer);
            let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
            let read = read_once(Path::new(&path), LIMIT, LONG).unwrap();
            assert_eq!(read, text.as_bytes());
        }
    }
}
