//! Commits batches: optimistically if they contain only messages and edits, otherwise under locks.
//!
//! Nearly all writes are messages, and two instances seldom write to the same conversation within a
//! few milliseconds. A batch of messages therefore takes no lock: one statement reads the state,
//! and another stores everything, provided that no conversation has changed since. That takes two
//! round trips to PostgreSQL, or only one if the state is [cached](ConversationCache). With locks
//! it would take six. After a write conflict the batch is repeated under locks, and so are the next
//! batches of the same conversations. SQLite has no conflicts: this process is the only writer.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use appcore::{
    AppError, ConversationId, Timestamp,
    event::{BusMessage, Envelope, Signal},
};
use dbcontext::{
    Database,
    constraint::app_error,
    query::{self, batches::OptimisticCommit},
};
use uuid::Uuid;

use super::{
    batch::{Batch, ClosedBatch},
    change::{Change, Outcome},
    conversation_cache::ConversationCache,
    limits::Limits,
    statements::Statements,
};
use crate::events::partitions::MessagePartitions;

/// Time for which the batches of a conversation are committed under locks after a write conflict.
const CONTENTION_PERIOD: Duration = Duration::from_secs(1);

/// Outboxes that get an entry for each batch, in its transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outboxes {
    /// Outbox of the bus, for other instances. The entry is removed when the bus has delivered the events.
    pub bus: bool,
    /// Outbox of the [event stream](crate::stream), for other programs.
    pub stream: bool,
}

impl Outboxes {
    pub(super) const fn any(self) -> bool {
        self.bus || self.stream
    }
}

/// Result of a committed batch.
pub(super) struct Committed {
    pub outcomes: Vec<Result<Outcome, AppError>>,
    pub envelopes: Vec<Envelope>,
    pub signals: Vec<Signal>,
    /// Id of the outbox entry; `None` if no other instance needs the events.
    pub batch: Option<Uuid>,
}

/// Result of an optimistic commit.
enum CommitAttempt {
    Committed(Committed),
    /// The batch needs locks: a unique value already exists, or a change isn't batchable.
    NeedsLocks,
    /// The cached state was outdated.
    Outdated,
    /// These conversations had a write conflict.
    WriteConflict(Vec<ConversationId>),
}

pub(super) struct Committer {
    db: Database,
    limits: Limits,
    outboxes: Outboxes,
    partitions: MessagePartitions,
    /// Conversations with recent write conflicts, each with the time until which it is committed
    /// under locks.
    contended_until: HashMap<ConversationId, Instant>,
    cache: ConversationCache,
    /// Batch that is being committed. Remains set if the outcome of its commit is unknown.
    in_flight: Option<Committed>,
}

impl Committer {
    pub fn new(db: Database, limits: Limits, outboxes: Outboxes, partitions: MessagePartitions) -> Self {
        Self {
            db,
            limits,
            outboxes,
            partitions,
            contended_until: HashMap::new(),
            cache: ConversationCache::default(),
            in_flight: None,
        }
    }

    /// Invalidates cached state when the bus reports changes.
    pub fn on_message(&mut self, message: &BusMessage) {
        self.cache.on_message(message);
    }

    /// True if the change can be committed without a lock.
    pub fn is_lock_free(&mut self, change: &Change) -> bool {
        let now = Instant::now();
        self.contended_until.retain(|_, until| *until > now);
        change.is_batchable()
            && !change.has_files()
            && change.conversation_id().is_some_and(|id| !self.contended_until.contains_key(&id))
    }

    /// Returns the batch of a failed attempt that may have been committed nevertheless, because the
    /// connection broke during the commit or the commit timed out.
    pub fn take_uncertain(&mut self) -> Option<Committed> {
        self.in_flight.take().filter(|storing| storing.batch.is_some())
    }

    /// Commits `changes` in one transaction, and removes the acknowledged outbox entries `told` in
    /// the same transaction. After an error, either nothing was committed or the outcome is
    /// unknown; see [`take_uncertain`](Self::take_uncertain).
    pub async fn commit(&mut self, changes: &[Change], now: Timestamp, told: &[Uuid]) -> Result<Committed, AppError> {
        self.in_flight = None;
        while changes.iter().all(|change| self.is_lock_free(change)) {
            match self.commit_optimistic(changes, now, told).await? {
                CommitAttempt::Committed(committed) => return Ok(committed),
                CommitAttempt::NeedsLocks => break,
                // The outdated state has been removed from the cache, so the next attempt reads it
                // from the database.
                CommitAttempt::Outdated => {}
                CommitAttempt::WriteConflict(moved) => {
                    let until = Instant::now() + CONTENTION_PERIOD;
                    self.contended_until.extend(moved.into_iter().map(|id| (id, until)));
                }
            }
        }
        self.commit_locked(changes, now, told, None).await
    }

    /// Commits changes that an earlier attempt may already have committed. Once the locks are
    /// acquired, that attempt has ended, and the log shows whether it was committed.
    pub async fn commit_uncertain(
        &mut self,
        changes: &[Change],
        now: Timestamp,
        told: &[Uuid],
        unsure: Committed,
    ) -> Result<Committed, AppError> {
        self.commit_locked(changes, now, told, Some(unsure)).await
    }

    async fn commit_optimistic(
        &mut self,
        changes: &[Change],
        now: Timestamp,
        told: &[Uuid],
    ) -> Result<CommitAttempt, AppError> {
        let db = Statements::new(self.db.log());
        let mut batch =
            Batch::new(&db, &self.limits, now, self.outboxes).load_unlocked(changes, &mut self.cache).await?;
        if !batch.are_batchable(changes) {
            return Ok(CommitAttempt::NeedsLocks);
        }
        let is_remembered = batch.used_cache;
        let outcomes = batch.apply_all(changes).await?;
        // A commit verifies the state that it relied on. A refusal commits nothing, so nothing
        // would verify its cached state; the attempt is repeated with the state in the database.
        if is_remembered && outcomes.iter().any(Result::is_err) {
            return Ok(CommitAttempt::Outdated);
        }
        let has_removed_text = batch.has_removed_text;
        let ClosedBatch { expected_states: seen, pieces, envelopes, signals, batch, conversations } =
            batch.close(told, self.partitions.exist())?;
        self.in_flight = Some(Committed { outcomes, envelopes, signals, batch });
        let stored = query::batches::execute_if_unchanged(&self.db, &seen, pieces).await;
        Ok(match self.take_committed(stored)? {
            (OptimisticCommit::Executed, committed) => {
                self.cache.insert(conversations);
                if has_removed_text {
                    self.db.purge_removed();
                }
                CommitAttempt::Committed(committed)
            }
            (OptimisticCommit::Duplicate, _) => CommitAttempt::NeedsLocks,
            (OptimisticCommit::WriteConflict(_), _) if is_remembered => CommitAttempt::Outdated,
            (OptimisticCommit::WriteConflict(moved), _) => CommitAttempt::WriteConflict(moved),
        })
    }

    async fn commit_locked(
        &mut self,
        changes: &[Change],
        now: Timestamp,
        told: &[Uuid],
        unsure: Option<Committed>,
    ) -> Result<Committed, AppError> {
        for id in changes.iter().filter_map(Change::conversation_id) {
            drop(self.cache.remove(id));
        }
        let txn = self.db.begin_log().await.map_err(app_error)?;
        let db = Statements::new(&*txn);
        let mut batch = Batch::new(&db, &self.limits, now, self.outboxes).lock(&txn, changes).await?;
        if let Some(unsure) = unsure
            && let Some(id) = unsure.batch
            && query::events::is_committed(&db, id).await?
        {
            return Ok(unsure);
        }
        let outcomes = batch.apply_all(changes).await?;
        let has_removed_text = batch.has_removed_text;
        // `lock` has looked for the messages that were sent before.
        let ClosedBatch { pieces, envelopes, signals, batch, .. } = batch.close(told, false)?;
        self.in_flight = Some(Committed { outcomes, envelopes, signals, batch });
        let stored = match query::execute(&db, pieces).await {
            Ok(()) => txn.commit().await.map_err(app_error),
            Err(error) => Err(error),
        };
        let ((), committed) = self.take_committed(stored)?;
        if has_removed_text {
            self.db.purge_removed();
        }
        Ok(committed)
    }

    /// Returns the batch in progress once its outcome is known.
    fn take_committed<T>(&mut self, stored: Result<T, AppError>) -> Result<(T, Committed), AppError> {
        match stored {
            Err(error @ AppError::Unavailable(_)) => Err(error),
            Err(error) => {
                self.in_flight = None;
                Err(error)
            }
            Ok(stored) => {
                let storing = self.in_flight.take();
                storing
                    .map(|committed| (stored, committed))
                    .ok_or_else(|| AppError::internal(anyhow::anyhow!("commit outcome unknown")))
            }
        }
    }
}
