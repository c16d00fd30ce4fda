//! Moderation of messages, slow mode and word filters. In a conversation with neither slow mode nor
//! a word filter, the cost is two checks of cached fields.

use std::{collections::BTreeSet, time::Duration};

use appcore::{
    AppError, Code, ConversationId, UserId,
    event::DurableBody,
    view::{Message, MessageStatus},
};
use dbcontext::query;
use jobs::JobPayload as _;
use platform::{audit, urls, word_filter::FilterOutcome};

use super::{
    batch::Batch,
    change::{Actor, Change, HideMessage, Outcome, SendMessage},
    log_redaction, mentions,
    messages::{self, live_message, sends},
};
use crate::events::jobs::PreviewJob;

/// Loads the times of the senders' last messages in conversations with slow mode, and the messages
/// there that are sent again.
pub(super) async fn load(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let slow: Vec<(Actor, &SendMessage)> =
        sends(changes).filter(|(by, _)| is_slow(batch, by.conversation_id)).collect();
    if slow.is_empty() {
        return Ok(());
    }
    let people: BTreeSet<(ConversationId, UserId)> =
        slow.iter().map(|(by, _)| (by.conversation_id, by.user_id)).collect();
    let people: Vec<_> = people.into_iter().collect();
    batch.last_writes.extend(query::moderation::last_posts(batch.db, &people).await?);
    // A message that is sent again after a lost response isn't subject to slow mode.
    let asked = slow.iter().map(|(by, send)| (by.conversation_id, by.user_id, send.client_id.as_str())).collect();
    messages::load_sent(batch, asked).await
}

fn is_slow(batch: &Batch<'_>, id: ConversationId) -> bool {
    batch.conversation(id).is_ok_and(|state| state.slow_mode_seconds > 0)
}

/// Fails if the member has written within the slow-mode interval.
pub(super) fn check_slow_mode(batch: &Batch<'_>, by: Actor) -> Result<(), AppError> {
    let (id, user) = (by.conversation_id, by.user_id);
    if !is_slow(batch, id) || messages::is_admin(batch, by)? {
        return Ok(());
    }
    let Some(last) = batch.last_writes.get(&(id, user)) else { return Ok(()) };
    let pause = batch.conversation(id)?.slow_mode_seconds.saturating_mul(1_000);
    // The wait is limited to the interval, in case the clock of another instance is ahead.
    let left = last.0.saturating_add(pause).saturating_sub(batch.now.0).min(pause);
    if left <= 0 {
        return Ok(());
    }
    let seconds = left.unsigned_abs().div_ceil(1_000);
    Err(AppError::Refused { code: Code::SlowMode, message: None, retry_after: Some(Duration::from_secs(seconds)) })
}

/// Records the time of a message in a conversation with slow mode.
pub(super) fn record_slow_mode(batch: &mut Batch<'_>, by: Actor) -> Result<(), AppError> {
    let (id, user) = (by.conversation_id, by.user_id);
    if is_slow(batch, id) && !messages::is_admin(batch, by)? {
        batch.last_writes.insert((id, user), batch.now);
        batch.new_last_writes.insert((id, user), batch.now);
    }
    Ok(())
}

/// Applies the word filter. Returns the text, in which words may be masked, or fails if the text is
/// refused.
pub(super) fn apply_word_filter(batch: &Batch<'_>, id: ConversationId, text: &str) -> Result<String, AppError> {
    let Some(filter) = batch.filter(id) else { return Ok(text.to_owned()) };
    match filter.check(text) {
        FilterOutcome::Clean => Ok(text.to_owned()),
        FilterOutcome::Masked(text) => Ok(text),
        FilterOutcome::Refused(word) => Err(AppError::detailed(Code::WordRefused, serde_json::json!({ "word": word }))),
    }
}

/// Hides the content of a message, or shows it again.
pub(super) async fn hide(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    hide: &HideMessage,
) -> Result<Outcome, AppError> {
    if batch.capabilities(conversation_id)?.asks_every_message {
        return Err(AppError::refused(Code::WrongState, "Messages in chats with an assistant can't be hidden."));
    }
    let mut message = live_message(batch, conversation_id, hide.message_id).await?;
    if message.hidden_at.is_some() == hide.is_hidden {
        return Ok(Outcome::Message(Box::new(message)));
    }
    if message.status == MessageStatus::Streaming {
        return Err(AppError::refused(Code::WrongState, "The assistant is still answering. Wait until it is done."));
    }
    if hide.is_hidden {
        query::moderation::hide(batch.db, message.id, hide.by, batch.now).await?;
        mentions::remove_all(batch, &message);
        clear_content(&mut message);
        message.hidden_at = Some(batch.now);
        log_redaction::redact(batch, &message).await?;
    } else {
        query::moderation::restore(batch.db, message.id).await?;
        message = live_message(batch, conversation_id, hide.message_id).await?;
        mentions::restore(batch, &message);
        if urls::may_contain_link(&message.content) {
            batch.enqueue(PreviewJob { conversation_id, message_id: message.id }.new_job()?);
        }
    }
    audit::record(batch.db, hide.entry.clone()).await?;
    batch.emit(
        conversation_id,
        DurableBody::MessageUpdated { message: Box::new(message.clone()), branch_changed: false },
    )?;
    Ok(Outcome::Message(Box::new(message)))
}

fn clear_content(message: &mut Message) {
    message.content.clear();
    message.mentions.clear();
    message.attachments.clear();
    message.previews.clear();
    message.tool_calls.clear();
    message.forwarded = None;
    message.poll = None;
    message.answer = None;
}
