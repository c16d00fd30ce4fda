//! Bounded set of names that come from outside, for use as labels.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

/// Label for names that exceed the limits.
pub const OTHER: &str = "other";
/// Maximum number of distinct names.
pub(crate) const MAX_NAMES: usize = 100;
/// Maximum length of a name, in bytes.
const MAX_NAME_LEN: usize = 100;

/// Names that occurred first; kept for the lifetime of the process.
#[derive(Debug, Default)]
pub struct BoundedNames(RwLock<BTreeSet<&'static str>>);

impl BoundedNames {
    /// Returns the name if it is in the set or there is room for it, otherwise [`OTHER`].
    pub fn label_for(&self, name: &str) -> &'static str {
        let find = |names: &BTreeSet<&'static str>| names.get(name).copied();
        if let Some(known) = find(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        if name.is_empty() || name.len() > MAX_NAME_LEN {
            return OTHER;
        }
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find(&names) {
            return known;
        }
        if names.len() >= MAX_NAMES {
            return OTHER;
        }
        let kept: &'static str = String::leak(name.to_owned());
        names.insert(kept);
        kept
    }
}
