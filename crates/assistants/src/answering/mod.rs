//! Answers of assistants: generating, stopping, regenerating and comparing. Each [`answer`] is a
//! job.

mod answer;
pub mod budget;
pub(crate) mod context;
mod draft;
pub mod files;
mod generation;
mod measure;
mod stop_registry;
mod title;

use appcore::{
    AppError, Code, ConversationId, MessageId,
    auth::Principal,
    event::{BusMessage, Signal},
    view::{AnswerDetails, Message, MessageStatus, SenderKind},
};
use dbcontext::query;
use event_log::{
    access,
    events::{AnswerJob, AnswerOptions, FinishAnswer, MESSAGE_HIDDEN, MemberAction, ServerAction},
};
use jobs::{self, JobPayload as _};
use moka::{policy::EvictionPolicy, sync::Cache};

use crate::AssistantsService;
pub use stop_registry::StopRegistration;

/// Answers in progress on this instance, and caches for them.
pub struct Answering {
    watched: stop_registry::StopRegistry,
    /// Cache of extracted document texts.
    pub(crate) texts: files::DocumentTextCache,
    /// Cache of images scaled for models.
    pub(crate) pictures: files::ScaledPictureCache,
    /// Conversations in which assistants answer only if mentioned. This never changes for a
    /// conversation.
    person_only: Cache<ConversationId, ()>,
}

/// Capacity of the cache of conversations in which assistants answer only if mentioned.
const PERSON_ONLY_CAPACITY: u64 = 20_000;

impl Default for Answering {
    fn default() -> Self {
        Self {
            watched: stop_registry::StopRegistry::default(),
            texts: files::document_text_cache(),
            pictures: files::scaled_picture_cache(),
            person_only: Cache::builder()
                .max_capacity(PERSON_ONLY_CAPACITY)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }
    }
}

impl Answering {
    /// Registers an answer for stop requests.
    pub(crate) fn watch(&self, answer: MessageId) -> StopRegistration {
        self.watched.register(answer)
    }

    /// Stops an answer if this instance is generating it.
    pub fn stop_local(&self, answer: MessageId) {
        self.watched.stop(answer);
    }
}

/// Stops an answer. Allowed to every member of the conversation; no effect on an answer that has
/// ended.
pub async fn stop(service: &AssistantsService, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    let message = answer(service, by, id).await?;
    if message.status != MessageStatus::Streaming {
        return Ok(message);
    }
    if query::jobs::request_stop(service.db.writer(), id.0).await? {
        // A job that is suspended until a tool call is decided must be resumed to notice the
        // request.
        if query::jobs::make_due(service.db.writer(), AnswerJob::KIND, id.0).await? {
            service.wake_workers();
        }
        drop(service.bus.publish(vec![BusMessage::Signal(Signal::StopGeneration(id))]));
        return Ok(message);
    }
    // If no job is alive because it is dead-lettered, the answer is ended here.
    let finish = FinishAnswer {
        answer_id: id,
        content: message.content,
        status: MessageStatus::Stopped,
        reason: None,
        model: None,
        figures: None,
        thoughts: None,
    };
    let change = ServerAction::FinishAnswer(Box::new(finish)).on_conversation(message.conversation_id);
    service.events.writer.submit(change).await?.message()
}

/// Regenerates an answer in place: the same message starts again.
pub async fn regenerate(
    service: &AssistantsService,
    by: &Principal,
    id: MessageId,
    asking: AnswerOptions,
) -> Result<Message, AppError> {
    submit_with_reservation(service, by, id, asking, |asking| MemberAction::Regenerate { message_id: id, asking }).await
}

/// Requests an answer of another model to the same question. It becomes a version of the answer
/// once both have ended.
pub async fn compare(
    service: &AssistantsService,
    by: &Principal,
    id: MessageId,
    asking: AnswerOptions,
) -> Result<Message, AppError> {
    submit_with_reservation(service, by, id, asking, |asking| MemberAction::Compare { message_id: id, asking }).await
}

/// Reserves the cost of another model call about an answer and submits the change.
async fn submit_with_reservation(
    service: &AssistantsService,
    by: &Principal,
    id: MessageId,
    asking: AnswerOptions,
    action: impl FnOnce(AnswerOptions) -> MemberAction,
) -> Result<Message, AppError> {
    let mut asking = validate_options(service, asking)?;
    let conversation_id = answer(service, by, id).await?.conversation_id;
    let access = access::Lookup::new(&service.events, by.user_id, conversation_id);
    let queued = budget::reserve(service, &access, 1, &mut asking).await?;
    let asked = service.events.writer.submit(action(asking).by_member(by.user_id, conversation_id)).await;
    budget::hand_over(queued, &asked);
    asked?.message()
}

/// Checks that the chosen model exists and may be used.
pub fn validate_options(service: &AssistantsService, asking: AnswerOptions) -> Result<AnswerOptions, AppError> {
    let model = asking.model.as_deref().map(str::trim).filter(|model| !model.is_empty());
    Ok(AnswerOptions {
        model: model.map(|model| gateway::check_available(&service.gateway, model)).transpose()?,
        ..asking
    })
}

/// Details of an answer that the caller may read, including the reasoning.
pub async fn details(service: &AssistantsService, by: &Principal, id: MessageId) -> Result<AnswerDetails, AppError> {
    let found = query::messages::find(service.db.reader(), by.user_id, id).await?;
    let message = Message::try_from(found.ok_or(Code::NotFound)?)?;
    if message.sender.kind != SenderKind::Assistant || message.deleted_at.is_some() || message.hidden_at.is_some() {
        return Err(Code::NotFound.into());
    }
    let thinking = query::versions::reasoning(service.db.reader(), id).await?;
    let tool_calls = if message.tool_calls.is_empty() {
        Vec::new()
    } else {
        let rows = query::tool_calls::of_current_version(service.db.reader(), id).await?;
        rows.into_iter().map(Into::into).collect()
    };
    Ok(AnswerDetails { message_id: id, model: message.model, answer: message.answer, thinking, tool_calls })
}

/// Finds an answer of an assistant in a conversation of which the caller is a member.
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
        return Err(AppError::refused(Code::WrongState, MESSAGE_HIDDEN));
    }
    access::member(&service.events, by.user_id, message.conversation_id).await?;
    Ok(message)
}
