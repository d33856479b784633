//! Modes and owners: whether the group of a shared cache can use it, and whether this user can.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::walk::names;
use super::{Finding, FindingKind, Fix, ModeChange};
use crate::cache::layout::{LOCKS, SHARED};
use crate::cache::scan::report::CacheReport;

/// New files in a folder get the group of the folder.
const SETGID: u32 = 0o2000;
/// The group reads.
const GROUP_READS: u32 = 0o040;
/// The group reads and writes.
const GROUP_READS_AND_WRITES: u32 = 0o060;
/// The group does everything.
const GROUP_ALL: u32 = 0o070;

/// The permissions that an entry of the cache needs.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// Bits for files. Every user writes lock files, and no user writes shared blobs.
    file: u32,
    /// Bits for folders.
    folder: u32,
    /// The group everything has to have.
    group: u32,
}

/// What the mode of the root requires: `None` when one user owns the cache. A group with the number of
/// its user is that user's own.
fn wanted(mode: u32, owner: u32, group: u32) -> Option<Wanted> {
    let is_shared = mode & SETGID != 0 || (mode & 0o020 != 0 && owner != group);
    is_shared.then_some(Wanted {
        file: GROUP_READS,
        folder: GROUP_ALL | (mode & SETGID),
        group,
    })
}

/// The change an entry needs, if any.
fn change(path: &Path, mode: u32, group: u32, is_folder: bool, want: Wanted) -> Option<ModeChange> {
    let bits = if is_folder { want.folder } else { want.file };
    let is_other_group = group != want.group;
    // The permissions of all users are the group's too.
    let is_open = (mode | (mode & 0o007) << 3) & bits == bits;
    (!is_open || is_other_group).then(|| ModeChange {
        path: path.to_path_buf(),
        mode: (mode & 0o7777) | bits,
        group: is_other_group.then_some(want.group),
    })
}

/// Checks every file and folder of the cache.
pub fn examine(report: &CacheReport, findings: &mut Vec<Finding>) {
    let Ok(meta) = report.root.metadata() else {
        return;
    };
    let want = wanted(meta.mode(), meta.uid(), meta.gid());
    let can_write = may(&report.root, Access::WRITE_OK);
    let mut folders: Vec<Vec<u8>> = vec![LOCKS.into()];
    folders.extend(report.store.iter().map(|_| SHARED.into()));
    folders.extend(report.repos.iter().map(|repo| repo.folder.clone()));
    let damaged = report.problems.iter().filter(|p| p.repo().is_some());
    folders.extend(damaged.map(|problem| problem.folder.clone()));
    for folder in folders {
        let mut look = Look {
            want: want.map(|want| Wanted {
                file: if folder == LOCKS.as_bytes() {
                    GROUP_READS_AND_WRITES
                } else {
                    want.file
                },
                ..want
            }),
            can_write,
            locks: folder == LOCKS.as_bytes(),
            ..Look::default()
        };
        let path = report.root.join(crate::sys::dir::path_of(&folder));
        look.at(&path);
        look.tell(&path, &folder, findings);
    }
}

/// What was seen below one entry of the root.
#[derive(Default)]
struct Look {
    want: Option<Wanted>,
    /// Whether this user may write into the root. Otherwise the cache is read-only for this user.
    can_write: bool,
    locks: bool,
    /// Files of this user; for the superuser, of all users.
    own: Vec<ModeChange>,
    /// Files of other users.
    others: usize,
    /// Files that this user cannot use, with their owner.
    barred: Vec<(PathBuf, u32)>,
}

impl Look {
    fn at(&mut self, path: &Path) {
        let Ok(meta) = path.symlink_metadata() else {
            return;
        };
        if !meta.is_dir() && !meta.is_file() {
            return;
        }
        let me = rustix::process::geteuid();
        let is_mine = me.is_root() || meta.uid() == me.as_raw();
        let want = self.want;
        if let Some(change) =
            want.and_then(|want| change(path, meta.mode(), meta.gid(), meta.is_dir(), want))
        {
            if is_mine {
                self.own.push(change);
            } else {
                self.others += 1;
            }
        }
        let mut needs = Access::READ_OK;
        if meta.is_dir() {
            needs |= Access::EXEC_OK;
        }
        if self.can_write && (meta.is_dir() || self.locks) {
            needs |= Access::WRITE_OK;
        }
        if !is_mine && !may(path, needs) {
            return self.barred.push((path.to_path_buf(), meta.uid()));
        }
        for name in names(path).unwrap_or_default() {
            self.at(&path.join(name));
        }
    }

    fn tell(self, path: &Path, folder: &[u8], findings: &mut Vec<Finding>) {
        let mut add = |kind, path: &Path, fix, detail: String| {
            let finding = Finding::new(kind, folder, path.to_path_buf(), fix);
            findings.push(finding.with_size(0).with_detail(detail));
        };
        if !self.own.is_empty() {
            let detail = format!("files and folders: {}", self.own.len());
            add(FindingKind::Modes, path, Fix::SetModes(self.own), detail);
        }
        if self.others > 0 {
            let fix = Fix::Advice("only their owners can fix this, with `hf cache doctor --fix`");
            let detail = format!("files and folders of other users: {}", self.others);
            add(FindingKind::Modes, path, fix, detail);
        }
        if let Some((first, owner)) = self.barred.first() {
            let fix = Fix::Advice("ask its owner or `sudo chown -R` it to yourself");
            let more = match self.barred.len() - 1 {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            let detail = format!("belongs to user {owner}{more}");
            add(FindingKind::NoAccess, first, fix, detail);
        }
    }
}

fn may(path: &Path, access: Access) -> bool {
    accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_and_what_is_missing() {
        for (mode, owner, group, is_shared) in [
            (0o755, 1000, 1000, false),
            (0o755, 1000, 50, false),
            (0o775, 1000, 1000, false),
            (0o775, 1000, 50, true),
            (0o2755, 1000, 1000, true),
        ] {
            assert_eq!(wanted(mode, owner, group).is_some(), is_shared, "{mode:o}");
        }
        let want = wanted(0o2775, 1000, 50).unwrap();
        for (mode, group, is_folder, expected) in [
            (0o644, 50, false, None),
            (0o600, 50, false, Some((0o640, None))),
            (0o604, 50, false, None),
            (0o400, 50, false, Some((0o440, None))),
            (0o644, 7, false, Some((0o644, Some(50)))),
            (0o2775, 50, true, None),
            (0o775, 50, true, Some((0o2775, None))),
            (0o700, 7, true, Some((0o2770, Some(50)))),
        ] {
            let found = change(Path::new("f"), mode, group, is_folder, want);
            let found = found.map(|change| (change.mode, change.group));
            assert_eq!(found, expected, "{mode:o} {group}");
        }
    }
}
