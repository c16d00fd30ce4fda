//! Statements that are written in SQL.

use appcore::AppError;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

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
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, AppError> {
    Ok(db.execute_raw(statement(db, sql, values)).await.map_err(app_error)?.rows_affected())
}

/// Runs one of which it doesn't matter how many rows it changes.
pub(super) async fn run<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<(), AppError> {
    execute(db, sql, values).await.map(drop)
}

/// The rows that one finds.
pub(super) async fn find<C: ConnectionTrait, T: FromQueryResult>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>, AppError> {
    T::find_by_statement(statement(db, sql, values)).all(db).await.map_err(app_error)
}

/// The row that one finds, if any.
pub(super) async fn find_one<C: ConnectionTrait, T: FromQueryResult>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>, AppError> {
    T::find_by_statement(statement(db, sql, values)).one(db).await.map_err(app_error)
}
