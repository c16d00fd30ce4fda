//! Permissions of users that let assistants call tools without asking.

use appcore::{AppError, AssistantId, McpServerId, Timestamp, ToolPermissionId, UserId, page::PageRequest, view};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Set, Value};

use super::{raw, single, workspace_tools::SERVER_NAME};
use crate::{
    constraint::app_error,
    entity::tool_permission::{ActiveModel, Column, Entity, Model},
};

#[derive(Clone, Debug)]
pub struct NewPermission {
    pub user_id: UserId,
    pub assistant_id: AssistantId,
    pub server_id: McpServerId,
    pub tool: String,
    pub title: Option<String>,
    /// Digest of the tool's current definition.
    pub digest: String,
}

/// Tool that may be called without asking.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PermittedTool {
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

/// Inserts a permission, or replaces it after the tool has changed.
pub async fn upsert<C: ConnectionTrait>(db: &C, new: &NewPermission, now: Timestamp) -> Result<(), AppError> {
    let row = ActiveModel {
        id: Set(ToolPermissionId::new()),
        user_id: Set(new.user_id),
        assistant_id: Set(new.assistant_id),
        server_id: Set(new.server_id),
        tool: Set(new.tool.clone()),
        title: Set(new.title.clone()),
        digest: Set(new.digest.clone()),
        created_at: Set(now),
    };
    let key = [Column::UserId, Column::AssistantId, Column::ServerId, Column::Tool];
    single::upsert(db, row, key, [Column::Title, Column::Digest, Column::CreatedAt]).await
}

/// Lists the permissions that a user has granted to an assistant.
pub async fn granted<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    assistant: AssistantId,
) -> Result<Vec<PermittedTool>, AppError> {
    let given = Entity::find().filter(Column::UserId.eq(user)).filter(Column::AssistantId.eq(assistant));
    let found = given.all(db).await.map_err(app_error)?;
    Ok(found
        .into_iter()
        .map(|Model { server_id, tool, digest, .. }| PermittedTool { server_id, tool, digest })
        .collect())
}

/// Lists a user's permissions, newest first.
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
    let found = raw::find::<_, Shown>(db, sql, values.clone()).await?;
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

/// Deletes a permission of a user; returns `false` if there is none.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, id: ToolPermissionId) -> Result<bool, AppError> {
    let own = Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::UserId.eq(user));
    Ok(own.exec(db).await.map_err(app_error)?.rows_affected > 0)
}

/// Deletes all permissions of a user.
pub async fn remove_of_user<C: ConnectionTrait>(db: &C, user: UserId) -> Result<(), AppError> {
    Entity::delete_many().filter(Column::UserId.eq(user)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes all permissions for a server.
pub async fn remove_of_server<C: ConnectionTrait>(db: &C, server: McpServerId) -> Result<(), AppError> {
    Entity::delete_many().filter(Column::ServerId.eq(server)).exec(db).await.map_err(app_error)?;
    Ok(())
}
