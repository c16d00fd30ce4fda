//! Keywords for arrays.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Checker, Location, Stop, Target, Verdict, combine, format_value, unexpected_list};

impl<'s> Checker<'s> {
    pub(super) fn array(
        &mut self,
        keyword: &str,
        rule: &'s Value,
        schema: &'s Map<String, Value>,
        items: &[Value],
        target: Target,
    ) -> Result<Verdict, Stop> {
        match (keyword, rule) {
            ("minItems" | "maxItems", limit) => self.size(keyword, limit, items.len(), target),
            ("prefixItems" | "items", Value::Array(schemas)) => {
                let mut verdict = Some(true);
                for (index, (item, schema)) in items.iter().zip(schemas).enumerate() {
                    verdict = combine(verdict, self.item(schema, index, item, target)?);
                }
                Ok(verdict)
            }
            ("items", _) => {
                let prefix = schema.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
                self.items(rule, prefix, items, target)
            }
            ("additionalItems", _) => match schema.get("items") {
                Some(Value::Array(schemas)) => self.items(rule, schemas.len(), items, target),
                _ => Ok(Some(true)),
            },
            ("contains", _) => self.contains(rule, schema, items, target),
            ("uniqueItems", Value::Bool(true)) => {
                let mut keys = HashSet::new();
                for item in items {
                    if !keys.insert(self.key(item)?) {
                        return self.require(false, target, || {
                            format!("{} has non-unique elements", target.describe_location())
                        });
                    }
                }
                Ok(Some(true))
            }
            ("prefixItems", _) => Ok(None),
            _ => Ok(Some(true)),
        }
    }

    fn item(&mut self, schema: &'s Value, index: usize, value: &Value, target: Target) -> Result<Verdict, Stop> {
        let location = target.location.map(|parent| Location::Item(parent, index));
        self.check(schema, target.at(value, location.as_ref()))
    }

    /// Checks the items after the first `skipped` ones against a schema.
    fn items(&mut self, rule: &'s Value, skipped: usize, items: &[Value], target: Target) -> Result<Verdict, Stop> {
        let rest = items.get(skipped..).unwrap_or_default();
        if rule == &Value::Bool(false) && skipped > 0 && !rest.is_empty() {
            return self.require(false, target, || {
                format!(
                    "Additional items are not allowed ({}",
                    unexpected_list(rest.iter().map(format_value).collect())
                )
            });
        }
        let mut verdict = Some(true);
        for (index, item) in items.iter().enumerate().skip(skipped) {
            verdict = combine(verdict, self.item(rule, index, item, target)?);
        }
        Ok(verdict)
    }

    fn contains(
        &mut self,
        rule: &'s Value,
        schema: &Map<String, Value>,
        items: &[Value],
        target: Target,
    ) -> Result<Verdict, Stop> {
        let limit = |keyword: &str, default: f64| schema.get(keyword).map_or(Some(default), Value::as_f64);
        let (Some(min), Some(max)) = (limit("minContains", 1.0), limit("maxContains", f64::INFINITY)) else {
            return Ok(None);
        };
        let (mut valid, mut unknown) = (0, 0);
        for item in items {
            match self.check(rule, target.at(item, None))? {
                Some(is_valid) => valid += u32::from(is_valid),
                None => unknown += 1,
            }
        }
        let is_valid = |count: u32| min <= f64::from(count) && f64::from(count) <= max;
        if unknown > 0 && (valid..=valid + unknown).any(is_valid) {
            return Ok(None);
        }
        self.require(is_valid(valid), target, || {
            format!("None of {} are valid under the given schema", target.describe_location())
        })
    }
}
