//! Estimates the tokens of a body without converting it. Text counts by its length; media are
//! recognised by their position in the body.

use std::{borrow::Cow, fmt};

use memchr::{memchr_iter, memmem};
use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

use super::MAX_ITEMS;
use crate::{
    dialect::{fields::has_escaped, gemini::request::is_fetchable, lone_surrogates},
    meter::quarters,
};

/// Minimum length of a media string; shorter ones count as text.
const MIN_MEDIA_LEN: usize = 2_048;
/// Estimated tokens of an image.
const MEDIA_TOKENS: u64 = 1_000;
/// Bytes of base64 per additional token: compressed speech is the densest medium.
const MEDIA_BYTES_PER_TOKEN: u64 = 300;
/// Estimated tokens of a document referred to by URL or id.
const DOCUMENT_TOKENS: u64 = 20_000;
/// Estimated tokens of a video that is referred to by URL, for a length of five minutes.
pub(super) const VIDEO_TOKENS: u64 = 100_000;
/// Longer runs without a space are not words: each character counts as about half a token.
const MAX_WORD_LEN: usize = 64;

/// Estimates the tokens of a JSON body. Images, audio and documents have estimates of their own,
/// because they cost less than their bytes and more than their URL. They count as media only at
/// positions where a message can contain media; anything else counts as text.
pub(crate) fn estimate(body: &[u8]) -> u64 {
    survey(body).tokens
}

pub(super) struct BodySurvey {
    pub(super) tokens: u64,
    /// Number of messages and parts, if there are many.
    pub(super) items: usize,
    /// True if the body may refer to a video, which has audio.
    pub(super) has_video: bool,
}

pub(super) fn survey(body: &[u8]) -> BodySurvey {
    let mut media = Media::default();
    // The body is parsed only if it may contain media or many parts; most bodies don't.
    if has_candidate(body) || memchr_iter(b'{', body).nth(MAX_ITEMS).is_some() {
        // A body with a lone surrogate is repaired when it is converted, so its media count.
        let found = media_in(body)
            .or_else(|cut| lone_surrogates::replace_lone_surrogates(body).map_or(Err(cut), |mended| media_in(&mended)));
        media = found.unwrap_or_else(|items| Media { items, ..Media::default() });
    }
    let text = quarters(body) + dense_text_quarters(body).saturating_sub(media.bytes);
    let tokens = text.saturating_sub(media.bytes).div_ceil(4) + media.tokens;
    BodySurvey { tokens, items: media.items, has_video: media.has_video }
}

/// Media in a body. The error is the number of items found before a syntax error.
fn media_in(body: &[u8]) -> Result<Media, usize> {
    let mut media = Media::default();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let place = ValuePosition { parent: "", key: "", depth: 0, is_argument: false, in_list: false };
    match place.deserialize_with(&mut media, &mut reader) {
        Ok(()) => Ok(media),
        Err(_) => Err(media.items),
    }
}

fn has_candidate(body: &[u8]) -> bool {
    let names =
        [&b"\"image_url\""[..], b"\"input_audio\"", b"\"source\"", b"\"file_", b"\"inlineData\"", b"\"fileUri\""];
    names.iter().any(|name| memmem::find(body, name).is_some()) || has_escaped(body)
}

/// Additional quarters of a token: one per character of runs that are too long to be words.
fn dense_text_quarters(body: &[u8]) -> u64 {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    let runs = body.split(|byte| !is_letter(byte)).map(<[u8]>::len);
    runs.filter(|length| *length > MAX_WORD_LEN).sum::<usize>() as u64
}

/// Media found in a body.
#[derive(Default)]
struct Media {
    /// Bytes that would otherwise count as text.
    bytes: u64,
    tokens: u64,
    /// Objects in lists: messages, parts, tools.
    items: usize,
    has_video: bool,
}

impl Media {
    /// Counts a medium given by URL, with the estimate `tokens` unless it is a video that Gemini
    /// fetches.
    fn count_url(&mut self, address: &str, tokens: u64) {
        let is_film = is_fetchable(address);
        self.has_video |= is_film;
        self.tokens += if is_film { VIDEO_TOKENS } else { tokens };
    }
}

/// Position of a value.
#[derive(Clone, Copy)]
struct ValuePosition<'p> {
    /// Key of the enclosing object.
    parent: &'p str,
    key: &'p str,
    depth: usize,
    /// True within tool arguments or schemas, which are always text.
    is_argument: bool,
    /// True for an element of a list.
    in_list: bool,
}

impl ValuePosition<'_> {
    fn deserialize_with<'de, D: Deserializer<'de>>(self, media: &mut Media, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(Walk { place: self, media })
    }

    /// Counts a string. `escapes` is the estimated number of additional bytes that it takes in the
    /// body.
    fn count_string(self, text: &str, escapes: usize, media: &mut Media) {
        if self.is_argument {
            return;
        }
        let is_medium = match (self.parent, self.key) {
            ("image_url", "url") | (_, "image_url") | ("input_audio", "data") => true,
            ("source", "data" | "url") | ("inlineData", "data") | (_, "file_data") => true,
            (_, "file_id" | "file_url") | ("fileData", "fileUri") => {
                media.count_url(text, DOCUMENT_TOKENS);
                return;
            }
            _ => false,
        };
        if !is_medium {
            return;
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            media.count_url(text, if self.key == "file_data" { DOCUMENT_TOKENS } else { MEDIA_TOKENS });
        } else if text.len() >= MIN_MEDIA_LEN {
            media.bytes += (text.len() + escapes) as u64;
            media.tokens += MEDIA_TOKENS + text.len() as u64 / MEDIA_BYTES_PER_TOKEN;
        }
    }
}

struct Walk<'p, 'm> {
    place: ValuePosition<'p>,
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
        self.place.count_string(text, 0, self.media);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        // The string contains escapes. The slashes are counted as such, because some clients escape
        // each slash in base64.
        self.place.count_string(text, text.bytes().filter(|byte| *byte == b'/').count(), self.media);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let ValuePosition { key: parent, depth, is_argument, in_list, .. } = self.place;
        self.media.items += usize::from(in_list && !is_argument);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let is_argument = is_argument
                || matches!(&*key, "arguments" | "args" | "parameters" | "input_schema")
                || (parent == "functionResponse" && key == "response")
                // At the top level, `input` is the input of the Responses API and not a tool
                // argument.
                || (depth > 0 && key == "input");
            let place = ValuePosition { parent, key: &key, depth: depth + 1, is_argument, in_list: false };
            map.next_value_seed(Walk { place, media: self.media })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let place = ValuePosition { in_list: true, ..self.place };
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
