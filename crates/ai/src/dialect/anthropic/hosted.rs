//! Tools that Anthropic runs for an answer and bills beside its tokens: searches of the web, and containers in which code runs.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Value, value::RawValue};

use crate::{
    GatewayError,
    dialect::fields::{counted, listed, may_have},
    meter::{AssumedUses, ToolUses},
};

/// How the types of such tools begin.
static BILLED: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| ["\"web_search", "\"code_execution"].map(Finder::new));

/// From this edition on, code runs for nothing beside a tool that reads the web.
const FREE_SINCE: &str = "20260209";

/// What the tools of a request may use, and whether that is a guess: a tool without `max_uses` searches as often as it wants.
pub(crate) fn may_use(tools: Option<&RawValue>, assumed: AssumedUses) -> Result<(ToolUses, bool), GatewayError> {
    let tools = tools.map(billed).transpose()?.unwrap_or_default();
    let kinds = || tools.iter().filter_map(|tool| tool["type"].as_str().map(|kind| (tool, kind)));
    let searching = kinds().filter(|(_, kind)| is_search(kind));
    let most: Vec<Option<u64>> = searching.map(|(tool, _)| counted(&tool["max_uses"])).collect();
    let searches = most.iter().map(|most| most.unwrap_or(assumed.searches)).fold(0, u64::saturating_add);
    let runs_code = kinds().any(|(_, kind)| kind.starts_with("code_execution"));
    let is_free = kinds().any(|(_, kind)| makes_code_free(kind));
    let uses = ToolUses { searches, containers: u64::from(runs_code && !is_free), ..ToolUses::default() };
    Ok((uses, most.contains(&None)))
}

/// The same tools with a bound for each that searches as often as it wants. None: there is no such tool.
pub(crate) fn bounded(tools: &RawValue) -> Option<String> {
    let mut tools = billed(tools).ok()?;
    let is_open = |tool: &Value| tool["type"].as_str().is_some_and(is_search) && tool["max_uses"].is_null();
    let mut has_open = false;
    for tool in tools.iter_mut().filter(|tool| is_open(tool)) {
        tool["max_uses"] = AssumedUses::WHOLE.searches.into();
        has_open = true;
    }
    has_open.then(|| Value::from(tools).to_string())
}

/// A list of tools, where it may name one that is billed.
fn billed(tools: &RawValue) -> Result<Vec<Value>, GatewayError> {
    if !may_have(tools.get().as_bytes(), BILLED.as_slice()) {
        return Ok(Vec::new());
    }
    listed(tools, "tools")
}

fn is_search(kind: &str) -> bool {
    kind.starts_with("web_search")
}

fn makes_code_free(kind: &str) -> bool {
    let edition = kind.strip_prefix("web_search_").or_else(|| kind.strip_prefix("web_fetch_"));
    edition.is_some_and(|edition| edition >= FREE_SINCE)
}
