//! JSON Schemas, as client libraries generate them and providers accept them.

use serde_json::{Value, json};

use super::{KINDS, read, translated};
use crate::{ApiStyle, ProviderKind, schema};

/// A tool with these parameters as sent to a provider.
fn asked(kind: ProviderKind, parameters: &Value) -> Value {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": parameters, "strict": true}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": [tool]});
    let written = translated(ApiStyle::Chat, kind, &body);
    match kind.name() {
        "openai" => written["tools"][0]["function"].clone(),
        "gemini" => written["tools"][0]["functionDeclarations"][0].clone(),
        _ => written["tools"][0].clone(),
    }
}

fn parameters(kind: ProviderKind, parameters: &Value) -> Value {
    let field = match kind.name() {
        "openai" => "parameters",
        "gemini" => "parametersJsonSchema",
        _ => "input_schema",
    };
    asked(kind, parameters).get(field).cloned().unwrap_or_default()
}

#[test]
fn writes_parameters_as_object_schemas() {
    let none = json!({"type": "object", "properties": {}});
    for schema in
        [json!({}), json!({"type": "object"}), json!({"type": ["object", "null"], "properties": null}), json!(true)]
    {
        for kind in [ProviderKind::OPENAI, ProviderKind::ANTHROPIC] {
            assert_eq!(parameters(kind, &schema), none, "{kind:?} {schema}");
        }
        assert_eq!(parameters(ProviderKind::GEMINI, &schema), Value::Null, "{schema}");
    }
    let any = json!({"type": "object", "additionalProperties": {"type": "string"}});
    assert_eq!(parameters(ProviderKind::GEMINI, &any), any);
}

#[test]
fn merges_top_level_compositions() {
    let city = || json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let cases = [
        (
            json!({"$ref": "#/$defs/In", "$defs": {"In": city()}}),
            json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "$defs": {"In": city()}}),
        ),
        (
            json!({"anyOf": [city(), {"type": "object", "properties": {"zip": {"type": "string"}}}, {"type": "null"}]}),
            json!({"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}}),
        ),
        (
            json!({"description": "Where.", "oneOf": [
                {"properties": {"kind": {"const": "a"}, "at": {"type": "integer"}}, "required": ["at", "kind"]},
                {"properties": {"kind": {"const": "b"}, "at": {"type": "integer"}}, "required": ["kind"]}]}),
            json!({"type": "object", "description": "Where.", "required": ["kind"], "properties": {
                "kind": {"anyOf": [{"const": "a"}, {"const": "b"}]}, "at": {"type": "integer"}}}),
        ),
        (
            json!({"type": "object", "properties": {"a": {}}, "required": ["a"],
                "allOf": [city(), {"properties": {"b": {}}, "required": ["b", "a"], "additionalProperties": false}]}),
            json!({"type": "object", "properties": {"a": {}, "city": {"type": "string"}, "b": {}},
                "required": ["a", "city", "b"], "additionalProperties": false}),
        ),
        (json!({"not": {"required": ["a"]}, "enum": [{}]}), json!({"type": "object", "properties": {}})),
        (json!({"$ref": "#"}), json!({"type": "object", "properties": {}})),
        (json!({"$ref": "https://e.org/x"}), json!({"type": "object", "properties": {}})),
    ];
    for (schema, expected) in cases {
        assert_eq!(schema::parameters(&schema).schema, expected, "{schema}");
        for kind in KINDS {
            let written = parameters(kind, &schema);
            let is_empty = expected["properties"] == json!({});
            assert_eq!(
                written["properties"],
                if is_empty && kind == ProviderKind::GEMINI { Value::Null } else { expected["properties"].clone() }
            );
        }
    }
}

#[test]
fn disables_strict_mode_for_merged_choices() {
    let strict = |schema: &Value| asked(ProviderKind::OPENAI, schema)["strict"].clone();
    let object = json!({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": false});
    assert_eq!(strict(&object), true);
    assert_eq!(strict(&json!({"$ref": "#/$defs/In", "$defs": {"In": object}})), true);
    assert_eq!(strict(&json!({"anyOf": [object, {"type": "object", "properties": {"b": {}}}]})), Value::Null);
}

#[test]
fn disables_strict_mode_that_only_anthropic_supports() {
    let schema = |required: Value, inner: Value| json!({"type": "object", "properties": {"a": {"type": "string"}, "in": inner}, "required": required, "additionalProperties": false});
    let text = || json!({"type": ["string", "null"]});
    let closed = schema(json!(["a", "in"]), text());
    let list = |items: &Value| schema(json!(["a", "in"]), json!({"type": "array", "items": items}));
    for (schema, strict) in [
        (closed.clone(), json!(true)),
        (list(&closed), json!(true)),
        (schema(json!(["a"]), text()), Value::Null),
        (schema(json!(["a", "in"]), json!({"type": "object", "properties": {}})), Value::Null),
        (list(&schema(json!(["a"]), text())), Value::Null),
        (schema(json!(["a", "in"]), json!({"anyOf": [text(), schema(json!([]), text())]})), Value::Null),
    ] {
        assert_eq!(asked(ProviderKind::OPENAI, &schema)["strict"], strict, "{schema}");
        let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}}});
        let format = translated(ApiStyle::Messages, ProviderKind::OPENAI, &body)["response_format"].clone();
        assert_eq!(format["json_schema"]["strict"], strict, "{schema}");
        assert_eq!(format["json_schema"]["schema"], schema);
    }
}

#[test]
fn reads_the_older_name_of_the_answer_format() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "schema": schema});
    let sent = |name: &str, value: Value| {
        let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
        body[name] = value;
        translated(ApiStyle::Messages, ProviderKind::OPENAI, &body)["response_format"].clone()
    };
    let current = sent("output_config", json!({"format": format}));
    assert_eq!(current["json_schema"]["schema"], schema);
    assert_eq!(sent("output_format", format), current);
    assert_eq!(sent("output_format", Value::Null), Value::Null);
}

#[test]
fn requests_strict_mode_from_claude() {
    let sent = |strict: Value, additional: Value| {
        let schema = json!({"type": "object", "properties": {"days": {"type": "integer", "minimum": 1}}, "required": ["days"], "additionalProperties": additional});
        let tool = json!({"type": "function", "function": {"name": "f", "parameters": schema, "strict": strict}});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": [tool]});
        let request = read(ApiStyle::Chat, &body).unwrap();
        let written = super::anthropic::provider_format::write(&request, "claude-sonnet-4-6").unwrap();
        let tool = written["tools"][0].clone();
        (tool["strict"].clone(), tool["input_schema"]["properties"]["days"].clone())
    };
    let own = json!({"type": "integer", "minimum": 1});
    // Constraints that strict mode rejects are told in the description.
    let told = json!({"type": "integer", "description": "minimum: 1"});
    assert_eq!(sent(json!(true), json!(false)), (json!(true), told));
    assert_eq!(sent(json!(true), json!(true)), (Value::Null, own.clone()));
    assert_eq!(sent(json!(false), json!(false)), (Value::Null, own.clone()));
    assert_eq!(sent(Value::Null, json!(false)), (Value::Null, own));
}

#[test]
fn adds_missing_items_to_arrays() {
    let odd = json!({"type": "object", "required": null, "properties": {"tags": {"type": "array"}, "rows": {"type": "array", "items": {"type": ["array", "null"], "items": null}}, "more": {"type": "object", "properties": [], "required": null}}});
    let expected = json!({"type": "object", "properties": {"tags": {"type": "array", "items": {}}, "rows": {"type": "array", "items": {"type": ["array", "null"], "items": {}}}, "more": {"type": "object"}}});
    for kind in KINDS {
        assert_eq!(parameters(kind, &odd), expected, "{kind:?}");
    }
}

#[test]
fn limits_recursive_schemas() {
    let part = json!({"$ref": "#"});
    let schema = json!({"anyOf": vec![part; 1_000], "allOf": [{"$ref": "#"}, {"$ref": "#"}], "properties": {"a": {"type": "string"}}});
    assert_eq!(schema::parameters(&schema).schema["properties"], json!({"a": {"type": "string"}}));
}

#[test]
fn closes_objects_and_describes_constraints_for_claude() {
    let cases = [
        (
            json!({"type": "integer", "minimum": 1, "maximum": 10, "multipleOf": 2}),
            json!({"type": "integer", "told": ["minimum: 1", "maximum: 10", "multipleOf: 2"]}),
        ),
        (
            json!({"type": "string", "description": "A text.", "minLength": 1, "maxLength": 280, "pattern": "^[a-z]+$", "format": "date"}),
            json!({"type": "string", "pattern": "^[a-z]+$", "format": "date", "told": ["A text.\n", "minLength: 1", "maxLength: 280"]}),
        ),
        (
            json!({"type": "string", "pattern": "^(?=a)\\bx", "format": "binary", "examples": ["x"]}),
            json!({"type": "string", "told": ["pattern: ^(?=a)\\bx", "format: binary"]}),
        ),
        (
            json!({"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 2, "maxItems": 5, "uniqueItems": true}),
            json!({"type": "array", "items": {"type": "number", "description": "exclusiveMinimum: 0"}, "told": ["minItems: 2", "maxItems: 5", "uniqueItems: true"]}),
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        ),
        (
            json!({"type": "object", "properties": {"minimum": {"type": "string"}}, "additionalProperties": true, "minProperties": 1}),
            json!({"type": "object", "properties": {"minimum": {"type": "string"}}, "additionalProperties": false, "told": ["minProperties: 1"]}),
        ),
        (
            json!({"type": ["object", "null"], "additionalProperties": {"type": "string"}}),
            json!({"type": ["object", "null"], "additionalProperties": false, "told": ["additionalProperties: {\"type\":\"string\"}"]}),
        ),
        (
            json!({"oneOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"$ref": "#/$defs/N", "description": "n"}]}),
            json!({"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}, {"$ref": "#/$defs/N"}]}),
        ),
        (json!({"allOf": [{"$ref": "#/$defs/M"}], "description": "m", "default": null}), json!({"$ref": "#/$defs/M"})),
        (json!({"type": "string", "nullable": true}), json!({"type": ["string", "null"]})),
        (
            json!({"enum": [{"minimum": 1}], "default": {"maximum": 2}}),
            json!({"enum": [{"minimum": 1}], "default": {"maximum": 2}}),
        ),
    ];
    for (inner, mut expected) in cases {
        let schema = json!({"$schema": "x", "type": "object", "properties": {"a": inner}, "$defs": {"N": inner}});
        let mut written = schema::for_claude(&schema);
        assert_eq!((&written["additionalProperties"], written.get("$schema")), (&json!(false), None));
        assert_eq!(written["properties"]["a"], written["$defs"]["N"]);
        let mut written = written["properties"]["a"].take();
        if let Some(told) = expected.as_object_mut().unwrap().remove("told") {
            let description = written.as_object_mut().unwrap().remove("description").unwrap_or_default();
            for words in told.as_array().unwrap() {
                assert!(description.as_str().unwrap().contains(words.as_str().unwrap()), "{words}: {description}");
            }
        }
        assert_eq!(written, expected, "{inner}");
    }
}

#[test]
fn strips_unknown_required_names_and_empty_enum_values_for_gemini() {
    let schema = json!({"type": "object", "required": ["a", "gone"], "properties": {
        "a": {"type": "string", "enum": ["", "x"]}, "b": {"type": "string", "enum": [""]},
        "c": {"type": "object", "anyOf": [{"required": ["gone"]}, {"required": []}], "properties": {"required": {"type": "array", "items": {}}}}}});
    let expected = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "string", "enum": ["x"]}, "b": {"type": "string"},
        "c": {"type": "object", "anyOf": [{}, {"required": []}], "properties": {"required": {"type": "array", "items": {}}}}}});
    assert_eq!(parameters(ProviderKind::GEMINI, &schema), expected);
    assert_eq!(schema::for_gemini(&schema), expected);
}

#[test]
fn instructs_older_gemini_models_to_write_json_with_tools() {
    let schema = json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}});
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let asked = |model: &str, tools: &Value, format: Value| {
        let body = json!({"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}],
            "tools": tools, "response_format": format});
        let base = ProviderKind::GEMINI.dialect().public_url().parse().unwrap();
        let request = read(ApiStyle::Chat, &body).unwrap();
        let written = ProviderKind::GEMINI.dialect().write(&request, model, &base).unwrap();
        let text = written["systemInstruction"]["parts"][0]["text"].as_str().unwrap().to_owned();
        (text, written["generationConfig"]["responseMimeType"].clone())
    };
    let by_schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    for format in [json!({"type": "json_object"}), by_schema.clone()] {
        let (text, kind) = asked("gemini-2.5-flash", &tools, format.clone());
        assert!(text.starts_with("Be brief.\n\n") && text.contains("JSON object"), "{text}");
        assert_eq!(text.contains(&schema.to_string()), format == by_schema, "{text}");
        assert_eq!(kind, Value::Null);
        for (model, tools) in
            [("gemini-2.5-flash", &json!([])), ("gemini-3-pro", &tools), ("gemini-flash-latest", &tools)]
        {
            let expected = ("Be brief.".to_owned(), json!("application/json"));
            assert_eq!(asked(model, tools, format.clone()), expected, "{model}");
        }
    }
    assert_eq!(asked("gemini-2.5-flash", &tools, json!({"type": "text"})), ("Be brief.".to_owned(), Value::Null));
}

#[test]
fn moves_definitions_for_gemini() {
    let schema = json!({
        "$schema": "x", "type": "object", "definitions": {"N": {"$schema": "x", "type": "string"}},
        "properties": {"$schema": {"type": "string"}, "n": {"$ref": "#/definitions/N", "description": "n"}},
    });
    let expected = json!({
        "type": "object", "$defs": {"N": {"type": "string"}},
        "properties": {"$schema": {"type": "string"}, "n": {"$ref": "#/$defs/N"}},
    });
    assert_eq!(schema::for_gemini(&schema), expected);
    assert_eq!(parameters(ProviderKind::GEMINI, &schema), expected);
}

/// Models answer in schema order, so the order decides whether reasons come before the verdict.
#[test]
fn keeps_the_order_of_keys() {
    const KEYS: [&str; 3] = ["reasoning", "verdict", "amount"];
    let text = r#"{"type":"object","properties":{"reasoning":{"type":"string"},"verdict":{"type":"string"},"amount":{"type":"number"}},"required":["reasoning","verdict","amount"],"additionalProperties":false}"#;
    let schema: Value = serde_json::from_str(text).unwrap();
    let composed = json!({"$ref": "#/$defs/Answer", "$defs": {"Answer": schema}});
    let in_order = |written: &Value| {
        let text = written.to_string();
        let places: Vec<_> = KEYS.iter().map(|key| text.find(&format!("\"{key}\":{{"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    };
    for kind in super::KINDS {
        in_order(&parameters(kind, &schema));
        in_order(&parameters(kind, &composed));
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}});
        in_order(&super::translated(crate::ApiStyle::Chat, kind, &body));
    }
    let call = r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"reasoning\":{},\"verdict\":{},\"amount\":{}}"}}]}]}"#;
    let call: Value = serde_json::from_str(call).unwrap();
    for kind in [crate::ProviderKind::GEMINI, crate::ProviderKind::ANTHROPIC] {
        in_order(&super::translated(crate::ApiStyle::Chat, kind, &call));
    }
}
