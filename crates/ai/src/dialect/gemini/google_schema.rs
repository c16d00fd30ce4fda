//! Converts Google's `Schema` objects, a variant of OpenAPI's, to JSON Schema.

use serde_json::{Map, Value, json};

/// Formats that JSON Schema doesn't have.
const GOOGLE_FORMATS: [&str; 5] = ["enum", "int32", "int64", "float", "double"];

/// Converts a schema. JSON Schema stays as it is.
pub(super) fn to_json_schema(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    let mut converted = Map::new();
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("type", kinds) => {
                if let Some(kinds) = lower_case(kinds) {
                    converted.insert(name.clone(), kinds);
                }
            }
            ("properties" | "$defs" | "defs" | "definitions", Value::Object(members)) => {
                let members = members.iter().map(|(name, member)| (name.clone(), to_json_schema(member)));
                converted.insert(name.clone(), Value::Object(members.collect()));
            }
            ("items" | "not" | "additionalProperties" | "additional_properties", inner) => {
                converted.insert(json_schema_name(name), to_json_schema(inner));
            }
            ("anyOf" | "any_of" | "oneOf" | "allOf" | "prefixItems" | "prefix_items", Value::Array(variants)) => {
                converted.insert(json_schema_name(name), variants.iter().map(to_json_schema).collect());
            }
            ("nullable" | "propertyOrdering" | "property_ordering" | "example", _) => {}
            ("format", Value::String(format)) if GOOGLE_FORMATS.contains(&format.as_str()) => {}
            // Google writes 64-bit integers as strings.
            (bound, Value::String(number)) if bound.starts_with("min") || bound.starts_with("max") => {
                let number = number.parse::<u64>().map_or_else(|_| value.clone(), Value::from);
                converted.insert(json_schema_name(bound), number);
            }
            _ => {
                converted.insert(json_schema_name(name), value.clone());
            }
        }
    }
    order_properties(fields, &mut converted);
    if fields.get("nullable") == Some(&Value::Bool(true)) {
        allow_null(&mut converted);
    }
    Value::Object(converted)
}

fn lower_case(kinds: &Value) -> Option<Value> {
    match kinds {
        Value::String(kind) if kind == "TYPE_UNSPECIFIED" => None,
        Value::String(kind) => Some(kind.to_ascii_lowercase().into()),
        Value::Array(kinds) => Some(kinds.iter().filter_map(lower_case).collect()),
        other => Some(other.clone()),
    }
}

/// Name of a keyword, which Google also accepts in snake case.
fn json_schema_name(name: &str) -> String {
    let known = match name {
        "any_of" => "anyOf",
        "prefix_items" => "prefixItems",
        "additional_properties" => "additionalProperties",
        "min_items" => "minItems",
        "max_items" => "maxItems",
        "min_length" => "minLength",
        "max_length" => "maxLength",
        "min_properties" => "minProperties",
        "max_properties" => "maxProperties",
        name => name,
    };
    known.to_owned()
}

/// Orders the properties as `propertyOrdering` says, because models answer in this order.
fn order_properties(fields: &Map<String, Value>, converted: &mut Map<String, Value>) {
    let order = fields.get("propertyOrdering").or_else(|| fields.get("property_ordering")).and_then(Value::as_array);
    let (Some(order), Some(Value::Object(properties))) = (order, converted.get_mut("properties")) else { return };
    let mut ordered = Map::new();
    for name in order.iter().filter_map(Value::as_str) {
        if let Some(property) = properties.shift_remove(name) {
            ordered.insert(name.to_owned(), property);
        }
    }
    ordered.append(properties);
    *properties = ordered;
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(variants)) = schema.get_mut("anyOf") {
        variants.push(json!({"type": "null"}));
    }
    if let Some(kind @ Value::String(_)) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.push(Value::Null);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_google_schemas_and_leaves_json_schemas() {
        let schema = json!({"type": "OBJECT", "nullable": true, "propertyOrdering": ["b", "a"], "properties": {
            "a": {"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}, "minItems": "1", "max_items": 3},
            "type": {"type": "STRING", "format": "enum", "enum": ["x"], "nullable": true, "example": "x"},
            "b": {"any_of": [{"type": "NUMBER"}, {"type": "STRING", "format": "date-time"}], "nullable": true}}});
        let converted = json!({"type": ["object", "null"], "properties": {
            "b": {"anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}, {"type": "null"}]},
            "a": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
            "type": {"type": ["string", "null"], "enum": ["x", null]}}});
        assert_eq!(to_json_schema(&schema).to_string(), converted.to_string());
        let own = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": ["string", "null"]}},
            "additionalProperties": false, "required": ["a"]});
        assert_eq!(to_json_schema(&own).to_string(), own.to_string());
    }
}
