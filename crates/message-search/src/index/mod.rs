//! Storage of the message index: a file next to the SQLite database, tables of PostgreSQL, or the operator's search
//! engine.
//!
//! In each case the results are only candidates: the index never decides who may read a message.

mod file;
mod meilisearch;
mod postgres;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use ::search::{Batch, Candidate, FillState, Plan, Term};
use appcore::{AppError, config::Config};
use async_trait::async_trait;
use dbcontext::{Database, query::search as rows};
use uuid::Uuid;

use self::{file::FileIndex, meilisearch::MeilisearchIndex, postgres::PostgresIndex};

/// File name in `server.data_dir`.
const FILE: &str = "search.db";

/// Path of the index of an installation on SQLite.
#[must_use]
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

#[async_trait]
pub(super) trait SearchIndex: Send + Sync {
    /// Returns the newest messages that may match, newest first.
    async fn candidates(&self, plan: Plan) -> Result<Vec<Candidate>, AppError>;

    /// True if the index finds similar words itself. It then has no vocabulary to read.
    fn has_builtin_similarity(&self) -> bool {
        false
    }

    /// Returns the first [`TERMS`](::search::TERMS) words of the vocabulary whose numbers are above this one.
    async fn terms_after(&self, number: i64) -> Result<Vec<Term>, AppError>;

    /// State of the initial fill; `None` if it has not started.
    async fn fill_state(&self) -> Result<Option<FillState>, AppError>;

    /// Number of indexed messages.
    async fn messages(&self) -> Result<u64, AppError>;

    /// Returns the positions up to which the event logs of these conversations are indexed. Conversations that were
    /// never indexed may be left out.
    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError>;

    /// Conversations whose indexed position differs from the end of their log, with the sequence number of the last
    /// event. Examines all conversations.
    async fn incomplete_conversations(&self, db: &Database) -> Result<Vec<(Uuid, i64)>, AppError>;

    /// Acquires the write access until the commit; returns `None` if another instance has it.
    async fn acquire_writer(&self) -> Result<Option<Box<dyn IndexWriter>>, AppError>;

    /// Clears the index so that it is filled again.
    async fn clear(&self) -> Result<(), AppError>;

    /// Removes the words of removed messages from the storage, if that doesn't happen immediately. Returns `true` if
    /// words were removed since the last purge.
    async fn purge(&self) -> Result<bool, AppError> {
        Ok(false)
    }
}

/// Write access to an index.
#[async_trait]
pub(super) trait IndexWriter: Send + Sync {
    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError>;

    async fn fill_state(&self) -> Result<Option<FillState>, AppError>;

    async fn abort(self: Box<Self>) -> Result<(), AppError>;

    /// Writes the whole batch. If it is interrupted, the positions are not advanced and the batch is repeated.
    async fn commit(self: Box<Self>, batch: Batch) -> Result<(), AppError>;
}

/// Opens the configured index.
pub(super) fn open(config: &Config, db: &Database) -> anyhow::Result<Box<dyn SearchIndex>> {
    if let Some(engine) = MeilisearchIndex::from_config(config, db)? {
        return Ok(Box::new(engine));
    }
    if !db.is_sqlite() {
        return Ok(Box::new(PostgresIndex::new(db.clone())));
    }
    Ok(Box::new(FileIndex::open(&path(&config.server.data_dir))?))
}

/// Conversations whose indexed position differs from the end of their log, with the sequence number of the last event.
async fn incomplete(db: &Database, read: Vec<(Uuid, i64)>) -> Result<Vec<(Uuid, i64)>, AppError> {
    Ok(incomplete_among(rows::all_heads(db.reader()).await?, read))
}

/// Returns those of the conversations in `heads` whose indexed position differs from the end of their log.
pub(super) fn incomplete_among(heads: Vec<(Uuid, i64)>, read: Vec<(Uuid, i64)>) -> Vec<(Uuid, i64)> {
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
            match index.acquire_writer().await.unwrap() {
                Some(writing) => break writing,
                None => tokio::task::yield_now().await,
            }
        };
        writing.commit(batch).await.unwrap();
    }

    #[tokio::test]
    async fn updates_a_message_together_with_a_new_one() {
        for stage in stages().await {
            let service = instance(&stage).await;
            let index = service.index.as_ref();
            let conversation = Uuid::now_v7();
            let [newer, newest, older, oldest] = std::array::from_fn(|_| Uuid::now_v7());
            let put = |message: Uuid, text: &str| {
                let (has, tokens) = (std::collections::BTreeSet::new(), tokens(text));
                Change::Upsert(Document { message, conversation, author: None, created_at: 0, has, tokens })
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
