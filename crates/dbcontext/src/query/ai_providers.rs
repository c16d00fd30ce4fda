//! Providers of models that administrators have added.

use appcore::{AppError, Timestamp};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};

use crate::constraint::{app_error, unique_violation};

/// A provider, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct AiProviderRow {
    pub name: String,
    pub kind: String,
    pub base_url: Option<String>,
    /// JSON.
    pub models: String,
    pub requests_per_minute: Option<i64>,
    /// JSON, sealed. None: it takes no key.
    pub keys: Option<Vec<u8>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// All of them, the eldest first: each instance keeps them.
pub async fn all<C: ConnectionTrait>(db: &C) -> Result<Vec<AiProviderRow>, AppError> {
    let sql = "SELECT * FROM ai_providers ORDER BY created_at, name";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    AiProviderRow::find_by_statement(statement).all(db).await.map_err(app_error)
}

pub async fn find<C: ConnectionTrait>(db: &C, name: &str) -> Result<Option<AiProviderRow>, AppError> {
    let sql = "SELECT * FROM ai_providers WHERE name = $1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [name.into()]);
    AiProviderRow::find_by_statement(statement).one(db).await.map_err(app_error)
}

/// How many there are.
pub async fn count<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    super::page::count(db, "FROM ai_providers", vec![]).await
}

/// Stores a new one. Its name must be free.
pub async fn insert<C: ConnectionTrait>(db: &C, row: AiProviderRow) -> Result<(), AppError> {
    let AiProviderRow { name, kind, base_url, models, requests_per_minute, keys, created_at, updated_at } = row;
    let sql = "INSERT INTO ai_providers (name, kind, base_url, models, requests_per_minute, keys, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = vec![
        name.into(),
        kind.into(),
        base_url.into(),
        models.into(),
        requests_per_minute.into(),
        keys.into(),
        created_at.into(),
        updated_at.into(),
    ];
    execute(db, sql, values).await.map(|_| ())
}

/// Stores what has become of one that was as of then; `false`: somebody changed or removed it meanwhile.
pub async fn update<C: ConnectionTrait>(db: &C, row: AiProviderRow, as_of: Timestamp) -> Result<bool, AppError> {
    let AiProviderRow { name, base_url, models, requests_per_minute, keys, updated_at, .. } = row;
    let sql = "UPDATE ai_providers SET base_url = $3, models = $4, requests_per_minute = $5, keys = $6, updated_at = $7 \
               WHERE name = $1 AND updated_at = $2";
    let values = vec![
        name.into(),
        as_of.into(),
        base_url.into(),
        models.into(),
        requests_per_minute.into(),
        keys.into(),
        updated_at.into(),
    ];
    Ok(execute(db, sql, values).await? > 0)
}

/// `false`: there is no such one.
pub async fn delete<C: ConnectionTrait>(db: &C, name: &str) -> Result<bool, AppError> {
    Ok(execute(db, "DELETE FROM ai_providers WHERE name = $1", vec![name.into()]).await? > 0)
}

async fn execute<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<u64, AppError> {
    let done = db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await;
    done.map(|done| done.rows_affected()).map_err(name_taken)
}

fn name_taken(error: DbErr) -> AppError {
    if unique_violation(&error) {
        AppError::field("name", "taken", "Another provider has this name.")
    } else {
        app_error(error)
    }
}
