//! What the contents of one download, and those that are on disk, have in common.
//!
//! A content that is fetched may share chunks with an earlier revision of the file, with another file of the
//! repository, or with one that is fetched at the same time. All of them are known by their plans. Plans are
//! asked for, each once in a download, and not kept on disk: other programs share the cache, and a plan costs a
//! request where it saves megabytes.
//!
//! A content that shares chunks with one on its way waits for that, as far as they share. It waits only for
//! contents that were entered before it, so no two wait for each other.
//!
//! None of this is relied on: what is copied is proven with the whole content.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, watch};

use super::reuse::{Term, common, shared};

/// Plans of contents on disk that one download asks for.
const OLD_PLANS: u32 = 64;

/// Plans of contents that only may be related, by their names, that are asked for without finding anything.
const FAILED_GUESSES: u32 = 4;

/// Files that are compared with each other without finding anything in common.
const UNRELATED_FILES: u32 = 8;

/// Terms of all plans that are kept for one download: they take 12 MiB.
const TERMS: usize = 200_000;

/// A content that has parts of another one.
#[derive(Clone)]
pub struct Donor {
    hash: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it is made of.
    pub terms: Arc<[Term]>,
    /// Where it is.
    pub at: At,
}

/// Where a content is.
#[derive(Clone)]
pub enum At {
    /// On disk.
    Disk(PathBuf),
    /// Fetched by this download; gets its path when it is complete and proven.
    Coming(watch::Receiver<Option<PathBuf>>),
}

/// The contents of one download and their plans.
#[derive(Default)]
pub struct Pool {
    /// Files of the download that may have parts in common.
    files: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    plans: HashMap<String, Arc<OnceCell<Plan>>>,
    donors: Vec<Donor>,
    terms: usize,
    old_plans: u32,
    failed_guesses: u32,
    unrelated_files: u32,
}

/// What a content is made of; `None` when the storage did not tell.
type Plan = Option<Arc<[Term]>>;

/// A content's entry in the pool. When it is dropped, no content waits for this one any more.
pub struct Ticket(watch::Sender<Option<PathBuf>>);

impl Ticket {
    /// The content is complete and proven, in this file.
    pub fn publish(&self, path: PathBuf) {
        self.0.send_replace(Some(path));
    }
}

impl Pool {
    /// The pool of a download of so many large files in Xet storage.
    pub fn new(files: usize) -> Self {
        Pool {
            files,
            state: Mutex::default(),
        }
    }

    /// Whether a file may have something in common with others of the download.
    pub fn has_partners(&self) -> bool {
        let state = self.state();
        self.files > 1 && state.unrelated_files < UNRELATED_FILES && state.terms < TERMS
    }

    /// Whether the plan of a content on disk may be asked for. It counts as asked for then.
    pub fn may_ask(&self, hash: &str, is_guess: bool) -> bool {
        let mut state = self.state();
        if state.plans.contains_key(hash) {
            return true;
        }
        let may = state.old_plans < OLD_PLANS
            && state.terms < TERMS
            && (!is_guess || state.failed_guesses < FAILED_GUESSES);
        state.old_plans += u32::from(may);
        may
    }

    /// The plan of a content, which is asked for once.
    pub async fn plan(&self, hash: &str, ask: impl Future<Output = Plan>) -> Plan {
        let cell = Arc::clone(self.state().plans.entry(hash.to_owned()).or_default());
        let plan = cell.get_or_init(|| async {
            let plan = ask.await;
            self.state().terms += plan.as_ref().map_or(0, |terms| terms.len());
            plan
        });
        plan.await.clone()
    }

    /// Adds a content that is on disk.
    pub fn add(&self, hash: &str, size: u64, terms: Arc<[Term]>, blob: PathBuf) {
        let mut state = self.state();
        if state.donors.iter().all(|donor| donor.hash != hash) {
            state.donors.push(Donor {
                hash: hash.to_owned(),
                size,
                terms,
                at: At::Disk(blob),
            });
        }
    }

    /// A guess had nothing in common with the file it was made for.
    pub fn guess_failed(&self) {
        self.state().failed_guesses += 1;
    }

    /// Bytes of a content that no known one has, as far as the plans tell.
    pub fn lacking(&self, terms: &[Term]) -> u64 {
        let size: u64 = terms.iter().map(|term| term.length).sum();
        let state = self.state();
        let known = state.donors.iter().map(|donor| &*donor.terms);
        size - common(terms, known)
    }

    /// Enters a content that is about to be fetched. Answers who has parts of it: those on disk, then those that
    /// were entered before it.
    pub fn enter(&self, hash: &str, size: u64, terms: &Arc<[Term]>) -> (Vec<Donor>, Ticket) {
        let (sender, receiver) = watch::channel(None);
        let mut state = self.state();
        let has_parts = |donor: &&Donor| !shared(&donor.terms, &**terms).is_empty();
        let mut donors: Vec<Donor> = state.donors.iter().filter(has_parts).cloned().collect();
        donors.sort_by_key(|donor| matches!(donor.at, At::Coming(_)));
        match donors.is_empty() {
            true => state.unrelated_files += 1,
            false => state.unrelated_files = 0,
        }
        if self.files > 1 {
            state.donors.push(Donor {
                hash: hash.to_owned(),
                size,
                terms: Arc::clone(terms),
                at: At::Coming(receiver),
            });
        }
        (donors, Ticket(sender))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::xet::answer::XorbHash;

    fn terms(parts: &[(u8, u32)]) -> Arc<[Term]> {
        let term = |&(xorb, start): &(u8, u32)| Term {
            xorb: XorbHash::from([xorb; 32]),
            chunks: start..start + 1,
            offset: 0,
            length: 100,
        };
        parts.iter().map(term).collect()
    }

    fn names(donors: &[Donor]) -> String {
        donors.iter().map(|donor| donor.hash.as_str()).collect()
    }

    #[test]
    fn a_content_waits_for_earlier_ones_alone() {
        let pool = Pool::new(2);
        let (first, ticket) = pool.enter("a", 100, &terms(&[(1, 0)]));
        let (second, _b) = pool.enter("b", 100, &terms(&[(1, 0), (2, 0)]));
        let (third, _c) = pool.enter("c", 100, &terms(&[(3, 0)]));
        assert_eq!((names(&first), names(&second)), (String::new(), "a".into()));
        assert_eq!(names(&third), "");
        pool.add("d", 100, terms(&[(1, 0)]), "d".into());
        pool.add("d", 100, terms(&[(1, 0)]), "again".into());
        let (donors, _e) = pool.enter("e", 100, &terms(&[(1, 0)]));
        assert_eq!(names(&donors), "dab", "what is there comes first");
        let At::Coming(told) = &donors[1].at else {
            panic!("on its way");
        };
        ticket.publish("path".into());
        drop(ticket);
        assert_eq!(*told.borrow(), Some(PathBuf::from("path")));
        assert_eq!(pool.lacking(&terms(&[(1, 0), (3, 0), (4, 0)])), 100);
    }

    #[test]
    fn a_single_file_is_no_donor() {
        let pool = Pool::new(1);
        assert!(!pool.has_partners());
        let _a = pool.enter("a", 100, &terms(&[(1, 0)]));
        assert_eq!(names(&pool.enter("b", 100, &terms(&[(1, 0)])).0), "");
    }

    #[tokio::test]
    async fn requests_are_bounded() {
        let pool = Pool::new(20);
        let nothing = async || None;
        for number in 0..2 * OLD_PLANS {
            let hash = number.to_string();
            assert_eq!(pool.may_ask(&hash, false), number < OLD_PLANS, "{number}");
            pool.plan(&hash, nothing()).await;
        }
        // What was asked for costs nothing.
        assert!(pool.may_ask("7", true));
        let asked = pool.plan("7", async { panic!("asked twice") });
        assert!(asked.await.is_none());

        let pool = Pool::new(20);
        for number in 0..FAILED_GUESSES {
            assert!(pool.may_ask(&number.to_string(), true));
            pool.guess_failed();
        }
        assert!(!pool.may_ask("more", true) && pool.may_ask("more", false));
        for number in 0..UNRELATED_FILES {
            assert!(pool.has_partners());
            let number = u8::try_from(number).unwrap();
            drop(pool.enter("f", 100, &terms(&[(number, 0)])));
        }
        assert!(!pool.has_partners());

        let pool = Pool::new(20);
        let many = (0..TERMS).map(|_| terms(&[(1, 0)])[0].clone());
        let many: Arc<[Term]> = many.collect();
        pool.plan("a", async { Some(many) }).await;
        assert!(!pool.has_partners() && !pool.may_ask("b", false));
    }
}
