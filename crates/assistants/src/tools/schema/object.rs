//! Keywords for objects.

use serde_json::{Map, Value};

use super::{
    Checker, Location, MAX_SHOWN_LEN, Stop, Target, Verdict, combine, format_value, truncate, unexpected_list,
};

impl<'s> Checker<'s> {
    pub(super) fn object(
        &mut self,
        keyword: &str,
        rule: &'s Value,
        schema: &'s Map<String, Value>,
        object: &Map<String, Value>,
        target: Target,
    ) -> Result<Verdict, Stop> {
        let mut verdict = Some(true);
        match (keyword, rule) {
            ("required", names) => return self.required(names, object, target),
            ("minProperties" | "maxProperties", limit) => return self.size(keyword, limit, object.len(), target),
            ("additionalProperties", _) => return self.additional_properties(rule, schema, object, target),
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    self.spend_text(name)?;
                    if let Some(value) = object.get(name) {
                        verdict = combine(verdict, self.property(property, name, value, target)?);
                    }
                }
            }
            ("patternProperties", Value::Object(patterns)) => {
                for (pattern, property) in patterns {
                    for (name, value) in object {
                        let found = match self.matches(pattern, name)? {
                            Some(false) => continue,
                            Some(true) => self.property(property, name, value, target)?,
                            None => None,
                        };
                        verdict = combine(verdict, found);
                    }
                }
            }
            ("propertyNames", _) => {
                for name in object.keys() {
                    self.spend_text(name)?;
                    let name = Value::String(name.clone());
                    verdict = combine(verdict, self.check(rule, Target { value: &name, ..target })?);
                }
            }
            ("dependentRequired" | "dependentSchemas" | "dependencies", Value::Object(dependencies)) => {
                for (name, dependency) in dependencies {
                    self.spend_text(name)?;
                    if object.contains_key(name) {
                        let found = match dependency {
                            Value::Array(_) => self.required(dependency, object, target)?,
                            _ => self.check(dependency, target)?,
                        };
                        verdict = combine(verdict, found);
                    }
                }
            }
            ("properties" | "patternProperties" | "dependentRequired" | "dependentSchemas" | "dependencies", _) => {
                verdict = None;
            }
            _ => {}
        }
        Ok(verdict)
    }

    fn property(&mut self, schema: &'s Value, name: &str, value: &Value, target: Target) -> Result<Verdict, Stop> {
        let location = target.location.map(|parent| Location::Property(parent, name));
        self.check(schema, target.at(value, location.as_ref()))
    }

    fn required(&mut self, names: &Value, object: &Map<String, Value>, target: Target) -> Result<Verdict, Stop> {
        let Some(names) = names.as_array() else { return Ok(None) };
        let mut verdict = Some(true);
        for name in names {
            self.spend_text(name.as_str().unwrap_or_default())?;
            let found = match name.as_str() {
                Some(key) => self.require(object.contains_key(key), target, || {
                    format!("{} is a required property", format_value(name))
                })?,
                None => None,
            };
            verdict = combine(verdict, found);
        }
        Ok(verdict)
    }

    fn additional_properties(
        &mut self,
        rule: &'s Value,
        schema: &'s Map<String, Value>,
        object: &Map<String, Value>,
        target: Target,
    ) -> Result<Verdict, Stop> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let mut verdict = Some(true);
        let mut unexpected = Vec::new();
        for (name, value) in object {
            self.spend_text(name)?;
            let mut is_named = Some(properties.is_some_and(|properties| properties.contains_key(name)));
            for pattern in patterns.into_iter().flat_map(Map::keys) {
                if is_named == Some(true) {
                    break;
                }
                is_named =
                    self.matches(pattern, name)?.and_then(|is_match| is_named.map(|is_named| is_named || is_match));
            }
            match is_named {
                Some(true) => {}
                Some(false) if rule == &Value::Bool(false) => {
                    unexpected.push(format!("'{}'", truncate(name, MAX_SHOWN_LEN)));
                }
                Some(false) => verdict = combine(verdict, self.property(rule, name, value, target)?),
                None => verdict = combine(verdict, None),
            }
        }
        if unexpected.is_empty() {
            return Ok(verdict);
        }
        self.require(false, target, || {
            format!("Additional properties are not allowed ({}", unexpected_list(unexpected))
        })
    }
}
