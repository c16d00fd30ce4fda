//! Table of settings: every key with its type, its default and one line of explanation.
//!
//! `#[derive(Settings)]` on the struct of a section generates its rows. The keys accepted in
//! `config.toml` and in the environment, `natter config` and the reference file at the root of the
//! repository all come from this table.

use super::key::Key;
use super::kind::Kind;
use super::settings::SECTIONS;

/// Row of the table.
#[derive(Debug)]
pub struct Setting {
    /// Dotted key; `*` stands for a name that the operator chooses.
    pub pattern: &'static str,
    pub kind: Kind,
    pub default: Preset,
    pub about: &'static str,
    /// Required if the section's `enabled` is true.
    pub is_needed: bool,
}

/// Default of a setting.
#[derive(Debug)]
pub enum Preset {
    /// Default value, as written in the environment.
    Value(&'static str),
    /// No default; the text is an example for the reference file.
    Unset(&'static str),
}

/// The settings in the order of the reference file.
#[derive(Clone, Debug)]
pub struct SettingsTable(Vec<&'static Setting>);

impl Default for SettingsTable {
    fn default() -> Self {
        Self::with([])
    }
}

impl SettingsTable {
    /// Core settings, plus those of components that declare their own, such as payment gateways.
    pub fn with(more: impl IntoIterator<Item = &'static Setting>) -> Self {
        Self(SECTIONS.into_iter().flatten().chain(more).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static Setting> {
        self.0.iter().copied()
    }

    /// Row whose pattern matches the key.
    pub(super) fn find(&self, key: &Key) -> Option<&'static Setting> {
        self.iter().find(|setting| key.matches(setting.pattern))
    }
}

/// A token bucket holds `limit` tokens and is refilled over `window`; concurrency has no window.
pub(super) const STRATEGIES: Kind = Kind::Choice(&["fixed_window", "sliding_window", "token_bucket", "concurrency"]);
pub(super) const COUNT: Kind = Kind::Number(1, 1_000_000);
pub(super) const WINDOW: Kind = Kind::Number(1, 86_400);
pub(super) const LIMIT_ABOUT: &str = "Maximum per window, size of the bucket, or maximum at the same time.";
pub(super) const WINDOW_ABOUT: &str = "Length of the window, or time in which an empty bucket is refilled, in seconds.";
