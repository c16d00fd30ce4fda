//! Schemas of frames, from the committed API description.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::description;

const SCHEMAS: &str = "/components/schemas";

/// Schemas of the frames that the server sends. A test process sees only a few types of frames, so
/// a validator is built when it is first used.
struct ServerFrames {
    schemas: Value,
    /// References to the schemas, by type of frame.
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
    /// Returns the validator for a type of frame; `None` if there is no such type.
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

/// Makes a schema forbid undeclared fields. The description allows them for the sake of later
/// versions, but this version must declare everything that it sends.
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

/// Panics unless the frame matches the description.
pub(crate) fn check_frame(frame: &Value) {
    let kind = frame["type"].as_str().unwrap_or_default();
    // The tests of upgrades send frames of a future release.
    if kind.starts_with("newer.") {
        return;
    }
    let schema = SERVER_FRAMES.validator(kind).unwrap_or_else(|| panic!("the type of {frame} is not documented"));
    let wrong: Vec<String> =
        schema.iter_errors(frame).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{frame} does not match the description: {wrong:#?}");
}
