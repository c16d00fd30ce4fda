//! Compaction of the OpenAPI document: shares repeated parameters as components, inlines responses that are used once,
//! and drops keys that state a default.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

const RESPONSES: &str = "#/components/responses/";
const PARAMETERS: &str = "#/components/parameters/";
pub(crate) const SCHEMAS: &str = "#/components/schemas/";

/// Components of one kind, by name.
pub(crate) type Components = BTreeMap<String, Value>;

/// Compacts a document in place. Its meaning stays the same.
pub(crate) fn compact(document: &mut Value) {
    drop_defaults(document);
    inline_single_use_responses(document);
    share_parameters(document);
}

/// Removes the components of one kind from the document.
pub(crate) fn remove_components(document: &mut Value, kind: &str) -> Components {
    match document.pointer_mut(&format!("/components/{kind}")).map(Value::take) {
        Some(Value::Object(components)) => components.into_iter().collect(),
        _ => Components::new(),
    }
}

/// Sets the components of one kind.
pub(crate) fn set_components(document: &mut Value, kind: &str, components: Components) {
    let Some(all) = document.get_mut("components").and_then(Value::as_object_mut) else { return };
    if components.is_empty() {
        all.shift_remove(kind);
    } else {
        all.insert(kind.to_owned(), components.into_iter().collect::<Map<_, _>>().into());
    }
}

/// Names of the schemas that a part of the document refers to, directly or through other schemas.
pub(crate) fn referenced_schemas<'a>(part: &'a Value, schemas: &'a Components) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![part];
    while let Some(value) = open.pop() {
        open.extend(children(value));
        if let Some(name) = reference(value, SCHEMAS)
            && let Some(schema) = schemas.get(name)
            && found.insert(name.to_owned())
        {
            open.push(schema);
        }
    }
    found
}

/// Name of the component that a value refers to, if it is one of those below `prefix`.
fn reference<'a>(value: &'a Value, prefix: &str) -> Option<&'a str> {
    value.get("$ref")?.as_str()?.strip_prefix(prefix)
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// Drops keys that state nothing: `required: false`, the type beside an enumeration of strings, the
/// type of an `allOf` part that extends a reference, and the format of unsigned numbers, since
/// OpenAPI's integer formats are signed.
fn drop_defaults(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("required") == Some(&Value::Bool(false)) {
                fields.shift_remove("required");
            }
            if has_text(fields, "type", "string") && fields.get("enum").is_some_and(Value::is_array) {
                fields.shift_remove("type");
            }
            let is_integer = has_text(fields, "format", "int32") || has_text(fields, "format", "int64");
            if is_integer && fields.get("minimum").and_then(Value::as_u64) == Some(0) {
                fields.shift_remove("format");
            }
            if let Some(Value::Array(parts)) = fields.get_mut("allOf")
                && parts.iter().any(|part| part.get("$ref").is_some())
            {
                for part in parts.iter_mut().filter_map(Value::as_object_mut) {
                    if has_text(part, "type", "object") {
                        part.shift_remove("type");
                    }
                }
            }
            fields.values_mut().for_each(drop_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_defaults),
        _ => {}
    }
}

fn has_text(fields: &Map<String, Value>, name: &str, text: &str) -> bool {
    fields.get(name).and_then(Value::as_str) == Some(text)
}

/// Inlines each response that only one operation uses.
fn inline_single_use_responses(document: &mut Value) {
    let mut uses: HashMap<String, usize> = HashMap::new();
    let mut open = vec![&*document];
    while let Some(value) = open.pop() {
        open.extend(children(value));
        if let Some(name) = reference(value, RESPONSES) {
            *uses.entry(name.to_owned()).or_default() += 1;
        }
    }
    let mut components = remove_components(document, "responses");
    for response in responses(document) {
        let used_once = reference(response, RESPONSES).filter(|name| uses.get(*name) == Some(&1)).map(str::to_owned);
        if let Some(component) = used_once.and_then(|name| components.remove(&name)) {
            *response = component;
        }
    }
    set_components(document, "responses", components);
}

/// Replaces equal parameters by references to one component, if this makes the document smaller.
fn share_parameters(document: &mut Value) {
    let mut components = remove_components(document, "parameters");
    let mut uses: HashMap<String, usize> = HashMap::new();
    for parameter in parameters(document) {
        *uses.entry(parameter.to_string()).or_default() += 1;
    }
    let mut shared: HashMap<String, Value> = HashMap::new();
    for parameter in parameters(document) {
        let text = parameter.to_string();
        if let Some(reference) = shared.get(&text) {
            *parameter = reference.clone();
            continue;
        }
        // A parameter without a name is already a reference to a component.
        let Some(name) = parameter.get("name").and_then(Value::as_str) else { continue };
        let name = free_name(&components, name);
        let reference = json!({ "$ref": format!("{PARAMETERS}{name}") });
        let count = uses.get(&text).copied().unwrap_or_default();
        if count * text.len() > count * reference.to_string().len() + text.len() + name.len() {
            components.insert(name, std::mem::replace(parameter, reference.clone()));
            shared.insert(text, reference);
        }
    }
    set_components(document, "parameters", components);
}

/// Returns the name, with a number appended if another component has the same name.
fn free_name(components: &Components, name: &str) -> String {
    let mut free = name.to_owned();
    let mut number = 1;
    while components.contains_key(&free) {
        number += 1;
        free = format!("{name}.{number}");
    }
    free
}

/// Parameters of all operations.
fn parameters(document: &mut Value) -> Vec<&mut Value> {
    let operations = document.get_mut("paths").into_iter().flat_map(operations);
    operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut()).flatten().collect()
}

/// Responses of all operations.
fn responses(document: &mut Value) -> Vec<&mut Value> {
    let operations = document.get_mut("paths").into_iter().flat_map(operations);
    let lists = operations.filter_map(|operation| operation.get_mut("responses")?.as_object_mut());
    lists.flat_map(Map::values_mut).collect()
}

fn operations(paths: &mut Value) -> Vec<&mut Value> {
    let items = paths.as_object_mut().into_iter().flat_map(Map::values_mut);
    items.filter_map(Value::as_object_mut).flat_map(Map::values_mut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compacted(mut document: Value) -> Value {
        compact(&mut document);
        document
    }

    #[test]
    fn drops_keys_with_default_values() {
        let schemas = json!({ "schemas": {
            "Kind": { "type": "string", "enum": ["one"] },
            "Count": { "type": "integer", "format": "int64", "minimum": 0 },
            "Signed": { "type": "integer", "format": "int64" },
            "More": { "allOf": [{ "$ref": "#/components/schemas/Kind" }, { "type": "object", "properties": {} }] },
            "Both": { "allOf": [{ "type": "object", "required": ["a"] }] },
        } });
        let expected = json!({ "schemas": {
            "Kind": { "enum": ["one"] },
            "Count": { "type": "integer", "minimum": 0 },
            "Signed": { "type": "integer", "format": "int64" },
            "More": { "allOf": [{ "$ref": "#/components/schemas/Kind" }, { "properties": {} }] },
            "Both": { "allOf": [{ "type": "object", "required": ["a"] }] },
        } });
        assert_eq!(
            compacted(json!({ "paths": {}, "components": schemas })),
            json!({ "paths": {}, "components": expected })
        );
        let body = json!({ "paths": { "/a": { "post": { "requestBody": { "content": {}, "required": false } } } } });
        assert_eq!(compacted(body), json!({ "paths": { "/a": { "post": { "requestBody": { "content": {} } } } } }));
    }

    #[test]
    fn shares_repeated_parameters() {
        let parameter =
            |text: &str| json!({ "name": "to", "in": "query", "description": text, "schema": { "type": "string" } });
        let (long, other) = (parameter(&"x".repeat(200)), parameter(&"y".repeat(200)));
        let operation = |parameter: &Value| json!({ "get": { "parameters": [parameter] } });
        let document = json!({
            "paths": {
                "/a": operation(&long), "/b": operation(&other), "/c": operation(&long), "/d": operation(&other),
                "/e": operation(&parameter("once")),
            },
            "components": { "schemas": { "Model": { "properties": { "parameters": { "type": "string" } } } } },
        });
        let compacted = compacted(document.clone());
        let reference = |name: &str| json!([{ "$ref": format!("#/components/parameters/{name}") }]);
        for (path, name) in [("/a", "to"), ("/b", "to.2"), ("/c", "to"), ("/d", "to.2")] {
            assert_eq!(compacted["paths"][path]["get"]["parameters"], reference(name), "{path}");
        }
        assert_eq!(compacted["paths"]["/e"], document["paths"]["/e"]);
        assert_eq!(compacted["components"]["parameters"], json!({ "to": long, "to.2": other }));
        assert_eq!(compacted["components"]["schemas"], document["components"]["schemas"]);
    }

    #[test]
    fn inlines_single_use_responses() {
        let reference = |name: &str| json!({ "$ref": format!("{RESPONSES}{name}") });
        let (once, often) = (json!({ "description": "Once." }), json!({ "description": "Often." }));
        let compacted = compacted(json!({
            "paths": {
                "/a": { "get": { "responses": { "200": reference("Once"), "default": reference("often") } } },
                "/b": { "get": { "responses": { "default": reference("often") } } },
            },
            "components": { "responses": { "Once": once, "often": often } },
        }));
        let responses = &compacted["paths"]["/a"]["get"]["responses"];
        assert_eq!(responses, &json!({ "200": once, "default": reference("often") }));
        assert_eq!(compacted["components"]["responses"], json!({ "often": often }));
    }

    #[test]
    fn finds_transitively_mentioned_schemas() {
        let reference = |name: &str| json!({ "$ref": format!("{SCHEMAS}{name}") });
        let schemas = Components::from([
            ("A".to_owned(), json!({ "properties": { "b": reference("B") } })),
            ("B".to_owned(), json!({ "items": reference("A") })),
            ("C".to_owned(), reference("A")),
        ]);
        assert_eq!(referenced_schemas(&reference("A"), &schemas), BTreeSet::from(["A".to_owned(), "B".to_owned()]));
    }
}
