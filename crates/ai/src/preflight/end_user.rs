//! End user of a call: the person or system behind the caller's own program.

use serde_json::{Value, value::RawValue};

/// Maximum length of a name, in characters.
const MAX_CHARS: usize = 256;
/// Maximum size of a field that is read, in bytes.
const MAX_FIELD_BYTES: usize = 8_192;
/// Separator of the session in the user ids of Claude Code. A session isn't a user.
const SESSION_MARK: &str = "_session_";

/// Fields of a body that may name the end user.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EndUserFields<'a> {
    pub user: Option<&'a RawValue>,
    pub safety_identifier: Option<&'a RawValue>,
    pub metadata: Option<&'a RawValue>,
}

impl EndUserFields<'_> {
    pub fn read(self) -> Option<String> {
        let parse = |field: Option<&RawValue>| {
            let text = field.map(RawValue::get).filter(|text| text.len() <= MAX_FIELD_BYTES)?;
            serde_json::from_str::<Value>(text).ok()
        };
        let named = |field: Option<&RawValue>| parse(field).as_ref().and_then(Value::as_str).and_then(parse_end_user);
        named(self.user)
            .or_else(|| named(self.safety_identifier))
            .or_else(|| parse(self.metadata).as_ref().and_then(of_metadata))
    }
}

/// Reads the end user from a parsed body.
pub(crate) fn read_end_user(body: &Value) -> Option<String> {
    let named = |field: &str| body.get(field).and_then(Value::as_str).and_then(parse_end_user);
    named("user").or_else(|| named("safety_identifier")).or_else(|| body.get("metadata").and_then(of_metadata))
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
    let printable: String = name.chars().filter(|letter| !letter.is_control()).collect();
    let name: String = printable.trim().chars().take(MAX_CHARS).collect();
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
            assert_eq!(read_end_user(&body).as_deref(), expected, "{body}");
            let raw = |field: &str| body.get(field).map(|value| serde_json::value::to_raw_value(value).unwrap());
            let (user, safety_identifier, metadata) = (raw("user"), raw("safety_identifier"), raw("metadata"));
            let fields = EndUserFields {
                user: user.as_deref(),
                safety_identifier: safety_identifier.as_deref(),
                metadata: metadata.as_deref(),
            };
            assert_eq!(fields.read().as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn normalises_names() {
        assert_eq!(parse_end_user(" an\u{0}na\n").as_deref(), Some("anna"));
        assert_eq!(parse_end_user(&"ä".repeat(300)).map(|name| name.chars().count()), Some(256));
        assert_eq!(parse_end_user("\t"), None);
    }
}
