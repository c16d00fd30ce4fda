//! Checks tool arguments that a person has edited.

use appcore::AppError;
use serde_json::{Map, Value};

use super::schema::faults;

/// Maximum size of the arguments, in bytes of JSON.
const MAX_BYTES: usize = 64 * 1024;

/// Serialises the arguments for storage. Returns an error if the schema of the tool rejects them.
pub(super) fn validate(arguments: Map<String, Value>, schema: &Value) -> Result<String, AppError> {
    let arguments = Value::Object(arguments);
    let text = arguments.to_string();
    if text.len() > MAX_BYTES {
        return Err(AppError::field("arguments", "too_long", "Use 64 KiB or less."));
    }
    if text.contains("\\u0000") {
        return Err(AppError::field("arguments", "invalid", "Remove the NUL character."));
    }
    let faults = faults(schema, &arguments);
    if faults.is_empty() {
        return Ok(text);
    }
    let sentence = format!("The tool doesn't accept these arguments: {}.", faults.join("; "));
    Err(AppError::field("arguments", "invalid", sentence))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn validates_arguments_by_schema() {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "number" } }, "required": ["a"] });
        let check = |arguments: Value, schema: &Value| {
            let Value::Object(arguments) = arguments else { panic!("not an object") };
            validate(arguments, schema)
        };
        assert_eq!(check(json!({ "a": 1.5 }), &schema).unwrap(), r#"{"a":1.5}"#);
        let odd = json!({ "type": "nonsense" });
        assert!(check(json!({ "b": 1 }), &odd).is_ok(), "an invalid schema accepts everything");
        let elsewhere = json!({ "$ref": "https://example.org/schema.json" });
        assert!(check(json!({}), &elsewhere).is_ok(), "external references are not fetched");
        for (wrong, schema) in [
            (json!({}), &schema),
            (json!({ "a": "one" }), &schema),
            (json!({ "a": 1, "b": "x".repeat(70_000) }), &schema),
            (json!({ "a": 1, "b": "\0" }), &schema),
        ] {
            assert!(matches!(check(wrong, schema), Err(AppError::Invalid(_))));
        }
    }
}
