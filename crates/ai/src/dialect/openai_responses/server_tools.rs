//! Server tools that OpenAI runs and bills separately from tokens: web searches, code containers,
//! and images. Computes the maximum uses of a request and the actual uses of a response.

use std::{collections::BTreeSet, sync::LazyLock};

use memchr::memmem::Finder;
use serde_json::{Value, value::RawValue};

use crate::{
    GatewayError, Usage,
    dialect::fields::{lenient_count, may_have, parse_list},
    meter::{AssumedUses, ToolUses},
};

use super::passthrough::LATER_TOOLS_MARK;

/// Prefixes of the billed tool types.
static BILLED_TOOL_MARKS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["\"web_search", "\"code_interpreter", "\"image_generation", "\"shell"].map(Finder::new));

/// Maximum uses of billed tools, including tools declared later in the input. `most_calls` is the
/// request's own limit for all tool calls.
pub(crate) fn max_tool_uses(
    tools: Option<&RawValue>,
    input: Option<&RawValue>,
    most_calls: Option<u64>,
    assumed: AssumedUses,
) -> Result<ToolUses, GatewayError> {
    let offered = tools.map(|tools| parse_billed(tools, "tools")).transpose()?.unwrap_or_default();
    let with_later = input.filter(|input| may_have(input.get().as_bytes(), LATER_TOOLS_MARK.as_slice()));
    let came_later = with_later.map(|input| parse_billed(input, "input")).transpose()?;
    let later = came_later.unwrap_or_default().into_iter().filter(|item| item["type"] == "additional_tools");
    let later = later.filter_map(|mut item| match item.get_mut("tools").map(Value::take) {
        Some(Value::Array(tools)) => Some(tools),
        _ => None,
    });
    let (mut uses, mut containers, mut largest) = (ToolUses::default(), 0_u64, 0_u64);
    for tool in offered.into_iter().chain(later.flatten()) {
        let kind = tool["type"].as_str().unwrap_or_default();
        let (count, most) = match kind {
            "code_interpreter" | "shell" => {
                let size = gigabytes(&tool);
                largest = largest.max(size);
                (&mut containers, u64::from(size > 0))
            }
            "image_generation" => (&mut uses.images, most_calls.unwrap_or(assumed.images)),
            _ if kind.starts_with("web_search") => (&mut uses.searches, most_calls.unwrap_or(assumed.searches)),
            _ => continue,
        };
        *count = count.saturating_add(most);
    }
    // All containers count with the largest memory size, because the final count can't tell which
    // container had which size either.
    uses.containers = containers.saturating_mul(largest);
    Ok(uses)
}

/// Parses the list if it may contain a billed tool.
fn parse_billed(list: &RawValue, place: &str) -> Result<Vec<Value>, GatewayError> {
    if !may_have(list.get().as_bytes(), BILLED_TOOL_MARKS.as_slice()) {
        return Ok(Vec::new());
    }
    parse_list(list, place)
}

/// Memory of the tool's container, in GiB, by which it is billed. Zero if the tool runs at the
/// caller or needs no container.
fn gigabytes(tool: &Value) -> u64 {
    let place = match tool["type"].as_str() {
        Some("code_interpreter") => &tool["container"],
        Some("shell") if tool["environment"]["type"] != "local" => &tool["environment"],
        _ => return 0,
    };
    let limit = place["memory_limit"].as_str().and_then(|limit| limit.strip_suffix('g'));
    limit.and_then(|limit| limit.parse().ok()).unwrap_or(1)
}

/// Uses of billed tools in a response.
#[derive(Debug, Default)]
pub(super) struct BilledUses {
    searches: u64,
    images: u64,
    /// Ids of image items that are counted but not complete yet.
    started_images: BTreeSet<String>,
    containers: BTreeSet<String>,
    /// Largest container memory, in GiB.
    gigabytes: u64,
}

impl BilledUses {
    /// Counts the uses of a whole response.
    pub fn from_response(response: &Value) -> Self {
        let mut used = Self::default();
        used.record_tools(response);
        for item in response["output"].as_array().into_iter().flatten() {
            used.record_item(item);
        }
        let told = lenient_count(&response["tool_usage"]["web_search"]["num_requests"]);
        used.searches = used.searches.max(told.unwrap_or(0));
        used
    }

    /// Reads the container memory from the tools that a response echoes.
    pub fn record_tools(&mut self, response: &Value) {
        let tools = response["tools"].as_array().into_iter().flatten();
        self.gigabytes = tools.map(gigabytes).fold(self.gigabytes, Ord::max);
    }

    /// Counts a partial image. Returns true if it is the first of its item.
    pub fn record_partial_image(&mut self, partial: &Value) -> bool {
        let is_new = partial["item_id"].as_str().is_some_and(|item| self.started_images.insert(item.to_owned()));
        self.images += u64::from(is_new);
        is_new
    }

    /// Counts a complete item. Returns true if it used a billed tool.
    pub fn record_item(&mut self, item: &Value) -> bool {
        let has_failed = item["status"] == "failed";
        let container = match item["type"].as_str() {
            // Opening pages and searching within them is free of charge.
            Some("web_search_call") if !has_failed && is_search(&item["action"]) => {
                self.searches += 1;
                return true;
            }
            Some("image_generation_call") if !has_failed => {
                let is_counted = item["id"].as_str().is_some_and(|id| self.started_images.remove(id));
                self.images += u64::from(!is_counted);
                return !is_counted;
            }
            Some("code_interpreter_call") => &item["container_id"],
            Some("shell_call") => &item["environment"]["container_id"],
            _ => return false,
        };
        container.as_str().is_some_and(|id| self.containers.insert(id.to_owned()))
    }

    /// Merges counts of the same response, such as those of its events and of the final response
    /// object.
    pub fn merge(&mut self, other: Self) {
        self.searches = self.searches.max(other.searches);
        self.images = self.images.max(other.images);
        self.gigabytes = self.gigabytes.max(other.gigabytes);
        self.containers.extend(other.containers);
    }

    /// Billed usage; `None` if there is none.
    pub fn usage(&self) -> Option<Usage> {
        let containers = (self.containers.len() as u64).saturating_mul(self.gigabytes.max(1));
        let some = |count: u64| (count > 0).then_some(count);
        let (searches, containers, images) = (some(self.searches), some(containers), some(self.images));
        let usage = Usage { searches, containers, images, ..Usage::default() };
        (usage != Usage::default()).then_some(usage)
    }
}

fn is_search(action: &Value) -> bool {
    action["type"].as_str().is_none_or(|kind| kind == "search")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn uses(searches: u64, containers: u64, images: u64) -> ToolUses {
        ToolUses { searches, containers, images }
    }

    #[test]
    fn bounds_uses_by_declared_tools() {
        let of = |tools: Value, input: Value, most: Option<u64>| {
            let [tools, input] = [tools, input].map(|value| RawValue::from_string(value.to_string()).unwrap());
            max_tool_uses(Some(&tools), Some(&input), most, AssumedUses::STREAM).unwrap()
        };
        let large = json!({"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}});
        let away = json!({"type": "shell", "environment": {"type": "container_auto"}});
        let near = json!({"type": "shell", "environment": {"type": "local"}});
        let search = json!({"type": "web_search_preview"});
        let function = json!({"type": "function", "name": "web_search"});
        let picture = json!({"type": "image_generation"});
        let later =
            json!([{"type": "additional_tools", "tools": [search]}, {"role": "user", "content": "additional_tools"}]);
        for (tools, input, most, expected) in [
            (json!([search, function]), json!("x"), None, uses(10, 0, 0)),
            (json!([search, picture]), json!("x"), Some(3), uses(3, 0, 3)),
            (json!([large, away, near, picture]), json!("x"), None, uses(0, 8, 2)),
            (json!([function]), later, Some(4), uses(4, 0, 0)),
            (json!([function, near]), json!([]), None, uses(0, 0, 0)),
            (json!("web_search"), json!("additional_tools"), None, uses(0, 0, 0)),
        ] {
            assert_eq!(of(tools.clone(), input, most), expected, "{tools}");
        }
        let hidden = [
            r#"[{"type":"\u0077eb\u005Fsearch"}]"#,
            r#"[{"type":"additional\u005ftools","tools":[{"type":"\u0063ode_interpreter"}]}]"#,
        ];
        let [tools, input] = hidden.map(|text| RawValue::from_string(text.to_owned()).unwrap());
        let found = max_tool_uses(Some(&tools), Some(&input), None, AssumedUses::WHOLE).unwrap();
        assert_eq!(found, uses(30, 1, 0), "escaped names are recognised");
    }

    #[test]
    fn counts_uses_by_items() {
        let action = |kind: &str| json!({"type": "web_search_call", "status": "completed", "action": {"type": kind}});
        let code = |id: &str| json!({"type": "code_interpreter_call", "container_id": id});
        let response = json!({
            "tools": [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}],
            "output": [action("search"), action("open_page"), code("c1"), code("c1"), code("c2"),
                {"type": "web_search_call", "status": "failed"}, {"type": "image_generation_call"}, {"type": "message"}],
        });
        let used =
            BilledUses::from_response(&response).usage().map(|usage| (usage.searches, usage.containers, usage.images));
        assert_eq!(used, Some((Some(1), Some(8), Some(1))));
        let told = json!({"output": [action("search")], "tool_usage": {"web_search": {"num_requests": 3}}});
        assert_eq!(BilledUses::from_response(&told).usage().and_then(|usage| usage.searches), Some(3));
        assert_eq!(BilledUses::from_response(&json!({"output": [{"type": "message"}], "tools": [{}]})).usage(), None);
    }
}
