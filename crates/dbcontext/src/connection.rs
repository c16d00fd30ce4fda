//! Connections. PostgreSQL has a pool, and a small one beside it for the writer of the event log; SQLite has one connection that
//! writes and several that read.

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    str::FromStr,
    time::Duration,
};

use anyhow::Context;
use sea_orm::{
    AccessMode, ConnectOptions, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    SqlxSqliteConnector, TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::time::MissedTickBehavior;

use crate::patience::{self, Reader};

/// How long a query may wait for a free connection before the caller gets a 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);
/// How long PostgreSQL may work on one statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an instance that stands still may hold what others wait for: no transaction of ours waits for anything but the database.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);
/// How long a connection to PostgreSQL must have been idle to be tested before it is used.
const TEST_AFTER: Duration = Duration::from_secs(1);
/// Connections of the event log's writer.
const LOG_CONNECTIONS: u32 = 3;
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_READERS: u32 = 8;
/// Pages of SQLite's log (4 KiB each) from which the writer itself takes them into the file, which makes everybody wait.
const CHECKPOINT_PAGES: &str = "16000";
/// How often they are taken into the file beside the writer, so that little is left for it.
const CHECKPOINT_PERIOD: Duration = Duration::from_secs(1);

/// The database that this instance works on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    reader: Reader,
    writer: DatabaseConnection,
    log: DatabaseConnection,
    /// SQLite's, beside the writer.
    checkpoints: Option<SqlitePool>,
}

impl Database {
    /// Opens `url` (`sqlite://…` or `postgres://…`). A SQLite file and its folder are made where they are missing.
    pub async fn connect(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        if url.starts_with("sqlite:") {
            Self::connect_sqlite(url).await
        } else {
            Self::connect_postgres(url, max_connections).await
        }
    }

    async fn connect_sqlite(url: &str) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::from_str(url)
            .context("database.url is not a valid SQLite address")?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged message must survive a power cut; group commit makes the fsync cheap.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(SQLITE_BUSY_TIMEOUT)
            .pragma("temp_store", "memory")
            .pragma("cache_size", "-16000");
        keep_private(options.get_filename())?;
        let pool = |size: u32| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .min_connections(1)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let writing = options.clone().pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
        let writer = pool(1).connect_with(writing).await.context("cannot open the SQLite database")?;
        let checkpoints = pool(1).connect_with(options.clone()).await.context("cannot open the SQLite database")?;
        tokio::spawn(checkpoint(checkpoints.clone()));
        let reader = pool(SQLITE_READERS)
            .connect_with(options.read_only(true))
            .await
            .context("cannot open the SQLite database for reading")?;
        let writer = SqlxSqliteConnector::from_sqlx_sqlite_pool(writer);
        Ok(Self {
            reader: Reader(SqlxSqliteConnector::from_sqlx_sqlite_pool(reader)),
            log: writer.clone(),
            writer,
            checkpoints: Some(checkpoints),
        })
    }

    async fn connect_postgres(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        let mut options = ConnectOptions::new(url.to_owned());
        options
            .max_connections(max_connections)
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_timeout(ACQUIRE_TIMEOUT)
            .sqlx_logging(false)
            .map_sqlx_postgres_pool_opts(patience::drop_the_silent)
            .map_sqlx_postgres_opts(|options| {
                options.options([
                    ("statement_timeout", STATEMENT_TIMEOUT.as_millis().to_string()),
                    ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION.as_millis().to_string()),
                    // A plan that was kept from when a table was empty reads all of it when it is full.
                    ("plan_cache_mode", "force_custom_plan".to_owned()),
                ])
            });
        // Connections of its own, which wait for nobody's queries; what breaks one is found in use, and the writer tries again. It uses
        // one at a time: the others stand in for one that is given back and says nothing, for which the pool waits without end.
        let mut for_log = options.clone();
        for_log.max_connections(LOG_CONNECTIONS).test_before_acquire(false);
        // A test is a round trip; a connection that was used just now needs none.
        options.test_before_acquire_if_idle_for(TEST_AFTER);
        // The address may hold a password, so the cause goes without it.
        let connect = async |options| {
            sea_orm::Database::connect(options).await.context("cannot reach PostgreSQL at database.url")
        };
        let pool = connect(options).await?;
        Ok(Self { reader: Reader(pool.clone()), writer: pool, log: connect(for_log).await?, checkpoints: None })
    }

    /// For statements that only read.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// For single statements that change something.
    #[must_use]
    pub const fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// For the writer of the event log alone.
    #[must_use]
    pub const fn log(&self) -> &DatabaseConnection {
        &self.log
    }

    /// A transaction that changes something. On SQLite it takes the write lock at once, so that it can't fail half-way for want of it.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.begin_on(&self.writer).await
    }

    /// A transaction of the event log's writer.
    pub async fn begin_log(&self) -> Result<DatabaseTransaction, DbErr> {
        self.begin_on(&self.log).await
    }

    async fn begin_on(&self, connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            access_mode: (!self.is_sqlite()).then_some(AccessMode::ReadWrite),
            sqlite_transaction_mode: self.is_sqlite().then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        connection.begin_with_options(options).await
    }

    #[must_use]
    pub const fn is_sqlite(&self) -> bool {
        self.checkpoints.is_some()
    }

    /// One round trip, for the health check.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.reader.0.ping().await
    }

    /// Closes all connections; SQLite writes its log back into the file.
    pub async fn close(self) -> Result<(), DbErr> {
        if let Some(checkpoints) = self.checkpoints {
            checkpoints.close().await;
        }
        self.reader.0.close().await?;
        self.log.close().await
    }
}

/// Takes SQLite's log into its file while others read and write, until the database is closed.
async fn checkpoint(connections: SqlitePool) {
    let mut tick = tokio::time::interval(CHECKPOINT_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if connections.is_closed() {
            return;
        }
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&connections).await {
            tracing::warn!(%error, "SQLite's log could not be taken into its file");
        }
    }
}

/// The file holds password hashes and signing keys, so nobody else on the machine may read it. SQLite gives the files beside it the same mode.
fn keep_private(file: &Path) -> anyhow::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| *folder != Path::new("")) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(file);
    opened
        .and_then(|opened| opened.set_permissions(Permissions::from_mode(0o600)))
        .with_context(|| format!("cannot open the database file {}", file.display()))
}
