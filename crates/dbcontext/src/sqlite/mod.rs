//! SQLite: one connection that writes, several that read, and two that take the log into the file beside them.

mod checkpoint;

use std::{
    borrow::Cow,
    fs::{DirBuilder, File, OpenOptions, Permissions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use sea_orm::{DbErr, RuntimeErr};
use sqlx::{
    AssertSqlSafe,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{connection::ACQUIRE_TIMEOUT, query::Field};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 8;
/// One reads and holds on to what is in the log, one takes it into the file.
const CHECKPOINTERS: u32 = 2;
/// Pages from which the writer itself takes them into the file, however many they are: only where what is beside it does not get on.
const OVERLONG_LOG: &str = "128000";

/// The connections that [`Database`](crate::Database) has on SQLite and not elsewhere. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    pub writer: SqlitePool,
    checkpoints: SqlitePool,
}

impl Sqlite {
    /// Opens the file at `url`, which is made where it is missing, with its folder. Beside this: the connections that only read.
    pub async fn open(url: &str) -> anyhow::Result<(Self, SqlitePool)> {
        let options = SqliteConnectOptions::from_str(url)
            .context("database.url is not a valid SQLite address")?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged message must survive a power cut; group commit makes the fsync cheap.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("temp_store", "memory")
            .pragma("cache_size", "-16000");
        let file = Arc::new(open_private(options.get_filename())?);
        let pool = |size: u32| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .min_connections(1)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                // A file does not hang up, and each test wakes a thread.
                .test_before_acquire(false)
        };
        let writing = options.clone().pragma("wal_autocheckpoint", OVERLONG_LOG);
        let writer = pool(1).connect_with(writing).await.context("cannot open the SQLite database")?;
        let checkpoints =
            pool(CHECKPOINTERS).connect_with(options.clone()).await.context("cannot open the SQLite database")?;
        tokio::spawn(checkpoint::run(checkpoints.clone(), writer.clone(), file));
        let reader = pool(READERS)
            .connect_with(options.read_only(true))
            .await
            .context("cannot open the SQLite database for reading")?;
        Ok((Self { writer, checkpoints }, reader))
    }

    /// Executes `sql`, which may be several statements, as one transaction and in one call, because each call wakes a thread.
    pub async fn transact(&self, sql: &str, values: Vec<Field>) -> Result<(), DbErr> {
        let mut connection = self.writer.acquire().await.map_err(failed)?;
        let sql = format!("BEGIN IMMEDIATE; {sql}; COMMIT");
        // A call is broken off when nobody waits for it any more, and would leave its transaction open: so it is a task's own.
        let transaction = tokio::spawn(async move {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for value in values {
                query = match value {
                    Field::Null => query.bind(None::<i64>),
                    Field::Uuid(id) => query.bind(id),
                    Field::Text(Cow::Borrowed(text)) => query.bind(text),
                    Field::Text(Cow::Owned(text)) => query.bind(text),
                    Field::Int(number) => query.bind(number),
                };
            }
            let done = query.execute(&mut *connection).await;
            if done.is_err() {
                // Where it has not begun there is nothing to roll back, and that is said as an error.
                let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
            }
            done.map(drop)
        });
        match transaction.await {
            Ok(done) => done.map_err(failed),
            Err(error) => Err(DbErr::Custom(error.to_string())),
        }
    }

    pub async fn close(self) {
        self.checkpoints.close().await;
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

/// The file holds password hashes and signing keys, so nobody else on the machine may read it. SQLite gives the files beside it the same mode.
fn open_private(file: &Path) -> anyhow::Result<File> {
    if let Some(folder) = file.parent().filter(|folder| *folder != Path::new("")) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(file);
    opened
        .and_then(|opened| opened.set_permissions(Permissions::from_mode(0o600)).map(|()| opened))
        .with_context(|| format!("cannot open the database file {}", file.display()))
}
