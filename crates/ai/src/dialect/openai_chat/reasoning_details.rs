//! OpenRouter's `reasoning_details`: thinking with its signatures, in a format common to all models.
//! The details must return unchanged with the assistant's turn.

use serde_json::{Map, Value};

/// Fields whose text arrives in increments.
const TEXT_FIELDS: [&str; 3] = ["text", "summary", "data"];

/// Details of a message or delta.
pub(super) fn read(said: &Value) -> Vec<Value> {
    let details = said["reasoning_details"].as_array().into_iter().flatten();
    details.filter(|detail| detail.is_object()).cloned().collect()
}

/// Appends the details of a delta, and joins increments of one detail.
pub(super) fn append_delta(details: &mut Vec<Value>, delta: Vec<Value>) {
    for increment in delta {
        let known = details.iter_mut().rev().filter_map(Value::as_object_mut);
        match (known.into_iter().find(|known| is_same(known, &increment)), &increment) {
            (Some(known), Value::Object(fields)) => merge(known, fields),
            _ => details.push(increment),
        }
    }
}

/// True if the increment belongs to this detail: it has the same type and index, and no other id.
fn is_same(known: &Map<String, Value>, increment: &Value) -> bool {
    let field = |name: &str| known.get(name).filter(|value| !value.is_null());
    let (id, own) = (field("id"), increment.get("id").filter(|id| !id.is_null()));
    let is_other = id.is_some() && own.is_some() && id != own;
    let index = increment.get("index").filter(|index| !index.is_null());
    // Encrypted data is whole unless an index or id says otherwise.
    let is_named = index.is_some() || (id.is_some() && own.is_some()) || increment["type"] != "reasoning.encrypted";
    // A signature completes its text.
    let is_complete = field("signature").is_some() && TEXT_FIELDS.iter().any(|name| increment[*name].is_string());
    field("type") == increment.get("type") && field("index") == index && is_named && !is_other && !is_complete
}

fn merge(known: &mut Map<String, Value>, increment: &Map<String, Value>) {
    for (name, value) in increment.iter().filter(|(_, value)| !value.is_null()) {
        match (known.get_mut(name), value) {
            (Some(Value::String(text)), Value::String(more)) if TEXT_FIELDS.contains(&name.as_str()) => {
                text.push_str(more);
            }
            _ => _ = known.insert(name.clone(), value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn joins_increments_of_one_detail() {
        let text = |text: &str| json!({"type": "reasoning.text", "text": text, "index": 0});
        let encrypted =
            |data: &str, id: Value| json!({"type": "reasoning.encrypted", "data": data, "id": id, "index": 1});
        let unnamed = json!({"type": "reasoning.encrypted", "data": "a"});
        let signed =
            |text: &str, signature: &str| json!({"type": "reasoning.text", "text": text, "signature": signature});
        for (deltas, expected) in [
            (
                vec![
                    text("h"),
                    text("m"),
                    json!({"type": "reasoning.text", "text": null, "signature": "sig", "index": 0, "format": "f"}),
                ],
                json!([{"type": "reasoning.text", "text": "hm", "index": 0, "signature": "sig", "format": "f"}]),
            ),
            (vec![text("a"), json!({"type": "reasoning.text", "text": "b", "index": 1})], {
                json!([text("a"), {"type": "reasoning.text", "text": "b", "index": 1}])
            }),
            (
                vec![encrypted("a", json!("c1")), encrypted("b", json!("c2")), encrypted("c", Value::Null)],
                json!([encrypted("a", json!("c1")), encrypted("bc", json!("c2"))]),
            ),
            (vec![unnamed.clone(), unnamed.clone()], json!([unnamed, unnamed])),
            (
                vec![
                    json!({"type": "reasoning.summary", "summary": "h"}),
                    json!({"type": "reasoning.summary", "summary": "m"}),
                ],
                json!([{"type": "reasoning.summary", "summary": "hm"}]),
            ),
            (vec![signed("a", "1"), signed("b", "2")], json!([signed("a", "1"), signed("b", "2")])),
        ] {
            let mut details = Vec::new();
            for delta in deltas.clone() {
                append_delta(&mut details, read(&json!({"reasoning_details": [delta, "odd"]})));
            }
            assert_eq!(Value::from(details), expected, "{deltas:?}");
        }
    }
}
