//! Messages that are sent later: only their senders see them.

use appcore::{AppError, ConversationId, ScheduledId, Timestamp, UploadId, UserId, page::PageRequest};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use super::{access, page, raw};
use crate::constraint::app_error;

/// A message that is sent later, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ScheduledRow {
    pub id: ScheduledId,
    pub user_id: UserId,
    pub conversation_id: ConversationId,
    pub client_id: String,
    /// What it says and where, as JSON.
    pub payload: String,
    pub send_at: Timestamp,
    pub created_at: Timestamp,
    /// Since when it is on its way.
    pub sending_at: Option<Timestamp>,
    /// Why it was not sent.
    pub failure: Option<String>,
    pub failure_message: Option<String>,
}

/// Stores a message; `false` where that sender has one with the same `client_id` there.
pub async fn insert<C: ConnectionTrait>(db: &C, row: ScheduledRow, uploads: &[UploadId]) -> Result<bool, AppError> {
    let id = row.id;
    let sql = "INSERT INTO scheduled_messages (id, user_id, conversation_id, client_id, payload, send_at, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let values = vec![
        id.into(),
        row.user_id.into(),
        row.conversation_id.into(),
        row.client_id.into(),
        row.payload.into(),
        row.send_at.into(),
        row.created_at.into(),
    ];
    if raw::execute(db, sql, values).await? == 0 {
        return Ok(false);
    }
    for upload in uploads {
        let sql = "INSERT INTO scheduled_uploads (scheduled_id, upload_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        raw::execute(db, sql, vec![id.into(), (*upload).into()]).await?;
    }
    Ok(true)
}

pub async fn find<C: ConnectionTrait>(db: &C, id: ScheduledId) -> Result<Option<ScheduledRow>, AppError> {
    one(db, "SELECT * FROM scheduled_messages WHERE id = $1", vec![id.into()]).await
}

/// The one with that `client_id`.
pub async fn find_same<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    conversation: ConversationId,
    client_id: &str,
) -> Result<Option<ScheduledRow>, AppError> {
    let sql = "SELECT * FROM scheduled_messages WHERE user_id = $1 AND conversation_id = $2 AND client_id = $3";
    one(db, sql, vec![user.into(), conversation.into(), client_id.into()]).await
}

/// How many somebody has.
pub async fn count<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    page::count(db, "FROM scheduled_messages WHERE user_id = $1", [user.into()]).await
}

/// Somebody's, where they can still read, those that are sent first before the others; and how many there are.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    conversation: Option<ConversationId>,
    page: PageRequest,
) -> Result<(Vec<ScheduledRow>, u64), AppError> {
    let mut values: Vec<Value> = vec![user.into()];
    let mut rows = format!(
        "FROM scheduled_messages s JOIN conversations c ON c.id = s.conversation_id AND NOT c.is_deleted \
         WHERE s.user_id = $1 AND {}",
        access::may_read("c", "$1")
    );
    if let Some(conversation) = conversation {
        values.push(conversation.into());
        rows.push_str(" AND s.conversation_id = $2");
    }
    let sql = format!("SELECT s.* {rows} ORDER BY s.send_at, s.id LIMIT {} OFFSET {}", page.page_size, page.offset());
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values.clone());
    let found = ScheduledRow::find_by_statement(statement).all(db).await.map_err(app_error)?;
    Ok((found, page::count(db, &rows, values).await?))
}

/// Gives a message another text and another time, unless it is on its way; `None` then. It has not failed any more.
pub async fn change<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: ScheduledId,
    payload: String,
    send_at: Timestamp,
) -> Result<Option<ScheduledRow>, AppError> {
    let sql = "UPDATE scheduled_messages SET payload = $3, send_at = $4, failure = NULL, failure_message = NULL \
               WHERE id = $1 AND user_id = $2 AND sending_at IS NULL RETURNING *";
    one(db, sql, vec![id.into(), user.into(), payload.into(), send_at.into()]).await
}

/// Takes one whose time has come, so that it can't be changed any more. One that was taken before is taken again: whoever had it died.
pub async fn take<C: ConnectionTrait>(
    db: &C,
    id: ScheduledId,
    now: Timestamp,
) -> Result<Option<ScheduledRow>, AppError> {
    let sql = "UPDATE scheduled_messages SET sending_at = COALESCE(sending_at, $2) \
               WHERE id = $1 AND send_at <= $2 AND failure IS NULL RETURNING *";
    one(db, sql, vec![id.into(), now.into()]).await
}

/// It waits again, so it can be changed.
pub async fn release<C: ConnectionTrait>(db: &C, id: ScheduledId) -> Result<(), AppError> {
    let sql = "UPDATE scheduled_messages SET sending_at = NULL WHERE id = $1";
    raw::run(db, sql, vec![id.into()]).await
}

/// It was not sent, and says why.
pub async fn fail<C: ConnectionTrait>(
    db: &C,
    id: ScheduledId,
    code: &str,
    message: &str,
) -> Result<Option<ScheduledRow>, AppError> {
    let sql =
        "UPDATE scheduled_messages SET sending_at = NULL, failure = $2, failure_message = $3 WHERE id = $1 RETURNING *";
    one(db, sql, vec![id.into(), code.into(), message.into()]).await
}

/// Removes one that is not on its way; `false` where it is, or is not there.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, id: ScheduledId) -> Result<bool, AppError> {
    let sql = "DELETE FROM scheduled_messages WHERE id = $1 AND user_id = $2 AND sending_at IS NULL";
    if raw::execute(db, sql, vec![id.into(), user.into()]).await? == 0 {
        return Ok(false);
    }
    release_uploads(db, id).await.map(|()| true)
}

/// It was sent, or can't be sent any more.
pub async fn forget<C: ConnectionTrait>(db: &C, id: ScheduledId) -> Result<(), AppError> {
    raw::execute(db, "DELETE FROM scheduled_messages WHERE id = $1", vec![id.into()]).await?;
    release_uploads(db, id).await
}

async fn release_uploads<C: ConnectionTrait>(db: &C, id: ScheduledId) -> Result<(), AppError> {
    raw::run(db, "DELETE FROM scheduled_uploads WHERE scheduled_id = $1", vec![id.into()]).await
}

async fn one<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<Option<ScheduledRow>, AppError> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    ScheduledRow::find_by_statement(statement).one(db).await.map_err(app_error)
}
