//! Task boards of conversations and their columns.

use appcore::{AppError, BoardColumnId, ConversationId, Timestamp, view::BoardColumn};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder,
    Set, Value, sea_query::Expr,
};

use super::{raw, single};
use crate::{
    constraint::app_error,
    entity::{board, board_column, task},
};

#[derive(FromQueryResult)]
struct Version {
    version: i64,
}

impl From<board_column::Model> for BoardColumn {
    fn from(row: board_column::Model) -> Self {
        let board_column::Model { id, conversation_id, name, position, is_done, .. } = row;
        Self { id, conversation_id, name, position, done: is_done }
    }
}

/// Increments a board's version and locks the board until the transaction ends.
pub async fn start_change<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<i64, AppError> {
    let sql = "INSERT INTO boards (conversation_id, version) VALUES ($1, 1) \
               ON CONFLICT (conversation_id) DO UPDATE SET version = boards.version + 1 RETURNING version";
    let row: Option<Version> = raw::find_one(db, sql, [id.into()]).await?;
    row.map(|row| row.version).ok_or_else(|| AppError::internal(NoVersion))
}

/// Adds `more` to a board's version, on top of the increment by [`start_change`].
pub async fn add_changes<C: ConnectionTrait>(db: &C, id: ConversationId, more: i64) -> Result<(), AppError> {
    board::Entity::update_many()
        .col_expr(board::Column::Version, Expr::col(board::Column::Version).add(more))
        .filter(board::Column::ConversationId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("statement returned no version")]
struct NoVersion;

/// Version of a board.
pub async fn version<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<i64, AppError> {
    let found = board::Entity::find_by_id(id).one(db).await.map_err(app_error)?;
    Ok(found.map_or(0, |board| board.version))
}

/// Columns of a board, in order.
pub async fn columns<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Vec<BoardColumn>, AppError> {
    let rows = board_column::Entity::find()
        .filter(board_column::Column::ConversationId.eq(id))
        .order_by_asc(board_column::Column::Position)
        .all(db)
        .await
        .map_err(app_error)?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub async fn column<C: ConnectionTrait>(db: &C, id: BoardColumnId) -> Result<Option<BoardColumn>, AppError> {
    let row = board_column::Entity::find_by_id(id).one(db).await.map_err(app_error)?;
    Ok(row.map(Into::into))
}

pub async fn insert_column<C: ConnectionTrait>(db: &C, column: &BoardColumn, now: Timestamp) -> Result<(), AppError> {
    let BoardColumn { id, conversation_id, name, position, done } = column.clone();
    let row = board_column::ActiveModel {
        id: Set(id),
        conversation_id: Set(conversation_id),
        name: Set(name),
        position: Set(position),
        is_done: Set(done),
        created_at: Set(now),
    };
    single::insert(db, row).await
}

pub async fn update_column<C: ConnectionTrait>(db: &C, column: &BoardColumn) -> Result<(), AppError> {
    let BoardColumn { id, name, position, done, .. } = column.clone();
    let changed = board_column::ActiveModel {
        name: Set(name),
        position: Set(position),
        is_done: Set(done),
        ..Default::default()
    };
    board_column::Entity::update_many()
        .set(changed)
        .filter(board_column::Column::Id.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

pub async fn delete_column<C: ConnectionTrait>(db: &C, id: BoardColumnId) -> Result<(), AppError> {
    board_column::Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Number of tasks in a column, including archived ones.
pub async fn count_in_column<C: ConnectionTrait>(db: &C, id: BoardColumnId) -> Result<u64, AppError> {
    task::Entity::find().filter(task::Column::ColumnId.eq(id)).count(db).await.map_err(app_error)
}

/// Deletes the boards of the conversations whose ids match the SQL condition `conversations`.
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
