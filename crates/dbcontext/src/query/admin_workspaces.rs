//! Workspaces as administrators see them: counts, never content.

use appcore::{
    AppError, Timestamp, UserId, WorkspaceId,
    page::PageRequest,
    view::{AdminOwner, AdminWorkspace, AdminWorkspaceMember, WorkspaceKind, WorkspaceRole},
};
use sea_orm::{ConnectionTrait, FromQueryResult, TryGetable, Value};
use uuid::Uuid;

use super::{page, raw};

#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the name, or the complete id.
    pub text: String,
    /// Kind of the workspaces; `None` selects all but personal workspaces.
    pub kind: Option<WorkspaceKind>,
}

#[derive(FromQueryResult)]
struct WorkspaceRow {
    id: WorkspaceId,
    name: String,
    kind: WorkspaceKind,
    owner_id: Option<UserId>,
    owner_name: Option<String>,
    members: i64,
    guests: i64,
    conversations: i64,
    messages: i64,
    stored_bytes: i64,
    last_activity_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl From<WorkspaceRow> for AdminWorkspace {
    fn from(row: WorkspaceRow) -> Self {
        let owner = row.owner_id.zip(row.owner_name);
        Self {
            id: row.id,
            name: row.name,
            kind: row.kind,
            owner: owner.map(|(id, display_name)| AdminOwner { id, display_name }),
            members: row.members,
            guests: row.guests,
            conversations: row.conversations,
            messages: row.messages,
            stored_bytes: row.stored_bytes,
            last_activity_at: row.last_activity_at,
            created_at: row.created_at,
        }
    }
}

/// SQL select list of a workspace. Counts are computed only for the workspaces on the page.
const SELECT: &str = "SELECT w.id, w.name, w.kind, w.created_at, owner.id AS owner_id, owner.display_name AS owner_name, \
       (SELECT COUNT(*) FROM workspace_members m WHERE m.workspace_id = w.id AND NOT m.is_deleted AND m.role <> 'guest') AS members, \
       (SELECT COUNT(*) FROM workspace_members m WHERE m.workspace_id = w.id AND NOT m.is_deleted AND m.role = 'guest') AS guests, \
       (SELECT COUNT(*) FROM conversations c WHERE c.workspace_id = w.id AND NOT c.is_deleted) AS conversations, \
       (SELECT CAST(COALESCE(SUM(c.last_no), 0) AS BIGINT) FROM conversations c WHERE c.workspace_id = w.id AND NOT c.is_deleted) AS messages, \
       (SELECT MAX(c.last_activity_at) FROM conversations c WHERE c.workspace_id = w.id AND NOT c.is_deleted) AS last_activity_at, \
       (SELECT CAST(COALESCE((SELECT SUM(size) FROM message_uploads WHERE workspace_id = w.id), 0) \
          + COALESCE((SELECT SUM(size) FROM knowledge_files WHERE workspace_id = w.id), 0) AS BIGINT)) AS stored_bytes \
     FROM (SELECT * FROM workspaces w";
const OWNER: &str = "LEFT JOIN workspace_members o ON o.workspace_id = w.id AND o.role = 'owner' AND NOT o.is_deleted \
     LEFT JOIN users owner ON owner.id = o.user_id AND NOT owner.is_deleted";

/// Lists workspaces, newest first, with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    filter: &Filter,
    page: PageRequest,
) -> Result<(Vec<AdminWorkspace>, u64), AppError> {
    let (mut wanted, mut values) = ("WHERE NOT w.is_deleted".to_owned(), Vec::<Value>::new());
    match filter.kind {
        Some(kind) => wanted.push_str(&format!(" AND w.kind = '{}'", kind.as_str())),
        None => wanted.push_str(" AND w.kind <> 'personal'"),
    }
    let text = filter.text.trim().to_lowercase();
    if let Ok(id) = text.parse::<Uuid>() {
        values.push(id.into());
        wanted.push_str(" AND w.id = $1");
    } else if !text.is_empty() {
        values.push(super::like_containing(&text).into());
        wanted.push_str(r" AND LOWER(w.name) LIKE $1 ESCAPE '\'");
    }
    let sql = format!(
        "{SELECT} {wanted} ORDER BY w.created_at DESC, w.id DESC LIMIT {} OFFSET {}) w {OWNER} ORDER BY w.created_at DESC, w.id DESC",
        page.page_size,
        page.offset()
    );
    let rows = raw::find::<_, WorkspaceRow>(db, &sql, values.clone()).await?;
    let total = page::count(db, &format!("FROM workspaces w {wanted}"), values).await?;
    Ok((rows.into_iter().map(AdminWorkspace::from).collect(), total))
}

pub async fn find<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<Option<AdminWorkspace>, AppError> {
    let sql = format!("{SELECT} WHERE NOT w.is_deleted AND w.id = $1) w {OWNER}");
    let row: Option<WorkspaceRow> = raw::find_one(db, &sql, vec![id.into()]).await?;
    Ok(row.map(AdminWorkspace::from))
}

/// Lists the members of a workspace by name, optionally only those whose name contains `text`.
pub async fn members<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    text: &str,
    page: PageRequest,
) -> Result<(Vec<AdminWorkspaceMember>, u64), AppError> {
    let (rows, total) = people(db, "workspace_members m", "m.workspace_id", id.into(), text, page).await?;
    let view = |row: PersonRow<WorkspaceRole>| AdminWorkspaceMember {
        id: row.id,
        display_name: row.display_name,
        email: row.email,
        role: row.role,
    };
    Ok((rows.into_iter().map(view).collect(), total))
}

/// User with their role in a workspace or conversation.
#[derive(FromQueryResult)]
pub(super) struct PersonRow<R: TryGetable> {
    pub id: UserId,
    pub display_name: String,
    pub email: String,
    pub role: R,
}

/// Lists the members `m` in `table`, by name, of the conversation or workspace whose id is in the
/// column `key`. Optionally only those whose name contains `text`. Returns the total count as well.
pub(super) async fn people<C: ConnectionTrait, R: TryGetable>(
    db: &C,
    table: &str,
    key: &str,
    id: Value,
    text: &str,
    page: PageRequest,
) -> Result<(Vec<PersonRow<R>>, u64), AppError> {
    let mut of = format!(
        "FROM {table} JOIN users u ON u.id = m.user_id AND NOT u.is_deleted WHERE {key} = $1 AND NOT m.is_deleted"
    );
    let mut values: Vec<Value> = vec![id];
    let text = ::search::fold_name(text);
    if !text.is_empty() {
        values.push(super::like_containing(&text).into());
        of.push_str(r" AND (u.search_name LIKE $2 ESCAPE '\' OR u.email LIKE $2 ESCAPE '\')");
    }
    let sql = format!(
        "SELECT u.id, u.display_name, u.email, m.role {of} ORDER BY u.search_name, u.id LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let rows = raw::find::<_, PersonRow<R>>(db, &sql, values.clone()).await?;
    Ok((rows, page::count(db, &of, values).await?))
}
