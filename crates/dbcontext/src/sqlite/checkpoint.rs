//! Checkpoints SQLite's write-ahead log incrementally, off the commit path.
//!
//! SQLite's own checkpoint writes the pages of the log and syncs them all at once. The next commit
//! then waits for hundreds of pages, ten times as long as usual. Here a checkpoint runs in steps
//! ([`checkpoint`]): SQLite writes the pages without a sync, then the file is synced in chunks, and
//! commits run between the chunks. Meanwhile a read transaction keeps SQLite from overwriting the
//! log, which holds all pages until the file is on disk.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use appcore::disk::sync_range;
use sqlx::{AssertSqlSafe, SqliteConnection, Transaction, sqlite::SqlitePool};
use tokio::time::MissedTickBehavior;

use super::{BUSY_TIMEOUT, WriteLock};

/// Interval between checks of the log's length.
const CHECK_INTERVAL: Duration = Duration::from_millis(300);
/// Minimum number of pages (4 KiB) in the log that are not in the file yet, for a checkpoint to
/// start. By waiting for that many, a page that is written often is copied only once.
const MIN_CHECKPOINT_PAGES: i64 = 2_000;
/// Length of the log, in pages, above which it is restarted. SQLite restarts it by itself only when
/// all pages are in the file, which a busy writer prevents.
const RESTART_PAGES: i64 = 16_000;
/// Maximum number of pages that are copied while the writer waits.
const MAX_REMAINING_PAGES: i64 = 64;
/// Maximum number of checkpoints in a row that try to get the remaining pages below
/// [`MAX_REMAINING_PAGES`].
const MAX_PASSES: usize = 6;
/// Minimum interval between two truncations of a log that contains removed text.
const MIN_TRUNCATE_INTERVAL: Duration = Duration::from_secs(10);
/// Minimum interval between two log messages about failed checkpoints.
const WARNING_INTERVAL: Duration = Duration::from_secs(30);
/// Size of the chunks that are synced, in bytes, and maximum number of chunks. A large file is
/// synced in larger chunks.
const SYNC_CHUNK_BYTES: u64 = 1024 * 1024;
const MAX_SYNC_CHUNKS: u64 = 4_096;

/// Runs checkpoints until the database is closed.
///
/// The file stays open until then: closing any descriptor of it in this process would release
/// SQLite's POSIX locks.
pub(super) async fn run(
    beside: SqlitePool,
    writer: (SqlitePool, WriteLock),
    file: Arc<File>,
    removed: Arc<AtomicBool>,
) {
    let (mut emptied, mut complained): (Option<Instant>, Option<Instant>) = (None, None);
    let mut tick = tokio::time::interval(CHECK_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if beside.is_closed() {
            return;
        }
        match checkpoint_and_restart(&beside, &writer, &file).await {
            Ok(()) => complained = None,
            Err(_) if beside.is_closed() => return,
            // Limits the number of log messages: failed checkpoints are retried continuously, for
            // example while the disk is full.
            Err(error) if complained.is_none_or(|at: Instant| at.elapsed() >= WARNING_INTERVAL) => {
                complained = Some(Instant::now());
                tracing::warn!(%error, "failed to checkpoint SQLite write-ahead log");
            }
            Err(_) => {}
        }
        if emptied.is_none_or(|at| at.elapsed() >= MIN_TRUNCATE_INTERVAL) && removed.swap(false, Ordering::Relaxed) {
            emptied = Some(Instant::now());
            match truncate_log(&beside, &writer, &file).await {
                Ok(true) => {}
                // A reader still needs the log, so the truncation is retried later.
                Ok(false) => removed.store(true, Ordering::Relaxed),
                Err(_) if beside.is_closed() || writer.0.is_closed() => return,
                Err(error) => {
                    removed.store(true, Ordering::Relaxed);
                    tracing::warn!(%error, "failed to truncate SQLite write-ahead log containing removed text");
                }
            }
        }
    }
}

/// Runs a checkpoint, and restarts the log if it is long. The writer waits only while the last few
/// pages are copied.
async fn checkpoint_and_restart(
    beside: &SqlitePool,
    (writer, write_lock): &(SqlitePool, WriteLock),
    file: &Arc<File>,
) -> anyhow::Result<()> {
    let mut log = measure_log(beside).await?;
    if log.remaining >= MIN_CHECKPOINT_PAGES {
        log = checkpoint(beside, file).await?;
    }
    if log.length < RESTART_PAGES {
        return Ok(());
    }
    for _ in 1..MAX_PASSES {
        if log.remaining < MAX_REMAINING_PAGES {
            break;
        }
        log = checkpoint(beside, file).await?;
    }
    // If no pages are left, the next commit restarts the log by itself.
    if log.remaining > 0 {
        let _turn = write_lock.acquire().await?;
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(writer).await?;
    }
    Ok(())
}

/// Truncates the log so that no file contains removed text any more; returns `false` if a reader still needs it. The
/// writer waits only while the last few pages are copied.
async fn truncate_log(
    beside: &SqlitePool,
    (writer, write_lock): &(SqlitePool, WriteLock),
    file: &Arc<File>,
) -> anyhow::Result<bool> {
    for _ in 1..MAX_PASSES {
        if checkpoint(beside, file).await?.remaining < MAX_REMAINING_PAGES {
            break;
        }
    }
    let _turn = write_lock.acquire().await?;
    let mut connection = writer.acquire().await?;
    sqlx::raw_sql("PRAGMA busy_timeout = 100").execute(&mut *connection).await?;
    let emptied =
        sqlx::query_as::<_, (i64, i64, i64)>("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await;
    let usual = AssertSqlSafe(format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis()));
    sqlx::raw_sql(usual).execute(&mut *connection).await?;
    let (busy, ..) = emptied?;
    Ok(busy == 0)
}

/// Number of pages in the log, and number of those that are not in the file yet.
#[derive(Debug)]
pub(super) struct LogPages {
    pub length: i64,
    pub remaining: i64,
}

pub(super) async fn measure_log(connections: &SqlitePool) -> Result<LogPages, sqlx::Error> {
    let (_, length, taken): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(connections).await?;
    Ok(LogPages { length, remaining: length - taken })
}

/// Copies the log's pages into the file and syncs the file; returns the state of the log
/// afterwards.
async fn checkpoint(beside: &SqlitePool, file: &Arc<File>) -> Result<LogPages, sqlx::Error> {
    let reader = begin_read(beside).await?;
    let mut connection = beside.acquire().await?;
    let copied = copy_pages(&mut connection).await;
    if copied.is_err() {
        // This connection has `synchronous = OFF`, so it must not be reused, and must not be the
        // last one to close the file.
        connection.close_on_drop();
    }
    drop(connection);
    // Syncs even after a failure, because some pages may already be in the file.
    let file = Arc::clone(file);
    let written = tokio::task::spawn_blocking(move || sync_in_chunks(&file)).await;
    if let Err(error) = written.map_err(io::Error::from).flatten() {
        // Aborts, because the kernel drops pages that it failed to write, while SQLite counts them
        // as written. Only the log still has them, and the next start reads the whole log.
        // PostgreSQL does the same (`data_sync_retry`).
        tracing::error!(%error, "failed to write database file, aborting; the next start recovers from the write-ahead log");
        std::process::abort();
    }
    reader.rollback().await?;
    copied?;
    measure_log(beside).await
}

/// Opens a read transaction so that SQLite doesn't overwrite the log.
async fn begin_read(beside: &SqlitePool) -> Result<Transaction<'static, sqlx::Sqlite>, sqlx::Error> {
    let mut reader = beside.begin().await?;
    sqlx::query("SELECT 1 FROM sqlite_schema LIMIT 1").execute(&mut *reader).await?;
    Ok(reader)
}

/// Makes SQLite copy the pages without a sync.
async fn copy_pages(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    const COPY: &str = "PRAGMA synchronous = OFF; PRAGMA wal_checkpoint(PASSIVE); PRAGMA synchronous = FULL";
    sqlx::raw_sql(COPY).execute(connection).await.map(drop)
}

/// Syncs the file in chunks, so that a concurrent commit waits for one chunk at most.
fn sync_in_chunks(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let piece = SYNC_CHUNK_BYTES.max(length / MAX_SYNC_CHUNKS);
    let mut begin = 0;
    while begin < length && sync_range(file, begin, piece)? {
        begin += piece;
    }
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::{
        super::{AUTOCHECKPOINT_PAGES, Sqlite},
        *,
    };

    fn url(folder: &tempfile::TempDir) -> String {
        format!("sqlite://{}", folder.path().join("natter.db").display())
    }

    async fn make_table(sqlite: &Sqlite) {
        sqlx::query("CREATE TABLE pages (id INTEGER PRIMARY KEY, text TEXT)").execute(&sqlite.writer).await.unwrap();
    }

    async fn write(writer: &SqlitePool, number: i64) {
        let sql = "INSERT OR REPLACE INTO pages VALUES (? % 500, hex(zeroblob(20000)))";
        sqlx::query(sql).bind(number).execute(writer).await.unwrap();
    }

    #[tokio::test]
    async fn restarts_the_log_under_a_busy_writer() {
        const TIMES: usize = 3;
        let overlong: i64 = AUTOCHECKPOINT_PAGES.parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (sqlite, _reader) = Sqlite::open(&url(&folder)).await.unwrap();
        make_table(&sqlite).await;
        let writer = sqlite.writer.clone();
        let log_length = Arc::new(AtomicI64::new(0));
        let seen = Arc::clone(&log_length);
        let writing = tokio::spawn(async move {
            for number in 0.. {
                write(&writer, number).await;
                // Slows the writer down: on a busy machine, checkpoints might not keep up with a
                // writer that never pauses.
                if seen.load(Ordering::Relaxed) > overlong / 4 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
        let (mut lengths, mut anew) = (vec![0], 0);
        while anew < TIMES && lengths.len() < 10_000 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let length = measure_log(&sqlite.checkpoints).await.unwrap().length;
            log_length.store(length, Ordering::Relaxed);
            anew += usize::from(lengths.last().is_some_and(|before| length < *before));
            lengths.push(length);
        }
        writing.abort();
        assert_eq!(anew, TIMES, "{lengths:?}");
        assert!(lengths.iter().all(|length| *length < overlong / 2), "{lengths:?}");
    }

    #[tokio::test]
    async fn keeps_the_log_until_the_file_is_synced_then_restarts_it() {
        let folder = tempfile::tempdir().unwrap();
        let (sqlite, _reader, file) = Sqlite::connect(&url(&folder)).await.unwrap();
        make_table(&sqlite).await;
        write(&sqlite.writer, 1).await;
        let reader = begin_read(&sqlite.checkpoints).await.unwrap();
        let mut connection = sqlite.checkpoints.acquire().await.unwrap();
        copy_pages(&mut connection).await.unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await.unwrap();
        assert_eq!(synchronous, 2, "FULL again");
        drop(connection);
        let copied = measure_log(&sqlite.checkpoints).await.unwrap();
        assert_eq!(copied.remaining, 0);
        write(&sqlite.writer, 2).await;
        let kept = measure_log(&sqlite.checkpoints).await.unwrap();
        assert!(kept.length > copied.length, "{kept:?} after {copied:?}");
        reader.rollback().await.unwrap();

        let taken = checkpoint(&sqlite.checkpoints, &file).await.unwrap();
        assert_eq!(taken.remaining, 0);
        write(&sqlite.writer, 3).await;
        let anew = measure_log(&sqlite.checkpoints).await.unwrap();
        assert!(anew.length < taken.length, "{anew:?} after {taken:?}");
    }
}
