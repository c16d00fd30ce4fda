//! How a group is committed: under locks, or, where it is only messages, on the condition that nobody was faster.
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
use sea_orm::DatabaseExecutor;
use uuid::Uuid;

use super::{
    batch::{Batch, Closed},
    change::{Change, Outcome},
    memory::Memory,
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
    /// Something that must be unique is there already.
    Repeated,
    /// What was remembered is no longer so.
    Outdated,
    /// Somebody else was faster in these conversations.
    Moved(Vec<ConversationId>),
}

pub(super) struct Committer {
    db: Database,
    /// With notes for the relay.
    relayed: bool,
    /// Conversations that other instances write to just now, and until when that is assumed.
    contended: HashMap<ConversationId, Instant>,
    memory: Memory,
}

impl Committer {
    pub fn new(db: Database, relayed: bool) -> Self {
        Self { db, relayed, contended: HashMap::new(), memory: Memory::default() }
    }

    /// Takes in what the bus says.
    pub fn on_message(&mut self, message: &BusMessage) {
        self.memory.on_message(message);
    }

    /// Commits `changes` in one transaction, and takes away the notes of `told` groups with it. An error means that nothing was committed
    /// or, when the connection broke in the commit itself, that nobody knows; a repeated `client_id` finds out.
    pub async fn commit(&mut self, changes: &[Change], now: Timestamp, told: &[Uuid]) -> Result<Committed, AppError> {
        while self.may_go_unlocked(changes) {
            match self.commit_unless_moved(changes, now, told).await? {
                Attempt::Committed(committed) => return Ok(committed),
                Attempt::Repeated => break,
                // What was remembered is forgotten now, so that it is read the next time.
                Attempt::Outdated => {}
                Attempt::Moved(moved) => {
                    let until = Instant::now() + CONTENDED;
                    self.contended.extend(moved.into_iter().map(|id| (id, until)));
                }
            }
        }
        self.commit_locked(changes, now, told).await
    }

    fn may_go_unlocked(&mut self, changes: &[Change]) -> bool {
        if !changes.iter().all(|change| matches!(change, Change::Send(_))) {
            return false;
        }
        let now = Instant::now();
        self.contended.retain(|_, until| *until > now);
        !changes.iter().filter_map(Change::conversation_id).any(|id| self.contended.contains_key(&id))
    }

    async fn commit_unless_moved(
        &mut self,
        changes: &[Change],
        now: Timestamp,
        told: &[Uuid],
    ) -> Result<Attempt, AppError> {
        let db = DatabaseExecutor::from(self.db.log());
        let mut batch = Batch::new(&db, now, self.relayed).look(changes, &mut self.memory).await?;
        let is_remembered = batch.is_remembered;
        let outcomes = batch.apply_all(changes).await?;
        let Closed { seen, pieces, envelopes, signals, batch, conversations } = batch.close(told)?;
        Ok(match query::batches::execute_unless_moved(&self.db, &seen, pieces).await? {
            Claim::Executed => {
                self.memory.keep(conversations);
                Attempt::Committed(Committed { outcomes, envelopes, signals, batch })
            }
            Claim::Repeated => Attempt::Repeated,
            Claim::Moved(_) if is_remembered => Attempt::Outdated,
            Claim::Moved(moved) => Attempt::Moved(moved),
        })
    }

    async fn commit_locked(
        &mut self,
        changes: &[Change],
        now: Timestamp,
        told: &[Uuid],
    ) -> Result<Committed, AppError> {
        for id in changes.iter().filter_map(Change::conversation_id) {
            drop(self.memory.take(id));
        }
        let txn = self.db.begin_log().await.map_err(app_error)?;
        let db = DatabaseExecutor::from(&*txn);
        let mut batch = Batch::new(&db, now, self.relayed).lock(&txn, changes).await?;
        let outcomes = batch.apply_all(changes).await?;
        let Closed { pieces, envelopes, signals, batch, .. } = batch.close(told)?;
        if !pieces.is_empty() {
            query::execute(&db, pieces).await?;
        }
        txn.commit().await.map_err(app_error)?;
        Ok(Committed { outcomes, envelopes, signals, batch })
    }
}
