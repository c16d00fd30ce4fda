//! Web search across API formats.
//!
//! Each client format asks for a search in its own way; [`read_into`] parses all of them into a
//! [`WebSearchTool`]. A deployment answers with its provider's own search, or else with the
//! gateway's search provider ([`SearchMethod`](method::SearchMethod)): the model then gets a
//! function, whose calls the gateway runs [in rounds](rounds).

pub(crate) mod client;
pub(crate) mod method;
pub(crate) mod round;
pub(crate) mod rounds;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use memchr::memmem::Finder;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

pub(crate) use self::client::SearchClient;
use crate::{
    ApiStyle,
    canonical::{Request, ToolChoice},
    dialect::fields::{Fields, lenient_count, may_have},
};

/// Maximum number of searches for an answer, if the request sets none.
pub(crate) const DEFAULT_SEARCHES: u64 = 5;
/// Maximum number of searches that the gateway runs for an answer.
const MAX_SEARCHES: u64 = 20;
/// Estimated maximum size of a search's results, in tokens.
pub const MAX_RESULT_TOKENS: u64 = 2_500;
/// Maximum number of domains in a filter.
const MAX_DOMAINS: usize = 100;
/// Anthropic's error code for a failed search.
pub(crate) const UNAVAILABLE: &str = "unavailable";
/// Name of the tool, if the request gives it none.
const TOOL_NAME: &str = "web_search";
/// Field of chat completions that asks for a search.
const OPTIONS_FIELD: &str = "web_search_options";
/// Names of the field that makes a tool of Gemini's API a search.
const GOOGLE_FIELDS: [&str; 4] = ["googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval"];

/// Search of a provider, by the form in which it is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnSearch {
    /// Tool `web_search` of OpenAI's Responses API.
    Responses,
    /// `web_search_options` of chat completions.
    Options,
    /// Anthropic's tool `web_search_20250305`.
    Claude,
    /// Gemini's tool `googleSearch`.
    Google,
    /// OpenRouter's plugin `web`.
    Plugin,
    /// The model searches for each answer and needs no request.
    Always,
    /// The provider has no search.
    Missing,
}

impl OwnSearch {
    /// Parses a value of the profile's setting `search`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "responses" => Self::Responses,
            "options" => Self::Options,
            "claude" => Self::Claude,
            "google" => Self::Google,
            "plugin" => Self::Plugin,
            "always" => Self::Always,
            "no" => Self::Missing,
            _ => return None,
        })
    }
}

/// Properties of a requested web search by which its cost is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchDemand {
    pub(crate) style: ApiStyle,
    pub(crate) is_tool: bool,
    pub(crate) is_alone: bool,
    /// Maximum number of searches.
    pub(crate) most: u64,
}

/// Web search that a request offers the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WebSearchTool {
    /// Name by which the tool choice refers to it.
    pub name: String,
    /// True if it is one of the request's tools, not an option.
    pub is_tool: bool,
    /// True if the request has no other tools.
    pub is_alone: bool,
    /// True if the model must search.
    pub is_forced: bool,
    /// Maximum number of searches.
    pub max_uses: Option<u64>,
    /// OpenAI's `search_context_size`.
    pub context_size: Option<String>,
    pub allowed_domains: Vec<String>,
    pub blocked_domains: Vec<String>,
    /// Approximate location of the user: `city`, `region`, `country`, `timezone`.
    pub location: Option<Map<String, Value>>,
    /// Search of the provider to which the request is written; `None` if it has to be left out.
    pub own: Option<OwnSearch>,
}

impl WebSearchTool {
    /// Maximum number of searches.
    pub fn most(&self) -> u64 {
        self.max_uses.unwrap_or(DEFAULT_SEARCHES).min(MAX_SEARCHES)
    }

    /// True if the provider's answer doesn't count the searches.
    pub fn is_uncounted(&self) -> bool {
        matches!(self.own, Some(OwnSearch::Options | OwnSearch::Plugin))
    }

    pub fn demand(&self, style: ApiStyle) -> SearchDemand {
        SearchDemand { style, is_tool: self.is_tool, is_alone: self.is_alone, most: self.most() }
    }

    /// True if the domain filters admit the page.
    fn admits(&self, page: &SearchPage) -> bool {
        let Some(host) = Url::parse(&page.url).ok().and_then(|url| url.host_str().map(str::to_owned)) else {
            return false;
        };
        let is_below = |domain: &String| {
            let domain = domain.split('/').next().unwrap_or(domain);
            host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        (self.allowed_domains.is_empty() || self.allowed_domains.iter().any(is_below))
            && !self.blocked_domains.iter().any(is_below)
    }
}

/// Web page that a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SearchPage {
    pub url: String,
    pub title: String,
    /// Excerpt.
    pub text: String,
}

/// Web search that was run for an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SearchRun {
    pub query: String,
    pub pages: Vec<SearchPage>,
    /// Anthropic's error code, if the search failed.
    pub error: Option<&'static str>,
}

static MARKS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["web_search", "googleSearch", "google_search"].map(Finder::new));

/// True if the body may ask for a web search.
pub(crate) fn may_have_search(body: &[u8]) -> bool {
    may_have(body, MARKS.as_slice())
}

/// Finds the web search that a body asks for, without parsing the conversation. Malformed bodies
/// have none.
pub(crate) fn find(body: &[u8]) -> Option<WebSearchTool> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        tools: Option<&'a RawValue>,
        #[serde(borrow)]
        web_search_options: Option<&'a RawValue>,
        #[serde(borrow)]
        tool_choice: Option<&'a RawValue>,
        #[serde(borrow)]
        max_tool_calls: Option<&'a RawValue>,
    }
    let head: Head<'_> = may_have_search(body).then(|| serde_json::from_slice(body).ok()).flatten()?;
    let fields = [
        ("tools", head.tools),
        (OPTIONS_FIELD, head.web_search_options),
        ("tool_choice", head.tool_choice),
        ("max_tool_calls", head.max_tool_calls),
    ];
    let parse =
        |(name, raw): (&str, Option<&RawValue>)| Some((name.to_owned(), serde_json::from_str(raw?.get()).ok()?));
    read(&Value::Object(fields.into_iter().filter_map(parse).collect()))
}

/// Adds the web search that a body asks for to the parsed request. A tool choice that names the
/// search, or leaves only the search to choose from, moves to it.
pub(crate) fn read_into(body: &Value, request: &mut Request) {
    let Some(search) = read(body).filter(|_| request.tool_choice != Some(ToolChoice::None)) else { return };
    let is_function = |name: &String| request.tools.iter().any(|tool| tool.name == *name);
    match &request.tool_choice {
        Some(ToolChoice::Named(name)) if *name == search.name && !is_function(name) => request.tool_choice = None,
        Some(_) if request.tools.is_empty() => request.tool_choice = None,
        _ => {}
    }
    request.web_search = Some(search);
}

/// Parses the web search of a request in any client format.
fn read(body: &Value) -> Option<WebSearchTool> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tool = tools.iter().find(|tool| is_search_tool(tool));
    let options = Some(&body[OPTIONS_FIELD]).filter(|options| options.is_object());
    if tool.is_none() && options.is_none() {
        return None;
    }
    let none = Value::Null;
    let is_alone = tools.iter().all(is_search_tool);
    let (tool, options) = (tool.unwrap_or(&none), options.unwrap_or(&none));
    let name = tool["name"].as_str().unwrap_or(TOOL_NAME);
    let google = GOOGLE_FIELDS.iter().map(|field| &tool[*field]).find(|search| search.is_object()).unwrap_or(&none);
    let max_uses = lenient_count(&tool["max_uses"]).or_else(|| lenient_count(&body["max_tool_calls"]));
    let context_size = [&tool["search_context_size"], &options["search_context_size"]];
    let location = [&options["user_location"]["approximate"], &tool["user_location"], &options["user_location"]];
    Some(WebSearchTool {
        name: name.to_owned(),
        is_tool: !tool.is_null(),
        is_alone,
        is_forced: is_forced(&body["tool_choice"], name, is_alone),
        max_uses,
        context_size: context_size.into_iter().find_map(Value::as_str).map(str::to_owned),
        allowed_domains: domains([&tool["allowed_domains"], &tool["filters"]["allowed_domains"]]),
        blocked_domains: domains([&tool["blocked_domains"], &google["excludeDomains"]]),
        location: location.into_iter().find_map(Value::as_object).map(read_location),
        own: None,
    })
}

/// True for a search tool of any provider's API.
pub(crate) fn is_search(tool: &Fields<'_>) -> bool {
    is_search_of(tool.get("type"), |field| tool.get(field))
}

fn is_search_tool(tool: &Value) -> bool {
    is_search_of(tool.get("type"), |field| tool.get(field))
}

fn is_search_of<'a>(kind: Option<&Value>, field: impl Fn(&str) -> Option<&'a Value>) -> bool {
    match kind.and_then(Value::as_str) {
        Some(kind) => kind.starts_with("web_search"),
        None => GOOGLE_FIELDS.iter().any(|name| field(name).is_some_and(Value::is_object)),
    }
}

fn is_forced(choice: &Value, name: &str, is_alone: bool) -> bool {
    match choice {
        Value::String(choice) => is_alone && matches!(choice.as_str(), "required" | "any"),
        choice => match choice["type"].as_str() {
            Some("tool") => choice["name"] == name,
            Some("any") => is_alone,
            Some(kind) => kind.starts_with("web_search"),
            None => false,
        },
    }
}

/// Location in the form of OpenAI and Anthropic.
pub(crate) fn approximate(location: &Map<String, Value>) -> Value {
    let mut written = location.clone();
    written.insert("type".to_owned(), "approximate".into());
    written.into()
}

fn domains(lists: [&Value; 2]) -> Vec<String> {
    let names = lists.into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    names.take(MAX_DOMAINS).map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
}

fn read_location(location: &Map<String, Value>) -> Map<String, Value> {
    let known = |name: &&str| location.get(*name).is_some_and(Value::is_string);
    let fields = ["city", "region", "country", "timezone"].into_iter().filter(known);
    fields.map(|name| (name.to_owned(), location[name].clone())).collect()
}
