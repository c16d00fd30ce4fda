//! Prompts of a server: text templates that users fill in and the server renders.

use std::collections::HashSet;

use rmcp::model::{PromptMessage, Role};
use serde::{Deserialize, Serialize};

use crate::tool::{block, truncate, truncate_visible, valid_title};

/// Maximum number of prompts of a server.
pub(crate) const MAX_PROMPTS: usize = 50;
const MAX_ARGUMENTS: usize = 10;
const MAX_NAME: usize = 128;
/// Maximum length of an argument's name, in bytes.
const MAX_ARGUMENT_NAME: usize = 40;
/// Maximum length of a description, in characters.
const MAX_DESCRIPTION: usize = 500;

/// A prompt of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub arguments: Vec<PromptArgument>,
}

/// An argument of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptArgument {
    pub name: String,
    pub description: Option<String>,
    pub is_required: bool,
}

/// Validates prompts: names are unique, and every argument can be filled in.
pub(crate) fn validate_prompts(prompts: Vec<rmcp::model::Prompt>) -> Vec<Prompt> {
    let mut names = HashSet::new();
    let mut kept = Vec::new();
    for prompt in prompts {
        let is_name =
            (1..=MAX_NAME).contains(&prompt.name.len()) && prompt.name.chars().all(|char| char.is_ascii_graphic());
        let arguments = prompt.arguments.unwrap_or_default();
        let can_be_filled = arguments.len() <= MAX_ARGUMENTS && arguments.iter().all(|one| is_argument(&one.name));
        if kept.len() == MAX_PROMPTS || !is_name || !can_be_filled || !names.insert(prompt.name.clone()) {
            continue;
        }
        let argument = |one: rmcp::model::PromptArgument| PromptArgument {
            name: one.name,
            description: one.description.map(|text| truncate_visible(&text, MAX_DESCRIPTION)),
            is_required: one.required.unwrap_or(false),
        };
        kept.push(Prompt {
            name: prompt.name,
            title: prompt.title.and_then(|title| valid_title(&title)),
            description: prompt.description.map(|text| truncate_visible(&text, MAX_DESCRIPTION)),
            arguments: arguments.into_iter().map(argument).collect(),
        });
    }
    kept
}

/// True if the argument's name is one that the app's form can ask for.
fn is_argument(name: &str) -> bool {
    (1..=MAX_ARGUMENT_NAME).contains(&name.len())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.'))
}

/// Converts a rendered prompt to the text that the user sees before sending it.
pub(crate) fn render_messages(messages: Vec<PromptMessage>, limit: usize) -> String {
    let has_answers = messages.iter().any(|message| matches!(message.role, Role::Assistant));
    let mut pictures = Vec::new();
    let said = messages.into_iter().map(|message| {
        let who = match message.role {
            _ if !has_answers => "",
            Role::Assistant => "Assistant: ",
            _ => "User: ",
        };
        format!("{who}{}", block(message.content, &mut pictures))
    });
    truncate(&said.collect::<Vec<_>>().join("\n\n"), limit)
}

#[cfg(test)]
mod tests {
    use rmcp::model;

    use super::*;

    #[test]
    fn drops_prompts_that_cannot_be_filled_in() {
        let offered = |name: &str, argument: &str| {
            model::Prompt::new(
                name,
                Some("About"),
                Some(vec![model::PromptArgument::new(argument).with_required(true)]),
            )
        };
        let found = validate_prompts(vec![
            offered("review", "code"),
            offered("review", "other"),
            offered("odd", "two words"),
            offered("with space", "code"),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].arguments[0].name.as_str()), ("review", "code"));
        assert!(found[0].arguments[0].is_required);
    }

    #[test]
    fn joins_messages_to_one_text() {
        let message = |role, text: &str| PromptMessage::new_text(role, text);
        assert_eq!(
            render_messages(vec![message(Role::User, "Review this."), message(Role::User, "Now.")], 100),
            "Review this.\n\nNow."
        );
        let talk = vec![message(Role::User, "Hello"), message(Role::Assistant, "Hi")];
        assert_eq!(render_messages(talk, 100), "User: Hello\n\nAssistant: Hi");
    }
}
