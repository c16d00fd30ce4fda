//! Many rows in one parameter: the text of a statement stays the same however many there are, so it is prepared once.
//!
//! The rows travel as a JSON array of objects; PostgreSQL unfolds it by `json_to_recordset`, SQLite by `json_each`. Ids stand in it
//! as 32 hexadecimal digits, which both can read.

use std::{borrow::Cow, sync::OnceLock};

use appcore::AppError;
use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, Statement, Value};
use serde::Serialize;
use uuid::Uuid;

use crate::{constraint::app_error, sqlite::Sqlite};

/// What a column of the unfolded rows holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    Uuid(&'static str),
    Text(&'static str),
    Int(&'static str),
}

/// The table expression that `$1` unfolds into, named `w`.
pub(crate) fn unfold(backend: DatabaseBackend, columns: &[Column]) -> String {
    if backend == DatabaseBackend::Postgres {
        let fields: Vec<String> = columns
            .iter()
            .map(|column| match column {
                Column::Uuid(name) => format!("{name} uuid"),
                Column::Text(name) => format!("{name} text"),
                Column::Int(name) => format!("{name} bigint"),
            })
            .collect();
        format!("json_to_recordset($1::json) AS w({})", fields.join(", "))
    } else {
        let fields: Vec<String> = columns
            .iter()
            .map(|column| match column {
                Column::Uuid(name) => format!("unhex(value->>'{name}') AS {name}"),
                Column::Text(name) | Column::Int(name) => format!("value->>'{name}' AS {name}"),
            })
            .collect();
        // Read once: `value` is written out anew wherever it stands, which was half of what an insertion cost.
        let rows = "WITH r AS MATERIALIZED (SELECT value FROM json_each($1))";
        format!("({rows} SELECT {} FROM r) AS w", fields.join(", "))
    }
}

/// A statement whose `$1` is `rows`.
pub(crate) fn statement<C: ConnectionTrait>(
    db: &C,
    sql: impl Into<String>,
    rows: &impl Serialize,
) -> Result<Statement, AppError> {
    let rows = serde_json::to_string(rows).map_err(AppError::internal)?;
    Ok(Statement::from_sql_and_values(db.get_database_backend(), sql, [rows.into()]))
}

/// An id as it stands in the rows.
pub(crate) fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

/// Some of them again, so that their number is a power of two: each number is another statement for the database to prepare.
pub(crate) fn rounded<T: Clone>(values: &[T]) -> impl Iterator<Item = T> {
    values.iter().cloned().cycle().take(if values.is_empty() { 0 } else { values.len().next_power_of_two() })
}

/// Ids as rows with the one field `id`.
pub(crate) fn ids(ids: impl IntoIterator<Item = Uuid>) -> Vec<IdRow> {
    ids.into_iter().map(|id| IdRow { id: hex(id) }).collect()
}

#[derive(Debug, Serialize)]
pub(crate) struct IdRow {
    id: String,
}

/// A statement that changes something, and the rows for its `$1`.
#[derive(Debug)]
pub struct Piece {
    sql: Cow<'static, str>,
    rows: String,
}

impl Piece {
    pub(crate) fn new(sql: impl Into<Cow<'static, str>>, rows: &impl Serialize) -> Result<Self, AppError> {
        Ok(Self { sql: sql.into(), rows: serde_json::to_string(rows).map_err(AppError::internal)? })
    }
}

/// The text of a statement that each group needs, put together once for each kind of database.
pub(crate) struct Text {
    sqlite: OnceLock<String>,
    postgres: OnceLock<String>,
}

impl Text {
    pub const fn new() -> Self {
        Self { sqlite: OnceLock::new(), postgres: OnceLock::new() }
    }

    pub fn get(&'static self, backend: DatabaseBackend, make: impl FnOnce() -> String) -> &'static str {
        let text = if backend == DatabaseBackend::Postgres { &self.postgres } else { &self.sqlite };
        text.get_or_init(make)
    }
}

/// Executes pieces that don't depend on each other, in one call: PostgreSQL gets them as one statement, because each one is a round
/// trip, and SQLite as statements that follow each other, because each call wakes a thread.
pub async fn execute<C: ConnectionTrait>(db: &C, pieces: Vec<Piece>) -> Result<(), AppError> {
    let backend = db.get_database_backend();
    let sql = match (backend, pieces.as_slice()) {
        (_, []) => return Ok(()),
        (_, [piece]) => piece.sql.to_string(),
        (DatabaseBackend::Postgres, pieces) => {
            format!("WITH {} SELECT 1", expressions(pieces, 1, |rows| rows))
        }
        (_, pieces) => sequence(pieces),
    };
    db.execute_raw(Statement::from_sql_and_values(backend, sql, values(pieces))).await.map_err(app_error)?;
    Ok(())
}

/// The same on SQLite, as a transaction of its own, with the database's own error.
pub(crate) async fn transact(sqlite: &Sqlite, pieces: Vec<Piece>) -> Result<(), DbErr> {
    let sql = sequence(&pieces);
    sqlite.transact(&sql, pieces.into_iter().map(|piece| piece.rows).collect()).await
}

/// For PostgreSQL, one statement: if `claim` yields as many rows as are asked for, all of `pieces` are executed, otherwise none of
/// them. It answers what `claim` yields.
pub(crate) fn execute_if(claim: Piece, count: usize, pieces: Vec<Piece>) -> Statement {
    // A piece whose rows are none changes nothing.
    let guarded = |rows| format!("(CASE WHEN (SELECT COUNT(*) FROM claimed) = $2 THEN {rows} ELSE '[]' END)");
    let sql = format!("WITH claimed AS ({}), {} SELECT * FROM claimed", claim.sql, expressions(&pieces, 3, guarded));
    let wanted = i64::try_from(count).unwrap_or(i64::MAX);
    let values = [claim.rows.into(), wanted.into()].into_iter().chain(values(pieces));
    Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, values)
}

/// The pieces as common table expressions.
fn expressions(pieces: &[Piece], first: usize, rows: impl Fn(String) -> String) -> String {
    let parts = numbered(pieces, first, rows).enumerate();
    parts.map(|(place, sql)| format!("p{place} AS ({sql})")).collect::<Vec<_>>().join(", ")
}

/// The pieces as statements that follow each other.
fn sequence(pieces: &[Piece]) -> String {
    numbered(pieces, 1, |rows| rows).collect::<Vec<_>>().join("; ")
}

/// The statements of the pieces, with their rows as the parameters from `first` on.
fn numbered(pieces: &[Piece], first: usize, rows: impl Fn(String) -> String) -> impl Iterator<Item = String> {
    pieces.iter().enumerate().map(move |(place, piece)| piece.sql.replace("$1", &rows(format!("${}", first + place))))
}

fn values(pieces: Vec<Piece>) -> impl Iterator<Item = Value> {
    pieces.into_iter().map(|piece| piece.rows.into())
}
