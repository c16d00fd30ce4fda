//! What links in messages lead to, and who doesn't want that to be shown.

use appcore::{AppError, ConversationId, MessageId, UploadId, UserId};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use uuid::Uuid;

use crate::constraint::app_error;

/// Whether the links of somebody's messages are previewed in a conversation: neither they nor its workspace have turned that off.
pub async fn are_on<C: ConnectionTrait>(
    db: &C,
    author: UserId,
    conversation: ConversationId,
) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM disabled_previews WHERE subject_id = $1 \
               OR subject_id = (SELECT workspace_id FROM conversations WHERE id = $2) LIMIT 1";
    let statement =
        Statement::from_sql_and_values(db.get_database_backend(), sql, [author.into(), conversation.into()]);
    Ok(db.query_one_raw(statement).await.map_err(app_error)?.is_none())
}

/// Whether a person or a workspace has them turned on.
pub async fn is_on<C: ConnectionTrait>(db: &C, subject: Uuid) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM disabled_previews WHERE subject_id = $1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [subject.into()]);
    Ok(db.query_one_raw(statement).await.map_err(app_error)?.is_none())
}

/// Turns them on or off for a person or a workspace.
pub async fn turn<C: ConnectionTrait>(db: &C, subject: Uuid, is_on: bool) -> Result<(), AppError> {
    let sql = if is_on {
        "DELETE FROM disabled_previews WHERE subject_id = $1"
    } else {
        "INSERT INTO disabled_previews (subject_id) VALUES ($1) ON CONFLICT DO NOTHING"
    };
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [subject.into()]);
    db.execute_raw(statement).await.map_err(app_error).map(drop)
}

/// Puts other previews with a message.
pub async fn set<C: ConnectionTrait>(db: &C, message: MessageId, previews: Option<String>) -> Result<(), AppError> {
    let sql = "UPDATE messages SET previews = $2 WHERE id = $1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [message.into(), previews.into()]);
    db.execute_raw(statement).await.map_err(app_error).map(drop)
}

/// Takes a picture from a message.
pub async fn detach<C: ConnectionTrait>(db: &C, message: MessageId, upload: UploadId) -> Result<(), AppError> {
    let sql = "DELETE FROM message_uploads WHERE message_id = $1 AND upload_id = $2";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [message.into(), upload.into()]);
    db.execute_raw(statement).await.map_err(app_error).map(drop)
}

#[derive(FromQueryResult)]
struct Picture {
    upload_id: UploadId,
}

/// The pictures that previews have put with a message.
pub async fn pictures<C: ConnectionTrait>(db: &C, message: MessageId) -> Result<Vec<UploadId>, AppError> {
    let sql = "SELECT f.upload_id FROM message_uploads f JOIN uploads u ON u.id = f.upload_id \
               WHERE f.message_id = $1 AND u.kind = 'preview'";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [message.into()]);
    let found = Picture::find_by_statement(statement).all(db).await.map_err(app_error)?;
    Ok(found.into_iter().map(|picture| picture.upload_id).collect())
}
