//! Comparisons: a second model's answer to the same question, written concurrently with the first
//! answer or after it.
//!
//! Until both answers are finished, the second one is a hidden message linked to the first
//! ([`parallel_answer`](query::versions::parallel_answer)). Its job, partial text, tools and
//! cancellation work like those of any other answer. Then it becomes a version of the first answer,
//! to which a reader can switch. Its text is never in the log, which contains only the shown
//! version of an answer; users who are viewing the conversation get the text as ephemeral events.

use std::collections::BTreeSet;

use appcore::{
    AppError, AssistantId, Code, MessageId,
    event::{DurableBody, Event, Topic},
    view::{Message, MessageStatus, SenderKind, Versions},
};
use dbcontext::query;

use super::{
    answers,
    batch::Batch,
    change::{Actor, Outcome},
    log_redaction,
    messages::{live_message, live_message_row, require_not_archived},
    versions,
};
use crate::events::jobs::{AnswerJob, AnswerOptions};

/// Requests an answer of another model, to be compared with the given answer.
pub(super) async fn start(
    batch: &mut Batch<'_>,
    by: Actor,
    message_id: MessageId,
    asking: &AnswerOptions,
) -> Result<Outcome, AppError> {
    let Actor { conversation_id, user_id } = by;
    batch.acting_member(conversation_id, user_id)?;
    require_not_archived(batch, conversation_id)?;
    if !batch.capabilities(conversation_id)?.asks_every_message {
        return Err(refused("Only answers in a conversation with an assistant can be compared."));
    }
    let row = live_message_row(batch, conversation_id, message_id).await?;
    if row.hidden_by.is_some() {
        return Err(Code::NotFound.into());
    }
    let first = Message::try_from(row)?;
    let (SenderKind::Assistant, Some(assistant), Some(question_id)) =
        (first.sender.kind, first.sender.id, first.reply_to)
    else {
        return Err(refused("Only an assistant's answer can be compared."));
    };
    versions::check_version_limit(first.versions.unwrap_or(Versions { index: 1, count: 1 }))?;
    if query::versions::parallel_answer(batch.db, first.id).await?.is_some() {
        return Err(refused("Another model is still answering. Stop it first."));
    }
    answers::load_open_answers(batch, BTreeSet::from([user_id])).await?;
    batch.check_open_answers(user_id, 1)?;
    let question = live_message(batch, conversation_id, question_id).await?;
    // Emits the question again, to obtain a sequence number for the hidden answer.
    log_redaction::redact(batch, &question).await?;
    let seq = batch
        .emit(conversation_id, DurableBody::MessageUpdated { message: Box::new(question), branch_changed: false })?;
    let (answer_id, asking) = (MessageId::new(), asking.clone());
    query::versions::insert_parallel(batch.db, answer_id, first.id, seq, asking.model.as_deref(), batch.now).await?;
    let assistant_id = AssistantId(assistant);
    let beside = Some(first.id);
    let job = AnswerJob { conversation_id, question_id, assistant_id, answer_id, beside, asking };
    batch.enqueue_answer(&job, user_id)?;
    let second = live_message(batch, conversation_id, answer_id).await?;
    Ok(Outcome::Message(Box::new(second)))
}

/// Finishes the second answer of a comparison. If the first answer is finished too, the second
/// becomes a version of it.
pub(super) async fn finish(batch: &mut Batch<'_>, second: &Message, first_id: MessageId) -> Result<(), AppError> {
    let row = query::messages::get(batch.db, first_id).await?;
    let Some(row) = row.filter(|row| row.deleted_at.is_none()) else {
        return query::messages::delete(batch.db, second.id, batch.now).await;
    };
    let is_shown = row.hidden_by.is_none();
    let mut first = Message::try_from(row)?;
    if first.status == MessageStatus::Streaming || !attach_as_version(batch, &mut first).await? {
        return publish(batch, second, first_id, None);
    }
    if is_shown {
        log_redaction::redact(batch, &first).await?;
        let conversation_id = first.conversation_id;
        batch.emit(conversation_id, DurableBody::MessageUpdated { message: Box::new(first), branch_changed: false })?;
    }
    Ok(())
}

/// Stores the finished second answer as a version of the first. Returns false if there is no second
/// answer, or if it is still streaming.
pub(super) async fn attach_as_version(batch: &mut Batch<'_>, first: &mut Message) -> Result<bool, AppError> {
    if !batch.capabilities(first.conversation_id)?.asks_every_message {
        return Ok(false);
    }
    let Some(row) = query::versions::parallel_answer(batch.db, first.id).await? else { return Ok(false) };
    let second = Message::try_from(row)?;
    if second.status == MessageStatus::Streaming {
        return Ok(false);
    }
    let shown = first.versions.unwrap_or(Versions { index: 1, count: 1 });
    let version = (!second.content.is_empty()).then_some(shown.count + 1);
    if let Some(version) = version {
        query::versions::store_parallel(batch.db, first.id, second.id, version).await?;
        query::versions::set(batch.db, first.id, shown.index, version).await?;
        first.versions = Some(Versions { index: shown.index, count: version });
        publish(batch, &second, first.id, Some(version))?;
    }
    query::messages::delete(batch.db, second.id, batch.now).await?;
    Ok(version.is_some())
}

/// Publishes the state of a second answer to users who are viewing the conversation.
pub(super) fn publish(
    batch: &mut Batch<'_>,
    second: &Message,
    answer_id: MessageId,
    version: Option<i64>,
) -> Result<(), AppError> {
    let conversation_id = second.conversation_id;
    let message = Box::new(second.clone());
    let event = Event::MessageCompared { conversation_id, answer_id, message, version };
    batch.emit_ephemeral(&event, Topic::Viewers(conversation_id))
}

fn refused(sentence: &'static str) -> AppError {
    AppError::refused(Code::WrongState, sentence)
}
