//! Creation, changes and deletion of assistants.

use appcore::{
    AppError, AssistantId, Code, WorkspaceId,
    auth::{Permission, Principal},
    event::Event,
    text_field::parse_line,
    view::{Assistant, AssistantTools, Picture, Visibility, WorkspaceRole},
};
use dbcontext::{
    constraint::app_error,
    entity::assistant,
    query::{self, texts::row_bytes},
};
use files::quotas;
use identity::membership;
use platform::cleanup;

use super::{DEFAULT_ID, change_events, find_with_role, may_edit, view};
use crate::{AssistantsService, tools};

/// Maximum length of a name, in characters.
const MAX_NAME: usize = 60;
const MAX_DESCRIPTION: usize = 200;
/// Maximum length of a system prompt, in characters.
const MAX_SYSTEM_PROMPT: usize = 8_000;
/// Maximum temperature. Higher ones are useless, and most models reject them.
const MAX_TEMPERATURE: f64 = 2.0;
const MAX_ANSWER_TOKENS: u32 = 100_000;
const MAX_STARTERS: usize = 8;
const MAX_STARTER: usize = 200;
/// Maximum length of an icon name or an emoji, in bytes.
const MAX_GLYPH: usize = 32;

/// Partial update of an assistant. `None` leaves a field unchanged; an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct AssistantFields {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub model: Option<Option<String>>,
    pub system_prompt: Option<Option<String>>,
    pub temperature: Option<Option<f64>>,
    pub max_answer_tokens: Option<Option<u32>>,
    pub picture: Option<Option<Picture>>,
    pub tools_enabled: Option<bool>,
    pub tools: Option<Vec<AssistantTools>>,
    pub visibility: Option<Visibility>,
    pub answers_mentions: Option<bool>,
    pub model_choice: Option<bool>,
    pub starters: Option<Vec<String>>,
}

/// Creates an assistant in a workspace.
pub async fn create(
    service: &AssistantsService,
    by: &Principal,
    workspace_id: Option<WorkspaceId>,
    fields: AssistantFields,
) -> Result<Assistant, AppError> {
    let place = membership::resolve(&service.identity, by, workspace_id, Permission::CreateContent).await?;
    let now = service.clock.now();
    let mut row = assistant::Model {
        id: AssistantId::new(),
        workspace_id: Some(place.id),
        name: String::new(),
        search_name: String::new(),
        model: None,
        system_prompt: None,
        description: None,
        temperature: None,
        max_answer_tokens: None,
        glyph: None,
        hue: None,
        tools_enabled: false,
        tools: None,
        visibility: Visibility::Workspace,
        answers_mentions: true,
        model_choice: true,
        starters: None,
        created_by: Some(by.user_id),
        created_at: now,
        updated_at: now,
        is_deleted: false,
    };
    // A missing name is treated as an empty one, which is refused.
    let name = Some(fields.name.clone().unwrap_or_default());
    apply(service, by, &mut row, AssistantFields { name, ..fields }).await?;
    let tx = service.db.begin().await.map_err(app_error)?;
    quotas::check_text_quota(&service.files, &tx, by.user_id, 0, stored_bytes(&row)).await?;
    let row = query::assistants::insert(&tx, row).await?;
    tx.commit().await.map_err(app_error)?;
    publish_change(service, &row, false);
    view(row, by, Some(place.role))
}

/// Assistant that the caller may change: its creator, or a member who may configure its workspace.
#[derive(Debug)]
pub struct EditableAssistant {
    by: Principal,
    row: assistant::Model,
    role: Option<WorkspaceRole>,
}

impl EditableAssistant {
    pub async fn authorize(service: &AssistantsService, by: &Principal, id: AssistantId) -> Result<Self, AppError> {
        let (row, role) = find_with_role(service, by, id).await?;
        if may_edit(&row, by, role) {
            return Ok(Self { by: by.clone(), row, role });
        }
        let message = if row.id == DEFAULT_ID {
            "The default assistant can't be changed here."
        } else {
            "Only the person who made this assistant, or an admin of the workspace, can change it."
        };
        Err(AppError::refused(Code::Forbidden, message))
    }

    /// User who may change the assistant.
    pub(crate) fn by(&self) -> &Principal {
        &self.by
    }

    /// Row of the assistant at the time of the permission check.
    pub(crate) fn row(&self) -> &assistant::Model {
        &self.row
    }
}

pub async fn update(
    service: &AssistantsService,
    assistant: &EditableAssistant,
    fields: AssistantFields,
) -> Result<Assistant, AppError> {
    let EditableAssistant { by, row, role } = assistant;
    let mut row = row.clone();
    let before = stored_bytes(&row);
    let was_seen_by_all = row.visibility == Visibility::Workspace;
    apply(service, by, &mut row, fields).await?;
    row.updated_at = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    // The storage counts against the creator's quota, even if somebody else changes the assistant.
    quotas::check_text_quota(&service.files, &tx, row.created_by.unwrap_or(by.user_id), before, stored_bytes(&row))
        .await?;
    let row = query::assistants::update(&tx, row).await?;
    tx.commit().await.map_err(app_error)?;
    publish_change(service, &row, was_seen_by_all);
    view(row, by, *role)
}

fn stored_bytes(row: &assistant::Model) -> i64 {
    let texts = [&row.description, &row.system_prompt, &row.starters];
    row_bytes(&texts.map(|text| text.as_deref().unwrap_or_default()))
}

/// Deletes an assistant. Its chats stay readable but get no more answers.
pub async fn delete(service: &AssistantsService, assistant: &EditableAssistant) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    query::assistants::delete(&tx, assistant.row.id, now).await?;
    cleanup::enqueue_knowledge_sweep(&tx, now).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    publish_change(service, &assistant.row, false);
    Ok(())
}

async fn apply(
    service: &AssistantsService,
    by: &Principal,
    row: &mut assistant::Model,
    fields: AssistantFields,
) -> Result<(), AppError> {
    if let Some(name) = fields.name {
        row.name = parse_line("name", &name, MAX_NAME)?;
        row.search_name = ::search::fold_name(&row.name);
        let default = query::assistants::get(service.db.reader(), DEFAULT_ID).await?;
        if default.is_some_and(|default| default.search_name == row.search_name) {
            return Err(AppError::field("name", "taken", "The default assistant has this name. Choose another one."));
        }
    }
    if let Some(description) = fields.description {
        row.description =
            parse_optional(description.as_deref(), |text| parse_line("description", text, MAX_DESCRIPTION))?;
    }
    if let Some(model) = fields.model {
        row.model = parse_optional(model.as_deref(), |model| gateway::check_available(&service.gateway, model))?;
    }
    if let Some(prompt) = fields.system_prompt {
        row.system_prompt = parse_optional(prompt.as_deref(), parse_prompt)?;
    }
    if let Some(temperature) = fields.temperature {
        row.temperature = temperature.map(hundredths).transpose()?;
    }
    if let Some(tokens) = fields.max_answer_tokens {
        row.max_answer_tokens = tokens.map(answer_tokens).transpose()?;
    }
    if let Some(picture) = fields.picture {
        picture.as_ref().map(check_picture).transpose()?;
        row.hue = picture.as_ref().and_then(|picture| picture.hue).map(i32::from);
        row.glyph = picture.map(|picture| picture.glyph);
    }
    if let Some(visibility) = fields.visibility {
        row.visibility = visibility;
    }
    if let Some(starters) = fields.starters {
        row.starters = parse_starters(&starters)?;
    }
    if let Some(chosen) = fields.tools {
        row.tools = tools::validate_choice(service, by, row.tools.as_deref(), chosen).await?;
    }
    row.tools_enabled = fields.tools_enabled.unwrap_or(row.tools_enabled);
    row.answers_mentions = fields.answers_mentions.unwrap_or(row.answers_mentions);
    row.model_choice = fields.model_choice.unwrap_or(row.model_choice);
    Ok(())
}

/// Parses an optional text; a blank one becomes `None`.
fn parse_optional<T>(
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, AppError>,
) -> Result<Option<T>, AppError> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(parse).transpose()
}

fn parse_prompt(prompt: &str) -> Result<String, AppError> {
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
    Ok(prompt.to_owned())
}

#[allow(clippy::cast_possible_truncation, reason = "at most two hundred")]
fn hundredths(temperature: f64) -> Result<i32, AppError> {
    if (0.0..=MAX_TEMPERATURE).contains(&temperature) {
        return Ok((temperature * 100.0).round() as i32);
    }
    Err(AppError::field("temperature", "invalid", format!("Use a number from 0 to {MAX_TEMPERATURE}.")))
}

fn answer_tokens(tokens: u32) -> Result<i32, AppError> {
    let fitting = Some(tokens).filter(|tokens| (1..=MAX_ANSWER_TOKENS).contains(tokens));
    fitting.and_then(|tokens| i32::try_from(tokens).ok()).ok_or_else(|| {
        AppError::field("max_answer_tokens", "invalid", format!("Use a number from 1 to {MAX_ANSWER_TOKENS}."))
    })
}

/// Validates an icon: a name, or an emoji, whose only ASCII characters are the digits of keycaps.
fn check_picture(picture: &Picture) -> Result<(), AppError> {
    let glyph = &picture.glyph;
    let is_name = glyph.starts_with(|first: char| first.is_ascii_lowercase())
        && glyph.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let is_emoji = !glyph.is_ascii()
        && !glyph.chars().any(|letter| letter.is_alphabetic() || letter.is_whitespace() || letter.is_control());
    if glyph.len() > MAX_GLYPH || !(is_name || is_emoji) {
        return Err(AppError::field("picture", "invalid", "Choose an icon or one emoji."));
    }
    if picture.hue.is_some_and(|hue| hue >= 360) {
        return Err(AppError::field("picture", "invalid", "The hue is a number from 0 to 359."));
    }
    Ok(())
}

/// Serialises the conversation starters without blank ones.
fn parse_starters(starters: &[String]) -> Result<Option<String>, AppError> {
    if starters.len() > MAX_STARTERS {
        return Err(AppError::field("starters", "too_long", format!("Add up to {MAX_STARTERS} starters.")));
    }
    let starters: Vec<String> = starters
        .iter()
        .filter(|text| !text.trim().is_empty())
        .map(|text| parse_line("starters", text, MAX_STARTER))
        .collect::<Result<_, _>>()?;
    if starters.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(&starters).map(Some).map_err(AppError::internal)
}

/// Notifies the users who can see the assistant, or could see it before the change, that assistants
/// of the workspace have changed.
fn publish_change(service: &AssistantsService, row: &assistant::Model, was_seen_by_all: bool) {
    let Some(workspace_id) = row.workspace_id else { return };
    let is_seen_by_all = was_seen_by_all || row.visibility == Visibility::Workspace;
    change_events::publish(
        service,
        &Event::AssistantsChanged { workspace_id },
        workspace_id,
        row.created_by,
        is_seen_by_all,
    );
}

/// Notifies the users who can see the assistant that its knowledge files have changed or
/// progressed.
pub(crate) fn publish_knowledge_change(service: &AssistantsService, row: &assistant::Model) {
    let Some(workspace_id) = row.workspace_id else { return };
    let is_seen_by_all = row.visibility == Visibility::Workspace;
    let event = Event::KnowledgeChanged { workspace_id, assistant_id: Some(row.id), section_id: None };
    change_events::publish(service, &event, workspace_id, row.created_by, is_seen_by_all);
}

/// Notifies a workspace that its shared knowledge files have changed.
pub(crate) fn publish_shared_knowledge_change(service: &AssistantsService, workspace_id: WorkspaceId) {
    let event = Event::KnowledgeChanged { workspace_id, assistant_id: None, section_id: None };
    change_events::publish(service, &event, workspace_id, None, true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_is_an_icon_or_an_emoji() {
        let picture = |glyph: &str, hue| check_picture(&Picture { glyph: glyph.to_owned(), hue });
        for glyph in ["feather", "trash-2", "🦊", "👩\u{200d}💻", "1\u{fe0f}\u{20e3}", "❤\u{fe0f}"] {
            assert!(picture(glyph, Some(359)).is_ok(), "{glyph:?}");
        }
        for glyph in ["", "Feather", "<b>", "-x", "fox 🦊", "ab c", "é", "../x", &"🦊".repeat(9)] {
            assert!(picture(glyph, None).is_err(), "{glyph:?}");
        }
        assert!(picture("leaf", Some(360)).is_err());
    }

    #[test]
    fn stores_temperature_in_hundredths() {
        assert_eq!(hundredths(0.4).ok(), Some(40));
        assert_eq!(hundredths(2.0).ok(), Some(200));
        for wrong in [-0.1, 2.01, f64::NAN, f64::INFINITY] {
            assert!(hundredths(wrong).is_err(), "{wrong}");
        }
        assert_eq!(answer_tokens(1).ok(), Some(1));
        assert!(answer_tokens(0).is_err() && answer_tokens(100_001).is_err());
    }
}
