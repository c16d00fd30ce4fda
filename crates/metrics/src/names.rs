//! Names from outside as labels, as many as there may be.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

/// What everything else is called.
pub const OTHER: &str = "other";
/// Names that are told apart.
pub(crate) const MOST: usize = 100;
/// The longest of them, in bytes.
const LONGEST: usize = 100;

/// The first names that came, which are kept for as long as the process runs.
#[derive(Debug, Default)]
pub struct Names(RwLock<BTreeSet<&'static str>>);

impl Names {
    /// This name where it is one of the first, else [`OTHER`].
    pub fn known(&self, name: &str) -> &'static str {
        let find = |names: &BTreeSet<&'static str>| names.get(name).copied();
        if let Some(known) = find(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        if name.is_empty() || name.len() > LONGEST {
            return OTHER;
        }
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find(&names) {
            return known;
        }
        if names.len() >= MOST {
            return OTHER;
        }
        let kept: &'static str = String::leak(name.to_owned());
        names.insert(kept);
        kept
    }
}
