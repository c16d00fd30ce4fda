//! An assistant's message: begun, finished, asked for again.

use appcore::{
    AppError, Code,
    event::Event,
    view::{Message, MessageStatus, Sender, SenderKind},
};
use dbcontext::query::{self, batches::NewMessage};

use super::{
    batch::Batch,
    change::{BeginAnswer, FinishAnswer, Outcome, Regenerate},
    messages::target,
};
use crate::jobs::{AnswerJob, Job as _};

pub(super) async fn begin(batch: &mut Batch<'_>, begin: &BeginAnswer) -> Result<Outcome, AppError> {
    let conversation_id = begin.conversation_id;
    batch.conversation(conversation_id)?;
    if query::messages::get(batch.db, begin.answer_id).await?.is_some() {
        // Deleted by a reader meanwhile: not found, and the job ends.
        let message = target(batch, conversation_id, begin.answer_id).await?;
        if message.status != MessageStatus::Streaming {
            return Ok(Outcome::Message(Box::new(message)));
        }
        return restart(batch, message, begin.model.clone()).await;
    }
    let name = query::conversations::assistants(batch.db, &[conversation_id])
        .await?
        .into_iter()
        .find(|assistant| assistant.assistant_id == begin.assistant_id)
        .map(|assistant| assistant.name)
        .ok_or(Code::NotFound)?;
    let mut message = Message {
        id: begin.answer_id,
        conversation_id,
        seq: 0,
        client_id: None,
        sender: Sender { kind: SenderKind::Assistant, id: Some(begin.assistant_id.0), name },
        content: String::new(),
        status: MessageStatus::Streaming,
        reply_to: begin.reply_to,
        reason: None,
        model: begin.model.clone(),
        attachments: Vec::new(),
        reactions: Vec::new(),
        edited_at: None,
        deleted_at: None,
        created_at: batch.now,
    };
    batch.emit(conversation_id, |seq| {
        message.seq = seq;
        Event::MessageCreated { conversation_id, seq, message: Box::new(message.clone()) }
    })?;
    batch.new_messages.push(NewMessage {
        id: message.id,
        conversation_id,
        seq: message.seq,
        sender_kind: SenderKind::Assistant.as_str(),
        sender_id: Some(begin.assistant_id.0),
        client_id: None,
        content: String::new(),
        status: MessageStatus::Streaming.as_str(),
        reply_to: begin.reply_to,
        model: begin.model.clone(),
        created_at: batch.now,
    });
    Ok(Outcome::Message(Box::new(message)))
}

pub(super) async fn finish(batch: &mut Batch<'_>, finish: &FinishAnswer) -> Result<Outcome, AppError> {
    let conversation_id = finish.conversation_id;
    let mut message = target(batch, conversation_id, finish.answer_id).await?;
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
    )
    .await?;
    message.content.clone_from(&finish.content);
    message.status = finish.status;
    message.reason.clone_from(&finish.reason);
    message.model = finish.model.clone().or(message.model);
    batch.emit(conversation_id, |seq| {
        let message = Box::new(message.clone());
        match finish.status {
            MessageStatus::Failed => Event::MessageFailed {
                conversation_id,
                seq,
                message,
                reason: finish.reason.clone().unwrap_or_default(),
            },
            MessageStatus::Streaming => Event::MessageUpdated { conversation_id, seq, message },
            MessageStatus::Complete | MessageStatus::Stopped => {
                Event::MessageCompleted { conversation_id, seq, message }
            }
        }
    })?;
    Ok(Outcome::Message(Box::new(message)))
}

pub(super) async fn regenerate(batch: &mut Batch<'_>, regenerate: &Regenerate) -> Result<Outcome, AppError> {
    batch.standing(regenerate.conversation_id, regenerate.by)?;
    let message = target(batch, regenerate.conversation_id, regenerate.message_id).await?;
    let (SenderKind::Assistant, Some(assistant), Some(question_id)) =
        (message.sender.kind, message.sender.id, message.reply_to)
    else {
        return Err(AppError::refused(Code::WrongState, "Only an assistant's answer can be regenerated."));
    };
    if message.status == MessageStatus::Streaming {
        return Err(AppError::refused(Code::WrongState, "The assistant is still answering. Stop it first."));
    }
    let job = AnswerJob {
        conversation_id: message.conversation_id,
        question_id,
        assistant_id: appcore::AssistantId(assistant),
        answer_id: message.id,
    };
    batch.ask(job.new_job()?);
    restart(batch, message, None).await
}

/// Puts an answer back to its beginning.
async fn restart(batch: &mut Batch<'_>, mut message: Message, model: Option<String>) -> Result<Outcome, AppError> {
    query::messages::set_answer(batch.db, message.id, "", MessageStatus::Streaming, None, model.as_deref()).await?;
    message.content.clear();
    message.status = MessageStatus::Streaming;
    message.reason = None;
    message.model = model.or(message.model);
    let conversation_id = message.conversation_id;
    batch.emit(conversation_id, |seq| Event::MessageUpdated {
        conversation_id,
        seq,
        message: Box::new(message.clone()),
    })?;
    Ok(Outcome::Message(Box::new(message)))
}
