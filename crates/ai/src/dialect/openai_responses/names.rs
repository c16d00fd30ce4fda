//! Functions that stand in a namespace. Only this dialect has such; to an upstream they go by one name.

use std::collections::BTreeMap;

use serde_json::Value;

/// The one name of a function.
pub(super) fn flat(space: Option<&str>, name: &str) -> String {
    space.map_or_else(|| name.to_owned(), |space| format!("{space}__{name}"))
}

/// Namespace and name of the functions of a request, by the one name.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, (String, String)>);

impl Names {
    /// Those in the tools that an answer repeats.
    pub fn of(repeated: &Value) -> Self {
        let mut names = BTreeMap::new();
        for space in repeated["tools"].as_array().into_iter().flatten().filter(|tool| tool["type"] == "namespace") {
            let Some(space_name) = space["name"].as_str() else { continue };
            for name in space["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()) {
                names.insert(flat(Some(space_name), name), (space_name.to_owned(), name.to_owned()));
            }
        }
        Self(names)
    }

    /// Gives a call its namespace back.
    pub fn restore(&self, mut item: Value) -> Value {
        if let Some((space, name)) = item["name"].as_str().and_then(|name| self.0.get(name)) {
            item["namespace"] = space.as_str().into();
            item["name"] = name.as_str().into();
        }
        item
    }
}
