//! Frame schemas from the committed API description.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::description;

const SCHEMAS: &str = "/components/schemas";

/// Schemas of server frames. Each test process sees few frame types, so validators are built on first use.
struct ServerFrames {
    schemas: Value,
    /// Schema references by frame type.
    references: HashMap<String, String>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

static SERVER_FRAMES: LazyLock<ServerFrames> = LazyLock::new(|| {
    let mut document = description();
    let mut schemas = document.pointer_mut(SCHEMAS).expect("it has schemas").take();
    forbid_other_fields(&mut schemas);
    let frames = schemas["ServerFrame"]["oneOf"].as_array().expect("it has the server's frames");
    let references = frames
        .iter()
        .map(|frame| {
            let reference = frame["$ref"].as_str().expect("a reference");
            let name = reference.trim_start_matches("#/components/schemas/");
            let kind = schemas[name]["properties"]["type"]["enum"][0].as_str().expect("a frame has a type");
            (kind.to_owned(), reference.to_owned())
        })
        .collect();
    ServerFrames { schemas, references, validators: Mutex::default() }
});

impl ServerFrames {
    /// Returns `None` if there are no frames of this type.
    fn validator(&self, kind: &str) -> Option<Arc<Validator>> {
        let reference = self.references.get(kind)?;
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let build = || {
            let schema = json!({ "$ref": reference, "components": { "schemas": self.schemas } });
            Arc::new(jsonschema::validator_for(&schema).expect("a schema"))
        };
        Some(Arc::clone(validators.entry(kind.to_owned()).or_insert_with(build)))
    }
}

/// Forbids undeclared fields. The description allows them for later versions, but this version must declare all it
/// sends.
fn forbid_other_fields(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(forbid_other_fields);
            if fields.get("type").is_some_and(|kind| kind == "object") && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_other_fields),
        _ => {}
    }
}

/// Panics unless the server's frame matches the description.
pub(crate) fn check_frame(frame: &Value) {
    let kind = frame["type"].as_str().unwrap_or_default();
    // Frames of a future release in the upgrade tests.
    if kind.starts_with("newer.") {
        return;
    }
    let schema = SERVER_FRAMES.validator(kind).unwrap_or_else(|| panic!("the type of {frame} is not documented"));
    let wrong: Vec<String> =
        schema.iter_errors(frame).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{frame} does not match the description: {wrong:#?}");
}
