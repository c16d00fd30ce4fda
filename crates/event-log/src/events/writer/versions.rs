//! Versions in assistant chats: edited prompts, regenerated answers, and the selection of the shown
//! version.

use std::collections::BTreeSet;

use appcore::{
    AppError, AssistantId, Code, ConversationId, MessageId,
    event::DurableBody,
    view::{Message, MessageStatus, SenderKind, Versions},
};
use dbcontext::query;

use super::{
    addressed_assistants, answers,
    batch::Batch,
    change::{Actor, EditPrompt, Outcome},
    files, log_redaction,
    messages::live_message,
};
use crate::events::jobs::AnswerJob;

/// Maximum number of versions per message.
const MAX_VERSIONS: i64 = 50;

/// Replaces the text of a prompt and requests a new answer. The messages that followed the old text
/// are kept with the old version.
pub(super) async fn edit_prompt(batch: &mut Batch<'_>, by: Actor, again: &EditPrompt) -> Result<Outcome, AppError> {
    let Actor { conversation_id, user_id } = by;
    batch.acting_member(conversation_id, user_id)?;
    batch.check_length(conversation_id, &again.content)?;
    let mut message = live_message(batch, conversation_id, again.message_id).await?;
    if message.sender.kind != SenderKind::User || message.sender.id != Some(user_id.0) {
        return Err(AppError::refused(Code::Forbidden, "You can only edit your own messages."));
    }
    let assistants = idle_assistants(batch, conversation_id).await?;
    if assistants.is_empty() {
        return Err(addressed_assistants::assistant_unavailable());
    }
    answers::load_open_answers(batch, BTreeSet::from([user_id])).await?;
    batch.check_open_answers(user_id, assistants.len())?;
    start_version(batch, &mut message).await?;
    query::versions::set_text(batch.db, message.id, again.content.as_str()).await?;
    again.content.as_str().clone_into(&mut message.content);
    publish(batch, &message).await?;
    for assistant_id in assistants {
        let (question_id, answer_id, asking) = (message.id, MessageId::new(), again.asking.clone());
        let job = AnswerJob { conversation_id, question_id, assistant_id, answer_id, beside: None, asking };
        batch.enqueue_answer(&job, user_id)?;
    }
    Ok(Outcome::Message(Box::new(message)))
}

/// Shows another version of a prompt or an answer, and the messages that followed it.
pub(super) async fn show(
    batch: &mut Batch<'_>,
    by: Actor,
    message_id: MessageId,
    index: i64,
) -> Result<Outcome, AppError> {
    let conversation_id = by.conversation_id;
    batch.acting_member(conversation_id, by.user_id)?;
    let mut message = live_message(batch, conversation_id, message_id).await?;
    idle_assistants(batch, conversation_id).await?;
    let shown = message.versions.unwrap_or(Versions { index: 1, count: 1 });
    if index == shown.index {
        return Ok(Outcome::Message(Box::new(message)));
    }
    let Some(kept) = query::versions::remove_version(batch.db, message.id, index).await? else {
        return Err(AppError::field("index", "not_found", "This version doesn't exist."));
    };
    query::versions::store_current(batch.db, message.id).await?;
    message.content = kept.content;
    message.status = kept.status;
    message.reason = kept.reason;
    message.model = kept.model;
    message.answer = match &kept.answer {
        Some(figures) => Some(serde_json::from_str(figures).map_err(AppError::internal)?),
        None => None,
    };
    message.tool_calls = match &kept.tool_calls {
        Some(calls) => serde_json::from_str(calls).map_err(AppError::internal)?,
        None => Vec::new(),
    };
    query::tool_calls::set_summary(batch.db, message.id, kept.tool_calls.as_deref()).await?;
    message.versions = Some(Versions { index, ..shown });
    let (reason, model) = (message.reason.as_deref(), message.model.as_deref());
    let figures = message.answer.as_ref();
    query::messages::set_answer(batch.db, message.id, &message.content, message.status, reason, model, figures).await?;
    query::versions::set(batch.db, message.id, index, shown.count).await?;
    query::versions::hide(batch.db, conversation_id, message.seq, message.id, shown.index).await?;
    query::versions::unhide(batch.db, message.id, index).await?;
    publish(batch, &message).await?;
    Ok(Outcome::Message(Box::new(message)))
}

/// Keeps an answer as a version, because it is generated again. Returns false if the answer is to
/// be overwritten instead.
pub(super) async fn store_as_version(batch: &mut Batch<'_>, message: &mut Message) -> Result<bool, AppError> {
    let is_answer = matches!(message.status, MessageStatus::Complete | MessageStatus::Stopped);
    if !batch.capabilities(message.conversation_id)?.asks_every_message || !is_answer || message.content.is_empty() {
        return Ok(false);
    }
    idle_assistants(batch, message.conversation_id).await?;
    start_version(batch, message).await?;
    Ok(true)
}

/// Deletes the other versions of a deleted message, and the hidden messages that belong to them.
pub(super) async fn remove(batch: &mut Batch<'_>, message: &Message) -> Result<(), AppError> {
    query::versions::remove(batch.db, message.id).await?;
    let mut behind = vec![message.id];
    while let Some(id) = behind.pop() {
        for row in query::versions::hidden_messages(batch.db, id).await? {
            let mut hidden = Message::try_from(row)?;
            query::messages::delete(batch.db, hidden.id, batch.now).await?;
            files::detach(batch, hidden.id).await?;
            hidden.attachments.clear();
            query::versions::remove(batch.db, hidden.id).await?;
            hidden.content.clear();
            hidden.deleted_at = Some(batch.now);
            log_redaction::redact(batch, &hidden).await?;
            behind.push(hidden.id);
        }
    }
    Ok(())
}

/// Fails if the message has the maximum number of versions.
pub(super) fn check_version_limit(versions: Versions) -> Result<(), AppError> {
    if versions.count < MAX_VERSIONS {
        return Ok(());
    }
    Err(AppError::refused(
        Code::WrongState,
        format!("A message can have up to {MAX_VERSIONS} versions. Send a new one instead."),
    ))
}

/// Stores the current state of the message as a version and starts the next version, which is
/// followed by no messages.
async fn start_version(batch: &mut Batch<'_>, message: &mut Message) -> Result<(), AppError> {
    let old = message.versions.unwrap_or(Versions { index: 1, count: 1 });
    check_version_limit(old)?;
    let new = Versions { index: old.count + 1, count: old.count + 1 };
    query::versions::store_current(batch.db, message.id).await?;
    query::versions::set(batch.db, message.id, new.index, new.count).await?;
    query::versions::hide(batch.db, message.conversation_id, message.seq, message.id, old.index).await?;
    message.versions = Some(new);
    Ok(())
}

/// Returns the assistants of an assistant chat. Fails while one of them is answering.
async fn idle_assistants(batch: &Batch<'_>, id: ConversationId) -> Result<Vec<AssistantId>, AppError> {
    if !batch.capabilities(id)?.asks_every_message {
        return Err(AppError::refused(
            Code::WrongState,
            "Only messages in a conversation with an assistant have versions.",
        ));
    }
    let assistants = query::conversations::assistants(batch.db, &[id]).await?;
    for assistant in &assistants {
        let key = AnswerJob::key(id, assistant.assistant_id);
        if batch.has_enqueued(&key) || query::versions::is_answering(batch.db, &key).await? {
            return Err(AppError::refused(Code::WrongState, "The assistant is still answering. Stop it first."));
        }
    }
    Ok(assistants.into_iter().map(|assistant| assistant.assistant_id).take(1).collect())
}

async fn publish(batch: &mut Batch<'_>, message: &Message) -> Result<(), AppError> {
    log_redaction::redact(batch, message).await?;
    let conversation_id = message.conversation_id;
    batch.emit(
        conversation_id,
        DurableBody::MessageUpdated { message: Box::new(message.clone()), branch_changed: true },
    )?;
    Ok(())
}
