//! Sources of settings: the environment and the configuration file.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::key::{Key, PREFIX};
use super::kind::RawValue;

/// Source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    File(PathBuf),
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Setting as read from a source.
pub(super) struct SourceEntry {
    pub key: Key,
    pub raw: RawValue,
    pub origin: Origin,
}

/// Reads our variables from the environment. They are sorted by name, so that the result is
/// deterministic.
pub(super) fn read_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<SourceEntry>, ConfigError> {
    let mut ours = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Some(key) = Key::from_variable(name) else { continue };
        let Ok(text) = value.into_string() else {
            return Err(ConfigError::new(format!("The environment variable {name} isn't valid UTF-8.")));
        };
        ours.push(SourceEntry { key, raw: RawValue::Text(text), origin: Origin::Variable(name.to_owned()) });
    }
    ours.sort_by_key(|entry| entry.origin.to_string());
    Ok(ours)
}

/// Reads the settings of a TOML file, in the order of the file.
pub(super) fn read_file(path: &Path) -> Result<Vec<SourceEntry>, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::new(format!("The configuration file {shown} can't be read: {error}.")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let reason = error.message().lines().next().unwrap_or("it isn't TOML").to_owned();
        ConfigError::new(format!("The configuration file {shown} is invalid at line {line}: {reason}."))
    })?;
    let mut entries = Vec::new();
    flatten(table, &mut Vec::new(), path, &mut entries);
    Ok(entries)
}

fn flatten(table: toml::Table, parents: &mut Vec<String>, path: &Path, entries: &mut Vec<SourceEntry>) {
    for (name, value) in table {
        parents.push(name);
        match value {
            toml::Value::Table(inner) => flatten(inner, parents, path, entries),
            value => entries.push(SourceEntry {
                key: Key::new(parents.clone()),
                raw: RawValue::Toml(value),
                origin: Origin::File(path.to_owned()),
            }),
        }
        parents.pop();
    }
}
