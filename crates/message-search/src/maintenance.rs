//! Maintenance of the indexes from the command line, beside running servers or without one.

use std::path::Path;

use appcore::config::Config;
use dbcontext::{
    Database,
    query::search::{self as rows, IndexRequest},
};
use uuid::Uuid;

use crate::index::{self, IndexState};

/// Status of the indexes of this machine, of which the most complete one counts, or of the search engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexStatus {
    pub messages: u64,
    /// Approximate number of messages of a complete index.
    pub expected_messages: u64,
    pub is_filling: bool,
}

/// Reads the status of an installation's index; `None` if there is no index. What instances have indexed in the last 15
/// seconds may be missing.
pub async fn status(config: &Config, db: &Database) -> anyhow::Result<Option<IndexStatus>> {
    let states = stored_states(config, db).await?;
    if states.is_empty() {
        return Ok(None);
    }
    let requests = rows::maintenance_requests(db.reader()).await?;
    let current = states
        .into_iter()
        .filter(|(_, state)| state.as_ref().is_some_and(|state| state.rebuild_request == requests.rebuild))
        .max_by_key(|(messages, _)| *messages);
    let (messages, state) = current.unwrap_or_default();
    let expected_messages = messages.max(rows::approximate_count(db.reader()).await?);
    let is_filling = state.is_none_or(|state| state.is_filling());
    Ok(Some(IndexStatus { messages, expected_messages, is_filling }))
}

/// Numbers of messages and states of the indexes.
async fn stored_states(config: &Config, db: &Database) -> anyhow::Result<Vec<(u64, Option<IndexState>)>> {
    if let Some(engine) = index::external(config, db)? {
        return Ok(vec![(engine.messages().await?, engine.state().await?)]);
    }
    let data_dir = config.server.data_dir.clone();
    let stored = tokio::task::spawn_blocking(move || index::stored(&data_dir)).await??;
    Ok(stored.into_iter().map(|index| (index.messages, index.state)).collect())
}

/// Lets all instances build their indexes again.
pub async fn rebuild(db: &Database) -> anyhow::Result<()> {
    rows::request_maintenance(db.writer(), IndexRequest::Rebuild).await?;
    Ok(())
}

/// Request to all instances to remove the words of removed messages from their indexes.
pub struct PurgeRequest(Uuid);

impl PurgeRequest {
    pub async fn send(db: &Database) -> anyhow::Result<Self> {
        Ok(Self(rows::request_maintenance(db.writer(), IndexRequest::Purge).await?))
    }

    /// True if the indexes of this machine contain no words of messages that were removed before the request. Removes
    /// indexes that no instance uses.
    pub async fn is_done(&self, config: &Config, db: &Database) -> anyhow::Result<bool> {
        remove_unused(&config.server.data_dir)?;
        let states = stored_states(config, db).await?;
        Ok(states.iter().all(|(_, state)| state.as_ref().is_some_and(|state| state.purge_request >= Some(self.0))))
    }
}

/// Removes the indexes of stopped instances; the next start builds them again.
pub fn remove_unused(data_dir: &Path) -> std::io::Result<()> {
    index::remove_unused(data_dir)
}
