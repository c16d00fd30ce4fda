//! The index of an installation from outside of the server.

use std::path::Path;

use appcore::config::Config;
use dbcontext::{Database, query::search as rows};

use crate::index;

/// How the index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub messages: u64,
    /// About how many it has when it has all of them.
    pub of: u64,
    /// Conversations of which something is not in it yet.
    pub waiting: usize,
    pub is_filling: bool,
}

/// How the index of an installation is, from outside of the server.
pub async fn state(config: &Config, db: &Database) -> anyhow::Result<Option<State>> {
    if config.search.url.is_none() && db.is_sqlite() && !exists(&config.server.data_dir) {
        return Ok(None);
    }
    let index = index::open(config, db)?;
    let Some(fill) = index.fill().await? else { return Ok(None) };
    let waiting = index.waiting(db).await?.len();
    let messages = index.messages().await?;
    let of = messages.max(rows::about_all(db.reader()).await?);
    Ok(Some(State { messages, of, waiting, is_filling: !fill.is_done }))
}

/// Empties the index: the server fills it anew, also one that is running.
pub async fn rebuild(config: &Config, db: &Database) -> anyhow::Result<()> {
    Ok(index::open(config, db)?.clear().await?)
}

/// Takes the words of removed messages out of the index, of which a running server has read everything. Returns `false` where it has not.
pub async fn purge(config: &Config, db: &Database) -> anyhow::Result<bool> {
    let index = index::open(config, db)?;
    if index.fill().await?.is_none() || !index.waiting(db).await?.is_empty() {
        return Ok(false);
    }
    index.purge().await?;
    Ok(true)
}

/// Removes the index of an installation on SQLite that doesn't run; the next start fills it anew.
pub fn remove_file(data_dir: &Path) -> std::io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut file = index::file(data_dir).into_os_string();
        file.push(end);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn exists(data_dir: &Path) -> bool {
    index::file(data_dir).exists()
}
