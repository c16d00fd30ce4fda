//! What assistants answer, and how an answer is stopped or asked for again. Each [`answer`] is a job.

mod answer;
pub mod budget;
pub(crate) mod context;
mod draft;
pub mod files;
mod measure;
mod title;
mod watch;
mod writing;

use appcore::{
    AppError, Code, ConversationId, MessageId,
    auth::Principal,
    event::{BusMessage, Signal},
    view::{AnswerDetails, Message, MessageStatus, SenderKind},
};
use dbcontext::query;
use event_log::{
    access,
    events::{AnswerJob, AnswerOptions, FinishAnswer, HIDDEN, MemberAction, ServerAction},
};
use jobs::{self, Stored as _};
use moka::{policy::EvictionPolicy, sync::Cache};

use crate::AssistantsService;
pub use watch::Watch;

/// The answers that this instance is writing.
pub struct Answering {
    watched: watch::Watched,
    /// The texts of documents that were read lately.
    pub(crate) texts: files::DocumentTexts,
    /// Pictures that were made as large as models look at, lately.
    pub(crate) pictures: files::SizedPictures,
    /// Conversations in which nobody is asked but whoever is named. That stays so, whatever they become.
    between_people: Cache<ConversationId, ()>,
}

/// Conversations that are remembered as such.
const BETWEEN_PEOPLE: u64 = 20_000;

impl Default for Answering {
    fn default() -> Self {
        Self {
            watched: watch::Watched::default(),
            texts: files::document_texts(),
            pictures: files::sized_pictures(),
            between_people: Cache::builder()
                .max_capacity(BETWEEN_PEOPLE)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }
    }
}

impl Answering {
    /// Watches for a reader's wish to stop this answer.
    pub(crate) fn watch(&self, answer: MessageId) -> Watch {
        self.watched.add(answer)
    }

    /// Stops an answer if this instance is writing it.
    pub fn stop_here(&self, answer: MessageId) {
        self.watched.stop(answer);
    }
}

/// Stops an answer. Whoever reads the conversation may; one that has ended stays as it is.
pub async fn stop(service: &AssistantsService, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    let message = answer(service, by, id).await?;
    if message.status != MessageStatus::Streaming {
        return Ok(message);
    }
    if query::jobs::request_stop(service.db.writer(), id.0).await? {
        // It may wait for somebody's decision.
        if query::jobs::make_due(service.db.writer(), AnswerJob::KIND, id.0).await? {
            service.wake_workers();
        }
        drop(service.bus.publish(vec![BusMessage::Signal(Signal::StopGeneration(id))]));
        return Ok(message);
    }
    // Nobody works on it: its job is among the dead letters.
    let finish = FinishAnswer {
        answer_id: id,
        content: message.content,
        status: MessageStatus::Stopped,
        reason: None,
        model: None,
        figures: None,
        thoughts: None,
    };
    let change = ServerAction::FinishAnswer(Box::new(finish)).on(message.conversation_id);
    service.events.writer.submit(change).await?.message()
}

/// Asks for an answer again: the same message goes back to its beginning.
pub async fn regenerate(
    service: &AssistantsService,
    by: &Principal,
    id: MessageId,
    asking: AnswerOptions,
) -> Result<Message, AppError> {
    submit_asking(service, by, id, asking, |asking| MemberAction::Regenerate { message_id: id, asking }).await
}

/// Has another model answer the same question beside an answer: what it writes becomes a version of that, once both have ended.
pub async fn compare(
    service: &AssistantsService,
    by: &Principal,
    id: MessageId,
    asking: AnswerOptions,
) -> Result<Message, AppError> {
    submit_asking(service, by, id, asking, |asking| MemberAction::Compare { message_id: id, asking }).await
}

/// Submits a change that has a model asked once more about an answer, with what that may cost held before.
async fn submit_asking(
    service: &AssistantsService,
    by: &Principal,
    id: MessageId,
    asking: AnswerOptions,
    action: impl FnOnce(AnswerOptions) -> MemberAction,
) -> Result<Message, AppError> {
    let mut asking = checked(service, asking)?;
    let conversation_id = answer(service, by, id).await?.conversation_id;
    let access = access::Lookup::new(&service.events, by.user_id, conversation_id);
    let queued = budget::hold(service, &access, 1, &mut asking).await?;
    let asked = service.events.writer.submit(action(asking).by(by.user_id, conversation_id)).await;
    budget::hand_over(queued, &asked);
    asked?.message()
}

/// Refuses a model that can't be asked.
pub fn checked(service: &AssistantsService, asking: AnswerOptions) -> Result<AnswerOptions, AppError> {
    let model = asking.model.as_deref().map(str::trim).filter(|model| !model.is_empty());
    Ok(AnswerOptions { model: model.map(|model| gateway::known_model(&service.gateway, model)).transpose()?, ..asking })
}

/// What is known of an answer that the caller may read, and what the model thought before it.
pub async fn details(service: &AssistantsService, by: &Principal, id: MessageId) -> Result<AnswerDetails, AppError> {
    let found = query::messages::find(service.db.reader(), by.user_id, id).await?;
    let message = Message::try_from(found.ok_or(Code::NotFound)?)?;
    if message.sender.kind != SenderKind::Assistant || message.deleted_at.is_some() || message.hidden_at.is_some() {
        return Err(Code::NotFound.into());
    }
    let thinking = query::versions::thoughts(service.db.reader(), id).await?;
    let tool_calls = if message.tool_calls.is_empty() {
        Vec::new()
    } else {
        let rows = query::tool_calls::shown(service.db.reader(), id).await?;
        rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?
    };
    Ok(AnswerDetails { message_id: id, model: message.model, answer: message.answer, thinking, tool_calls })
}

/// An assistant's message in a conversation that the caller is in.
async fn answer(service: &AssistantsService, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    let found = query::messages::find(service.db.reader(), by.user_id, id).await?;
    let message = Message::try_from(found.ok_or(Code::NotFound)?)?;
    if message.deleted_at.is_some() {
        return Err(Code::NotFound.into());
    }
    if message.sender.kind != SenderKind::Assistant {
        return Err(AppError::refused(Code::WrongState, "This is only available for an assistant's answer."));
    }
    if message.hidden_at.is_some() {
        return Err(AppError::refused(Code::WrongState, HIDDEN));
    }
    access::member(&service.events, by.user_id, message.conversation_id).await?;
    Ok(message)
}
