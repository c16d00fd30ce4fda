//! Hand-written SQL with typed parameters and rows.
//!
//! Single rows are created, read, updated and deleted by their entities ([`single`](super::single)
//! has the inserts). Everything else is SQL in this layer: batches, joins, windows, upserts with
//! conditions, and search. A statement takes its parameters as values and returns rows as structs
//! ([`find`], [`find_one`]), a single value ([`find_value`]), whether there is a row ([`exists`]), the
//! number of changed rows ([`execute`]), or nothing ([`run`]). Many rows are passed as one parameter
//! ([`rows`](super::rows)). Changes of many rows are written as
//! [pieces](crate::statement), several of which are sent to the database in one call.

use std::marker::PhantomData;

use appcore::AppError;
use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, FromQueryResult, Statement, TryGetable, Value};
use serde::de::DeserializeOwned;

use super::rows::Column;
use crate::constraint::app_error;

fn statement<C: ConnectionTrait>(db: &C, sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}

/// Converts a number of rows to a parameter of `LIMIT` or `OFFSET`, which is signed.
pub(super) fn limit(rows: u64) -> Value {
    i64::try_from(rows).unwrap_or(i64::MAX).into()
}

/// Executes a statement and returns the number of changed rows.
pub(super) async fn execute<C: ConnectionTrait>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, AppError> {
    Ok(db.execute_raw(statement(db, sql, values)).await.map_err(app_error)?.rows_affected())
}

/// Executes a statement and ignores the number of changed rows.
pub(super) async fn run<C: ConnectionTrait>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<(), AppError> {
    execute(db, sql, values).await.map(drop)
}

/// Executes a query and returns all rows.
pub(super) async fn find<C: ConnectionTrait, T: FromQueryResult>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>, AppError> {
    T::find_by_statement(statement(db, sql, values)).all(db).await.map_err(app_error)
}

/// Executes a query and returns the first row, if any.
pub(super) async fn find_one<C: ConnectionTrait, T: FromQueryResult>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>, AppError> {
    try_find_one(db, sql, values).await.map_err(app_error)
}

/// [`find_one`] with the database's own error, which names a violated constraint.
pub(super) async fn try_find_one<C: ConnectionTrait, T: FromQueryResult>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>, DbErr> {
    T::find_by_statement(statement(db, sql, values)).one(db).await
}

/// Executes a query with one column and returns its value in the first row, if any.
pub(super) async fn find_value<C: ConnectionTrait, T: TryGetable>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>, AppError> {
    let row = db.query_one_raw(statement(db, sql, values)).await.map_err(app_error)?;
    row.map(|row| row.try_get_by_index(0)).transpose().map_err(app_error)
}

/// Executes a query and returns true if it has a row.
pub(super) async fn exists<C: ConnectionTrait>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<bool, AppError> {
    Ok(db.query_one_raw(statement(db, sql, values)).await.map_err(app_error)?.is_some())
}

/// Rows that the database has aggregated into one JSON text.
#[derive(Clone, Debug)]
pub struct JsonRows<T> {
    text: String,
    row: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> JsonRows<T> {
    /// Parses the rows. The time is proportional to the length of the text.
    pub fn rows(&self) -> Result<Vec<T>, AppError> {
        serde_json::from_str(&self.text).map_err(AppError::internal)
    }
}

/// Executes a query with possibly hundreds of rows, which the database aggregates into one row of
/// JSON. Otherwise SQLite's thread would hand over each row separately, which costs more than
/// reading it. The columns are the fields of `T`, in order; ids must not be null.
pub(super) async fn find_as_json<C: ConnectionTrait, T: DeserializeOwned>(
    db: &C,
    columns: &[Column],
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<JsonRows<T>, AppError> {
    #[derive(FromQueryResult)]
    struct All {
        gathered: String,
    }
    let is_postgres = db.get_database_backend() == DatabaseBackend::Postgres;
    let fields: Vec<String> = columns
        .iter()
        .map(|column| match column {
            Column::Uuid(name) if !is_postgres => format!("hex(g.{name})"),
            Column::Bool(name) if !is_postgres => format!("json(iif(g.{name}, 'true', 'false'))"),
            Column::Uuid(name) | Column::Text(name) | Column::Int(name) | Column::Bool(name) => format!("g.{name}"),
        })
        .collect();
    let fields = fields.join(", ");
    let gathered = if is_postgres {
        format!("CAST(COALESCE(json_agg(json_build_array({fields})), '[]') AS text)")
    } else {
        format!("json_group_array(json_array({fields}))")
    };
    let sql = format!("SELECT {gathered} AS gathered FROM ({sql}) g");
    let text = find_one::<C, All>(db, sql, values).await?.map_or_else(|| "[]".to_owned(), |all| all.gathered);
    Ok(JsonRows { text, row: PhantomData })
}
