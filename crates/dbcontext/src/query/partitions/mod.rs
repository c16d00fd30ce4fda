//! Partitions by time of the two tables that grow with every message, on PostgreSQL.
//!
//! `conversation_events` is partitioned by its time, and `messages` by its id, which is a UUID of
//! version 7 and thus starts with a time. A partition covers a month, or more if there are many of
//! them. The first partition has everything from before the conversion ([`advance`]), and the last
//! one, which PostgreSQL calls the default, catches rows whose time has no partition, such as those
//! of an instance with a wrong clock. So no row is ever refused.
//!
//! A unique index of a partitioned table must contain the column of the partitions. Each partition
//! therefore has unique indexes of its own, and the writer's lock on the conversation guards the
//! table as a whole: it numbers events, and it looks for the `client_id` in all partitions
//! ([`ExpectedState::client_ids`](super::batches::ExpectedState)).

mod calendar;
mod conversion;

use appcore::{AppError, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};

pub use conversion::{Progress, advance, detach_before, drop_detached, remove_cutover};

use super::raw;
use crate::Database;

/// Prefix of the names of detached partitions, which are about to be dropped.
pub(crate) const DETACHED_PREFIX: &str = "detached_";

/// Table that can be partitioned by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionedTable {
    Events,
    Messages,
}

impl PartitionedTable {
    pub const ALL: [Self; 2] = [Self::Events, Self::Messages];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "conversation_events",
            Self::Messages => "messages",
        }
    }

    /// Column that determines the partition of a row.
    const fn key(self) -> &'static str {
        match self {
            Self::Events => "created_at",
            Self::Messages => "id",
        }
    }

    /// SQL literal of the smallest key at this time.
    fn literal(self, time: Timestamp) -> String {
        match self {
            Self::Events => time.millis().to_string(),
            Self::Messages => {
                let millis = time.millis().max(0);
                format!("'{:08x}-{:04x}-0000-0000-000000000000'", millis >> 16, millis & 0xffff)
            }
        }
    }

    /// Time of a bound as PostgreSQL prints it. Returns `None` for `MINVALUE` and `MAXVALUE`.
    fn time_of(self, bound: &str) -> Option<Timestamp> {
        let bound = bound.trim_matches('\'');
        let millis = match self {
            Self::Events => bound.parse().ok(),
            Self::Messages => {
                let digits: String = bound.chars().filter(|character| *character != '-').take(12).collect();
                i64::from_str_radix(&digits, 16).ok()
            }
        };
        millis.map(Timestamp)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub name: String,
    /// Start of its time; `None` if it has all rows before `to`.
    pub from: Option<Timestamp>,
    /// End of its time; `None` for the default partition.
    pub to: Option<Timestamp>,
}

impl Partition {
    /// True if retention deletes its expired rows. The rows of other partitions expire together
    /// with the partition.
    const fn is_trimmed(&self) -> bool {
        self.from.is_none()
    }
}

/// State of a table that can be partitioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The table has no partitions. A conversion that has begun refuses rows from `cutover` on, a
    /// time that lies weeks ahead.
    Plain { cutover: Option<Cutover> },
    /// Partitions in the order of their times; the default partition is the last one.
    Partitioned(Vec<Partition>),
}

/// End of the partition that an existing table becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutover {
    pub at: Timestamp,
    /// True if all existing rows are known to be earlier.
    pub is_validated: bool,
}

impl Layout {
    #[must_use]
    pub const fn is_partitioned(&self) -> bool {
        matches!(self, Self::Partitioned(_))
    }

    /// Time up to which partitions exist.
    #[must_use]
    pub fn covered_until(&self) -> Option<Timestamp> {
        match self {
            Self::Plain { .. } => None,
            Self::Partitioned(partitions) => partitions.iter().filter_map(|partition| partition.to).max(),
        }
    }
}

/// Returns the state of a table. On SQLite, tables are never partitioned.
pub async fn layout<C: ConnectionTrait>(db: &C, table: PartitionedTable) -> Result<Layout, AppError> {
    #[derive(FromQueryResult)]
    struct Found {
        is_partitioned: bool,
        name: Option<String>,
        bound: Option<String>,
        cutover: Option<String>,
        is_validated: Option<bool>,
    }
    if db.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(Layout::Plain { cutover: None });
    }
    let sql = "SELECT t.relkind = 'p' AS is_partitioned, CAST(c.relname AS text) AS name, \
                 pg_get_expr(c.relpartbound, c.oid) AS bound, \
                 substring(pg_get_constraintdef(k.oid) FROM '< ''?([0-9a-f-]+)') AS cutover, k.convalidated AS is_validated \
               FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace \
               LEFT JOIN pg_inherits i ON i.inhparent = t.oid LEFT JOIN pg_class c ON c.oid = i.inhrelid \
               LEFT JOIN pg_constraint k ON k.conrelid = t.oid AND k.conname = $2 \
               WHERE n.nspname = CURRENT_SCHEMA() AND t.relname = $1";
    let values = [table.name().into(), conversion::cutover_name(table).into()];
    let found = raw::find::<_, Found>(db, sql, values).await?;
    if found.first().is_some_and(|first| first.is_partitioned) {
        let mut partitions: Vec<Partition> =
            found.into_iter().filter_map(|row| Some(partition(table, row.name?, &row.bound?))).collect();
        partitions.sort_unstable_by_key(|partition| (partition.to.is_none(), partition.to));
        return Ok(Layout::Partitioned(partitions));
    }
    let cutover = found.into_iter().next().and_then(|row| {
        let at = table.time_of(&row.cutover?)?;
        Some(Cutover { at, is_validated: row.is_validated.unwrap_or(false) })
    });
    Ok(Layout::Plain { cutover })
}

/// Parses a bound such as `FOR VALUES FROM (MINVALUE) TO ('1800000000000')`, or `DEFAULT`.
fn partition(table: PartitionedTable, name: String, bound: &str) -> Partition {
    let after = |word: &str| {
        let (_, value) = bound.split_once(word)?;
        table.time_of(value.split_once(')')?.0)
    };
    Partition { name, from: after("FROM ("), to: after("TO (") }
}

/// Names of the tables whose expired events are deleted row by row: the log itself, or those of its
/// partitions that don't expire as a whole.
pub async fn trimmed_tables<C: ConnectionTrait>(db: &C) -> Result<Vec<String>, AppError> {
    Ok(match layout(db, PartitionedTable::Events).await? {
        Layout::Plain { .. } => vec![PartitionedTable::Events.name().to_owned()],
        Layout::Partitioned(partitions) => {
            partitions.into_iter().filter(Partition::is_trimmed).map(|partition| partition.name).collect()
        }
    })
}

/// True if the default partition of a table has rows that belong to no partition that ever existed,
/// which happens if a clock was wrong, or if partitions were not created in time.
pub async fn has_stray_rows(db: &Database, table: PartitionedTable) -> Result<bool, AppError> {
    let Layout::Partitioned(partitions) = layout(db.reader(), table).await? else { return Ok(false) };
    let Some(end) = partitions.iter().filter_map(|partition| partition.to).max() else { return Ok(false) };
    let Some(default) = partitions.iter().find(|partition| partition.to.is_none()) else { return Ok(false) };
    let sql = format!("SELECT 1 AS one FROM {} WHERE {} >= {} LIMIT 1", default.name, table.key(), table.literal(end));
    raw::exists(db.reader(), sql, []).await
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn parses_the_bounds_of_partitions() {
        let of = |table, bound: &str| partition(table, "p".to_owned(), bound);
        let events = of(PartitionedTable::Events, "FOR VALUES FROM (MINVALUE) TO ('1800000000000')");
        assert_eq!((events.from, events.to), (None, Some(Timestamp(1_800_000_000_000))));
        assert!(events.is_trimmed());
        let bound = format!(
            "FOR VALUES FROM ({}) TO ({})",
            PartitionedTable::Messages.literal(Timestamp(1_800_000_000_000)),
            PartitionedTable::Messages.literal(Timestamp(1_802_592_000_001))
        );
        let messages = of(PartitionedTable::Messages, &bound);
        assert_eq!(messages.from, Some(Timestamp(1_800_000_000_000)));
        assert_eq!(messages.to, Some(Timestamp(1_802_592_000_001)));
        assert!(!messages.is_trimmed());
        let default = of(PartitionedTable::Messages, "DEFAULT");
        assert_eq!((default.from, default.to), (None, None));
    }

    #[test]
    fn ids_of_messages_are_at_or_after_the_bound_of_their_time() {
        let id = Uuid::now_v7();
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        let millis = i64::try_from(seconds).unwrap() * 1_000 + i64::from(nanos / 1_000_000);
        let bound = |millis| PartitionedTable::Messages.literal(Timestamp(millis)).trim_matches('\'').parse::<Uuid>();
        assert!(bound(millis).unwrap() <= id && id < bound(millis + 1).unwrap());
    }
}
