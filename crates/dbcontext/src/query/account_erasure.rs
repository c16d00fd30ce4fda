//! Erasure of the data of deleted accounts.

use appcore::{AppError, ConversationId, Timestamp, UserId, WorkspaceId};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult};

use super::{boards, events::StoredEvent, raw};
use crate::{constraint::app_error, entity::disabled_preview};

/// Tables whose rows belong to the user in `user_id` and are deleted with the account.
pub const PERSONAL_TABLES: &[&str] = &[
    "user_sessions",
    "known_devices",
    "api_keys",
    "identities",
    "passkeys",
    "totp",
    "recovery_codes",
    "pending_sign_ins",
    "mentions",
    "sections",
    "saved_messages",
    "drafts",
    "scheduled_messages",
    "reminders",
    "thread_followers",
    "user_warnings",
    "slow_mode_posts",
    "broadcast_receipts",
    "task_assignees",
    "notes",
    "notifications",
    "notification_settings",
    "notification_keywords",
    "push_subscriptions",
    "user_settings",
    "chat_shares",
];

/// Anonymises an account and frees its email address.
pub async fn erase<C: ConnectionTrait>(db: &C, id: UserId, name: &str, now: Timestamp) -> Result<(), AppError> {
    let sql =
        "DELETE FROM scheduled_uploads WHERE scheduled_id IN (SELECT id FROM scheduled_messages WHERE user_id = $1)";
    raw::run(db, sql, vec![id.into()]).await?;
    let sql = "DELETE FROM jobs WHERE due_at IS NOT NULL AND status = 'waiting' AND subject IN \
               (SELECT id FROM scheduled_messages WHERE user_id = $1 UNION ALL SELECT id FROM reminders WHERE user_id = $1)";
    raw::run(db, sql, vec![id.into()]).await?;
    let sql = "DELETE FROM budgets WHERE key_id IN (SELECT id FROM api_keys WHERE user_id = $1)";
    raw::run(db, sql, vec![id.into()]).await?;
    for table in PERSONAL_TABLES {
        raw::run(db, &format!("DELETE FROM {table} WHERE user_id = $1"), vec![id.into()]).await?;
    }
    disabled_preview::Entity::delete_by_id(id.0).exec(db).await.map_err(app_error)?;
    let sql = "UPDATE message_reports SET excerpt = NULL WHERE author_kind = 'user' AND author_id = $1";
    raw::run(db, sql, vec![id.into()]).await?;
    let sql = "UPDATE users SET email = $2, display_name = $3, search_name = $4, password_hash = NULL, email_verified_at = NULL, \
               language = 'en', role = 'user', second_factor = FALSE, suspended_at = NULL, suspended_reason = NULL, suspended_by = NULL, \
               status_emoji = NULL, status_text = NULL, status_until = NULL, timezone = NULL, show_timezone = TRUE, chosen_presence = NULL, \
               title = NULL, pronouns = NULL, updated_at = $5, is_deleted = TRUE WHERE id = $1";
    // The address is not deliverable, and unique per account.
    let email = format!("{id}@deleted.invalid");
    let values = vec![id.into(), email.into(), name.into(), ::search::fold_name(name).into(), now.into()];
    raw::run(db, sql, values).await?;
    let sql = "UPDATE conversation_members SET search_name = $2 WHERE user_id = $1";
    raw::run(db, sql, vec![id.into(), ::search::fold_name(name).into()]).await
}

/// Conversations of which the user is a member.
pub async fn conversations<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<Vec<ConversationId>, AppError> {
    #[derive(FromQueryResult)]
    struct MemberOf {
        conversation_id: ConversationId,
    }
    let sql = "SELECT m.conversation_id FROM conversation_members m JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
               WHERE m.user_id = $1 AND NOT m.is_deleted";
    let found = raw::find::<_, MemberOf>(db, sql, vec![user_id.into()]).await?;
    Ok(found.into_iter().map(|row| row.conversation_id).collect())
}

/// Workspaces of which the user is a member.
pub async fn workspaces<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<Vec<WorkspaceId>, AppError> {
    #[derive(FromQueryResult)]
    struct MemberOf {
        workspace_id: WorkspaceId,
    }
    let sql = "SELECT workspace_id FROM workspace_members WHERE user_id = $1 AND NOT is_deleted";
    let found = raw::find::<_, MemberOf>(db, sql, vec![user_id.into()]).await?;
    Ok(found.into_iter().map(|row| row.workspace_id).collect())
}

/// Ends a workspace membership that the caller has locked. If the user owned the workspace, the
/// ownership passes to the longest-standing administrator, else member, else guest. If nobody is
/// left, the workspace is deleted, unless it is the shared one. Returns the new owner, if the owner
/// has changed.
pub async fn leave<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    user_id: UserId,
    now: Timestamp,
) -> Result<Option<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Heir {
        user_id: UserId,
    }
    let sql =
        "UPDATE workspace_members SET is_deleted = TRUE, updated_at = $3 WHERE workspace_id = $1 AND user_id = $2";
    raw::run(db, sql, vec![id.into(), user_id.into(), now.into()]).await?;
    let sql = "UPDATE workspace_members SET role = 'owner', updated_at = $2 WHERE workspace_id = $1 AND NOT is_deleted \
               AND NOT EXISTS (SELECT 1 FROM workspace_members o WHERE o.workspace_id = $1 AND o.role = 'owner' AND NOT o.is_deleted) \
               AND EXISTS (SELECT 1 FROM workspace_members g WHERE g.workspace_id = $1 AND g.user_id = $3 AND g.role = 'owner') \
               AND user_id = (SELECT h.user_id FROM workspace_members h JOIN users u ON u.id = h.user_id AND NOT u.is_deleted \
                 WHERE h.workspace_id = $1 AND NOT h.is_deleted \
                 ORDER BY CASE h.role WHEN 'admin' THEN 0 WHEN 'member' THEN 1 ELSE 2 END, h.created_at, h.user_id LIMIT 1) \
               RETURNING user_id";
    let values = vec![id.into(), now.into(), user_id.into()];
    let heir: Option<Heir> = raw::find_one(db, sql, values).await?;
    let sql = "UPDATE workspaces SET is_deleted = TRUE, updated_at = $2 WHERE id = $1 AND kind <> 'shared' \
               AND NOT EXISTS (SELECT 1 FROM workspace_members m WHERE m.workspace_id = $1 AND NOT m.is_deleted)";
    raw::run(db, sql, vec![id.into(), now.into()]).await?;
    Ok(heir.map(|heir| heir.user_id))
}

/// Deletes the content of a deleted user's assistant chats, which nobody else has read.
pub async fn purge_chats<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    let theirs = "IN (SELECT id FROM conversations WHERE created_by = $1 AND kind = 'assistant' AND is_deleted)";
    let versions = format!(
        "DELETE FROM message_versions WHERE message_id IN (SELECT id FROM messages WHERE conversation_id {theirs} AND version_count > 1)"
    );
    raw::run(db, &versions, vec![user_id.into()]).await?;
    let thoughts = format!(
        "DELETE FROM message_reasoning WHERE message_id IN (SELECT id FROM messages WHERE conversation_id {theirs})"
    );
    raw::run(db, &thoughts, vec![user_id.into()]).await?;
    let calls =
        format!("DELETE FROM tool_calls WHERE message_id IN (SELECT id FROM messages WHERE conversation_id {theirs})");
    raw::run(db, &calls, vec![user_id.into()]).await?;
    for (table, column) in [
        ("reactions", "message_id"),
        ("poll_votes", "message_id"),
        ("saved_messages", "message_id"),
        ("thread_followers", "root_id"),
    ] {
        let sql =
            format!("DELETE FROM {table} WHERE {column} IN (SELECT id FROM messages WHERE conversation_id {theirs})");
        raw::run(db, &sql, vec![user_id.into()]).await?;
    }
    boards::purge(db, theirs, &[user_id.into()]).await?;
    raw::run(db, &format!("DELETE FROM messages WHERE conversation_id {theirs}"), vec![user_id.into()]).await?;
    // Keeps the event of the deletion, which may not be published yet.
    let sql =
        format!("DELETE FROM conversation_events WHERE kind <> 'conversation.deleted' AND conversation_id {theirs}");
    raw::run(db, &sql, vec![user_id.into()]).await?;
    let sql = "UPDATE conversations SET title = NULL, topic = NULL WHERE created_by = $1 AND kind = 'assistant' AND is_deleted";
    raw::run(db, sql, vec![user_id.into()]).await
}

/// Conversations of which the user is or was a member, including deleted ones, with the last
/// sequence numbers of their logs.
pub async fn log_ends<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<Vec<(ConversationId, i64)>, AppError> {
    #[derive(FromQueryResult)]
    struct LogEnd {
        id: ConversationId,
        last_seq: i64,
    }
    let sql = "SELECT c.id, c.last_seq FROM conversation_members m JOIN conversations c ON c.id = m.conversation_id WHERE m.user_id = $1";
    let found = raw::find::<_, LogEnd>(db, sql, vec![user_id.into()]).await?;
    Ok(found.into_iter().map(|row| (row.id, row.last_seq)).collect())
}

/// Events of a conversation that refer to a user, with sequence numbers after `after` and up to `up_to`.
pub async fn events_about<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    id: ConversationId,
    (after, up_to): (i64, i64),
) -> Result<Vec<StoredEvent>, AppError> {
    let sql = "SELECT e.conversation_id, e.seq, e.payload FROM conversation_events e \
               WHERE e.conversation_id = $1 AND e.seq > $2 AND e.seq <= $3 AND e.payload LIKE $4 ORDER BY e.seq";
    let values = vec![id.into(), after.into(), up_to.into(), format!("%{user_id}%").into()];
    raw::find::<_, StoredEvent>(db, sql, values).await
}
