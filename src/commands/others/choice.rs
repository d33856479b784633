//! Who is asked for a command that only the Python client has. Pure: from facts about the files to the
//! choice.

use std::path::{Path, PathBuf};

/// A file under one of the names that are looked for, in the order of `PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub path: PathBuf,
    /// What it is.
    pub what: What,
    /// Its device and inode, which a wrapper cannot hide: `DEVICE:INODE`.
    pub id: String,
}

/// What an entry of `PATH` is, as far as the choice depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// This program: the same file, a link to it or a copy.
    Ours,
    /// The script of the Python client: it never comes back to this program by itself.
    Python,
    /// Some other program, which may be a wrapper of this one.
    Other,
    /// A shell passes over it: a folder, a broken link, a file without the right to be run.
    NotRunnable,
}

/// Whom this program asked before in the same chain of calls. A wrapper of this program that was asked
/// comes back to it, and must not be asked again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    asked: Vec<String>,
}

/// More programs in one chain than this call each other in a circle.
const LONGEST: usize = 16;

impl Chain {
    /// From the value of the variable that carries it.
    pub fn read(value: Option<&str>) -> Self {
        let words = value.unwrap_or_default().split(',');
        Chain {
            asked: words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// The value of the variable once this entry is asked too. The Python client's own calls of `hf` begin
    /// a chain of their own, so of it only the length is kept.
    pub fn with(&self, entry: &Entry) -> String {
        let mut asked = self.asked.clone();
        asked.push(match entry.what {
            What::Python => "-".to_owned(),
            _ => entry.id.clone(),
        });
        asked.join(",")
    }

    fn is_open_for(&self, entry: &Entry) -> bool {
        self.asked.len() < LONGEST && !self.asked.contains(&entry.id)
    }
}

/// Those that can be asked, best first: if one cannot be started, the next may.
pub fn candidates<'a>(entries: &'a [Entry], chain: &Chain) -> Vec<&'a Entry> {
    entries
        .iter()
        .filter(|entry| matches!(entry.what, What::Python | What::Other))
        .filter(|entry| chain.is_open_for(entry))
        .collect()
}

/// Folders where a Python with the client may be: that of this program's file, and those of its entries
/// in `PATH`, which may be links from a virtual environment.
pub fn python_folders(binary: Option<&Path>, entries: &[Entry]) -> Vec<PathBuf> {
    let ours = entries.iter().filter(|entry| entry.what == What::Ours);
    let files = binary.into_iter().chain(ours.map(|entry| &*entry.path));
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in files.filter_map(Path::parent) {
        if !folders.iter().any(|known| known == folder) {
            folders.push(folder.to_owned());
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        let (path, what) = text.split_once('=').unwrap();
        Entry {
            path: path.into(),
            what: match what {
                "ours" => What::Ours,
                "python" => What::Python,
                "other" => What::Other,
                _ => What::NotRunnable,
            },
            id: format!("1:{path}"),
        }
    }

    #[test]
    fn who_is_asked() {
        for (entries, chain, expected) in [
            ("", "", ""),
            ("/a/hf=ours", "", ""),
            ("/a/hf=ours /b/hf=python", "", "/b/hf"),
            ("/b/hf=python /a/hf=ours", "", "/b/hf"),
            ("/a/hf=ours /b/hf=no /c/hf=python", "", "/c/hf"),
            ("/w/hf=other /b/hf=python", "", "/w/hf /b/hf"),
            // The wrapper came back to us.
            ("/w/hf=other /b/hf=python", "1:/w/hf", "/b/hf"),
            ("/w/hf=other /v/hf=other", "1:/w/hf,1:/v/hf", ""),
            // What the Python client itself starts is a chain of its own.
            ("/b/hf=python", "-", "/b/hf"),
            ("/b/hf=python", "-,-,-,-,-,-,-,-,-,-,-,-,-,-,-,-", ""),
        ] {
            let entries: Vec<Entry> = entries.split_whitespace().map(entry).collect();
            let chain = Chain::read(Some(chain));
            let found = candidates(&entries, &chain);
            let found: Vec<&str> = found.iter().filter_map(|e| e.path.to_str()).collect();
            assert_eq!(found.join(" "), expected, "{entries:?} {chain:?}");
        }
    }

    #[test]
    fn the_chain_grows() {
        let chain = Chain::read(None);
        assert_eq!(chain.with(&entry("/w/hf=other")), "1:/w/hf");
        let chain = Chain::read(Some("1:2"));
        assert_eq!(chain.with(&entry("/b/hf=python")), "1:2,-");
    }

    #[test]
    fn where_a_python_may_be() {
        let entries = ["/v/bin/hf=ours", "/x/hf=other", "/opt/hf=ours"].map(entry);
        assert_eq!(
            python_folders(Some(Path::new("/opt/hf")), &entries),
            [PathBuf::from("/opt"), PathBuf::from("/v/bin")]
        );
    }
}
