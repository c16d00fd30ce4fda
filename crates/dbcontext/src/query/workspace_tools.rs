//! Modes of the built-in tools per workspace.

use std::collections::BTreeMap;

use appcore::{AppError, WorkspaceId, view::ToolMode};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set};

use super::single;
use crate::{
    constraint::app_error,
    entity::workspace_tool::{ActiveModel, Column, Entity},
};

/// Name of the server of the built-in tools. This server has no row in the database.
pub const SERVER_NAME: &str = "Natter";

/// Returns the mode of each built-in tool that is allowed in a workspace.
pub async fn modes<C: ConnectionTrait>(db: &C, workspace: WorkspaceId) -> Result<BTreeMap<String, ToolMode>, AppError> {
    let tools = Entity::find().filter(Column::WorkspaceId.eq(workspace));
    let modes = tools.select_only().columns([Column::Tool, Column::Mode]).into_tuple::<(String, ToolMode)>();
    Ok(modes.all(db).await.map_err(app_error)?.into_iter().collect())
}

/// Sets the mode of a tool. A tool that is switched off has no row.
pub async fn put<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    tool: &str,
    mode: ToolMode,
) -> Result<(), AppError> {
    if mode == ToolMode::Off {
        Entity::delete_by_id((workspace, tool.to_owned())).exec(db).await.map_err(app_error)?;
        return Ok(());
    }
    let row = ActiveModel { workspace_id: Set(workspace), tool: Set(tool.to_owned()), mode: Set(mode) };
    single::upsert(db, row, [Column::WorkspaceId, Column::Tool], [Column::Mode]).await
}
