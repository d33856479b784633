//! Contents that are fetched before the plan of a download is made; see
//! [`session::early`](super::session).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::plan::PlannedFile;
use crate::types::listing::Checksum;

/// Most files that wait for a worker: more than can be fetched while the next page comes. The others are
/// left to the plan.
const MOST_WAITING: usize = 8192;

/// A content that came early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlyContent {
    /// Its blob is a link into the shared store.
    pub is_shared: bool,
}

/// Which contents wait, are on their way, and are there.
#[derive(Debug, Default)]
pub struct EarlyContents {
    state: Mutex<State>,
    /// A file waits, one has ended, or no more are taken.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<PlannedFile>,
    is_closed: bool,
    /// With their sizes in bytes.
    flying: HashMap<Checksum, u64>,
    fetched: HashMap<Checksum, EarlyContent>,
    /// Bytes of `fetched`.
    bytes: u64,
    /// Files that were begun and that this process did not bring.
    unfinished: Vec<PlannedFile>,
}

/// A file that a worker fetches. Dropped, it is left to the plan: whatever ends the worker, no other waits for
/// it in vain.
pub struct Flight {
    contents: Arc<EarlyContents>,
    file: PlannedFile,
    content: Option<EarlyContent>,
}

impl Flight {
    /// The file.
    pub fn file(&self) -> &PlannedFile {
        &self.file
    }

    /// Its content is there.
    pub fn landed(mut self, content: EarlyContent) {
        self.content = Some(content);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let file = &self.file;
        let mut state = self.contents.state();
        state.flying.remove(&file.checksum);
        match self.content {
            Some(content) => {
                state.fetched.insert(file.checksum.clone(), content);
                state.bytes = state.bytes.saturating_add(file.size().unwrap_or(0));
            }
            None => state.unfinished.push(file.clone()),
        }
        drop(state);
        self.contents.changed.notify_waiters();
    }
}

impl EarlyContents {
    /// Offers files to the workers.
    pub fn add(&self, files: impl IntoIterator<Item = PlannedFile>) {
        let mut state = self.state();
        if !state.is_closed {
            let room = MOST_WAITING.saturating_sub(state.waiting.len());
            state.waiting.extend(files.into_iter().take(room));
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// No file is begun from now on. Those on their way come to their end.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting.clear();
        drop(state);
        self.changed.notify_waiters();
    }

    /// The next file for a worker, once there is one; `None` after [`EarlyContents::close`].
    pub async fn next(self: &Arc<Self>) -> Option<Flight> {
        loop {
            // Before the look, or a change between the look and the wait would be missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.is_closed {
                    return None;
                }
                while let Some(file) = state.waiting.pop_front() {
                    if !state.has(&file.checksum) {
                        let size = file.size().unwrap_or(0);
                        state.flying.insert(file.checksum.clone(), size);
                        return Some(Flight {
                            contents: Arc::clone(self),
                            file,
                            content: None,
                        });
                    }
                }
            }
            changed.await;
        }
    }

    /// Whether a content came early, or may still do so.
    pub fn has(&self, checksum: &Checksum) -> bool {
        self.state().has(checksum)
    }

    /// Bytes that came so far, and those of contents on their way: some of them are on disk.
    pub fn bytes(&self) -> u64 {
        let state = self.state();
        let flying = state.flying.values().sum::<u64>();
        state.bytes.saturating_add(flying)
    }

    /// Waits until a content is no longer on its way. Answers it once, if it came: to those that ask later it
    /// is a content that was there.
    pub async fn take(&self, checksum: &Checksum) -> Option<EarlyContent> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if !state.flying.contains_key(checksum) {
                    return state.fetched.remove(checksum);
                }
            }
            changed.await;
        }
    }

    /// Files that were begun and that this process did not bring.
    pub fn unfinished(&self) -> Vec<PlannedFile> {
        self.state().unfinished.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change of it stops midway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has(&self, checksum: &Checksum) -> bool {
        self.flying.contains_key(checksum) || self.fetched.contains_key(checksum)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::download::file::OnDisk;
    use crate::download::whole::Length;

    fn file(name: &str, digit: char) -> PlannedFile {
        let checksum = Checksum::from_etag(&digit.to_string().repeat(40)).unwrap();
        let length = Length::Sure(10);
        PlannedFile::new(
            name.parse().unwrap(),
            checksum,
            length,
            OnDisk::default(),
            false,
        )
    }

    const CONTENT: EarlyContent = EarlyContent { is_shared: false };

    fn contents(files: impl IntoIterator<Item = PlannedFile>) -> Arc<EarlyContents> {
        let contents = Arc::<EarlyContents>::default();
        contents.add(files);
        contents
    }

    #[tokio::test]
    async fn each_content_is_fetched_once_and_told_once() {
        let contents = contents([file("a", '1'), file("same", '1'), file("b", '2')]);
        let a = contents.next().await.unwrap();
        let b = contents.next().await.unwrap();
        let (one, other) = (file("a", '1').checksum, file("b", '2').checksum);
        assert_eq!((a.file(), b.file()), (&file("a", '1'), &file("b", '2')));
        assert!(contents.has(&one) && contents.has(&other));
        assert_eq!(contents.bytes(), 20);
        a.landed(CONTENT);
        drop(b);
        assert!(contents.has(&one) && !contents.has(&other));
        assert_eq!(contents.bytes(), 10);
        assert_eq!(contents.unfinished(), [file("b", '2')]);
        assert_eq!(contents.take(&one).await, Some(CONTENT));
        assert_eq!(contents.take(&one).await, None);
        assert_eq!(contents.take(&other).await, None);
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_waited_for() {
        for content in [Some(CONTENT), None] {
            let contents = contents([file("a", '1'), file("b", '2')]);
            let a = contents.next().await.unwrap();
            contents.close();
            assert!(contents.next().await.is_none());
            // What no worker began is left to the plan.
            assert!(!contents.has(&file("b", '2').checksum));
            let (waiting, checksum) = (Arc::clone(&contents), file("a", '1').checksum);
            let taken = tokio::spawn(async move { waiting.take(&checksum).await });
            tokio::task::yield_now().await;
            assert!(!taken.is_finished());
            match content {
                Some(content) => a.landed(content),
                None => drop(a),
            }
            assert_eq!(taken.await.unwrap(), content);
        }
    }

    #[tokio::test]
    async fn a_worker_waits_for_files_and_ends_when_no_more_come() {
        let contents = contents([]);
        let next = |contents: &Arc<EarlyContents>| {
            let contents = Arc::clone(contents);
            tokio::spawn(async move { contents.next().await })
        };
        let first = next(&contents);
        tokio::task::yield_now().await;
        contents.add([file("a", '1')]);
        assert_eq!(first.await.unwrap().unwrap().file(), &file("a", '1'));
        let second = next(&contents);
        tokio::task::yield_now().await;
        contents.close();
        assert!(second.await.unwrap().is_none());
        contents.add([file("b", '2')]);
        assert!(contents.next().await.is_none());
    }

    #[test]
    fn the_queue_is_bounded() {
        let contents = EarlyContents::default();
        contents.add(std::iter::repeat_n(file("a", '1'), 2 * MOST_WAITING));
        assert_eq!(contents.state().waiting.len(), MOST_WAITING);
    }
}
