//! Copies all rows of one database to another, between SQLite and PostgreSQL.
//!
//! Tables are copied in the order of their creation, so that foreign keys always refer to rows that
//! are there already. Nothing may write to the target meanwhile. A source on PostgreSQL can be
//! copied as of one moment ([`copy_snapshot`]); otherwise nothing may write to it either. An
//! interrupted transfer goes on where it stopped: complete tables are skipped, and a table that was
//! begun is continued after its last key.

use std::{collections::BTreeSet, fmt::Write as _};

use anyhow::{Context as _, bail, ensure};
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseBackend, DatabaseConnection, IsolationLevel, QueryResult, Statement,
    TransactionTrait as _, Value,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{Database, query::partitions::DETACHED_PREFIX};

/// Tables that the target fills by itself: applied migrations, running instances, and the search
/// index. Detached partitions have expired.
const NOT_COPIED: [&str; 2] = ["seaql_migrations", "instances"];
const IGNORED_PREFIXES: [&str; 2] = ["search_", DETACHED_PREFIX];
/// Table that marks a target that a transfer has begun.
const MARKER: &str = "transfer_in_progress";
/// Origin of a target that is filled from a snapshot.
const SNAPSHOT: &str = "snapshot";
/// Number of rows that are read first from a table, and maximum number of rows that are read at once.
const FIRST_PAGE_ROWS: usize = 50;
const MAX_PAGE_ROWS: usize = 2_000;
/// Number of bytes that are read at once if the rows of a table have the same size.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Maximum number of parameters of a statement. SQLite accepts 32,766.
const MAX_PARAMETERS: usize = 30_000;

/// Type of a column. Both databases use these types only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Uuid,
    Bytes,
    Boolean,
    I16,
    I32,
    I64,
    Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: String,
    kind: Kind,
    /// Position in the primary key, from 1; 0 if the column is not part of it.
    key_position: i32,
}

#[derive(Clone, Debug)]
struct Table {
    name: String,
    /// Columns in the order of their names.
    columns: Vec<Column>,
}

/// Number and digest of the rows of a table. The digest doesn't depend on their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDigest {
    pub table: String,
    pub rows: u64,
    pub digest: String,
}

/// Rows of a table in pages, in the order of the primary key.
struct Pages<'a, C> {
    db: &'a C,
    table: &'a Table,
    /// Key of the last row that was read.
    after: Option<Vec<Value>>,
    rows: usize,
}

/// Copies all rows from `source` to `target`, both of which have the current schema. `origin`
/// identifies the source in the target, so that another source is refused. Calls `progress` with the
/// name of each table and the number of its rows that are copied.
pub async fn copy(
    source: &Database,
    target: &Database,
    origin: &str,
    mut progress: impl FnMut(&str, u64),
) -> anyhow::Result<()> {
    copy_rows(source.schema(), target.schema(), origin, &mut progress).await
}

/// Copies all rows of a PostgreSQL database as of one moment to an empty database, and compares
/// their digests. Other sessions may write to the source meanwhile, but not change its schema.
pub async fn copy_snapshot(
    source: &Database,
    target: &Database,
    mut progress: impl FnMut(&str, u64),
) -> anyhow::Result<()> {
    let (isolation, access) = (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly));
    let snapshot = source.schema().begin_with_config(isolation, access).await?;
    let names: Vec<String> = tables(&snapshot).await?.into_iter().map(|table| table.name).collect();
    ensure!(!names.is_empty(), "The database has no tables.");
    // A schema change waits for this lock, and would not be part of the snapshot.
    run(&snapshot, format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "))).await?;
    copy_rows(&snapshot, target.schema(), SNAPSHOT, &mut progress).await?;
    for (before, after) in compare(&snapshot, target.schema()).await? {
        ensure!(before == after, "The copy of the table {} differs.", before.table);
    }
    Ok(snapshot.rollback().await?)
}

/// Computes the digests of all copied tables in both databases, the source first.
pub async fn digests(source: &Database, target: &Database) -> anyhow::Result<Vec<(TableDigest, TableDigest)>> {
    compare(source.schema(), target.schema()).await
}

async fn copy_rows<C: ConnectionTrait>(
    from: &C,
    to: &DatabaseConnection,
    origin: &str,
    progress: &mut impl FnMut(&str, u64),
) -> anyhow::Result<()> {
    let tables = common_tables(from, to).await?;
    mark(to, &tables, origin).await?;
    for (from_table, to_table) in &tables {
        copy_table(from, to, from_table, to_table, progress)
            .await
            .with_context(|| format!("Failed to copy the table {}", to_table.name))?;
    }
    run(to, format!("DROP TABLE {MARKER}")).await
}

async fn compare<C: ConnectionTrait>(
    from: &C,
    to: &DatabaseConnection,
) -> anyhow::Result<Vec<(TableDigest, TableDigest)>> {
    let mut pairs = Vec::new();
    for (from_table, to_table) in common_tables(from, to).await? {
        pairs.push((digest(from, &from_table).await?, digest(to, &to_table).await?));
    }
    Ok(pairs)
}

/// The tables that are copied, as the source and as the target describe them.
async fn common_tables<C: ConnectionTrait>(from: &C, to: &DatabaseConnection) -> anyhow::Result<Vec<(Table, Table)>> {
    let (from, to) = (tables(from).await?, tables(to).await?);
    let names = |tables: &[Table]| tables.iter().map(|table| table.name.clone()).collect::<BTreeSet<_>>();
    ensure!(
        names(&from) == names(&to),
        "The databases have different tables: {:?}.",
        names(&from).symmetric_difference(&names(&to)).collect::<Vec<_>>()
    );
    let mut pairs = Vec::new();
    for to_table in to {
        let Some(from_table) = from.iter().find(|table| table.name == to_table.name) else { continue };
        let columns = |table: &Table| table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        ensure!(columns(from_table) == columns(&to_table), "The tables {} have different columns.", to_table.name);
        pairs.push((from_table.clone(), to_table));
    }
    Ok(pairs)
}

/// Lists the tables in the order of their creation.
async fn tables<C: ConnectionTrait>(db: &C) -> anyhow::Result<Vec<Table>> {
    let backend = db.get_database_backend();
    // Partitions are read through their table. Its primary key is that of any of them.
    let sql = if backend == DatabaseBackend::Postgres {
        "SELECT CAST(t.relname AS text) AS of, CAST(a.attname AS text) AS name, CAST(y.typname AS text) AS kind, \
           COALESCE((SELECT array_position(CAST(i.indkey AS int2[]), k.attnum) + 1 FROM pg_index i \
             JOIN pg_attribute k ON k.attrelid = i.indrelid AND k.attname = a.attname \
             WHERE i.indrelid = COALESCE((SELECT MIN(h.inhrelid) FROM pg_inherits h WHERE h.inhparent = t.oid), t.oid) \
               AND i.indisprimary), 0) AS key_position \
         FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace \
         JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped \
         JOIN pg_type y ON y.oid = a.atttypid \
         WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND n.nspname = CURRENT_SCHEMA() ORDER BY t.oid, a.attname"
    } else {
        "SELECT t.name AS of, c.name, c.type AS kind, c.pk AS key_position \
         FROM sqlite_master t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY t.rowid, c.name"
    };
    let mut tables: Vec<Table> = Vec::new();
    for row in db.query_all_raw(Statement::from_string(backend, sql)).await? {
        let name: String = row.try_get("", "of")?;
        if NOT_COPIED.contains(&name.as_str())
            || name == MARKER
            || IGNORED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        {
            continue;
        }
        let column = Column {
            name: row.try_get("", "name")?,
            kind: kind(&row.try_get::<String>("", "kind")?, backend)?,
            key_position: row.try_get("", "key_position")?,
        };
        match tables.last_mut() {
            Some(table) if table.name == name => table.columns.push(column),
            _ => tables.push(Table { name, columns: vec![column] }),
        }
    }
    Ok(tables)
}

fn kind(name: &str, backend: DatabaseBackend) -> anyhow::Result<Kind> {
    let name = name.to_lowercase();
    Ok(match name.split('(').next().unwrap_or_default() {
        "uuid" | "uuid_text" => Kind::Uuid,
        "bytea" | "blob" | "varbinary" | "binary" => Kind::Bytes,
        "bool" | "boolean" => Kind::Boolean,
        "smallint" | "integer" | "bigint" if backend == DatabaseBackend::Sqlite => Kind::I64,
        "int2" => Kind::I16,
        "int4" => Kind::I32,
        "int8" => Kind::I64,
        "text" | "varchar" => Kind::Text,
        other => bail!("The column type {other} can't be copied."),
    })
}

/// Marks a target without rows as begun. A target that was begun from the same source is continued,
/// and any other is refused. Rows that migrations have inserted are removed.
async fn mark(to: &DatabaseConnection, tables: &[(Table, Table)], origin: &str) -> anyhow::Result<()> {
    run(to, format!("CREATE TABLE IF NOT EXISTS {MARKER} (origin text NOT NULL)")).await?;
    let backend = to.get_database_backend();
    let found = to.query_one_raw(Statement::from_string(backend, format!("SELECT origin FROM {MARKER}"))).await?;
    if let Some(found) = found {
        let begun: String = found.try_get("", "origin")?;
        ensure!(begun == origin, "Another installation is being moved to the target. Name an empty database.");
        return Ok(());
    }
    for (_, table) in tables {
        if table.name == "users" && count(to, table).await? > 0 {
            run(to, format!("DROP TABLE {MARKER}")).await?;
            bail!("The target has data already. Name an empty database.");
        }
    }
    let tx = to.begin().await?;
    for (_, table) in tables.iter().rev() {
        tx.execute_raw(Statement::from_string(backend, format!("DELETE FROM {}", table.name))).await?;
    }
    let insert = format!("INSERT INTO {MARKER} (origin) VALUES ($1)");
    tx.execute_raw(Statement::from_sql_and_values(backend, insert, [Value::from(origin)])).await?;
    Ok(tx.commit().await?)
}

async fn copy_table<C: ConnectionTrait>(
    from: &C,
    to: &DatabaseConnection,
    from_table: &Table,
    to_table: &Table,
    progress: &mut impl FnMut(&str, u64),
) -> anyhow::Result<()> {
    let name = &to_table.name;
    let total = count(from, from_table).await?;
    let mut copied = count(to, to_table).await?;
    if copied == total {
        progress(name, total);
        return Ok(());
    }
    // Texts are ordered differently by the two databases, so their last key says nothing.
    let is_resumable = key_columns(to_table).iter().all(|(_, column)| column.kind != Kind::Text);
    let last = if copied > 0 && is_resumable { last_key(to, to_table).await? } else { None };
    if copied > 0 && last.is_none() {
        run(to, format!("DELETE FROM {name}")).await?;
        copied = 0;
    }
    let mut pages = Pages::after(from, from_table, last);
    while let Some(rows) = pages.next().await? {
        let tx = to.begin().await?;
        for part in rows.chunks((MAX_PARAMETERS / to_table.columns.len()).max(1)) {
            tx.execute_raw(insert(to.get_database_backend(), to_table, part)?).await?;
        }
        tx.commit().await?;
        copied += rows.len() as u64;
        progress(name, copied);
    }
    ensure!(copied == total, "{copied} of {total} rows were copied.");
    Ok(())
}

impl<'a, C: ConnectionTrait> Pages<'a, C> {
    const fn after(db: &'a C, table: &'a Table, key: Option<Vec<Value>>) -> Self {
        Self { db, table, after: key, rows: FIRST_PAGE_ROWS }
    }

    /// Reads the next page; `None` after the last row.
    async fn next(&mut self) -> anyhow::Result<Option<Vec<Vec<Value>>>> {
        let table = self.table;
        let keys = keys(table).join(", ");
        let mut sql = format!("SELECT {} FROM {}", columns(table), table.name);
        if let Some(after) = &self.after {
            let marks: Vec<String> = (1..=after.len()).map(|number| format!("${number}")).collect();
            // Writing to a `String` can't fail.
            let _ = write!(sql, " WHERE ({keys}) > ({})", marks.join(", "));
        }
        let _ = write!(sql, " ORDER BY {keys} LIMIT {}", self.rows);
        let values = self.after.clone().unwrap_or_default();
        let statement = Statement::from_sql_and_values(self.db.get_database_backend(), sql, values);
        let rows: anyhow::Result<Vec<Vec<Value>>> = self
            .db
            .query_all_raw(statement)
            .await?
            .iter()
            .map(|row| table.columns.iter().map(|column| value(row, column)).collect())
            .collect();
        let rows = rows?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = Some(key(table, last));
        let bytes: usize = rows.iter().flatten().map(size).sum();
        self.rows = (PAGE_BYTES * rows.len() / bytes.max(1)).clamp(1, MAX_PAGE_ROWS);
        Ok(Some(rows))
    }
}

/// Approximate size of a value in bytes.
fn size(value: &Value) -> usize {
    match value {
        Value::Bytes(Some(bytes)) => bytes.len(),
        Value::String(Some(text)) => text.len(),
        _ => size_of::<Uuid>(),
    }
}

/// Key of the last row, or `None` if there is none.
async fn last_key(db: &DatabaseConnection, table: &Table) -> anyhow::Result<Option<Vec<Value>>> {
    let keys: Vec<String> = keys(table).into_iter().map(|key| format!("{key} DESC")).collect();
    let sql = format!("SELECT {} FROM {} ORDER BY {} LIMIT 1", columns(table), table.name, keys.join(", "));
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    let Some(row) = row else { return Ok(None) };
    let row: anyhow::Result<Vec<Value>> = table.columns.iter().map(|column| value(&row, column)).collect();
    Ok(Some(key(table, &row?)))
}

fn value(row: &QueryResult, column: &Column) -> anyhow::Result<Value> {
    let name = column.name.as_str();
    Ok(match column.kind {
        Kind::Uuid => row.try_get::<Option<Uuid>>("", name)?.into(),
        Kind::Bytes => row.try_get::<Option<Vec<u8>>>("", name)?.into(),
        Kind::Boolean => row.try_get::<Option<bool>>("", name)?.into(),
        Kind::I16 => row.try_get::<Option<i16>>("", name)?.map(i64::from).into(),
        Kind::I32 => row.try_get::<Option<i32>>("", name)?.map(i64::from).into(),
        Kind::I64 => row.try_get::<Option<i64>>("", name)?.into(),
        Kind::Text => row.try_get::<Option<String>>("", name)?.into(),
    })
}

/// Inserts rows. Their integers are those of the widest type.
fn insert(backend: DatabaseBackend, table: &Table, rows: &[Vec<Value>]) -> anyhow::Result<Statement> {
    let mut sql = format!("INSERT INTO {} ({}) VALUES ", table.name, columns(table));
    let mut values = Vec::with_capacity(rows.len() * table.columns.len());
    for (at, row) in rows.iter().enumerate() {
        sql.push_str(if at == 0 { "(" } else { ", (" });
        for (at, (column, value)) in table.columns.iter().zip(row).enumerate() {
            values.push(narrow(column.kind, value)?);
            let _ = write!(sql, "{}${}", if at == 0 { "" } else { ", " }, values.len());
        }
        sql.push(')');
    }
    Ok(Statement::from_sql_and_values(backend, sql, values))
}

/// Converts an integer to the type of the target's column.
fn narrow(kind: Kind, value: &Value) -> anyhow::Result<Value> {
    Ok(match (kind, value) {
        (Kind::I16, Value::BigInt(number)) => number.map(i16::try_from).transpose()?.into(),
        (Kind::I32, Value::BigInt(number)) => number.map(i32::try_from).transpose()?.into(),
        _ => value.clone(),
    })
}

async fn digest<C: ConnectionTrait>(db: &C, table: &Table) -> anyhow::Result<TableDigest> {
    let (mut rows, mut sum) = (0_u64, 0_u128);
    let mut pages = Pages::after(db, table, None);
    while let Some(page) = pages.next().await? {
        for row in &page {
            let hash = Sha256::digest(format!("{row:?}"));
            let first: [u8; 16] = hash.first_chunk().copied().unwrap_or_default();
            sum = sum.wrapping_add(u128::from_be_bytes(first));
        }
        rows += page.len() as u64;
    }
    Ok(TableDigest { table: table.name.clone(), rows, digest: format!("{sum:032x}") })
}

fn columns(table: &Table) -> String {
    table.columns.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ")
}

/// The columns of the primary key in its order, so that its index gives the order of rows, each with
/// its place in a row.
fn key_columns(table: &Table) -> Vec<(usize, &Column)> {
    let mut columns: Vec<_> = table.columns.iter().enumerate().filter(|(_, column)| column.key_position > 0).collect();
    columns.sort_by_key(|(_, column)| column.key_position);
    columns
}

fn keys(table: &Table) -> Vec<String> {
    key_columns(table).into_iter().map(|(_, column)| format!("\"{}\"", column.name)).collect()
}

fn key(table: &Table, row: &[Value]) -> Vec<Value> {
    key_columns(table).into_iter().map(|(at, _)| row[at].clone()).collect()
}

async fn count<C: ConnectionTrait>(db: &C, table: &Table) -> anyhow::Result<u64> {
    let sql = format!("SELECT COUNT(*) AS rows FROM {}", table.name);
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    let rows: i64 = row.context("A count has no row.")?.try_get("", "rows")?;
    Ok(u64::try_from(rows)?)
}

async fn run<C: ConnectionTrait>(db: &C, sql: String) -> anyhow::Result<()> {
    db.execute_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use migration::{Migrator, MigratorTrait as _};

    use super::*;
    use crate::sqlite_url;

    async fn open(file: &Path) -> Database {
        let database = Database::connect(&sqlite_url(file).unwrap(), 1).await.unwrap();
        Migrator::up(database.schema(), None).await.unwrap();
        database
    }

    #[tokio::test]
    async fn copies_tables_of_many_pages() {
        const ROWS: u64 = 5_000;
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (open(&folder.path().join("a.db")).await, open(&folder.path().join("b.db")).await);
        // Long names, so that the size of a page limits the number of its rows.
        let insert = "INSERT INTO figures (step, at, name, value) WITH RECURSIVE n(i) AS \
                      (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
                      SELECT 'minute', i, 'figure' || hex(zeroblob(i % 1000)), i FROM n";
        run(source.schema(), insert.to_owned()).await.unwrap();
        let mut copied = Vec::new();
        let progress = |table: &str, rows| copied.extend((table == "figures").then_some(rows));
        copy(&source, &target, "origin", progress).await.unwrap();
        assert!(copied.len() > 3 && copied.is_sorted() && copied.last() == Some(&ROWS), "{copied:?}");
        let digests = digests(&source, &target).await.unwrap();
        assert!(digests.iter().all(|(before, after)| before == after));
        assert!(digests.iter().any(|(_, after)| after.table == "figures" && after.rows == ROWS));
    }
}
