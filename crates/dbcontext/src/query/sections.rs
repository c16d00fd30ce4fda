//! Folders of a person's sidebar: only they see them.

use appcore::{
    AppError, ConversationId, SectionId, UserId,
    view::{ExportedSection, Section},
};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use super::raw;
use crate::constraint::app_error;

#[derive(FromQueryResult)]
struct Row {
    id: SectionId,
    name: String,
    position: i64,
}

/// A person's sections, in their order.
pub async fn of<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<Section>, AppError> {
    let sql = "SELECT id, name, position FROM sections WHERE user_id = $1 ORDER BY position, id";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [user.into()]);
    let rows = Row::find_by_statement(statement).all(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(|row| Section { id: row.id, name: row.name, position: row.position }).collect())
}

/// A person's sections for their export, in their order.
pub async fn exported<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<ExportedSection>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        name: String,
        instructions: String,
    }
    let sql = "SELECT name, instructions FROM sections WHERE user_id = $1 ORDER BY position, id";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [user.into()]);
    let rows = Row::find_by_statement(statement).all(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(|row| ExportedSection { name: row.name, instructions: row.instructions }).collect())
}

/// Whose section it is.
pub async fn owner<C: ConnectionTrait>(db: &C, id: SectionId) -> Result<Option<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        user_id: UserId,
    }
    let sql = "SELECT user_id FROM sections WHERE id = $1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [id.into()]);
    let found = Row::find_by_statement(statement).one(db).await.map_err(app_error)?;
    Ok(found.map(|row| row.user_id))
}

#[derive(FromQueryResult)]
struct Told {
    instructions: String,
}

/// What assistants keep to in a person's section; `None` where they have no such section.
pub async fn instructions<C: ConnectionTrait>(db: &C, user: UserId, id: SectionId) -> Result<Option<String>, AppError> {
    let sql = "SELECT instructions FROM sections WHERE id = $1 AND user_id = $2";
    told(db, sql, vec![id.into(), user.into()]).await
}

/// What assistants keep to in the section in which a person has this conversation; empty where there is nothing.
pub async fn instructions_in<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    conversation: ConversationId,
) -> Result<String, AppError> {
    let sql = "SELECT s.instructions FROM conversation_members m JOIN sections s ON s.id = m.section_id AND s.user_id = m.user_id \
               WHERE m.conversation_id = $1 AND m.user_id = $2 AND NOT m.is_deleted";
    Ok(told(db, sql, vec![conversation.into(), user.into()]).await?.unwrap_or_default())
}

/// `false` where they have no such section.
pub async fn set_instructions<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: SectionId,
    instructions: &str,
) -> Result<bool, AppError> {
    let sql = "UPDATE sections SET instructions = $3 WHERE id = $1 AND user_id = $2";
    let values: Vec<Value> = vec![id.into(), user.into(), instructions.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(statement).await.map_err(app_error)?.rows_affected() > 0)
}

async fn told<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<Option<String>, AppError> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(Told::find_by_statement(statement).one(db).await.map_err(app_error)?.map(|row| row.instructions))
}

pub async fn insert<C: ConnectionTrait>(db: &C, user: UserId, section: &Section) -> Result<(), AppError> {
    let sql = "INSERT INTO sections (id, user_id, name, position) VALUES ($1, $2, $3, $4)";
    let values = [section.id.into(), user.into(), section.name.clone().into(), section.position.into()];
    raw::run(db, sql, values).await
}

pub async fn update<C: ConnectionTrait>(db: &C, user: UserId, section: &Section) -> Result<(), AppError> {
    let sql = "UPDATE sections SET name = $3, position = $4 WHERE id = $1 AND user_id = $2";
    let values = [section.id.into(), user.into(), section.name.clone().into(), section.position.into()];
    raw::run(db, sql, values).await
}

/// Removes a section; what was in it is in none.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, id: SectionId) -> Result<(), AppError> {
    let sql = "UPDATE conversation_members SET section_id = NULL WHERE user_id = $1 AND section_id = $2";
    raw::run(db, sql, vec![user.into(), id.into()]).await?;
    raw::run(db, "DELETE FROM sections WHERE user_id = $1 AND id = $2", vec![user.into(), id.into()]).await
}
