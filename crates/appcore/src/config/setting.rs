//! The table of settings: every key with its kind, its default and one line of explanation.
//!
//! `#[derive(Settings)]` on the struct of a section makes its rows. The keys accepted in `config.toml` and in the environment, `natter config` and the
//! reference file at the root of the repository all come from this table.

use super::key::Key;
use super::kind::Kind;
use super::settings::SECTIONS;

/// One row of the table.
#[derive(Debug)]
pub struct Setting {
    /// Dotted; `*` stands for a name that the operator chooses.
    pub pattern: &'static str,
    pub kind: Kind,
    pub default: Preset,
    pub about: &'static str,
    /// It has to be set where `enabled` beside it is true.
    pub is_needed: bool,
}

/// What holds where nobody has set anything.
#[derive(Debug)]
pub enum Preset {
    /// As it would be written in the environment.
    Value(&'static str),
    /// Nothing; the text is an example for the reference file.
    Unset(&'static str),
}

/// The table, in its order.
#[derive(Clone, Debug)]
pub struct Table(Vec<&'static Setting>);

impl Default for Table {
    fn default() -> Self {
        Self::with([])
    }
}

impl Table {
    /// The settings that are everybody's, and those of parts that declare their own, such as payment gateways.
    pub fn with(more: impl IntoIterator<Item = &'static Setting>) -> Self {
        Self(SECTIONS.into_iter().flatten().chain(more).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static Setting> {
        self.0.iter().copied()
    }

    /// The row that speaks of this key.
    pub(super) fn find(&self, key: &Key) -> Option<&'static Setting> {
        self.iter().find(|setting| key.matches(setting.pattern))
    }
}

/// A bucket holds `limit` and is refilled over `window`; concurrency has no window.
pub(super) const STRATEGIES: Kind = Kind::Choice(&["fixed_window", "sliding_window", "token_bucket", "concurrency"]);
pub(super) const COUNT: Kind = Kind::Number(1, 1_000_000);
pub(super) const WINDOW: Kind = Kind::Number(1, 86_400);
pub(super) const LIMIT_ABOUT: &str = "How many are allowed: in the window, in the bucket, or at the same time.";
pub(super) const WINDOW_ABOUT: &str = "Seconds of the window, or in which an empty bucket is full again.";
