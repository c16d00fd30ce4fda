//! Server tools that Anthropic runs and bills separately from tokens: web searches and
//! code-execution containers.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Value, value::RawValue};

use crate::{
    GatewayError,
    dialect::fields::{lenient_count, may_have, parse_list},
    meter::{AssumedUses, ToolUses},
};

/// Prefixes of the billed tool types.
static BILLED_TOOL_MARKS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| ["\"web_search", "\"code_execution"].map(Finder::new));

/// Version date of the web tools from which on code execution is free of charge together with them.
const FREE_CODE_SINCE: &str = "20260209";

/// Returns the maximum uses of billed tools, and whether this is an assumption: a tool without
/// `max_uses` may search without limit.
pub(crate) fn max_tool_uses(tools: Option<&RawValue>, assumed: AssumedUses) -> Result<(ToolUses, bool), GatewayError> {
    let tools = tools.map(parse_billed_tools).transpose()?.unwrap_or_default();
    let kinds = || tools.iter().filter_map(|tool| tool["type"].as_str().map(|kind| (tool, kind)));
    let searching = kinds().filter(|(_, kind)| is_search(kind));
    let most: Vec<Option<u64>> = searching.map(|(tool, _)| lenient_count(&tool["max_uses"])).collect();
    let searches = most.iter().map(|most| most.unwrap_or(assumed.searches)).fold(0, u64::saturating_add);
    let runs_code = kinds().any(|(_, kind)| kind.starts_with("code_execution"));
    let is_free = kinds().any(|(_, kind)| makes_code_free(kind));
    let uses = ToolUses { searches, containers: u64::from(runs_code && !is_free), ..ToolUses::default() };
    Ok((uses, most.contains(&None)))
}

/// Adds a `max_uses` bound to search tools without one. `None` if there are none.
pub(crate) fn bound_searches(tools: &RawValue) -> Option<String> {
    let mut tools = parse_billed_tools(tools).ok()?;
    let is_open = |tool: &Value| tool["type"].as_str().is_some_and(is_search) && tool["max_uses"].is_null();
    let mut has_open = false;
    for tool in tools.iter_mut().filter(|tool| is_open(tool)) {
        tool["max_uses"] = AssumedUses::WHOLE.searches.into();
        has_open = true;
    }
    has_open.then(|| Value::from(tools).to_string())
}

/// Parses the tools if the list may contain a billed one.
fn parse_billed_tools(tools: &RawValue) -> Result<Vec<Value>, GatewayError> {
    if !may_have(tools.get().as_bytes(), BILLED_TOOL_MARKS.as_slice()) {
        return Ok(Vec::new());
    }
    parse_list(tools, "tools")
}

fn is_search(kind: &str) -> bool {
    kind.starts_with("web_search")
}

fn makes_code_free(kind: &str) -> bool {
    let edition = kind.strip_prefix("web_search_").or_else(|| kind.strip_prefix("web_fetch_"));
    edition.is_some_and(|edition| edition >= FREE_CODE_SINCE)
}
