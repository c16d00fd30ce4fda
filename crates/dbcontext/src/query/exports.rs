//! Data export of an account, in chunks that fit into memory.

use appcore::{
    AppError, ConversationId, Timestamp, UserId,
    view::{ConversationKind, ExportedConversation, MemberRole},
};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use super::{
    messages::{NAMED, NamedMessage},
    page, raw,
};

/// Rows per chunk.
const CHUNK_ROWS: u64 = 200;

/// Lists the conversations of which a user is or was a member and whose ids are greater than
/// `after`, ordered by id.
pub async fn conversations<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    after: ConversationId,
) -> Result<Vec<ExportedConversation>, AppError> {
    #[derive(FromQueryResult)]
    struct ExportedMembership {
        id: ConversationId,
        kind: ConversationKind,
        title: Option<String>,
        role: MemberRole,
        joined_at: Timestamp,
        is_deleted: bool,
    }
    let sql = format!(
        "SELECT c.id, c.kind, c.title, m.role, m.joined_at, m.is_deleted FROM conversation_members m \
         JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted WHERE m.user_id = $1 AND c.id > $2 ORDER BY c.id LIMIT {CHUNK_ROWS}"
    );
    let found = raw::find::<_, ExportedMembership>(db, sql, [user_id.into(), after.into()]).await?;
    let view = |row: ExportedMembership| ExportedConversation {
        id: row.id,
        kind: row.kind,
        title: row.title,
        role: row.role,
        joined_at: row.joined_at,
        left: row.is_deleted,
    };
    Ok(found.into_iter().map(view).collect())
}

/// Lists the messages of a user in a conversation after `after_seq`, oldest first.
pub async fn messages<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    id: ConversationId,
    after_seq: i64,
) -> Result<Vec<NamedMessage>, AppError> {
    let sql = format!(
        "SELECT m.*, u.display_name AS sender_name, NULL AS sender_glyph, NULL AS sender_hue FROM messages m JOIN users u ON u.id = m.sender_id \
         WHERE m.conversation_id = $1 AND m.sender_id = $2 AND m.seq > $3 ORDER BY m.seq LIMIT {CHUNK_ROWS}"
    );
    let values = [id.into(), user_id.into(), after_seq.into()];
    raw::find::<_, NamedMessage>(db, sql, values).await
}

/// Total number of messages that [`of_conversation`] returns.
pub async fn count_of_conversation<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    after_seq: i64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<u64, AppError> {
    let (meant, values) = condition(id, after_seq, from, to);
    page::count(db, &format!("FROM messages m WHERE {meant}"), values).await
}

/// Condition that selects the exported messages `m`, with its values.
fn condition(
    id: ConversationId,
    after_seq: i64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> (String, Vec<Value>) {
    let mut meant = "m.conversation_id = $1 AND m.seq > $2 AND m.hidden_by IS NULL".to_owned();
    let mut values: Vec<Value> = vec![id.into(), after_seq.into()];
    for (condition, bound) in [("m.created_at >=", from), ("m.created_at <=", to)] {
        if let Some(bound) = bound {
            values.push(bound.into());
            meant.push_str(&format!(" AND {condition} ${}", values.len()));
        }
    }
    (meant, values)
}

/// Lists the messages of a conversation after `after_seq`, including replies in threads, oldest
/// first.
pub async fn of_conversation<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    after_seq: i64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Vec<NamedMessage>, AppError> {
    let (meant, values) = condition(id, after_seq, from, to);
    let sql = format!("{NAMED} WHERE {meant} ORDER BY m.seq LIMIT {CHUNK_ROWS}");
    raw::find::<_, NamedMessage>(db, sql, values).await
}
