//! Messages that people keep for themselves: only they see which.

use appcore::{AppError, MessageId, Timestamp, UserId, page::PageRequest, view};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use super::{
    access,
    messages::{NAMED, NamedMessage},
    page,
};
use crate::constraint::app_error;

/// Saves a message; `false` when it is saved already.
pub async fn insert<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    message: MessageId,
    now: Timestamp,
) -> Result<bool, AppError> {
    let sql = "INSERT INTO saved_messages (user_id, message_id, saved_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let values = [user.into(), message.into(), now.into()];
    let done = db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await;
    Ok(done.map_err(app_error)?.rows_affected() > 0)
}

/// `false` when it was not saved.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, message: MessageId) -> Result<bool, AppError> {
    let sql = "DELETE FROM saved_messages WHERE user_id = $1 AND message_id = $2";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [user.into(), message.into()]);
    Ok(db.execute_raw(statement).await.map_err(app_error)?.rows_affected() > 0)
}

/// Whether somebody has saved a message.
pub async fn is_saved<C: ConnectionTrait>(db: &C, user: UserId, message: MessageId) -> Result<bool, AppError> {
    let rows = "FROM saved_messages WHERE user_id = $1 AND message_id = $2";
    Ok(page::count(db, rows, [user.into(), message.into()]).await? > 0)
}

/// How many messages somebody has saved.
pub async fn count<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    page::count(db, "FROM saved_messages WHERE user_id = $1", [user.into()]).await
}

#[derive(FromQueryResult)]
struct Saved {
    #[sea_orm(nested)]
    message: NamedMessage,
    saved_at: Timestamp,
}

/// What somebody has saved and may still read, newest first, and how much there is.
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
        access::reads_after("c", "$1")
    );
    let named = NAMED.replacen("SELECT m.*", "SELECT s.saved_at, m.*", 1);
    let sql =
        format!("{named} {rows} ORDER BY s.saved_at DESC, m.id DESC LIMIT {} OFFSET {}", page.page_size, page.offset());
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [user.into()]);
    let found = Saved::find_by_statement(statement).all(db).await.map_err(app_error)?;
    let total = page::count(db, &format!("FROM messages m {rows}"), [user.into()]).await?;
    let items = found
        .into_iter()
        .map(|row| Ok(view::SavedMessage { message: row.message.try_into()?, saved_at: row.saved_at }))
        .collect::<Result<_, AppError>>()?;
    Ok((items, total))
}
