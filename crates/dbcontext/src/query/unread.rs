//! Unread messages of users.

use appcore::{AppError, ConversationId, Timestamp, UserId, WorkspaceId, view::ConversationKind};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use super::{
    access,
    messages::{IN_MAIN_CONVERSATION, NAMED, NamedMessage},
    raw,
};

/// Conversation with unread messages.
#[derive(Clone, Debug, FromQueryResult)]
pub struct UnreadConversation {
    pub id: ConversationId,
    pub title: Option<String>,
    /// Sequence number after which messages are unread: the read position, or the start of the
    /// history that the user may see, whichever is later.
    pub after_seq: i64,
}

const BEHIND: &str = "FROM conversation_members m JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
    WHERE m.user_id = $1 AND NOT m.is_deleted";

fn columns() -> String {
    let begins = access::member_history_start("c", "m");
    format!("SELECT c.id, c.title, CASE WHEN m.read_seq < {begins} THEN {begins} ELSE m.read_seq END AS after_seq")
}

/// Read position of a user in one of their conversations.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: ConversationId,
) -> Result<Option<UnreadConversation>, AppError> {
    let sql = format!("{} {BEHIND} AND c.id = $2", columns());
    raw::find_one::<_, UnreadConversation>(db, sql, [user.into(), id.into()]).await
}

/// Lists the conversations of a workspace that have unread messages, last active first. Muted
/// conversations and assistant chats are left out.
pub async fn in_workspace<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: WorkspaceId,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<UnreadConversation>, AppError> {
    let assistant = ConversationKind::Assistant.as_str();
    let sql = format!(
        "{} {BEHIND} AND c.workspace_id = $2 AND c.last_no > m.read_no AND c.kind <> '{assistant}' \
         AND (m.muted_until IS NULL OR m.muted_until <= $3) ORDER BY c.last_activity_at DESC, c.id DESC LIMIT {limit}",
        columns()
    );
    raw::find::<_, UnreadConversation>(db, sql, [user.into(), id.into(), now.into()]).await
}

/// Returns the unread messages of other senders, newest first, with a maximum number per
/// conversation.
pub async fn messages<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    behind: &[UnreadConversation],
    each: u64,
) -> Result<Vec<NamedMessage>, AppError> {
    if behind.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![user.into()];
    let mut parts = Vec::with_capacity(behind.len());
    for one in behind {
        values.extend([one.id.into(), one.after_seq.into()]);
        let (id, after) = (values.len() - 1, values.len());
        parts.push(format!(
            "SELECT * FROM ({NAMED} WHERE m.conversation_id = ${id} AND m.seq > ${after} AND {IN_MAIN_CONVERSATION} AND m.hidden_by IS NULL \
               AND m.hidden_at IS NULL AND m.deleted_at IS NULL AND m.sender_kind <> 'system' \
               AND NOT (m.sender_kind = 'user' AND m.sender_id = $1) ORDER BY m.seq DESC LIMIT {each}) AS p{id}"
        ));
    }
    raw::find::<_, NamedMessage>(db, parts.join(" UNION ALL "), values).await
}
