//! Messages that users have saved (bookmarks), visible only to them.

use appcore::{AppError, MessageId, Timestamp, UserId, page::PageRequest, view};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, Set};

use super::{
    access,
    messages::{NAMED, NamedMessage},
    page, raw, single,
};
use crate::{
    constraint::app_error,
    entity::saved_message::{ActiveModel, Column, Entity},
};

/// Saves a message; returns `false` if it is already saved.
pub async fn insert<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    message: MessageId,
    now: Timestamp,
) -> Result<bool, AppError> {
    let row = ActiveModel { user_id: Set(user), message_id: Set(message), saved_at: Set(now) };
    single::insert_if_absent(db, row).await
}

/// Deletes a bookmark; returns `false` if there is none.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, message: MessageId) -> Result<bool, AppError> {
    let done = Entity::delete_by_id((user, message)).exec(db).await.map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

pub async fn is_saved<C: ConnectionTrait>(db: &C, user: UserId, message: MessageId) -> Result<bool, AppError> {
    Ok(Entity::find_by_id((user, message)).one(db).await.map_err(app_error)?.is_some())
}

/// Number of a user's saved messages.
pub async fn count<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    Entity::find().filter(Column::UserId.eq(user)).count(db).await.map_err(app_error)
}

#[derive(FromQueryResult)]
struct Saved {
    #[sea_orm(nested)]
    message: NamedMessage,
    saved_at: Timestamp,
}

/// Lists the saved messages that a user may still read, newest first, with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    page: PageRequest,
) -> Result<(Vec<view::SavedMessage>, u64), AppError> {
    let rows = format!(
        "JOIN saved_messages s ON s.message_id = m.id AND s.user_id = $1 \
         JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
         WHERE m.deleted_at IS NULL AND {} AND m.seq > {}",
        access::may_read("c", "$1"),
        access::history_start("c", "$1")
    );
    let named = NAMED.replacen("SELECT m.*", "SELECT s.saved_at, m.*", 1);
    let sql =
        format!("{named} {rows} ORDER BY s.saved_at DESC, m.id DESC LIMIT {} OFFSET {}", page.page_size, page.offset());
    let found = raw::find::<_, Saved>(db, sql, [user.into()]).await?;
    let total = page::count(db, &format!("FROM messages m {rows}"), [user.into()]).await?;
    let items = found
        .into_iter()
        .map(|row| Ok(view::SavedMessage { message: row.message.try_into()?, saved_at: row.saved_at }))
        .collect::<Result<_, AppError>>()?;
    Ok((items, total))
}
