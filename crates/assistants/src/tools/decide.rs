//! Decision of the user who asked about a tool call that waits for permission.

use appcore::{
    AppError, AssistantId, Code, MessageId, ToolCallId,
    auth::Principal,
    view::{Message, MessageStatus, ToolCall, ToolCallDetails, ToolCallStatus, ToolDecision},
};
use dbcontext::{
    constraint::app_error,
    query::{
        self, mcp_servers,
        tool_calls::{self, ToolCallRow},
        tool_permissions::{self, NewPermission},
    },
};
use event_log::{access, events::AnswerJob};
use jobs::{self, JobPayload as _};
use mcp::Tool;
use serde_json::{Map, Value};

use super::{
    arguments, builtin, permissions::digest, publish_call_state, servers, transcript::DENIED, truncate_to_json,
};
use crate::AssistantsService;

#[derive(Clone, Debug)]
pub struct CallDecision {
    pub decision: ToolDecision,
    /// Arguments that replace those of the model; `None` keeps them.
    pub arguments: Option<Map<String, Value>>,
    /// True if such calls are allowed permanently.
    pub remember: bool,
}

/// Returns a call of an answer that the caller has requested, with its complete arguments and their
/// schema.
pub async fn find(
    service: &AssistantsService,
    by: &Principal,
    message_id: MessageId,
    id: ToolCallId,
) -> Result<ToolCallDetails, AppError> {
    let (_, call) = find_own_call(service, by, message_id, id).await?;
    let schema = tool(service, &call).await?.map(|tool| tool.schema);
    Ok(ToolCallDetails { call: call.into(), schema })
}

/// Returns a call with its message, if the caller is the user who asked.
async fn find_own_call(
    service: &AssistantsService,
    by: &Principal,
    message_id: MessageId,
    id: ToolCallId,
) -> Result<(Message, ToolCallRow), AppError> {
    let found = query::messages::find(service.db.reader(), by.user_id, message_id).await?;
    let message = Message::try_from(found.ok_or(Code::NotFound)?)?;
    access::member(&service.events, by.user_id, message.conversation_id).await?;
    let call = tool_calls::find(service.db.writer(), message_id, id).await?.ok_or(Code::NotFound)?;
    if call.requested_by != by.user_id {
        return Err(AppError::refused(Code::Forbidden, "Only the person who asked can decide this."));
    }
    Ok((message, call))
}

/// Tool of a call, if it still exists.
async fn tool(service: &AssistantsService, call: &ToolCallRow) -> Result<Option<Tool>, AppError> {
    if call.server_id == builtin::SERVER {
        return Ok(builtin::tool(&call.tool));
    }
    let server = mcp_servers::find(service.db.reader(), call.server_id).await?;
    let Some(server) = server.filter(|server| server.is_enabled) else { return Ok(None) };
    Ok(servers::tools(&server)?.into_iter().find(|tool| tool.name == call.tool))
}

/// True if a suspended answer can continue: a call was allowed, or no call waits for a decision.
pub(crate) fn is_resumable(rows: &[ToolCallRow]) -> bool {
    rows.iter().any(|row| row.status == ToolCallStatus::Queued)
        || rows.iter().all(|row| row.status != ToolCallStatus::Waiting)
}

/// Allows or denies a waiting call. An allowed call is executed at once; the model is called again
/// when all calls are decided.
pub async fn decide(
    service: &AssistantsService,
    by: &Principal,
    message_id: MessageId,
    id: ToolCallId,
    decided: CallDecision,
) -> Result<ToolCall, AppError> {
    let CallDecision { decision, arguments, remember } = decided;
    if decision == ToolDecision::Deny && (arguments.is_some() || remember) {
        let field = if remember { "remember" } else { "arguments" };
        return Err(AppError::field(field, "invalid", "This can only be set for allowed calls."));
    }
    let (message, call) = find_own_call(service, by, message_id, id).await?;
    let needed = if arguments.is_some() || remember { tool(service, &call).await? } else { None };
    let gone = || AppError::refused(Code::WrongState, "This tool is no longer available.");
    let arguments = match arguments {
        Some(arguments) => {
            let schema = &needed.as_ref().ok_or_else(gone)?.schema;
            Some(arguments::validate(arguments, schema)?)
        }
        None => None,
    };
    let permission = match message.sender.id {
        Some(assistant) if remember => {
            let tool = needed.ok_or_else(gone)?;
            Some(NewPermission {
                user_id: by.user_id,
                assistant_id: AssistantId(assistant),
                server_id: call.server_id,
                digest: digest(&tool),
                tool: tool.name,
                title: tool.title,
            })
        }
        _ => None,
    };
    let (status, result) = match decision {
        ToolDecision::Allow => (ToolCallStatus::Queued, None),
        ToolDecision::Deny => (ToolCallStatus::Refused, Some(DENIED)),
    };
    let now = service.clock.now();
    let is_open = message.status == MessageStatus::Streaming && call.expires_at.is_none_or(|at| at > now);
    let tx = service.db.begin().await.map_err(app_error)?;
    if !is_open || !tool_calls::decide(&tx, id, status, (result, arguments.as_deref()), now).await? {
        return Err(AppError::refused(Code::WrongState, "This call is no longer waiting."));
    }
    if let Some(permission) = permission {
        tool_permissions::upsert(&tx, &permission, now).await?;
    }
    let rows = tool_calls::of_current_version(&tx, message_id).await?;
    tool_calls::set_summary(&tx, message_id, truncate_to_json(&rows)?.as_deref()).await?;
    tx.commit().await.map_err(app_error)?;
    let row = rows.iter().find(|row| row.id == id).ok_or(Code::NotFound)?;
    publish_call_state(service, message.conversation_id, message_id, row);
    // The job is resumed after the commit, because a worker that suspends it checks for committed
    // decisions afterwards.
    if is_resumable(&rows) && query::jobs::make_due(service.db.writer(), AnswerJob::KIND, message_id.0).await? {
        service.wake_workers();
    }
    Ok(row.clone().into())
}
