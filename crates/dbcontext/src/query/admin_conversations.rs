//! Conversations as administrators see them: counts, never content.

use appcore::{
    AppError, ConversationId, Timestamp, UserId, WorkspaceId,
    page::PageRequest,
    view::{
        AdminConversation, AdminConversationMember, AdminOwner, ConversationKind, MemberRole, WorkspaceKind,
        WorkspaceReference,
    },
};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;

use super::admin_workspaces::{PersonRow, people};
use super::raw;

#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the title, or the complete id.
    pub text: String,
    pub kind: Option<ConversationKind>,
    pub workspace: Option<WorkspaceId>,
    pub is_archived: Option<bool>,
    /// Cursor: lists the conversations created before this one.
    pub before: Option<ConversationId>,
}

#[derive(FromQueryResult)]
struct ConversationRow {
    id: ConversationId,
    kind: ConversationKind,
    title: Option<String>,
    workspace_id: WorkspaceId,
    workspace_name: String,
    workspace_kind: WorkspaceKind,
    owner_id: Option<UserId>,
    owner_name: Option<String>,
    is_default: bool,
    members: i64,
    messages: i64,
    stored_bytes: i64,
    last_activity_at: Timestamp,
    created_at: Timestamp,
    archived_at: Option<Timestamp>,
}

impl From<ConversationRow> for AdminConversation {
    fn from(row: ConversationRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            title: row.title,
            workspace: WorkspaceReference { id: row.workspace_id, name: row.workspace_name, kind: row.workspace_kind },
            owner: row.owner_id.zip(row.owner_name).map(|(id, display_name)| AdminOwner { id, display_name }),
            is_default: row.is_default,
            members: row.members,
            messages: row.messages,
            stored_bytes: row.stored_bytes,
            last_activity_at: row.last_activity_at,
            created_at: row.created_at,
            archived_at: row.archived_at,
        }
    }
}

/// Condition that selects channels and groups: they have titles chosen by users. The title of an
/// assistant chat is derived from its first question, so it is not shown.
const CHANNEL_OR_GROUP: &str = "c.kind NOT IN ('single', 'assistant')";

/// Lists at most `most` conversations, newest first. Ordered by id, so that a page is read from the
/// primary key; every message would have to update an index on the last activity.
pub async fn list<C: ConnectionTrait>(db: &C, filter: &Filter, most: u64) -> Result<Vec<AdminConversation>, AppError> {
    let (mut wanted, mut values) = ("NOT c.is_deleted".to_owned(), Vec::<Value>::new());
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        wanted.push_str(&format!(" AND {}", condition.replace("{}", &format!("${}", values.len()))));
    };
    if let Some(before) = filter.before {
        and("c.id < {}", before.into());
    }
    if let Some(workspace) = filter.workspace {
        and("c.workspace_id = {}", workspace.into());
    }
    if let Some(kind) = filter.kind {
        and("c.kind = {}", kind.as_str().into());
    }
    let text = ::search::fold_name(&filter.text);
    if let Ok(id) = text.parse::<Uuid>() {
        and("c.id = {}", id.into());
    } else if !text.is_empty() {
        and(
            &format!(r"{CHANNEL_OR_GROUP} AND c.search_title LIKE {{}} ESCAPE '\'"),
            super::like_containing(&text).into(),
        );
    }
    match filter.is_archived {
        Some(true) => wanted.push_str(" AND c.archived_at IS NOT NULL"),
        Some(false) => wanted.push_str(" AND c.archived_at IS NULL"),
        None => {}
    }
    read(db, &format!("{wanted} ORDER BY c.id DESC LIMIT {most}"), values).await
}

pub async fn find<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Option<AdminConversation>, AppError> {
    Ok(read(db, "NOT c.is_deleted AND c.id = $1", vec![id.into()]).await?.pop())
}

/// Reads the conversations selected by the condition `wanted`, newest first. Counts are computed
/// for these only.
async fn read<C: ConnectionTrait>(
    db: &C,
    wanted: &str,
    values: Vec<Value>,
) -> Result<Vec<AdminConversation>, AppError> {
    let sql = format!(
        "SELECT c.id, c.kind, CASE WHEN {CHANNEL_OR_GROUP} THEN c.title END AS title, c.workspace_id, w.name AS workspace_name, w.kind AS workspace_kind, \
           c.is_default, c.last_no AS messages, c.last_activity_at, c.created_at, c.archived_at, owner.id AS owner_id, owner.display_name AS owner_name, \
           COALESCE(n.members, (SELECT COUNT(*) FROM conversation_members m WHERE m.conversation_id = c.id AND NOT m.is_deleted)) AS members, \
           (SELECT CAST(COALESCE(SUM(f.size), 0) AS BIGINT) FROM message_uploads f WHERE f.conversation_id = c.id) AS stored_bytes \
         FROM (SELECT * FROM conversations c WHERE {wanted}) c \
         JOIN workspaces w ON w.id = c.workspace_id LEFT JOIN conversation_counts n ON n.conversation_id = c.id \
         LEFT JOIN conversation_members o ON o.conversation_id = c.id AND NOT o.is_deleted AND c.kind <> 'single' \
           AND (CASE o.role WHEN 'owner' THEN 0 ELSE 1 END) = 0 \
         LEFT JOIN users owner ON owner.id = o.user_id AND NOT owner.is_deleted ORDER BY c.id DESC"
    );
    let rows = raw::find::<_, ConversationRow>(db, sql, values).await?;
    Ok(rows.into_iter().map(AdminConversation::from).collect())
}

/// Lists the members of a conversation by name, optionally only those whose name contains `text`.
pub async fn members<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    text: &str,
    page: PageRequest,
) -> Result<(Vec<AdminConversationMember>, u64), AppError> {
    let (rows, total) = people(db, "conversation_members m", "m.conversation_id", id.into(), text, page).await?;
    let view = |row: PersonRow<MemberRole>| AdminConversationMember {
        id: row.id,
        display_name: row.display_name,
        email: row.email,
        role: row.role,
    };
    Ok((rows.into_iter().map(view).collect(), total))
}
