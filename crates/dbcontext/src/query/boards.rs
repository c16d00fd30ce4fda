//! Boards of conversations and their columns.

use appcore::{AppError, BoardColumnId, ConversationId, Timestamp, view::BoardColumn};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use super::{page, raw};

#[derive(FromQueryResult)]
struct Version {
    version: i64,
}

#[derive(FromQueryResult)]
struct Column {
    id: BoardColumnId,
    conversation_id: ConversationId,
    name: String,
    position: String,
    is_done: bool,
}

impl From<Column> for BoardColumn {
    fn from(row: Column) -> Self {
        let Column { id, conversation_id, name, position, is_done } = row;
        Self { id, conversation_id, name, position, done: is_done }
    }
}

/// Counts one change of a board. Until the transaction ends nobody else changes it.
pub async fn begin_change<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<i64, AppError> {
    let sql = "INSERT INTO boards (conversation_id, version) VALUES ($1, 1) \
               ON CONFLICT (conversation_id) DO UPDATE SET version = boards.version + 1 RETURNING version";
    let row: Option<Version> = raw::find_one(db, sql, [id.into()]).await?;
    row.map(|row| row.version).ok_or_else(|| AppError::internal(NoVersion))
}

/// Counts `more` changes of a board besides the one that has begun.
pub async fn count_changes<C: ConnectionTrait>(db: &C, id: ConversationId, more: i64) -> Result<(), AppError> {
    raw::run(db, "UPDATE boards SET version = version + $2 WHERE conversation_id = $1", [id.into(), more.into()]).await
}

#[derive(Debug, thiserror::Error)]
#[error("the statement returned no version")]
struct NoVersion;

/// How often a board has changed.
pub async fn version<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<i64, AppError> {
    let sql = "SELECT version FROM boards WHERE conversation_id = $1";
    let row: Option<Version> = raw::find_one(db, sql, [id.into()]).await?;
    Ok(row.map_or(0, |row| row.version))
}

const COLUMNS: &str = "SELECT id, conversation_id, name, position, is_done FROM board_columns";

/// The columns of a board, in their order.
pub async fn columns<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Vec<BoardColumn>, AppError> {
    let sql = format!("{COLUMNS} WHERE conversation_id = $1 ORDER BY position");
    let rows: Vec<Column> = raw::find(db, &sql, [id.into()]).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub async fn column<C: ConnectionTrait>(db: &C, id: BoardColumnId) -> Result<Option<BoardColumn>, AppError> {
    let sql = format!("{COLUMNS} WHERE id = $1");
    let row: Option<Column> = raw::find_one(db, &sql, [id.into()]).await?;
    Ok(row.map(Into::into))
}

pub async fn insert_column<C: ConnectionTrait>(db: &C, column: &BoardColumn, now: Timestamp) -> Result<(), AppError> {
    let sql = "INSERT INTO board_columns (id, conversation_id, name, position, is_done, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let BoardColumn { id, conversation_id, name, position, done } = column.clone();
    let values = [id.into(), conversation_id.into(), name.into(), position.into(), done.into(), now.into()];
    raw::run(db, sql, values).await
}

pub async fn update_column<C: ConnectionTrait>(db: &C, column: &BoardColumn) -> Result<(), AppError> {
    let sql = "UPDATE board_columns SET name = $2, position = $3, is_done = $4 WHERE id = $1";
    let BoardColumn { id, name, position, done, .. } = column.clone();
    raw::run(db, sql, [id.into(), name.into(), position.into(), done.into()]).await
}

pub async fn delete_column<C: ConnectionTrait>(db: &C, id: BoardColumnId) -> Result<(), AppError> {
    raw::run(db, "DELETE FROM board_columns WHERE id = $1", [id.into()]).await
}

/// How many tasks stand in a column, archived ones among them.
pub async fn count_in_column<C: ConnectionTrait>(db: &C, id: BoardColumnId) -> Result<u64, AppError> {
    page::count(db, "FROM tasks WHERE column_id = $1", [id.into()]).await
}

/// Deletes the boards of conversations; `conversations` is the condition on their ids.
pub async fn purge<C: ConnectionTrait>(db: &C, conversations: &str, values: &[Value]) -> Result<(), AppError> {
    let due = format!(
        "DELETE FROM jobs WHERE due_at IS NOT NULL AND status = 'waiting' \
         AND subject IN (SELECT id FROM tasks WHERE conversation_id {conversations})"
    );
    raw::run(db, &due, values.to_vec()).await?;
    let assignees = format!(
        "DELETE FROM task_assignees WHERE task_id IN (SELECT id FROM tasks WHERE conversation_id {conversations})"
    );
    raw::run(db, &assignees, values.to_vec()).await?;
    for table in ["tasks", "board_columns", "boards"] {
        let sql = format!("DELETE FROM {table} WHERE conversation_id {conversations}");
        raw::run(db, &sql, values.to_vec()).await?;
    }
    Ok(())
}
