//! Where the words of messages are kept: in a file beside the SQLite database, in tables of PostgreSQL, or in a search engine of the operator's.
//!
//! Whichever it is, what it says is a guess: it never decides what somebody may read.

mod engine;
mod file;
mod tables;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use ::search::{Batch, Candidate, Fill, Plan, Term};
use appcore::{AppError, config::Config};
use async_trait::async_trait;
use dbcontext::{Database, query::search as rows};
use uuid::Uuid;

use self::{engine::Engine, file::FileIndex, tables::Tables};

/// In `server.data_dir`.
const FILE: &str = "search.db";

/// Where the index of an installation on SQLite lies.
#[must_use]
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// An index of messages' words.
#[async_trait]
pub(super) trait SearchIndex: Send + Sync {
    /// The newest messages that may answer, the newest first.
    async fn candidates(&self, plan: Plan) -> Result<Vec<Candidate>, AppError>;

    /// Whether it knows by itself which words are like others. It has no words to tell then.
    fn has_own_words(&self) -> bool {
        false
    }

    /// The first [`TERMS`](::search::TERMS) words that came after the one with this number.
    async fn terms_after(&self, number: i64) -> Result<Vec<Term>, AppError>;

    /// How far it is filled; none where nobody has begun.
    async fn fill(&self) -> Result<Option<Fill>, AppError>;

    /// How many messages it knows.
    async fn messages(&self) -> Result<u64, AppError>;

    /// How far these conversations were read; those that never were may be left out.
    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError>;

    /// Conversations that were read less far, or farther, than they have come, and their last events. All are looked at.
    async fn waiting(&self, db: &Database) -> Result<Vec<(Uuid, i64)>, AppError>;

    /// The right to write, until what is written is committed. None: another instance has it.
    async fn begin(&self) -> Result<Option<Box<dyn Writing>>, AppError>;

    /// Forgets everything, so that it is filled anew.
    async fn clear(&self) -> Result<(), AppError>;

    /// Takes the words of removed messages out of its storage, where these don't go with them. Returns whether words have gone since the last purge.
    async fn purge(&self) -> Result<bool, AppError> {
        Ok(false)
    }
}

/// The right to write an index.
#[async_trait]
pub(super) trait Writing: Send + Sync {
    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError>;

    async fn fill(&self) -> Result<Option<Fill>, AppError>;

    async fn give_up(self: Box<Self>) -> Result<(), AppError>;

    /// Writes all of it; where it breaks off, it is as if nothing had been read, and is repeated.
    async fn commit(self: Box<Self>, batch: Batch) -> Result<(), AppError>;
}

/// The index of this installation.
pub(super) fn open(config: &Config, db: &Database) -> anyhow::Result<Box<dyn SearchIndex>> {
    if let Some(engine) = Engine::of(config, db)? {
        return Ok(Box::new(engine));
    }
    if !db.is_sqlite() {
        return Ok(Box::new(Tables::new(db.clone())));
    }
    Ok(Box::new(FileIndex::open(&file(&config.server.data_dir))?))
}

/// Conversations that have come less far than they were read, or farther, and how far they have come.
async fn behind(db: &Database, read: Vec<(Uuid, i64)>) -> Result<Vec<(Uuid, i64)>, AppError> {
    Ok(unequal(rows::all_heads(db.reader()).await?, read))
}

/// Those of these conversations that have come less far than they were read, or farther.
pub(super) fn unequal(heads: Vec<(Uuid, i64)>, read: Vec<(Uuid, i64)>) -> Vec<(Uuid, i64)> {
    let read: HashMap<Uuid, i64> = read.into_iter().collect();
    let is_waiting = |(id, head): &(Uuid, i64)| read.get(id).copied().unwrap_or(0) != *head;
    heads.into_iter().filter(is_waiting).collect()
}

#[cfg(test)]
mod tests {
    use ::search::{Atom, Change, Document, tokens};
    use stage::stages;

    use super::*;
    use crate::instances_for_tests::instance;

    async fn write(index: &dyn SearchIndex, batch: Batch) {
        let writing = loop {
            match index.begin().await.unwrap() {
                Some(writing) => break writing,
                None => tokio::task::yield_now().await,
            }
        };
        writing.commit(batch).await.unwrap();
    }

    #[tokio::test]
    async fn a_message_is_changed_beside_one_that_is_new() {
        for stage in stages().await {
            let service = instance(&stage).await;
            let index = service.index.as_ref();
            let conversation = Uuid::now_v7();
            let [newer, newest, older, oldest] = std::array::from_fn(|_| Uuid::now_v7());
            let put = |message: Uuid, text: &str| {
                let (has, tokens) = (std::collections::BTreeSet::new(), tokens(text));
                Change::Put(Document { message, conversation, author: None, created_at: 0, has, tokens })
            };
            for (is_older, first, second) in [(false, newer, newest), (true, older, oldest)] {
                let batch = |changes: Vec<Change>| Batch { changes, is_older, ..Batch::default() };
                write(index, batch(vec![put(first, "said")])).await;
                write(index, batch(vec![put(first, "said again"), put(second, "said")])).await;
            }
            let all = vec![vec![Atom::Word("said".to_owned())]];
            let plan = Plan { all, conversations: vec![conversation], limit: 10, ..Plan::default() };
            let found = index.candidates(plan).await.unwrap();
            let found: Vec<Uuid> = found.into_iter().map(|candidate| candidate.message).collect();
            assert_eq!(found, [newest, newer, older, oldest]);
        }
    }
}
