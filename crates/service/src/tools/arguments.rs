//! Arguments that somebody has changed: they have to be what the tool takes.

use std::time::Duration;

use appcore::AppError;
use serde_json::{Map, Value};
use tokio::time::timeout;

/// The longest that somebody may write, in bytes of JSON.
const MAX_BYTES: usize = 64 * 1024;
/// How long looking at them may take: a schema comes from outside.
const PATIENCE: Duration = Duration::from_secs(2);
/// Faults that are told of.
const MAX_FAULTS: usize = 3;
/// The longest description of one, in characters.
const MAX_FAULT: usize = 200;

/// The arguments as they are stored, where the schema takes them.
pub(super) async fn checked(arguments: Map<String, Value>, schema: Value) -> Result<String, AppError> {
    let arguments = Value::Object(arguments);
    let text = arguments.to_string();
    if text.len() > MAX_BYTES {
        return Err(AppError::field("arguments", "too_long", "Use 64 KiB or less."));
    }
    if text.contains("\\u0000") {
        return Err(AppError::field("arguments", "invalid", "Leave out the character NUL."));
    }
    let looking = tokio::task::spawn_blocking(move || faults(&schema, &arguments));
    let faults = match timeout(PATIENCE, looking).await {
        Ok(faults) => faults.map_err(AppError::internal)?,
        Err(_) => vec!["they could not be checked in time".to_owned()],
    };
    if faults.is_empty() {
        return Ok(text);
    }
    let sentence = format!("The tool doesn't take these arguments: {}.", faults.join("; "));
    Err(AppError::field("arguments", "invalid", sentence))
}

/// What is wrong with arguments; nothing where the schema itself can't be read, which is left to the tool.
fn faults(schema: &Value, arguments: &Value) -> Vec<String> {
    let Ok(validator) = jsonschema::validator_for(schema) else { return Vec::new() };
    let fault = |error: jsonschema::ValidationError<'_>| -> String {
        let place = error.instance_path().to_string();
        let said: String = error.to_string().chars().take(MAX_FAULT).collect();
        if place.is_empty() { said } else { format!("{place}: {said}") }
    };
    validator.iter_errors(arguments).take(MAX_FAULTS).map(fault).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn arguments_are_what_the_tool_takes() {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "number" } }, "required": ["a"] });
        let check = async |arguments: Value, schema: &Value| {
            let Value::Object(arguments) = arguments else { panic!("no object") };
            checked(arguments, schema.clone()).await
        };
        assert_eq!(check(json!({ "a": 1.5 }), &schema).await.unwrap(), r#"{"a":1.5}"#);
        let odd = json!({ "type": "nonsense" });
        assert!(check(json!({ "b": 1 }), &odd).await.is_ok(), "a schema that is none");
        let elsewhere = json!({ "$ref": "https://example.org/schema.json" });
        assert!(check(json!({}), &elsewhere).await.is_ok(), "nothing is fetched");
        for (wrong, schema) in [
            (json!({}), &schema),
            (json!({ "a": "one" }), &schema),
            (json!({ "a": 1, "b": "x".repeat(70_000) }), &schema),
            (json!({ "a": 1, "b": "\0" }), &schema),
        ] {
            assert!(matches!(check(wrong, schema).await, Err(AppError::Invalid(_))));
        }
    }
}
