//! The configuration as text: what holds now, and everything that could be set.

use std::fmt::Write as _;

use super::kind::{Kind, Raw, Reading};
use super::resolve::Resolution;
use super::setting::{Preset, Setting, settings};

/// One line per setting that has a value, with its source; then one per setting that has none.
pub(super) fn describe(resolution: &Resolution, notes: &[String]) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for setting in settings() {
        let named: Vec<_> = resolution.settings.iter().filter(|one| one.key.matches(setting.pattern)).collect();
        for one in &named {
            lines.push((format!("{} = {}", one.key, one.value.show(one.kind)), one.origin.to_string()));
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

/// A file with every setting, its default and its explanation: `config.toml`.
pub fn reference() -> String {
    let mut text = String::from(
        "# Every setting of Natter, with its default. What is commented out is not set.\n\
         # The environment goes over this file: NATTER__SERVER__PORT=9000 sets server.port.\n\
         # A secret may stand in a file of its own: redis.url_file = \"/run/secrets/redis\" sets redis.url.\n",
    );
    let mut section = String::new();
    for setting in settings() {
        let (parent, name) = setting.pattern.rsplit_once('.').unwrap_or(("", setting.pattern));
        let named = parent.contains('*');
        if parent != section {
            // A provider is an example: as a live section it would be one that lacks its parts.
            let mark = if named || name == "*" { "# " } else { "" };
            let _ = write!(text, "\n{mark}[{}]\n", parent.replace('*', "example"));
            parent.clone_into(&mut section);
        }
        let name = if name == "*" { "\"another name\"" } else { name };
        let _ = writeln!(text, "# {}", setting.about);
        let _ = match example(setting) {
            (true, value) => writeln!(text, "{name} = {value}"),
            (false, value) => writeln!(text, "# {name} = {value}"),
        };
    }
    text
}

/// Whether it is the default, and how it is written.
fn example(setting: &Setting) -> (bool, String) {
    let (live, text) = match setting.default {
        Preset::Value(text) => (true, text),
        Preset::Unset(text) => (false, text),
    };
    if live && text.is_empty() {
        return (true, "[]".to_owned());
    }
    let shown = match setting.kind {
        Kind::Secret | Kind::Credential | Kind::SecretUrl(_) => format!("{text:?}"),
        Kind::Secrets => format!("[{text:?}]"),
        kind => match kind.read(&Raw::Text(text.to_owned())) {
            Ok(Reading::Set(value)) => value.show(kind),
            _ => format!("{text:?}"),
        },
    };
    (live, shown)
}
