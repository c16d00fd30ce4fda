//! Assistant messages: start, finish and regeneration.

use std::{collections::BTreeSet, time::Duration};

use appcore::{
    AppError, AssistantId, Code, ConversationId, MessageId, UserId,
    event::DurableBody,
    view::{Message, MessageStatus, Sender, SenderKind},
};
use dbcontext::query;
use jobs::JobPayload as _;

use super::{
    batch::Batch,
    change::{Actor, FinishAnswer, Outcome, StartAnswer},
    comparisons, log_redaction,
    messages::{create, live_message_row, require_not_archived},
    threads, versions,
};
use crate::events::{
    jobs::{AnswerJob, AnswerOptions, TitleJob},
    tool_calls,
};

/// Maximum number of unfinished answers per user.
pub(super) const MAX_OPEN_ANSWERS: usize = 20;
/// `Retry-After` of a request rejected by [`MAX_OPEN_ANSWERS`].
pub(super) const ANSWERS_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Loads the number of unfinished answers of each user.
pub(super) async fn load_open_answers(batch: &mut Batch<'_>, people: BTreeSet<UserId>) -> Result<(), AppError> {
    let people: Vec<UserId> = people.into_iter().collect();
    for (user, open) in query::jobs::count_open(batch.db, AnswerJob::KIND, &people).await? {
        batch.open_answers.insert(user, usize::try_from(open).unwrap_or(usize::MAX));
    }
    Ok(())
}

pub(super) async fn start(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    begin: &StartAnswer,
) -> Result<Outcome, AppError> {
    batch.conversation(conversation_id)?;
    if query::messages::get(batch.db, begin.answer_id).await?.is_some() {
        // The message is missing if a reader has deleted it meanwhile; the job then ends with
        // `NotFound`.
        let row = live_message_row(batch, conversation_id, begin.answer_id).await?;
        let beside = row.parallel_answer_of();
        let message = Message::try_from(row)?;
        // The text written by the previous worker stays visible until the new text is longer.
        if message.status != MessageStatus::Streaming || !message.content.is_empty() {
            return Ok(Outcome::Message(Box::new(message)));
        }
        return restart(batch, message, begin.model.clone(), (beside, false)).await;
    }
    if begin.compared_with.is_some() {
        return Err(Code::NotFound.into());
    }
    if let Some(question) = begin.reply_to
        && query::messages::get(batch.db, question).await?.is_some_and(|question| question.hidden_by.is_some())
    {
        return Err(Code::NotFound.into());
    }
    let root = threads::root_of_question(batch, conversation_id, begin.reply_to).await?;
    let assistant = query::assistants::get(batch.db, begin.assistant_id).await?.ok_or(Code::NotFound)?;
    let picture = query::assistants::picture(assistant.glyph, assistant.hue);
    let sender = Sender { kind: SenderKind::Assistant, id: Some(begin.assistant_id.0), name: assistant.name, picture };
    let mut message = Message {
        no: match &root {
            Some(root) => threads::next_no(root),
            None => batch.next_no(conversation_id)?,
        },
        status: MessageStatus::Streaming,
        reply_to: begin.reply_to,
        model: begin.model.clone(),
        thread_id: root.as_ref().map(|root| root.id),
        ..Message::new(begin.answer_id, conversation_id, sender, String::new(), batch.now)
    };
    create(batch, &mut message)?;
    if let Some(root) = root {
        threads::add_reply(batch, root, &message)?;
    }
    Ok(Outcome::Message(Box::new(message)))
}

pub(super) async fn finish(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    finish: &FinishAnswer,
) -> Result<Outcome, AppError> {
    let row = live_message_row(batch, conversation_id, finish.answer_id).await?;
    let beside = row.parallel_answer_of();
    let mut message = Message::try_from(row)?;
    batch.conversation(conversation_id)?;
    if message.status != MessageStatus::Streaming {
        return Ok(Outcome::Message(Box::new(message)));
    }
    query::messages::set_answer(
        batch.db,
        message.id,
        &finish.content,
        finish.status,
        finish.reason.as_deref(),
        finish.model.as_deref(),
        finish.figures.as_ref(),
    )
    .await?;
    if !message.tool_calls.is_empty() {
        query::tool_calls::stop(batch.db, message.id, batch.now).await?;
        let calls = query::tool_calls::of_current_version(batch.db, message.id).await?;
        query::tool_calls::set_summary(batch.db, message.id, tool_calls::truncate_to_json(&calls)?.as_deref()).await?;
        message.tool_calls = tool_calls::truncate_all(&calls);
    }
    query::versions::store_reasoning(batch.db, message.id, finish.thoughts.as_deref()).await?;
    message.content.clone_from(&finish.content);
    message.status = finish.status;
    message.reason.clone_from(&finish.reason);
    message.model = finish.model.clone().or(message.model);
    message.answer.clone_from(&finish.figures);
    if let Some(first_id) = beside {
        comparisons::finish(batch, &message, first_id).await?;
        return Ok(Outcome::Message(Box::new(message)));
    }
    comparisons::attach_as_version(batch, &mut message).await?;
    // After a takeover, an earlier event may contain a part of the answer's text.
    log_redaction::redact(batch, &message).await?;
    let ended = Box::new(message.clone());
    let body = match finish.status {
        MessageStatus::Failed => {
            DurableBody::MessageFailed { message: ended, reason: finish.reason.clone().unwrap_or_default() }
        }
        MessageStatus::Streaming => DurableBody::MessageUpdated { message: ended, branch_changed: false },
        MessageStatus::Complete | MessageStatus::Stopped => DurableBody::MessageCompleted { message: ended },
    };
    batch.emit(conversation_id, body)?;
    enqueue_title(batch, &message)?;
    Ok(Outcome::Message(Box::new(message)))
}

/// Enqueues the title job of an assistant chat that has a finished answer but no title.
fn enqueue_title(batch: &mut Batch<'_>, answer: &Message) -> Result<(), AppError> {
    let conversation_id = answer.conversation_id;
    let is_said = matches!(answer.status, MessageStatus::Complete | MessageStatus::Stopped);
    let is_named = batch.conversation(conversation_id)?.title.is_some();
    if let (Some(question_id), Some(assistant)) = (answer.reply_to, answer.sender.id)
        && is_said
        && !is_named
        && batch.capabilities(conversation_id)?.asks_every_message
    {
        let assistant_id = AssistantId(assistant);
        batch.enqueue(TitleJob { conversation_id, question_id, answer_id: answer.id, assistant_id }.new_job()?);
    }
    Ok(())
}

pub(super) async fn regenerate(
    batch: &mut Batch<'_>,
    by: Actor,
    message_id: MessageId,
    asking: &AnswerOptions,
) -> Result<Outcome, AppError> {
    let Actor { conversation_id, user_id } = by;
    batch.acting_member(conversation_id, user_id)?;
    require_not_archived(batch, conversation_id)?;
    let row = live_message_row(batch, conversation_id, message_id).await?;
    if row.parallel_answer_of().is_some() {
        return Err(Code::NotFound.into());
    }
    let mut message = Message::try_from(row)?;
    let (SenderKind::Assistant, Some(assistant), Some(question_id)) =
        (message.sender.kind, message.sender.id, message.reply_to)
    else {
        return Err(AppError::refused(Code::WrongState, "Only an assistant's answer can be regenerated."));
    };
    if message.status == MessageStatus::Streaming {
        return Err(AppError::refused(Code::WrongState, "The assistant is still answering. Stop it first."));
    }
    load_open_answers(batch, BTreeSet::from([user_id])).await?;
    batch.check_open_answers(user_id, 1)?;
    let job = AnswerJob {
        conversation_id,
        question_id,
        assistant_id: AssistantId(assistant),
        answer_id: message.id,
        beside: None,
        asking: asking.clone(),
    };
    let is_kept = versions::store_as_version(batch, &mut message).await?;
    if !message.tool_calls.is_empty() {
        query::tool_calls::remove_of_current_version(batch.db, message.id).await?;
        message.tool_calls.clear();
    }
    batch.enqueue_answer(&job, user_id)?;
    restart(batch, message, job.asking.model, (None, is_kept)).await
}

/// Stores and publishes the text of a worker that has taken the answer over, once it is longer than
/// the text of the previous worker.
pub(super) async fn replace_text(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    answer_id: MessageId,
    content: &str,
) -> Result<Outcome, AppError> {
    let row = live_message_row(batch, conversation_id, answer_id).await?;
    let beside = row.parallel_answer_of();
    let mut message = Message::try_from(row)?;
    batch.conversation(conversation_id)?;
    if message.status == MessageStatus::Streaming {
        content.clone_into(&mut message.content);
        query::messages::set_answer(batch.db, message.id, &message.content, message.status, None, None, None).await?;
        publish(batch, &message, (beside, false)).await?;
    }
    Ok(Outcome::Message(Box::new(message)))
}

/// Resets an answer to an empty streaming message.
async fn restart(
    batch: &mut Batch<'_>,
    mut message: Message,
    model: Option<String>,
    told: (Option<MessageId>, bool),
) -> Result<Outcome, AppError> {
    query::messages::set_answer(batch.db, message.id, "", MessageStatus::Streaming, None, model.as_deref(), None)
        .await?;
    message.content.clear();
    message.answer = None;
    message.status = MessageStatus::Streaming;
    message.reason = None;
    message.model = model.or(message.model);
    publish(batch, &message, told).await?;
    Ok(Outcome::Message(Box::new(message)))
}

/// Publishes the state of an answer: in the log, or, if it is compared with another answer, only to
/// users who are viewing the conversation.
async fn publish(
    batch: &mut Batch<'_>,
    message: &Message,
    (beside, branch_changed): (Option<MessageId>, bool),
) -> Result<(), AppError> {
    if let Some(first_id) = beside {
        return comparisons::publish(batch, message, first_id, None);
    }
    log_redaction::redact(batch, message).await?;
    let conversation_id = message.conversation_id;
    batch.emit(conversation_id, DurableBody::MessageUpdated { message: Box::new(message.clone()), branch_changed })?;
    Ok(())
}
