//! An assistant's message: begun, finished, asked for again.

use appcore::{
    AppError, Code,
    event::Event,
    view::{Message, MessageStatus, Sender, SenderKind},
};
use dbcontext::query::{self, groups::NewMessage};

use super::{
    change::{BeginAnswer, FinishAnswer, Outcome, Regenerate},
    group::Group,
    messages::target,
};
use crate::jobs::{AnswerJob, Job as _};

pub(super) async fn begin(group: &mut Group<'_>, begin: &BeginAnswer) -> Result<Outcome, AppError> {
    let conversation_id = begin.conversation_id;
    group.conversation(conversation_id)?;
    if query::messages::get(group.db, begin.answer_id).await?.is_some() {
        // Deleted by a reader meanwhile: not found, and the job ends.
        let message = target(group, conversation_id, begin.answer_id).await?;
        if message.status != MessageStatus::Streaming {
            return Ok(Outcome::Message(Box::new(message)));
        }
        return restart(group, message, begin.model.clone()).await;
    }
    let name = query::conversations::assistants(group.db, &[conversation_id])
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
        created_at: group.now,
    };
    group.emit(conversation_id, |seq| {
        message.seq = seq;
        Event::MessageCreated { conversation_id, seq, message: Box::new(message.clone()) }
    })?;
    group.new_messages.push(NewMessage {
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
        created_at: group.now,
    });
    Ok(Outcome::Message(Box::new(message)))
}

pub(super) async fn finish(group: &mut Group<'_>, finish: &FinishAnswer) -> Result<Outcome, AppError> {
    let conversation_id = finish.conversation_id;
    let mut message = target(group, conversation_id, finish.answer_id).await?;
    group.conversation(conversation_id)?;
    if message.status != MessageStatus::Streaming {
        return Ok(Outcome::Message(Box::new(message)));
    }
    query::messages::set_answer(
        group.db,
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
    group.emit(conversation_id, |seq| {
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

pub(super) async fn regenerate(group: &mut Group<'_>, regenerate: &Regenerate) -> Result<Outcome, AppError> {
    group.standing(regenerate.conversation_id, regenerate.by)?;
    let message = target(group, regenerate.conversation_id, regenerate.message_id).await?;
    let (SenderKind::Assistant, Some(assistant), Some(question_id)) =
        (message.sender.kind, message.sender.id, message.reply_to)
    else {
        return Err(AppError::refused(Code::WrongState, "Only an assistant's answer can be asked for again."));
    };
    if message.status == MessageStatus::Streaming {
        return Err(AppError::refused(Code::WrongState, "This answer is still being written. Stop it first."));
    }
    let job = AnswerJob {
        conversation_id: message.conversation_id,
        question_id,
        assistant_id: appcore::AssistantId(assistant),
        answer_id: message.id,
    };
    group.ask(job.new_job()?);
    restart(group, message, None).await
}

/// Puts an answer back to its beginning.
async fn restart(group: &mut Group<'_>, mut message: Message, model: Option<String>) -> Result<Outcome, AppError> {
    query::messages::set_answer(group.db, message.id, "", MessageStatus::Streaming, None, model.as_deref()).await?;
    message.content.clear();
    message.status = MessageStatus::Streaming;
    message.reason = None;
    message.model = model.or(message.model);
    let conversation_id = message.conversation_id;
    group.emit(conversation_id, |seq| Event::MessageUpdated {
        conversation_id,
        seq,
        message: Box::new(message.clone()),
    })?;
    Ok(Outcome::Message(Box::new(message)))
}
