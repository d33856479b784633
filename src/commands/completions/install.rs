//! Writing into the user's shell files: one line, once, and nothing is ever lost.
//!
//! bash and zsh get one line at the end of a file that is the user's own. It is appended in place, so
//! that links, owner, mode and whatever another program writes at the same time stay as they are. It
//! is the line that the Python client writes, so either of them finds what the other has done. fish
//! has a file for each command, which is replaced whole, unless another program wrote it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::shell::Shell;
use crate::config::env::{self, Env};
use crate::sys::{
    FsError, Mode, Opening, create_dir_all, follow_own_links, read_limited, write_atomic,
};

/// Longest file of fish that is compared with ours, in bytes.
const LONGEST_SCRIPT: u64 = 16 << 20;

/// What was done.
#[derive(Debug, PartialEq, Eq)]
pub struct Installed {
    /// The file that the shell reads.
    pub path: PathBuf,
    /// It was changed: nothing was there before.
    pub changed: bool,
}

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no home folder to look for the shell's files in.
    #[error("there is no home folder, so the files of {0} cannot be found")]
    NoHome(Shell),
    /// Where the shell's file lies is not known to this program.
    #[error("completion for {0} has to be turned on by hand")]
    Unknown(Shell),
    /// The file holds something else.
    #[error("the file {} was not made by this command", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Installs completion for `program` in the user's files.
///
/// # Errors
/// [`InstallError`]; the files are as they were then.
pub fn install(shell: Shell, program: &str, env: &Env) -> Result<Installed, InstallError> {
    let home = env.home().ok_or(InstallError::NoHome(shell))?;
    match shell {
        Shell::Bash => append(&home.join(".bashrc"), &line(shell, program)),
        Shell::Zsh => {
            let folder = env
                .get_os(env::ZDOTDIR)
                .map_or_else(|| home.to_path_buf(), |path| env.expand_home(path.as_ref()));
            append(&folder.join(".zshrc"), &line(shell, program))
        }
        Shell::Fish => {
            let config = env.get_os(env::XDG_CONFIG_HOME).map_or_else(
                || home.join(".config"),
                |path| env.expand_home(path.as_ref()),
            );
            // fish looks for the file by the name of the command.
            let path = config.join(format!("fish/completions/{program}.fish"));
            replace(&path, &shell.script(program))
        }
        Shell::Powershell | Shell::Elvish => Err(InstallError::Unknown(shell)),
    }
}

/// The line of a shell's file that turns completion on.
fn line(shell: Shell, program: &str) -> String {
    format!("eval \"$(_HF_COMPLETE={shell}_source {program})\"")
}

/// Whether a file has the line, and not as a comment. Pure.
fn has_line(content: &[u8], line: &str) -> bool {
    String::from_utf8_lossy(content)
        .lines()
        .any(|one| !one.trim_start().starts_with('#') && one.contains(line))
}

fn append(path: &Path, line: &str) -> Result<Installed, InstallError> {
    let opening = Opening::update().append();
    let (mut file, _) = opening.open_through_own_links(path, "open")?;
    // Two of these commands at once write one line.
    file.lock().map_err(FsError::of("lock", path))?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)
        .map_err(FsError::of("read", path))?;
    let changed = !has_line(&content, line);
    if changed {
        let text = format!("\n{line}\n");
        write_whole(&mut file, text.as_bytes()).map_err(FsError::of("write to", path))?;
    }
    Ok(Installed {
        path: path.to_path_buf(),
        changed,
    })
}

/// Appends all of it, or takes back what a full disk let through.
fn write_whole(file: &mut File, text: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    let result = file.write_all(text).and_then(|()| file.sync_all());
    if result.is_err() && file.metadata()?.len() <= before + text.len() as u64 {
        file.set_len(before)?;
    }
    result
}

fn replace(path: &Path, script: &str) -> Result<Installed, InstallError> {
    // A link stays one: what it leads to is replaced.
    let path = follow_own_links(path)?;
    match read_limited(&path, LONGEST_SCRIPT) {
        Ok(content) if content == script.as_bytes() => {
            return Ok(Installed {
                path,
                changed: false,
            });
        }
        Ok(content)
            if !content.is_empty()
                && !String::from_utf8_lossy(&content).contains(env::HF_COMPLETE) =>
        {
            return Err(InstallError::Foreign { path });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(FsError::of("read", &path)(error).into()),
    }
    if let Some(folder) = path.parent() {
        create_dir_all(folder)?;
    }
    write_atomic(&path, script.as_bytes(), Mode::Umask)?;
    Ok(Installed {
        path,
        changed: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found() {
        let line = line(Shell::Bash, "hf");
        for (content, expected) in [
            ("", false),
            ("export A=1\n", false),
            ("eval \"$(_HF_COMPLETE=bash_source hf)\"", true),
            (
                "a\r\n  eval \"$(_HF_COMPLETE=bash_source hf)\" # x\r\n",
                true,
            ),
            ("# eval \"$(_HF_COMPLETE=bash_source hf)\"\n", false),
            ("eval \"$(_HF_COMPLETE=zsh_source hf)\"\n", false),
        ] {
            assert_eq!(has_line(content.as_bytes(), &line), expected, "{content}");
        }
        assert!(has_line(
            b"\xff\neval \"$(_HF_COMPLETE=bash_source hf)\"\n",
            &line
        ));
    }
}
