//! Many rows in one parameter: the text of a statement stays the same however many there are, so it is prepared once.
//!
//! The rows travel as a JSON array of objects; PostgreSQL unfolds it by `json_to_recordset`, SQLite by `json_each`. Ids stand in it
//! as 32 hexadecimal digits, which both can read.

use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};
use serde::Serialize;
use uuid::Uuid;

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
) -> Result<Statement, appcore::AppError> {
    let rows = serde_json::to_string(rows).map_err(appcore::AppError::internal)?;
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
