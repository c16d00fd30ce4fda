//! Connections. PostgreSQL has a pool, and a small one beside it for the writer of the event log; SQLite has one connection that
//! writes, one that commits messages, and several that read ([`Sqlite`]).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use appcore::{AppError, Code, breaker::Circuit};
use sea_orm::{
    AccessMode, ConnectOptions, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    SqlxSqliteConnector, TransactionOptions, TransactionTrait,
};

use crate::{
    availability::{ACQUIRE_TIMEOUT, Availability, STATEMENT},
    constraint::is_read_only,
    sqlite::{Sqlite, Turn},
    timeout::{self, Connections},
    transaction::{LogTransaction, Transaction},
};

/// How long PostgreSQL may work on one statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an instance that stands still may hold what others wait for: no transaction of ours waits for anything but the database.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);
/// How long a change of the schema may wait for those who use a table.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// One holds the turn while another one works.
const SCHEMA_CONNECTIONS: u32 = 3;
/// Connections of the event log's writer.
const LOG_CONNECTIONS: u32 = 3;

/// The database that this instance works on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    reader: Connections,
    writer: Connections,
    log: DatabaseConnection,
    availability: Availability,
    sqlite: Option<Sqlite>,
    refusing: Refusing,
}

/// How long PostgreSQL lets a connection do what it does.
#[derive(Clone, Copy)]
enum Limits {
    Usual,
    /// Of a connection that changes the schema.
    Schema,
}

/// Why the database, which can be reached, refuses what changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room.
    Full,
    /// It can only be read.
    ReadOnly,
}

/// When changes were last refused, and why, unless something could be written since.
#[derive(Clone, Debug, Default)]
struct Refusing {
    last: Arc<Mutex<Option<(Refusal, Instant)>>>,
    count: Arc<AtomicU64>,
}

impl Refusing {
    /// Where nobody writes, it is not known any more after so long.
    const REMEMBERED: Duration = Duration::from_secs(60);

    fn note<T>(&self, written: &Result<T, AppError>) {
        let refusal = match written {
            Ok(_) => None,
            Err(error) if error.code() == Code::StorageFull => Some(Refusal::Full),
            Err(error) if is_read_only(error) => Some(Refusal::ReadOnly),
            Err(_) => return,
        };
        if refusal.is_some() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        *self.found() = refusal.map(|refusal| (refusal, Instant::now()));
    }

    fn holds(&self) -> Option<Refusal> {
        self.found().filter(|(_, found)| found.elapsed() < Self::REMEMBERED).map(|(refusal, _)| refusal)
    }

    fn found(&self) -> MutexGuard<'_, Option<(Refusal, Instant)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolFigures {
    pub name: &'static str,
    pub open: u32,
    /// Of these, how many nobody uses.
    pub idle: usize,
}

impl Database {
    /// Opens `url` (`sqlite://…` or `postgres://…`). A SQLite file and its folder are made where they are missing.
    pub async fn connect(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        if url.starts_with("sqlite:") {
            Self::connect_sqlite(url).await
        } else {
            Self::connect_postgres(url, max_connections, Limits::Usual).await
        }
    }

    /// Opens a PostgreSQL for changes of its schema, which may take as long as they take. They wait for nobody for long, though: behind a change that
    /// waits for a table everybody else waits, too. None for SQLite, which has no such limits.
    pub async fn connect_for_schema(url: &str) -> anyhow::Result<Option<Self>> {
        if url.starts_with("sqlite:") {
            return Ok(None);
        }
        Self::connect_postgres(url, SCHEMA_CONNECTIONS, Limits::Schema).await.map(Some)
    }

    async fn connect_sqlite(url: &str) -> anyhow::Result<Self> {
        let (sqlite, reader) = Sqlite::open(url).await?;
        let log = SqlxSqliteConnector::from_sqlx_sqlite_pool(sqlite.writer.clone());
        let availability = Availability::always();
        let connections = |pool, write_lock| Connections { pool, availability: availability.clone(), write_lock };
        let reader = connections(SqlxSqliteConnector::from_sqlx_sqlite_pool(reader), None);
        let writer = connections(log.clone(), Some(sqlite.write_lock.clone()));
        Ok(Self { reader, writer, log, availability, sqlite: Some(sqlite), refusing: Refusing::default() })
    }

    async fn connect_postgres(url: &str, max_connections: u32, limits: Limits) -> anyhow::Result<Self> {
        // The address may hold a password, so the cause of a failure goes without it.
        let probe = url.parse().map_err(|_| anyhow::anyhow!("database.url is not a valid PostgreSQL address"))?;
        let availability = Availability::monitored(probe);
        let for_pool = availability.clone();
        let mut options = ConnectOptions::new(url.to_owned());
        options
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_timeout(ACQUIRE_TIMEOUT)
            .sqlx_logging(false)
            .map_sqlx_postgres_pool_opts(move |options| timeout::test_connections(options, &for_pool))
            .map_sqlx_postgres_opts(move |options| {
                let millis = |limit: Duration| limit.as_millis().to_string();
                let (statement, idle, lock) = match limits {
                    Limits::Usual => (STATEMENT_TIMEOUT, IDLE_IN_TRANSACTION, Duration::ZERO),
                    Limits::Schema => (Duration::ZERO, Duration::ZERO, LOCK_TIMEOUT),
                };
                options.options([
                    // Nothing is no limit.
                    ("statement_timeout", millis(statement)),
                    ("idle_in_transaction_session_timeout", millis(idle)),
                    ("lock_timeout", millis(lock)),
                    // A plan that was kept from when a table was empty reads all of it when it is full.
                    ("plan_cache_mode", "force_custom_plan".to_owned()),
                    // Compiling a statement takes longer than any of them may.
                    ("jit", "off".to_owned()),
                ])
            });
        // Connections of its own, which wait for nobody's queries. The writer uses one at a time: the others stand in for one that is
        // given back and has to prove that it can be used.
        let mut for_log = options.clone();
        for_log.max_connections(LOG_CONNECTIONS);
        let connect = async |options| {
            sea_orm::Database::connect(options).await.context("cannot reach PostgreSQL at database.url")
        };
        let (pool, log) = (connect(options).await?, connect(for_log).await?);
        let pool = Connections { pool, availability: availability.clone(), write_lock: None };
        Ok(Self { reader: pool.clone(), writer: pool, log, availability, sqlite: None, refusing: Refusing::default() })
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
        let begun = self.availability.within(STATEMENT, self.begin_on(&self.writer.pool)).await?;
        Ok(Transaction::new(begun, self.availability.clone()))
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

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.is_sqlite() { "sqlite" } else { "postgresql" }
    }

    /// What there is only on SQLite.
    pub(crate) const fn sqlite(&self) -> Option<&Sqlite> {
        self.sqlite.as_ref()
    }

    #[must_use]
    pub const fn is_sqlite(&self) -> bool {
        self.sqlite.is_some()
    }

    /// Waits for the writer of the event log: until `limit`, and only while the database can be reached. A commit that is given up may
    /// still succeed; the relay then tells of it. SQLite has no relay, so there its end is waited for.
    pub async fn commit_within<T>(
        &self,
        limit: Duration,
        committing: impl Future<Output = Result<T, AppError>>,
    ) -> Result<T, AppError> {
        let committed =
            if self.is_sqlite() { committing.await } else { self.availability.within(limit, committing).await };
        self.refusing.note(&committed);
        committed
    }

    /// Why changes are refused just now, where the database can be reached all the same.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusing.holds()
    }

    /// How often changes were refused: by it one who looks now and then knows of what was over before they looked.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refusing.count.load(Ordering::Relaxed)
    }

    /// The connections that are open just now, by what they are for.
    #[must_use]
    pub fn pools(&self) -> [PoolFigures; 2] {
        let of = |name, connection: &DatabaseConnection| {
            let (open, idle) = if self.is_sqlite() {
                let pool = connection.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            } else {
                let pool = connection.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            };
            PoolFigures { name, open, idle }
        };
        [of(if self.is_sqlite() { "reader" } else { "all" }, &self.reader.pool), of("writer", &self.log)]
    }

    /// One round trip, for the health check.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.availability.within(STATEMENT, self.reader.pool.ping()).await
    }

    /// Whether it is worth asking: for what is done over and over, and would only fill the log meanwhile.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.circuit() == Circuit::Closed
    }

    /// What the circuit breaker does with the next statement.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        self.availability.circuit()
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
