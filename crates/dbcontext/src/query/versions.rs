//! Versions of messages: the current one is the row of the message, the others are stored
//! separately.
//!
//! Later messages belong to the version after which they were written. When another version is
//! selected, the messages that follow the current version are hidden, with a record of that
//! version, and the messages that belong to the selected version are shown again. Messages that are
//! hidden because of another message stay hidden. So versions can be selected anywhere in a
//! conversation, and each version keeps its own continuation.

use appcore::{AppError, ConversationId, MessageId, Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Set};

use super::{
    messages::{NAMED, NamedMessage},
    raw,
};
pub use crate::entity::message_version::Model as KeptVersion;
use crate::{
    constraint::app_error,
    entity::{message, message_version},
};

/// Pseudo version for hiding an alternative answer, which a second model writes at the same time as
/// the current one. No message has this version.
pub const PARALLEL_VERSION: i64 = 0;

/// Copies the current content of a message to the table of versions.
pub async fn store_current<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<(), AppError> {
    let sql = "INSERT INTO message_versions (message_id, version, content, status, reason, model, answer, tool_calls) \
               SELECT id, version, content, status, reason, model, answer, tool_calls FROM messages WHERE id = $1";
    raw::run(db, sql, vec![id.into()]).await
}

/// Deletes a stored version and returns it.
pub async fn remove_version<C: ConnectionTrait>(
    db: &C,
    id: MessageId,
    version: i64,
) -> Result<Option<KeptVersion>, AppError> {
    message_version::Entity::delete_by_id((id, version)).exec_with_returning(db).await.map_err(app_error)
}

/// Inserts the alternative answer of a second model to the answer `first`, as a hidden message.
pub async fn insert_parallel<C: ConnectionTrait>(
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
         SELECT $1, conversation_id, $3, no, sender_kind, sender_id, '', 'streaming', reply_to, $4, $5, id, {PARALLEL_VERSION} \
         FROM messages WHERE id = $2"
    );
    raw::run(db, &sql, vec![id.into(), first.into(), seq.into(), model.into(), now.into()]).await
}

/// Returns the alternative answer of a second model that has not become a version of this answer
/// yet.
pub async fn parallel_answer<C: ConnectionTrait>(db: &C, first: MessageId) -> Result<Option<NamedMessage>, AppError> {
    let sql = format!(
        "{NAMED} WHERE m.hidden_by = $1 AND m.hidden_version = {PARALLEL_VERSION} AND m.deleted_at IS NULL LIMIT 1"
    );
    raw::find_one(db, &sql, vec![first.into()]).await
}

/// Stores the alternative answer as the given version of the first answer, with its tool calls and
/// reasoning.
pub async fn store_parallel<C: ConnectionTrait>(
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

/// Deletes all stored versions of a message.
pub async fn remove<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<(), AppError> {
    message_version::Entity::delete_many()
        .filter(message_version::Column::MessageId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Sets the version number of a message and the number of its versions.
pub async fn set<C: ConnectionTrait>(db: &C, id: MessageId, version: i64, count: i64) -> Result<(), AppError> {
    let numbered = message::ActiveModel { version: Set(version), version_count: Set(count), ..Default::default() };
    change(db, id, numbered).await
}

/// Replaces the text of a prompt.
pub async fn set_text<C: ConnectionTrait>(db: &C, id: MessageId, content: &str) -> Result<(), AppError> {
    change(db, id, message::ActiveModel { content: Set(content.to_owned()), ..Default::default() }).await
}

async fn change<C: ConnectionTrait>(db: &C, id: MessageId, changed: message::ActiveModel) -> Result<(), AppError> {
    let message = message::Entity::update_many().set(changed).filter(message::Column::Id.eq(id));
    message.exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Stores the reasoning of the current version of an answer; `None` stores nothing.
pub async fn store_reasoning<C: ConnectionTrait>(
    db: &C,
    id: MessageId,
    thoughts: Option<&str>,
) -> Result<(), AppError> {
    let sql = "DELETE FROM message_reasoning WHERE message_id = $1 AND version = (SELECT version FROM messages WHERE id = $1)";
    raw::run(db, sql, vec![id.into()]).await?;
    let Some(thoughts) = thoughts else { return Ok(()) };
    let sql = "INSERT INTO message_reasoning (message_id, version, content) SELECT id, version, $2 FROM messages WHERE id = $1";
    raw::run(db, sql, vec![id.into(), thoughts.into()]).await
}

/// Reasoning of the current version of an answer.
pub async fn reasoning<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<Option<String>, AppError> {
    #[derive(FromQueryResult)]
    struct Reasoning {
        content: String,
    }
    let sql = "SELECT t.content FROM message_reasoning t JOIN messages m ON m.id = t.message_id AND m.version = t.version WHERE m.id = $1";
    Ok(raw::find_one::<_, Reasoning>(db, sql, [id.into()]).await?.map(|row| row.content))
}

/// True if an answer with this concurrency key is in progress: neither its job nor its message has
/// finished.
pub async fn is_answering<C: ConnectionTrait>(db: &C, concurrency_key: &str) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM jobs j LEFT JOIN messages m ON m.id = j.subject \
               WHERE j.concurrency_key = $1 AND j.due_at IS NOT NULL AND (m.id IS NULL OR m.status = 'streaming') LIMIT 1";
    raw::exists(db, sql, [concurrency_key.into()]).await
}

/// Hides the messages that follow a version of the message with the sequence number `seq`.
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

/// Shows the messages again that were hidden because they follow the given version.
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

/// Returns the messages that are hidden because they belong to other versions of a message.
pub async fn hidden_messages<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<Vec<NamedMessage>, AppError> {
    let sql = "SELECT m.*, NULL AS sender_name, NULL AS sender_glyph, NULL AS sender_hue FROM messages m WHERE m.hidden_by = $1 AND m.deleted_at IS NULL";
    raw::find::<_, NamedMessage>(db, sql, [id.into()]).await
}
