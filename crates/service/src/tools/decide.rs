//! What whoever asked an assistant says to a call that waits for them.

use appcore::{
    AppError, Code, MessageId, ToolCallId,
    auth::Principal,
    view::{Message, MessageStatus, ToolCall, ToolCallStatus, ToolDecision},
};
use dbcontext::query::{self, tool_calls};

use super::{script::DENIED, shown_json, tell};
use crate::{
    App, conversations,
    jobs::{self, AnswerJob, Job as _},
};

/// Allows a call that waits, or denies it. The answer goes on when all of its calls are decided.
pub async fn decide(
    app: &App,
    by: &Principal,
    message_id: MessageId,
    id: ToolCallId,
    decision: ToolDecision,
) -> Result<ToolCall, AppError> {
    let found = query::messages::find(app.db.reader(), by.user_id, message_id).await?;
    let message = Message::try_from(found.ok_or(Code::NotFound)?)?;
    conversations::access::member(app, by.user_id, message.conversation_id).await?;
    let db = app.db.writer();
    let call = tool_calls::find(db, message_id, id).await?.ok_or(Code::NotFound)?;
    if call.asker_id != by.user_id {
        return Err(AppError::refused(Code::Forbidden, "Only the person who asked can decide this."));
    }
    let (status, result) = match decision {
        ToolDecision::Allow => (ToolCallStatus::Queued, None),
        ToolDecision::Deny => (ToolCallStatus::Refused, Some(DENIED)),
    };
    let now = app.clock.now();
    let is_open = message.status == MessageStatus::Streaming && call.expires_at.is_none_or(|at| at > now);
    if !is_open || !tool_calls::decide(db, id, status, result, now).await? {
        return Err(AppError::refused(Code::WrongState, "This call isn't waiting any more."));
    }
    let rows = tool_calls::shown(db, message_id).await?;
    tool_calls::show(db, message_id, shown_json(&rows)?.as_deref()).await?;
    let row = rows.iter().find(|row| row.id == id).ok_or(Code::NotFound)?;
    tell(app, message.conversation_id, message_id, row);
    // After the decision is stored: whoever puts the job aside looks for decisions after that.
    if rows.iter().all(|row| row.status != ToolCallStatus::Waiting.as_str())
        && query::jobs::hasten(db, AnswerJob::KIND, message_id.0).await?
    {
        jobs::wake(app);
    }
    row.clone().try_into()
}
