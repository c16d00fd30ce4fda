//! Event log. The writer appends to it and publishes its events on the bus, the outbox publisher
//! publishes them again if necessary, and clients read it to catch up.

mod jobs;
pub(crate) mod log;
mod outbox_publisher;
pub(crate) mod partitions;
pub(crate) mod retention;
pub mod tool_calls;
mod writer;

use std::collections::HashMap;

use appcore::{
    AppError, Code, ConversationId, Timestamp, UserId,
    auth::Principal,
    event::SharedEnvelope,
    page::{MAX_PAGE_SIZE, Slice},
    view::LoggedEvent,
};
use dbcontext::query;
use serde_json::value::RawValue;

pub use jobs::AnswerOptions;
pub use jobs::{AnswerJob, PreviewJob, TitleJob, TranscribeJob};
pub use outbox_publisher::OutboxPublisher;
pub use partitions::MessagePartitions;
pub use writer::attachment_not_found;
pub use writer::{
    Actor, Change, CreateConversation, Created, DeleteMessage, EditMessage, EditPrompt, FinishAnswer, HideMessage,
    InThread, Limits as WriterLimits, MemberAction, Outboxes, Outcome, Pin, React, SendMessage, Sent, ServerAction,
    SetPreviews, SetTranscript, Solve, StartAnswer, UpdateConversation, Vote, Writer,
};

use crate::EventLogService;
use crate::access;

pub const MESSAGE_HIDDEN: &str = "A moderator has hidden this message.";
pub const MENTION_ALL_RESTRICTED: &str = "Only admins can mention everyone in this channel.";

/// Returns a page of a conversation's durable events after `after_seq`. The caller must be allowed
/// to read the conversation. Fails with `CursorExpired` if events after `after_seq` have been
/// trimmed.
pub async fn page(
    service: &EventLogService,
    by: &Principal,
    id: ConversationId,
    after_seq: i64,
    limit: u64,
) -> Result<Slice<LoggedEvent>, AppError> {
    let conversation = access::reader(service, by.user_id, id).await?;
    let after_seq = after_seq.max(conversation.hidden_until_seq());
    let limit = limit.clamp(1, MAX_PAGE_SIZE);
    let mut rows = query::events::list_after(&service.db.replica().await, id, after_seq, limit + 1).await?;
    let trimmed = rows.first().map_or(after_seq < conversation.last_seq, |row| row.seq > after_seq + 1);
    if trimmed {
        return Err(Code::CursorExpired.into());
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit || rows.last().is_some_and(|row| row.seq < conversation.last_seq);
    rows.truncate(limit);
    let items = rows
        .into_iter()
        .map(|row| {
            let payload = RawValue::from_string(row.payload).map_err(AppError::internal)?;
            Ok(LoggedEvent { seq: row.seq, kind: row.kind, payload, created_at: row.created_at })
        })
        .collect::<Result<_, AppError>>()?;
    Ok(Slice { items, has_more })
}

/// Returns the events of [`page`] as envelopes ready for delivery. Doesn't check access: callers
/// must have checked the membership.
pub async fn envelopes_after(
    service: &EventLogService,
    id: ConversationId,
    after_seq: i64,
    limit: u64,
) -> Result<Vec<SharedEnvelope>, AppError> {
    let rows =
        query::events::list_after(&service.db.replica().await, id, after_seq.max(0), limit.clamp(1, MAX_PAGE_SIZE))
            .await?;
    rows.into_iter().map(|row| log::envelope(row).map(Into::into)).collect()
}

/// Loads the next events of several conversations in one query: at most `limit` events per
/// conversation after its position. Events may be missing from the result if they were trimmed or
/// the query's total limit was reached.
pub async fn envelopes_after_each(
    service: &EventLogService,
    positions: &[(ConversationId, i64)],
    limit: u32,
) -> Result<HashMap<ConversationId, Vec<SharedEnvelope>>, AppError> {
    let mut found: HashMap<ConversationId, Vec<SharedEnvelope>> = HashMap::new();
    if positions.is_empty() {
        return Ok(found);
    }
    for row in query::events::after_each(&service.db.replica().await, positions, limit).await? {
        found.entry(row.conversation_id).or_default().push(log::envelope(row)?.into());
    }
    Ok(found)
}

/// Returns the last sequence number at `moment` of each of the user's conversations that has later
/// events.
pub async fn positions_at(
    service: &EventLogService,
    user: UserId,
    moment: Timestamp,
) -> Result<Vec<(ConversationId, i64)>, AppError> {
    query::events::positions_at(&service.db.replica().await, user, moment).await
}

/// Returns the last sequence number (`last_seq`) of each conversation.
pub async fn heads(service: &EventLogService, ids: &[ConversationId]) -> Result<Vec<(ConversationId, i64)>, AppError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    query::events::heads(service.db.reader(), ids.iter().copied()).await
}
