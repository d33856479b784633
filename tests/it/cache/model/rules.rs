//! What may be removed, stated plainly and independently of the program's own code.

use std::collections::{BTreeMap, BTreeSet};

use super::Command;
use super::made::{
    Blob, Lock, Locks, Loose, LooseFile, Made, MadeFile, Repo, Revision, SharedBlob,
};

/// What may go, and what has to.
#[derive(Default)]
pub struct Verdict {
    below: Vec<String>,
    exact: BTreeSet<String>,
    pub must_go: BTreeSet<String>,
    /// What may be repaired: paths, and the bytes that may be there afterwards.
    right: BTreeMap<String, String>,
    /// Paths that have to be right afterwards.
    pub must_be_right: BTreeSet<String>,
}

impl Verdict {
    pub fn may_go(&self, path: &str) -> bool {
        let is_below = |folder: &String| path.starts_with(folder.as_str());
        self.exact.contains(path) || self.below.iter().any(is_below)
    }

    pub fn is_right(&self, path: &str, bytes: &[u8]) -> bool {
        self.right
            .get(path)
            .is_some_and(|text| text.as_bytes() == bytes)
    }
}

/// A lock, as it can be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Held,
    Free,
    Absent,
    CannotTell,
}

fn seen(lock: Lock, locks: Locks) -> Seen {
    match (lock, locks) {
        (Lock::Absent, _) => Seen::Absent,
        (Lock::Odd, _) | (_, Locks::None | Locks::Meaningless) => Seen::CannotTell,
        (Lock::Held, _) => Seen::Held,
        (Lock::Free, _) => Seen::Free,
    }
}

/// A process may be writing it.
fn is_alive(file: &LooseFile, made: &Made) -> bool {
    let lock = seen(file.lock, made.locks);
    match file.what {
        Loose::Blob(_) => lock == Seen::Held || lock == Seen::CannotTell && file.is_young,
        // Its writer would hold the lock, which is free.
        Loose::Locked if lock == Seen::Free => false,
        _ => lock == Seen::Held || file.is_young,
    }
}

fn is_held(repo: &Repo, made: &Made) -> bool {
    let is = |lock: Lock| seen(lock, made.locks) == Seen::Held;
    repo.blobs.iter().any(|blob| is(blob.lock)) || repo.loose.iter().any(|file| is(file.lock))
}

/// All of it may be deleted.
fn is_free(repo: &Repo, made: &Made) -> bool {
    !is_held(repo, made) && !repo.loose.iter().any(|file| is_alive(file, made))
}

/// Nothing is in the way of any deletion: no lock that is held or cannot be told, nothing young.
fn is_idle(repo: &Repo, made: &Made) -> bool {
    let is_clear = |lock: Lock| matches!(seen(lock, made.locks), Seen::Free | Seen::Absent);
    !repo.is_pinned
        && repo.blobs.iter().all(|blob| is_clear(blob.lock))
        && repo
            .loose
            .iter()
            .all(|file| is_clear(file.lock) && !file.is_young)
}

pub fn of(made: &Made, command: &Command) -> Verdict {
    let mut verdict = Verdict::default();
    match command {
        Command::RmRepo(id) => {
            if let Some(repo) = named(made, id.strip_prefix("model/").unwrap_or(id)) {
                whole(&mut verdict, made, repo, true);
            }
        }
        Command::RmCommit(commit) => {
            for repo in made.repos.iter().filter(|repo| !repo.is_damaged) {
                let goes = |revision: &Revision| revision.commit == *commit;
                revisions(&mut verdict, made, repo, goes, true);
            }
        }
        Command::RmFile(id, path) => {
            let repo = named(made, id).filter(|repo| !repo.is_damaged);
            if let Some(repo) = repo.filter(|repo| !repo.is_pinned && !is_held(repo, made)) {
                let goes = |_: &Revision, file: &MadeFile| file.path == *path;
                for revision in &repo.revisions {
                    let commit = &revision.commit;
                    let place = format!("{}/snapshots/{commit}/{path}", repo.folder);
                    verdict.exact.insert(place);
                }
                loose_blobs(&mut verdict, made, repo, goes);
            }
        }
        Command::Prune | Command::Evict | Command::KeepLast => prune(&mut verdict, made, command),
        Command::Doctor => doctor(&mut verdict, made),
        Command::Delete(commits) => {
            for repo in made.repos.iter().filter(|repo| !repo.is_damaged) {
                let goes = |revision: &Revision| commits.contains(&revision.commit);
                revisions(&mut verdict, made, repo, goes, true);
            }
        }
        // The Hub cannot be reached: nothing can be fetched, so nothing may go.
        Command::Verify(_) => {}
        Command::Repair(id) => {
            repair(&mut verdict, made, id);
            return verdict;
        }
    }
    shared_blobs(&mut verdict, made);
    verdict
}

/// The exact spelling wins; else the one that differs in case alone.
fn named<'a>(made: &'a Made, id: &str) -> Option<&'a Repo> {
    let exact = made.repos.iter().find(|repo| repo.id == id);
    let folded = |repo: &&Repo| repo.id.to_lowercase() == id.to_lowercase();
    let mut similar = made.repos.iter().filter(folded);
    let first = similar.next();
    exact.or_else(|| first.filter(|_| similar.next().is_none()))
}

fn whole(verdict: &mut Verdict, made: &Made, repo: &Repo, must: bool) {
    if repo.is_pinned || !is_free(repo, made) {
        return;
    }
    verdict.below.push(format!("{}/", repo.folder));
    if must && is_idle(repo, made) {
        for revision in &repo.revisions {
            for file in &revision.files {
                let commit = &revision.commit;
                let place = format!("{}/snapshots/{commit}/{}", repo.folder, file.path);
                verdict.must_go.insert(place);
            }
        }
    }
}

/// Some revisions, with their refs, listings and notes, and the blobs that nothing else uses.
fn revisions(
    verdict: &mut Verdict,
    made: &Made,
    repo: &Repo,
    goes: impl Fn(&Revision) -> bool,
    must: bool,
) {
    let going: Vec<&Revision> = repo.revisions.iter().filter(|&r| goes(r)).collect();
    if going.is_empty() || repo.is_pinned || is_held(repo, made) {
        return;
    }
    if going.len() == repo.revisions.len() {
        return whole(verdict, made, repo, must);
    }
    for revision in &going {
        let (folder, commit) = (&repo.folder, &revision.commit);
        let refs = revision
            .refs
            .iter()
            .map(|name| format!("{folder}/refs/{name}"));
        verdict.exact.extend(refs);
        verdict
            .exact
            .insert(format!("{folder}/trees/{commit}.json"));
        verdict.below.push(format!("{folder}/.no_exist/{commit}/"));
        verdict.below.push(format!("{folder}/snapshots/{commit}/"));
        if must && is_idle(repo, made) {
            let places = revision.files.iter();
            let places = places.map(|f| format!("{folder}/snapshots/{commit}/{}", f.path));
            verdict.must_go.extend(places);
        }
    }
    loose_blobs(verdict, made, repo, |revision, _| goes(revision));
}

/// Blobs that only files that go link to.
fn loose_blobs(
    verdict: &mut Verdict,
    made: &Made,
    repo: &Repo,
    goes: impl Fn(&Revision, &MadeFile) -> bool,
) {
    for blob in &repo.blobs {
        let mut uses = repo.revisions.iter().flat_map(|revision| {
            let files = revision.files.iter().map(move |file| (revision, file));
            files.filter(|(_, file)| !file.is_copy && file.blob == blob.name)
        });
        let is_linked = uses.clone().next().is_some();
        let is_let_go = uses.all(|(revision, file)| goes(revision, file));
        let lock = seen(blob.lock, made.locks);
        let is_kept = lock == Seen::Held
            || lock == Seen::CannotTell && blob.is_young && blob.shared_blob.is_none();
        if is_linked && is_let_go && !is_kept {
            verdict
                .exact
                .insert(format!("{}/blobs/{}", repo.folder, blob.name));
        }
    }
}

fn prune(verdict: &mut Verdict, made: &Made, command: &Command) {
    for repo in &made.repos {
        if !repo.is_damaged {
            match command {
                Command::Evict => whole(verdict, made, repo, false),
                // Another test checks which one was written last.
                Command::KeepLast => {
                    let attached = repo.revisions.iter().filter(|r| !r.refs.is_empty());
                    if attached.count() > 1 {
                        for revision in &repo.revisions {
                            let one = |r: &Revision| r.commit == revision.commit;
                            revisions(verdict, made, repo, one, false);
                        }
                        every_blob(verdict, made, repo);
                    } else {
                        detached(verdict, made, repo);
                    }
                }
                _ => detached(verdict, made, repo),
            }
            if *command == Command::Evict {
                detached(verdict, made, repo);
            }
        }
        for file in &repo.loose {
            let is_partial = matches!(file.what, Loose::Locked | Loose::Unlocked);
            if is_partial && !is_alive(file, made) {
                let place = format!("{}/blobs/{}", repo.folder, file.name);
                verdict.exact.insert(place.clone());
                if !may_be_needed(repo, file) {
                    verdict.must_go.insert(place);
                }
            }
        }
    }
    for (name, is_young) in &made.in_root {
        if !is_young {
            verdict.exact.insert(name.clone());
            verdict.must_go.insert(name.clone());
        }
    }
}

/// The revisions without a ref, but for those that were interrupted lately.
fn detached(verdict: &mut Verdict, made: &Made, repo: &Repo) {
    let goes = |r: &Revision| r.refs.is_empty() && !was_interrupted(repo, r);
    revisions(verdict, made, repo, goes, true);
    // Whether one that is listed was interrupted depends on its listing. Where it stays, the others go without it.
    if repo.loose.iter().any(is_unfinished_lately) {
        for revision in repo.revisions.iter().filter(|&r| goes(r)) {
            let is_it = |r: &Revision| r.commit == revision.commit;
            revisions(verdict, made, repo, is_it, false);
        }
        if !repo.is_pinned && !is_held(repo, made) {
            loose_blobs(verdict, made, repo, |revision, _| goes(revision));
        }
    }
}

/// Something of it may be unfinished, for it has no listing that would say otherwise.
fn was_interrupted(repo: &Repo, revision: &Revision) -> bool {
    let mut unfinished = repo.loose.iter().filter(|&file| is_unfinished_lately(file));
    !revision.is_listed && unfinished.any(|file| !has_content(repo, file))
}

/// The blob that an unfinished download was to become is there.
fn has_content(repo: &Repo, file: &LooseFile) -> bool {
    let loose = repo.loose.iter();
    let loose = loose.filter(|other| matches!(other.what, Loose::Blob(_)));
    let blobs = repo.blobs.iter().map(|blob| &blob.name);
    let mut names = blobs.chain(loose.map(|blob| &blob.name));
    names.any(|name| file.name.starts_with(name.as_str()))
}

/// An unfinished download of ours.
fn is_unfinished_lately(file: &LooseFile) -> bool {
    file.is_young && file.name.contains(".hf-")
}

/// A revision without a ref may have been interrupted lately, and need what is unfinished to go on.
fn may_be_needed(repo: &Repo, file: &LooseFile) -> bool {
    let is_detached = |revision: &Revision| revision.refs.is_empty();
    is_unfinished_lately(file) && repo.revisions.iter().any(is_detached)
}

/// Any linked blob may go, as one of several revisions does.
fn every_blob(verdict: &mut Verdict, made: &Made, repo: &Repo) {
    if !repo.is_pinned && !is_held(repo, made) {
        loose_blobs(verdict, made, repo, |_, _| true);
    }
}

/// A listing tells how long the blob should be, and it is not; or it is empty, and its name is the
/// hash of something.
fn is_provably_short(repo: &Repo, blob: &Blob) -> bool {
    let names = |revision: &Revision| {
        let files = revision.files.iter().map(|file| &file.blob);
        let mut blobs = files.chain(revision.lost.iter().map(|(_, name)| name));
        revision.is_listed && blobs.any(|name| *name == blob.name)
    };
    blob.length == 0 || blob.length < blob.text.len() && repo.revisions.iter().any(names)
}

/// What no program can use: never what a listing, a link or another program may need, unless it is
/// provably damaged.
fn doctor(verdict: &mut Verdict, made: &Made) {
    rights(verdict, made);
    for repo in &made.repos {
        if is_held(repo, made) {
            continue;
        }
        for blob in repo
            .blobs
            .iter()
            .filter(|blob| is_provably_short(repo, blob))
        {
            let name = format!("{}/blobs/{}", repo.folder, blob.name);
            verdict.exact.insert(name);
            for revision in &repo.revisions {
                let files = revision.files.iter();
                let links = files.filter(|file| !file.is_copy && file.blob == blob.name);
                let links = links.map(|file| place(repo, revision, file));
                verdict.exact.extend(links);
            }
        }
        let folder = &repo.folder;
        verdict.exact.insert(format!("{folder}/refs/ghost"));
        for file in &repo.loose {
            let may = match file.what {
                Loose::Blob(is_listed) => !is_listed && !is_alive(file, made),
                Loose::Locked => !is_alive(file, made),
                // Ours, under a name of its own: nothing continues it.
                Loose::Unlocked => {
                    file.name.ends_with(".89abcdef.hf-sparse") && !is_alive(file, made)
                }
                Loose::Foreign => false,
            };
            if may {
                verdict
                    .exact
                    .insert(format!("{folder}/blobs/{}", file.name));
            }
        }
    }
}

/// What is damaged may be replaced by what it should be, and by nothing else; of the revision that is
/// meant, every file that is there has to be.
fn repair(verdict: &mut Verdict, made: &Made, id: &str) {
    rights(verdict, made);
    if let Some((repo, revision)) = meant(made, id) {
        let files = revision.files.iter().filter(|file| !file.is_moved);
        let places = files.map(|file| place(repo, revision, file));
        verdict.must_be_right.extend(places);
    }
}

/// The content that each place may have.
fn rights(verdict: &mut Verdict, made: &Made) {
    for shared_blob in &made.shared_blobs {
        let place = format!("blobs/{}/{}", &shared_blob.hash[..2], shared_blob.hash);
        verdict.right.insert(place, shared_blob.text.clone());
    }
    for repo in &made.repos {
        for blob in &repo.blobs {
            let place = format!("{}/blobs/{}", repo.folder, blob.name);
            verdict.right.insert(place, blob.text.clone());
        }
        for revision in &repo.revisions {
            for file in &revision.files {
                let blob = repo.blobs.iter().find(|blob| blob.name == file.blob);
                let text = blob.map_or_else(String::new, |blob| blob.text.clone());
                verdict.right.insert(place(repo, revision, file), text);
            }
        }
    }
}

fn place(repo: &Repo, revision: &Revision, file: &MadeFile) -> String {
    let (folder, commit, path) = (&repo.folder, &revision.commit, &file.path);
    format!("{folder}/snapshots/{commit}/{path}")
}

/// What a repository's name alone means to `verify`: its `main`, or the only revision there is.
pub fn meant<'a>(made: &'a Made, id: &str) -> Option<(&'a Repo, &'a Revision)> {
    let repo = named(made, id)?;
    let is_main = |revision: &&Revision| revision.refs.iter().any(|name| name == "main");
    let main = repo.revisions.iter().find(is_main);
    let only = || repo.revisions.first().filter(|_| repo.revisions.len() == 1);
    Some((repo, main.or_else(only)?))
}

/// SharedBlobs whose links have all gone, or may have, and of which that can be known.
fn shared_blobs(verdict: &mut Verdict, made: &Made) {
    for shared_blob in &made.shared_blobs {
        let SharedBlob { hash, .. } = shared_blob;
        let place = format!("blobs/{}/{hash}", &hash[..2]);
        // Lines without a link are taken out.
        verdict.exact.insert(format!("{place}.refs"));
        let links = made.repos.iter().flat_map(|repo| {
            let uses = |blob: &&Blob| blob.shared_blob.as_ref() == Some(hash);
            let links = repo.blobs.iter().filter(uses);
            links.map(|blob| format!("{}/blobs/{}", repo.folder, blob.name))
        });
        let is_used = links.into_iter().any(|link| !verdict.may_go(&link));
        let lock = seen(shared_blob.lock, made.locks);
        let has_no_lock = matches!(made.locks, Locks::None | Locks::Meaningless);
        let is_kept = (lock == Seen::CannotTell || has_no_lock) && shared_blob.is_young;
        if shared_blob.has_manifest && !is_used && !is_kept {
            verdict.exact.insert(place);
        }
    }
}
