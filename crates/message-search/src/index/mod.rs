//! Storage of the message index: files of this instance, or the operator's search engine.
//!
//! In each case the results are only candidates: the index never decides who may read a message.

mod local;
mod meilisearch;
mod types;

use std::sync::Arc;

use ::search::Vocabulary;
use appcore::{AppError, config::Config};
use async_trait::async_trait;
use dbcontext::Database;

pub(crate) use self::local::{remove_unused, stored};
pub(crate) use self::types::{Batch, Candidate, Change, Document, IndexState, Plan};
use self::{local::LocalIndex, meilisearch::MeilisearchIndex};

#[async_trait]
pub(crate) trait SearchIndex: Send + Sync {
    /// Returns the newest messages that may match, newest first.
    async fn candidates(&self, plan: Plan) -> Result<Vec<Candidate>, AppError>;

    /// Returns the words of the index; `None` if it finds similar words itself.
    fn vocabulary(&self) -> Option<Arc<dyn Vocabulary + Send + Sync>>;

    /// Progress of the index; `None` if it is empty.
    async fn state(&self) -> Result<Option<IndexState>, AppError>;

    /// Number of indexed messages.
    async fn messages(&self) -> Result<u64, AppError>;

    /// True if this instance writes the index. Several instances may share it, of which one writes.
    async fn is_writer(&self) -> Result<bool, AppError> {
        Ok(true)
    }

    /// Writes a batch. It may be committed later, together with following ones.
    async fn write(&self, batch: Batch) -> Result<(), AppError>;

    /// Discards what was written since the last commit, so that the content matches the
    /// [state](Self::state).
    async fn rollback(&self) -> Result<(), AppError> {
        Ok(())
    }

    /// Removes all messages and the state.
    async fn clear(&self) -> Result<(), AppError>;

    /// Removes the words of removed messages from the storage.
    async fn purge(&self) -> Result<(), AppError> {
        Ok(())
    }

    /// Called regularly while nothing is written, so that resources can be freed.
    async fn idle(&self) -> Result<(), AppError> {
        Ok(())
    }

    /// Makes all writes durable before the instance stops.
    async fn close(&self) -> Result<(), AppError> {
        Ok(())
    }
}

/// Opens the configured index.
pub(crate) fn open(config: &Config, db: &Database) -> anyhow::Result<Box<dyn SearchIndex>> {
    if let Some(engine) = MeilisearchIndex::from_config(config, db)? {
        return Ok(Box::new(engine));
    }
    Ok(Box::new(LocalIndex::open(&config.server.data_dir)?))
}

/// Reads the state of the operator's search engine; `None` if the index is in files.
pub(crate) fn external(config: &Config, db: &Database) -> anyhow::Result<Option<Box<dyn SearchIndex>>> {
    Ok(MeilisearchIndex::from_config(config, db)?.map(|engine| Box::new(engine) as Box<dyn SearchIndex>))
}
