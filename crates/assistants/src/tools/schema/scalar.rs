//! Keywords for texts and numbers, and limits of sizes.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::{Checker, MAX_SHOWN_LEN, Stop, Target, Verdict, integer, truncate};

impl<'s> Checker<'s> {
    pub(super) fn text(&mut self, keyword: &str, rule: &'s Value, text: &str, target: Target) -> Result<Verdict, Stop> {
        match (keyword, rule) {
            ("minLength" | "maxLength", limit) => {
                self.spend_text(text)?;
                self.size(keyword, limit, text.chars().count(), target)
            }
            ("pattern", Value::String(pattern)) => match self.matches(pattern, text)? {
                Some(is_match) => self.require(is_match, target, || {
                    format!("{} does not match \"{}\"", target.describe_location(), truncate(pattern, MAX_SHOWN_LEN))
                }),
                None => Ok(None),
            },
            ("pattern", _) => Ok(None),
            _ => Ok(Some(true)),
        }
    }

    pub(super) fn number(
        &mut self,
        keyword: &str,
        rule: &Value,
        schema: &Map<String, Value>,
        number: &Number,
        target: Target,
    ) -> Result<Verdict, Stop> {
        let exclusive = match (keyword, rule) {
            // In draft 4 the keyword is a boolean that modifies `minimum` and `maximum`.
            ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(_)) => return Ok(Some(true)),
            ("minimum", _) => schema.get("exclusiveMinimum") == Some(&Value::Bool(true)),
            ("maximum", _) => schema.get("exclusiveMaximum") == Some(&Value::Bool(true)),
            ("exclusiveMinimum" | "exclusiveMaximum" | "multipleOf", _) => true,
            _ => return Ok(Some(true)),
        };
        let Value::Number(limit) = rule else { return Ok(None) };
        if keyword == "multipleOf" {
            let Some(is_multiple) = is_multiple(number, limit) else { return Ok(None) };
            return self.require(is_multiple, target, || format!("{number} is not a multiple of {limit}"));
        }
        let is_minimum = keyword.ends_with("inimum");
        let order = if is_minimum { compare(number, limit) } else { compare(limit, number) };
        let is_valid = order == Some(Ordering::Greater) || !exclusive && order == Some(Ordering::Equal);
        self.require(is_valid, target, || {
            let (comparison, word) = if is_minimum { ("less", "minimum") } else { ("greater", "maximum") };
            let equal = if exclusive { " or equal to" } else { "" };
            format!("{number} is {comparison} than{equal} the {word} of {limit}")
        })
    }

    /// Checks a length against a limit such as `maxItems`.
    pub(super) fn size(&mut self, keyword: &str, limit: &Value, size: usize, target: Target) -> Result<Verdict, Stop> {
        let Some(limit) = limit.as_f64() else { return Ok(None) };
        let size = u32::try_from(size).map_or(f64::INFINITY, f64::from);
        let is_valid = if keyword.starts_with("max") { size <= limit } else { size >= limit };
        self.require(is_valid, target, || {
            let is_one = (limit - 1.0).abs() < f64::EPSILON;
            let (comparison, one, many) = match keyword {
                "maxLength" => ("is longer than", "character", "characters"),
                "minLength" => ("is shorter than", "character", "characters"),
                "maxItems" => ("has more than", "item", "items"),
                "minItems" => ("has less than", "item", "items"),
                "maxProperties" => ("has more than", "property", "properties"),
                _ => ("has less than", "property", "properties"),
            };
            format!("{} {comparison} {limit} {}", target.describe_location(), if is_one { one } else { many })
        })
    }
}

fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// True if `number` is a multiple of `divisor`. Returns `None` if the quotient is too large for a
/// reliable result.
fn is_multiple(number: &Number, divisor: &Number) -> Option<bool> {
    if let (Some(number), Some(divisor)) = (integer(number), integer(divisor)) {
        return (divisor > 0).then(|| number % divisor == 0);
    }
    let quotient = number.as_f64()? / divisor.as_f64()?;
    // The quotient is compared with a tolerance, because decimal fractions such as 0.01 have no
    // exact binary form.
    (quotient.abs() < 1e9).then(|| (quotient - quotient.round()).abs() < 1e-6)
}
