//! Profiles: the chat completions that a server and a model accept. Servers refuse a whole request
//! for a role, a field or an order of messages that they don't support, and callers can't know which
//! server answers, so requests are [adapted](adapt) to the profile before they are sent.
//!
//! The profile of a deployment consists of the rows of the [table](self) that match, an
//! administrator's settings, and what was [learned](refusal) from refusals.

pub(crate) mod adapt;
pub(crate) mod refusal;

use std::{str::FromStr, sync::LazyLock};

use memchr::memmem;
use reqwest::Url;

use crate::{
    ProviderKind,
    batch::BatchForm,
    canonical::{Effort, MediaKind, Request},
    params::{self, Thoughts, canonical_name, matches_model},
    web_search::OwnSearch,
};

/// Position of system messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SystemPosition {
    #[default]
    Any,
    First,
    None,
}

/// Role of the last message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LastMessage {
    #[default]
    Any,
    User,
    /// An assistant message at the end needs Mistral's `prefix: true`.
    Prefix,
}

/// Support of structured output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SchemaSupport {
    #[default]
    Full,
    /// Only `json_object`.
    Object,
    None,
    /// Only `json_schema`.
    Only,
}

/// Support of a tool choice that forces a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ForcedTool {
    #[default]
    Yes,
    NotThinking,
    No,
}

/// Reasoning effort beside tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ToolEffort {
    #[default]
    Any,
    /// The effort must be `none`.
    None,
    /// The field must be absent.
    Drop,
}

/// Field that switches thinking off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ThinkingSwitch {
    #[default]
    Effort,
    /// `thinking: {"type": "disabled"}`.
    Thinking,
    /// `enable_thinking: false`.
    EnableThinking,
}

/// Field of earlier reasoning in assistant messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ThoughtsField {
    #[default]
    AsIs,
    /// `reasoning` in place of `reasoning_content`.
    Reasoning,
    /// `reasoning_content`, required beside calls.
    Always,
    No,
}

/// API that answers chat requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ChatApi {
    #[default]
    Chat,
    /// OpenAI's Responses API.
    Responses,
    /// The Responses API for reasoning beside tools, chat completions otherwise.
    ResponsesForTools,
}

/// Requests that a deployment accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    api: ChatApi,
    system: SystemPosition,
    refuses_developer: bool,
    alternates: bool,
    refuses_user_after_tool: bool,
    last: LastMessage,
    left_out: Vec<MediaKind>,
    /// The content of a message must be a string.
    refuses_text_parts: bool,
    /// Images must be inline.
    refuses_image_urls: bool,
    schema: SchemaSupport,
    needs_json_word: bool,
    forced_tool: ForcedTool,
    refuses_named_tool: bool,
    tool_effort: ToolEffort,
    efforts: Vec<Effort>,
    thinking_switch: ThinkingSwitch,
    thoughts: ThoughtsField,
    newer_limit: Option<bool>,
    max_output: Option<u64>,
    max_stops: Option<usize>,
    max_cache_marks: Option<usize>,
    max_temperature: Option<u8>,
    has_short_call_ids: bool,
    refuses_empty_parameters: bool,
    /// Schemas of tools are repaired.
    repairs_tool_schemas: bool,
    /// Assistant messages need text or calls.
    refuses_empty_answers: bool,
    /// Each call has exactly one result.
    pairs_tool_results: bool,
    /// Messages of users and tools need a text.
    refuses_empty_content: bool,
    streams_only: bool,
    search: Option<OwnSearch>,
    batch: Option<BatchForm>,
    /// Price in batches, in percent of the ordinary one.
    batch_price: Option<u8>,
    shortened: Vec<String>,
    dropped: Vec<String>,
}

/// Row of the table.
struct Row {
    server: &'static str,
    model: &'static str,
    settings: Vec<&'static str>,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let lines = include_str!("profile/profiles.tsv").lines().filter(|line| !line.starts_with('#'));
    let rows = lines.filter_map(|line| {
        let mut columns = line.split('\t');
        let (server, model, settings) = (columns.next()?, columns.next()?, columns.next()?);
        Some(Row { server, model, settings: settings.split(' ').collect() })
    });
    rows.collect()
});

impl Row {
    fn matches(&self, kind: ProviderKind, base: &Url, model: &str) -> bool {
        let is_server = match (self.server, self.server.strip_prefix("kind:"), self.server.strip_prefix(':')) {
            ("*", ..) => true,
            (_, Some(name), _) => kind.name() == name,
            (_, _, Some(port)) => base.port().is_some_and(|own| port.parse() == Ok(own)),
            (host, ..) => base.host_str().is_some_and(|own| {
                own.strip_suffix(host).is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }),
        };
        is_server && matches_model(self.model, model)
    }
}

impl Profile {
    /// Profile of a deployment by the table and these further settings. Invalid settings are
    /// skipped.
    pub fn of<'a>(kind: ProviderKind, base: &Url, model: &str, further: impl IntoIterator<Item = &'a str>) -> Self {
        let plain = canonical_name(model);
        let rows = ROWS.iter().filter(|row| row.matches(kind, base, &plain));
        let mut profile = Self::default();
        if params::find(model).is_some_and(|params| params.thoughts == Thoughts::Always) {
            profile.thoughts = ThoughtsField::Always;
        }
        for setting in rows.flat_map(|row| row.settings.iter().copied()).chain(further) {
            _ = profile.set(setting);
        }
        profile
    }

    /// The same profile with further settings.
    pub fn with<'a>(&self, further: impl IntoIterator<Item = &'a str>) -> Self {
        let mut profile = self.clone();
        for setting in further {
            _ = profile.set(setting);
        }
        profile
    }

    /// True if only the Responses API serves the model.
    pub fn always_needs_responses(&self) -> bool {
        self.api == ChatApi::Responses
    }

    /// True if the Responses API might have to answer this chat completions body.
    pub fn may_need_responses(&self, body: &[u8]) -> bool {
        let has = |name: &str| memmem::find(body, name.as_bytes()).is_some();
        match self.api {
            ChatApi::Chat => false,
            ChatApi::Responses => true,
            ChatApi::ResponsesForTools => has("\"tools\"") && has("\"reasoning"),
        }
    }

    /// True if the Responses API has to answer the request.
    pub fn needs_responses(&self, request: &Request) -> bool {
        match self.api {
            ChatApi::Chat => false,
            ChatApi::Responses => true,
            ChatApi::ResponsesForTools => {
                !request.tools.is_empty() && request.reasoning.as_ref().is_some_and(|reasoning| !reasoning.is_off())
            }
        }
    }

    /// True if this field is removed from requests.
    pub fn drops(&self, field: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped == field)
    }

    /// True if turns with calls need earlier reasoning.
    pub fn requires_thoughts(&self) -> bool {
        self.thoughts == ThoughtsField::Always
    }

    /// True if images have to be sent inline.
    pub fn refuses_image_urls(&self) -> bool {
        self.refuses_image_urls
    }

    /// Web search of the provider; `None` if that isn't known.
    pub fn search(&self) -> Option<OwnSearch> {
        self.search
    }

    /// Batch API of the provider, and its price in percent of the ordinary one; `None` if requests of
    /// batches are sent one by one.
    pub fn batch(&self) -> Option<(BatchForm, u8)> {
        Some((self.batch?, self.batch_price.unwrap_or(100)))
    }

    /// Applies a setting of the form `name=value`. Returns false if there is no such setting.
    pub fn set(&mut self, setting: &str) -> bool {
        let Some((name, value)) = setting.split_once('=') else { return false };
        match (name, value) {
            ("api", "chat") => self.api = ChatApi::Chat,
            ("api", "responses") => self.api = ChatApi::Responses,
            ("api", "responses_for_tools") => self.api = ChatApi::ResponsesForTools,
            // Applies when a request is translated, not when it is adapted.
            ("cache", "auto" | "no") => {}
            ("system", "any") => self.system = SystemPosition::Any,
            ("system", "first") => self.system = SystemPosition::First,
            ("system", "none") => self.system = SystemPosition::None,
            ("developer", _) => return set_flag(&mut self.refuses_developer, value, "no"),
            ("turns", "any") => self.alternates = false,
            ("turns", "alternate") => self.alternates = true,
            ("user_after_tool", _) => return set_flag(&mut self.refuses_user_after_tool, value, "no"),
            ("last", "any") => self.last = LastMessage::Any,
            ("last", "user") => self.last = LastMessage::User,
            ("last", "prefix") => self.last = LastMessage::Prefix,
            ("images", _) => return self.set_media(MediaKind::Image, value),
            ("files", _) => return self.set_media(MediaKind::File, value),
            ("audio", _) => return self.set_media(MediaKind::Audio, value),
            ("image_urls", _) => return set_flag(&mut self.refuses_image_urls, value, "no"),
            ("text_parts", _) => return set_flag(&mut self.refuses_text_parts, value, "no"),
            ("schema", "yes") => self.schema = SchemaSupport::Full,
            ("schema", "object") => self.schema = SchemaSupport::Object,
            ("schema", "no") => self.schema = SchemaSupport::None,
            ("schema", "only") => self.schema = SchemaSupport::Only,
            ("json_word", _) => return set_flag(&mut self.needs_json_word, value, "yes"),
            ("forced_tool", "yes") => self.forced_tool = ForcedTool::Yes,
            ("forced_tool", "not_thinking") => self.forced_tool = ForcedTool::NotThinking,
            ("forced_tool", "no") => self.forced_tool = ForcedTool::No,
            ("named_tool", _) => return set_flag(&mut self.refuses_named_tool, value, "no"),
            ("tool_effort", "any") => self.tool_effort = ToolEffort::Any,
            ("tool_effort", "none") => self.tool_effort = ToolEffort::None,
            ("tool_effort", "drop") => self.tool_effort = ToolEffort::Drop,
            ("efforts", "any") => self.efforts.clear(),
            ("efforts", names) => {
                let Some(mut efforts) = names.split(',').map(Effort::parse).collect::<Option<Vec<_>>>() else {
                    return false;
                };
                efforts.sort_unstable();
                self.efforts = efforts;
            }
            ("thinking_switch", "effort") => self.thinking_switch = ThinkingSwitch::Effort,
            ("thinking_switch", "thinking") => self.thinking_switch = ThinkingSwitch::Thinking,
            ("thinking_switch", "enable_thinking") => self.thinking_switch = ThinkingSwitch::EnableThinking,
            ("thoughts", "as_is") => self.thoughts = ThoughtsField::AsIs,
            ("thoughts", "reasoning") => self.thoughts = ThoughtsField::Reasoning,
            ("thoughts", "always") => self.thoughts = ThoughtsField::Always,
            ("thoughts", "no") => self.thoughts = ThoughtsField::No,
            ("limit", "max_tokens") => self.newer_limit = Some(false),
            ("limit", "max_completion_tokens") => self.newer_limit = Some(true),
            ("max_output", _) => return set_number(&mut self.max_output, value),
            ("max_temperature", _) => return set_number(&mut self.max_temperature, value),
            ("cache_marks", _) => return set_number(&mut self.max_cache_marks, value),
            ("max_stops", _) => return set_number(&mut self.max_stops, value),
            ("call_ids", "any") => self.has_short_call_ids = false,
            ("call_ids", "9") => self.has_short_call_ids = true,
            ("empty_parameters", _) => return set_flag(&mut self.refuses_empty_parameters, value, "no"),
            ("tool_schemas", "any") => self.repairs_tool_schemas = false,
            ("tool_schemas", "repaired") => self.repairs_tool_schemas = true,
            ("tool_results", "any") => self.pairs_tool_results = false,
            ("tool_results", "paired") => self.pairs_tool_results = true,
            ("empty_answers", _) => return set_flag(&mut self.refuses_empty_answers, value, "no"),
            ("empty_content", _) => return set_flag(&mut self.refuses_empty_content, value, "no"),
            ("stream", "any") => self.streams_only = false,
            ("stream", "only") => self.streams_only = true,
            ("search", name) => {
                let Some(search) = OwnSearch::parse(name) else { return false };
                self.search = Some(search);
            }
            ("batch", "no") => self.batch = None,
            ("batch", name) => {
                let Some(form) = BatchForm::parse(name) else { return false };
                self.batch = Some(form);
            }
            ("batch_price", percent) => {
                let Some(percent) = percent.parse().ok().filter(|percent| (1..=100).contains(percent)) else {
                    return false;
                };
                self.batch_price = Some(percent);
            }
            ("short", field) if is_path(field) => self.shortened.push(field.to_owned()),
            ("drop", path) if adapt::may_drop(path) => self.dropped.push(path.to_owned()),
            _ => return false,
        }
        true
    }

    fn set_media(&mut self, kind: MediaKind, value: &str) -> bool {
        let mut is_left_out = self.left_out.contains(&kind);
        let is_known = set_flag(&mut is_left_out, value, "no");
        self.left_out.retain(|known| *known != kind);
        self.left_out.extend(is_left_out.then_some(kind));
        is_known
    }
}

/// Sets a flag to whether the value, `yes` or `no`, is `on`.
fn set_flag(flag: &mut bool, value: &str, on: &str) -> bool {
    let is_known = matches!(value, "yes" | "no");
    if is_known {
        *flag = value == on;
    }
    is_known
}

fn set_number<T: FromStr>(number: &mut Option<T>, value: &str) -> bool {
    let parsed = value.parse().ok();
    let is_known = parsed.is_some();
    if is_known {
        *number = parsed;
    }
    is_known
}

/// True for a field name, or several joined by dots.
fn is_path(path: &str) -> bool {
    !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

#[cfg(test)]
mod tests;
