//! Functions that stand in a namespace, and the search by which a client finds more of them. Only this dialect has such; to an upstream they are functions by
//! one name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The type of the client's search for tools, and the name of the function that it is to an upstream.
pub(super) const SEARCH: &str = "tool_search";

/// Whether it is the client who does this, and not OpenAI.
fn is_clients(search: &Value) -> bool {
    search["execution"] == "client"
}

/// The one name of a function.
pub(super) fn flat(space: Option<&str>, name: &str) -> String {
    space.map_or_else(|| name.to_owned(), |space| format!("{space}__{name}"))
}

/// Namespace and name of the functions of a request, by the one name.
#[derive(Debug, Default)]
pub(super) struct Names {
    spaces: BTreeMap<String, (String, String)>,
    /// The client searches for tools.
    searches: bool,
}

impl Names {
    /// Those in the tools that an answer repeats.
    pub fn of(repeated: &Value) -> Self {
        let mut spaces = BTreeMap::new();
        let tools = || repeated["tools"].as_array().into_iter().flatten();
        for space in tools().filter(|tool| tool["type"] == "namespace") {
            let Some(space_name) = space["name"].as_str() else { continue };
            for name in space["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()) {
                spaces.insert(flat(Some(space_name), name), (space_name.to_owned(), name.to_owned()));
            }
        }
        let searches = tools().any(|tool| tool["type"] == SEARCH && is_clients(tool));
        Self { spaces, searches }
    }

    /// Whether a call of this name is a search for tools.
    pub fn is_search(&self, name: &str) -> bool {
        self.searches && name == SEARCH
    }

    /// How the id of a call of this name begins. OpenAI looks at it when the conversation goes on there.
    pub fn prefix(&self, name: &str) -> &'static str {
        if self.is_search(name) { "tsc" } else { "fc" }
    }

    /// A call as its client knows it: with its namespace, or as a search for tools.
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
