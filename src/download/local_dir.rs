//! `--local-dir`: plain files in the user's own folder, and what is remembered about them in
//! `.cache/huggingface/` there. Paths and metadata; shared with the Python client
//! (docs/reference.md#local-folders).
//!
//! ```text
//! D/<path>
//! D/.cache/huggingface/.gitignore                    "*"
//!                      CACHEDIR.TAG
//!                      trees/<commit>.json
//!                      download/<path>.metadata      commit, etag, unix time: three lines
//!                      download/<path>.lock
//!                      download/<hash>.hf-sparse     ours: an unfinished download, with its journal
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest;

use crate::cache::layout::{CACHEDIR_TAG, PartialName, tree_file};
use crate::cache::prepare::write_tag;
use crate::sys::{
    FsError, Mode, create_dir_all, read_text, refuse_foreign_link, remove_abandoned, write_atomic,
};
use crate::types::listing::Checksum;
use crate::types::{CommitHash, RepoPath};

/// A file's mtime may be this much younger than its metadata, in seconds: clocks and file systems
/// round.
const MTIME_SLACK: f64 = 1.0;
/// Longest metadata that is read, in bytes; ours is some 150.
const LONGEST_METADATA: u64 = 64 << 10;

/// Paths of a `--local-dir`.
#[derive(Debug, Clone)]
pub struct LocalDir {
    root: PathBuf,
}

/// What was noted when a file was downloaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// Commit it came from.
    pub commit: String,
    /// Its etag.
    pub etag: String,
    /// When, in seconds since 1970.
    pub timestamp: f64,
}

impl LocalDir {
    /// The folder `root`, which need not exist yet.
    pub fn new(root: PathBuf) -> Self {
        LocalDir { root }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `D/<path>`.
    pub fn file(&self, path: &RepoPath) -> PathBuf {
        self.root.join(path.as_str())
    }

    fn state_folder(&self) -> PathBuf {
        self.root.join(".cache").join("huggingface")
    }

    fn metadata_file(&self, path: &RepoPath) -> PathBuf {
        self.state_folder()
            .join("download")
            .join(format!("{}.metadata", path.as_str()))
    }

    /// The longest path that a file brings along: its metadata's.
    pub fn longest_path(&self, path: &RepoPath) -> PathBuf {
        self.metadata_file(path)
    }

    /// `download/<path>.lock`.
    pub fn lock(&self, path: &RepoPath) -> PathBuf {
        self.state_folder()
            .join("download")
            .join(format!("{}.lock", path.as_str()))
    }

    /// The partial of a file's content. Its name is a hash of both, so that it is never too long.
    pub fn partial(&self, path: &RepoPath, checksum: &Checksum) -> PathBuf {
        let digest = digest::digest(
            &digest::SHA256,
            format!("{checksum}\n{}", path.as_str()).as_bytes(),
        );
        let name = hex::encode(&digest.as_ref()[..16]);
        self.state_folder()
            .join("download")
            .join(PartialName::common(&name))
    }

    /// Where files lie on their way into the folder: on its file system, and not among its files.
    pub fn staging(&self) -> PathBuf {
        self.state_folder().join("download")
    }

    /// `trees/<commit>.json`.
    pub fn tree(&self, commit: &CommitHash) -> PathBuf {
        tree_file(&self.state_folder(), commit)
    }

    /// Makes the folders, the tag and `.gitignore`, and removes temporary files that killed downloads
    /// left.
    ///
    /// # Errors
    /// [`FsError`] when a folder cannot be made.
    pub fn prepare(&self) -> Result<(), FsError> {
        refuse_foreign_link(&self.root)?;
        let folder = self.state_folder();
        create_dir_all(&folder.join("download"))?;
        remove_abandoned(&folder);
        write_tag(&folder.join(CACHEDIR_TAG), &folder);
        let gitignore = folder.join(".gitignore");
        if !gitignore.exists() {
            // Only keeps `git status` tidy.
            let _ = write_atomic(&gitignore, b"*", Mode::Umask);
        }
        Ok(())
    }

    /// The metadata of a file, if it still describes the file: there is one, and it was not changed
    /// since.
    pub fn metadata(&self, path: &RepoPath) -> Option<Metadata> {
        let metadata =
            parse_metadata(&read_text(&self.metadata_file(path), LONGEST_METADATA).ok()?)?;
        let modified = fs::metadata(self.file(path))
            .ok()
            .filter(fs::Metadata::is_file)?
            .modified()
            .ok()?;
        (unix_seconds(modified) - MTIME_SLACK <= metadata.timestamp).then_some(metadata)
    }

    /// Whether a file that has not the length of this content may have content of the user's: it was changed since
    /// it came, or did not come from a download. An older content that is as it came does not count.
    pub fn is_changed(&self, path: &RepoPath, wanted: &Checksum) -> bool {
        let found = fs::metadata(self.file(path));
        let is_there = found.is_ok_and(|found| found.is_file() && found.len() > 0);
        let noted = || self.metadata(path);
        is_there && noted().is_none_or(|noted| noted.etag == *wanted.etag())
    }

    /// Notes where a file came from, as of now.
    ///
    /// # Errors
    /// [`FsError`] naming the metadata file.
    pub fn write_metadata(
        &self,
        path: &RepoPath,
        commit: &CommitHash,
        checksum: &Checksum,
    ) -> Result<(), FsError> {
        let file = self.metadata_file(path);
        if let Some(folder) = file.parent() {
            create_dir_all(folder)?;
        }
        let text = format!(
            "{commit}\n{checksum}\n{:?}\n",
            unix_seconds(SystemTime::now())
        );
        write_atomic(&file, text.as_bytes(), Mode::Umask)
    }
}

/// The warning that files of the user's folder are replaced although they are not what a download left there.
pub fn replaced(paths: &[RepoPath]) -> String {
    /// Most that are named.
    const NAMED: usize = 3;
    let mut named: Vec<String> = paths.iter().take(NAMED).map(RepoPath::to_string).collect();
    if paths.len() > NAMED {
        named.push(format!("{} more", paths.len() - NAMED));
    }
    let named = named.join(", ");
    match paths.len() {
        1 => format!(
            "{named} is not as it was downloaded, or comes from elsewhere: its content is replaced."
        ),
        _ => format!(
            "{named} are not as they were downloaded, or come from elsewhere: their content is replaced."
        ),
    }
}

fn parse_metadata(text: &str) -> Option<Metadata> {
    let mut lines = text.lines().map(str::trim);
    let metadata = Metadata {
        commit: lines.next()?.to_owned(),
        etag: lines.next()?.to_owned(),
        timestamp: lines.next()?.parse().ok()?,
    };
    metadata.timestamp.is_finite().then_some(metadata)
}

/// Seconds since 1970, negative before.
fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn metadata_counts_only_while_the_file_is_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let dir = LocalDir::new(folder.path().to_path_buf());
        let path: RepoPath = "d/f.txt".parse().unwrap();
        let commit: CommitHash = "c".repeat(40).parse().unwrap();
        let checksum = Checksum::from_etag(&"a".repeat(40)).unwrap();
        dir.prepare().unwrap();
        dir.write_metadata(&path, &commit, &checksum).unwrap();
        assert_eq!(dir.metadata(&path), None, "no file");
        fs::create_dir_all(folder.path().join("d")).unwrap();
        fs::write(dir.file(&path), "x").unwrap();
        assert_eq!(dir.metadata(&path).unwrap().commit, commit.as_str());
        let later = SystemTime::now() + Duration::from_secs(5);
        fs::File::options()
            .write(true)
            .open(dir.file(&path))
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_eq!(dir.metadata(&path), None, "changed since");
    }

    #[test]
    fn damaged_metadata_is_no_metadata() {
        for text in ["", "a\nb\n", "a\nb\nx\n", "a\nb\nnan\n"] {
            assert_eq!(parse_metadata(text), None, "{text:?}");
        }
        assert!(parse_metadata("a\nb\n1790000000.25\n").is_some());
    }
}
