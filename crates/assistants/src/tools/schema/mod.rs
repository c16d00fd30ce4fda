//! JSON Schema validator with fixed bounds on recursion and work.
//!
//! The schemas come from MCP servers that aren't trusted, so a schema must neither overflow the
//! stack nor occupy a thread for long. A part of a schema that exceeds the limits or is unsupported
//! or malformed accepts every value. That is safe, because the server checks the arguments again.

mod array;
mod key;
mod object;
mod pattern;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::{Map, Number, Value};

use pattern::{MAX_PATTERN_LEN, SIZE_CLASSES, SizeClass, compile};

/// Maximum number of reported faults.
const MAX_FAULTS: usize = 3;
/// Maximum length of a fault's sentence, in characters.
const MAX_FAULT_LEN: usize = 200;
/// Maximum length of a value within such a sentence, in characters.
const MAX_SHOWN_LEN: usize = 80;
/// Maximum nesting of the schemas applied to one value, including references.
const MAX_DEPTH: usize = 64;
/// Maximum work of one check: visited schemas and keywords, examined values, and the surcharges of long texts and patterns.
const MAX_STEPS: usize = 20_000;
/// Maximum number of steps of one search with a regular expression; texts that would need more are
/// not searched.
const MAX_SEARCH_STEPS: usize = 5_000;
/// Number of bytes of a text that are measured or compared per step.
const BYTES_PER_STEP: usize = 64;

/// Result of a check; `None` if the schema has a part that can't be judged.
type Verdict = Option<bool>;

/// Reason to end a check: the steps are used up, or enough faults are known.
struct Stop;

/// Faults of a value, each with its location as a JSON pointer. Empty if the schema accepts the
/// value or can't be judged.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    // Up to draft 7 of JSON Schema, `$ref` replaces the keywords beside it.
    let is_early_draft = schema.get("$schema").and_then(Value::as_str).is_some_and(|draft| draft.contains("/draft-0"));
    let mut checker =
        Checker { root: schema, is_early_draft, steps: MAX_STEPS, patterns: HashMap::new(), faults: Vec::new() };
    // The result isn't needed: even a check that was stopped has recorded only definite faults.
    let _: Result<Verdict, Stop> = checker.check(schema, Target { value, location: Some(&Location::Root), depth: 0 });
    checker.faults
}

/// Location of a value, linked to that of the value around it.
enum Location<'a> {
    Root,
    Property(&'a Location<'a>, &'a str),
    Item(&'a Location<'a>, usize),
}

impl Location<'_> {
    fn pointer(&self) -> String {
        match self {
            Location::Root => String::new(),
            Location::Property(parent, name) => {
                format!("{}/{}", parent.pointer(), name.replace('~', "~0").replace('/', "~1"))
            }
            Location::Item(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// A value to check.
#[derive(Clone, Copy)]
struct Target<'a> {
    value: &'a Value,
    /// Location of the value. `None` if faults are not recorded, because they only decide whether
    /// another schema applies (`not`, `anyOf`).
    location: Option<&'a Location<'a>>,
    /// Number of schemas that surround the current one.
    depth: usize,
}

impl<'a> Target<'a> {
    fn without_faults(self) -> Self {
        Self { location: None, ..self }
    }

    fn at(self, value: &'a Value, location: Option<&'a Location<'a>>) -> Self {
        Self { value, location, ..self }
    }

    fn describe_location(self) -> String {
        format_value(self.value)
    }
}

struct Checker<'s> {
    root: &'s Value,
    is_early_draft: bool,
    /// Number of steps that the check may still use.
    steps: usize,
    /// Compiled regular expressions; `None` for those that can't be used.
    patterns: HashMap<&'s str, Option<(Regex, &'static SizeClass)>>,
    faults: Vec<String>,
}

impl<'s> Checker<'s> {
    fn spend(&mut self, steps: usize) -> Result<(), Stop> {
        self.steps = self.steps.checked_sub(steps).ok_or(Stop)?;
        Ok(())
    }

    fn spend_text(&mut self, text: &str) -> Result<(), Stop> {
        self.spend(1 + text.len() / BYTES_PER_STEP)
    }

    /// Records a fault unless `is_valid`.
    fn require(&mut self, is_valid: bool, target: Target, sentence: impl FnOnce() -> String) -> Result<Verdict, Stop> {
        if let (false, Some(location)) = (is_valid, target.location) {
            let (place, sentence) = (location.pointer(), truncate(&sentence(), MAX_FAULT_LEN));
            self.faults.push(if place.is_empty() {
                sentence
            } else {
                format!("{}: {sentence}", truncate(&place, MAX_FAULT_LEN))
            });
            if self.faults.len() == MAX_FAULTS {
                return Err(Stop);
            }
        }
        Ok(Some(is_valid))
    }

    fn check(&mut self, schema: &'s Value, target: Target) -> Result<Verdict, Stop> {
        self.spend(1)?;
        let target = Target { depth: target.depth + 1, ..target };
        let keywords = match schema {
            _ if target.depth > MAX_DEPTH => return Ok(None),
            Value::Bool(is_valid) => {
                return self.require(*is_valid, target, || {
                    format!("False schema does not allow {}", target.describe_location())
                });
            }
            Value::Object(keywords) => keywords,
            _ => return Ok(None),
        };
        // References in a nested schema with an `$id` of its own are relative to it and not to the
        // root, so they can't be judged.
        let is_embedded = |id: &Value| target.depth > 1 && id.as_str().is_some_and(|id| !id.starts_with('#'));
        if keywords.get("$id").is_some_and(is_embedded) {
            return Ok(None);
        }
        if let (true, Some(reference)) = (self.is_early_draft, keywords.get("$ref")) {
            return self.reference(reference, target);
        }
        let mut verdict = Some(true);
        for (keyword, rule) in keywords {
            self.spend(1)?;
            verdict = combine(verdict, self.keyword(keyword, rule, keywords, target)?);
            if verdict == Some(false) && target.location.is_none() {
                break;
            }
        }
        Ok(verdict)
    }

    fn keyword(
        &mut self,
        keyword: &str,
        rule: &'s Value,
        schema: &'s Map<String, Value>,
        target: Target,
    ) -> Result<Verdict, Stop> {
        match keyword {
            "$ref" => self.reference(rule, target),
            "$dynamicRef" | "$recursiveRef" | "unevaluatedItems" | "unevaluatedProperties" => Ok(None),
            "type" => self.kind(rule, target),
            "const" => {
                let is_equal = self.key(rule)? == self.key(target.value)?;
                self.require(is_equal, target, || format!("{} was expected", format_value(rule)))
            }
            "enum" => self.variants(rule, target),
            "allOf" | "anyOf" | "oneOf" => self.combination(keyword, rule, target),
            "not" => {
                let Some(is_valid) = self.check(rule, target.without_faults())? else { return Ok(None) };
                self.require(!is_valid, target, || {
                    format!("{} is not allowed for {}", format_value(rule), target.describe_location())
                })
            }
            "if" => {
                let Some(is_valid) = self.check(rule, target.without_faults())? else { return Ok(None) };
                let branch = schema.get(if is_valid { "then" } else { "else" });
                branch.map_or(Ok(Some(true)), |branch| self.check(branch, target))
            }
            _ => match target.value {
                Value::Object(object) => self.object(keyword, rule, schema, object, target),
                Value::Array(items) => self.array(keyword, rule, schema, items, target),
                Value::String(text) => self.text(keyword, rule, text, target),
                Value::Number(number) => self.number(keyword, rule, schema, number, target),
                Value::Null | Value::Bool(_) => Ok(Some(true)),
            },
        }
    }

    /// Follows a reference within the schema.
    fn reference(&mut self, reference: &Value, target: Target) -> Result<Verdict, Stop> {
        let Some(fragment) = reference.as_str().and_then(|reference| reference.strip_prefix('#')) else {
            return Ok(None);
        };
        self.spend_text(fragment)?;
        let pointer = percent_decode_str(fragment).decode_utf8().ok();
        let schema = pointer.and_then(|pointer| self.root.pointer(&pointer));
        schema.map_or(Ok(None), |schema| self.check(schema, target))
    }

    fn kind(&mut self, rule: &Value, target: Target) -> Result<Verdict, Stop> {
        let kinds = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
        let mut is_valid = false;
        for kind in kinds {
            self.spend(1)?;
            is_valid |= match (kind.as_str(), target.value) {
                (Some("null"), value) => value.is_null(),
                (Some("boolean"), value) => value.is_boolean(),
                (Some("object"), value) => value.is_object(),
                (Some("array"), value) => value.is_array(),
                (Some("string"), value) => value.is_string(),
                (Some("number"), value) => value.is_number(),
                (Some("integer"), Value::Number(number)) => integer(number).is_some(),
                (Some("integer"), _) => false,
                _ => return Ok(None),
            };
        }
        self.require(is_valid, target, || {
            let word = if rule.is_array() { "types" } else { "type" };
            format!(
                "{} is not of {word} {}",
                target.describe_location(),
                list(kinds.iter().map(Value::to_string), ", ")
            )
        })
    }

    fn variants(&mut self, rule: &Value, target: Target) -> Result<Verdict, Stop> {
        let Some(variants) = rule.as_array() else { return Ok(None) };
        let key = self.key(target.value)?;
        for variant in variants {
            if self.key(variant)? == key {
                return Ok(Some(true));
            }
        }
        self.require(false, target, || {
            let mut named: Vec<String> = variants.iter().take(3).map(format_value).collect();
            if variants.len() > 3 {
                named[2] = format!("{} other candidates", variants.len() - 2);
            }
            let last = named.pop().unwrap_or_default();
            let before = list(named.into_iter(), ", ");
            let or = if before.is_empty() { "" } else { " or " };
            format!("{} is not one of {before}{or}{last}", target.describe_location())
        })
    }

    fn combination(&mut self, keyword: &str, rule: &'s Value, target: Target) -> Result<Verdict, Stop> {
        let Some(schemas) = rule.as_array() else { return Ok(None) };
        let is_all = keyword == "allOf";
        let (mut valid, mut unknown) = (0, 0);
        let mut all = Some(true);
        for schema in schemas {
            let verdict = self.check(schema, if is_all { target } else { target.without_faults() })?;
            valid += usize::from(verdict == Some(true));
            unknown += usize::from(verdict.is_none());
            all = combine(all, verdict);
            if valid == 1 && keyword == "anyOf" || valid == 2 && keyword == "oneOf" {
                break;
            }
        }
        match (keyword, valid) {
            _ if is_all => Ok(all),
            ("oneOf", 2..) => self.require(false, target, || {
                format!(
                    "{} is valid under more than one of the schemas listed in the 'oneOf' keyword",
                    target.describe_location()
                )
            }),
            ("anyOf", 1) => Ok(Some(true)),
            _ if unknown > 0 => Ok(None),
            _ => self.require(valid == 1, target, || {
                format!(
                    "{} is not valid under any of the schemas listed in the '{keyword}' keyword",
                    target.describe_location()
                )
            }),
        }
    }

    /// Searches a text for a regular expression.
    fn matches(&mut self, pattern: &'s str, text: &str) -> Result<Verdict, Stop> {
        self.spend(1)?;
        if pattern.len() > MAX_PATTERN_LEN {
            return Ok(None);
        }
        if !self.patterns.contains_key(pattern) {
            let mut compiled = None;
            for class in &SIZE_CLASSES {
                self.spend(class.compile_steps)?;
                compiled = compile(pattern, class).map(|regex| (regex, class));
                if compiled.is_some() {
                    break;
                }
            }
            self.patterns.insert(pattern, compiled);
        }
        let Some(Some((regex, class))) = self.patterns.get(pattern) else { return Ok(None) };
        let steps = text.len() * class.steps_per_byte;
        if steps > MAX_SEARCH_STEPS {
            return Ok(None);
        }
        self.steps = self.steps.checked_sub(steps).ok_or(Stop)?;
        Ok(Some(regex.is_match(text)))
    }
}

/// Combines the verdicts of two schemas that both apply.
fn combine(one: Verdict, other: Verdict) -> Verdict {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// Returns the number as an integer if it has no fraction; `1.0` is 1.
#[allow(clippy::cast_possible_truncation, reason = "it is in the range of i128")]
fn integer(number: &Number) -> Option<i128> {
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e30);
    number.as_i64().map(i128::from).or(number.as_u64().map(i128::from)).or_else(|| float().map(|float| float as i128))
}

fn list(mut parts: impl Iterator<Item = String>, separator: &str) -> String {
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |list, part| list + separator + &part)
}

fn unexpected_list(unexpected: Vec<String>) -> String {
    let verb = if unexpected.len() == 1 { "was" } else { "were" };
    format!("{} {verb} unexpected)", list(unexpected.into_iter(), ", "))
}

/// Formats a value as JSON for a sentence, truncated if it is long.
fn format_value(value: &Value) -> String {
    truncate(&value.to_string(), MAX_SHOWN_LEN)
}

fn truncate(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
