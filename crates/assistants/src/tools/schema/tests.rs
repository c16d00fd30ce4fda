use std::time::{Duration, Instant};

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::json;

use super::*;

/// Returns the faults that the crate `jsonschema` reports.
fn library_faults(schema: &Value, value: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    let fault = |error: jsonschema::ValidationError| {
        let place = error.instance_path().to_string();
        if place.is_empty() { error.to_string() } else { format!("{place}: {error}") }
    };
    validator.iter_errors(value).map(fault).collect()
}

#[test]
fn keywords_agree_with_jsonschema() {
    let early = "http://json-schema.org/draft-07/schema#";
    let draft4 = "http://json-schema.org/draft-04/schema#";
    for (schema, valid, invalid) in [
        (json!({ "type": "number" }), json!(1.5), json!("one")),
        (json!({ "type": "integer" }), json!(1.0), json!(1.5)),
        (json!({ "type": ["null", "string"] }), json!(null), json!(1)),
        (json!({ "enum": ["a", 1] }), json!(1.0), json!("b")),
        (json!({ "enum": [1] }), json!(1), json!("b")),
        (json!({ "enum": [1, 2, 3, 4, 5] }), json!(5), json!({ "a": [1] })),
        (json!({ "const": { "a": 1, "b": [2.0] } }), json!({ "b": [2], "a": 1.0 }), json!({ "a": 1 })),
        (json!({ "required": ["a"] }), json!({ "a": 1 }), json!({ "b": 1 })),
        (json!({ "properties": { "a/b~": { "type": "null" } } }), json!({ "c": 1 }), json!({ "a/b~": 1 })),
        (json!({ "patternProperties": { "^a": { "type": "null" } } }), json!({ "ba": 1 }), json!({ "ab": 1 })),
        (
            json!({ "properties": { "a": {} }, "patternProperties": { "^b": {} }, "additionalProperties": false }),
            json!({ "a": 1, "bc": 1 }),
            json!({ "c": 1, "d": 1, "a": 1 }),
        ),
        (json!({ "additionalProperties": { "type": "null" } }), json!({ "a": null }), json!({ "a": 1 })),
        (json!({ "propertyNames": { "maxLength": 1 } }), json!({ "a": 1 }), json!({ "ab": 1 })),
        (json!({ "minProperties": 1 }), json!({ "a": 1 }), json!({})),
        (json!({ "maxProperties": 2.0 }), json!({}), json!({ "a": 1, "b": 2, "c": 3 })),
        (json!({ "dependentRequired": { "a": ["b"] } }), json!({ "b": 1 }), json!({ "a": 1 })),
        (json!({ "dependentSchemas": { "a": { "maxProperties": 1 } } }), json!({ "a": 1 }), json!({ "a": 1, "b": 1 })),
        (json!({ "dependencies": { "a": ["b"] } }), json!({ "a": 1, "b": 1 }), json!({ "a": 1 })),
        (json!({ "items": { "type": "null" } }), json!([null]), json!([null, 1])),
        (
            json!({ "prefixItems": [{ "type": "null" }], "items": { "type": "string" } }),
            json!([null, "a"]),
            json!([null, 1]),
        ),
        (
            json!({ "$schema": early, "items": [{ "type": "null" }], "additionalItems": false }),
            json!([null]),
            json!([null, 1]),
        ),
        (json!({ "contains": { "type": "null" } }), json!([1, null]), json!([1])),
        (
            json!({ "contains": { "type": "null" }, "minContains": 2, "maxContains": 2 }),
            json!([null, null]),
            json!([null]),
        ),
        (json!({ "minItems": 2 }), json!([1, 2]), json!([1])),
        (json!({ "maxItems": 1 }), json!([1]), json!([1, 2])),
        (
            json!({ "uniqueItems": true }),
            json!([1, "1", [1], ["1"]]),
            json!([{ "a": 1, "b": 2 }, { "b": 2.0, "a": 1 }]),
        ),
        (json!({ "minimum": 1 }), json!(1), json!(0.5)),
        (json!({ "maximum": 1.5 }), json!(1.5), json!(2)),
        (json!({ "exclusiveMinimum": 1 }), json!(1.5), json!(1)),
        (json!({ "exclusiveMaximum": 1 }), json!(0), json!(1.0)),
        (json!({ "$schema": draft4, "minimum": 1, "exclusiveMinimum": true }), json!(2), json!(1)),
        (json!({ "multipleOf": 2 }), json!(4.0), json!(3)),
        (json!({ "multipleOf": 0.01 }), json!(0.07), json!(0.075)),
        (json!({ "minLength": 2 }), json!("ơơ"), json!("ơ")),
        (json!({ "maxLength": 1 }), json!("ơ"), json!("ab")),
        (json!({ "pattern": r"^\d+(?:-[\w[]+)?$" }), json!("12-a["), json!("٣")),
        (json!({ "anyOf": [{ "type": "null" }, { "type": "number" }] }), json!(1), json!("a")),
        (json!({ "oneOf": [{ "type": "number" }, { "minimum": 2 }] }), json!(1), json!(3)),
        (json!({ "oneOf": [{ "type": "number" }, { "type": "null" }] }), json!(1), json!("a")),
        (json!({ "allOf": [{ "type": "number" }, { "minimum": 2 }] }), json!(2), json!(1)),
        (json!({ "not": { "type": "null" } }), json!(1), json!(null)),
        (
            json!({ "if": { "type": "number" }, "then": { "minimum": 2 }, "else": { "type": "null" } }),
            json!(2),
            json!("a"),
        ),
        (json!({ "properties": { "a": false } }), json!({}), json!({ "a": 1 })),
        (
            json!({ "properties": { "a": { "$ref": "#" } }, "type": "object" }),
            json!({ "a": {} }),
            json!({ "a": { "a": 1 } }),
        ),
        (json!({ "$ref": "#/$defs/a~1%62~0", "$defs": { "a/b~": { "type": "null" } } }), json!(null), json!(1)),
        (
            json!({ "$schema": early, "$ref": "#/definitions/a", "type": "string", "definitions": { "a": { "type": "null" } } }),
            json!(null),
            json!("a"),
        ),
    ] {
        assert_eq!(faults(&schema, &valid), Vec::<String>::new(), "{schema} accepts {valid}");
        let found = faults(&schema, &invalid);
        assert!(!found.is_empty(), "{schema} refuses {invalid}");
        assert_eq!(found, library_faults(&schema, &invalid), "{schema} {invalid}");
        assert_eq!(library_faults(&schema, &valid), Vec::<String>::new(), "{schema} {valid}");
    }
}

#[test]
fn bounds_reported_faults() {
    let schema = json!({ "additionalProperties": { "type": "null" } });
    let value: Map<String, Value> = (0..9).map(|index| (index.to_string(), "ơ".repeat(500).into())).collect();
    let found = faults(&schema, &value.into());
    assert_eq!(found.len(), MAX_FAULTS);
    assert_eq!(found[0], format!("/0: \"{}… is not of type \"null\"", "ơ".repeat(MAX_SHOWN_LEN - 1)));
    let schema = json!({ "additionalProperties": false });
    let value: Map<String, Value> = (0..9).map(|index| (format!("{index}{}", "ơ".repeat(500)), json!(1))).collect();
    assert!(faults(&schema, &value.into()).iter().all(|fault| fault.chars().count() <= MAX_FAULT_LEN + 1));
}

#[test]
fn accepts_what_cannot_be_judged() {
    let long = "a".repeat(MAX_SEARCH_STEPS + 1);
    for schema in [
        json!({ "type": "nonsense" }),
        json!({ "type": 1, "enum": 1, "required": 1, "properties": 1, "minLength": "a", "pattern": 1, "allOf": 1, "format": "date" }),
        json!(1),
        json!({ "$ref": "https://example.org/schema.json" }),
        json!({ "$ref": "#anchor" }),
        json!({ "$ref": "#/$defs/none" }),
        json!({ "$ref": "#" }),
        json!({ "$dynamicRef": "#a" }),
        json!({ "pattern": "(" }),
        json!({ "pattern": r"^(?=b)" }),
        json!({ "pattern": r"^\p{Lu}" }),
        json!({ "pattern": "((b{100}){100}){100}" }),
        json!({ "pattern": "b" }),
        json!({ "allOf": [{ "$id": "https://example.org/", "$ref": "#/$defs/a", "$defs": { "a": true } }], "$defs": { "a": false } }),
    ] {
        let value = json!(long);
        assert_eq!(faults(&schema, &value), Vec::<String>::new(), "{schema}");
        for schema in
            [json!({ "not": &schema }), json!({ "not": { "not": &schema } }), json!({ "anyOf": [&schema, false] })]
        {
            // Schemas with a `#` reference are skipped: nested in another schema, the reference
            // would resolve against the new root.
            if !schema.to_string().contains("\"#\"") && !schema.to_string().contains("format") {
                assert_eq!(faults(&schema, &value), Vec::<String>::new(), "{schema}");
            }
        }
        let schema = json!({ "properties": { "a": schema, "b": { "type": "null" } } });
        assert_eq!(faults(&schema, &json!({ "a": long, "b": 1 })), ["/b: 1 is not of type \"null\""], "{schema}");
    }
}

#[test]
fn hostile_schemas_neither_overflow_the_stack_nor_hang() {
    let nested = |depth: usize| (0..depth).fold(json!({}), |value, _| json!({ "a": value }));
    let chain = |len: usize, link: fn(Value) -> Value, last: Value| {
        let reference = |index: usize| json!({ "$ref": format!("#/$defs/{index}") });
        let mut schemas: Map<String, Value> =
            (1..len).map(|index| ((index - 1).to_string(), link(reference(index)))).collect();
        schemas.insert((len - 1).to_string(), last);
        json!({ "$ref": "#/$defs/0", "$defs": schemas })
    };
    let many = |schema: fn(usize) -> Value, count: usize| Value::Array((0..count).map(schema).collect());
    let letters = "ab".repeat(600);
    let at = Instant::now();
    for (schema, value) in [
        (chain(1000, |next| next, json!({ "properties": { "a": { "$ref": "#/$defs/0" } } })), nested(120)),
        (chain(40, |next| json!({ "allOf": [next, next] }), json!({ "type": "object" })), nested(1)),
        (chain(40, |next| json!({ "not": { "anyOf": [next, next] } }), json!({ "required": ["x"] })), nested(1)),
        (json!({ "properties": { "a": { "$ref": "#" } } }), nested(120)),
        (
            json!({ "allOf": many(|_| json!({ "const": 1 }), 1000), "not": { "uniqueItems": true } }),
            many(|index| json!(index), 10_000),
        ),
        (json!({ "allOf": many(|_| json!({ "not": { "pattern": "[ab]*a[ab]{250}c" } }), 500) }), json!(letters)),
        (json!({ "anyOf": many(|index| json!({ "pattern": format!("(.?){{99}}{index}") }), 500) }), json!(letters)),
    ] {
        let checked = std::thread::Builder::new().stack_size(1024 * 1024).spawn(move || faults(&schema, &value).len());
        assert!(checked.unwrap().join().unwrap() <= MAX_FAULTS);
    }
    assert!(at.elapsed() < Duration::from_secs(2), "{:?}", at.elapsed());
}

fn values() -> impl Strategy<Value = Value> {
    let leaves = select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(1.0),
        json!(2.5),
        json!(-3),
        json!(""),
        json!("a"),
        json!("ab"),
        json!("ơ1"),
    ]);
    leaves.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((select(vec!["a", "b", "ab", "c"]), inner), 0..4)
                .prop_map(|properties| properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

fn schemas(is_early: bool) -> impl Strategy<Value = Value> {
    let leaf = |keyword: &'static str, rules: Vec<Value>| select(rules).prop_map(move |rule| (keyword, rule)).boxed();
    let size = || vec![json!(0), json!(1), json!(2), json!(2.0)];
    let number = || vec![json!(0), json!(1), json!(1.5), json!(-3)];
    let names = || vec![json!([]), json!(["a"]), json!(["a", "b"]), json!(["c"])];
    let kinds = ["null", "boolean", "number", "integer", "string", "array", "object"];
    let mut leaves: Vec<BoxedStrategy<(&'static str, Value)>> = vec![
        leaf(
            "type",
            kinds
                .iter()
                .map(|kind| json!(kind))
                .chain([json!(["string", "integer"]), json!(["object", "array"])])
                .collect(),
        ),
        vec(values(), 1..4).prop_map(|variants| ("enum", Value::Array(variants))).boxed(),
        values().prop_map(|value| ("const", value)).boxed(),
        leaf("required", names()),
        leaf("uniqueItems", vec![json!(true), json!(false)]),
        leaf("multipleOf", vec![json!(1), json!(2), json!(0.5), json!(1.5)]),
        leaf(
            "pattern",
            vec![json!("^a"), json!("b$"), json!(r"\d"), json!(r"^\W*$"), json!("^[^a]+$"), json!(r"\bab?\b")],
        ),
    ];
    for keyword in ["minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength"] {
        leaves.push(leaf(keyword, size()));
    }
    for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
        leaves.push(leaf(keyword, number()));
    }
    if !is_early {
        leaves.push(leaf("minContains", size()));
        leaves.push(leaf("maxContains", size()));
        leaves.push(leaf("dependentRequired", names().into_iter().map(|names| json!({ "b": names })).collect()));
    }
    let leaves = proptest::strategy::Union::new(leaves).boxed();
    let schema = |keywords: BoxedStrategy<(&'static str, Value)>| {
        vec(keywords, 0..4).prop_map(|keywords| {
            Value::Object(keywords.into_iter().map(|(keyword, rule)| (keyword.to_owned(), rule)).collect())
        })
    };
    let bottom = prop_oneof![8 => schema(leaves.clone()), 1 => any::<bool>().prop_map(Value::Bool)];
    bottom.prop_recursive(3, 24, 4, move |inner| {
        let one = |keyword: &'static str| inner.clone().prop_map(move |rule| (keyword, rule)).boxed();
        let list = |keyword: &'static str| {
            vec(inner.clone(), 1..3).prop_map(move |rules| (keyword, Value::Array(rules))).boxed()
        };
        let map = |keyword: &'static str, names: &'static [&'static str]| {
            vec((select(names), inner.clone()), 0..3)
                .prop_map(move |rules| {
                    (keyword, rules.into_iter().map(|(name, rule)| (name.to_owned(), rule)).collect())
                })
                .boxed()
        };
        let mut keywords = vec![
            map("properties", &["a", "b", "c"]),
            map("patternProperties", &["^a", "b$", "."]),
            map("dependencies", &["a", "b"]),
            list("allOf"),
            list("anyOf"),
            list("oneOf"),
            list("items").prop_filter("a list is of early drafts", move |_| is_early).boxed(),
        ];
        if !is_early {
            keywords.pop();
            keywords.push(list("prefixItems"));
            keywords.push(map("dependentSchemas", &["a", "b"]));
        }
        for keyword in [
            "additionalProperties",
            "propertyNames",
            "items",
            "additionalItems",
            "contains",
            "not",
            "if",
            "then",
            "else",
        ] {
            keywords.push(one(keyword));
        }
        let keywords = proptest::strategy::Union::new(keywords).boxed();
        schema(prop_oneof![1 => leaves.clone(), 3 => keywords].boxed())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn verdicts_agree_with_jsonschema(
        (is_early, mut schema, definition) in any::<bool>().prop_flat_map(|is_early| (Just(is_early), schemas(is_early), option::of(schemas(is_early)))),
        value in values(),
    ) {
        if let (Some(definition), Value::Object(keywords)) = (definition, &mut schema) {
            keywords.insert("definitions".to_owned(), json!({ "a": definition }));
            keywords.insert("anyOf".to_owned(), json!([{ "$ref": "#/definitions/a" }, { "properties": { "a": { "$ref": "#" } }, "required": ["a"] }]));
        }
        if let (true, Value::Object(keywords)) = (is_early, &mut schema) {
            keywords.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        }
        let found = faults(&schema, &value);
        let library = library_faults(&schema, &value);
        prop_assert_eq!(found.is_empty(), library.is_empty(), "{} {}: {:?} {:?}", schema, value, found, library);
    }
}
