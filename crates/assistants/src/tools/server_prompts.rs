//! Prompts of tool servers: texts that a server generates from arguments.

use std::collections::BTreeMap;

use appcore::{
    AppError, Code, McpServerId,
    auth::Principal,
    view::{OfferedPrompt, OfferedPromptArgument, ToolVisibility},
};
use dbcontext::query::mcp_servers::{self as rows, McpServerRow};
use mcp::{Prompt, PromptArgument};
use serde_json::Value;

use crate::AssistantsService;

/// Maximum length of an argument, in characters.
const MAX_ARGUMENT: usize = 2_000;

/// Returns the prompts that a server offers.
pub(super) fn list(row: &McpServerRow) -> Result<Vec<OfferedPrompt>, AppError> {
    let told: Vec<Prompt> = serde_json::from_str(&row.prompts).map_err(AppError::internal)?;
    Ok(told.into_iter().map(view).collect())
}

fn view(prompt: Prompt) -> OfferedPrompt {
    let argument = |one: PromptArgument| OfferedPromptArgument {
        name: one.name,
        description: one.description,
        is_required: one.is_required,
    };
    let Prompt { name, title, description, arguments } = prompt;
    OfferedPrompt { name, title, description, arguments: arguments.into_iter().map(argument).collect() }
}

/// Generates the text of a prompt, for users to whom its server is offered.
pub async fn render(
    service: &AssistantsService,
    by: &Principal,
    id: McpServerId,
    name: &str,
    given: BTreeMap<String, String>,
) -> Result<String, AppError> {
    let row = rows::find(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    if !row.is_enabled || !(by.is_admin() || row.offered_to == ToolVisibility::Everyone) {
        return Err(Code::NotFound.into());
    }
    let prompt = list(&row)?.into_iter().find(|prompt| prompt.name == name).ok_or(Code::NotFound)?;
    let is_known = |name: &String| prompt.arguments.iter().any(|argument| argument.name == *name);
    if !given.keys().all(is_known) {
        return Err(AppError::field("arguments", "unknown", "This prompt doesn't ask for all of these."));
    }
    if given.values().any(|value| value.chars().count() > MAX_ARGUMENT) {
        return Err(AppError::field("arguments", "too_long", format!("Use up to {MAX_ARGUMENT} characters for each.")));
    }
    let is_given = |name: &String| given.get(name).is_some_and(|value| !value.trim().is_empty());
    if let Some(missing) = prompt.arguments.iter().find(|argument| argument.is_required && !is_given(&argument.name)) {
        return Err(AppError::field("arguments", "missing", format!("Fill in {}.", missing.name)));
    }
    let given = given.into_iter().filter(|(_, value)| !value.trim().is_empty());
    let given = given.map(|(name, value)| (name, Value::String(value))).collect();
    let said = service.tools.prompt(service, &row, by.user_id, name, given).await;
    said.map_err(|error| AppError::refused(Code::WrongState, error.to_string()))
}
