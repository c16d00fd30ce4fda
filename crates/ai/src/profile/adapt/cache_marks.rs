//! Removes marks for prompt caches above the number that a provider accepts.

use serde_json::{Map, Value};

const MARK: &str = "cache_control";
/// Fields with marks, in the order of the prompt.
const MARKED_FIELDS: [&str; 3] = ["tools", "system", "messages"];

/// Removes the first marks above this number, because the last ones cover the longest prefixes. True
/// if there are any.
pub(super) fn remove_excess(fields: &mut Map<String, Value>, most: usize) -> bool {
    let all: usize = MARKED_FIELDS.iter().filter_map(|name| fields.get(*name)).map(count).sum();
    let mut excess = all.saturating_sub(most);
    let is_changed = excess > 0;
    for name in MARKED_FIELDS {
        if let Some(value) = fields.get_mut(name) {
            remove(value, &mut excess);
        }
    }
    is_changed
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => usize::from(fields.contains_key(MARK)) + fields.get("content").map_or(0, count),
        _ => 0,
    }
}

fn remove(value: &mut Value, excess: &mut usize) {
    match value {
        _ if *excess == 0 => {}
        Value::Array(items) => items.iter_mut().for_each(|item| remove(item, excess)),
        Value::Object(fields) => {
            if let Some(content) = fields.get_mut("content") {
                remove(content, excess);
            }
            if *excess > 0 && fields.shift_remove(MARK).is_some() {
                *excess -= 1;
            }
        }
        _ => {}
    }
}
