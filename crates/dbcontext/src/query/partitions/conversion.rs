//! Conversion of an existing table, and upkeep of its partitions.
//!
//! The conversion copies no rows. A constraint, which PostgreSQL checks without blocking writers,
//! states that all rows are earlier than a time some weeks ahead: the cut-over. Then one short
//! transaction renames the table, creates the partitioned one under its name, and attaches the
//! renamed table as the partition of everything before the cut-over. Each step is one transaction
//! and starts from what the catalogue of PostgreSQL says, so a killed process is continued by
//! whichever instance comes next.
//!
//! A step waits for a lock on the table for [`LOCK_TIMEOUT`] at most, because writers queue behind
//! it, and is retried later.

use std::time::Duration;

use appcore::{AppError, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult, RuntimeErr, TransactionTrait as _};

use super::{DETACHED_PREFIX, Layout, Partition, PartitionedTable, calendar, layout};
use crate::{
    Database,
    constraint::app_error,
    query::{jobs::database_time, raw},
};

/// Key of the advisory lock of the instance that changes partitions.
const LOCK: i64 = 0x6e61_7474_6572_0004;
/// Maximum wait for a lock on a table. It exceeds PostgreSQL's `deadlock_timeout`
/// of one second, after which an autovacuum gives way.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Number of months, including the current one, for which there are partitions.
const MONTHS_AHEAD: i64 = 3;
/// Months from the current one to the cut-over of a new conversion.
const MONTHS_TO_CUTOVER: i64 = 2;
/// Time before its cut-over at which an unfinished conversion gets a new one, so that no row
/// reaches it.
const MIN_LEAD: Duration = Duration::from_secs(7 * 86_400);

/// Result of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No step is left.
    Complete,
    /// The step is done; call again for the next one.
    Advanced,
    /// Another instance is at it.
    Elsewhere,
    /// The table is in use. Nothing was changed.
    Locked,
    /// The table has rows with this time, which is after any cut-over.
    FutureRows(Timestamp),
}

/// Error of a step.
enum StepError {
    /// The wait for a table's lock has timed out, or would have been a deadlock.
    Locked,
    Failed(AppError),
}

impl From<DbErr> for StepError {
    fn from(error: DbErr) -> Self {
        // Lock timeout, and deadlock.
        let is_locked = match &error {
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => cause
                .as_database_error()
                .and_then(|cause| cause.code())
                .is_some_and(|code| matches!(&*code, "55P03" | "40P01")),
            _ => false,
        };
        if is_locked { Self::Locked } else { Self::Failed(app_error(error)) }
    }
}

impl From<AppError> for StepError {
    fn from(error: AppError) -> Self {
        Self::Failed(error)
    }
}

type StepResult = Result<Progress, StepError>;

fn finished(result: StepResult) -> Result<Progress, AppError> {
    match result {
        Ok(progress) => Ok(progress),
        Err(StepError::Locked) => Ok(Progress::Locked),
        Err(StepError::Failed(error)) => Err(error),
    }
}

/// Name of the constraint that no row is later than the cut-over.
pub(super) fn cutover_name(table: PartitionedTable) -> String {
    format!("{}_cutover", table.name())
}

/// Transaction that holds the lock for changes of partitions; `None` if another instance has it.
async fn open_step(db: &Database) -> Result<Option<DatabaseTransaction>, StepError> {
    let tx = db.schema().begin().await?;
    // Set for the transaction, so that it also holds behind a connection pooler.
    let limits = format!("SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = 0", LOCK_TIMEOUT.as_millis());
    tx.execute_unprepared(&limits).await?;
    let is_locked: Option<bool> =
        raw::find_value(&tx, format!("SELECT pg_try_advisory_xact_lock({LOCK}) AS is_locked"), []).await?;
    if is_locked != Some(true) {
        tx.rollback().await?;
        return Ok(None);
    }
    Ok(Some(tx))
}

async fn now(db: &Database) -> Result<Timestamp, AppError> {
    // An instance whose clock is wrong must not create partitions for that time.
    database_time(db.schema()).await.map(Timestamp)
}

/// Executes the next step of the conversion of a table, if `converts`, or creates the next
/// partition of a partitioned table.
pub async fn advance(db: &Database, table: PartitionedTable, converts: bool) -> Result<Progress, AppError> {
    // Most calls find nothing to do, which needs no lock.
    let now = now(db).await?;
    let known = layout(db.schema(), table).await?;
    if is_complete(&known, now, converts) {
        return Ok(Progress::Complete);
    }
    finished(step(db, table, now, converts).await)
}

fn is_complete(layout: &Layout, now: Timestamp, converts: bool) -> bool {
    match layout {
        Layout::Plain { cutover } => !converts && cutover.is_none(),
        Layout::Partitioned(_) => {
            layout.covered_until() >= Some(calendar::start_of(calendar::month_of(now) + MONTHS_AHEAD))
        }
    }
}

async fn step(db: &Database, table: PartitionedTable, now: Timestamp, converts: bool) -> StepResult {
    let Some(tx) = open_step(db).await? else { return Ok(Progress::Elsewhere) };
    let layout = layout(&tx, table).await?;
    if is_complete(&layout, now, converts) {
        tx.rollback().await?;
        return Ok(Progress::Complete);
    }
    match layout {
        Layout::Partitioned(partitions) => create_partition(&tx, table, &partitions, now).await?,
        Layout::Plain { cutover: Some(cutover) } if !converts || cutover.at <= now.plus(MIN_LEAD) => {
            drop_cutover(&tx, table, table.name()).await?;
        }
        Layout::Plain { cutover: Some(cutover) } if cutover.is_validated => {
            swap(&tx, table, cutover.at).await?;
            tx.commit().await?;
            tracing::info!(table = table.name(), cutover = %cutover.at, "table partitioned");
            analyze(db, table).await?;
            return Ok(Progress::Advanced);
        }
        Layout::Plain { cutover: Some(_) } => {
            let sql = format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name(), cutover_name(table));
            tx.execute_unprepared(&sql).await?;
        }
        Layout::Plain { cutover: None } => {
            let cutover = calendar::start_of(calendar::month_of(now) + MONTHS_TO_CUTOVER);
            if let Some(last) = last_time(&tx, table).await?.filter(|last| *last >= cutover) {
                tx.rollback().await?;
                return Ok(Progress::FutureRows(last));
            }
            let sql = format!(
                "ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} < {}) NOT VALID",
                table.name(),
                cutover_name(table),
                table.key(),
                table.literal(cutover)
            );
            tx.execute_unprepared(&sql).await?;
        }
    }
    tx.commit().await?;
    Ok(Progress::Advanced)
}

/// Removes the constraint of a conversion that has not come to its end, if its cut-over is near or
/// the conversion is no longer wanted. Called before the first message is written.
pub async fn remove_cutover(db: &Database, table: PartitionedTable, converts: bool) -> Result<Progress, AppError> {
    let Layout::Plain { cutover: Some(cutover) } = layout(db.schema(), table).await? else {
        return Ok(Progress::Complete);
    };
    if converts && cutover.at > now(db).await?.plus(MIN_LEAD) {
        return Ok(Progress::Complete);
    }
    advance(db, table, converts).await
}

async fn drop_cutover(tx: &DatabaseTransaction, table: PartitionedTable, of: &str) -> Result<(), DbErr> {
    let sql = format!("ALTER TABLE {of} DROP CONSTRAINT {}", cutover_name(table));
    tx.execute_unprepared(&sql).await.map(drop)
}

/// Time of the latest row.
async fn last_time(tx: &DatabaseTransaction, table: PartitionedTable) -> Result<Option<Timestamp>, AppError> {
    let (name, key) = (table.name(), table.key());
    let sql = format!("SELECT CAST({key} AS text) AS last FROM {name} ORDER BY {key} DESC LIMIT 1");
    let last: Option<String> = raw::find_value(tx, sql, []).await?;
    Ok(last.and_then(|last| table.time_of(&last)))
}

/// Makes the existing table a partition of a new one that has its name.
async fn swap(tx: &DatabaseTransaction, table: PartitionedTable, cutover: Timestamp) -> Result<(), StepError> {
    #[derive(FromQueryResult)]
    struct IndexRow {
        name: String,
        definition: String,
        is_unique: bool,
    }
    let (name, key) = (table.name(), table.key());
    let (before, default) = (format!("{name}_before"), format!("{name}_default"));
    tx.execute_unprepared(&format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).await?;
    let sql = format!(
        "SELECT CAST(c.relname AS text) AS name, pg_get_indexdef(i.indexrelid) AS definition, i.indisunique AS is_unique \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = CAST('{name}' AS regclass) ORDER BY c.oid"
    );
    let indexes = raw::find::<_, IndexRow>(tx, sql, []).await?;
    let mut statements = vec![format!("ALTER TABLE {name} RENAME TO {before}")];
    statements.extend(indexes.iter().map(|index| format!("ALTER INDEX {0} RENAME TO before_{0}", index.name)));
    statements.push(format!(
        "CREATE TABLE {name} (LIKE {before} INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE ({key})"
    ));
    if table == PartitionedTable::Messages {
        statements.push(format!("ALTER TABLE {name} ADD PRIMARY KEY ({key})"));
    }
    // Attaching a table also attaches its equal indexes. Unique ones can't exist in the partitioned
    // table, unless they contain the key.
    statements.extend(indexes.into_iter().filter(|index| !index.is_unique).map(|index| index.definition));
    statements.extend([
        format!("CREATE TABLE {default} (LIKE {before} INCLUDING ALL EXCLUDING CONSTRAINTS)"),
        format!(
            "ALTER TABLE {name} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ({})",
            table.literal(cutover)
        ),
        format!("ALTER TABLE {name} ATTACH PARTITION {default} DEFAULT"),
    ]);
    for statement in statements {
        tx.execute_unprepared(&statement).await?;
    }
    drop_cutover(tx, table, &before).await?;
    Ok(())
}

/// Collects statistics of a partitioned table, which autovacuum does only for its partitions.
async fn analyze(db: &Database, table: PartitionedTable) -> Result<(), StepError> {
    let Some(tx) = open_step(db).await? else { return Ok(()) };
    tx.execute_unprepared(&format!("ANALYZE {}", table.name())).await?;
    tx.commit().await?;
    Ok(())
}

/// Creates the partition that follows the last one, and moves rows of its time out of the default
/// partition.
async fn create_partition(
    tx: &DatabaseTransaction,
    table: PartitionedTable,
    partitions: &[Partition],
    now: Timestamp,
) -> Result<(), StepError> {
    let last = partitions.iter().filter_map(|partition| partition.to).max();
    let from = last.unwrap_or_else(|| calendar::start_of(calendar::month_of(now)));
    let count = partitions.iter().filter(|partition| partition.to.is_some()).count();
    let to = calendar::next_bound(from, count);
    let (name, key) = (table.name(), table.key());
    let (new, default) = (format!("{name}_{}", calendar::suffix(from)), format!("{name}_default"));
    let (from, to) = (table.literal(from), table.literal(to));
    for statement in [
        format!("CREATE TABLE {new} (LIKE {default} INCLUDING ALL)"),
        format!("LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE"),
        format!(
            "WITH moved AS (DELETE FROM {default} WHERE {key} >= {from} AND {key} < {to} RETURNING *) \
             INSERT INTO {new} SELECT * FROM moved"
        ),
        format!("ALTER TABLE {name} ATTACH PARTITION {new} FOR VALUES FROM ({from}) TO ({to})"),
    ] {
        tx.execute_unprepared(&statement).await?;
    }
    tracing::info!(table = name, partition = new, "partition created");
    Ok(())
}

/// Detaches the oldest partition of the event log that ends at or before `before`. Call
/// [`drop_detached`] afterwards.
pub async fn detach_before(db: &Database, before: Timestamp) -> Result<Progress, AppError> {
    let table = PartitionedTable::Events;
    // A clock that is ahead must not delete anything early.
    let before = before.min(now(db).await?);
    let expired = |layout: &Layout| match layout {
        Layout::Partitioned(partitions) => {
            partitions.iter().find(|partition| partition.to.is_some_and(|to| to <= before)).cloned()
        }
        Layout::Plain { .. } => None,
    };
    if expired(&layout(db.schema(), table).await?).is_none() {
        return Ok(Progress::Complete);
    }
    let detaching = async {
        let Some(tx) = open_step(db).await? else { return Ok(Progress::Elsewhere) };
        let Some(Partition { name, .. }) = expired(&layout(&tx, table).await?) else {
            tx.rollback().await?;
            return Ok(Progress::Complete);
        };
        tx.execute_unprepared(&format!("ALTER TABLE {} DETACH PARTITION {name}", table.name())).await?;
        tx.execute_unprepared(&format!("ALTER TABLE {name} RENAME TO {DETACHED_PREFIX}{name}")).await?;
        tx.commit().await?;
        tracing::info!(partition = name, "expired partition detached");
        Ok(Progress::Advanced)
    };
    finished(detaching.await)
}

/// Drops partitions that were detached, which needs no lock on the event log. The events that
/// created conversations stay: they move to the default partition.
pub async fn drop_detached(db: &Database) -> Result<Progress, AppError> {
    let Some(_) = first_detached(db.schema()).await? else { return Ok(Progress::Complete) };
    let dropping = async {
        let Some(tx) = open_step(db).await? else { return Ok(Progress::Elsewhere) };
        let Some(name) = first_detached(&tx).await? else {
            tx.rollback().await?;
            return Ok(Progress::Complete);
        };
        let events = PartitionedTable::Events.name();
        let sql = format!("INSERT INTO {events} SELECT * FROM {name} WHERE seq = 0 ON CONFLICT DO NOTHING");
        tx.execute_unprepared(&sql).await?;
        tx.execute_unprepared(&format!("DROP TABLE {name}")).await?;
        tx.commit().await?;
        Ok(Progress::Advanced)
    };
    finished(dropping.await)
}

async fn first_detached<C: sea_orm::ConnectionTrait>(db: &C) -> Result<Option<String>, AppError> {
    let sql = format!(
        "SELECT CAST(tablename AS text) AS name FROM pg_tables \
         WHERE schemaname = CURRENT_SCHEMA() AND tablename LIKE '{}%' ORDER BY 1 LIMIT 1",
        DETACHED_PREFIX.replace('_', "\\_")
    );
    raw::find_value(db, sql, []).await
}
