//! Database connections. PostgreSQL has a pool, and a small separate one for the writer of the event log. SQLite has
//! one connection for writes, one for commits of messages, and several for reads ([`Sqlite`]).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use appcore::{
    AppError, Code,
    breaker::Circuit,
    config::{self, Pooler},
};
use sea_orm::{
    AccessMode, ConnectOptions, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    SqlxSqliteConnector, TransactionOptions, TransactionTrait,
};
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};

use crate::{
    availability::{ACQUIRE_TIMEOUT, Availability, STATEMENT_DEADLINE},
    constraint::is_read_only,
    pooler::{self, IDLE_IN_TRANSACTION_TIMEOUT, STATEMENT_TIMEOUT},
    replica::{Broken, Replica, ReplicaPools, ReplicaReader, ReplicaStatus},
    sqlite::{Sqlite, WriteGuard},
    timeout::{self, Connections},
    transaction::{LogTransaction, Transaction},
};

/// PostgreSQL's `lock_timeout` for schema changes.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of a trial connection.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(4);
/// Number of connections for schema changes: one holds the advisory lock while another works.
const SCHEMA_CONNECTIONS: u32 = 3;
/// Number of connections reserved for the writer of the event log.
const LOG_CONNECTIONS: u32 = 3;

/// Timeout of opening a connection to the replica. No read waits for it that long.
const REPLICA_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The database of this instance. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    reader: Connections,
    writer: Connections,
    log: DatabaseConnection,
    availability: Availability,
    sqlite: Option<Sqlite>,
    last_refusal: LastRefusal,
    pooler: Pooler,
    replica: Option<Replica>,
}

/// Server-side timeouts of a PostgreSQL connection.
#[derive(Clone, Copy)]
enum ServerTimeouts {
    Default,
    /// Timeouts of connections that change the schema.
    Schema,
}

/// Reason why a reachable database refuses writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRefusal {
    /// The disk is full.
    Full,
    /// The database is read-only.
    ReadOnly,
}

/// Time and reason of the last refused write; cleared by a successful one.
#[derive(Clone, Debug, Default)]
struct LastRefusal {
    last: Arc<Mutex<Option<(WriteRefusal, Instant)>>>,
    count: Arc<AtomicU64>,
}

impl LastRefusal {
    /// Time after which a refusal expires without any write.
    const REFUSAL_TTL: Duration = Duration::from_secs(60);

    fn record<T>(&self, written: &Result<T, AppError>) {
        let refusal = match written {
            Ok(_) => None,
            Err(error) if error.code() == Code::StorageFull => Some(WriteRefusal::Full),
            Err(error) if is_read_only(error) => Some(WriteRefusal::ReadOnly),
            Err(_) => return,
        };
        if refusal.is_some() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        *self.lock() = refusal.map(|refusal| (refusal, Instant::now()));
    }

    fn current(&self) -> Option<WriteRefusal> {
        self.lock().filter(|(_, found)| found.elapsed() < Self::REFUSAL_TTL).map(|(refusal, _)| refusal)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(WriteRefusal, Instant)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails if nothing listens at the address. The pool would try again until its timeout.
async fn require_listener(options: &PgConnectOptions) -> anyhow::Result<()> {
    match tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(Err(sqlx::Error::Io(error))) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            anyhow::bail!("{}", nothing_listens(options))
        }
        Ok(Ok(connection)) => Ok(connection.close().await?),
        // The pool may still connect in time, for example to a database that is starting.
        _ => Ok(()),
    }
}

fn nothing_listens(options: &PgConnectOptions) -> String {
    format!(
        "nothing listens at {}:{}. Start the database, or correct database.url",
        options.get_host(),
        options.get_port()
    )
}

/// Connects to PostgreSQL once, without retries. The error names the cause in the words of an
/// operator, and the remedy.
pub async fn try_postgres(url: &str) -> anyhow::Result<()> {
    let options: PgConnectOptions =
        url.parse().map_err(|_| anyhow::anyhow!("database.url is not a valid PostgreSQL address"))?;
    // A pooler refuses the parameter, and the trial doesn't need it.
    let options = options.extra_float_digits(None);
    let address = format!("{}:{}", options.get_host(), options.get_port());
    let error = match tokio::time::timeout(TRIAL_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => return Ok(connection.close().await?),
        Ok(Err(error)) => error,
        Err(_) => anyhow::bail!(
            "PostgreSQL at {address} doesn't answer. Start the database, or correct database.url and the network"
        ),
    };
    match &error {
        sqlx::Error::Io(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused => {
            anyhow::bail!("{}", nothing_listens(&options))
        }
        sqlx::Error::Database(cause) => match cause.code().as_deref() {
            Some("28000") if cause.message().contains("certificate") => anyhow::bail!(
                "the database at {address} demands a client certificate. Name its files by sslcert and sslkey in database.url"
            ),
            // Wrong password, and an unknown user.
            Some("28P01" | "28000") => anyhow::bail!("the user or the password in database.url is wrong ({address})"),
            Some("3D000") => anyhow::bail!(
                "there is no database {} at {address}. Create it, or correct database.url",
                options.get_database().unwrap_or_default()
            ),
            _ => {}
        },
        _ => {}
    }
    Err(anyhow::Error::new(error).context(format!("failed to connect to PostgreSQL at {address}")))
}

/// Options of a pool of connections to PostgreSQL.
fn postgres_options(url: &str, pooler: Pooler, max_connections: u32, limits: ServerTimeouts) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| {
            if pooler != Pooler::None {
                // A pooler refuses all parameters. The role has them; see `pooler::check`.
                return options.extra_float_digits(None);
            }
            let millis = |limit: Duration| limit.as_millis().to_string();
            let (statement, idle, lock) = match limits {
                ServerTimeouts::Default => (STATEMENT_TIMEOUT, IDLE_IN_TRANSACTION_TIMEOUT, Duration::ZERO),
                ServerTimeouts::Schema => (Duration::ZERO, Duration::ZERO, LOCK_TIMEOUT),
            };
            options.options([
                // A timeout of 0 disables the limit.
                ("statement_timeout", millis(statement)),
                ("idle_in_transaction_session_timeout", millis(idle)),
                ("lock_timeout", millis(lock)),
                // Disables cached plans: a plan from when a table was empty would scan the
                // whole table once it is full.
                ("plan_cache_mode", "force_custom_plan".to_owned()),
                // Disables the JIT: compiling takes longer than any of our statements.
                ("jit", "off".to_owned()),
            ])
        });
    options
}

/// Number of open connections of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolStats {
    pub name: &'static str,
    pub open: u32,
    /// Number of open connections that are idle.
    pub idle: usize,
}

impl Database {
    /// Opens `url` (`sqlite://…` or `postgres://…`) without a pooler. Creates the SQLite file and its folder if they are
    /// missing.
    pub async fn connect(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        if url.starts_with("sqlite:") {
            Self::connect_sqlite(url).await
        } else {
            Self::connect_postgres(url, Pooler::None, max_connections, ServerTimeouts::Default).await
        }
    }

    /// Opens the configured database like [`Self::connect`], through its pooler if there is one.
    pub async fn open(settings: &config::Database, max_connections: u32) -> anyhow::Result<Self> {
        let url = settings.url.expose();
        if url.starts_with("sqlite:") {
            return Self::connect_sqlite(url).await;
        }
        pooler::check(url, settings.pooler).await?;
        Self::connect_postgres(url, settings.pooler, max_connections, ServerTimeouts::Default).await
    }

    /// Opens a PostgreSQL database for schema changes, whose statements have no time limit. Waits
    /// for locks are limited to [`LOCK_TIMEOUT`], because every other statement queues behind a
    /// schema change that waits for a table. Returns `None` for SQLite, which has no such limits.
    pub async fn connect_for_schema(url: &str, pooler: Pooler) -> anyhow::Result<Option<Self>> {
        if url.starts_with("sqlite:") {
            return Ok(None);
        }
        anyhow::ensure!(
            pooler == Pooler::None,
            "the schema can't be changed through a connection pooler. Run natter migrate with database.pooler = \"none\" \
             and a database.url that leads to PostgreSQL itself"
        );
        Self::connect_postgres(url, pooler, SCHEMA_CONNECTIONS, ServerTimeouts::Schema).await.map(Some)
    }

    async fn connect_sqlite(url: &str) -> anyhow::Result<Self> {
        let (sqlite, reader) = Sqlite::open(url).await?;
        let log = SqlxSqliteConnector::from_sqlx_sqlite_pool(sqlite.writer.clone());
        let availability = Availability::unmonitored();
        let connections = |pool, write_lock| Connections { pool, availability: availability.clone(), write_lock };
        let reader = connections(SqlxSqliteConnector::from_sqlx_sqlite_pool(reader), None);
        let writer = connections(log.clone(), Some(sqlite.write_lock.clone()));
        Ok(Self {
            reader,
            writer,
            log,
            availability,
            sqlite: Some(sqlite),
            last_refusal: LastRefusal::default(),
            pooler: Pooler::None,
            replica: None,
        })
    }

    async fn connect_postgres(
        url: &str,
        pooler: Pooler,
        max_connections: u32,
        limits: ServerTimeouts,
    ) -> anyhow::Result<Self> {
        // The address may contain a password, so the error doesn't include the cause.
        let probe: PgConnectOptions =
            url.parse().map_err(|_| anyhow::anyhow!("database.url is not a valid PostgreSQL address"))?;
        let probe = if pooler == Pooler::None { probe } else { probe.extra_float_digits(None) };
        require_listener(&probe).await?;
        let availability = Availability::monitored(probe);
        let for_pool = availability.clone();
        let mut options = postgres_options(url, pooler, max_connections, limits);
        options.map_sqlx_postgres_pool_opts(move |options| timeout::test_connections(options, &for_pool));
        // The log's writer has a separate pool so that it doesn't queue behind queries. It uses one
        // connection at a time; the others replace that one while it is tested after its return.
        let mut for_log = options.clone();
        for_log.max_connections(LOG_CONNECTIONS);
        let connect = async |options| match sea_orm::Database::connect(options).await {
            Ok(connected) => Ok(connected),
            // The pool reports only that it has timed out.
            Err(error) => Err(match try_postgres(url).await {
                Err(cause) => cause,
                Ok(()) => error.into(),
            }),
        };
        let (pool, log) = (connect(options).await?, connect(for_log).await?);
        let pool = Connections { pool, availability: availability.clone(), write_lock: None };
        Ok(Self {
            reader: pool.clone(),
            writer: pool,
            log,
            availability,
            sqlite: None,
            last_refusal: LastRefusal::default(),
            pooler,
            replica: None,
        })
    }

    /// Starts to use the configured replica for reads, if there is one. The replica doesn't have to be available yet.
    pub async fn with_replica(self, settings: &config::Database) -> anyhow::Result<Self> {
        let Some(url) = &settings.replica_url else { return Ok(self) };
        // The address may contain a password, so the error doesn't include the cause.
        let options: PgConnectOptions = url
            .expose()
            .parse()
            .map_err(|_| anyhow::anyhow!("database.replica_url is not a valid PostgreSQL address"))?;
        let (options, broken) = (options.extra_float_digits(None), Broken::default());
        let connect = async |max_connections| {
            let broken = broken.clone();
            let mut options = postgres_options(url.expose(), settings.pooler, max_connections, ServerTimeouts::Default);
            options
                .connect_lazy(true)
                .acquire_timeout(REPLICA_ACQUIRE_TIMEOUT)
                .map_sqlx_postgres_pool_opts(move |options| broken.test_connections(options));
            sea_orm::Database::connect(options).await
        };
        let (pool, probe_pool) = (connect(settings.replica_max_connections).await?, connect(1).await?);
        let replica = Replica::start(ReplicaPools { pool, probe_pool, broken, options }, self.reader.clone());
        Ok(Self { replica: Some(replica), ..self })
    }

    /// True if a lock of a session ends with its client. A pooler in transaction mode would keep it.
    #[must_use]
    pub fn has_session_locks(&self) -> bool {
        !self.is_sqlite() && self.pooler != Pooler::Transaction
    }

    /// Requests that removed content is soon erased from the database files as well. Does nothing
    /// on PostgreSQL, whose vacuum erases it.
    pub fn purge_removed(&self) {
        if let Some(sqlite) = &self.sqlite {
            sqlite.purge_removed();
        }
    }

    /// Connections for read-only statements.
    #[must_use]
    pub const fn reader(&self) -> &Connections {
        &self.reader
    }

    /// Connections for reads of history, search and lists, which the replica may execute. What they return is never older
    /// than this call. Without a replica it is [`Self::reader`]. Reads that permit or prepare a write use the primary.
    pub async fn replica(&self) -> ReplicaReader<'_> {
        let replica = match &self.replica {
            Some(replica) => replica.open().await,
            None => None,
        };
        ReplicaReader::new(&self.reader, replica)
    }

    /// Connections of the primary, for functions that also read from the replica.
    #[must_use]
    pub const fn primary(&self) -> ReplicaReader<'_> {
        ReplicaReader::new(&self.reader, None)
    }

    /// State of the replica; `None` if none is configured.
    #[must_use]
    pub fn replica_status(&self) -> Option<ReplicaStatus> {
        self.replica.as_ref().map(Replica::status)
    }

    /// Checks the replica, and returns the reason if it can't be used. `None` if none is configured.
    pub async fn check_replica(&self) -> Option<Result<(), String>> {
        match &self.replica {
            Some(replica) => Some(replica.check().await),
            None => None,
        }
    }

    /// Connections for single statements that write.
    #[must_use]
    pub const fn writer(&self) -> &Connections {
        &self.writer
    }

    /// Connection for schema changes, without time limits.
    #[must_use]
    pub const fn schema(&self) -> &DatabaseConnection {
        &self.writer.pool
    }

    /// Connection that is reserved for the writer of the event log.
    #[must_use]
    pub const fn log(&self) -> &DatabaseConnection {
        &self.log
    }

    /// Begins a read-write transaction. On SQLite it takes the write lock at once, so that a later
    /// write cannot fail because another transaction holds it.
    pub async fn begin(&self) -> Result<Transaction, DbErr> {
        let begun = self.availability.within(STATEMENT_DEADLINE, self.begin_on(&self.writer.pool)).await?;
        Ok(Transaction::new(begun, self.availability.clone()))
    }

    /// Begins a transaction of the event log's writer, which doesn't run on the workers.
    pub async fn begin_log(&self) -> Result<LogTransaction, DbErr> {
        self.begin_on(&self.log).await.map(LogTransaction::new)
    }

    async fn begin_on(
        &self,
        connection: &DatabaseConnection,
    ) -> Result<(DatabaseTransaction, Option<WriteGuard>), DbErr> {
        let turn = self.writer.acquire_write_lock().await?;
        let options = TransactionOptions {
            access_mode: (!self.is_sqlite()).then_some(AccessMode::ReadWrite),
            sqlite_transaction_mode: self.is_sqlite().then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok((connection.begin_with_options(options).await?, turn))
    }

    /// Name of the database system.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.is_sqlite() { "sqlite" } else { "postgresql" }
    }

    /// Connections of SQLite; `None` on PostgreSQL.
    pub(crate) const fn sqlite(&self) -> Option<&Sqlite> {
        self.sqlite.as_ref()
    }

    #[must_use]
    pub const fn is_sqlite(&self) -> bool {
        self.sqlite.is_some()
    }

    /// Awaits a commit of the event log's writer until `limit` has passed or the database becomes unreachable. An
    /// abandoned commit may still succeed; the outbox publisher then publishes it. SQLite has no outbox publisher, so
    /// its commit is always awaited.
    pub async fn commit_within<T>(
        &self,
        limit: Duration,
        committing: impl Future<Output = Result<T, AppError>>,
    ) -> Result<T, AppError> {
        let committed =
            if self.is_sqlite() { committing.await } else { self.availability.within(limit, committing).await };
        self.last_refusal.record(&committed);
        committed
    }

    /// Reason why a reachable database currently refuses writes; `None` if it accepts them.
    #[must_use]
    pub fn write_refusal(&self) -> Option<WriteRefusal> {
        self.last_refusal.current()
    }

    /// Number of refused writes since the start, so that a periodic check also notices refusals between two checks.
    #[must_use]
    pub fn refused_writes(&self) -> u64 {
        self.last_refusal.count.load(Ordering::Relaxed)
    }

    /// Number of open connections per pool.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolStats> {
        let of = |name, connection: &DatabaseConnection| {
            let (open, idle) = if self.is_sqlite() {
                let pool = connection.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            } else {
                let pool = connection.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            };
            PoolStats { name, open, idle }
        };
        let primary = [of(if self.is_sqlite() { "reader" } else { "all" }, &self.reader.pool), of("writer", &self.log)];
        primary.into_iter().chain(self.replica.as_ref().map(|replica| of("replica", replica.pool()))).collect()
    }

    /// Executes one round trip, for the health check.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.availability.within(STATEMENT_DEADLINE, self.reader.pool.ping()).await
    }

    /// True unless the circuit breaker is open. Periodic tasks check it so that they don't fill the log during an
    /// outage.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.circuit() == Circuit::Closed
    }

    /// State of the circuit breaker.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        self.availability.circuit()
    }

    /// Closes all connections. On SQLite, also checkpoints the write-ahead log.
    pub async fn close(self) -> Result<(), DbErr> {
        if let Some(sqlite) = self.sqlite {
            sqlite.close().await;
        }
        if let Some(replica) = self.replica {
            replica.close().await?;
        }
        self.reader.pool.close().await?;
        self.log.close().await
    }
}
