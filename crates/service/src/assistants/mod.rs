//! Assistants: who they are, what they are asked, and how an answer is stopped or asked for again.
//!
//! The [answering] itself is a job. The default assistant is in no workspace and in all; it answers where
//! `kind: "assistant"` names none.

mod answering;
pub(crate) mod budget;
pub(crate) mod context;
mod edit;
pub(crate) mod files;
mod notice;
pub mod prompts;
mod title;
mod watch;

use std::sync::Arc;

use ::ai::{Ai, AiSettings, Limits, ProviderKind, ProviderSettings};
use appcore::{
    AppError, AssistantId, Code, MessageId, WorkspaceId,
    auth::{Permission, Principal},
    breaker::Circuit,
    config,
    event::{BusMessage, Signal},
    page::{Page, PageRequest},
    view::{AnswerDetails, Assistant, Message, MessageStatus, SenderKind, WorkspaceRole},
};
use dbcontext::{entity::assistant, query};

use crate::{
    App, access,
    events::{AnswerJob, Asking, Change, FinishAnswer, HIDDEN, Regenerate},
    jobs::{self, Stored as _},
    workspaces,
};
pub use edit::{AssistantFields, create, delete, update};
pub(crate) use edit::{editable, known_model, tell_of_knowledge};
pub use query::assistants::DEFAULT_ID;
pub use watch::Watch;

/// The providers of this instance, and the answers that it is writing.
pub struct Assistants {
    ai: Arc<Ai>,
    watched: watch::Watched,
    /// The texts of documents that were read lately.
    pub(crate) texts: files::DocumentTexts,
}

impl Assistants {
    /// Connects to the providers that are configured.
    pub fn build(config: &config::Ai, outgoing: &config::Outgoing) -> anyhow::Result<Self> {
        Ok(Self {
            ai: Arc::new(Ai::build(settings(config, outgoing))?),
            watched: watch::Watched::default(),
            texts: files::document_texts(),
        })
    }

    #[must_use]
    pub fn shared_ai(&self) -> Arc<Ai> {
        Arc::clone(&self.ai)
    }

    /// The way to all providers.
    #[must_use]
    pub fn ai(&self) -> &Ai {
        &self.ai
    }

    /// The best that the circuit breakers of the providers say: open when none of them is asked.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        self.ai.circuit()
    }

    /// Watches for a reader's wish to stop this answer.
    pub(crate) fn watch(&self, answer: MessageId) -> Watch {
        self.watched.add(answer)
    }

    /// Stops an answer if this instance is writing it.
    pub(crate) fn stop_here(&self, answer: MessageId) {
        self.watched.stop(answer);
    }
}

fn settings(config: &config::Ai, outgoing: &config::Outgoing) -> AiSettings {
    let provider = |provider: &config::Provider| ProviderSettings {
        name: provider.name.clone(),
        kind: match provider.kind {
            config::ProviderKind::Openai => ProviderKind::OpenAi,
            config::ProviderKind::Gemini => ProviderKind::Gemini,
            config::ProviderKind::Anthropic => ProviderKind::Anthropic,
        },
        base_url: Some(provider.base_url()),
        keys: provider.keys.clone(),
        models: provider.models.clone(),
        requests_per_minute: provider.requests_per_minute,
        proxy: provider.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        responses: provider.responses,
    };
    AiSettings {
        default_model: config.default_model.clone(),
        proxy: config.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        providers: config.providers.iter().map(provider).collect(),
        model_map: config.model_map.iter().cloned().collect(),
        limits: Limits { idle: config.idle_timeout, deadline: config.answer_timeout, ..Limits::default() },
        outgoing: outgoing.clone(),
    }
}

/// The default assistant and those of a workspace; for a guest of it those that they meet there.
pub async fn list(
    app: &App,
    by: &Principal,
    workspace_id: Option<WorkspaceId>,
    page: PageRequest,
) -> Result<Page<Assistant>, AppError> {
    let place = workspaces::resolve(app, by, workspace_id, Permission::See).await?;
    let is_guest = place.role == WorkspaceRole::Guest;
    let (items, total) = query::assistants::list(app.db.reader(), place.id, by.user_id, is_guest, page).await?;
    let items = items.into_iter().map(|row| view(row, by, Some(place.role))).collect::<Result<_, _>>()?;
    Ok(Page::new(items, page, total))
}

/// An assistant that the caller may talk to.
pub async fn find(app: &App, by: &Principal, id: AssistantId) -> Result<Assistant, AppError> {
    let (row, role) = seen(app, by, id).await?;
    view(row, by, role)
}

/// An assistant that the caller may talk to, and their role in its workspace.
async fn seen(
    app: &App,
    by: &Principal,
    id: AssistantId,
) -> Result<(assistant::Model, Option<WorkspaceRole>), AppError> {
    let row = query::assistants::find(app.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let role = match row.workspace_id {
        Some(workspace) => query::workspaces::role(app.db.reader(), workspace, by.user_id).await?,
        None => None,
    };
    Ok((row, role))
}

/// Whether somebody of this role may change an assistant: its maker, or one who configures the workspace. Nobody changes the default one.
fn may_edit(row: &assistant::Model, by: &Principal, role: Option<WorkspaceRole>) -> bool {
    let is_maker = row.created_by == Some(by.user_id) && role.is_some_and(|role| role.may(Permission::Begin));
    row.id != DEFAULT_ID && (is_maker || role.is_some_and(|role| role.may(Permission::Configure)))
}

/// What somebody sees of an assistant: its instructions only where they may change them.
fn view(row: assistant::Model, by: &Principal, role: Option<WorkspaceRole>) -> Result<Assistant, AppError> {
    let may_edit = may_edit(&row, by, role);
    let mut assistant = Assistant::try_from(row)?;
    assistant.may_edit = may_edit;
    if !may_edit {
        assistant.system_prompt = None;
    }
    Ok(assistant)
}

/// Stops an answer. Whoever reads the conversation may; one that has ended stays as it is.
pub async fn stop(app: &App, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    let message = answer(app, by, id).await?;
    if message.status != MessageStatus::Streaming {
        return Ok(message);
    }
    if query::jobs::request_stop(app.db.writer(), id.0).await? {
        // It may wait for somebody's decision.
        if query::jobs::hasten(app.db.writer(), AnswerJob::KIND, id.0).await? {
            jobs::wake(app);
        }
        drop(app.bus.publish(vec![BusMessage::Signal(Signal::StopGeneration(id))]));
        return Ok(message);
    }
    // Nobody works on it: its job is among the dead letters.
    let finish = FinishAnswer {
        conversation_id: message.conversation_id,
        answer_id: id,
        content: message.content,
        status: MessageStatus::Stopped,
        reason: None,
        model: None,
        figures: None,
        thoughts: None,
    };
    app.writer.submit(Change::FinishAnswer(finish)).await?.message()
}

/// Asks for an answer again: the same message goes back to its beginning.
pub async fn regenerate(app: &App, by: &Principal, id: MessageId, asking: Asking) -> Result<Message, AppError> {
    let mut asking = checked(app, asking)?;
    let message = answer(app, by, id).await?;
    let queued = budget::hold(app, by.user_id, message.conversation_id, 1, &mut asking).await?;
    let regenerate = Regenerate { conversation_id: message.conversation_id, by: by.user_id, message_id: id, asking };
    let asked = app.writer.submit(Change::Regenerate(regenerate)).await;
    budget::hand_over(queued, &asked);
    asked?.message()
}

/// Refuses a model that can't be asked.
pub(crate) fn checked(app: &App, asking: Asking) -> Result<Asking, AppError> {
    let model = asking.model.as_deref().map(str::trim).filter(|model| !model.is_empty());
    Ok(Asking { model: model.map(|model| known_model(app, model)).transpose()?, ..asking })
}

/// What is known of an answer that the caller may read, and what the model thought before it.
pub async fn details(app: &App, by: &Principal, id: MessageId) -> Result<AnswerDetails, AppError> {
    let found = query::messages::find(app.db.reader(), by.user_id, id).await?;
    let message = Message::try_from(found.ok_or(Code::NotFound)?)?;
    if message.sender.kind != SenderKind::Assistant || message.deleted_at.is_some() || message.hidden_at.is_some() {
        return Err(Code::NotFound.into());
    }
    let thinking = query::versions::thoughts(app.db.reader(), id).await?;
    let tool_calls = if message.tool_calls.is_empty() {
        Vec::new()
    } else {
        let rows = query::tool_calls::shown(app.db.reader(), id).await?;
        rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?
    };
    Ok(AnswerDetails { message_id: id, model: message.model, answer: message.answer, thinking, tool_calls })
}

/// An assistant's message in a conversation that the caller is in.
async fn answer(app: &App, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    let found = query::messages::find(app.db.reader(), by.user_id, id).await?;
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
    access::member(app, by.user_id, message.conversation_id).await?;
    Ok(message)
}
