//! Progress of the indexer of an instance since the last state of the index.

use std::{collections::HashMap, sync::atomic::Ordering::Relaxed, time::Duration};

use appcore::{AppError, Timestamp};
use dbcontext::query::{
    events,
    search::{self as rows, IndexRequests, QueuedMessage},
};
use platform::sweep_schedule::{OVERLAP, SweepSchedule};
use tokio::time::Instant;
use uuid::Uuid;

use super::{CHECK_INTERVAL, PURGE_INTERVAL, PendingWork, SWEEP_INTERVAL};
use crate::{
    SearchService,
    index::{Batch, IndexState},
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Age of an index above which it is built again, and time for which messages are queued to be indexed again. The log
/// may have a shorter retention.
const MAX_AGE: Duration = Duration::from_secs(3 * DAY.as_secs());
/// Time for which positions are remembered. Older ones are before the time from which events are looked up.
const POSITION_TIME: Duration = Duration::from_secs(900);
/// Interval at which the progress is stored if no message changes.
const STATE_INTERVAL: Duration = HOUR;

pub(super) struct Progress {
    pub state: IndexState,
    sweeps: SweepSchedule,
    /// Time from which the events of conversations without a position are indexed.
    since: Timestamp,
    /// Start of a sweep whose events are not all indexed yet.
    swept_at: Option<Timestamp>,
    /// Sequence numbers of the last indexed events, and when they were indexed.
    positions: HashMap<Uuid, (i64, Instant)>,
    /// Revisions of queued messages that were indexed again.
    handled: HashMap<Uuid, Uuid>,
    requests: IndexRequests,
    checked_at: Instant,
    purged_at: Instant,
    written_at: Instant,
}

impl Progress {
    /// Continues from the state of the index, or starts a new index.
    pub async fn resume(service: &SearchService) -> Result<Self, AppError> {
        service.index.rollback().await?;
        let requests = rows::maintenance_requests(service.db.reader()).await?;
        let now = service.clock.now();
        let max_age = max_age(service.config.messages.event_retention_days);
        let usable =
            |state: &IndexState| state.rebuild_request == requests.rebuild && state.through.plus(max_age) > now;
        let state = match service.index.state().await? {
            Some(state) if usable(&state) => state,
            _ => start_index(service, requests).await?,
        };
        let (since, begun) = (state.through.min(now).minus(OVERLAP), Instant::now());
        Ok(Self {
            sweeps: SweepSchedule::resuming(SWEEP_INTERVAL, state.through),
            state,
            since,
            swept_at: None,
            positions: HashMap::new(),
            handled: HashMap::new(),
            requests,
            checked_at: begun,
            purged_at: begun,
            written_at: begun,
        })
    }

    /// Returns `false` if the index was lost or must be built again.
    pub async fn check(&mut self, service: &SearchService, news: &PendingWork) -> Result<bool, AppError> {
        if self.checked_at.elapsed() < CHECK_INTERVAL {
            return Ok(true);
        }
        self.checked_at = Instant::now();
        if service.index.state().await?.is_none() {
            return Ok(false);
        }
        self.requests = rows::maintenance_requests(service.db.reader()).await?;
        if self.requests.purge != self.state.purge_request {
            // A sweep finds all events from before the request.
            news.is_incomplete.store(true, Relaxed);
        }
        Ok(self.requests.rebuild == self.state.rebuild_request)
    }

    /// Finds conversations with events whose announcement was lost, if it is time.
    pub async fn sweep(&mut self, service: &SearchService, news: &PendingWork) -> Result<(), AppError> {
        let Some(window) = self.sweeps.due(&news.is_incomplete, service.clock.now()) else { return Ok(()) };
        self.since = window.since.unwrap_or(self.since);
        for (id, head) in events::heads_since(service.db.reader(), self.since).await? {
            if self.positions.get(&id.0).is_none_or(|(position, _)| *position < head) {
                news.announce(id.0, head, None);
            }
        }
        news.is_touched.store(true, Relaxed);
        self.swept_at = Some(window.started_at);
        self.sweeps.mark_completed(window);
        self.positions.retain(|_, (_, at)| at.elapsed() < POSITION_TIME);
        let first = rows::first_revision(self.since);
        self.handled.retain(|_, revision| *revision >= first);
        Ok(())
    }

    /// Records that all events which the last sweep has found are indexed.
    pub fn finish_sweep(&mut self) {
        if let Some(swept_at) = self.swept_at.take() {
            self.state.through = swept_at;
        }
    }

    /// Purges the index if that is due or requested, and stores the progress of an idle instance.
    pub async fn maintain(&mut self, service: &SearchService) -> Result<(), AppError> {
        let is_indexed = |request: &Uuid| created_at(*request) < self.state.through;
        let requested = self.requests.purge.filter(|request| self.state.purge_request != Some(*request));
        if let Some(request) = requested.filter(is_indexed) {
            service.index.purge().await?;
            self.purged_at = Instant::now();
            self.state.purge_request = Some(request);
            self.store(service).await?;
        } else if self.purged_at.elapsed() >= PURGE_INTERVAL {
            service.index.purge().await?;
            self.purged_at = Instant::now();
            let before = service.clock.now().minus(MAX_AGE);
            rows::trim_reindex_queue(service.db.writer(), before).await?;
        } else if self.written_at.elapsed() >= STATE_INTERVAL {
            self.store(service).await?;
        }
        service.index.idle().await
    }

    /// Stores the state.
    async fn store(&mut self, service: &SearchService) -> Result<(), AppError> {
        service.index.write(state_batch(self.state.clone())).await?;
        self.mark_written();
        Ok(())
    }

    pub fn mark_written(&mut self) {
        self.written_at = Instant::now();
    }

    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// Reads the positions of these conversations from the log, unless they are known.
    pub async fn look_up_positions(
        &mut self,
        service: &SearchService,
        ids: impl Iterator<Item = Uuid>,
    ) -> Result<(), AppError> {
        let unknown: Vec<Uuid> = ids.filter(|id| !self.positions.contains_key(id)).collect();
        if !unknown.is_empty() {
            let found = rows::positions_before(service.db.reader(), &unknown, self.since).await?;
            self.advance(found);
        }
        Ok(())
    }

    pub fn position(&self, conversation: Uuid) -> i64 {
        self.positions.get(&conversation).map_or(0, |(position, _)| *position)
    }

    pub fn advance(&mut self, positions: impl IntoIterator<Item = (Uuid, i64)>) {
        let now = Instant::now();
        self.positions.extend(positions.into_iter().map(|(id, position)| (id, (position, now))));
    }

    pub const fn scope(&self) -> Scope {
        Scope { unfilled_below: self.state.unfilled_below }
    }

    pub fn is_unhandled(&self, queued: &QueuedMessage) -> bool {
        self.handled.get(&queued.message_id.0) != Some(&queued.revision)
    }

    pub fn mark_handled(&mut self, queued: &[QueuedMessage]) {
        self.handled.extend(queued.iter().map(|one| (one.message_id.0, one.revision)));
    }
}

/// Messages that are indexed now. The initial fill will index the current content of the others.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    unfilled_below: Option<Uuid>,
}

impl Scope {
    pub fn includes(self, message: Uuid) -> bool {
        self.unfilled_below.is_none_or(|below| message >= below)
    }
}

/// Starts a new index: new events come from the log, and existing messages are indexed from the newest to the oldest.
async fn start_index(service: &SearchService, requests: IndexRequests) -> Result<IndexState, AppError> {
    let state = IndexState {
        through: service.clock.now(),
        unfilled_below: Some(Uuid::max()),
        rebuild_request: requests.rebuild,
        purge_request: requests.purge,
    };
    service.index.clear().await?;
    service.index.write(state_batch(state.clone())).await?;
    Ok(state)
}

/// Returns the age up to which the log contains what an index lacks.
fn max_age(event_retention_days: u32) -> Duration {
    match event_retention_days {
        0 => MAX_AGE,
        // An hour is left for indexing before the events are deleted.
        days => MAX_AGE.min(DAY * days - HOUR),
    }
}

fn state_batch(state: IndexState) -> Batch {
    Batch { changes: Vec::new(), removed_conversations: Vec::new(), state }
}

/// Returns the time in an id of version 7.
fn created_at(id: Uuid) -> Timestamp {
    Timestamp(i64::try_from(id.as_u64_pair().0 >> 16).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_never_older_than_the_log() {
        assert_eq!([0, 3, 400].map(max_age), [MAX_AGE, MAX_AGE - HOUR, MAX_AGE]);
        assert_eq!(max_age(1), DAY - HOUR);
    }
}
