//! Reminders of messages: only those who asked for them see them.

use appcore::{AppError, MessageId, ReminderId, Timestamp, UserId, page::PageRequest, view};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use super::{
    access,
    messages::{NAMED, NamedMessage},
    page, raw,
};
use crate::constraint::app_error;

/// A reminder, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ReminderRow {
    pub id: ReminderId,
    pub user_id: UserId,
    pub message_id: MessageId,
    pub at: Timestamp,
    pub note: Option<String>,
    pub created_at: Timestamp,
}

pub async fn insert<C: ConnectionTrait>(db: &C, row: ReminderRow) -> Result<(), AppError> {
    let sql = "INSERT INTO reminders (id, user_id, message_id, at, note, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
    let values = vec![
        row.id.into(),
        row.user_id.into(),
        row.message_id.into(),
        row.at.into(),
        row.note.into(),
        row.created_at.into(),
    ];
    raw::run(db, sql, values).await
}

pub async fn find<C: ConnectionTrait>(db: &C, id: ReminderId) -> Result<Option<ReminderRow>, AppError> {
    let sql = "SELECT * FROM reminders WHERE id = $1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [id.into()]);
    ReminderRow::find_by_statement(statement).one(db).await.map_err(app_error)
}

/// `false` where somebody has no such reminder.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, id: ReminderId) -> Result<bool, AppError> {
    let sql = "DELETE FROM reminders WHERE id = $1 AND user_id = $2";
    Ok(raw::execute(db, sql, vec![id.into(), user.into()]).await? > 0)
}

/// How many somebody has.
pub async fn count<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    page::count(db, "FROM reminders WHERE user_id = $1", [user.into()]).await
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

/// Somebody's reminders of what they may still read, the next one first, and how many there are.
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
        access::reads_after("c", "$1")
    );
    let columns = "SELECT r.id AS reminder_id, r.at AS remind_at, r.note, r.created_at AS asked_at, m.*";
    let named = NAMED.replacen("SELECT m.*", columns, 1);
    let sql = format!("{named} {rows} ORDER BY r.at, r.id LIMIT {} OFFSET {}", page.page_size, page.offset());
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [user.into()]);
    let found = Listed::find_by_statement(statement).all(db).await.map_err(app_error)?;
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
