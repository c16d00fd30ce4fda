//! What links in messages lead to, and who doesn't want that to be shown.

use appcore::{AppError, ConversationId, MessageId, UploadId, UserId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Set, Statement};
use uuid::Uuid;

use super::{raw, single};
use crate::{
    constraint::app_error,
    entity::{disabled_preview, message, message_upload},
};

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
    Ok(disabled_preview::Entity::find_by_id(subject).one(db).await.map_err(app_error)?.is_none())
}

/// Turns them on or off for a person or a workspace.
pub async fn turn<C: ConnectionTrait>(db: &C, subject: Uuid, is_on: bool) -> Result<(), AppError> {
    if is_on {
        disabled_preview::Entity::delete_by_id(subject).exec(db).await.map_err(app_error)?;
    } else {
        single::insert_if_absent(db, disabled_preview::ActiveModel { subject_id: Set(subject) }).await?;
    }
    Ok(())
}

/// Puts other previews with a message.
pub async fn set<C: ConnectionTrait>(db: &C, message: MessageId, previews: Option<String>) -> Result<(), AppError> {
    message::Entity::update_many()
        .set(message::ActiveModel { previews: Set(previews), ..Default::default() })
        .filter(message::Column::Id.eq(message))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Takes a picture from a message.
pub async fn detach<C: ConnectionTrait>(db: &C, message: MessageId, upload: UploadId) -> Result<(), AppError> {
    message_upload::Entity::delete_by_id((message, upload)).exec(db).await.map_err(app_error)?;
    Ok(())
}

#[derive(FromQueryResult)]
struct Picture {
    upload_id: UploadId,
}

/// The pictures that previews have put with a message.
pub async fn pictures<C: ConnectionTrait>(db: &C, message: MessageId) -> Result<Vec<UploadId>, AppError> {
    let sql = "SELECT f.upload_id FROM message_uploads f JOIN uploads u ON u.id = f.upload_id \
               WHERE f.message_id = $1 AND u.kind = 'preview'";
    let found = raw::find::<_, Picture>(db, sql, [message.into()]).await?;
    Ok(found.into_iter().map(|picture| picture.upload_id).collect())
}
