//! Which of our own tools assistants use in a workspace.

use std::collections::BTreeMap;

use appcore::{AppError, WorkspaceId, view::ToolMode};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use crate::constraint::app_error;

/// The name of the server that they go by, which is in no table.
pub const SERVER_NAME: &str = "Natter";

#[derive(FromQueryResult)]
struct Row {
    tool: String,
    mode: String,
}

/// What is done with each that is allowed in a workspace.
pub async fn of<C: ConnectionTrait>(db: &C, workspace: WorkspaceId) -> Result<BTreeMap<String, ToolMode>, AppError> {
    let sql = "SELECT tool, mode FROM workspace_tools WHERE workspace_id = $1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [workspace.into()]);
    let rows = Row::find_by_statement(statement).all(db).await.map_err(app_error)?;
    let mode = |row: Row| -> Result<(String, ToolMode), AppError> {
        Ok((row.tool, row.mode.parse().map_err(AppError::internal)?))
    };
    rows.into_iter().map(mode).collect()
}

/// Says what is done with one; one that is off is forgotten.
pub async fn put<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    tool: &str,
    mode: ToolMode,
) -> Result<(), AppError> {
    let (sql, values) = if mode == ToolMode::Off {
        ("DELETE FROM workspace_tools WHERE workspace_id = $1 AND tool = $2", vec![workspace.into(), tool.into()])
    } else {
        (
            "INSERT INTO workspace_tools (workspace_id, tool, mode) VALUES ($1, $2, $3) \
             ON CONFLICT (workspace_id, tool) DO UPDATE SET mode = excluded.mode",
            vec![workspace.into(), tool.into(), mode.as_str().into()],
        )
    };
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    db.execute_raw(statement).await.map_err(app_error).map(drop)
}
