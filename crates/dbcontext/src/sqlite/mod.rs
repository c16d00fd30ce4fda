//! SQLite connections. Two write, one at a time; one of these only commits batches of messages.
//! Several read. Two checkpoint the write-ahead log in the background.

mod checkpoint;
mod committer;
mod copy;
mod write_lock;

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use appcore::AppError;
use sqlx::{
    Connection as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions},
};

use crate::{
    availability::ACQUIRE_TIMEOUT,
    constraint::{app_error, sqlite_error, sqlite_unique_violation},
    statement::Piece,
};
use committer::{Committer, ConnectionOpener};
pub use copy::{check_sqlite, copy_sqlite, finish_snapshot, open_snapshot, sqlite_file, sqlite_url};
pub(crate) use write_lock::{WriteGuard, WriteLock};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 8;
/// Number of connections for checkpoints: one holds a read transaction so that SQLite keeps the
/// log, the other runs the checkpoint.
const CHECKPOINTERS: u32 = 2;
/// Length of the log, in pages, at which the writing connection itself runs a checkpoint. Reached
/// only if the background checkpoints fall behind.
const AUTOCHECKPOINT_PAGES: &str = "128000";
/// Pragmas of every connection.
const PRAGMAS: [(&str, &str); 5] = [
    // An acknowledged message must survive a power failure. Group commit makes the fsync cheap.
    ("synchronous", "FULL"),
    ("foreign_keys", "ON"),
    // Overwrites deleted content, including in freed pages.
    ("secure_delete", "ON"),
    ("temp_store", "memory"),
    // Page cache in KiB per connection. Readers gain little from it because every other connection's commit invalidates
    // the cache.
    ("cache_size", "-2000"),
];
/// Page cache of the connection for commits of messages, in KiB (as a negative number). Its own
/// commits don't invalidate it.
const COMMITTER_CACHE_SIZE: &str = "-8000";

/// Result of committing a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitOutcome {
    Executed,
    /// A unique constraint was violated; nothing was written.
    Duplicate,
}

/// SQLite-specific connections of [`Database`](crate::Database). Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    /// Pool of a single connection, which its users take in turns.
    pub writer: SqlitePool,
    pub write_lock: WriteLock,
    committer: Committer,
    checkpoints: SqlitePool,
    removed: Arc<AtomicBool>,
}

impl Sqlite {
    /// Opens the file at `url`, and creates it and its folder if they are missing. Also returns the read-only
    /// connections.
    pub async fn open(url: &str) -> anyhow::Result<(Self, SqlitePool)> {
        let (sqlite, reader, file) = Self::connect(url).await?;
        tokio::spawn(checkpoint::run(
            sqlite.checkpoints.clone(),
            (sqlite.writer.clone(), sqlite.write_lock.clone()),
            file,
            Arc::clone(&sqlite.removed),
        ));
        Ok((sqlite, reader))
    }

    /// Like [`open`](Self::open), but without the checkpoints; also returns the file.
    async fn connect(url: &str) -> anyhow::Result<(Self, SqlitePool, Arc<File>)> {
        let options = SqliteConnectOptions::from_str(url)
            .context("database.url is not a valid SQLite address")?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(BUSY_TIMEOUT);
        let options = PRAGMAS.into_iter().fold(options, |options, (name, value)| options.pragma(name, value));
        let file = Arc::new(open_private(options.get_filename())?);
        let pool = |size: u32| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .min_connections(1)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                // No test before use: a local file doesn't disconnect, and each test wakes a
                // thread.
                .test_before_acquire(false)
        };
        let writing = options.clone().pragma("wal_autocheckpoint", AUTOCHECKPOINT_PAGES);
        // SQLite may roll back a transaction by itself, for example on a full disk. sqlx then still
        // considers the transaction open and can't begin another one, so the connection is
        // replaced.
        let unless_stuck = pool(1).before_acquire(|connection, _| {
            let is_stuck = connection.is_in_transaction();
            Box::pin(async move { Ok(!is_stuck) })
        });
        let writer = unless_stuck.connect_with(writing).await.context("failed to open SQLite database")?;
        let settings = PRAGMAS
            .into_iter()
            .chain([("wal_autocheckpoint", AUTOCHECKPOINT_PAGES), ("cache_size", COMMITTER_CACHE_SIZE)]);
        let settings: String = settings.map(|(name, value)| format!("PRAGMA {name} = {value};")).collect();
        let opener = ConnectionOpener { file: options.get_filename().to_owned(), busy_timeout: BUSY_TIMEOUT, settings };
        let committer = Committer::open(opener).context("failed to open SQLite database")?;
        let write_lock = WriteLock::default();
        let checkpoints =
            pool(CHECKPOINTERS).connect_with(options.clone()).await.context("failed to open SQLite database")?;
        // A killed process may have left removed content in the log.
        let removed = Arc::new(AtomicBool::new(true));
        let reader = pool(READERS)
            .connect_with(options.read_only(true))
            .await
            .context("failed to open SQLite database for reading")?;
        Ok((Self { writer, write_lock, committer, checkpoints, removed }, reader, file))
    }

    /// Executes either all `pieces` or none of them.
    pub async fn commit(&self, pieces: Vec<Piece>) -> Result<CommitOutcome, AppError> {
        let turn = self.write_lock.acquire().await.map_err(app_error)?;
        match self.committer.commit(pieces, turn).await.map_err(AppError::unavailable)? {
            Ok(()) => Ok(CommitOutcome::Executed),
            Err(error) if sqlite_unique_violation(&error) => Ok(CommitOutcome::Duplicate),
            Err(error) => Err(sqlite_error(error)),
        }
    }

    /// Requests that the log, which still contains removed content, is truncated.
    pub fn purge_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    pub async fn close(self) {
        self.checkpoints.close().await;
        self.committer.close().await;
    }
}

/// Opens the file with permissions for its owner only, because it contains password hashes and
/// signing keys. SQLite gives the same permissions to the other files that it creates for the
/// database.
fn open_private(file: &Path) -> anyhow::Result<File> {
    if let Some(folder) = file.parent().filter(|folder| *folder != Path::new("")) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("failed to create folder {}", folder.display()))?;
    }
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(file);
    opened
        .and_then(|opened| opened.set_permissions(Permissions::from_mode(0o600)).map(|()| opened))
        .with_context(|| format!("failed to open database file {}", file.display()))
}
