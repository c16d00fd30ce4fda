//! Hand-written SQL with typed parameters and rows.
//!
//! Single rows are created, read, updated and deleted by their entities ([`single`](super::single) has the inserts). Everything else is SQL in this layer:
//! batches, joins, windows, upserts with conditions, and search. A statement takes its parameters as values and returns rows as structs
//! ([`find`], [`find_one`]), the number of changed rows ([`execute`]), or nothing ([`run`]). Many rows travel as one parameter
//! ([`rows`](super::rows)), and changes of many rows as [pieces](crate::statement) that go to the database in one call.

use std::marker::PhantomData;

use appcore::AppError;
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Statement, Value};
use serde::de::DeserializeOwned;

use super::rows::Column;
use crate::constraint::app_error;

pub(super) fn statement<C: ConnectionTrait>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}

/// The parameter of a `LIMIT` or an `OFFSET`: the database counts in signed numbers.
pub(super) fn limit(rows: u64) -> Value {
    i64::try_from(rows).unwrap_or(i64::MAX).into()
}

/// Runs one, and answers how many rows it has changed.
pub(super) async fn execute<C: ConnectionTrait>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, AppError> {
    Ok(db.execute_raw(statement(db, sql, values)).await.map_err(app_error)?.rows_affected())
}

/// Runs one of which it doesn't matter how many rows it changes.
pub(super) async fn run<C: ConnectionTrait>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<(), AppError> {
    execute(db, sql, values).await.map(drop)
}

/// The rows that one finds.
pub(super) async fn find<C: ConnectionTrait, T: FromQueryResult>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>, AppError> {
    T::find_by_statement(statement(db, sql, values)).all(db).await.map_err(app_error)
}

/// The row that one finds, if any.
pub(super) async fn find_one<C: ConnectionTrait, T: FromQueryResult>(
    db: &C,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>, AppError> {
    T::find_by_statement(statement(db, sql, values)).one(db).await.map_err(app_error)
}

/// Rows that came as one text.
#[derive(Clone, Debug)]
pub struct Gathered<T> {
    text: String,
    row: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Gathered<T> {
    /// Takes as long as there is text.
    pub fn rows(&self) -> Result<Vec<T>, AppError> {
        serde_json::from_str(&self.text).map_err(AppError::internal)
    }
}

/// The rows that one finds, of which there may be hundreds: the database puts them into one, as JSON. Each row that SQLite finds is handed from its thread to
/// the one that waits for it, which costs more than the row. The columns are the fields of `T` in their order; an id must be there.
pub(super) async fn gather<C: ConnectionTrait, T: DeserializeOwned>(
    db: &C,
    columns: &[Column],
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Gathered<T>, AppError> {
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
    Ok(Gathered { text, row: PhantomData })
}
