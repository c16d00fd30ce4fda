//! Normalises tool names for all providers: up to 64 characters of `A-Z a-z 0-9 _ -`, starting with
//! a letter or `_` (Gemini's rule). Clients name tools after servers and methods, so names may be
//! longer or contain dots; a provider rejects the whole request for such a name.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sha2::{Digest as _, Sha256};

use crate::canonical::{Part, Request, ToolChoice};

const MAX_NAME_LEN: usize = 64;
/// Characters of the original name kept before the hash.
const PREFIX_LEN: usize = 50;

/// Renames tools with invalid names everywhere in the request, and records the original names. Of
/// several tools with one name the first wins, since tools found by a search may be listed already.
pub(crate) fn normalise(request: &mut Request) {
    let mut known = HashSet::new();
    request.tools.retain(|tool| known.insert(tool.name.clone()));
    let mut odd = BTreeSet::new();
    each_name(request, |name| {
        if !is_plain(name) {
            odd.insert(name.clone());
        }
    });
    if odd.is_empty() {
        return;
    }
    let mut taken = BTreeSet::new();
    each_name(request, |name| _ = taken.insert(name.clone()));
    let mut renamed = BTreeMap::new();
    for own in odd {
        let free = (0_u32..).map(|salt| short(&own, salt)).find(|name| !taken.contains(name));
        if let Some(name) = free {
            taken.insert(name.clone());
            renamed.insert(own, name);
        }
    }
    each_name(request, |name| {
        if let Some(short) = renamed.get(name.as_str()) {
            name.clone_from(short);
        }
    });
    request.renamed = renamed.into_iter().map(|(own, name)| (name, own)).collect();
}

fn is_plain(name: &str) -> bool {
    name.len() <= MAX_NAME_LEN && name.starts_with(is_first) && name.chars().all(is_name_char)
}

fn is_first(char: char) -> bool {
    char.is_ascii_alphabetic() || char == '_'
}

fn is_name_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-')
}

/// Prefix and hash of a name. `salt` counts collisions.
fn short(name: &str, salt: u32) -> String {
    let plain = name.chars().take(PREFIX_LEN).map(|char| if is_name_char(char) { char } else { '_' });
    let before = (!name.starts_with(is_first)).then_some('_');
    let mut short: String = before.into_iter().chain(plain).chain(['_']).collect();
    short.push_str(&hex::encode(&Sha256::digest(format!("{salt}{name}"))[..4]));
    short
}

fn each_name(request: &mut Request, mut change: impl FnMut(&mut String)) {
    request.tools.iter_mut().for_each(|tool| change(&mut tool.name));
    match &mut request.tool_choice {
        Some(ToolChoice::Named(name)) => change(name),
        Some(ToolChoice::Among { names, .. }) => names.iter_mut().for_each(&mut change),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => {}
    }
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Part::Call(call) = part {
            change(&mut call.name);
        }
    }
}
