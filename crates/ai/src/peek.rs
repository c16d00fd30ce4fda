//! What has to be known of a call before it goes out: its model, whether it streams, what it may cost.

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

pub(crate) use self::survey::estimate;
use self::survey::survey;
use crate::{
    call::ApiStyle,
    dialect::{
        anthropic::hosted as claude_hosted,
        fields::{self, has_escaped, may_have, whole},
        openai_responses::hosted,
    },
    gateway_error::GatewayError,
    heavy::off_loop,
    meter::{AssumedUses, ToolUses},
};

/// A look into the body of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek<'a> {
    pub model: Cow<'a, str>,
    pub stream: bool,
    /// Whether the caller wants the same answer each time: by a temperature of zero, or a seed.
    pub is_repeatable: bool,
    pub wanted: Wanted,
    /// The body as it goes on, where it is not as it came.
    pub mended: Option<Bytes>,
}

/// What a call may use, as far as its question says: what is held for it follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Tokens of the question by our estimate.
    pub input: u64,
    /// The most tokens that one answer may have; `None`: any number.
    pub max_output: Option<u64>,
    /// Tokens of what the answer is expected to be (`prediction`): those that turn out wrong are billed as if they had been written, beside the limit.
    pub predicted: u64,
    /// How many answers there are to be.
    pub choices: u64,
    /// Sound is sent or asked for.
    pub has_sound: bool,
    /// What tools of the provider's may do, about.
    pub tools: ToolUses,
    /// They may do more than that: its caller sets no bound.
    pub has_open_tools: bool,
    /// Its provider may shorten the conversation on the way: all of it is read twice then, and written for twice.
    pub is_shortened: bool,
}

impl Wanted {
    /// One answer in words.
    #[must_use]
    pub fn words(input: u64, max_output: Option<u64>) -> Self {
        let (has_sound, tools, has_open_tools, is_shortened) = (false, ToolUses::default(), false, false);
        Self { input, max_output, predicted: 0, choices: 1, has_sound, tools, has_open_tools, is_shortened }
    }
}

/// How the types of Anthropic's edits begin that shorten a conversation.
static SHORTENING: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| [Finder::new("\"compact_")]);

/// More answers to one question are refused.
const MOST_CHOICES: u64 = 128;
/// More messages and parts in one question are refused.
const MOST_ITEMS: usize = 10_000;

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
}

/// Reads what limits and holds need, or says what is wrong with the body.
pub async fn look(owner: WorkOwner, style: ApiStyle, body: &Bytes) -> Result<Peek<'static>, GatewayError> {
    let body = body.clone();
    let looking = off_loop(owner, body.len(), move || {
        peek(style, &body).map(Peek::kept).or_else(|error| {
            let Some(mended) = mended(&body) else { return Err(error) };
            let peek = peek(style, &mended).map(Peek::kept).map_err(|_| error)?;
            Ok(Peek { mended: Some(mended), ..peek })
        })
    });
    looking.await?
}

impl Peek<'_> {
    fn kept(self) -> Peek<'static> {
        let Self { model, stream, is_repeatable, wanted, mended } = self;
        Peek { model: Cow::Owned(model.into_owned()), stream, is_repeatable, wanted, mended }
    }
}

/// Fields with whole numbers that some programs write as fractions.
const COUNTS: [&str; 4] = ["max_tokens", "max_completion_tokens", "max_output_tokens", "n"];

/// A body as most libraries read it. None: nothing of it is another then, or it has more parts than are read.
fn mended(body: &[u8]) -> Option<Bytes> {
    if survey(body).items > MOST_ITEMS {
        return None;
    }
    fields::mended(body, &COUNTS).map(Bytes::from)
}

pub(crate) fn peek(style: ApiStyle, body: &Bytes) -> Result<Peek<'_>, GatewayError> {
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let model = model_name(head.model)?;
    let choices = head.n.unwrap_or(1);
    if choices == 0 || choices > MOST_CHOICES {
        return Err(GatewayError::invalid_param("n", format!("`n` must be between 1 and {MOST_CHOICES}.")));
    }
    let (max_output, choices) = match style {
        // Where both are there, which of them a provider heeds is its affair.
        ApiStyle::Chat => (head.max_completion_tokens.max(head.max_tokens), choices),
        ApiStyle::Responses => (head.max_output_tokens, 1),
        ApiStyle::Messages => (head.max_tokens, 1),
    };
    // To many servers a limit of 0 is none.
    let max_output = max_output.filter(|most| *most > 0);
    let prediction = head.prediction.filter(|_| style == ApiStyle::Chat);
    let predicted = prediction.map_or(0, |text| estimate(text.get().as_bytes()));
    let survey = survey(body);
    if survey.items > MOST_ITEMS {
        let field = if style == ApiStyle::Responses { "input" } else { "messages" };
        let message = format!("A question can have up to {MOST_ITEMS} messages and parts of them.");
        return Err(GatewayError::invalid_param(field, message));
    }
    let has_sound = survey.has_film || speaks_of_sound(body);
    let stream = head.stream.unwrap_or(false);
    let assumed = AssumedUses::of(stream);
    let (tools, has_open_tools) = match style {
        ApiStyle::Chat => {
            let searches = u64::from(head.web_search_options.is_some());
            (ToolUses { searches, ..ToolUses::default() }, false)
        }
        ApiStyle::Responses => {
            let most_calls = head.max_tool_calls.and_then(|most| serde_json::from_str::<Value>(most.get()).ok());
            let most_calls = most_calls.as_ref().and_then(whole);
            let tools = hosted::may_use(head.tools, head.input, most_calls, assumed)?;
            (tools, most_calls.is_none() && (tools.searches > 0 || tools.images > 0))
        }
        ApiStyle::Messages => claude_hosted::may_use(head.tools, assumed)?,
    };
    let is_shortened = style == ApiStyle::Messages && may_have(body, SHORTENING.as_slice());
    let input = survey.tokens;
    let is_repeatable = head.seed.is_some() || head.temperature.is_some_and(is_zero);
    let wanted = Wanted { input, max_output, predicted, choices, has_sound, tools, has_open_tools, is_shortened };
    Ok(Peek { model, stream, is_repeatable, wanted, mended: None })
}

/// Whether sound is a part of the question or of the answer that is asked for (`modalities`). A text that has these words may say so, too: it
/// is held for what sound costs, and pays for what it used.
fn speaks_of_sound(body: &[u8]) -> bool {
    let has = |name: &[u8]| memmem::find(body, name).is_some();
    has(b"\"input_audio\"")
        || (has(b"\"modalities\"") && has(b"\"audio\""))
        || has_escaped(body)
        || names_recording(body)
}

/// Escapes of large letters and of the slash: no program writes these, but for whoever hides a type from a search.
const HIDDEN: [&[u8]; 3] = [br"\u004", br"\u002f", br"\u002F"];

/// Whether the type of a recording stands somewhere: files and documents of every form may be one, which Gemini hears.
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
