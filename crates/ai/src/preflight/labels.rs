//! Labels of a call: its end user, who is the person or system behind the caller's own program, and
//! its tags.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// Maximum length of a name, in characters.
const MAX_CHARS: usize = 256;
/// Maximum size of a field that is read, in bytes.
const MAX_FIELD_BYTES: usize = 8_192;
/// Separator of the session in the user ids of Claude Code. A session isn't a user.
const SESSION_MARK: &str = "_session_";

/// Maximum number of tags of a call.
const MAX_TAGS: usize = 10;
/// Maximum length of a tag, in characters.
const MAX_TAG_CHARS: usize = 64;

/// Labels of a call, by which its usage is reported and limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLabels {
    pub end_user: Option<String>,
    pub tags: Vec<String>,
}

impl RequestLabels {
    /// Adds comma-separated tags. Further ones than the first ten are dropped.
    pub fn add_tags(&mut self, list: &str) {
        for tag in list.split(',').filter_map(|tag| normalise(tag, MAX_TAG_CHARS)) {
            if self.tags.len() < MAX_TAGS && !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
        }
    }

    fn of_metadata(metadata: Option<&Value>) -> Self {
        let mut labels = Self { end_user: metadata.and_then(of_metadata), tags: Vec::new() };
        match metadata.and_then(|metadata| metadata.get("tags")) {
            Some(Value::String(list)) => labels.add_tags(list),
            Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).for_each(|tag| labels.add_tags(tag)),
            _ => {}
        }
        labels
    }
}

/// Fields of a body that contain labels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LabelFields<'a> {
    pub user: Option<&'a RawValue>,
    pub safety_identifier: Option<&'a RawValue>,
    pub metadata: Option<&'a RawValue>,
}

impl LabelFields<'_> {
    pub fn read(self) -> RequestLabels {
        let parse = |field: Option<&RawValue>| {
            let text = field.map(RawValue::get).filter(|text| text.len() <= MAX_FIELD_BYTES)?;
            serde_json::from_str::<Value>(text).ok()
        };
        let named = |field: Option<&RawValue>| parse(field).as_ref().and_then(Value::as_str).and_then(parse_end_user);
        let mut labels = RequestLabels::of_metadata(parse(self.metadata).as_ref());
        labels.end_user = named(self.user).or_else(|| named(self.safety_identifier)).or(labels.end_user);
        labels
    }
}

/// Reads the labels from a parsed body.
pub(crate) fn read_labels(body: &Value) -> RequestLabels {
    let named = |field: &str| body.get(field).and_then(Value::as_str).and_then(parse_end_user);
    let mut labels = RequestLabels::of_metadata(body.get("metadata"));
    labels.end_user = named("user").or_else(|| named("safety_identifier")).or(labels.end_user);
    labels
}

fn of_metadata(metadata: &Value) -> Option<String> {
    let id = metadata.get("user_id")?.as_str()?;
    let without_session = id.split_once(SESSION_MARK).map_or(id, |(user, _)| user);
    // Newer versions of Claude Code send an object in a string.
    match serde_json::from_str::<Value>(id) {
        Ok(Value::Object(ids)) => {
            let named = |field: &str| ids.get(field).and_then(Value::as_str).and_then(parse_end_user);
            named("account_uuid").or_else(|| named("device_id"))
        }
        _ => parse_end_user(without_session),
    }
}

/// Normalises the name of an end user: without control characters, and at most 256 characters long.
/// Returns `None` if nothing is left.
#[must_use]
pub fn parse_end_user(name: &str) -> Option<String> {
    normalise(name, MAX_CHARS)
}

/// Normalises a tag: without control characters, and at most 64 characters long. Returns `None` if
/// nothing is left, or for several tags.
#[must_use]
pub fn parse_tag(tag: &str) -> Option<String> {
    normalise(tag, MAX_TAG_CHARS).filter(|tag| !tag.contains(','))
}

fn normalise(name: &str, max_chars: usize) -> Option<String> {
    let printable: String = name.chars().filter(|letter| !letter.is_control()).collect();
    let name: String = printable.trim().chars().take(max_chars).collect();
    let name = name.trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_first_field_that_names_an_end_user() {
        for (body, expected) in [
            (json!({ "user": "anna", "safety_identifier": "b", "metadata": { "user_id": "c" } }), Some("anna")),
            (json!({ "user": " ", "safety_identifier": "b", "metadata": { "user_id": "c" } }), Some("b")),
            (json!({ "user": 7, "metadata": { "user_id": "c" } }), Some("c")),
            (json!({ "metadata": { "user_id": "user_1_account_2_session_3" } }), Some("user_1_account_2")),
            (
                json!({ "metadata": { "user_id": r#"{"device_id":"d","account_uuid":"","session_id":"s"}"# } }),
                Some("d"),
            ),
            (json!({ "metadata": "c" }), None),
            (json!({}), None),
        ] {
            assert_eq!(read_labels(&body).end_user.as_deref(), expected, "{body}");
            let raw = |field: &str| body.get(field).map(|value| serde_json::value::to_raw_value(value).unwrap());
            let (user, safety_identifier, metadata) = (raw("user"), raw("safety_identifier"), raw("metadata"));
            let fields = LabelFields {
                user: user.as_deref(),
                safety_identifier: safety_identifier.as_deref(),
                metadata: metadata.as_deref(),
            };
            assert_eq!(fields.read(), read_labels(&body), "{body}");
        }
    }

    #[test]
    fn reads_tags_of_metadata_once() {
        let tags = |tags: Value| read_labels(&json!({ "metadata": { "tags": tags } })).tags;
        assert_eq!(tags(json!(["a", " b ", 7, "a", ""])), ["a", "b"]);
        assert_eq!(tags(json!("a,b,,a")), ["a", "b"]);
        assert!(tags(json!({ "a": 1 })).is_empty());
        let many: Vec<String> = (0..20).map(|number| format!("{number}{}", "x".repeat(100))).collect();
        let kept = tags(json!(many));
        assert_eq!((kept.len(), kept[0].chars().count()), (MAX_TAGS, MAX_TAG_CHARS));
        assert_eq!((parse_tag("a,b"), parse_tag(" a ").as_deref()), (None, Some("a")));
    }

    #[test]
    fn normalises_names() {
        assert_eq!(parse_end_user(" an\u{0}na\n").as_deref(), Some("anna"));
        assert_eq!(parse_end_user(&"ä".repeat(300)).map(|name| name.chars().count()), Some(256));
        assert_eq!(parse_end_user("\t"), None);
    }
}
