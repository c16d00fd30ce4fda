//! Committed files that are generated from the program. `NATTER_UPDATE=1` writes them.

use std::{collections::BTreeSet, fs};

use crate::architecture::root;

/// Compares a committed file with the content that it should have, or writes it if `NATTER_UPDATE`
/// is set. `advice` states what to do if they differ.
pub(crate) fn compare(path: &str, current: &str, advice: &str) {
    let file = root().join(path);
    if std::env::var_os("NATTER_UPDATE").is_some() {
        fs::write(&file, current).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let (before, now): (BTreeSet<&str>, BTreeSet<&str>) = (committed.lines().collect(), current.lines().collect());
    let (gone, new): (Vec<_>, Vec<_>) = (before.difference(&now).collect(), now.difference(&before).collect());
    assert!(committed == current, "{path} is out of date: {advice}\ngone: {gone:#?}\nnew: {new:#?}");
}
