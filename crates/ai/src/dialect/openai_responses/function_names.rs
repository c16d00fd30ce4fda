//! Functions in namespaces, and the client's tool search. Only this format has them; other
//! providers get functions with a flat name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Type of the client's tool search, and the function name that stands for it at other providers.
pub(super) const TOOL_SEARCH: &str = "tool_search";

/// True if the client runs the search, not OpenAI.
fn is_client_side(search: &Value) -> bool {
    search["execution"] == "client"
}

/// Flat name of a function in a namespace.
pub(super) fn flat_name(space: Option<&str>, name: &str) -> String {
    space.map_or_else(|| name.to_owned(), |space| format!("{space}__{name}"))
}

/// Namespace and name of a request's functions, by flat name.
#[derive(Debug, Default)]
pub(super) struct FunctionNames {
    spaces: BTreeMap<String, (String, String)>,
    /// True if the client offers tool search.
    searches: bool,
}

impl FunctionNames {
    /// Reads the names from the tools that an answer echoes.
    pub fn from_echoed(repeated: &Value) -> Self {
        let mut spaces = BTreeMap::new();
        let tools = || repeated["tools"].as_array().into_iter().flatten();
        for space in tools().filter(|tool| tool["type"] == "namespace") {
            let Some(space_name) = space["name"].as_str() else { continue };
            for name in space["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()) {
                spaces.insert(flat_name(Some(space_name), name), (space_name.to_owned(), name.to_owned()));
            }
        }
        let searches = tools().any(|tool| tool["type"] == TOOL_SEARCH && is_client_side(tool));
        Self { spaces, searches }
    }

    /// True if a call of this name is a tool search.
    pub fn is_search(&self, name: &str) -> bool {
        self.searches && name == TOOL_SEARCH
    }

    /// Id prefix of a call of this name; OpenAI checks it when the conversation continues there.
    pub fn prefix(&self, name: &str) -> &'static str {
        if self.is_search(name) { "tsc" } else { "fc" }
    }

    /// Restores the client's form of a call: with its namespace, or as a tool search.
    pub fn restore(&self, mut item: Value) -> Value {
        if item["name"].as_str().is_some_and(|name| self.is_search(name)) {
            let said = item["arguments"].as_str().and_then(|said| serde_json::from_str::<Value>(said).ok());
            let said = said.filter(Value::is_object).unwrap_or_else(|| json!({}));
            return json!({
                "id": item["id"], "type": "tool_search_call", "status": item["status"], "call_id": item["call_id"],
                "execution": "client", "arguments": said,
            });
        }
        if let Some((space, name)) = item["name"].as_str().and_then(|name| self.spaces.get(name)) {
            item["namespace"] = space.as_str().into();
            item["name"] = name.as_str().into();
        }
        item
    }
}
