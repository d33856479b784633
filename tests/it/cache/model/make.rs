//! Makes random caches, with everything that clients of all versions leave.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use serde_json::json;

use super::made::{
    Blob, Lock, Locks, Loose, LooseFile, Made, MadeFile, Repo, Revision, SharedBlob,
};
use crate::harness::Held;
use crate::harness::cache::blob_name;

/// Pairs that differ in case alone, and others.
const IDS: [&str; 6] = ["o/m", "O/M", "o/M", "p/q", "gpt2", "org/Sole"];

/// Makes a cache at `root`. Without the shim locks are always good.
pub fn make(root: &Path, random: &mut Rng, has_shim: bool) -> Made {
    let locks = match random.u8(..10) {
        0 | 1 if has_shim => Locks::ForWriters,
        2 if has_shim => Locks::None,
        3 if has_shim => Locks::Meaningless,
        _ => Locks::Good,
    };
    let mut maker = Maker {
        made: Made {
            root: root.to_path_buf(),
            locks,
            repos: Vec::new(),
            shared_blobs: Vec::new(),
            in_root: Vec::new(),
            held: Vec::new(),
        },
        random,
    };
    fs::create_dir_all(root.join(".locks")).expect("folder");
    put(&root.join("CACHEDIR.TAG"), "x");
    if maker.chance(3) {
        maker.store();
    }
    let mut ids = IDS.to_vec();
    maker.random.shuffle(&mut ids);
    let count = maker.random.usize(1..4);
    for id in ids.into_iter().take(count) {
        maker.repo(id);
    }
    for number in 0..maker.random.usize(..3) {
        let (name, is_young) = (format!("tmpab__{number:04}"), maker.chance(2));
        maker.file(&root.join(&name), is_young);
        maker.made.in_root.push((name, is_young));
    }
    maker.made
}

struct Maker<'a> {
    made: Made,
    random: &'a mut Rng,
}

impl Maker<'_> {
    /// One in `n`.
    fn chance(&mut self, n: u32) -> bool {
        self.random.u32(..n) == 0
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| self.random.digit(16)).collect()
    }

    /// A file that should hold the answered text, and now and then was damaged.
    fn content(&mut self, path: &Path, is_young: bool) -> (String, usize) {
        let length = self.random.usize(20..300);
        let text = self.hex(length);
        let length = self.damaged_or_not(path, &text);
        self.age(path, is_young);
        (text, length)
    }

    /// Writes the text; in some cases what a power failure or a bad disk leaves of it. Answers how
    /// many bytes that are.
    fn damaged_or_not(&mut self, path: &Path, text: &str) -> usize {
        let written = match self.random.u8(..10) {
            0 => text[..text.len() / 2].to_owned(),
            1 => text.replace('0', "x"),
            2 if self.chance(3) => String::new(),
            _ => text.to_owned(),
        };
        put(path, &written);
        written.len()
    }

    /// A file of some bytes that no other file has.
    fn file(&mut self, path: &Path, is_young: bool) -> String {
        let length = self.random.usize(20..300);
        let text = self.hex(length);
        put(path, &text);
        self.age(path, is_young);
        text
    }

    fn age(&mut self, path: &Path, is_young: bool) {
        let hours = match is_young {
            true => self.random.u64(..20),
            false => self.random.u64(30..9_000),
        };
        let time = SystemTime::now() - Duration::from_secs(hours * 3_600);
        let file = File::open(path).expect("file");
        file.set_modified(time).expect("times");
    }

    fn lock(&mut self, path: &Path) -> Lock {
        let lock = match self.random.u8(..8) {
            0 | 1 => Lock::Absent,
            2 => Lock::Held,
            3 => Lock::Odd,
            _ => Lock::Free,
        };
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        match lock {
            Lock::Absent => {}
            Lock::Odd => symlink("/nowhere/at/all", path).expect("link"),
            Lock::Free => put(path, ""),
            Lock::Held => self.made.held.push(Held::at(path)),
        }
        lock
    }

    fn store(&mut self) {
        let root = self.made.root.clone();
        put(&root.join("blobs/.huggingface-shared-blobs"), "1\n");
        for _ in 0..self.random.usize(1..4) {
            let hash = self.hex(64);
            let place = root.join("blobs").join(&hash[..2]).join(&hash);
            let is_young = self.chance(2);
            let (text, length) = self.content(&place, is_young);
            let has_manifest = !self.chance(4);
            if has_manifest {
                let manifest = place.with_file_name(format!("{hash}.refs"));
                put(&manifest, "models--gone/blobs/x\n");
                self.age(&manifest, is_young);
            }
            // A held lock makes every deletion wait.
            let lock = match self.random.u8(..4) {
                0 => Lock::Absent,
                1 => Lock::Odd,
                _ => Lock::Free,
            };
            let path = place.with_file_name(format!("{hash}.lock"));
            match lock {
                Lock::Odd => symlink("/nowhere/at/all", path).expect("link"),
                Lock::Free => put(&path, ""),
                _ => {}
            }
            self.made.shared_blobs.push(SharedBlob {
                hash,
                text,
                length,
                has_manifest,
                lock,
                is_young,
            });
        }
    }

    fn repo(&mut self, id: &str) {
        let folder = format!("models--{}", id.replace('/', "--"));
        let path = self.made.root.join(&folder);
        fs::create_dir_all(path.join("snapshots")).expect("folder");
        let mut repo = Repo {
            id: id.to_owned(),
            folder,
            blobs: Vec::new(),
            revisions: Vec::new(),
            loose: Vec::new(),
            is_pinned: self.chance(8),
            is_damaged: false,
        };
        for number in 0..self.random.usize(..5) {
            let blob = self.blob(&repo, number);
            repo.blobs.push(blob);
        }
        for _ in 0..self.random.usize(..4) {
            self.revision(&mut repo);
        }
        for _ in 0..self.random.usize(..4) {
            let loose = self.loose(&repo);
            repo.loose.push(loose);
        }
        if self.chance(6) {
            put(&path.join("snapshots/.DS_Store"), "x");
            put(&path.join("blobs/.DS_Store"), "x");
        }
        if self.chance(8) {
            put(&path.join("refs/ghost"), self.hex(40));
            repo.is_damaged = true;
        }
        if repo.is_pinned {
            put(&path.join(".hf-pin"), "");
        }
        self.forget_unlinked(&mut repo);
        self.made.repos.push(repo);
    }

    fn blob(&mut self, repo: &Repo, number: usize) -> Blob {
        let root = self.made.root.clone();
        let blobs = root.join(&repo.folder).join("blobs");
        let is_young = self.chance(2);
        let shared_blob = match self.chance(2) {
            true => self.random.choice(&self.made.shared_blobs),
            false => None,
        };
        let shared_blob =
            shared_blob.map(|shared_blob| (shared_blob.hash.clone(), shared_blob.text.clone()));
        let taken = |hash: &String| {
            repo.blobs
                .iter()
                .any(|b| b.shared_blob.as_ref() == Some(hash))
        };
        let (shared_blob, text) = match shared_blob.filter(|(hash, _)| !taken(hash)) {
            Some((hash, text)) => (Some(hash), text),
            None => {
                let length = self.random.usize(20..300);
                (None, self.hex(length))
            }
        };
        let name = blob_name(["f", "f.bin"][number % 2], &text);
        let place = blobs.join(&name);
        fs::create_dir_all(&blobs).expect("folder");
        let length = match &shared_blob {
            Some(hash) => {
                symlink(format!("../../blobs/{}/{hash}", &hash[..2]), &place).expect("link");
                let manifest = root.join(format!("blobs/{}/{hash}.refs", &hash[..2]));
                if let Ok(old) = fs::read_to_string(&manifest) {
                    let meta = fs::metadata(&manifest).expect("metadata");
                    put(&manifest, format!("{old}{}/blobs/{name}\n", repo.folder));
                    let file = File::open(&manifest).expect("file");
                    file.set_modified(meta.modified().expect("time"))
                        .expect("times");
                }
                let mut shared_blobs = self.made.shared_blobs.iter();
                let shared_blob = shared_blobs.find(|shared_blob| shared_blob.hash == *hash);
                shared_blob.map_or(0, |shared_blob| shared_blob.length)
            }
            None => {
                let length = self.damaged_or_not(&place, &text);
                self.age(&place, is_young);
                length
            }
        };
        let lock = root
            .join(".locks")
            .join(&repo.folder)
            .join(format!("{name}.lock"));
        Blob {
            lock: self.lock(&lock),
            name,
            text,
            length,
            is_young,
            shared_blob,
        }
    }

    fn revision(&mut self, repo: &mut Repo) {
        let path = self.made.root.join(&repo.folder);
        let commit = self.hex(40);
        let snapshot = path.join("snapshots").join(&commit);
        fs::create_dir_all(&snapshot).expect("folder");
        let (is_absolute, is_moved, is_lost) = (self.chance(5), self.chance(10), self.chance(8));
        let mut files: Vec<MadeFile> = Vec::new();
        for number in 0..self.random.usize(..4) {
            let Some(blob) = self.random.choice(&repo.blobs) else {
                break;
            };
            let blob = blob.name.clone();
            let folder = ["", "a/", "a/b/"][number % 3];
            let name = format!("{folder}f{number}");
            let file = snapshot.join(&name);
            fs::create_dir_all(file.parent().expect("parent")).expect("folder");
            let is_copy = self.chance(10);
            if is_copy {
                self.file(&file, false);
            } else if is_moved {
                symlink(format!("/moved/{}/blobs/{blob}", repo.folder), &file).expect("link");
            } else if is_absolute {
                symlink(path.join("blobs").join(&blob), &file).expect("link");
            } else {
                let up = "../".repeat(2 + folder.matches('/').count());
                symlink(format!("{up}blobs/{blob}"), &file).expect("link");
            }
            files.push(MadeFile {
                path: name,
                blob,
                is_copy,
                is_moved: is_moved && !is_copy,
            });
        }
        let is_listed = is_lost || is_moved || self.chance(2);
        if is_listed {
            listing(&path, &commit, &files, &repo.blobs);
        }
        let mut lost = Vec::new();
        if is_lost {
            // As after a copy without links: the listing and the blobs are there.
            for file in files.iter().filter(|file| !file.is_copy) {
                fs::remove_file(snapshot.join(&file.path)).expect("link");
            }
            let listed = files.extract_if(.., |file| !file.is_copy);
            lost = listed.map(|file| (file.path, file.blob)).collect();
            for (_, name) in &lost {
                let is_known = repo.loose.iter().any(|loose| loose.name == *name);
                let blob = repo.blobs.iter().find(|blob| blob.name == *name);
                if let Some(blob) = blob.filter(|_| !is_known) {
                    repo.loose.push(LooseFile {
                        what: Loose::Blob(true),
                        is_young: blob.is_young,
                        lock: blob.lock,
                        name: name.clone(),
                    });
                }
            }
        }
        repo.is_damaged |= files.iter().any(|file| file.is_moved);
        let mut refs = Vec::new();
        for name in ["main", "refs/pr/1", "v1", "dev"] {
            let place = path.join("refs").join(name);
            if self.chance(3) && !place.exists() {
                put(&place, &commit);
                refs.push(name.to_owned());
            }
        }
        repo.revisions.push(Revision {
            commit,
            refs,
            files,
            lost,
            is_listed,
        });
    }

    /// Blobs that no snapshot links to are loose files.
    fn forget_unlinked(&mut self, repo: &mut Repo) {
        for blob in &repo.blobs {
            let is_linked = repo.revisions.iter().any(|revision| {
                let uses = |file: &MadeFile| file.blob == blob.name && !file.is_copy;
                revision.files.iter().any(uses)
            });
            let is_known = repo.loose.iter().any(|loose| loose.name == blob.name);
            if !is_linked && !is_known {
                repo.loose.push(LooseFile {
                    name: blob.name.clone(),
                    what: Loose::Blob(false),
                    is_young: blob.is_young,
                    lock: blob.lock,
                });
            } else if is_linked {
                repo.loose.retain(|loose| loose.name != blob.name);
            }
        }
    }

    fn loose(&mut self, repo: &Repo) -> LooseFile {
        let root = self.made.root.clone();
        let blobs = root.join(&repo.folder).join("blobs");
        let etag = self.hex(64);
        let beside = blobs.join(format!("{etag}.lock"));
        let usual = root
            .join(".locks")
            .join(&repo.folder)
            .join(format!("{etag}.lock"));
        let (ending, what, lock) = match self.random.u8(..12) {
            0 => (".hf-sparse", Loose::Locked, Some(&usual)),
            1 => (".hf-journal", Loose::Locked, Some(&usual)),
            2 => (".hf-part-2", Loose::Locked, Some(&usual)),
            3 => (".0123abcd.incomplete", Loose::Locked, Some(&usual)),
            4 => (".89abcdef.hf-sparse", Loose::Unlocked, Some(&usual)),
            5 => (".incomplete", Loose::Unlocked, Some(&usual)),
            6 => (".part", Loose::Unlocked, Some(&beside)),
            7 => (".sync.part", Loose::Unlocked, Some(&beside)),
            8 => (".downloadInProgress", Loose::Unlocked, None),
            9 => (".gguf.tmp", Loose::Foreign, None),
            _ => ("", Loose::Blob(false), Some(&usual)),
        };
        let is_young = self.chance(2);
        let name = format!("{etag}{ending}");
        self.file(&blobs.join(&name), is_young);
        let lock = lock.map_or(Lock::Absent, |path| self.lock(path));
        LooseFile {
            name,
            what,
            is_young,
            lock,
        }
    }
}

/// Writes `trees/<commit>.json` for these files.
fn listing(repo: &Path, commit: &str, files: &[MadeFile], blobs: &[Blob]) {
    let rows = files.iter().map(|file| {
        let blob = blobs.iter().find(|blob| blob.name == file.blob);
        let length = blob.expect("a file is made from a blob").text.len();
        let mut row = json!({"size": length, "blob_id": file.blob});
        if file.blob.len() == 64 {
            row["blob_id"] = json!(&file.blob[..40]);
            row["lfs_sha256"] = json!(file.blob);
            row["lfs_size"] = json!(length);
        }
        (file.path.clone(), row)
    });
    let rows: serde_json::Map<String, serde_json::Value> = rows.collect();
    let text = json!({"format_version": 1, "files": rows}).to_string();
    put(&repo.join("trees").join(format!("{commit}.json")), text);
}

fn put(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("parent")).expect("folder");
    fs::write(path, text).expect("file");
}
