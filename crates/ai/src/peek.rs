//! What has to be known of a call before it goes out: its model, whether it streams, what it may cost.

use std::{borrow::Cow, fmt, sync::LazyLock};

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use memchr::{
    memchr_iter,
    memmem::{self, Finder},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::{
    call::ApiStyle,
    dialect::{
        anthropic::hosted as claude_hosted,
        fields::{self, has_escaped, may_have, whole},
        gemini::request::is_googles,
        halves,
        openai_responses::hosted,
    },
    gateway_error::GatewayError,
    heavy::off_loop,
    meter::{AssumedUses, ToolUses, quarters},
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

/// Strings shorter than this are no pictures and no sound.
const SHORTEST_MEDIA: usize = 2_048;
/// Tokens of a picture, about.
const MEDIA_TOKENS: u64 = 1_000;
/// Bytes of base64 for one more token: compressed speech is the densest.
const MEDIA_BYTES_PER_TOKEN: u64 = 300;
/// Tokens of a document that is named by its address or its id, about.
const DOCUMENT_TOKENS: u64 = 20_000;
/// Tokens of a film that is named by its address, about: five minutes.
const FILM_TOKENS: u64 = 100_000;
/// So many letters without a space are no word: each is about half a token.
const LONGEST_WORD: usize = 64;

/// Estimates the tokens of a JSON body. Pictures, sound and documents cost less than their bytes, or more than their address: where they stand in
/// a message, and there alone. A text stays one whatever it looks like.
pub(crate) fn estimate(body: &[u8]) -> u64 {
    survey(body).tokens
}

struct Survey {
    tokens: u64,
    /// Messages and parts, where they are many.
    items: usize,
    /// It may name a film, which has sound.
    has_film: bool,
}

fn survey(body: &[u8]) -> Survey {
    let mut media = Media::default();
    // Most bodies have neither media nor many parts, and are not gone through.
    if has_candidate(body) || memchr_iter(b'{', body).nth(MOST_ITEMS).is_some() {
        // A question that can't be read for half of a character in a text is mended where it is translated: what it names counts.
        let found = media_in(body).or_else(|cut| halves::without(body).map_or(Err(cut), |mended| media_in(&mended)));
        media = found.unwrap_or_else(|items| Media { items, ..Media::default() });
    }
    let text = quarters(body) + dense(body).saturating_sub(media.bytes);
    let tokens = text.saturating_sub(media.bytes).div_ceil(4) + media.tokens;
    Survey { tokens, items: media.items, has_film: media.has_film }
}

/// What in a body is no text; where it can't be read, how many items were found until then.
fn media_in(body: &[u8]) -> Result<Media, usize> {
    let mut media = Media::default();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let place = Place { parent: "", key: "", depth: 0, is_argument: false, in_list: false };
    match place.deserialize_with(&mut media, &mut reader) {
        Ok(()) => Ok(media),
        Err(_) => Err(media.items),
    }
}

fn has_candidate(body: &[u8]) -> bool {
    let names = [&b"\"image_url\""[..], b"\"input_audio\"", b"\"source\"", b"\"file_"];
    names.iter().any(|name| memmem::find(body, name).is_some()) || has_escaped(body)
}

/// One more quarter of a token for each letter that is a part of no word.
fn dense(body: &[u8]) -> u64 {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    let runs = body.split(|byte| !is_letter(byte)).map(<[u8]>::len);
    runs.filter(|length| *length > LONGEST_WORD).sum::<usize>() as u64
}

/// What in a body is no text.
#[derive(Default)]
struct Media {
    /// Of text, if it were one.
    bytes: u64,
    tokens: u64,
    /// Objects in lists: messages, parts, tools.
    items: usize,
    has_film: bool,
}

impl Media {
    /// Something stands at an address: so many tokens, about, unless it is a film that Gemini watches.
    fn name(&mut self, address: &str, tokens: u64) {
        let is_film = is_googles(address);
        self.has_film |= is_film;
        self.tokens += if is_film { FILM_TOKENS } else { tokens };
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// The key of the object around it.
    parent: &'p str,
    key: &'p str,
    depth: usize,
    /// Within what a tool is called with, or what it takes: whatever it is called, it is text.
    is_argument: bool,
    /// It is one of a list.
    in_list: bool,
}

impl Place<'_> {
    fn deserialize_with<'de, D: Deserializer<'de>>(self, media: &mut Media, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(Walk { place: self, media })
    }

    /// `escapes`: how many bytes more the text has in the body, about.
    fn look(self, text: &str, escapes: usize, media: &mut Media) {
        if self.is_argument {
            return;
        }
        let is_medium = match (self.parent, self.key) {
            ("image_url", "url") | (_, "image_url") | ("input_audio", "data") => true,
            ("source", "data" | "url") | (_, "file_data") => true,
            (_, "file_id" | "file_url") => {
                media.name(text, DOCUMENT_TOKENS);
                return;
            }
            _ => false,
        };
        if !is_medium {
            return;
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            media.name(text, if self.key == "file_data" { DOCUMENT_TOKENS } else { MEDIA_TOKENS });
        } else if text.len() >= SHORTEST_MEDIA {
            media.bytes += (text.len() + escapes) as u64;
            media.tokens += MEDIA_TOKENS + text.len() as u64 / MEDIA_BYTES_PER_TOKEN;
        }
    }
}

struct Walk<'p, 'm> {
    place: Place<'p>,
    media: &'m mut Media,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        self.place.deserialize_with(self.media, reader)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.place.look(text, 0, self.media);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        // It has escapes. What some programs escape in base64 is each slash.
        self.place.look(text, text.bytes().filter(|byte| *byte == b'/').count(), self.media);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Place { key: parent, depth, is_argument, in_list, .. } = self.place;
        self.media.items += usize::from(in_list && !is_argument);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let is_argument = is_argument
                || matches!(&*key, "arguments" | "args" | "parameters" | "input_schema")
                // What is asked of the Responses API is called so, too.
                || (depth > 0 && key == "input");
            let place = Place { parent, key: &key, depth: depth + 1, is_argument, in_list: false };
            map.next_value_seed(Walk { place, media: self.media })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let place = Place { in_list: true, ..self.place };
        while list.next_element_seed(Walk { place, media: self.media })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look(style: ApiStyle, body: &str) -> Result<(String, bool, Option<u64>, u64), String> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        peek(style, &body)
            .map(|Peek { model, stream, wanted, .. }| (model.into_owned(), stream, wanted.max_output, wanted.choices))
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn each_api_names_its_limit_differently() {
        let body =
            r#"{"model":"m","stream":null,"max_tokens":5,"max_completion_tokens":7,"max_output_tokens":9,"n":2}"#;
        assert_eq!(look(ApiStyle::Chat, body), Ok(("m".to_owned(), false, Some(7), 2)));
        assert_eq!(look(ApiStyle::Responses, body), Ok(("m".to_owned(), false, Some(9), 1)));
        assert_eq!(look(ApiStyle::Messages, body), Ok(("m".to_owned(), false, Some(5), 1)));
        assert_eq!(look(ApiStyle::Chat, r#"{"model":"a\/b","stream":true}"#), Ok(("a/b".to_owned(), true, None, 1)));
        let hidden = r#"{"model":"m","max_tokens":900,"max_completion_tokens":1}"#;
        assert_eq!(look(ApiStyle::Chat, hidden), Ok(("m".to_owned(), false, Some(900), 1)));
    }

    #[test]
    fn a_limit_of_nothing_is_none_and_a_prediction_counts_beside_it() {
        let most = |style, rest: &str| look(style, &format!(r#"{{"model":"m",{rest}}}"#)).unwrap().2;
        assert_eq!(most(ApiStyle::Chat, r#""max_tokens":0"#), None);
        assert_eq!(most(ApiStyle::Chat, r#""max_tokens":0,"max_completion_tokens":7"#), Some(7));
        assert_eq!(most(ApiStyle::Responses, r#""max_output_tokens":0"#), None);
        assert_eq!(most(ApiStyle::Messages, r#""max_tokens":0"#), None);
        let text = "what was said ".repeat(1_000);
        let predicted = |prediction: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m","max_tokens":1,"prediction":{prediction}}}"#));
            let wanted = peek(ApiStyle::Chat, &body).unwrap().wanted;
            (wanted.max_output, wanted.predicted)
        };
        let (limit, tokens) = predicted(&format!(r#"{{"type":"content","content":"{text}"}}"#));
        assert!(limit == Some(1) && (3_500..3_600).contains(&tokens), "{tokens}");
        assert_eq!(predicted("null"), (Some(1), 0));
    }

    #[test]
    fn a_conversation_that_may_be_shortened_on_the_way_is_known() {
        let is_shortened = |style: ApiStyle, edit: &str| {
            let body = format!(r#"{{"model":"m","context_management":{{"edits":[{{"type":"{edit}"}}]}}}}"#);
            peek(style, &Bytes::from(body)).unwrap().wanted.is_shortened
        };
        assert!(is_shortened(ApiStyle::Messages, "compact_20260112"));
        assert!(is_shortened(ApiStyle::Messages, r"compact\u005f20260112"));
        assert!(!is_shortened(ApiStyle::Messages, "clear_tool_uses_20250919"));
        assert!(!is_shortened(ApiStyle::Chat, "compact_20260112"));
    }

    #[tokio::test]
    async fn what_most_libraries_read_is_read() {
        let look = async |body: &str| {
            super::look(WorkOwner::System, ApiStyle::Chat, &Bytes::copy_from_slice(body.as_bytes())).await
        };
        let body =
            r#"{"model":"m","stream":true,"max_tokens":4096.0,"n":1.0,"messages":[],"stream":false,"temperature":0.5}"#;
        let Peek { stream, wanted, mended, .. } = look(body).await.unwrap();
        assert_eq!((stream, wanted.max_output, wanted.choices), (false, Some(4_096), 1));
        let written = r#"{"model":"m","stream":false,"max_tokens":4096,"n":1,"messages":[],"temperature":0.5}"#;
        assert_eq!(mended.as_deref(), Some(written.as_bytes()));
        assert_eq!(look(r#"{"model":"m","max_tokens":4096,"odd":1,"odd":2}"#).await.unwrap().mended, None);
        for wrong in
            [r#"{"model":"m","n":1.5}"#, r#"{"model":"m","max_tokens":"9"}"#, r#"{"model":7,"n":1.0}"#, "[1.0]"]
        {
            assert!(look(wrong).await.is_err(), "{wrong}");
        }
        let many = format!(r#"{{"model":"m","n":1.0,"messages":[{}{{}}]}}"#, "{},".repeat(MOST_ITEMS));
        assert_eq!(super::mended(many.as_bytes()), None);
    }

    #[test]
    fn searches_that_a_provider_may_run_are_known() {
        let searches = |style: ApiStyle, tools: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m","messages":[],"tools":{tools}}}"#));
            peek(style, &body).unwrap().wanted.tools.searches
        };
        for (tools, found) in [
            (r#"[{"type":"web_search_20250305","name":"web_search","max_uses":3},{"name":"f"}]"#, 3),
            (r#"[{"type":"web_search_20250305","name":"web_search"}]"#, 30),
            (r#"[{"type":"web_search_20250305","max_uses":1},{"type":"web_search_20260209","max_uses":"x"}]"#, 31),
            (r#"[{"type":"web\u005fsearch_20250305","max_uses":2}]"#, 2),
            (r#"[{"name":"web_search","input_schema":{}}]"#, 0),
            ("[]", 0),
            ("\"web_search\"", 0),
        ] {
            assert_eq!(searches(ApiStyle::Messages, tools), found, "{tools}");
            assert_eq!(searches(ApiStyle::Chat, tools), 0);
        }
    }

    #[test]
    fn tools_that_may_be_billed_are_read_or_refused() {
        let refused = |style: ApiStyle, tools: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m","tools":[{tools}]}}"#));
            peek(style, &body).map(drop).map_err(|error| error.param)
        };
        for style in [ApiStyle::Responses, ApiStyle::Messages] {
            for unreadable in [r#""\ud83d""#, "1e999"] {
                let function = format!(r#"{{"name":"f","description":{unreadable}}}"#);
                assert_eq!(refused(style, &function), Ok(()), "no tool of the provider's is named");
                let beside = format!(r#"{{"type":"web_search_20250305"}},{function}"#);
                assert_eq!(refused(style, &beside), Err(Some("tools".to_owned())), "{unreadable}");
            }
        }
    }

    #[test]
    fn tools_without_a_bound_are_known() {
        let is_open = |style: ApiStyle, rest: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m",{rest}}}"#));
            peek(style, &body).unwrap().wanted.has_open_tools
        };
        assert!(is_open(ApiStyle::Messages, r#""tools":[{"type":"web_search_20250305"}]"#));
        assert!(!is_open(ApiStyle::Messages, r#""tools":[{"type":"web_search_20250305","max_uses":3},{"name":"f"}]"#));
        assert!(is_open(ApiStyle::Responses, r#""tools":[{"type":"web_search"}]"#));
        assert!(!is_open(ApiStyle::Responses, r#""tools":[{"type":"web_search"}],"max_tool_calls":3"#));
        assert!(!is_open(ApiStyle::Responses, r#""tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#));
        assert!(!is_open(ApiStyle::Chat, r#""web_search_options":{}"#));
    }

    #[test]
    fn a_container_for_code_is_known_where_it_is_billed() {
        let containers = |tools: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m","messages":[],"tools":[{tools}]}}"#));
            peek(ApiStyle::Messages, &body).unwrap().wanted.tools.containers
        };
        let code = r#"{"type":"code_execution_20250825","name":"code_execution"}"#;
        assert_eq!(containers(code), 1);
        assert_eq!(containers(r#"{"type":"code\u005fexecution_20260120"}"#), 1);
        assert_eq!(containers(r#"{"name":"code_execution","input_schema":{}}"#), 0);
        for (beside, paid) in [
            ("web_search_20250305", 1),
            ("web_search_20260209", 0),
            ("web_fetch_20260209", 0),
            ("web_fetch_20270101", 0),
        ] {
            assert_eq!(containers(&format!(r#"{code},{{"type":"{beside}"}}"#)), paid, "{beside}");
        }
    }

    #[test]
    fn a_search_for_chat_completions_is_known() {
        let searches = |options: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m",{options}"messages":[]}}"#));
            peek(ApiStyle::Chat, &body).unwrap().wanted.tools.searches
        };
        assert_eq!(searches(""), 0);
        assert_eq!(searches(r#""web_search_options":null,"#), 0);
        assert_eq!(searches(r#""web_search_options":{},"#), 1);
        assert_eq!(searches(r#""web\u005fsearch_options":{"search_context_size":"low"},"#), 1);
    }

    #[test]
    fn sound_that_is_sent_or_asked_for_is_known() {
        let has_sound = |rest: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m"{rest}}}"#));
            peek(ApiStyle::Chat, &body).unwrap().wanted.has_sound
        };
        assert!(has_sound(r#","modalities":["text","audio"],"audio":{"voice":"alloy"}"#));
        assert!(has_sound(r#","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]"#));
        assert!(has_sound(r#","messages":[{"role":"user","content":[{"type":"input\u005faudio"}]}]"#));
        assert!(!has_sound(r#","modalities":["text"]"#) && !has_sound(r#","messages":"my \"audio\"""#));
    }

    #[test]
    fn recordings_and_films_are_known_in_every_form() {
        let found = |style: ApiStyle, content: &str| {
            let field = if style == ApiStyle::Responses { "input" } else { "messages" };
            let body = format!(r#"{{"model":"m","{field}":[{{"role":"user","content":[{content}]}}]}}"#);
            let wanted = peek(style, &Bytes::from(body)).unwrap().wanted;
            (wanted.has_sound, wanted.input > FILM_TOKENS)
        };
        let [chat, responses, messages] = [ApiStyle::Chat, ApiStyle::Responses, ApiStyle::Messages];
        for (style, sent) in [
            (chat, r#"{"type":"file","file":{"file_data":"data:audio/mp3;base64,AAAA"}}"#),
            (chat, r#"{"type":"image_url","image_url":{"url":"data:VIDEO\/mp4;base64,AAAA"}}"#),
            (chat, r#"{"type":"file","file":{"file_data":"data:\u0041UDIO/mp3;base64,AAAA"}}"#),
            (responses, r#"{"type":"input_audio","input_audio":{"format":"wav","data":"AAAA"}}"#),
            (responses, r#"{"type":"input_file","file_data":"data:audio\u002fwav;base64,AAAA"}"#),
            (messages, r#"{"type":"document","source":{"type":"base64","media_type":"audio/wav","data":"AAAA"}}"#),
        ] {
            assert_eq!(found(style, sent), (true, false), "{sent}");
        }
        let film = "https://www.youtube.com/watch?v=x";
        for (style, named) in [
            (chat, format!(r#"{{"type":"image_url","image_url":{{"url":"{film}"}}}}"#)),
            (chat, format!(r#"{{"type":"image\u005furl","image\u005furl":{{"url":"{film}"}}}}"#)),
            (
                chat,
                format!(r#"{{"type":"text","text":"\ud83d"}},{{"type":"image_url","image_url":{{"url":"{film}"}}}}"#),
            ),
            (responses, format!(r#"{{"type":"input_file","file_url":"{film}"}}"#)),
            (messages, format!(r#"{{"type":"document","source":{{"type":"url","url":"{film}"}}}}"#)),
        ] {
            assert_eq!(found(style, &named), (true, true), "{named}");
        }
        for (style, plain) in [
            (chat, r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#),
            (messages, r#"{"type":"text","text":"see https://www.youtube.com/watch?v=x and audio"}"#),
        ] {
            assert_eq!(found(style, plain), (false, false), "{plain}");
        }
    }

    #[test]
    fn a_question_without_chance_is_known() {
        let is_repeatable = |rest: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m"{rest}}}"#));
            peek(ApiStyle::Chat, &body).unwrap().is_repeatable
        };
        assert!([r#","temperature":0"#, r#","temperature":0.0"#, r#","seed":7"#].into_iter().all(is_repeatable));
        let others = ["", r#","temperature":0.1"#, r#","temperature":null,"seed":null"#, r#","temperature":"0""#];
        assert!(!others.into_iter().any(is_repeatable));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for body in
            ["", "{", "[]", "3", r#"{"model":7}"#, r#"{"stream":true}"#, r#"{"model":""}"#, r#"{"model":"m","n":0}"#]
        {
            assert!(look(ApiStyle::Chat, body).is_err(), "{body}");
        }
        assert!(look(ApiStyle::Chat, r#"{"model":"m","stream":"yes"}"#).unwrap_err().contains("boolean"));
    }

    #[test]
    fn pictures_sound_and_documents_are_counted_as_such_where_they_stand_and_nowhere_else() {
        let data = "iVBORw0KGgo".repeat(20_000);
        let slashed = data.replace("Rw", "Rw\\/");
        let count = |content: &str| estimate(format!(r#"{{"messages":[{{"content":[{content}]}}]}}"#).as_bytes());
        for medium in [
            format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#),
            format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{slashed}"}}}}"#),
            format!(r#"{{"type":"input_image","image_url":"data:image/png;base64,{data}"}}"#),
            format!(r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#),
            format!(r#"{{"type":"input_audio","input_audio":{{"format":"wav","data":"{data}"}}}}"#),
            format!(
                r#"{{"type":"file","file":{{"filename":"a.pdf","file_data":"data:application/pdf;base64,{data}"}}}}"#
            ),
        ] {
            let tokens = count(&medium);
            assert!((1_000..3_000).contains(&tokens), "{tokens}: {:.60}", medium);
        }
        for text in [
            format!(r#"{{"type":"text","text":"{data}"}}"#),
            format!(r#"{{"type":"text","text":"data:image/png;base64,{data}"}}"#),
            format!(r#"{{"type":"tool_use","input":{{"source":{{"data":"{data}"}}}}}}"#),
            format!(r#"{{"function":{{"arguments":{{"image_url":"{data}"}}}}}}"#),
            format!(r#"{{"parameters":{{"image_url":{{"url":"{data}"}}}}}}"#),
        ] {
            let tokens = count(&text);
            assert!(tokens > data.len() as u64 / 3, "{tokens}: {:.60}", text);
        }
        let asked = format!(r#"{{"input":[{{"content":[{{"type":"input_image","image_url":"{data}"}}]}}]}}"#);
        assert!(estimate(asked.as_bytes()) < 3_000, "the question of responses is called input");
        assert!(count(r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#) > 1_000);
        assert!(count(r#"{"type":"file","file":{"file_id":"file-1"}}"#) > 20_000);
        let text = "what was said ".repeat(1_000);
        assert_eq!(estimate(text.as_bytes()), 3_500);
    }

    #[test]
    fn a_question_has_so_many_messages_and_parts() {
        let asked = |style, field: &str, count: usize, item: &str| {
            let items = vec![item; count].join(",");
            let body = Bytes::from(format!(r#"{{"model":"m","{field}":[{items}]}}"#));
            peek(style, &body).err().and_then(|error| error.param)
        };
        let message = r#"{"role":"user","content":[{"type":"text","text":"{ { {"}]}"#;
        assert_eq!(asked(ApiStyle::Chat, "messages", 5_000, message), None);
        assert_eq!(asked(ApiStyle::Chat, "messages", 5_001, message).as_deref(), Some("messages"));
        assert_eq!(asked(ApiStyle::Responses, "input", 10_001, "{}").as_deref(), Some("input"));
        assert_eq!(asked(ApiStyle::Messages, "messages", 10_001, "{}").as_deref(), Some("messages"));
        let called = r#"{"role":"assistant","content":[{"type":"tool_use","input":{"rows":[{},{},{}]}}]}"#;
        assert_eq!(asked(ApiStyle::Messages, "messages", 5_000, called), None, "what a tool is called with is data");
        assert_eq!(asked(ApiStyle::Chat, "input", 200_000, "7"), None);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let body = Bytes::from(body);
            let _ = (peek(ApiStyle::Chat, &body).is_ok(), estimate(&body));
        }
    }
}
