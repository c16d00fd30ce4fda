//! Which tools somebody lets an assistant call without being asked again.

use appcore::{AppError, AssistantId, McpServerId, Timestamp, ToolPermissionId, UserId, page::PageRequest, view};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use super::{raw, workspace_tools::SERVER_NAME};
use crate::constraint::app_error;

/// A permission that is given.
#[derive(Clone, Debug)]
pub struct NewPermission {
    pub user_id: UserId,
    pub assistant_id: AssistantId,
    pub server_id: McpServerId,
    pub tool: String,
    pub title: Option<String>,
    /// Of the tool as it is.
    pub digest: String,
}

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, FromQueryResult)]
pub struct Permitted {
    pub server_id: McpServerId,
    pub tool: String,
    pub digest: String,
}

#[derive(FromQueryResult)]
struct Shown {
    id: ToolPermissionId,
    assistant_id: AssistantId,
    assistant_name: String,
    server_id: McpServerId,
    server: String,
    tool: String,
    title: Option<String>,
    created_at: Timestamp,
}

/// Gives it, or gives it anew for a tool that was changed.
pub async fn put<C: ConnectionTrait>(db: &C, new: &NewPermission, now: Timestamp) -> Result<(), AppError> {
    let sql = "INSERT INTO tool_permissions (id, user_id, assistant_id, server_id, tool, title, digest, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (user_id, assistant_id, server_id, tool) \
               DO UPDATE SET title = excluded.title, digest = excluded.digest, created_at = excluded.created_at";
    let values = vec![
        ToolPermissionId::new().into(),
        new.user_id.into(),
        new.assistant_id.into(),
        new.server_id.into(),
        new.tool.clone().into(),
        new.title.clone().into(),
        new.digest.clone().into(),
        now.into(),
    ];
    raw::run(db, sql, values).await
}

/// What an assistant may call for somebody.
pub async fn of<C: ConnectionTrait>(db: &C, user: UserId, assistant: AssistantId) -> Result<Vec<Permitted>, AppError> {
    let sql = "SELECT server_id, tool, digest FROM tool_permissions WHERE user_id = $1 AND assistant_id = $2";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [user.into(), assistant.into()]);
    Permitted::find_by_statement(statement).all(db).await.map_err(app_error)
}

/// Somebody's permissions, the newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    assistant: Option<AssistantId>,
    page: PageRequest,
) -> Result<(Vec<view::ToolPermission>, u64), AppError> {
    let mut of = "FROM tool_permissions p JOIN assistants a ON a.id = p.assistant_id AND NOT a.is_deleted \
                  LEFT JOIN mcp_servers s ON s.id = p.server_id WHERE p.user_id = $1"
        .to_owned();
    let mut values: Vec<Value> = vec![user.into()];
    if let Some(assistant) = assistant {
        of.push_str(" AND p.assistant_id = $2");
        values.push(assistant.into());
    }
    let sql = format!(
        "SELECT p.id, p.assistant_id, a.name AS assistant_name, p.server_id, COALESCE(s.name, '{SERVER_NAME}') AS server, \
         p.tool, p.title, p.created_at {of} \
         ORDER BY p.created_at DESC, p.id LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let found = Statement::from_sql_and_values(db.get_database_backend(), sql, values.clone());
    let found = Shown::find_by_statement(found).all(db).await.map_err(app_error)?;
    let shown = |row: Shown| view::ToolPermission {
        id: row.id,
        assistant_id: row.assistant_id,
        assistant_name: row.assistant_name,
        server_id: row.server_id,
        server: row.server,
        tool: row.tool,
        title: row.title,
        created_at: row.created_at,
    };
    Ok((found.into_iter().map(shown).collect(), super::page::count(db, &of, values).await?))
}

/// Takes one of somebody's back; `false`: there is none.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, id: ToolPermissionId) -> Result<bool, AppError> {
    let sql = "DELETE FROM tool_permissions WHERE id = $1 AND user_id = $2";
    Ok(raw::execute(db, sql, vec![id.into(), user.into()]).await? > 0)
}

/// Forgets what somebody has allowed.
pub async fn forget_user<C: ConnectionTrait>(db: &C, user: UserId) -> Result<(), AppError> {
    raw::run(db, "DELETE FROM tool_permissions WHERE user_id = $1", vec![user.into()]).await
}

/// Forgets what was allowed of a server.
pub async fn forget_server<C: ConnectionTrait>(db: &C, server: McpServerId) -> Result<(), AppError> {
    raw::run(db, "DELETE FROM tool_permissions WHERE server_id = $1", vec![server.into()]).await
}
