//! Table of settings: every key with its type, its default and an explanation.
//!
//! `#[derive(Settings)]` on the struct of a section generates the rows of the section. The keys
//! that `config.toml` and the environment accept, `natter config` and the reference file at the
//! root of the repository all come from this table.

use super::key::Key;
use super::kind::Kind;
use super::settings::SECTIONS;

/// Row of the settings table.
#[derive(Debug)]
pub struct Setting {
    /// Key with dots. A `*` stands for a name that the operator chooses.
    pub pattern: &'static str,
    pub kind: Kind,
    pub default: Preset,
    pub about: &'static str,
    /// True if the setting is required when the section's `enabled` is true.
    pub is_needed: bool,
}

/// Default of a setting.
#[derive(Debug)]
pub enum Preset {
    /// Default value, in the form that the environment uses.
    Value(&'static str),
    /// No default. The text is an example for the reference file.
    Unset(&'static str),
}

/// Settings in the order of the reference file.
#[derive(Clone, Debug)]
pub struct SettingsTable(Vec<&'static Setting>);

impl Default for SettingsTable {
    fn default() -> Self {
        Self::with_settings([])
    }
}

impl SettingsTable {
    /// Table of the core settings and `more` settings, which components such as payment gateways
    /// declare themselves.
    pub fn with_settings(more: impl IntoIterator<Item = &'static Setting>) -> Self {
        Self(SECTIONS.into_iter().flatten().chain(more).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static Setting> {
        self.0.iter().copied()
    }

    /// Finds the row whose pattern matches the key.
    pub(super) fn find(&self, key: &Key) -> Option<&'static Setting> {
        self.iter().find(|setting| key.matches(setting.pattern))
    }
}

/// Names of the rate limiting algorithms. A token bucket holds `limit` tokens and is refilled in
/// the course of `window`. Concurrency has no window.
pub(super) const STRATEGIES: Kind = Kind::Choice(&["fixed_window", "sliding_window", "token_bucket", "concurrency"]);
pub(super) const COUNT: Kind = Kind::Number(1, 1_000_000);
pub(super) const WINDOW: Kind = Kind::Number(1, 86_400);
pub(super) const LIMIT_ABOUT: &str = "Maximum per window, size of the bucket, or maximum at the same time.";
pub(super) const WINDOW_ABOUT: &str = "Length of the window, or time in which an empty bucket is refilled, in seconds.";
