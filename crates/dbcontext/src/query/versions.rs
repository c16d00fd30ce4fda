//! Versions of a message: the one that is shown is the message, the others are kept beside it.
//!
//! What follows a version belongs to it. When another one is shown, the messages after it that are shown now are hidden and remember behind
//! which version they stand; those of the version that is shown come back. What another message hides stays hidden, so versions can be
//! chosen anywhere in a conversation and each remembers its own continuation.

use appcore::{AppError, ConversationId, MessageId, Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Set, Statement};

use super::{
    messages::{NAMED, NamedMessage},
    raw,
};
pub use crate::entity::message_version::Model as KeptVersion;
use crate::{
    constraint::app_error,
    entity::{message, message_version},
};

/// The version behind which an answer stands that another model writes beside the one that is shown. No message has it.
pub const BESIDE: i64 = 0;

/// Keeps what a message is now as a version of it.
pub async fn keep<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<(), AppError> {
    let sql = "INSERT INTO message_versions (message_id, version, content, status, reason, model, answer, tool_calls) \
               SELECT id, version, content, status, reason, model, answer, tool_calls FROM messages WHERE id = $1";
    raw::run(db, sql, vec![id.into()]).await
}

/// Takes out a version that was kept.
pub async fn take<C: ConnectionTrait>(db: &C, id: MessageId, version: i64) -> Result<Option<KeptVersion>, AppError> {
    message_version::Entity::delete_by_id((id, version)).exec_with_returning(db).await.map_err(app_error)
}

/// Begins an answer of another model beside the answer `first`, as a message that is not shown.
pub async fn begin_beside<C: ConnectionTrait>(
    db: &C,
    id: MessageId,
    first: MessageId,
    seq: i64,
    model: Option<&str>,
    now: Timestamp,
) -> Result<(), AppError> {
    let sql = format!(
        "INSERT INTO messages (id, conversation_id, seq, no, sender_kind, sender_id, content, status, reply_to, model, created_at, \
           hidden_by, hidden_version) \
         SELECT $1, conversation_id, $3, no, sender_kind, sender_id, '', 'streaming', reply_to, $4, $5, id, {BESIDE} \
         FROM messages WHERE id = $2"
    );
    raw::run(db, &sql, vec![id.into(), first.into(), seq.into(), model.into(), now.into()]).await
}

/// The answer of another model that was begun beside this one and is no version of it yet.
pub async fn beside<C: ConnectionTrait>(db: &C, first: MessageId) -> Result<Option<NamedMessage>, AppError> {
    let sql =
        format!("{NAMED} WHERE m.hidden_by = $1 AND m.hidden_version = {BESIDE} AND m.deleted_at IS NULL LIMIT 1");
    raw::find_one(db, &sql, vec![first.into()]).await
}

/// Keeps what was written beside an answer as its version of this number, with what belongs to it.
pub async fn keep_beside<C: ConnectionTrait>(
    db: &C,
    first: MessageId,
    second: MessageId,
    version: i64,
) -> Result<(), AppError> {
    let values = || vec![first.into(), second.into(), version.into()];
    let sql = "INSERT INTO message_versions (message_id, version, content, status, reason, model, answer, tool_calls) \
               SELECT $1, $3, content, status, reason, model, answer, tool_calls FROM messages WHERE id = $2";
    raw::run(db, sql, values()).await?;
    for table in ["tool_calls", "message_reasoning"] {
        let sql = format!("UPDATE {table} SET message_id = $1, version = $3 WHERE message_id = $2");
        raw::run(db, &sql, values()).await?;
    }
    Ok(())
}

/// Removes all that was kept of a message.
pub async fn remove<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<(), AppError> {
    message_version::Entity::delete_many()
        .filter(message_version::Column::MessageId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Says which version a message is, of how many.
pub async fn set<C: ConnectionTrait>(db: &C, id: MessageId, version: i64, count: i64) -> Result<(), AppError> {
    let numbered = message::ActiveModel { version: Set(version), version_count: Set(count), ..Default::default() };
    change(db, id, numbered).await
}

/// Puts a prompt's text in place.
pub async fn set_text<C: ConnectionTrait>(db: &C, id: MessageId, content: &str) -> Result<(), AppError> {
    change(db, id, message::ActiveModel { content: Set(content.to_owned()), ..Default::default() }).await
}

async fn change<C: ConnectionTrait>(db: &C, id: MessageId, changed: message::ActiveModel) -> Result<(), AppError> {
    let message = message::Entity::update_many().set(changed).filter(message::Column::Id.eq(id));
    message.exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Keeps what the model thought before the version of an answer that is shown; nothing is kept of none.
pub async fn keep_thoughts<C: ConnectionTrait>(db: &C, id: MessageId, thoughts: Option<&str>) -> Result<(), AppError> {
    let sql = "DELETE FROM message_reasoning WHERE message_id = $1 AND version = (SELECT version FROM messages WHERE id = $1)";
    raw::run(db, sql, vec![id.into()]).await?;
    let Some(thoughts) = thoughts else { return Ok(()) };
    let sql = "INSERT INTO message_reasoning (message_id, version, content) SELECT id, version, $2 FROM messages WHERE id = $1";
    raw::run(db, sql, vec![id.into(), thoughts.into()]).await
}

/// What the model thought before the version of an answer that is shown.
pub async fn thoughts<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<Option<String>, AppError> {
    #[derive(FromQueryResult)]
    struct Reasoning {
        content: String,
    }
    let sql = "SELECT t.content FROM message_reasoning t JOIN messages m ON m.id = t.message_id AND m.version = t.version WHERE m.id = $1";
    Ok(raw::find_one::<_, Reasoning>(db, sql, [id.into()]).await?.map(|row| row.content))
}

/// Whether an answer with this concurrency key is waited for: its job has not ended, and neither has its message.
pub async fn is_answering<C: ConnectionTrait>(db: &C, concurrency_key: &str) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM jobs j LEFT JOIN messages m ON m.id = j.subject \
               WHERE j.concurrency_key = $1 AND j.due_at IS NOT NULL AND (m.id IS NULL OR m.status = 'streaming') LIMIT 1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [concurrency_key.into()]);
    Ok(db.query_one_raw(statement).await.map_err(app_error)?.is_some())
}

/// Hides what follows a version of the message numbered `seq`.
pub async fn hide<C: ConnectionTrait>(
    db: &C,
    conversation: ConversationId,
    seq: i64,
    id: MessageId,
    version: i64,
) -> Result<(), AppError> {
    let hidden =
        message::ActiveModel { hidden_by: Set(Some(id)), hidden_version: Set(Some(version)), ..Default::default() };
    message::Entity::update_many()
        .set(hidden)
        .filter(message::Column::ConversationId.eq(conversation))
        .filter(message::Column::Seq.gt(seq))
        .filter(message::Column::HiddenBy.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Shows what follows a version again.
pub async fn unhide<C: ConnectionTrait>(db: &C, id: MessageId, version: i64) -> Result<(), AppError> {
    message::Entity::update_many()
        .set(message::ActiveModel { hidden_by: Set(None), hidden_version: Set(None), ..Default::default() })
        .filter(message::Column::HiddenBy.eq(id))
        .filter(message::Column::HiddenVersion.eq(version))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// What stands behind the versions of a message that are not shown.
pub async fn hidden<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<Vec<NamedMessage>, AppError> {
    let sql = "SELECT m.*, NULL AS sender_name, NULL AS sender_glyph, NULL AS sender_hue FROM messages m WHERE m.hidden_by = $1 AND m.deleted_at IS NULL";
    raw::find::<_, NamedMessage>(db, sql, [id.into()]).await
}
