//! Assistants: who they are, what they are asked, and how an answer is stopped or asked for again.
//!
//! The answering itself is a [job](crate::jobs). The default assistant is in no workspace and in all; it answers where
//! `kind: "assistant"` names none.

pub(crate) mod context;
mod title;
mod watch;

use ::ai::{Ai, AiSettings, Limits, ProviderKind, ProviderSettings};
use appcore::{
    AppError, AssistantId, Code, MessageId, WorkspaceId,
    auth::{Permission, Principal},
    breaker::Circuit,
    config,
    event::{BusMessage, Signal},
    line::parse_line,
    page::{Page, PageRequest},
    view::{Assistant, Message, MessageStatus, SenderKind, WorkspaceRole},
};
use dbcontext::{entity::assistant, query};

use crate::{
    App, conversations,
    events::{Change, FinishAnswer, Regenerate},
    workspaces,
};
pub use query::assistants::DEFAULT_ID;
pub(crate) use title::TitleJob;
pub use watch::Watch;

/// The longest name of an assistant, in characters.
const MAX_NAME: usize = 60;
/// The longest system prompt, in characters.
const MAX_SYSTEM_PROMPT: usize = 8_000;

/// The providers of this instance, and the answers that it is writing.
pub struct Assistants {
    ai: Ai,
    watched: watch::Watched,
}

impl Assistants {
    /// Connects to the providers that are configured.
    pub fn build(config: &config::Ai) -> anyhow::Result<Self> {
        Ok(Self { ai: Ai::build(settings(config))?, watched: watch::Watched::default() })
    }

    pub(crate) fn ai(&self) -> &Ai {
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

fn settings(config: &config::Ai) -> AiSettings {
    let provider = |provider: &config::Provider| ProviderSettings {
        name: provider.name.clone(),
        kind: match provider.kind {
            config::ProviderKind::Openai => ProviderKind::OpenAi,
            config::ProviderKind::Gemini => ProviderKind::Gemini,
        },
        base_url: Some(provider.base_url()),
        keys: provider.keys.clone(),
        models: provider.models.clone(),
        requests_per_minute: provider.requests_per_minute,
    };
    AiSettings {
        default_model: config.default_model.clone(),
        proxy: config.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        providers: config.providers.iter().map(provider).collect(),
        model_map: config.model_map.iter().cloned().collect(),
        limits: Limits { idle: config.idle_timeout, deadline: config.answer_timeout, ..Limits::default() },
    }
}

/// An assistant that somebody makes.
#[derive(Clone, Debug)]
pub struct NewAssistant {
    pub name: String,
    pub model: Option<String>,
    pub system_prompt: Option<String>,
    pub workspace_id: Option<WorkspaceId>,
}

/// Makes an assistant for a workspace.
pub async fn create(app: &App, by: &Principal, new: NewAssistant) -> Result<Assistant, AppError> {
    let workspace_id = workspaces::resolve(app, by, new.workspace_id, Permission::Begin).await?.id;
    let name = parse_line("name", &new.name, MAX_NAME)?;
    let model = new.model.map(|model| model.trim().to_owned()).filter(|model| !model.is_empty());
    if model.as_deref().is_some_and(|model| !app.assistants.ai.has_model(model)) {
        return Err(AppError::field("model", "unknown", "This model isn't available on this server."));
    }
    let system_prompt = new.system_prompt.map(|prompt| prompt.trim().to_owned()).filter(|prompt| !prompt.is_empty());
    if let Some(prompt) = &system_prompt {
        check_prompt(prompt)?;
    }
    let search_name = name.to_lowercase();
    if let Some(default) = query::assistants::get(app.db.reader(), DEFAULT_ID).await?
        && default.search_name == search_name
    {
        return Err(AppError::field("name", "taken", "The default assistant has this name. Choose another one."));
    }
    let now = app.clock.now();
    let row = assistant::Model {
        id: AssistantId::new(),
        workspace_id: Some(workspace_id),
        name,
        search_name,
        model,
        system_prompt,
        created_by: Some(by.user_id),
        created_at: now,
        updated_at: now,
        is_deleted: false,
    };
    Ok(query::assistants::insert(app.db.writer(), row).await?.into())
}

fn check_prompt(prompt: &str) -> Result<(), AppError> {
    if prompt.chars().count() > MAX_SYSTEM_PROMPT {
        let message = format!("System prompts can have up to {MAX_SYSTEM_PROMPT} characters.");
        return Err(AppError::field("system_prompt", "too_long", message));
    }
    if prompt.contains('\0') {
        return Err(AppError::field(
            "system_prompt",
            "invalid",
            "The text contains a NUL character. Remove it and try again.",
        ));
    }
    Ok(())
}

/// The default assistant and those of a workspace; for a guest of it those that they meet there.
pub async fn list(
    app: &App,
    by: &Principal,
    workspace_id: Option<WorkspaceId>,
    page: PageRequest,
) -> Result<Page<Assistant>, AppError> {
    let place = workspaces::resolve(app, by, workspace_id, Permission::See).await?;
    let guest = (place.role == WorkspaceRole::Guest).then_some(by.user_id);
    let (items, total) = query::assistants::list(app.db.reader(), place.id, guest, page).await?;
    Ok(Page::new(items.into_iter().map(|row| view(row, by, Some(place.role))).collect(), page, total))
}

/// An assistant that the caller may talk to.
pub async fn find(app: &App, by: &Principal, id: AssistantId) -> Result<Assistant, AppError> {
    let found = query::assistants::find(app.db.reader(), by.user_id, id).await?;
    let row = found.ok_or(Code::NotFound)?;
    let role = match row.workspace_id {
        Some(workspace) => query::workspaces::role(app.db.reader(), workspace, by.user_id).await?,
        None => None,
    };
    Ok(view(row, by, role))
}

/// What somebody sees of an assistant: its instructions only where they may change them, as its maker or as one who configures the workspace.
fn view(row: assistant::Model, by: &Principal, role: Option<WorkspaceRole>) -> Assistant {
    let may_edit = row.created_by == Some(by.user_id) || role.is_some_and(|role| role.may(Permission::Configure));
    let mut assistant = Assistant::from(row);
    if !may_edit {
        assistant.system_prompt = None;
    }
    assistant
}

/// Stops an answer. Whoever reads the conversation may; one that has ended stays as it is.
pub async fn stop(app: &App, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    let message = answer(app, by, id).await?;
    if message.status != MessageStatus::Streaming {
        return Ok(message);
    }
    if query::jobs::request_stop(app.db.writer(), id.0).await? {
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
    };
    app.writer.submit(Change::FinishAnswer(finish)).await?.message()
}

/// Asks for an answer again: the same message goes back to its beginning.
pub async fn regenerate(app: &App, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    let message = answer(app, by, id).await?;
    let regenerate = Regenerate { conversation_id: message.conversation_id, by: by.user_id, message_id: id };
    app.writer.submit(Change::Regenerate(regenerate)).await?.message()
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
    conversations::access::member(app, by.user_id, message.conversation_id).await?;
    Ok(message)
}
