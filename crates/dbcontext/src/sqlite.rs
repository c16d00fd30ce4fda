//! SQLite: one connection that writes, several that read, and one that takes the log into the file beside them.

use std::{
    borrow::Cow,
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io,
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
use tokio::time::MissedTickBehavior;

use crate::{connection::ACQUIRE_TIMEOUT, query::Field};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 8;
/// How often it is looked how long SQLite's log is.
const CHECKPOINT_PERIOD: Duration = Duration::from_millis(300);
/// Pages (of 4 KiB) from which they are taken into the file, beside the writer. Fewer wait: what is written over and over is taken once.
const WORTHWHILE: i64 = 2_000;
/// Pages from which the log is begun anew. It only can be when all of them are in the file, and beside a busy writer there are always some more.
const LONG_LOG: i64 = 8_000;
/// The last pages, which the writer may be made to wait for.
const REMAINDER: i64 = 400;
/// How often they are tried to be made so few.
const PASSES: usize = 4;
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
        let checkpoints = pool(1).connect_with(options.clone()).await.context("cannot open the SQLite database")?;
        tokio::spawn(checkpoint(checkpoints.clone(), writer.clone(), file));
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

/// Takes the log into its file while others read and write, until the database is closed.
///
/// It keeps the file open until then: closing it anywhere in the process would take away the locks that SQLite holds on it.
async fn checkpoint(beside: SqlitePool, writer: SqlitePool, file: Arc<File>) {
    let mut tick = tokio::time::interval(CHECKPOINT_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if beside.is_closed() {
            return;
        }
        if let Err(error) = shorten_log(&beside, &writer, &file).await {
            tracing::warn!(%error, "SQLite's log could not be taken into its file");
        }
    }
}

/// What is done beside the writer costs it nothing. A long log is also begun anew, for which the writer must stand still: while the last few
/// pages are taken over, and no longer.
async fn shorten_log(beside: &SqlitePool, writer: &SqlitePool, file: &Arc<File>) -> Result<(), sqlx::Error> {
    if look(beside).await?.length < WORTHWHILE {
        return Ok(());
    }
    for _ in 0..PASSES {
        take_over(beside).await?;
        // What came meanwhile is not in what the passage itself tells.
        let log = look(beside).await?;
        // Where nothing is left the writer begins anew by itself.
        if log.length < LONG_LOG || log.left == 0 {
            return Ok(());
        }
        if log.left < REMAINDER {
            break;
        }
    }
    // SQLite brings the file to the disk only with the last page: what is there already the writer need not wait for.
    let file = Arc::clone(file);
    tokio::task::spawn_blocking(move || file.sync_data()).await.map_err(io::Error::from)??;
    take_over(writer).await
}

/// Pages in the log, and how many of them are not in the file yet.
struct Log {
    length: i64,
    left: i64,
}

async fn look(connections: &SqlitePool) -> Result<Log, sqlx::Error> {
    let (_, length, taken): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(connections).await?;
    Ok(Log { length, left: length - taken })
}

async fn take_over(connections: &SqlitePool) -> Result<(), sqlx::Error> {
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(connections).await.map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_log_is_begun_anew_while_somebody_writes_all_the_time() {
        const TIMES: usize = 3;
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("busy.db").display());
        let (sqlite, _reader) = Sqlite::open(&url).await.unwrap();
        let writer = sqlite.writer.clone();
        sqlx::query("CREATE TABLE pages (id INTEGER PRIMARY KEY, text TEXT)").execute(&writer).await.unwrap();
        let writing = tokio::spawn(async move {
            for number in 0_i64.. {
                let sql = "INSERT OR REPLACE INTO pages VALUES (? % 500, hex(zeroblob(20000)))";
                sqlx::query(sql).bind(number).execute(&writer).await.unwrap();
            }
        });
        let (mut lengths, mut anew) = (vec![0], 0);
        while anew < TIMES && lengths.len() < 10_000 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let length = look(&sqlite.checkpoints).await.unwrap().length;
            anew += usize::from(lengths.last().is_some_and(|before| length < *before));
            lengths.push(length);
        }
        writing.abort();
        assert_eq!(anew, TIMES, "{lengths:?}");
        let overlong: i64 = OVERLONG_LOG.parse().unwrap();
        assert!(lengths.iter().all(|length| *length < overlong / 2), "{lengths:?}");
    }
}
