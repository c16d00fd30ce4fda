//! Strict mode of tools, in which Claude's arguments conform to the schema.
//!
//! Anthropic rejects the whole request if the schemas are unsupported or too complex, so strict mode
//! is requested only for schemas within the documented limits:
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>.

use std::collections::HashSet;

use serde_json::Value;

use crate::{params, schema};

/// Maximum number of strict tools in a request.
const MAX_TOOLS: usize = 20;
/// Maximum number of union types in all strict tools of a request.
const MAX_UNIONS: usize = 16;
/// Maximum number of references that are followed from one to the next.
const MAX_REFERENCE_DEPTH: usize = 16;
/// Models before Claude 4.5, which have no strict mode.
const OLDER_MODELS: [&str; 8] = [
    "claude-2",
    "claude-3",
    "claude-instant",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-2025",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2025",
];

/// Number of strict tools and union types that a request may still have.
pub(super) struct StrictBudget {
    tools: usize,
    unions: usize,
}

impl StrictBudget {
    /// Creates the budget of a request; empty if the model has no strict mode.
    pub fn new(model: &str) -> Self {
        let plain = params::canonical_name(model);
        let is_known = plain.starts_with("claude-") && !OLDER_MODELS.iter().any(|name| plain.starts_with(name));
        Self { tools: if is_known { MAX_TOOLS } else { 0 }, unions: MAX_UNIONS }
    }

    /// Reserves a strict tool with these parameters. False if strict mode isn't possible.
    pub fn reserve(&mut self, parameters: &Value) -> bool {
        let unions = count_unions(parameters);
        let mut references = References { root: parameters, open: vec!["#"], resolved: HashSet::new() };
        if self.tools == 0 || unions > self.unions || !schema::is_strict(parameters) || !references.resolve(parameters)
        {
            return false;
        }
        self.tools -= 1;
        self.unions -= unions;
        true
    }
}

fn count_unions(schema: &Value) -> usize {
    match schema {
        Value::Object(fields) => {
            let is_union = fields.get("anyOf").is_some_and(Value::is_array)
                || fields.get("type").and_then(Value::as_array).is_some_and(|types| types.len() > 1);
            usize::from(is_union) + fields.values().map(count_unions).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(count_unions).sum(),
        _ => 0,
    }
}

/// References of a schema. Anthropic supports neither recursive nor external ones.
struct References<'a> {
    root: &'a Value,
    /// References that are being followed.
    open: Vec<&'a str>,
    resolved: HashSet<&'a str>,
}

impl<'a> References<'a> {
    /// True if all references within a part of the schema can be resolved.
    fn resolve(&mut self, part: &'a Value) -> bool {
        match part {
            Value::Object(fields) => {
                let reference = fields.get("$ref").and_then(Value::as_str);
                reference.is_none_or(|reference| self.follow(reference))
                    && fields.values().all(|part| self.resolve(part))
            }
            Value::Array(items) => items.iter().all(|part| self.resolve(part)),
            _ => true,
        }
    }

    fn follow(&mut self, reference: &'a str) -> bool {
        if self.resolved.contains(reference) {
            return true;
        }
        let target = reference.strip_prefix('#').and_then(|path| self.root.pointer(path));
        let is_open = self.open.contains(&reference) || self.open.len() > MAX_REFERENCE_DEPTH;
        let (Some(target), false) = (target, is_open) else { return false };
        self.open.push(reference);
        let is_resolved = self.resolve(target);
        self.open.pop();
        self.resolved.insert(reference);
        is_resolved
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MODEL: &str = "claude-sonnet-4-6";

    fn closed(properties: &Value) -> Value {
        let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    #[test]
    fn admits_supported_schemas_only() {
        let text = json!({"type": "string"});
        let with_definitions = |properties: Value, definitions: Value| {
            let mut schema = closed(&properties);
            schema["$defs"] = definitions;
            schema
        };
        let reference = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
        for (name, parameters, is_admitted) in [
            ("closed", closed(&json!({"city": text})), true),
            ("open", json!({"type": "object", "properties": {"city": text}, "required": ["city"]}), false),
            ("open inside", closed(&json!({"in": {"type": "object", "properties": {}}})), false),
            (
                "definitions",
                with_definitions(
                    json!({"a": reference("A"), "b": reference("B")}),
                    json!({"A": closed(&json!({"b": reference("B")})), "B": text}),
                ),
                true,
            ),
            (
                "recursive definitions",
                with_definitions(
                    json!({"a": reference("A")}),
                    json!({"A": closed(&json!({"b": reference("B")})), "B": closed(&json!({"a": reference("A")}))}),
                ),
                false,
            ),
            ("recursive root", closed(&json!({"next": {"$ref": "#"}})), false),
            ("external reference", closed(&json!({"a": {"$ref": "https://e.org/schema"}})), false),
            ("missing definition", closed(&json!({"a": reference("A")})), false),
        ] {
            assert_eq!(StrictBudget::new(MODEL).reserve(&parameters), is_admitted, "{name}");
        }
    }

    #[test]
    fn limits_tools_and_unions_of_a_request() {
        let plain = closed(&json!({"city": {"type": "string"}}));
        let mut budget = StrictBudget::new(MODEL);
        let admitted = (0..MAX_TOOLS + 5).filter(|_| budget.reserve(&plain)).count();
        assert_eq!(admitted, MAX_TOOLS);
        let nullable = closed(&json!({
            "a": {"type": ["string", "null"]},
            "b": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }));
        let mut budget = StrictBudget::new(MODEL);
        let admitted = (0..MAX_TOOLS).filter(|_| budget.reserve(&nullable)).count();
        assert_eq!((admitted, budget.reserve(&plain)), (MAX_UNIONS / 2, true));
    }

    #[test]
    fn knows_the_models_with_strict_mode() {
        let plain = closed(&json!({"city": {"type": "string"}}));
        for (model, is_admitted) in [
            ("claude-sonnet-4-5-20250929", true),
            ("claude-opus-4.8", true),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", true),
            ("claude-sonnet-4-20250514", false),
            ("claude-3-7-sonnet-latest", false),
            ("kimi-k2", false),
        ] {
            assert_eq!(StrictBudget::new(model).reserve(&plain), is_admitted, "{model}");
        }
    }
}
