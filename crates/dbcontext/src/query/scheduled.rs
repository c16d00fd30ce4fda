//! Scheduled messages, visible only to their senders.

use appcore::{AppError, ConversationId, ScheduledId, Timestamp, UploadId, UserId, page::PageRequest};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, Set, Value};

use super::{page, raw, single};
pub use crate::entity::scheduled_message::Model as ScheduledRow;
use crate::{
    constraint::app_error,
    entity::{
        scheduled_message::{ActiveModel, Column, Entity},
        scheduled_upload,
    },
};

/// Inserts a message; returns `false` if the sender has one with the same `client_id` in the conversation.
pub async fn insert<C: ConnectionTrait>(db: &C, row: ScheduledRow, uploads: &[UploadId]) -> Result<bool, AppError> {
    let id = row.id;
    if !single::insert_if_absent(db, row.into_active_model()).await? {
        return Ok(false);
    }
    for upload in uploads {
        let attached = scheduled_upload::ActiveModel { scheduled_id: Set(id), upload_id: Set(*upload) };
        single::insert_if_absent(db, attached).await?;
    }
    Ok(true)
}

pub async fn find<C: ConnectionTrait>(db: &C, id: ScheduledId) -> Result<Option<ScheduledRow>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

/// Finds the sender's scheduled message with this `client_id`.
pub async fn by_client_id<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    conversation: ConversationId,
    client_id: &str,
) -> Result<Option<ScheduledRow>, AppError> {
    Entity::find()
        .filter(Column::UserId.eq(user))
        .filter(Column::ConversationId.eq(conversation))
        .filter(Column::ClientId.eq(client_id))
        .one(db)
        .await
        .map_err(app_error)
}

/// Number of a user's scheduled messages.
pub async fn count<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    Entity::find().filter(Column::UserId.eq(user)).count(db).await.map_err(app_error)
}

/// Lists a user's scheduled messages, earliest first, with the total count. Includes those in conversations that the
/// user can no longer read, because their text belongs to the user.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    conversation: Option<ConversationId>,
    page: PageRequest,
) -> Result<(Vec<ScheduledRow>, u64), AppError> {
    let mut values: Vec<Value> = vec![user.into()];
    let mut rows = "FROM scheduled_messages s WHERE s.user_id = $1".to_owned();
    if let Some(conversation) = conversation {
        values.push(conversation.into());
        rows.push_str(" AND s.conversation_id = $2");
    }
    let sql = format!("SELECT s.* {rows} ORDER BY s.send_at, s.id LIMIT {} OFFSET {}", page.page_size, page.offset());
    let found = raw::find::<_, ScheduledRow>(db, sql, values.clone()).await?;
    Ok((found, page::count(db, &rows, values).await?))
}

/// Changes the text and time of a message and clears its failure; returns `None` if the message is being sent.
pub async fn update<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: ScheduledId,
    payload: String,
    send_at: Timestamp,
) -> Result<Option<ScheduledRow>, AppError> {
    let changed = ActiveModel {
        payload: Set(payload),
        send_at: Set(send_at),
        failure: Set(None),
        failure_message: Set(None),
        ..Default::default()
    };
    let found = Entity::update_many()
        .set(changed)
        .filter(Column::Id.eq(id))
        .filter(Column::UserId.eq(user))
        .filter(Column::SendingAt.is_null())
        .exec_with_returning(db)
        .await
        .map_err(app_error)?;
    Ok(found.into_iter().next())
}

/// Claims a message whose time has come; from then on it can't be edited. A message that is already
/// claimed can be claimed again, because then the worker that claimed it has died.
pub async fn claim<C: ConnectionTrait>(
    db: &C,
    id: ScheduledId,
    now: Timestamp,
) -> Result<Option<ScheduledRow>, AppError> {
    let sql = "UPDATE scheduled_messages SET sending_at = COALESCE(sending_at, $2) \
               WHERE id = $1 AND send_at <= $2 AND failure IS NULL RETURNING *";
    raw::find_one(db, sql, [id.into(), now.into()]).await
}

/// Releases the send claim; the message is pending and editable again.
pub async fn release<C: ConnectionTrait>(db: &C, id: ScheduledId) -> Result<(), AppError> {
    Entity::update_many()
        .set(ActiveModel { sending_at: Set(None), ..Default::default() })
        .filter(Column::Id.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Records that sending the message failed, with the error code and message.
pub async fn fail<C: ConnectionTrait>(
    db: &C,
    id: ScheduledId,
    code: &str,
    message: &str,
) -> Result<Option<ScheduledRow>, AppError> {
    let failed = ActiveModel {
        sending_at: Set(None),
        failure: Set(Some(code.to_owned())),
        failure_message: Set(Some(message.to_owned())),
        ..Default::default()
    };
    let found = Entity::update_many().set(failed).filter(Column::Id.eq(id)).exec_with_returning(db).await;
    Ok(found.map_err(app_error)?.into_iter().next())
}

/// Deletes a message; returns `false` if it is being sent or doesn't exist.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, id: ScheduledId) -> Result<bool, AppError> {
    let done = Entity::delete_many()
        .filter(Column::Id.eq(id))
        .filter(Column::UserId.eq(user))
        .filter(Column::SendingAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    if done.rows_affected == 0 {
        return Ok(false);
    }
    release_uploads(db, id).await.map(|()| true)
}

/// Deletes a message that was sent or can no longer be sent.
pub async fn delete<C: ConnectionTrait>(db: &C, id: ScheduledId) -> Result<(), AppError> {
    Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    release_uploads(db, id).await
}

async fn release_uploads<C: ConnectionTrait>(db: &C, id: ScheduledId) -> Result<(), AppError> {
    scheduled_upload::Entity::delete_many()
        .filter(scheduled_upload::Column::ScheduledId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}
