//! Reminders of messages, visible only to their owners.

use appcore::{AppError, ReminderId, Timestamp, UserId, page::PageRequest, view};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, PaginatorTrait, QueryFilter,
};

use super::{
    access,
    messages::{NAMED, NamedMessage},
    page, raw, single,
};
pub use crate::entity::reminder::Model as ReminderRow;
use crate::{
    constraint::app_error,
    entity::reminder::{Column, Entity},
};

pub async fn insert<C: ConnectionTrait>(db: &C, row: ReminderRow) -> Result<(), AppError> {
    single::insert(db, row.into_active_model()).await
}

pub async fn find<C: ConnectionTrait>(db: &C, id: ReminderId) -> Result<Option<ReminderRow>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

/// Deletes a reminder; returns `false` if the user has none with this id.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, id: ReminderId) -> Result<bool, AppError> {
    let done = Entity::delete_many()
        .filter(Column::Id.eq(id))
        .filter(Column::UserId.eq(user))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Number of a user's reminders.
pub async fn count<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    Entity::find().filter(Column::UserId.eq(user)).count(db).await.map_err(app_error)
}

#[derive(FromQueryResult)]
struct Listed {
    #[sea_orm(nested)]
    message: NamedMessage,
    reminder_id: ReminderId,
    remind_at: Timestamp,
    note: Option<String>,
    asked_at: Timestamp,
}

/// Lists a user's reminders of messages that the user may still read, next due first, with the
/// total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    page: PageRequest,
) -> Result<(Vec<view::Reminder>, u64), AppError> {
    let rows = format!(
        "JOIN reminders r ON r.message_id = m.id AND r.user_id = $1 \
         JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
         WHERE m.deleted_at IS NULL AND {} AND m.seq > {}",
        access::may_read("c", "$1"),
        access::history_start("c", "$1")
    );
    let columns = "SELECT r.id AS reminder_id, r.at AS remind_at, r.note, r.created_at AS asked_at, m.*";
    let named = NAMED.replacen("SELECT m.*", columns, 1);
    let sql = format!("{named} {rows} ORDER BY r.at, r.id LIMIT {} OFFSET {}", page.page_size, page.offset());
    let found = raw::find::<_, Listed>(db, sql, [user.into()]).await?;
    let total = page::count(db, &format!("FROM messages m {rows}"), [user.into()]).await?;
    let items = found
        .into_iter()
        .map(|row| {
            Ok(view::Reminder {
                id: row.reminder_id,
                message: row.message.try_into()?,
                note: row.note,
                at: row.remind_at,
                created_at: row.asked_at,
            })
        })
        .collect::<Result<_, AppError>>()?;
    Ok((items, total))
}
