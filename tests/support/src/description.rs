//! API description, from the committed files.

use std::{fs, path::Path};

use serde_json::Value;

/// Returns the document, merged from the files in `openapi/`, which contain operations and
/// components by tag.
pub fn description() -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi");
    let mut document = Value::Null;
    for file in fs::read_dir(folder).expect("openapi/ exists") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("readable");
        merge(&mut document, serde_json::from_str(&text).expect("it is JSON"));
    }
    document
}

/// Merges another object into this one, recursively.
fn merge(into: &mut Value, part: Value) {
    match (into, part) {
        (Value::Object(into), Value::Object(part)) => {
            for (name, value) in part {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, part) => *into = part,
    }
}
