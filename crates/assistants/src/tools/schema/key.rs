//! Canonical keys: texts that are the same for equal JSON values.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Checker, Stop, integer};

impl<'s> Checker<'s> {
    /// Returns the canonical text of a value, which doesn't depend on the order of properties and
    /// the spelling of numbers.
    pub(super) fn key(&mut self, value: &Value) -> Result<String, Stop> {
        let mut key = String::new();
        self.write_key(value, &mut key)?;
        Ok(key)
    }

    fn write_key(&mut self, value: &Value, key: &mut String) -> Result<(), Stop> {
        self.spend(1)?;
        match value {
            Value::Number(number) => {
                key.push_str(&integer(number).map_or_else(|| number.to_string(), |number| number.to_string()));
            }
            Value::Array(items) => {
                key.push('[');
                for item in items {
                    self.write_key(item, key)?;
                    key.push(',');
                }
                key.push(']');
            }
            Value::Object(object) => {
                self.spend(object.len())?;
                let mut properties: Vec<_> = object.iter().collect();
                properties.sort_by_key(|(name, _)| *name);
                key.push('{');
                for (name, value) in properties {
                    self.write_text(name, key)?;
                    self.write_key(value, key)?;
                    key.push(',');
                }
                key.push('}');
            }
            Value::String(text) => self.write_text(text, key)?,
            Value::Null | Value::Bool(_) => key.push_str(&value.to_string()),
        }
        Ok(())
    }

    /// Writes a text after its length, so that it needs no quoting.
    fn write_text(&mut self, text: &str, key: &mut String) -> Result<(), Stop> {
        self.spend_text(text)?;
        let _: std::fmt::Result = write!(key, "\"{}:", text.len());
        key.push_str(text);
        Ok(())
    }
}
