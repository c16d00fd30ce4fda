//! How a batch is committed: under locks, or, where it is only messages and edits, on the condition that nobody was faster.
//!
//! Messages are nearly all that is written, and two instances seldom write to the same conversation within the same few
//! milliseconds. So a group of messages takes no lock before it knows what it wants to store: one statement reads, one stores
//! everything if no conversation has moved since. That makes two round trips to PostgreSQL where locks make six, and one where all that
//! would be read is [remembered](Memory). Where somebody was faster, the group is made again under locks, and so are the next ones for
//! the same conversations. On SQLite nobody can be faster: this is the only process, and its only writer.

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
    query::{self, batches::Claim},
};
use uuid::Uuid;

use super::{
    batch::{Batch, Closed},
    change::{Change, Outcome},
    limits::Limits,
    memory::Memory,
    statements::Statements,
};

/// How long a conversation is locked first after somebody else was faster.
const CONTENDED: Duration = Duration::from_secs(1);

/// What a committed group hands back.
pub(super) struct Committed {
    pub outcomes: Vec<Result<Outcome, AppError>>,
    pub envelopes: Vec<Envelope>,
    pub signals: Vec<Signal>,
    /// Its note, where other instances have to hear of it.
    pub batch: Option<Uuid>,
}

/// What became of a group without locks.
enum Attempt {
    Committed(Committed),
    /// It takes locks: something that must be unique is there already, or a change turned out to be none that is gathered.
    NeedsLocks,
    /// What was remembered is no longer so.
    Outdated,
    /// Somebody else was faster in these conversations.
    Moved(Vec<ConversationId>),
}

pub(super) struct Committer {
    db: Database,
    limits: Limits,
    /// With notes for the relay.
    relayed: bool,
    /// Conversations that other instances write to just now, and until when that is assumed.
    contended: HashMap<ConversationId, Instant>,
    memory: Memory,
    /// What is being stored just now. It is still there where the end of that is not known.
    storing: Option<Committed>,
}

impl Committer {
    pub fn new(db: Database, limits: Limits, relayed: bool) -> Self {
        Self { db, limits, relayed, contended: HashMap::new(), memory: Memory::default(), storing: None }
    }

    /// Takes in what the bus says.
    pub fn on_message(&mut self, message: &BusMessage) {
        self.memory.on_message(message);
    }

    /// Whether the change can be committed without a lock.
    pub fn may_go_unlocked(&mut self, change: &Change) -> bool {
        let now = Instant::now();
        self.contended.retain(|_, until| *until > now);
        change.is_gathered()
            && !change.has_files()
            && change.conversation_id().is_some_and(|id| !self.contended.contains_key(&id))
    }

    /// What may have been committed by an attempt that failed: the connection broke in the commit itself, or it took too long.
    pub fn take_unsure(&mut self) -> Option<Committed> {
        self.storing.take().filter(|storing| storing.batch.is_some())
    }

    /// Commits `changes` in one transaction, and takes away the notes of `told` groups with it. An error means that nothing was committed
    /// or that nobody knows: see [`take_unsure`](Self::take_unsure).
    pub async fn commit(&mut self, changes: &[Change], now: Timestamp, told: &[Uuid]) -> Result<Committed, AppError> {
        self.storing = None;
        while changes.iter().all(|change| self.may_go_unlocked(change)) {
            match self.commit_unless_moved(changes, now, told).await? {
                Attempt::Committed(committed) => return Ok(committed),
                Attempt::NeedsLocks => break,
                // What was remembered is forgotten now, so that it is read the next time.
                Attempt::Outdated => {}
                Attempt::Moved(moved) => {
                    let until = Instant::now() + CONTENDED;
                    self.contended.extend(moved.into_iter().map(|id| (id, until)));
                }
            }
        }
        self.commit_locked(changes, now, told, None).await
    }

    /// Commits what may have been committed already. Under the locks that the earlier attempt took it has ended, one way or the other, and
    /// the log says which.
    pub async fn commit_again(
        &mut self,
        changes: &[Change],
        now: Timestamp,
        told: &[Uuid],
        unsure: Committed,
    ) -> Result<Committed, AppError> {
        self.commit_locked(changes, now, told, Some(unsure)).await
    }

    async fn commit_unless_moved(
        &mut self,
        changes: &[Change],
        now: Timestamp,
        told: &[Uuid],
    ) -> Result<Attempt, AppError> {
        let db = Statements::on(self.db.log());
        let mut batch = Batch::new(&db, &self.limits, now, self.relayed).look(changes, &mut self.memory).await?;
        if !batch.are_gathered(changes) {
            return Ok(Attempt::NeedsLocks);
        }
        let is_remembered = batch.is_remembered;
        let outcomes = batch.apply_all(changes).await?;
        // A commit finds out whether what it relied on still holds; a refusal commits nothing, so it relies on nothing that is remembered.
        if is_remembered && outcomes.iter().any(Result::is_err) {
            return Ok(Attempt::Outdated);
        }
        let has_removed_text = batch.has_removed_text;
        let Closed { seen, pieces, envelopes, signals, batch, conversations } = batch.close(told)?;
        self.storing = Some(Committed { outcomes, envelopes, signals, batch });
        let stored = query::batches::execute_unless_moved(&self.db, &seen, pieces).await;
        Ok(match self.conclude(stored)? {
            (Claim::Executed, committed) => {
                self.memory.keep(conversations);
                if has_removed_text {
                    self.db.forget_removed();
                }
                Attempt::Committed(committed)
            }
            (Claim::Repeated, _) => Attempt::NeedsLocks,
            (Claim::Moved(_), _) if is_remembered => Attempt::Outdated,
            (Claim::Moved(moved), _) => Attempt::Moved(moved),
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
            drop(self.memory.take(id));
        }
        let txn = self.db.begin_log().await.map_err(app_error)?;
        let db = Statements::on(&*txn);
        let mut batch = Batch::new(&db, &self.limits, now, self.relayed).lock(&txn, changes).await?;
        if let Some(unsure) = unsure
            && let Some(id) = unsure.batch
            && query::events::is_committed(&db, id).await?
        {
            return Ok(unsure);
        }
        let outcomes = batch.apply_all(changes).await?;
        let has_removed_text = batch.has_removed_text;
        let Closed { pieces, envelopes, signals, batch, .. } = batch.close(told)?;
        self.storing = Some(Committed { outcomes, envelopes, signals, batch });
        let stored = match query::execute(&db, pieces).await {
            Ok(()) => txn.commit().await.map_err(app_error),
            Err(error) => Err(error),
        };
        let ((), committed) = self.conclude(stored)?;
        if has_removed_text {
            self.db.forget_removed();
        }
        Ok(committed)
    }

    /// What was being stored, once it is known what became of it.
    fn conclude<T>(&mut self, stored: Result<T, AppError>) -> Result<(T, Committed), AppError> {
        match stored {
            Err(error @ AppError::Unavailable(_)) => Err(error),
            Err(error) => {
                self.storing = None;
                Err(error)
            }
            Ok(stored) => {
                let storing = self.storing.take();
                storing
                    .map(|committed| (stored, committed))
                    .ok_or_else(|| AppError::internal(anyhow::anyhow!("what was stored is not known")))
            }
        }
    }
}
