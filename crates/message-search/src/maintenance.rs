//! Maintenance of an installation's index from the command line, without the server.

use std::path::Path;

use appcore::config::Config;
use dbcontext::{Database, query::search as rows};

use crate::index;

/// State of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexState {
    pub messages: u64,
    /// Approximate number of messages of a complete index.
    pub expected_messages: u64,
    /// Number of conversations that are indexed incompletely.
    pub waiting: usize,
    pub is_filling: bool,
}

/// Reads the state of an installation's index.
pub async fn state(config: &Config, db: &Database) -> anyhow::Result<Option<IndexState>> {
    if config.search.url.is_none() && db.is_sqlite() && !exists(&config.server.data_dir) {
        return Ok(None);
    }
    let index = index::open(config, db)?;
    let Some(fill) = index.fill_state().await? else { return Ok(None) };
    let waiting = index.incomplete_conversations(db).await?.len();
    let messages = index.messages().await?;
    let of = messages.max(rows::approximate_count(db.reader()).await?);
    Ok(Some(IndexState { messages, expected_messages: of, waiting, is_filling: !fill.is_done }))
}

/// Clears the index, so that the server, even a running one, fills it again.
pub async fn rebuild(config: &Config, db: &Database) -> anyhow::Result<()> {
    Ok(index::open(config, db)?.clear().await?)
}

/// Removes the words of removed messages from the index. Returns `false` if the running server has not indexed all
/// events yet.
pub async fn purge(config: &Config, db: &Database) -> anyhow::Result<bool> {
    let index = index::open(config, db)?;
    if index.fill_state().await?.is_none() || !index.incomplete_conversations(db).await?.is_empty() {
        return Ok(false);
    }
    index.purge().await?;
    Ok(true)
}

/// Deletes the index of a stopped installation on SQLite; the next start fills it again.
pub fn remove_file(data_dir: &Path) -> std::io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut file = index::path(data_dir).into_os_string();
        file.push(end);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn exists(data_dir: &Path) -> bool {
    index::path(data_dir).exists()
}
