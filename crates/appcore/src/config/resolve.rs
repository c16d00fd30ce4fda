//! Merging of the sources into one validated value per setting, with its source.

use super::error::ConfigError;
use super::key::Key;
use super::kind::{Kind, ParsedValue, RawValue, Value};
use super::setting::{Preset, Setting, SettingsTable};
use super::source::{Origin, SourceEntry};

/// Setting that has a value.
#[derive(Clone, Debug)]
pub(super) struct ResolvedSetting {
    pub key: Key,
    pub kind: Kind,
    pub value: Value,
    pub origin: Origin,
}

/// Setting whose value is a placeholder, so it counts as not set.
#[derive(Clone, Debug)]
pub(super) struct PlaceholderSetting {
    pub key: Key,
    pub origin: Origin,
}

/// All settings that have a value, after later sources have replaced the values of earlier ones.
#[derive(Clone, Debug)]
pub(super) struct Resolution {
    pub table: SettingsTable,
    pub settings: Vec<ResolvedSetting>,
    pub placeholders: Vec<PlaceholderSetting>,
}

impl Resolution {
    /// Creates a resolution that contains only the defaults.
    pub fn from_defaults(table: &SettingsTable) -> Result<Self, ConfigError> {
        let mut resolution = Self { table: table.clone(), settings: Vec::new(), placeholders: Vec::new() };
        for setting in table.iter() {
            let Preset::Value(text) = setting.default else { continue };
            let key = Key::from_pattern(setting.pattern);
            if text.is_empty() && setting.kind.is_list() {
                resolution.insert(ResolvedSetting {
                    key,
                    kind: setting.kind,
                    value: Value::List(Vec::new()),
                    origin: Origin::Default,
                });
            } else {
                let entry = SourceEntry { key, raw: RawValue::Text(text.to_owned()), origin: Origin::Default };
                resolution.insert_parsed(entry, setting)?;
            }
        }
        Ok(resolution)
    }

    /// Applies the values of another source, which override the existing ones.
    pub fn overlay(&mut self, entries: Vec<SourceEntry>) -> Result<(), ConfigError> {
        let mut seen: Vec<Key> = Vec::new();
        for entry in entries {
            let (entry, setting) = match self.table.find(&entry.key) {
                Some(setting) => (entry, setting),
                None => resolve_file_setting(&self.table, entry)?,
            };
            if seen.contains(&entry.key) {
                let SourceEntry { key, origin, .. } = entry;
                return Err(ConfigError::new(format!(
                    "The setting {key} is given twice, the second time by {origin}."
                )));
            }
            seen.push(entry.key.clone());
            self.insert_parsed(entry, setting)?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub fn get(&self, key: &Key) -> Option<&ResolvedSetting> {
        self.settings.iter().find(|resolved| resolved.key == *key)
    }

    fn insert_parsed(&mut self, entry: SourceEntry, setting: &Setting) -> Result<(), ConfigError> {
        let SourceEntry { key, raw, origin } = entry;
        match setting.kind.parse_raw(&raw) {
            Ok(ParsedValue::Set(value)) => self.insert(ResolvedSetting { key, kind: setting.kind, value, origin }),
            Ok(ParsedValue::Empty) => {}
            Ok(ParsedValue::Placeholder) => self.placeholders.push(PlaceholderSetting { key, origin }),
            Err(expected) => {
                let found = match raw {
                    _ if setting.kind.is_secret() => String::new(),
                    RawValue::Text(text) => format!(", not {text:?}"),
                    RawValue::Toml(value) => format!(", not {value}"),
                };
                let place = match origin {
                    Origin::Default => String::new(),
                    origin => format!(" (in {origin})"),
                };
                return Err(ConfigError::new(format!("The setting {key} must be {}{found}{place}.", expected.0)));
            }
        }
        Ok(())
    }

    fn insert(&mut self, resolved: ResolvedSetting) {
        match self.settings.iter_mut().find(|earlier| earlier.key == resolved.key) {
            Some(earlier) => *earlier = resolved,
            None => self.settings.push(resolved),
        }
    }
}

/// Reads the file of a `_file` setting: `x.key_file` names the file that contains the secret
/// `x.key`. Any other unknown key is an error.
fn resolve_file_setting(
    table: &SettingsTable,
    entry: SourceEntry,
) -> Result<(SourceEntry, &'static Setting), ConfigError> {
    let secret = entry.key.file_setting_target().and_then(|key| Some((table.find(&key)?, key)));
    let Some((setting, key)) = secret.filter(|(setting, _)| setting.kind.is_secret()) else {
        return Err(unknown_key_error(&entry));
    };
    let path = match &entry.raw {
        RawValue::Text(path) | RawValue::Toml(toml::Value::String(path)) => path.trim(),
        RawValue::Toml(_) => {
            return Err(ConfigError::new(format!("The setting {} must be the name of a file.", entry.key)));
        }
    };
    let text = if path.is_empty() {
        String::new()
    } else {
        std::fs::read_to_string(path).map_err(|error| {
            ConfigError::new(format!("The file {path:?} named by {} can't be read: {error}.", entry.key))
        })?
    };
    Ok((SourceEntry { key, raw: RawValue::Text(text), origin: entry.origin }, setting))
}

fn unknown_key_error(entry: &SourceEntry) -> ConfigError {
    let SourceEntry { key, origin, .. } = entry;
    match origin {
        Origin::Variable(name) => ConfigError::new(format!("There is no setting {key} (environment variable {name}).")),
        origin => ConfigError::new(format!("There is no setting {key} ({origin}).")),
    }
}
