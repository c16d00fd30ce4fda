//! Tools offered to the model of an assistant.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ::ai::ChatTool;
use appcore::{
    AppError, ConversationId, McpServerId,
    view::{AssistantTools, ToolMode},
};
use dbcontext::{
    entity::assistant,
    query::mcp_servers::{self, McpServerRow},
};
use mcp::Tool;

use super::{
    builtin,
    servers::{mode_of, modes, tools},
};
use crate::AssistantsService;

/// Maximum number of offered tools. It is limited because each tool takes tokens of the context
/// window.
const MAX_OFFERED: usize = 128;
/// Maximum length of a function name that every provider accepts, in bytes.
const MAX_FUNCTION: usize = 64;

/// Offered tools by function name.
#[derive(Default)]
pub(crate) struct Offer(BTreeMap<String, OfferedFunction>);

/// Offered tool with its server.
#[derive(Clone)]
pub(super) struct OfferedFunction {
    pub server: Arc<McpServerRow>,
    pub tool: Tool,
    pub mode: ToolMode,
}

impl OfferedFunction {
    /// True if a call may be repeated after a crash: an administrator trusts the tool and its
    /// server declares it idempotent.
    pub fn is_repeatable(&self) -> bool {
        self.mode == ToolMode::Auto && self.tool.is_idempotent
    }
}

/// Returns the tools of an assistant that are available and enabled in a conversation.
pub(crate) async fn offer(
    service: &AssistantsService,
    assistant: &assistant::Model,
    conversation: ConversationId,
) -> Result<Offer, AppError> {
    let Some(given) = assistant.tools.as_deref().filter(|_| assistant.tools_enabled) else {
        return Ok(Offer::default());
    };
    let given: Vec<AssistantTools> = serde_json::from_str(given).map_err(AppError::internal)?;
    let ids: Vec<McpServerId> = given.iter().map(|given| given.server_id).collect();
    let mut rows = mcp_servers::find_all(service.db.reader(), &ids).await?;
    rows.retain(|row| row.is_enabled);
    if ids.contains(&builtin::SERVER) {
        rows.extend(builtin::offered_server(service, conversation).await?);
    }
    rows.sort_by(|one, other| one.search_name.cmp(&other.search_name));
    let chosen: HashMap<McpServerId, Option<Vec<String>>> =
        given.into_iter().map(|given| (given.server_id, given.tools)).collect();
    let mut offer = Offer::default();
    for row in rows {
        let (server, modes) = (Arc::new(row.clone()), modes(&row)?);
        for tool in tools(&server)? {
            let is_chosen = match chosen.get(&server.id) {
                Some(Some(names)) => names.contains(&tool.name),
                Some(None) => true,
                None => false,
            };
            let mode = mode_of(&tool, &modes);
            if is_chosen && mode != ToolMode::Off && offer.0.len() < MAX_OFFERED {
                let name = offer.free_name(&server.name, &tool.name);
                offer.0.insert(name, OfferedFunction { server: Arc::clone(&server), tool, mode });
            }
        }
    }
    Ok(offer)
}

impl Offer {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Function definitions for the model.
    pub fn functions(&self) -> Vec<ChatTool> {
        let function = |(name, offered): (&String, &OfferedFunction)| ChatTool {
            name: name.clone(),
            description: offered.tool.description.clone().or_else(|| offered.tool.title.clone()),
            parameters: offered.tool.schema.clone(),
        };
        self.0.iter().map(function).collect()
    }

    /// Returns the mode of each tool.
    pub(super) fn modes(&self) -> impl Iterator<Item = ToolMode> {
        self.0.values().map(|offered| offered.mode)
    }

    /// Returns the tool that is offered under this function name.
    pub(super) fn find(&self, function: &str) -> Option<&OfferedFunction> {
        self.0.get(function)
    }

    /// Returns the tool of a stored call, even if its function name has changed since.
    pub(super) fn find_stored(&self, server: McpServerId, tool: &str) -> Option<&OfferedFunction> {
        self.0.values().find(|offered| offered.server.id == server && offered.tool.name == tool)
    }

    /// Returns an unused function name of letters, digits, `_` and `-`.
    fn free_name(&self, server: &str, tool: &str) -> String {
        let plain = |text: &str| -> String {
            let is_plain = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
            text.chars().map(|char| if is_plain(char) { char } else { '_' }).collect()
        };
        let mut name = format!("{}__{}", plain(server), plain(tool));
        if !name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_') {
            name.insert(0, '_');
        }
        name.truncate(MAX_FUNCTION);
        let mut number = 2;
        while self.0.contains_key(&name) {
            let suffix = format!("_{number}");
            name.truncate(MAX_FUNCTION - suffix.len());
            name.push_str(&suffix);
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_names_are_valid_and_unique() {
        let mut offer = Offer::default();
        for (server, tool) in [("Tìm kiếm", "get.it"), ("Tìm kiếm", "get:it"), ("9", "x"), ("s", &"t".repeat(200))]
        {
            let name = offer.free_name(server, tool);
            let is_valid = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
            assert!(name.len() <= MAX_FUNCTION && name.chars().all(is_valid) && !offer.0.contains_key(&name), "{name}");
            assert!(!name.starts_with(|char: char| char.is_ascii_digit()), "{name}");
            offer.0.insert(name, offered());
        }
        assert!(offer.0.contains_key("T_m_ki_m__get_it") && offer.0.contains_key("T_m_ki_m__get_it_2"));
    }

    fn offered() -> OfferedFunction {
        let tool = Tool {
            name: "t".to_owned(),
            title: None,
            description: None,
            schema: serde_json::json!({}),
            is_read_only: true,
            is_idempotent: true,
        };
        OfferedFunction { server: Arc::new(super::super::secrets::tests::row()), tool, mode: ToolMode::Auto }
    }
}
