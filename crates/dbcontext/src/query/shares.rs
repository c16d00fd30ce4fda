//! Assistant chats shared with a workspace.

use appcore::{
    AppError, ConversationId, MessageId, ShareId, Timestamp, UserId, WorkspaceId,
    access::sees_open_channels,
    view::{MessageStatus, SenderKind, WorkspaceRole},
};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, Set};

use super::{
    messages::IN_MAIN_CONVERSATION,
    raw,
    rows::{Column, Rows},
    single,
};
use crate::{constraint::app_error, entity::chat_share};

/// Shared message and its version at the time of sharing.
pub type SharedVersion = (MessageId, i64);

/// Share as its owner sees it.
#[derive(Clone, Debug)]
pub struct ShareRow {
    pub id: ShareId,
    pub messages: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Share as its readers see it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SharedRow {
    pub id: ShareId,
    pub workspace_id: WorkspaceId,
    pub title: Option<String>,
    pub user_id: UserId,
    pub user_name: String,
    pub messages: String,
    pub updated_at: Timestamp,
}

/// Content of a version that is not the current one.
#[derive(Clone, Debug, FromQueryResult)]
pub struct VersionContentRow {
    pub message_id: MessageId,
    pub content: String,
    pub model: Option<String>,
}

/// Returns the newest messages of a chat that are shown, complete and not empty; oldest first.
pub async fn shareable_messages<C: ConnectionTrait>(
    db: &C,
    conversation: ConversationId,
    most: usize,
) -> Result<Vec<SharedVersion>, AppError> {
    #[derive(FromQueryResult)]
    struct ShownVersion {
        id: MessageId,
        version: i64,
    }
    let sql = format!(
        "SELECT n.id, n.version FROM (SELECT m.id, m.version, m.seq FROM messages m WHERE m.conversation_id = $1 AND m.hidden_by IS NULL \
           AND {IN_MAIN_CONVERSATION} AND m.deleted_at IS NULL AND m.hidden_at IS NULL AND m.sender_kind <> '{}' AND m.status NOT IN ('{}', '{}') \
           ORDER BY m.seq DESC LIMIT {most}) n ORDER BY n.seq",
        SenderKind::System,
        MessageStatus::Streaming,
        MessageStatus::Failed
    );
    let rows: Vec<ShownVersion> = raw::find(db, &sql, vec![conversation.into()]).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.version)).collect())
}

/// Share of a chat, if any.
pub async fn of_conversation<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Option<ShareRow>, AppError> {
    let found = chat_share::Entity::find_by_id(id).one(db).await.map_err(app_error)?;
    Ok(found.map(|chat_share::Model { id, messages, created_at, updated_at, .. }| ShareRow {
        id,
        messages,
        created_at,
        updated_at,
    }))
}

/// Inserts the share of a chat with the given id as link. If the chat is already shared, updates
/// the messages; the link stays the same.
pub async fn put<C: ConnectionTrait>(
    db: &C,
    conversation: ConversationId,
    (id, user): (ShareId, UserId),
    messages: String,
    now: Timestamp,
) -> Result<(), AppError> {
    let row = chat_share::ActiveModel {
        conversation_id: Set(conversation),
        id: Set(id),
        user_id: Set(user),
        messages: Set(messages),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let changed = [chat_share::Column::Messages, chat_share::Column::UpdatedAt];
    single::upsert(db, row, [chat_share::Column::ConversationId], changed).await
}

/// Deletes the share of a chat, so that its link stops working.
pub async fn remove<C: ConnectionTrait>(db: &C, conversation: ConversationId) -> Result<(), AppError> {
    chat_share::Entity::delete_by_id(conversation).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Finds a share that `reader` may read, as a member of its workspace who is not a guest. A share
/// ends with its chat, and when its owner leaves the workspace.
pub async fn find_readable<C: ConnectionTrait>(
    db: &C,
    reader: UserId,
    id: ShareId,
) -> Result<Option<SharedRow>, AppError> {
    let insiders = WorkspaceRole::ALL.into_iter().filter(|role| sees_open_channels(*role));
    let insiders = insiders.map(|role| format!("'{role}'")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT s.id, c.workspace_id, c.title, s.user_id, u.display_name AS user_name, s.messages, s.updated_at FROM chat_shares s \
         JOIN conversations c ON c.id = s.conversation_id AND NOT c.is_deleted \
         JOIN workspaces p ON p.id = c.workspace_id AND NOT p.is_deleted \
         JOIN conversation_members m ON m.conversation_id = c.id AND m.user_id = s.user_id AND NOT m.is_deleted \
         JOIN workspace_members o ON o.workspace_id = c.workspace_id AND o.user_id = s.user_id AND NOT o.is_deleted \
         JOIN workspace_members w ON w.workspace_id = c.workspace_id AND w.user_id = $2 AND NOT w.is_deleted AND w.role IN ({insiders}) \
         JOIN users u ON u.id = s.user_id AND NOT u.is_deleted WHERE s.id = $1"
    );
    raw::find_one(db, &sql, vec![id.into(), reader.into()]).await
}

/// Returns the contents of these versions, except those that are current.
pub async fn version_contents<C: ConnectionTrait>(
    db: &C,
    versions: &[SharedVersion],
) -> Result<Vec<VersionContentRow>, AppError> {
    let columns = [Column::Uuid("id"), Column::Int("version")];
    let rows = versions.iter().map(|(id, version)| [id.0.into(), (*version).into()]);
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    let sql = format!(
        "SELECT v.message_id, v.content, v.model FROM {} JOIN message_versions v ON v.message_id = w.id AND v.version = w.version",
        rows.table()
    );
    rows.find::<_, VersionContentRow>(db, sql).await
}
