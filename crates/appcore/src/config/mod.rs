//! Configuration: typed settings from the environment, a file and the defaults. The environment
//! overrides the file, which overrides the defaults.
//!
//! [`setting`] is the table of all settings. The sources ([`source`]) are read into keys and raw
//! values. [`resolve`] checks each value against the table and merges the sources, and serde turns
//! the result into the types of [`settings`]. An invalid value or an unknown key prevents the
//! start, with a sentence that names it. Each value is stored with its source.

mod describe;
mod destination;
mod error;
mod key;
pub mod key_file;
mod kind;
mod resolve;
mod setting;
mod settings;
mod source;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use self::describe::reference;
pub use self::destination::Destination;
pub use self::error::ConfigError;
use self::key::Key;
use self::kind::Value;
pub use self::kind::{Kind, split_hosts};
use self::resolve::Resolution;
pub use self::setting::{Preset, Setting, SettingsTable};
pub(crate) use self::settings::seconds;
pub use self::settings::{
    Ai, Audit, Auth, Bus, ChatTitleSource, Config, Database, DatabaseKind, Events, Firewall, Gateway, GatewaySettings,
    Mail, Mcp, McpCommand, Messages, Metrics, OauthKind, OauthProvider, Outgoing, Partitions, Payment, Pooler,
    Provider, RateLimit, Realtime, Redis, ReservationSettings, Role, SearchProviderKind, Server, SignUpPolicy,
    UnknownPricePolicy, Uploads, WebSearch, Workspaces,
};

/// Configuration file that is read if it exists and no other file is named.
const DEFAULT_FILE: &str = "config.toml";

/// Environment variable that `serve --role` overrides.
const ROLE_VARIABLE: &str = "NATTER__SERVER__ROLE";

/// Configuration together with its diagnostics.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    pub config: Config,
    /// Warnings for the log, such as placeholders that were ignored.
    pub warnings: Vec<String>,
    resolution: Resolution,
}

impl LoadedConfig {
    /// Lists every setting that has a value, and its source, with secrets masked.
    pub fn describe(&self) -> String {
        describe::describe(&self.resolution, &self.warnings)
    }
}

/// Loads the configuration from the process environment and from `file`, or from `./config.toml` if
/// that exists.
pub fn load(table: &SettingsTable, file: Option<&Path>) -> Result<LoadedConfig, ConfigError> {
    load_with_role(table, file, None)
}

/// Loads the configuration like [`load`], with a role from the command line that overrides the
/// environment.
pub fn load_with_role(
    table: &SettingsTable,
    file: Option<&Path>,
    role: Option<&str>,
) -> Result<LoadedConfig, ConfigError> {
    let usual = Path::new(DEFAULT_FILE);
    let file = file.or_else(|| usual.exists().then_some(usual));
    let role = role.map(|role| (ROLE_VARIABLE.into(), role.into()));
    let environment = std::env::vars_os().filter(|(name, _)| role.is_none() || name != ROLE_VARIABLE);
    load_table(table, file, environment.chain(role.clone()))
}

/// Loads the settings of the default table from a file and the given environment.
pub fn load_core(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<LoadedConfig, ConfigError> {
    load_table(&SettingsTable::default(), file, environment)
}

/// Loads the settings of `table` from a file and the given environment.
pub fn load_table(
    table: &SettingsTable,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<LoadedConfig, ConfigError> {
    let mut resolution = Resolution::from_defaults(table)?;
    if let Some(path) = file {
        resolution.overlay(source::read_file(path)?)?;
    }
    resolution.overlay(source::read_environment(environment)?)?;
    let mut notes = resolution
        .placeholders
        .iter()
        .map(|unfilled| {
            format!("The setting {} has a placeholder in {} and counts as unset.", unfilled.key, unfilled.origin)
        })
        .collect();
    let mut config = build(&resolution, &mut notes)?;
    config.described = describe::list_settings(&resolution);
    Ok(LoadedConfig { config, warnings: notes, resolution })
}

fn build(resolution: &Resolution, notes: &mut Vec<String>) -> Result<Config, ConfigError> {
    let mut tree = toml::Table::new();
    for resolved in &resolution.settings {
        insert(&mut tree, resolved.key.parts(), resolved.value.clone());
    }
    if let Some(providers) = tree.get_mut("ai").and_then(|ai| ai.get_mut("providers")).and_then(|p| p.as_table_mut()) {
        check_providers(providers, resolution, notes)?;
    }
    check_required(&tree, &resolution.table)?;
    // A test checks that the table matches the types, so an error here is a bug.
    let mut config: Config = tree.try_into().map_err(|error: toml::de::Error| {
        ConfigError::new(format!("The configuration is invalid: {}.", error.message().trim_end_matches('.')))
    })?;
    config.complete()?;
    Ok(config)
}

/// Checks that enabled sections have their required settings.
fn check_required(tree: &toml::Table, table: &SettingsTable) -> Result<(), ConfigError> {
    let of = |key: &str| key.split('.').try_fold(tree, |section, part| section.get(part)?.as_table());
    for Setting { pattern, .. } in table.iter().filter(|setting| setting.is_needed) {
        let Some((parent, name)) = pattern.rsplit_once('.') else { continue };
        let Some(section) = of(parent) else { continue };
        let is_missing = match section.get(name) {
            Some(toml::Value::Array(items)) => items.is_empty(),
            other => other.is_none(),
        };
        if is_missing && section.get("enabled").and_then(toml::Value::as_bool) == Some(true) {
            return Err(ConfigError::new(format!("The setting {pattern} is required if {parent}.enabled is true.")));
        }
    }
    Ok(())
}

fn insert(tree: &mut toml::Table, path: &[String], value: Value) {
    let [first, rest @ ..] = path else { return };
    if rest.is_empty() {
        tree.insert(first.clone(), value.into());
    } else {
        let section = tree.entry(first.clone()).or_insert_with(|| toml::Table::new().into());
        if let Some(section) = section.as_table_mut() {
            insert(section, rest, value);
        }
    }
}

/// Checks that each AI provider has a kind, a model and, if it is a public service, a key. If a
/// provider is incomplete because of a placeholder, it is removed with a warning; otherwise the
/// missing setting is an error.
fn check_providers(
    providers: &mut toml::Table,
    resolution: &Resolution,
    notes: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let mut aside = Vec::new();
    for (name, provider) in providers.iter() {
        let has = |part: &str| match provider.get(part) {
            Some(toml::Value::Array(items)) => !items.is_empty(),
            other => other.is_some(),
        };
        let public = !has("base_url");
        let missing = ["kind", "models", "keys"].into_iter().find(|part| !has(part) && (*part != "keys" || public));
        let Some(part) = missing else { continue };
        let key = |part: &str| Key::new(vec!["ai".into(), "providers".into(), name.clone(), part.into()]);
        let template = resolution
            .placeholders
            .iter()
            .any(|unfilled| ["kind", "base_url", "keys", "models"].iter().any(|part| unfilled.key == key(part)));
        if !template {
            return Err(ConfigError::new(format!("The setting {} is missing.", key(part))));
        }
        notes.push(format!("The AI provider {name} is ignored: {} is not set.", key(part)));
        aside.push(name.clone());
    }
    providers.retain(|name, _| !aside.iter().any(|one| one == name));
    Ok(())
}

/// URL of the default SQLite file in embedded mode.
fn default_database(data_dir: &Path) -> String {
    let file: PathBuf = data_dir.join("natter.db");
    format!("sqlite://{}", file.display())
}
