//! Built-in tools. The admins of a workspace enable each of them; by default all are off.
//!
//! They belong to a virtual server without a database row, so that the rules for tools of servers
//! (permissions, confirmations, limits, display) apply to them too.

mod calculate;
mod fetch;
mod find;

use std::collections::BTreeMap;

use appcore::{
    AppError, ConversationId, McpServerId, Timestamp, UserId, WorkspaceId,
    auth::{Permission, Principal},
    view::{McpAuth, McpTransport, OfferedTool, ToolMode, ToolVisibility, WorkspaceTools},
};
use dbcontext::{
    constraint::app_error,
    query::{
        self,
        mcp_servers::McpServerRow,
        workspace_tools::{self as rows, SERVER_NAME},
    },
};
use identity::membership;
use mcp::{CallResult, Tool};
use platform::audit::{self, Action, NewAuditEntry};
use serde_json::{Map, Value};
use tokio::time::timeout;
use uuid::Uuid;

use super::servers::json;
use crate::AssistantsService;

/// Id of the virtual server.
pub(super) const SERVER: McpServerId = McpServerId(Uuid::from_u128(0x0000_0000_0000_7000_8000_6e61_7474_6572));

pub(super) fn tools() -> Vec<Tool> {
    vec![find::tool(), fetch::tool(), calculate::tool()]
}

/// Built-in tool with this name.
pub(super) fn tool(name: &str) -> Option<Tool> {
    tools().into_iter().find(|tool| tool.name == name)
}

/// Defines a read-only tool whose arguments `schema` describes.
fn read_only_tool(name: &str, title: &str, description: &str, schema: Value) -> Tool {
    Tool {
        name: name.to_owned(),
        title: Some(title.to_owned()),
        description: Some(description.to_owned()),
        schema,
        is_read_only: true,
        is_idempotent: true,
    }
}

/// Creates the virtual server with these modes of its tools. Tools without a mode are off.
pub(super) fn server(modes: &BTreeMap<String, ToolMode>) -> Result<McpServerRow, AppError> {
    let tools = tools();
    let mode = |tool: &Tool| (tool.name.clone(), modes.get(&tool.name).copied().unwrap_or(ToolMode::Off));
    let modes: BTreeMap<String, ToolMode> = tools.iter().map(mode).collect();
    Ok(McpServerRow {
        id: SERVER,
        name: SERVER_NAME.to_owned(),
        search_name: ::search::fold_name(SERVER_NAME),
        description: None,
        // Not used, because the server runs in this process.
        transport: McpTransport::Stdio,
        auth: McpAuth::Secrets,
        url: None,
        command: None,
        secrets: None,
        is_sealed: false,
        secret_names: "[]".to_owned(),
        is_enabled: true,
        offered_to: ToolVisibility::Everyone,
        tools: json(&tools)?,
        prompts: "[]".to_owned(),
        modes: json(&modes)?,
        checked_at: None,
        error: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    })
}

/// Virtual server as offered in a conversation; `None` if the workspace has enabled none of its
/// tools.
pub(super) async fn offered_server(
    service: &AssistantsService,
    conversation: ConversationId,
) -> Result<Option<McpServerRow>, AppError> {
    let db = service.db.reader();
    let Some(workspace) = query::conversations::workspace(db, conversation).await? else { return Ok(None) };
    let modes = rows::modes(db, workspace).await?;
    if modes.is_empty() { Ok(None) } else { server(&modes).map(Some) }
}

/// Built-in tools of a workspace of the caller, with their modes.
pub async fn workspace_tools(
    service: &AssistantsService,
    by: &Principal,
    id: WorkspaceId,
) -> Result<WorkspaceTools, AppError> {
    membership::authorize(&service.identity, by, id, Permission::View).await?;
    Ok(view(&rows::modes(service.db.reader(), id).await?))
}

/// Sets the modes of the given tools.
pub async fn set_modes(
    service: &AssistantsService,
    by: &Principal,
    id: WorkspaceId,
    modes: BTreeMap<String, ToolMode>,
) -> Result<WorkspaceTools, AppError> {
    membership::authorize(&service.identity, by, id, Permission::Configure).await?;
    if modes.keys().any(|name| tool(name).is_none()) {
        return Err(AppError::field("modes", "unknown", "There is no such tool."));
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    for (name, mode) in modes {
        rows::put(&tx, id, &name, mode).await?;
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceChanged, Some(id.to_string()))).await?;
    let modes = rows::modes(&tx, id).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(view(&modes))
}

fn view(modes: &BTreeMap<String, ToolMode>) -> WorkspaceTools {
    let offered = |tool: Tool| OfferedTool {
        mode: modes.get(&tool.name).copied().unwrap_or(ToolMode::Off),
        name: tool.name,
        title: tool.title,
        description: tool.description,
    };
    WorkspaceTools {
        server_id: SERVER,
        name: SERVER_NAME.to_owned(),
        tools: tools().into_iter().map(offered).collect(),
    }
}

/// Calls a built-in tool on behalf of the user who asked.
pub(super) async fn call(
    service: &AssistantsService,
    conversation: ConversationId,
    asker: UserId,
    tool: &str,
    arguments: &Map<String, Value>,
) -> CallResult {
    let called = async {
        match tool {
            find::NAME => find::call(service, conversation, asker, arguments).await,
            fetch::NAME => fetch::call(service, asker, arguments).await,
            calculate::NAME => calculate::call(service, asker, arguments).await,
            _ => Err("There is no such tool.".to_owned()),
        }
    };
    let called = timeout(service.config.mcp.call_timeout, called).await;
    let (text, is_error) = match called.unwrap_or_else(|_| Err("The tool took too long.".to_owned())) {
        Ok(text) => (text, false),
        Err(text) => (text, true),
    };
    CallResult { text: truncate(text, service.config.mcp.max_result_bytes), pictures: Vec::new(), is_error }
}

/// Returns a required text argument, or an error message for the model.
fn required_text<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    let text = arguments.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("The argument {name:?} is missing: give a text."))
}

/// Returns the message that the model gets for an internal failure.
fn error_text(error: AppError) -> String {
    tracing::warn!(%error, "built-in tool failed");
    error.sentence().into_owned()
}

/// Truncates a text and removes NUL characters, which PostgreSQL can't store.
fn truncate(text: String, most: usize) -> String {
    let mut text = if text.contains('\0') { text.replace('\0', "") } else { text };
    if text.len() > most {
        let end = text.floor_char_boundary(most);
        let left_out = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("\n[{left_out} more bytes were left out]"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_off_by_default() {
        let modes = BTreeMap::from([(calculate::NAME.to_owned(), ToolMode::Auto)]);
        let shown = view(&modes);
        let shown: Vec<_> = shown.tools.iter().map(|tool| (tool.name.as_str(), tool.mode)).collect();
        assert_eq!(
            shown,
            [(find::NAME, ToolMode::Off), (fetch::NAME, ToolMode::Off), (calculate::NAME, ToolMode::Auto)]
        );
        let stored: BTreeMap<String, ToolMode> = serde_json::from_str(&server(&modes).unwrap().modes).unwrap();
        assert_eq!(stored.len(), tools().len());
        assert_eq!(stored[find::NAME], ToolMode::Off);
    }

    #[test]
    fn results_are_bounded() {
        assert_eq!(truncate("a\0b".to_owned(), 10), "ab");
        assert_eq!(truncate("ơơơ".to_owned(), 3), "ơ\n[4 more bytes were left out]");
    }
}
