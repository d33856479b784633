//! The link `huggingface-cli` to this program: what stands in its place, making and removing it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::sys::{FileFacts, FsError, is_executable, link_to_program, open_regular};

/// How much of a file is read to see whose script it is, in bytes.
const HEAD: u64 = 4096;

/// What stands where the link is, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A symbolic link to this program.
    Link,
    /// This program, by a hard link or itself.
    Same,
    /// A file with the same content as this program.
    Copy,
    /// The script of the Python client.
    Python,
    /// A symbolic link to nothing.
    Dangling,
    /// A folder.
    Folder,
    /// Some other file.
    Other,
}

impl Found {
    /// Whether it starts this program.
    pub fn is_ours(&self) -> bool {
        matches!(self, Found::Link | Found::Same | Found::Copy)
    }

    /// In a word or two, for tables; also in JSON, where it does not change.
    pub fn as_str(&self) -> &'static str {
        match self {
            Found::Nothing => "nothing",
            Found::Link => "link to this tool",
            Found::Same => "this tool",
            Found::Copy => "copy of this tool",
            Found::Python => "Python client",
            Found::Dangling => "broken link",
            Found::Folder => "folder",
            Found::Other => "other program",
        }
    }
}

/// Looks what stands at `path`, as seen from this program's file.
///
/// # Errors
/// It is there and cannot be read.
pub fn look(path: &Path, binary: &Path) -> Result<Found, FsError> {
    found(path, binary).map_err(FsError::of("read", path))
}

fn found(path: &Path, binary: &Path) -> io::Result<Found> {
    let itself = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let target = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if itself.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(Found::Dangling);
        }
        Err(error) => return Err(error),
    };
    if target.is_dir() {
        return Ok(Found::Folder);
    }
    if FileFacts::through(path)?.identity == FileFacts::through(binary)?.identity {
        return Ok(if itself.is_symlink() {
            Found::Link
        } else {
            Found::Same
        });
    }
    let mut head = Vec::new();
    open_regular(path)?.take(HEAD).read_to_end(&mut head)?;
    let mentions = |text: &[u8]| head.windows(text.len()).any(|window| window == text);
    // pip writes the second where the path of Python is too long for a first line.
    let is_script = || {
        let first = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let is_named = first.windows(6).any(|window| window == b"python");
        is_named || mentions(b"'''exec'")
    };
    if head.starts_with(b"#!") && is_script() && mentions(b"huggingface_hub") {
        return Ok(Found::Python);
    }
    // Windows: a launcher of pip's has its script at the end; it counts as another program.
    if !itself.is_symlink() && same_content(path, binary)? {
        return Ok(Found::Copy);
    }
    Ok(Found::Other)
}

fn same_content(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (open_regular(a)?, open_regular(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = a.read(&mut left)?;
        if read == 0 {
            return Ok(true);
        }
        b.read_exact(&mut right[..read])?;
        if left[..read] != right[..read] {
            return Ok(false);
        }
    }
}

/// Makes the link. What stands there is replaced in one step when `replace`, and else left alone.
///
/// # Errors
/// Something stands there and `replace` is off; the folder cannot be written.
pub fn create(path: &Path, binary: &Path, replace: bool) -> Result<(), FsError> {
    let failed = || FsError::of("make the link", path);
    if !replace {
        return link_to_program(&target(path, binary), path).map_err(failed());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(".huggingface-cli-")
        .make_in(folder, |temporary| {
            link_to_program(&target(path, binary), temporary)
        })
        .map_err(failed())?
        .persist(path)
        .map(|_| ())
        .map_err(|error| failed()(error.error))
}

/// Removes the link.
///
/// # Errors
/// It cannot be removed.
pub fn remove(path: &Path) -> Result<(), FsError> {
    fs::remove_file(path).map_err(FsError::of("remove", path))
}

/// What the link holds: the bare name beside the program, so that both can be moved together.
fn target(path: &Path, binary: &Path) -> PathBuf {
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder(path), folder(binary), binary.file_name()) {
        (Some(a), Some(b), Some(name)) if a == b => PathBuf::from(name),
        _ => binary.to_path_buf(),
    }
}

/// The files named `name` in the folders of `PATH`, in its order, each once.
pub fn in_path(path_variable: &OsStr, current_dir: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in std::env::split_paths(path_variable) {
        let path = current_dir.join(folder).join(name);
        if fs::symlink_metadata(&path).is_ok() && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// What tells one file from another, whatever its names: device and inode, else the whole path.
pub fn identity(path: &Path) -> String {
    match FileFacts::through(path) {
        Ok(FileFacts {
            identity: (device, inode),
            ..
        }) => format!("{device}:{inode}"),
        Err(_) => path.display().to_string().replace(',', "_"),
    }
}

/// Whether a shell would start this file.
pub fn is_runnable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && is_executable(&metadata))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn whose_file_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("hf"), "program").unwrap();
        fs::write(at("copy"), "program").unwrap();
        fs::write(at("longer"), "program!").unwrap();
        fs::write(
            at("python"),
            "#!/usr/bin/python3\nfrom huggingface_hub.commands import main\n",
        )
        .unwrap();
        fs::write(at("text"), "about huggingface_hub").unwrap();
        fs::hard_link(at("hf"), at("hard")).unwrap();
        symlink("hf", at("link")).unwrap();
        symlink("python", at("python-link")).unwrap();
        symlink("copy", at("copy-link")).unwrap();
        symlink("absent", at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for (name, expected) in [
            ("absent", Found::Nothing),
            ("link", Found::Link),
            ("hard", Found::Same),
            ("copy", Found::Copy),
            ("python", Found::Python),
            ("python-link", Found::Python),
            ("copy-link", Found::Other),
            ("dangling", Found::Dangling),
            ("folder", Found::Folder),
            ("longer", Found::Other),
            ("text", Found::Other),
        ] {
            assert_eq!(look(&at(name), &at("hf")).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn links_are_made_in_one_step_and_never_by_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let (binary, path) = (folder.path().join("hf"), folder.path().join("cli"));
        fs::write(&binary, "program").unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(create(&path, &binary, false).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        create(&path, &binary, true).unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("hf"));
        let elsewhere = folder.path().join("sub");
        fs::create_dir(&elsewhere).unwrap();
        create(&elsewhere.join("cli"), &binary, false).unwrap();
        assert_eq!(fs::read_link(elsewhere.join("cli")).unwrap(), binary);
        remove(&path).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn folders_of_path() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("cli"), "").unwrap();
        }
        let a = folder.path().join("a");
        let variable =
            std::env::join_paths([Path::new("b"), &a, Path::new("/absent"), &a]).unwrap();
        assert_eq!(
            in_path(&variable, folder.path(), "cli"),
            [folder.path().join("b/cli"), a.join("cli")]
        );
        assert!(!is_runnable(&a.join("cli")));
    }
}
