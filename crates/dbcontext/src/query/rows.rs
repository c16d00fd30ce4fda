//! Many rows in one parameter: the text of a statement stays the same however many there are, so it is prepared once.
//!
//! The rows travel as a JSON array of objects; PostgreSQL unfolds it by `json_to_recordset`, SQLite by `json_each`. Ids stand in it
//! as 32 hexadecimal digits, which both can read.

use appcore::AppError;
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement, Value};
use serde::Serialize;
use uuid::Uuid;

use crate::constraint::app_error;

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
        format!("(SELECT {} FROM json_each($1)) AS w", fields.join(", "))
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
    sql: String,
    rows: String,
}

impl Piece {
    pub(crate) fn new(sql: String, rows: &impl Serialize) -> Result<Self, AppError> {
        Ok(Self { sql, rows: serde_json::to_string(rows).map_err(AppError::internal)? })
    }
}

/// Executes pieces that don't depend on each other. PostgreSQL gets them as one statement, because each one is a round trip; in
/// SQLite, which is in this process and changes one table at a time, they follow each other.
pub async fn execute<C: ConnectionTrait>(db: &C, pieces: Vec<Piece>) -> Result<(), AppError> {
    let backend = db.get_database_backend();
    let statements = if backend == DatabaseBackend::Postgres && pieces.len() > 1 {
        let sql = format!("WITH {} SELECT 1", join(&pieces, 1, |rows| rows));
        vec![Statement::from_sql_and_values(backend, sql, values(pieces))]
    } else {
        pieces
            .into_iter()
            .map(|piece| Statement::from_sql_and_values(backend, piece.sql, [piece.rows.into()]))
            .collect()
    };
    for statement in statements {
        db.execute_raw(statement).await.map_err(app_error)?;
    }
    Ok(())
}

/// For PostgreSQL, one statement: if `claim` yields as many rows as are asked for, all of `pieces` are executed, otherwise none of
/// them. It answers what `claim` yields.
pub(crate) fn execute_if(claim: Piece, count: usize, pieces: Vec<Piece>) -> Statement {
    // A piece whose rows are none changes nothing.
    let guarded = |rows| format!("(CASE WHEN (SELECT COUNT(*) FROM claimed) = $2 THEN {rows} ELSE '[]' END)");
    let sql = format!("WITH claimed AS ({}), {} SELECT * FROM claimed", claim.sql, join(&pieces, 3, guarded));
    let wanted = i64::try_from(count).unwrap_or(i64::MAX);
    let values = [claim.rows.into(), wanted.into()].into_iter().chain(values(pieces));
    Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, values)
}

/// The pieces as common table expressions, whose rows are the parameters from `first` on.
fn join(pieces: &[Piece], first: usize, rows: impl Fn(String) -> String) -> String {
    let parts: Vec<String> = pieces
        .iter()
        .enumerate()
        .map(|(place, piece)| {
            let number = first + place;
            format!("p{number} AS ({})", piece.sql.replace("$1", &rows(format!("${number}"))))
        })
        .collect();
    parts.join(", ")
}

fn values(pieces: Vec<Piece>) -> impl Iterator<Item = Value> {
    pieces.into_iter().map(|piece| piece.rows.into())
}
