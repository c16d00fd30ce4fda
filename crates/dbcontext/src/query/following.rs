//! Subscriptions of a user's connections: conversations and workspaces.

use std::collections::HashMap;

use appcore::{AppError, ConversationId, UserId, WorkspaceId};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;

use super::{access, members::count_of, rows::Rows};

/// Conversation to which a user's connections subscribe.
#[derive(Clone, Copy, Debug)]
pub struct SubscribedConversation {
    pub conversation_id: ConversationId,
    pub last_seq: i64,
    /// Sequence number of the last event before the history that the user may see.
    pub reads_after: i64,
    pub member_count: u32,
}

/// Subscriptions of a user's connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionSubscriptions {
    /// Sorted by last activity, newest first.
    pub conversations: Vec<SubscribedConversation>,
    pub workspaces: Vec<WorkspaceId>,
    /// Versions of the boards of these conversations.
    pub boards: HashMap<ConversationId, i64>,
}

/// Conversations and workspaces of these users. Users without any are left out.
pub async fn of_users<C: ConnectionTrait>(
    db: &C,
    users: &[UserId],
) -> Result<HashMap<UserId, ConnectionSubscriptions>, AppError> {
    #[derive(FromQueryResult)]
    struct FollowedSubject {
        user_id: UserId,
        id: Uuid,
        /// Last sequence number; `None` for a workspace.
        last_seq: Option<i64>,
        reads_after: i64,
        member_count: i64,
        board_version: Option<i64>,
    }
    let asked = Rows::ids(db.get_database_backend(), users.iter().map(|id| id.0));
    let sql = format!(
        "WITH asked AS (SELECT w.id FROM {}) \
         SELECT user_id, id, last_seq, reads_after, member_count, board_version FROM ( \
           SELECT m.user_id, c.id, c.last_seq, {} AS reads_after, {} AS member_count, b.version AS board_version, \
             c.last_activity_at AS active_at \
           FROM asked a JOIN conversation_members m ON m.user_id = a.id AND NOT m.is_deleted \
           JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
           LEFT JOIN boards b ON b.conversation_id = c.id \
           UNION ALL \
           SELECT p.user_id, s.id, NULL, 0, 0, NULL, 0 \
           FROM asked a JOIN workspace_members p ON p.user_id = a.id AND NOT p.is_deleted \
           JOIN workspaces s ON s.id = p.workspace_id AND NOT s.is_deleted) AS followed ORDER BY active_at DESC",
        asked.table(),
        access::member_history_start("c", "m"),
        count_of("c.id"),
    );
    let mut found: HashMap<UserId, ConnectionSubscriptions> = HashMap::new();
    for row in asked.find::<_, FollowedSubject>(db, sql).await? {
        let following = found.entry(row.user_id).or_default();
        if let Some(version) = row.board_version {
            following.boards.insert(ConversationId(row.id), version);
        }
        match row.last_seq {
            Some(last_seq) => following.conversations.push(SubscribedConversation {
                conversation_id: ConversationId(row.id),
                last_seq,
                reads_after: row.reads_after,
                member_count: u32::try_from(row.member_count).unwrap_or(u32::MAX),
            }),
            None => following.workspaces.push(WorkspaceId(row.id)),
        }
    }
    Ok(found)
}

/// Conversations of these users with at most `small` members.
pub async fn small_conversations<C: ConnectionTrait>(
    db: &C,
    users: &[UserId],
    small: u32,
) -> Result<Vec<(UserId, ConversationId)>, AppError> {
    #[derive(FromQueryResult)]
    struct SmallConversation {
        user_id: UserId,
        conversation_id: ConversationId,
    }
    let asked = Rows::ids(db.get_database_backend(), users.iter().map(|id| id.0));
    let sql = format!(
        "SELECT m.user_id, m.conversation_id FROM {} JOIN conversation_members m ON m.user_id = w.id AND NOT m.is_deleted \
         JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted WHERE {} <= {small}",
        asked.table(),
        count_of("c.id"),
    );
    let rows = asked.find::<_, SmallConversation>(db, sql).await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.conversation_id)).collect())
}
