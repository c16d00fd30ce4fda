//! Properties of a call needed before it is sent: model, streaming, and maximum cost.

mod labels;
mod survey;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::LazyLock};

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use memchr::{
    memchr_iter,
    memmem::{self, Finder},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

pub use self::labels::{RequestLabels, parse_end_user, parse_tag};
use self::{labels::LabelFields, survey::survey};
pub(crate) use self::{labels::read_labels, survey::estimate};
use crate::{
    blocking_pool::run,
    call::ApiStyle,
    dialect::{
        anthropic::server_tools as claude_hosted,
        fields::{self, has_escaped, lenient_count, may_have, whole_number},
        gemini,
        openai_responses::server_tools,
    },
    gateway_error::GatewayError,
    meter::{AssumedUses, ToolUses},
    web_search::{self, SearchDemand},
};

/// Properties of a call's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo<'a> {
    pub model: Cow<'a, str>,
    pub stream: bool,
    /// True if the caller wants reproducible answers: temperature zero or a seed.
    pub is_repeatable: bool,
    pub estimate: TokenEstimate,
    pub labels: RequestLabels,
    /// Normalised body, if it differs from the original.
    pub normalised_body: Option<Bytes>,
}

/// Maximum usage of a call, from which its reservation follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEstimate {
    /// Estimated input tokens.
    pub input: u64,
    /// Maximum tokens of one answer; `None`: unlimited.
    pub max_output: Option<u64>,
    /// Tokens of the predicted output (`prediction`). Wrong ones are billed as output, beyond the
    /// limit.
    pub predicted: u64,
    /// Number of answers; 0 for embeddings in Gemini's format.
    pub choices: u64,
    /// True if audio is sent or requested.
    pub has_audio: bool,
    /// Estimated uses of provider-run tools.
    pub tools: ToolUses,
    /// Web search that the request asks for.
    pub search: Option<SearchDemand>,
    /// True if tool uses may exceed the estimate because the caller sets no limit.
    pub has_open_tools: bool,
    /// True if the provider may compact the conversation: the whole input is then billed twice, and
    /// so is the output.
    pub is_shortened: bool,
}

impl TokenEstimate {
    /// Usage of one text answer.
    #[must_use]
    pub fn text_only(input: u64, max_output: Option<u64>) -> Self {
        Self {
            input,
            max_output,
            predicted: 0,
            choices: 1,
            has_audio: false,
            tools: ToolUses::default(),
            search: None,
            has_open_tools: false,
            is_shortened: false,
        }
    }
}

/// Prefix of Anthropic's context edits that compact the conversation.
static COMPACTION_MARKS: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| [Finder::new("\"compact_")]);

/// Maximum number of answers to one request.
const MAX_CHOICES: u64 = 128;
/// Maximum number of messages and parts in one request.
const MAX_ITEMS: usize = 10_000;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    stream: Option<bool>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    n: Option<u64>,
    #[serde(borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    seed: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    web_search_options: Option<&'a RawValue>,
    #[serde(borrow)]
    prediction: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    safety_identifier: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    /// Settings of Gemini's API.
    #[serde(borrow, rename = "generationConfig")]
    generation_config: Option<&'a RawValue>,
}

impl Head<'_> {
    fn generation_config(&self) -> Value {
        self.generation_config.and_then(|config| serde_json::from_str(config.get()).ok()).unwrap_or_default()
    }
}

/// Inspects a body on the blocking pool, or returns the error in it.
pub async fn inspect(owner: WorkOwner, style: ApiStyle, body: &Bytes) -> Result<RequestInfo<'static>, GatewayError> {
    let body = body.clone();
    let looking = run(owner, body.len(), move || {
        inspect_body(style, &body).map(RequestInfo::into_owned).or_else(|error| {
            let with_field =
                |error: GatewayError| if error.param.is_none() { field_error(&body).unwrap_or(error) } else { error };
            let Some(mended) = normalised(&body) else { return Err(with_field(error)) };
            let peek = inspect_body(style, &mended)
                .map(RequestInfo::into_owned)
                .map_err(|second| if second.param.is_some() { second } else { with_field(error) })?;
            Ok(RequestInfo { normalised_body: Some(mended), ..peek })
        })
    });
    looking.await?
}

impl RequestInfo<'_> {
    fn into_owned(self) -> RequestInfo<'static> {
        let Self { model, stream, is_repeatable, estimate: wanted, labels, normalised_body: mended } = self;
        RequestInfo {
            model: Cow::Owned(model.into_owned()),
            stream,
            is_repeatable,
            estimate: wanted,
            labels,
            normalised_body: mended,
        }
    }
}

/// Integer fields that some clients send as floating-point numbers.
const COUNT_FIELDS: [&str; 4] = ["max_tokens", "max_completion_tokens", "max_output_tokens", "n"];

/// Error about the first field of another type than this module reads.
fn field_error(body: &[u8]) -> Option<GatewayError> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let is_wrong = |name: &str| !value[name].is_null() && whole_number(&value[name]).is_none();
    if let Some(name) = COUNT_FIELDS.iter().find(|name| is_wrong(name)) {
        return Some(GatewayError::invalid_param(*name, format!("`{name}` must be a whole number.")));
    }
    let is_flag = value["stream"].is_null() || value["stream"].is_boolean();
    (!is_flag).then(|| GatewayError::invalid_param("stream", "`stream` must be true or false."))
}

/// Normalises a body. `None` if nothing changes or it has too many parts.
fn normalised(body: &[u8]) -> Option<Bytes> {
    if survey(body).items > MAX_ITEMS {
        return None;
    }
    fields::normalised(body, &COUNT_FIELDS).map(Bytes::from)
}

pub(crate) fn inspect_body(style: ApiStyle, body: &Bytes) -> Result<RequestInfo<'_>, GatewayError> {
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let model = model_name(head.model)?;
    let config = if style == ApiStyle::Gemini { head.generation_config() } else { Value::Null };
    // Only answers have this field, which the gateway adds.
    let embeds = style == ApiStyle::Gemini && head.stream.is_none();
    let (choices_field, choices) = match style {
        ApiStyle::Gemini if embeds => ("candidateCount", 0),
        ApiStyle::Gemini => ("candidateCount", lenient_count(&config["candidateCount"]).unwrap_or(1).max(1)),
        ApiStyle::Chat | ApiStyle::Responses | ApiStyle::Messages => ("n", head.n.unwrap_or(1)),
    };
    if (choices == 0 && !embeds) || choices > MAX_CHOICES {
        let message = format!("`{choices_field}` must be between 1 and {MAX_CHOICES}.");
        return Err(GatewayError::invalid_param(choices_field, message));
    }
    let (max_output, choices) = match style {
        // If both limits are set, the provider may use either one, so the larger counts.
        ApiStyle::Chat => (head.max_completion_tokens.max(head.max_tokens), choices),
        ApiStyle::Responses => (head.max_output_tokens, 1),
        ApiStyle::Messages => (head.max_tokens, 1),
        ApiStyle::Gemini => (lenient_count(&config["maxOutputTokens"]), choices),
    };
    // Many servers treat a limit of 0 as unlimited.
    let max_output = max_output.filter(|most| *most > 0);
    let prediction = head.prediction.filter(|_| style == ApiStyle::Chat);
    let predicted = prediction.map_or(0, |text| estimate(text.get().as_bytes()));
    let survey = survey(body);
    if survey.items > MAX_ITEMS {
        let field = match style {
            ApiStyle::Responses => "input",
            ApiStyle::Chat | ApiStyle::Messages => "messages",
            ApiStyle::Gemini => "contents",
        };
        let message = format!("A question can have up to {MAX_ITEMS} messages and parts of them.");
        return Err(GatewayError::invalid_param(field, message));
    }
    let has_sound = survey.has_video || may_have_audio(body);
    let stream = head.stream.unwrap_or(false);
    let assumed = AssumedUses::for_call(stream);
    let (tools, has_open_tools) = match style {
        ApiStyle::Chat => {
            let searches = u64::from(head.web_search_options.is_some());
            (ToolUses { searches, ..ToolUses::default() }, false)
        }
        ApiStyle::Responses => {
            let most_calls = head.max_tool_calls.and_then(|most| serde_json::from_str::<Value>(most.get()).ok());
            let most_calls = most_calls.as_ref().and_then(whole_number);
            let tools = server_tools::max_tool_uses(head.tools, head.input, most_calls, assumed)?;
            (tools, most_calls.is_none() && (tools.searches > 0 || tools.images > 0))
        }
        ApiStyle::Messages => claude_hosted::max_tool_uses(head.tools, assumed)?,
        ApiStyle::Gemini => gemini::passthrough::max_tool_uses(head.tools, assumed),
    };
    let is_shortened = style == ApiStyle::Messages && may_have(body, COMPACTION_MARKS.as_slice());
    let input = survey.tokens;
    let is_repeatable = match style {
        ApiStyle::Gemini => embeds || !config["seed"].is_null() || config["temperature"].as_f64() == Some(0.0),
        ApiStyle::Chat | ApiStyle::Responses | ApiStyle::Messages => {
            head.seed.is_some() || head.temperature.is_some_and(is_zero)
        }
    };
    let wanted = TokenEstimate {
        input,
        max_output,
        predicted,
        choices,
        has_audio: has_sound,
        tools,
        search: web_search::find(body).map(|search| search.demand(style)),
        has_open_tools,
        is_shortened,
    };
    let Head { user, safety_identifier, metadata, .. } = head;
    let labels = LabelFields { user, safety_identifier, metadata }.read();
    Ok(RequestInfo { model, stream, is_repeatable, estimate: wanted, labels, normalised_body: None })
}

/// True if audio is part of the input or of the requested output (`modalities`). Text with these
/// words matches too: its reservation is larger, but only actual usage is billed.
fn may_have_audio(body: &[u8]) -> bool {
    let has = |name: &[u8]| memmem::find(body, name).is_some();
    has(b"\"input_audio\"")
        || (has(b"\"modalities\"") && has(b"\"audio\""))
        || has_escaped(body)
        || names_recording(body)
}

/// Escapes of upper-case letters and the slash; clients write these only to hide a type from a
/// substring search.
const HIDDEN: [&[u8]; 3] = [br"\u004", br"\u002f", br"\u002F"];

/// True if the media type of a recording occurs anywhere in the body, because any file part may be
/// a recording, and Gemini transcribes it.
fn names_recording(body: &[u8]) -> bool {
    let is_kind = |before: &[u8]| {
        let before = before.strip_suffix(b"\\").unwrap_or(before);
        let kind = before.last_chunk::<5>();
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"audio") || kind.eq_ignore_ascii_case(b"video"))
    };
    memchr_iter(b'/', body).any(|at| is_kind(&body[..at]))
        || HIDDEN.iter().any(|hidden| memmem::find(body, hidden).is_some())
}

fn is_zero(raw: &RawValue) -> bool {
    raw.get().parse::<f64>().is_ok_and(|number| number == 0.0)
}

fn model_name(raw: Option<&RawValue>) -> Result<Cow<'_, str>, GatewayError> {
    let wrong = || GatewayError::invalid_param("model", "`model` must be the name of a model.");
    let raw = raw.map(RawValue::get).ok_or_else(wrong)?;
    let plain = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|name| !name.contains('\\'));
    let name = match plain {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(serde_json::from_str::<String>(raw).map_err(|_| wrong())?),
    };
    if name.trim().is_empty() { Err(wrong()) } else { Ok(name) }
}
