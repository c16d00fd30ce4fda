//! Normalises JSON Schemas for each provider. Clients send whatever their libraries generate, and
//! each provider rejects the whole request for a different unsupported keyword.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

/// Maximum depth of references and choices at the top of a schema, and maximum number of their
/// parts.
const MAX_MERGE_DEPTH: usize = 5;
const MAX_MERGED_PARTS: usize = 64;
/// Keywords that stand at the top of a schema in place of an object's own fields. OpenAI and
/// Anthropic reject them there, and Gemini ignores parameters described so.
const COMPOSITION_KEYWORDS: [&str; 6] = ["$ref", "anyOf", "oneOf", "allOf", "not", "enum"];
/// Fields that an object takes from its parts besides properties.
const INHERITED_FIELDS: [&str; 3] = ["title", "description", "additionalProperties"];
/// Keywords that Anthropic enforces.
const ENFORCED_KEYWORDS: [&str; 11] =
    ["type", "title", "description", "properties", "required", "items", "anyOf", "allOf", "enum", "const", "default"];
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];
/// Maximum length of a constraint that is added to the description, in bytes.
const MAX_DESCRIBED_CONSTRAINT: usize = 200;

/// Parameters of a tool.
#[derive(Debug, PartialEq)]
pub(crate) struct Parameters {
    /// Object schema with its properties.
    pub schema: Value,
    /// True if several schemas were merged. Then not every property is required, which strict mode
    /// demands.
    pub is_merged: bool,
}

/// Normalises a tool's parameters for all providers: an object schema with its properties at the
/// top.
pub(crate) fn parameters(schema: &Value) -> Parameters {
    let fields = schema.as_object();
    if fields.is_some_and(|fields| COMPOSITION_KEYWORDS.iter().any(|name| fields.contains_key(*name))) {
        let mut merging = Merging { root: schema, remaining_merges: MAX_MERGED_PARTS, has_merged: false };
        let mut schema = merging.read(schema, 0).unwrap_or_default().write();
        repair_for_openai(&mut schema);
        return Parameters { schema, is_merged: merging.has_merged };
    }
    let mut fields = fields.cloned().unwrap_or_default();
    fields.insert("type".to_owned(), "object".into());
    if !fields.get("properties").is_some_and(Value::is_object) {
        fields.insert("properties".to_owned(), json!({}));
    }
    let mut schema = Value::Object(fields);
    repair_for_openai(&mut schema);
    Parameters { schema, is_merged: false }
}

/// An object schema being merged.
#[derive(Default)]
struct Object<'a> {
    /// Properties in order, each with its alternative schemas.
    properties: Vec<(&'a str, Vec<&'a Value>)>,
    places: HashMap<&'a str, usize>,
    required: Vec<&'a str>,
    rest: Vec<(&'a str, &'a Value)>,
}

struct Merging<'a> {
    root: &'a Value,
    /// Number of parts that may still be merged.
    remaining_merges: usize,
    has_merged: bool,
}

impl<'a> Merging<'a> {
    fn read(&mut self, schema: &'a Value, depth: usize) -> Option<Object<'a>> {
        let fields = schema.as_object()?;
        self.remaining_merges = self.remaining_merges.checked_sub(1)?;
        let mut object = Object::default();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    properties.iter().for_each(|(name, value)| object.add(name, value));
                }
                ("required", Value::Array(names)) => object.require(names.iter().filter_map(Value::as_str)),
                ("type" | "properties" | "required", _) => {}
                (name, _) if COMPOSITION_KEYWORDS.contains(&name) => {}
                (name, value) => object.rest.push((name, value)),
            }
        }
        if depth == MAX_MERGE_DEPTH {
            return Some(object);
        }
        let reference = fields.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        let target = reference.and_then(|path| self.root.pointer(path));
        let all = list(fields, "allOf");
        self.has_merged |= !all.is_empty();
        for part in target.into_iter().chain(all) {
            if let Some(part) = self.read(part, depth + 1) {
                object.merge_all(&part);
            }
        }
        for name in ["anyOf", "oneOf"] {
            let choice = list(fields, name);
            self.has_merged |= !choice.is_empty();
            let choice = choice.iter().filter(|part| is_of_type(part, "object").unwrap_or(true));
            let parts: Vec<Object<'a>> = choice.filter_map(|part| self.read(part, depth + 1)).collect();
            object.merge_any(&parts);
        }
        Some(object)
    }
}

impl<'a> Object<'a> {
    fn add(&mut self, name: &'a str, value: &'a Value) {
        let place = *self.places.entry(name).or_insert(self.properties.len());
        if place == self.properties.len() {
            self.properties.push((name, Vec::new()));
        }
        let known = &mut self.properties[place].1;
        if !known.iter().any(|one| std::ptr::eq(*one, value) || *one == value) {
            known.push(value);
        }
    }

    fn require(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let mut known: HashSet<&str> = self.required.iter().copied().collect();
        self.required.extend(names.into_iter().filter(|name| known.insert(*name)));
    }

    fn add_properties(&mut self, part: &Object<'a>) {
        for (name, values) in &part.properties {
            for &value in values {
                self.add(name, value);
            }
        }
    }

    /// Merges a part that applies in addition: one of an `allOf`, or the target of a reference.
    fn merge_all(&mut self, part: &Object<'a>) {
        self.add_properties(part);
        self.require(part.required.iter().copied());
        for (name, value) in &part.rest {
            if INHERITED_FIELDS.contains(name) && !self.rest.iter().any(|(known, _)| known == name) {
                self.rest.push((*name, *value));
            }
        }
    }

    /// Merges parts of which only one applies, as in `anyOf`: only properties required by all of
    /// them are required.
    fn merge_any(&mut self, parts: &[Object<'a>]) {
        let Some((first, others)) = parts.split_first() else { return };
        parts.iter().for_each(|part| self.add_properties(part));
        let mut required: HashSet<&str> = first.required.iter().copied().collect();
        for part in others {
            let here: HashSet<&str> = part.required.iter().copied().collect();
            required.retain(|name| here.contains(name));
        }
        self.require(first.required.iter().copied().filter(|name| required.contains(name)));
    }

    fn write(self) -> Value {
        let property = |values: &[&Value]| match values {
            [only] => (*only).clone(),
            several => json!({ "anyOf": several }),
        };
        let properties: Map<String, Value> =
            self.properties.iter().map(|(name, values)| ((*name).to_owned(), property(values))).collect();
        let mut fields = Map::new();
        fields.insert("type".to_owned(), "object".into());
        fields.insert("properties".to_owned(), properties.into());
        if !self.required.is_empty() {
            fields.insert("required".to_owned(), json!(self.required));
        }
        fields.extend(self.rest.into_iter().map(|(name, value)| (name.to_owned(), value.clone())));
        fields.into()
    }
}

fn list<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    fields.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// True if the schema allows this type; `None` if it has no type.
fn is_of_type(schema: &Value, name: &str) -> Option<bool> {
    match schema.get("type")? {
        Value::String(only) => Some(only == name),
        Value::Array(several) => Some(several.iter().any(|one| one == name)),
        _ => None,
    }
}

/// Repairs the schema of a tool that a provider rejects. True if something changes.
pub(crate) fn repair_tool_schema(schema: &mut Value) -> bool {
    let before = schema.clone();
    repair_for_openai(schema);
    if let Some(fields) = schema.as_object_mut() {
        fields.entry("type").or_insert_with(|| "object".into());
        if fields["type"] == "object" {
            fields.entry("properties").or_insert_with(|| json!({}));
        }
    } else {
        *schema = json!({"type": "object", "properties": {}});
    }
    *schema != before
}

/// True if validators of all providers can read the pattern: no lookaround, Unicode classes and
/// backreferences.
fn is_portable(pattern: &str) -> bool {
    let has = |marks: [&str; 5]| marks.iter().any(|mark| pattern.contains(mark));
    let refers_back = |pair: &[u8]| matches!(pair, [b'\\', b'1'..=b'9']);
    !has(["(?=", "(?!", "(?<", r"\p", r"\P"]) && !pattern.as_bytes().windows(2).any(refers_back)
}

/// Removes or repairs constructs that OpenAI rejects anywhere: arrays without items, empty fields,
/// and patterns that it can't read.
fn repair_for_openai(schema: &mut Value) {
    let is_list = is_of_type(schema, "array") == Some(true);
    let Value::Object(fields) = schema else { return };
    // Some clients send null for absent keywords, and PHP sends an empty list for empty properties.
    fields.retain(|name, value| match name.as_str() {
        "required" | "items" | "type" | "enum" => !value.is_null(),
        "properties" => value.is_object(),
        "pattern" => value.as_str().is_some_and(is_portable),
        _ => true,
    });
    if is_list && !fields.contains_key("items") && !fields.contains_key("prefixItems") {
        fields.insert("items".to_owned(), json!({}));
    }
    each_within(fields, repair_for_openai);
}

/// True if OpenAI accepts the schema in strict mode: every object is closed and requires all its
/// properties. Anthropic doesn't demand the latter.
pub(crate) fn is_strict(schema: &Value) -> bool {
    let Some(fields) = schema.as_object() else { return true };
    if ["allOf", "oneOf", "not", "if", "patternProperties"].iter().any(|name| fields.contains_key(*name)) {
        return false;
    }
    let named = |name: &str| fields.get(name).and_then(Value::as_object).into_iter().flatten();
    let is_object = is_of_type(schema, "object").unwrap_or(fields.contains_key("properties"));
    let required: HashSet<&str> = list(fields, "required").iter().filter_map(Value::as_str).collect();
    let is_closed = fields.get("additionalProperties").is_some_and(|others| *others == false);
    if is_object && !(is_closed && named("properties").all(|(name, _)| required.contains(name.as_str()))) {
        return false;
    }
    let within = ["properties", "$defs", "definitions"].into_iter().flat_map(named).map(|(_, schema)| schema);
    within.chain(list(fields, "anyOf")).chain(fields.get("items")).all(is_strict)
}

/// Answer schema for Anthropic: every object is closed, and constraints that aren't enforced are
/// added to the description.
pub(crate) fn for_claude(schema: &Value) -> Value {
    let mut schema = schema.clone();
    adapt_for_claude(&mut schema);
    schema
}

fn adapt_for_claude(schema: &mut Value) {
    unwrap_single_reference(schema);
    let is_object = is_of_type(schema, "object").unwrap_or(schema.get("properties").is_some());
    let Value::Object(fields) = schema else { return };
    let is_reference = fields.contains_key("$ref");
    let (mut kept, mut told, mut is_nullable) = (Map::new(), Vec::new(), false);
    for (name, value) in std::mem::take(fields) {
        match name.as_str() {
            "$ref" | "$defs" | "definitions" => _ = kept.insert(name, value),
            // Other keywords are dropped, because none may stand beside a reference.
            _ if is_reference => {}
            "oneOf" => _ = kept.entry("anyOf").or_insert(value),
            "additionalProperties" if value.is_boolean() => {}
            _ if is_enforced(&name, &value) => _ = kept.insert(name, value),
            "nullable" if value == true => is_nullable = true,
            "examples" | "example" | "nullable" | "readOnly" | "writeOnly" | "deprecated" => {}
            _ if name.starts_with('$') => {}
            _ => {
                let bound = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                told.extend((bound.len() <= MAX_DESCRIBED_CONSTRAINT).then(|| format!("{name}: {bound}")));
            }
        }
    }
    // OpenAPI's `nullable` is expressed by the additional type `null`.
    if is_nullable && let Some(Value::String(kind)) = kept.get("type") {
        let kinds = json!([kind, "null"]);
        kept.insert("type".to_owned(), kinds);
    }
    if is_object && !is_reference {
        kept.insert("additionalProperties".to_owned(), false.into());
    }
    if !told.is_empty() {
        let told = told.join(", ");
        let before = kept.get("description").and_then(Value::as_str).filter(|text| !text.is_empty());
        let description = before.map_or_else(|| told.clone(), |before| format!("{before}\n{told}"));
        kept.insert("description".to_owned(), description.into());
    }
    each_within(&mut kept, adapt_for_claude);
    *fields = kept;
}

/// Replaces an `allOf` with a single reference, which older libraries generate for a reference with
/// a description; Anthropic rejects references within `allOf`.
fn unwrap_single_reference(schema: &mut Value) {
    let Some(fields) = schema.as_object() else { return };
    let [only] = list(fields, "allOf") else { return };
    let has_more = ["properties", "$defs", "definitions"].iter().any(|name| fields.contains_key(*name));
    if only.get("$ref").is_some() && !has_more {
        *schema = only.clone();
    }
}

/// True if Anthropic enforces the keyword with this value.
fn is_enforced(name: &str, value: &Value) -> bool {
    match name {
        "format" => value.as_str().is_some_and(|format| FORMATS.contains(&format)),
        "minItems" => matches!(value.as_u64(), Some(0 | 1)),
        // Anthropic rejects lookaround, backreferences and word boundaries.
        "pattern" => value.as_str().is_some_and(|pattern| {
            let is_refused =
                |pair: &[u8]| matches!(pair, b"(?" | b"\\b" | b"\\B") || matches!(pair, [b'\\', b'1'..=b'9']);
            !pattern.as_bytes().windows(2).any(is_refused)
        }),
        name => ENFORCED_KEYWORDS.contains(&name),
    }
}

/// Schema for Gemini: without `$schema`, with definitions in `$defs`, nothing beside a reference,
/// `required` limited to existing properties, and no empty strings in `enum`.
pub(crate) fn for_gemini(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(fields) = schema.as_object_mut().filter(|fields| !fields.contains_key("$defs"))
        && let Some(definitions) = fields.shift_remove("definitions")
    {
        fields.insert("$defs".to_owned(), definitions);
    }
    adapt_for_gemini(&mut schema);
    schema
}

fn adapt_for_gemini(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let is_reference = fields.get("$ref").is_some_and(Value::is_string);
    fields.retain(|name, _| name != "$schema" && (!is_reference || name.starts_with('$')));
    if let Some(Value::String(reference)) = fields.get_mut("$ref")
        && let Some(name) = reference.strip_prefix("#/definitions/")
    {
        *reference = format!("#/$defs/{name}");
    }
    let known: HashSet<String> = fields
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    filter_list(fields, "required", |name| name.as_str().is_some_and(|name| known.contains(name)));
    filter_list(fields, "enum", |value| value != "");
    each_within(fields, adapt_for_gemini);
}

/// Filters a list, and removes it if nothing is left.
fn filter_list(fields: &mut Map<String, Value>, name: &str, is_kept: impl Fn(&Value) -> bool) {
    let Some(Value::Array(values)) = fields.get_mut(name) else { return };
    let before = values.len();
    values.retain(is_kept);
    if before > 0 && values.is_empty() {
        fields.shift_remove(name);
    }
}

/// Applies a change to each directly nested schema. Data (`enum`, `default`, …) is not touched.
fn each_within(fields: &mut Map<String, Value>, change: fn(&mut Value)) {
    for (name, value) in fields.iter_mut() {
        match (name.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(schemas),
            ) => schemas.values_mut().for_each(change),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(change);
            }
            (
                "items"
                | "additionalProperties"
                | "propertyNames"
                | "contains"
                | "not"
                | "if"
                | "then"
                | "else"
                | "unevaluatedProperties"
                | "unevaluatedItems",
                schema,
            ) => change(schema),
            _ => {}
        }
    }
}
