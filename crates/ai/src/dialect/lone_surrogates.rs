//! Lone UTF-16 surrogates. Servers that count in UTF-16 may split an emoji and escape each half
//! (`\ud83d`), which is invalid JSON. Halves in the increments of an answer are joined; in a
//! request they become a replacement character.

use std::collections::HashMap;

use serde_json::Value;

use crate::{GatewayError, canonical::Event};

/// First of the code points that stand for lone surrogates during parsing. They are private-use
/// characters of the last Unicode plane.
const MARK_BASE: u32 = 0x10_0000;
/// First code unit of the high surrogates; the low ones follow from [`LOW_SURROGATES`] to
/// [`SURROGATES_END`].
const HIGH_SURROGATES: u32 = 0xd800;
const LOW_SURROGATES: u32 = 0xdc00;
const SURROGATES_END: u32 = 0xe000;
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Replaces each lone surrogate by the private-use character that stands for it. `None` if there
/// are none.
pub(crate) fn mark_lone_surrogates(json: &[u8]) -> Option<Vec<u8>> {
    rewrite_escapes(json, |unit| char::from_u32(MARK_BASE + unit - HIGH_SURROGATES).unwrap_or(REPLACEMENT))
}

/// Replaces lone surrogates by replacement characters. `None` if there are none.
pub(crate) fn replace_lone_surrogates(json: &[u8]) -> Option<Vec<u8>> {
    rewrite_escapes(json, |_| REPLACEMENT)
}

/// Parses a request body, replacing lone surrogates if necessary.
pub(crate) fn parse_request(body: &[u8]) -> Result<Value, GatewayError> {
    serde_json::from_slice(body).or_else(|error| {
        let mended = replace_lone_surrogates(body).and_then(|mended| serde_json::from_slice(&mended).ok());
        mended.ok_or_else(|| GatewayError::unreadable(&error))
    })
}

fn rewrite_escapes(json: &[u8], write: impl Fn(u32) -> char) -> Option<Vec<u8>> {
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    while let Some(found) = memchr::memchr(b'\\', &json[at..]) {
        at += found;
        let Some(unit) = unit_at(json, at) else {
            at = json.len().min(at + 2);
            continue;
        };
        let is_pair = (HIGH_SURROGATES..LOW_SURROGATES).contains(&unit)
            && unit_at(json, at + 6).is_some_and(|second| (LOW_SURROGATES..SURROGATES_END).contains(&second));
        let end = at + if is_pair { 12 } else { 6 };
        if !is_pair && (HIGH_SURROGATES..SURROGATES_END).contains(&unit) {
            out.extend_from_slice(&json[copied..at]);
            out.extend_from_slice(write(unit).encode_utf8(&mut [0; 4]).as_bytes());
            copied = end;
        }
        at = end;
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(&json[copied..]);
    Some(out)
}

/// Code unit of the `\u` escape at this position.
fn unit_at(json: &[u8], at: usize) -> Option<u32> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Surrogate that a private-use character stands for.
fn surrogate_for(mark: char) -> Option<u32> {
    u32::from(mark).checked_sub(MARK_BASE).map(|half| half + HIGH_SURROGATES).filter(|unit| *unit < SURROGATES_END)
}

/// Text stream of an answer to which a surrogate half belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum TextStream {
    Text,
    Refusal,
    Thinking,
    Arguments(u32),
}

/// Joins surrogate halves across the increments of an answer.
#[derive(Debug, Default)]
pub(crate) struct SurrogateJoiner {
    /// High surrogates whose low surrogate has not arrived yet, by choice and text stream.
    waiting: HashMap<(u32, TextStream), u32>,
}

impl SurrogateJoiner {
    pub fn join(&mut self, events: &mut Vec<Event>) {
        events.retain_mut(|event| {
            let (place, text) = match event {
                Event::Text { choice, text } => ((*choice, TextStream::Text), text),
                Event::Refusal { choice, text } => ((*choice, TextStream::Refusal), text),
                Event::Thinking { choice, text } => ((*choice, TextStream::Thinking), text),
                Event::Arguments { choice, tool, json } => ((*choice, TextStream::Arguments(*tool)), json),
                _ => return true,
            };
            *text = self.join_text(place, text);
            !text.is_empty()
        });
    }

    fn join_text(&mut self, place: (u32, TextStream), text: &str) -> String {
        let mut first = self.waiting.remove(&place);
        let mut joined = String::with_capacity(text.len());
        for char in text.chars() {
            match (first.take(), surrogate_for(char)) {
                (Some(first), Some(second)) if second >= LOW_SURROGATES => {
                    let code = 0x1_0000 + ((first - HIGH_SURROGATES) << 10) + (second - LOW_SURROGATES);
                    joined.push(char::from_u32(code).unwrap_or(REPLACEMENT));
                    continue;
                }
                (Some(_), _) => joined.push(REPLACEMENT),
                (None, _) => {}
            }
            match surrogate_for(char) {
                Some(unit) if unit < LOW_SURROGATES => first = Some(unit),
                Some(_) => joined.push(REPLACEMENT),
                None => joined.push(char),
            }
        }
        if let Some(first) = first {
            self.waiting.insert(place, first);
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_only_lone_surrogates() {
        let whole = r#"{"a":"\ud83d\ude00 \\ud83d \n \u00e9","b":"😀"}"#;
        assert_eq!((mark_lone_surrogates(whole.as_bytes()), replace_lone_surrogates(whole.as_bytes())), (None, None));
        let lost = |json: &str| replace_lone_surrogates(json.as_bytes()).map(|json| String::from_utf8(json).unwrap());
        assert_eq!(lost(r#"["a\ud83d","\uDE00b",1]"#).as_deref(), Some("[\"a\u{fffd}\",\"\u{fffd}b\",1]"));
        assert_eq!(lost(r#"["\ud83d\u0041"]"#).as_deref(), Some("[\"\u{fffd}\\u0041\"]"));
        for cut in [r#"["\ud83d"#, r#"["\ud8"#, r"\", r"\u", r"\uzzzz"] {
            let _ = lost(cut);
        }
    }

    #[test]
    fn joins_halves_across_increments() {
        let mut halves = SurrogateJoiner::default();
        let mut said = |choice: u32, json: &str| {
            let json = mark_lone_surrogates(json.as_bytes()).unwrap_or_else(|| json.as_bytes().to_vec());
            let mut events = vec![Event::Text { choice, text: serde_json::from_slice(&json).unwrap() }];
            halves.join(&mut events);
            events.pop().map(|event| match event {
                Event::Text { text, .. } => text,
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(said(0, r#""a\ud83d""#).as_deref(), Some("a"));
        assert_eq!(said(1, r#""\ud83c""#), None, "another choice");
        assert_eq!(said(0, r#""\ude00b""#).as_deref(), Some("😀b"));
        assert_eq!(said(1, r#""\udf89""#).as_deref(), Some("🎉"));
        assert_eq!(said(0, r#""\ude00 \ud83d""#).as_deref(), Some("\u{fffd} "));
        assert_eq!(said(0, r#""x""#).as_deref(), Some("\u{fffd}x"));
    }
}
