//! Bounded workers over a plan.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Session;
use super::early::EarlyFetch;
use crate::download::DownloadError;
use crate::download::destination::Place;
use crate::download::earlier::Others;
use crate::download::files::Files;
use crate::download::http::parallel::CONNECTIONS;
use crate::download::job::Job;
use crate::download::partial::SMALL;
use crate::download::plan::{DownloadPlan, PlannedFile};
use crate::download::request::Destination;
use crate::download::request::Workers;
use crate::download::xet::Xet;
use crate::sys::limits;
use crate::types::CommitHash;

impl Session {
    /// Brings all files of a plan. The first failure ends the others.
    pub(super) async fn run(
        &self,
        plan: &DownloadPlan,
        place: &Arc<Place>,
        early: Option<&EarlyFetch>,
    ) -> Result<(), DownloadError> {
        let queues = Arc::new(self.queues(plan));
        let descriptors = limits::descriptors_left();
        let (workers, connections) = self.request.workers.within(descriptors);
        // Beside those over HTTP, as long as there are descriptors for more.
        let of_xet = match connections < CONNECTIONS {
            true => connections,
            false => usize::MAX,
        };
        let connections = Arc::new(Semaphore::new(connections));
        let gave_up = |early: &EarlyFetch| early.xet.as_ref().is_some_and(|xet| xet.is_given_up());
        let xet = match early.is_some_and(gave_up) {
            // It was said why.
            true => None,
            false => self.xet_for(plan, of_xet).map(Arc::new),
        };
        let others = self.others_of(&plan.commit);
        let Workers { large, small } = workers;
        let mut workers: JoinSet<Result<(), DownloadError>> = JoinSet::new();
        for index in 0..large.max(small).clamp(1, plan.files.len().max(1)) {
            let queues = Arc::clone(&queues);
            let job = Job {
                hub: self.hub.clone(),
                repo: self.request.repo.clone(),
                commit: plan.commit.clone(),
                force: self.request.force,
                progress: Arc::clone(&self.progress),
                connections: Arc::clone(&connections),
                place: Arc::clone(place),
                xet: xet.clone(),
                sharing: self.sharing(),
                others: Arc::clone(&others),
                early: early.map(|early| Arc::clone(&early.contents)),
            };
            workers.spawn(async move {
                while let Some(batch) = queues.next(index < large, index < small) {
                    job.run(&batch).await?;
                }
                Ok(())
            });
        }
        while let Some(finished) = workers.join_next().await {
            let outcome = finished.map_err(DownloadError::from).flatten();
            if outcome.is_err() {
                // The clean-up that follows must not run beside a worker.
                workers.shutdown().await;
                return outcome;
            }
        }
        Ok(())
    }

    /// Xet storage for the files of a plan, unless it is switched off; `most` bounds the connections.
    pub(super) fn xet_for(&self, plan: &DownloadPlan, most: usize) -> Option<Xet> {
        let options = self.xet.as_ref()?;
        let is_large = |file: &PlannedFile| file.is_fetched() && Others::may_have(file);
        let files = plan.files.iter().filter(is_large).count();
        let (hub, repo) = (self.hub.clone(), self.request.repo.clone());
        let commit = plan.commit.clone();
        Some(Xet::new(options, hub, repo, commit, most, files))
    }

    /// The files on disk that those of a commit may have parts of.
    pub(super) fn others_of(&self, commit: &CommitHash) -> Arc<Others> {
        let local_dir = match &self.request.target {
            Destination::LocalDir(dir) => Some(dir.clone()),
            Destination::Cache => None,
        };
        Arc::new(Others::new(&self.repo, local_dir, commit))
    }

    /// Files with the same content share a lock and a blob, so one worker brings them one after the
    /// other: the first is fetched, the others are links.
    fn queues(&self, plan: &DownloadPlan) -> Queues {
        let files = &plan.files;
        let mut order: Vec<u32> = (0..).take(files.len()).collect();
        let mut batches: Vec<Range<u32>> = order.iter().map(|&at| at..at + 1).collect();
        if matches!(self.request.target, Destination::Cache) {
            let checksum = |&number: &u32| files.checksum(number as usize);
            order.sort_by_cached_key(checksum);
            batches.dedup_by(|next, batch| {
                let is_same =
                    checksum(&order[next.start as usize]) == checksum(&order[batch.start as usize]);
                if is_same {
                    batch.end = next.end;
                }
                is_same
            });
        }
        let size = |batch: &Range<u32>| {
            let first = order[batch.start as usize];
            files.get(first as usize).size()
        };
        // Largest first: the last worker to finish is then busy for the shortest time.
        batches.sort_by_key(|batch| std::cmp::Reverse(size(batch).unwrap_or(0)));
        let (large, small) = batches
            .into_iter()
            .partition::<VecDeque<_>, _>(|batch| size(batch).is_none_or(|size| size > SMALL));
        Queues {
            files: files.clone(),
            order,
            large: Mutex::new(large),
            small: Mutex::new(small),
        }
    }
}

/// Files that wait for a worker.
struct Queues {
    files: Files,
    /// Numbers of files; those with the same content are neighbours.
    order: Vec<u32>,
    /// Parts of the order.
    large: Mutex<VecDeque<Range<u32>>>,
    small: Mutex<VecDeque<Range<u32>>>,
}

impl Queues {
    /// The next files for a worker that may take large ones, small ones, or both.
    fn next(&self, takes_large: bool, takes_small: bool) -> Option<Vec<PlannedFile>> {
        let pop = |queue: &Mutex<VecDeque<_>>| queue.lock().unwrap().pop_front();
        let batch: Range<u32> = takes_large
            .then(|| pop(&self.large))
            .flatten()
            .or_else(|| takes_small.then(|| pop(&self.small)).flatten())?;
        let numbers = &self.order[batch.start as usize..batch.end as usize];
        let files = numbers
            .iter()
            .map(|&number| self.files.get(number as usize));
        Some(files.collect())
    }
}
