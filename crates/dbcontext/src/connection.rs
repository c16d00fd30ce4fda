//! Connections. PostgreSQL has a pool, and a small one beside it for the writer of the event log; SQLite has one connection that
//! writes, one that commits messages, and several that read ([`Sqlite`]).

use std::time::Duration;

use anyhow::Context;
use sea_orm::{
    AccessMode, ConnectOptions, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    SqlxSqliteConnector, TransactionOptions, TransactionTrait,
};

use crate::{
    runtime_bound::RuntimeBound,
    sqlite::{Sqlite, Turn},
    timeout::{self, Connections},
    transaction::{LogTransaction, Transaction},
};

/// How long a query may wait for a free connection before the caller gets a 503.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);
/// How long PostgreSQL may work on one statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an instance that stands still may hold what others wait for: no transaction of ours waits for anything but the database.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);
/// How long a connection to PostgreSQL must have been idle to be tested before it is used.
const TEST_AFTER: Duration = Duration::from_secs(1);
/// Connections of the event log's writer.
const LOG_CONNECTIONS: u32 = 3;

/// The database that this instance works on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    reader: Connections,
    writer: Connections,
    log: DatabaseConnection,
    sqlite: Option<Sqlite>,
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
        let (sqlite, reader) = Sqlite::open(url).await?;
        let log = SqlxSqliteConnector::from_sqlx_sqlite_pool(sqlite.writer.clone());
        let reader = Connections { pool: SqlxSqliteConnector::from_sqlx_sqlite_pool(reader), write_lock: None };
        let writer = Connections { pool: log.clone(), write_lock: Some(sqlite.write_lock.clone()) };
        Ok(Self { reader, writer, log, sqlite: Some(sqlite) })
    }

    async fn connect_postgres(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        let mut options = ConnectOptions::new(url.to_owned());
        options
            .max_connections(max_connections)
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_timeout(ACQUIRE_TIMEOUT)
            .sqlx_logging(false)
            .map_sqlx_postgres_pool_opts(timeout::drop_the_silent)
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
        let pool = Connections { pool: connect(options).await?, write_lock: None };
        Ok(Self { reader: pool.clone(), writer: pool, log: connect(for_log).await?, sqlite: None })
    }

    /// Something that people wrote was removed: it leaves the files soon, and not only the tables. PostgreSQL's vacuum sees to that by itself.
    pub fn forget_removed(&self) {
        if let Some(sqlite) = &self.sqlite {
            sqlite.forget_removed();
        }
    }

    /// For statements that only read.
    #[must_use]
    pub const fn reader(&self) -> &Connections {
        &self.reader
    }

    /// For single statements that change something.
    #[must_use]
    pub const fn writer(&self) -> &Connections {
        &self.writer
    }

    /// For changes of the schema, which may take their time.
    #[must_use]
    pub const fn schema(&self) -> &DatabaseConnection {
        &self.writer.pool
    }

    /// For the writer of the event log alone.
    #[must_use]
    pub const fn log(&self) -> &DatabaseConnection {
        &self.log
    }

    /// A transaction that changes something. On SQLite it takes the write lock at once, so that it can't fail half-way for want of it.
    pub async fn begin(&self) -> Result<Transaction, DbErr> {
        RuntimeBound::new(Box::pin(self.begin_on(&self.writer.pool))).await.map(Transaction::new)
    }

    /// A transaction of the event log's writer, which no worker runs.
    pub async fn begin_log(&self) -> Result<LogTransaction, DbErr> {
        self.begin_on(&self.log).await.map(LogTransaction::new)
    }

    async fn begin_on(&self, connection: &DatabaseConnection) -> Result<(DatabaseTransaction, Option<Turn>), DbErr> {
        let turn = self.writer.turn().await?;
        let options = TransactionOptions {
            access_mode: (!self.is_sqlite()).then_some(AccessMode::ReadWrite),
            sqlite_transaction_mode: self.is_sqlite().then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok((connection.begin_with_options(options).await?, turn))
    }

    /// What there is only on SQLite.
    pub(crate) const fn sqlite(&self) -> Option<&Sqlite> {
        self.sqlite.as_ref()
    }

    #[must_use]
    pub const fn is_sqlite(&self) -> bool {
        self.sqlite.is_some()
    }

    /// One round trip, for the health check.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.reader.pool.ping().await
    }

    /// Closes all connections; SQLite writes its log back into the file.
    pub async fn close(self) -> Result<(), DbErr> {
        if let Some(sqlite) = self.sqlite {
            sqlite.close().await;
        }
        self.reader.pool.close().await?;
        self.log.close().await
    }
}
