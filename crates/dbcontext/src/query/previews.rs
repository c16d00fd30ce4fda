//! Link previews of messages, and the users and workspaces that have disabled them.

use appcore::{AppError, ConversationId, MessageId, UploadId, UserId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Set};
use uuid::Uuid;

use super::{raw, single};
use crate::{
    constraint::app_error,
    entity::{disabled_preview, message, message_upload},
};

/// True if neither the user nor the conversation's workspace has disabled link previews.
pub async fn are_enabled_in<C: ConnectionTrait>(
    db: &C,
    author: UserId,
    conversation: ConversationId,
) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM disabled_previews WHERE subject_id = $1 \
               OR subject_id = (SELECT workspace_id FROM conversations WHERE id = $2) LIMIT 1";
    Ok(!raw::exists(db, sql, [author.into(), conversation.into()]).await?)
}

/// True if the user or workspace has not disabled link previews.
pub async fn is_enabled<C: ConnectionTrait>(db: &C, subject: Uuid) -> Result<bool, AppError> {
    Ok(disabled_preview::Entity::find_by_id(subject).one(db).await.map_err(app_error)?.is_none())
}

/// Enables or disables link previews for a user or workspace.
pub async fn set_enabled<C: ConnectionTrait>(db: &C, subject: Uuid, is_on: bool) -> Result<(), AppError> {
    if is_on {
        disabled_preview::Entity::delete_by_id(subject).exec(db).await.map_err(app_error)?;
    } else {
        single::insert_if_absent(db, disabled_preview::ActiveModel { subject_id: Set(subject) }).await?;
    }
    Ok(())
}

/// Replaces the previews of a message.
pub async fn set<C: ConnectionTrait>(db: &C, message: MessageId, previews: Option<String>) -> Result<(), AppError> {
    message::Entity::update_many()
        .set(message::ActiveModel { previews: Set(previews), ..Default::default() })
        .filter(message::Column::Id.eq(message))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Detaches a preview image from a message.
pub async fn detach<C: ConnectionTrait>(db: &C, message: MessageId, upload: UploadId) -> Result<(), AppError> {
    message_upload::Entity::delete_by_id((message, upload)).exec(db).await.map_err(app_error)?;
    Ok(())
}

#[derive(FromQueryResult)]
struct Picture {
    upload_id: UploadId,
}

/// Preview images attached to a message.
pub async fn pictures<C: ConnectionTrait>(db: &C, message: MessageId) -> Result<Vec<UploadId>, AppError> {
    let sql = "SELECT f.upload_id FROM message_uploads f JOIN uploads u ON u.id = f.upload_id \
               WHERE f.message_id = $1 AND u.kind = 'preview'";
    let found = raw::find::<_, Picture>(db, sql, [message.into()]).await?;
    Ok(found.into_iter().map(|picture| picture.upload_id).collect())
}
