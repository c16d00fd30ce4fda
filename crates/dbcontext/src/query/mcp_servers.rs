//! MCP servers.

use appcore::{AppError, McpServerId, Timestamp, page::PageRequest, view::ToolVisibility};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, Set,
};

use super::{page, rows::Rows};
pub use crate::entity::mcp_server::Model as McpServerRow;
use crate::{
    constraint::{app_error, unique_violation},
    entity::mcp_server::{ActiveModel, Column, Entity},
};

/// Inserts a server; its name must be unused.
pub async fn insert<C: ConnectionTrait>(db: &C, row: McpServerRow) -> Result<(), AppError> {
    Entity::insert(row.into_active_model()).exec_without_returning(db).await.map_err(name_taken)?;
    Ok(())
}

/// Updates a server; returns `false` if it doesn't exist. Its name must be unused.
pub async fn update<C: ConnectionTrait>(db: &C, row: McpServerRow) -> Result<bool, AppError> {
    let id = row.id;
    let changed = ActiveModel { id: NotSet, ..row.into_active_model().reset_all() };
    let done = Entity::update_many().set(changed).filter(Column::Id.eq(id)).exec(db).await.map_err(name_taken)?;
    Ok(done.rows_affected > 0)
}

/// Stores the tools and prompts that a server reported, unless the server was edited meanwhile.
pub async fn record_tools<C: ConnectionTrait>(
    db: &C,
    id: McpServerId,
    as_of: Timestamp,
    found: Result<(String, String), String>,
    now: Timestamp,
) -> Result<(), AppError> {
    let mut checked = ActiveModel { checked_at: Set(Some(now)), error: Set(None), ..Default::default() };
    match found {
        Ok((tools, prompts)) => {
            checked.tools = Set(tools);
            checked.prompts = Set(prompts);
        }
        Err(error) => checked.error = Set(Some(error)),
    }
    let unchanged = Entity::update_many().set(checked).filter(Column::Id.eq(id)).filter(Column::UpdatedAt.eq(as_of));
    unchanged.exec(db).await.map_err(app_error)?;
    Ok(())
}

pub async fn delete<C: ConnectionTrait>(db: &C, id: McpServerId) -> Result<bool, AppError> {
    Ok(Entity::delete_by_id(id).exec(db).await.map_err(app_error)?.rows_affected > 0)
}

pub async fn find<C: ConnectionTrait>(db: &C, id: McpServerId) -> Result<Option<McpServerRow>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

pub async fn find_all<C: ConnectionTrait>(db: &C, ids: &[McpServerId]) -> Result<Vec<McpServerRow>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!("SELECT s.* FROM mcp_servers s JOIN {} ON s.id = w.id", asked.table());
    asked.find::<_, McpServerRow>(db, sql).await
}

/// Number of servers.
pub async fn count<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    Entity::find().count(db).await.map_err(app_error)
}

/// Lists servers by name: all servers, the enabled ones, or those that are offered to everyone.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    which: McpServerFilter,
    page: PageRequest,
) -> Result<(Vec<McpServerRow>, u64), AppError> {
    let servers = Entity::find().order_by_asc(Column::SearchName);
    let servers = match which {
        McpServerFilter::All => servers,
        McpServerFilter::Enabled => servers.filter(Column::IsEnabled.eq(true)),
        McpServerFilter::OfferedToEveryone => {
            servers.filter(Column::IsEnabled.eq(true)).filter(Column::OfferedTo.eq(ToolVisibility::Everyone))
        }
    };
    page::select(db, servers, page).await
}

/// Servers to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum McpServerFilter {
    All,
    Enabled,
    OfferedToEveryone,
}

fn name_taken(error: DbErr) -> AppError {
    if unique_violation(&error) {
        AppError::field("name", "taken", "Another server has this name.")
    } else {
        app_error(error)
    }
}
