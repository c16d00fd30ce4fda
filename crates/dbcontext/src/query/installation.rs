//! What is known of the installation as a whole.

use std::collections::HashMap;

use appcore::{AppError, Timestamp};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use crate::constraint::app_error;

/// When an administrator was done setting it up.
pub const SETUP_FINISHED: &str = "setup_finished";
/// When a test message was last taken by the mail server.
pub const MAIL_TESTED: &str = "mail_tested";
/// When a provider of models last answered a test question.
pub const QUESTION_ANSWERED: &str = "question_answered";

/// When each of these happened.
pub async fn times<C: ConnectionTrait>(db: &C) -> Result<HashMap<String, Timestamp>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        name: String,
        updated_at: Timestamp,
    }
    let statement = Statement::from_string(db.get_database_backend(), "SELECT name, updated_at FROM installation");
    let rows = Row::find_by_statement(statement).all(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(|row| (row.name, row.updated_at)).collect())
}

/// Notes that it happened now.
pub async fn note<C: ConnectionTrait>(db: &C, name: &str, now: Timestamp) -> Result<(), AppError> {
    let sql = "INSERT INTO installation (name, value, updated_at) VALUES ($1, '', $2) \
               ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [name.into(), now.into()]);
    db.execute_raw(statement).await.map_err(app_error)?;
    Ok(())
}

/// Forgets that it happened.
pub async fn forget<C: ConnectionTrait>(db: &C, name: &str) -> Result<(), AppError> {
    let sql = "DELETE FROM installation WHERE name = $1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [name.into()]);
    db.execute_raw(statement).await.map_err(app_error)?;
    Ok(())
}
