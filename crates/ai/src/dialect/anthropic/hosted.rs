//! Tools that Anthropic runs for an answer and bills beside its tokens: searches of the web, and containers in which code runs.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Value, value::RawValue};

use crate::{
    dialect::fields::{counted, may_have},
    meter::{SEARCHES, ToolUses},
};

/// How the types of such tools begin.
static BILLED: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| ["\"web_search", "\"code_execution"].map(Finder::new));

/// From this edition on, code runs for nothing beside a tool that reads the web.
const FREE_SINCE: &str = "20260209";

/// What the tools of a request may use, and whether that is a guess: a tool without `max_uses` searches as often as it wants.
pub(crate) fn may_use(tools: Option<&RawValue>) -> (ToolUses, bool) {
    let named = tools.filter(|tools| may_have(tools.get().as_bytes(), BILLED.as_slice()));
    let tools: Vec<Value> = named.and_then(|tools| serde_json::from_str(tools.get()).ok()).unwrap_or_default();
    let kinds = || tools.iter().filter_map(|tool| tool["type"].as_str().map(|kind| (tool, kind)));
    let searching = kinds().filter(|(_, kind)| kind.starts_with("web_search"));
    let most: Vec<Option<u64>> = searching.map(|(tool, _)| counted(&tool["max_uses"])).collect();
    let searches = most.iter().map(|most| most.unwrap_or(SEARCHES)).fold(0, u64::saturating_add);
    let runs_code = kinds().any(|(_, kind)| kind.starts_with("code_execution"));
    let is_free = kinds().any(|(_, kind)| makes_code_free(kind));
    let uses = ToolUses { searches, containers: u64::from(runs_code && !is_free), ..ToolUses::default() };
    (uses, most.contains(&None))
}

fn makes_code_free(kind: &str) -> bool {
    let edition = kind.strip_prefix("web_search_").or_else(|| kind.strip_prefix("web_fetch_"));
    edition.is_some_and(|edition| edition >= FREE_SINCE)
}
