//! Read access to conversations as SQL conditions, and a user's relation to a conversation, which
//! the rules in [`appcore::access`] need.

use appcore::{
    AppError, ConversationId, UserId, WorkspaceId,
    access::{Access, administers_workspace, sees_open_channels},
    view::{ConversationKind, HistoryScope, MemberRole, MentionAll, Posting, WorkspaceRole},
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{
    raw,
    rows::{Column, Rows},
};

/// Condition that the user bound to the parameter `user` may read the conversation with the alias `conversation`.
pub(super) fn may_read(conversation: &str, user: &str) -> String {
    let member = format!(
        "EXISTS (SELECT 1 FROM conversation_members am WHERE am.conversation_id = {conversation}.id AND am.user_id = {user} \
           AND NOT am.is_deleted)"
    );
    format!("({member} OR {})", is_open_to(conversation, user))
}

/// Condition that the conversation is open to a user who is not a member.
pub(super) fn is_open_to(conversation: &str, user: &str) -> String {
    format!(
        "({} AND EXISTS (SELECT 1 FROM workspace_members aw \
           WHERE aw.workspace_id = {conversation}.workspace_id AND aw.user_id = {user} AND NOT aw.is_deleted AND {}))",
        is_open(conversation),
        sees_open_conversations("aw", conversation, user)
    )
}

/// Subquery that selects the ids of the conversations that the user bound to `user` may read.
/// Equivalent to [`may_read`], but starts from the user. Includes deleted conversations of which
/// the user is a member.
pub(super) fn readable_conversations(user: &str) -> String {
    format!(
        "SELECT am.conversation_id FROM conversation_members am WHERE am.user_id = {user} AND NOT am.is_deleted \
         UNION SELECT ac.id FROM workspace_members aw JOIN conversations ac ON ac.workspace_id = aw.workspace_id AND {} AND NOT ac.is_deleted \
           WHERE aw.user_id = {user} AND NOT aw.is_deleted AND {}",
        is_open("ac"),
        sees_open_conversations("aw", "ac", user)
    )
}

/// Condition that the workspace member in the row `member` sees open conversations. Guests never
/// do. Users who were removed from the conversation do only if they are workspace administrators.
fn sees_open_conversations(member: &str, conversation: &str, user: &str) -> String {
    let roles = |are_so: fn(WorkspaceRole) -> bool| {
        let roles = WorkspaceRole::ALL.into_iter().filter(|role| are_so(*role));
        roles.map(|role| format!("'{role}'")).collect::<Vec<_>>().join(", ")
    };
    format!(
        "{member}.role IN ({}) AND ({member}.role IN ({}) OR NOT EXISTS (SELECT 1 FROM conversation_members ar \
           WHERE ar.conversation_id = {conversation}.id AND ar.user_id = {user} AND ar.removed_at IS NOT NULL))",
        roles(sees_open_channels),
        roles(administers_workspace)
    )
}

/// Sequence number of the last event before the history that the user bound to `user` may read in `conversation`.
pub(super) fn history_start(conversation: &str, user: &str) -> String {
    format!(
        "COALESCE((SELECT {} FROM conversation_members rm WHERE rm.conversation_id = {conversation}.id AND rm.user_id = {user} \
           AND NOT rm.is_deleted), 0)",
        member_history_start(conversation, "rm")
    )
}

/// [`history_start`] for the member in the row `member`.
pub(super) fn member_history_start(conversation: &str, member: &str) -> String {
    format!("CASE WHEN {} THEN {member}.from_seq ELSE 0 END", hides_history(conversation))
}

/// Condition that the task with the alias `task` is hidden from the member in the row `member`: it was created before
/// they joined, or from a message that they can't read. Tasks that they created or are assigned to are never hidden.
pub(super) fn hides_task(task: &str, conversation: &str, member: &str) -> String {
    format!(
        "({member}.from_seq > 0 AND {} AND {task}.created_by <> {member}.user_id \
           AND NOT EXISTS (SELECT 1 FROM task_assignees ta WHERE ta.task_id = {task}.id AND ta.user_id = {member}.user_id) \
           AND ({task}.created_at < {member}.joined_at \
             OR EXISTS (SELECT 1 FROM messages tm WHERE tm.id = {task}.message_id AND tm.seq <= {member}.from_seq)))",
        hides_history(conversation)
    )
}

/// Condition that the user bound to `user` sees the task with the alias `task`. The caller checks that the user may
/// read the conversation.
pub(super) fn sees_task(task: &str, conversation: &str, user: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM conversation_members hm WHERE hm.conversation_id = {conversation}.id AND hm.user_id = {user} \
           AND NOT hm.is_deleted AND {})",
        hides_task(task, conversation, "hm")
    )
}

/// Condition that the conversation hides its history from later members.
fn hides_history(conversation: &str) -> String {
    format!(
        "{conversation}.history = '{}' AND {conversation}.kind IN ({})",
        HistoryScope::FromJoin,
        kinds(|kind| kind.capabilities().may_hide_history)
    )
}

/// Condition that the conversation is of an open kind. If there is only one such kind, the
/// condition is an equation: with a one-element list, SQLite doesn't recognise that the condition
/// of a partial index holds.
pub(super) fn is_open(conversation: &str) -> String {
    let open = kinds(|kind| kind.capabilities().is_open);
    if open.contains(',') {
        format!("{conversation}.kind IN ({open})")
    } else {
        format!("{conversation}.kind = {open}")
    }
}

/// List of SQL literals of the conversation kinds for which the predicate is true.
pub(super) fn kinds(are_so: impl Fn(ConversationKind) -> bool) -> String {
    let kinds = ConversationKind::ALL.into_iter().filter(|kind| are_so(*kind));
    kinds.map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ")
}

/// Returns the relation of a user to a conversation; `None` if the conversation doesn't exist.
pub async fn find<C: ConnectionTrait>(db: &C, id: ConversationId, user: UserId) -> Result<Option<Access>, AppError> {
    #[derive(FromQueryResult)]
    struct AccessRow {
        workspace_id: WorkspaceId,
        kind: ConversationKind,
        last_seq: i64,
        is_archived: bool,
        is_default: bool,
        posting: Posting,
        mention_all: MentionAll,
        history: HistoryScope,
        from_seq: Option<i64>,
        role: Option<MemberRole>,
        workspace_role: Option<WorkspaceRole>,
        is_removed: bool,
    }
    let sql = "SELECT c.workspace_id, c.kind, c.last_seq, c.archived_at IS NOT NULL AS is_archived, c.is_default, c.posting, \
               c.mention_all, c.history, CASE WHEN NOT m.is_deleted THEN m.from_seq END AS from_seq, \
               CASE WHEN NOT m.is_deleted THEN m.role END AS role, w.role AS workspace_role, m.removed_at IS NOT NULL AS is_removed \
               FROM conversations c \
               LEFT JOIN conversation_members m ON m.conversation_id = c.id AND m.user_id = $2 \
               LEFT JOIN workspace_members w ON w.workspace_id = c.workspace_id AND w.user_id = $2 AND NOT w.is_deleted \
               WHERE c.id = $1 AND NOT c.is_deleted";
    let found = raw::find_one::<_, AccessRow>(db, sql, [id.into(), user.into()]).await?;
    Ok(found.map(|row| Access {
        conversation_id: id,
        workspace_id: row.workspace_id,
        kind: row.kind,
        last_seq: row.last_seq,
        is_archived: row.is_archived,
        is_default: row.is_default,
        posting: row.posting,
        mention_all: row.mention_all,
        history: row.history,
        joined_at_seq: row.from_seq.unwrap_or(0),
        role: row.role,
        workspace_role: row.workspace_role,
        is_removed: row.is_removed,
    }))
}

/// Sequence number of the last event before the history that all members may read.
pub async fn common_history_start<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<i64, AppError> {
    #[derive(FromQueryResult)]
    struct ReadAfter {
        seq: i64,
    }
    let sql = format!(
        "SELECT CAST(COALESCE(MAX({}), 0) AS BIGINT) AS seq FROM conversation_members rm JOIN conversations c ON c.id = rm.conversation_id \
         WHERE rm.conversation_id = $1 AND NOT rm.is_deleted",
        member_history_start("c", "rm")
    );
    let found = raw::find_one::<_, ReadAfter>(db, sql, [id.into()]).await?;
    Ok(found.map_or(0, |row| row.seq))
}

/// Returns those of the given users who own or administer the conversations' workspaces.
pub async fn workspace_admins<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, UserId)],
) -> Result<Vec<(ConversationId, UserId)>, AppError> {
    #[derive(FromQueryResult)]
    struct Admin {
        conversation_id: ConversationId,
        user_id: UserId,
    }
    let asked = Rows::new(
        db.get_database_backend(),
        [Column::Uuid("conversation_id"), Column::Uuid("user_id")],
        asked.iter().map(|(conversation, user)| [conversation.0.into(), user.0.into()]),
    );
    let sql = format!(
        "SELECT w.conversation_id, w.user_id FROM {} JOIN conversations c ON c.id = w.conversation_id \
         JOIN workspace_members a ON a.workspace_id = c.workspace_id AND a.user_id = w.user_id AND NOT a.is_deleted \
           AND a.role IN ('{}', '{}')",
        asked.table(),
        WorkspaceRole::Owner,
        WorkspaceRole::Admin
    );
    let found = asked.find::<_, Admin>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.conversation_id, row.user_id)).collect())
}

#[cfg(test)]
mod tests {
    use migration::{Migrator, MigratorTrait as _};

    use super::*;
    use crate::Database;

    /// Compares the SQL condition with the rule in Rust for every kind of conversation and every
    /// kind of user.
    #[tokio::test]
    async fn access_predicate_matches_access_rule() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        let db = db.writer();
        let run = async |sql: &str, values: Vec<sea_orm::Value>| {
            raw::run(db, sql, values).await.unwrap();
        };
        let workspace = WorkspaceId::new();
        let sql = "INSERT INTO workspaces (id, name, kind, created_at, updated_at, is_deleted) VALUES ($1, 'Team', 'team', 0, 0, FALSE)";
        run(sql, vec![workspace.into()]).await;
        let scopes = [HistoryScope::All, HistoryScope::FromJoin];
        for (kind, history) in ConversationKind::ALL.into_iter().flat_map(|kind| scopes.map(|scope| (kind, scope))) {
            for workspace_role in WorkspaceRole::ALL.into_iter().map(Some).chain([None]) {
                let there = [Some(MemberRole::Member), Some(MemberRole::Owner)].map(|role| (role, false));
                for (role, is_removed) in [(None, false), (None, true)].into_iter().chain(there) {
                    let (id, user) = (ConversationId::new(), UserId::new());
                    let sql = "INSERT INTO users (id, email, display_name, search_name, role, created_at, updated_at, is_deleted) \
                               VALUES ($1, $2, 'A', 'a', 'user', 0, 0, FALSE)";
                    run(sql, vec![user.into(), format!("{user}@example.test").into()]).await;
                    let sql = "INSERT INTO conversations (id, workspace_id, kind, history, last_seq, last_activity_at, created_by, created_at, is_deleted) \
                               VALUES ($1, $2, $3, $4, 9, 0, $5, 0, FALSE)";
                    let values =
                        vec![id.into(), workspace.into(), kind.as_str().into(), history.as_str().into(), user.into()];
                    run(sql, values).await;
                    if let Some(role) = workspace_role {
                        let sql = "INSERT INTO workspace_members (workspace_id, user_id, role, created_at, updated_at, is_deleted) \
                                   VALUES ($1, $2, $3, 0, 0, FALSE)";
                        run(sql, vec![workspace.into(), user.into(), role.as_str().into()]).await;
                    }
                    if let Some(role) = role {
                        let sql = "INSERT INTO conversation_members (conversation_id, user_id, role, joined_at, from_seq) VALUES ($1, $2, $3, 0, 4)";
                        run(sql, vec![id.into(), user.into(), role.as_str().into()]).await;
                    }
                    if is_removed {
                        let sql = "INSERT INTO conversation_members (conversation_id, user_id, role, joined_at, from_seq, is_deleted, removed_at) \
                                   VALUES ($1, $2, 'member', 0, 4, TRUE, 5)";
                        run(sql, vec![id.into(), user.into()]).await;
                    }
                    let access = find(db, id, user).await.unwrap().unwrap();
                    assert_eq!(access.is_removed, is_removed);
                    assert_eq!((access.kind, access.role, access.workspace_role), (kind, role, workspace_role));
                    let (readable, begins) = (may_read("c", "$2"), history_start("c", "$2"));
                    let sql = format!("SELECT {begins} AS begins FROM conversations c WHERE c.id = $1 AND {readable}");
                    let begins: Option<i64> = raw::find_value(db, sql, [id.into(), user.into()]).await.unwrap();
                    assert_eq!(begins, access.may_read().then(|| access.hidden_until_seq()), "{access:?}");
                    let sql = format!(
                        "SELECT c.id FROM conversations c WHERE c.id = $1 AND c.id IN ({})",
                        super::readable_conversations("$2")
                    );
                    let is_listed = raw::exists(db, sql, [id.into(), user.into()]).await.unwrap();
                    assert_eq!(is_listed, access.may_read(), "{access:?}");
                }
            }
        }
    }
}
