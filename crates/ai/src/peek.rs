//! What has to be known of a call before it goes out: its model, whether it streams, what it may cost.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::{memchr_iter, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{call::Door, gateway_error::GatewayError, meter::quarters};

/// A look into the body of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek<'a> {
    pub model: Cow<'a, str>,
    pub stream: bool,
    /// Whether the caller wants the same answer each time: by a temperature of zero, or a seed.
    pub is_repeatable: bool,
    pub wanted: Wanted,
}

/// What a call may use, as far as its question says: what is held for it follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Tokens of the question by our estimate.
    pub input: u64,
    /// The most tokens that one answer may have; `None`: any number.
    pub max_output: Option<u64>,
    /// How many answers there are to be.
    pub choices: u64,
    /// Sound is sent or asked for.
    pub has_sound: bool,
}

impl Wanted {
    /// One answer in words.
    #[must_use]
    pub fn words(input: u64, max_output: Option<u64>) -> Self {
        Self { input, max_output, choices: 1, has_sound: false }
    }
}

/// More answers to one question are refused.
const MOST_CHOICES: u64 = 128;

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
}

/// Reads what limits and holds need, or says what is wrong with the body.
pub fn peek(door: Door, body: &Bytes) -> Result<Peek<'_>, GatewayError> {
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let model = model_name(head.model)?;
    let choices = head.n.unwrap_or(1);
    if choices == 0 || choices > MOST_CHOICES {
        return Err(GatewayError::invalid_param("n", format!("`n` must be between 1 and {MOST_CHOICES}.")));
    }
    let (max_output, choices) = match door {
        // Both go on to the provider, and which of them it heeds is its affair.
        Door::Chat => (head.max_completion_tokens.max(head.max_tokens), choices),
        Door::Responses => (head.max_output_tokens, 1),
        Door::Messages => (head.max_tokens, 1),
    };
    let has_sound = door == Door::Chat && speaks_of_sound(body);
    Ok(Peek {
        model,
        stream: head.stream.unwrap_or(false),
        is_repeatable: head.seed.is_some() || head.temperature.is_some_and(is_zero),
        wanted: Wanted { input: estimate(body), max_output, choices, has_sound },
    })
}

/// Whether sound is a part of the question or of the answer that is asked for (`modalities`). A text that has these words may say so, too: it
/// is held for what sound costs, and pays for what it used.
fn speaks_of_sound(body: &[u8]) -> bool {
    let has = |name: &[u8]| memmem::find(body, name).is_some();
    has(b"\"input_audio\"") || (has(b"\"modalities\"") && has(b"\"audio\""))
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

/// Strings shorter than this are text.
const SHORTEST_MEDIA: usize = 2_048;
/// Tokens of a picture, about.
pub(crate) const MEDIA_TOKENS: u64 = 1_000;
/// Bytes of base64 for one more token: compressed speech is the densest.
const MEDIA_BYTES_PER_TOKEN: u64 = 300;

/// Estimates the tokens of a JSON body. Long strings of base64 are pictures and sound, which cost less than their bytes.
pub(crate) fn estimate(body: &[u8]) -> u64 {
    if body.len() < SHORTEST_MEDIA {
        return quarters(body).div_ceil(4);
    }
    let (mut text, mut media, mut start) = (0, 0, 0);
    for end in memchr_iter(b'"', body).chain([body.len()]) {
        let piece = &body[start..end];
        start = (end + 1).min(body.len());
        let data = if piece.len() < SHORTEST_MEDIA { None } else { data_of(piece) };
        match data {
            Some(bytes) => media += MEDIA_TOKENS + bytes / MEDIA_BYTES_PER_TOKEN,
            None => text += quarters(piece),
        }
    }
    text.div_ceil(4) + media
}

fn data_of(piece: &[u8]) -> Option<u64> {
    // After `data:image/png;base64,`.
    let start = piece.iter().take(200).position(|&byte| byte == b',').map_or(0, |comma| comma + 1);
    let data = &piece[start..];
    let is_data =
        data.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_'));
    is_data.then_some(data.len() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look(door: Door, body: &str) -> Result<(String, bool, Option<u64>, u64), String> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        peek(door, &body)
            .map(|Peek { model, stream, wanted, .. }| (model.into_owned(), stream, wanted.max_output, wanted.choices))
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn each_door_names_its_limit_differently() {
        let body =
            r#"{"model":"m","stream":null,"max_tokens":5,"max_completion_tokens":7,"max_output_tokens":9,"n":2}"#;
        assert_eq!(look(Door::Chat, body), Ok(("m".to_owned(), false, Some(7), 2)));
        assert_eq!(look(Door::Responses, body), Ok(("m".to_owned(), false, Some(9), 1)));
        assert_eq!(look(Door::Messages, body), Ok(("m".to_owned(), false, Some(5), 1)));
        assert_eq!(look(Door::Chat, r#"{"model":"a\/b","stream":true}"#), Ok(("a/b".to_owned(), true, None, 1)));
        let hidden = r#"{"model":"m","max_tokens":900,"max_completion_tokens":1}"#;
        assert_eq!(look(Door::Chat, hidden), Ok(("m".to_owned(), false, Some(900), 1)));
    }

    #[test]
    fn sound_that_is_sent_or_asked_for_is_known() {
        let has_sound = |rest: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m"{rest}}}"#));
            peek(Door::Chat, &body).unwrap().wanted.has_sound
        };
        assert!(has_sound(r#","modalities":["text","audio"],"audio":{"voice":"alloy"}"#));
        assert!(has_sound(r#","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]"#));
        assert!(!has_sound(r#","modalities":["text"]"#) && !has_sound(r#","messages":"my \"audio\"""#));
    }

    #[test]
    fn a_question_without_chance_is_known() {
        let is_repeatable = |rest: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m"{rest}}}"#));
            peek(Door::Chat, &body).unwrap().is_repeatable
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
            assert!(look(Door::Chat, body).is_err(), "{body}");
        }
        assert!(look(Door::Chat, r#"{"model":"m","stream":"yes"}"#).unwrap_err().contains("boolean"));
    }

    #[test]
    fn pictures_are_not_counted_as_text() {
        let picture = "iVBORw0KGgo".repeat(20_000);
        let body = format!(r#"{{"content":[{{"text":"What is this?"}},{{"url":"data:image/png;base64,{picture}"}}]}}"#);
        let tokens = estimate(body.as_bytes());
        assert!((1_000..3_000).contains(&tokens), "{tokens}");
        let text = "what was said ".repeat(1_000);
        assert_eq!(estimate(text.as_bytes()), 3_500);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let body = Bytes::from(body);
            let _ = (peek(Door::Chat, &body).is_ok(), estimate(&body));
        }
    }
}
