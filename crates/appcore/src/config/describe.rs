//! The configuration as text: the values in force, and the reference file.

use std::fmt::Write as _;

use super::kind::{Kind, ParsedValue, RawValue};
use super::resolve::Resolution;
use super::setting::{Preset, Setting, SettingsTable};
use super::source::Origin;
use crate::view::{self, SettingSource};

/// Renders one line per setting that has a value, with its source, and then one line per setting
/// that has none.
pub(super) fn describe(resolution: &Resolution, notes: &[String]) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for setting in resolution.table.iter() {
        let named: Vec<_> = resolution.settings.iter().filter(|one| one.key.matches(setting.pattern)).collect();
        for one in &named {
            lines.push((format!("{} = {}", one.key, one.value.render(one.kind)), one.origin.to_string()));
        }
        if named.is_empty() && !setting.pattern.contains('*') {
            lines.push((format!("{} is not set", setting.pattern), "default".to_owned()));
        }
    }
    let width = lines.iter().map(|(value, _)| value.chars().count()).filter(|width| *width <= 60).max().unwrap_or(0);
    let mut text = String::new();
    for (value, origin) in lines {
        let _ = writeln!(text, "{value:width$}  # {origin}");
    }
    for note in notes {
        let _ = writeln!(text, "# {note}");
    }
    text
}

/// Lists all settings in the order of the table, each with its explanation, its value and the
/// source of the value.
pub(super) fn list_settings(resolution: &Resolution) -> Vec<view::Setting> {
    let mut list = Vec::new();
    for setting in resolution.table.iter() {
        let of = |key: String, value: Option<String>, origin: Option<&Origin>| {
            let (source, place) = match origin {
                None | Some(Origin::Default) => (SettingSource::Default, None),
                Some(Origin::File(path)) => (SettingSource::File, Some(path.display().to_string())),
                Some(Origin::Variable(name)) => (SettingSource::Environment, Some(name.clone())),
            };
            view::Setting {
                key,
                value,
                source,
                place,
                is_secret: setting.kind.is_secret(),
                about: setting.about.to_owned(),
            }
        };
        let named = resolution.settings.iter().filter(|one| one.key.matches(setting.pattern));
        let before = list.len();
        list.extend(named.map(|one| of(one.key.to_string(), Some(one.value.render(one.kind)), Some(&one.origin))));
        if list.len() == before && !setting.pattern.contains('*') {
            list.push(of(setting.pattern.to_owned(), None, None));
        }
    }
    list
}

/// Renders the reference file `config.toml`: every setting with its explanation and default.
pub fn reference(table: &SettingsTable) -> String {
    let mut text = String::from(
        "# Every setting of Natter, with its default. Settings that are commented out have none.\n\
         # Environment variables override this file: NATTER__SERVER__PORT=9000 sets server.port.\n\
         # A secret can be read from a file: redis.url_file = \"/run/secrets/redis\" sets redis.url.\n",
    );
    let mut section = String::new();
    for setting in table.iter() {
        let (parent, name) = setting.pattern.rsplit_once('.').unwrap_or(("", setting.pattern));
        let named = parent.contains('*');
        if parent != section {
            // Sections with a name chosen by the operator are commented out, because an example of
            // one would fail validation.
            let mark = if named || name == "*" { "# " } else { "" };
            let _ = write!(text, "\n{mark}[{}]\n", parent.replace('*', "example"));
            parent.clone_into(&mut section);
        }
        let name = if name == "*" { "\"name of a model\"" } else { name };
        let _ = writeln!(text, "# {}", setting.about);
        let _ = match example_value(setting) {
            (true, value) => writeln!(text, "{name} = {value}"),
            (false, value) => writeln!(text, "# {name} = {value}"),
        };
    }
    text
}

/// Returns an example value in TOML, and true if it is the default.
fn example_value(setting: &Setting) -> (bool, String) {
    let (live, text) = match setting.default {
        Preset::Value(text) => (true, text),
        Preset::Unset(text) => (false, text),
    };
    if live && text.is_empty() {
        return (true, "[]".to_owned());
    }
    let shown = match setting.kind {
        Kind::Secret | Kind::Credential | Kind::SecretUrl(_) | Kind::ServerUrl(_) => format!("{text:?}"),
        Kind::Secrets => format!("[{text:?}]"),
        kind => match kind.parse_raw(&RawValue::Text(text.to_owned())) {
            Ok(ParsedValue::Set(value)) => value.render(kind),
            _ => format!("{text:?}"),
        },
    };
    (live, shown)
}
