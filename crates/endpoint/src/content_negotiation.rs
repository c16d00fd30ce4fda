//! Content negotiation between JSON and MessagePack, for request and response bodies.

use actix_web::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use appcore::{AppError, Code};
use serde_json::{Map, Value};

/// Maximum nesting depth of request bodies. The API has no deeper values, and parsing them takes
/// stack.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireFormat {
    Json,
    MessagePack,
}

impl WireFormat {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MessagePack => "application/msgpack",
        }
    }

    /// Format of the request body, by its `Content-Type`.
    pub fn from_content_type(headers: &HeaderMap) -> Result<Self, AppError> {
        Self::refuse_compression(headers)?;
        let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let charset = parameters
            .split(';')
            .filter_map(|parameter| parameter.trim().split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("charset"));
        if charset.is_some_and(|(_, charset)| !charset.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
            return Err(AppError::refused(Code::UnsupportedMediaType, "Send text in UTF-8."));
        }
        Self::from_media_type(essence).ok_or_else(|| Code::UnsupportedMediaType.into())
    }

    pub fn refuse_compression(headers: &HeaderMap) -> Result<(), AppError> {
        match headers.get("content-encoding") {
            Some(encoding) if encoding != "identity" => {
                Err(AppError::refused(Code::UnsupportedMediaType, "Send the body without compression."))
            }
            _ => Ok(()),
        }
    }

    /// Format of the response, by the `Accept` header; JSON by default.
    pub fn from_accept(headers: &HeaderMap) -> Result<Self, AppError> {
        let mut best: Option<(Self, f32)> = None;
        let mut asked = false;
        for range in headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
        {
            let mut parts = range.split(';').map(str::trim);
            let essence = parts.next().unwrap_or_default();
            if essence.is_empty() {
                continue;
            }
            asked = true;
            let quality =
                parts.find_map(|part| part.strip_prefix("q=")).and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0);
            let form = if matches!(essence, "*/*" | "application/*") {
                Some(Self::Json)
            } else {
                Self::from_media_type(essence)
            };
            if let Some(form) = form.filter(|_| quality > 0.0 && best.is_none_or(|(_, so_far)| quality > so_far)) {
                best = Some((form, quality));
            }
        }
        match best {
            Some((form, _)) => Ok(form),
            None if asked => Err(Code::NotAcceptable.into()),
            None => Ok(Self::Json),
        }
    }

    fn from_media_type(essence: &str) -> Option<Self> {
        let essence = essence.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "text/json" => Some(Self::Json),
            "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => Some(Self::MessagePack),
            other if other.starts_with("application/") && other.ends_with("+json") => Some(Self::Json),
            _ => None,
        }
    }

    /// Parses the fields of a body. An empty body has no fields.
    pub fn parse(self, body: &[u8]) -> Result<Map<String, Value>, AppError> {
        if body.is_empty() {
            return Ok(Map::new());
        }
        let value: Value = match self {
            Self::Json => serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?,
            Self::MessagePack => parse_message_pack(body)?,
        };
        match value {
            Value::Object(fields) => Ok(fields),
            _ => Err(malformed("it must be a map of fields")),
        }
    }

    /// Converts serialised JSON into this format.
    pub fn transcode(self, json: Vec<u8>) -> Result<Vec<u8>, AppError> {
        match self {
            Self::Json => Ok(json),
            Self::MessagePack => {
                let value: Value = serde_json::from_slice(&json).map_err(AppError::internal)?;
                rmp_serde::to_vec_named(&value).map_err(AppError::internal)
            }
        }
    }
}

fn parse_message_pack(body: &[u8]) -> Result<Value, AppError> {
    let mut rest = body;
    let value = {
        let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
        deserializer.set_max_depth(MAX_DEPTH);
        serde::Deserialize::deserialize(&mut deserializer)
            .map_err(|error: rmp_serde::decode::Error| malformed(&error.to_string()))?
    };
    if rest.is_empty() { Ok(value) } else { Err(malformed("there is something after its end")) }
}

fn malformed(reason: &str) -> AppError {
    AppError::refused(
        Code::MalformedBody,
        format!("The request body couldn't be read: {}.", crate::input::truncate(reason)),
    )
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(actix_web::http::header::HeaderName::from_static(name), HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn negotiates_the_response_form() {
        let accepted = |value| WireFormat::from_accept(&headers("accept", value)).map_err(|error| error.code());
        assert_eq!(WireFormat::from_accept(&HeaderMap::new()).unwrap(), WireFormat::Json);
        assert_eq!(accepted("application/msgpack"), Ok(WireFormat::MessagePack));
        assert_eq!(accepted("application/json;q=0.5, application/msgpack"), Ok(WireFormat::MessagePack));
        assert_eq!(accepted("application/msgpack;q=0.1, */*"), Ok(WireFormat::Json));
        assert_eq!(accepted("text/html, application/xhtml+xml, */*;q=0.8"), Ok(WireFormat::Json));
        assert_eq!(accepted("image/png"), Err(Code::NotAcceptable));
        assert_eq!(accepted("application/json;q=0"), Err(Code::NotAcceptable));
    }

    #[test]
    fn accepts_json_and_message_pack_in_utf_8() {
        let of_body =
            |value| WireFormat::from_content_type(&headers("content-type", value)).map_err(|error| error.code());
        assert_eq!(of_body("application/json; charset=UTF-8"), Ok(WireFormat::Json));
        assert_eq!(of_body("application/x-msgpack"), Ok(WireFormat::MessagePack));
        for wrong in ["text/plain", "", "application/json; charset=latin-1", "application/x-www-form-urlencoded"] {
            assert_eq!(of_body(wrong), Err(Code::UnsupportedMediaType), "{wrong}");
        }
    }

    #[test]
    fn rejects_bodies_that_are_not_maps() {
        for wrong in [&b"["[..], b"[]", b"null", b"{\"a\":1} {}", b"\xff", b"{\"a\":}"] {
            assert_eq!(WireFormat::Json.parse(wrong).unwrap_err().code(), Code::MalformedBody, "{wrong:?}");
        }
        // In this order: an array, a missing length, binary data instead of text, trailing bytes,
        // an invalid marker, and unbounded nesting.
        let deep: Vec<u8> =
            std::iter::once(0x81).chain([0xa1, b'a']).chain(std::iter::repeat_n(0x91, 100_000)).collect();
        for wrong in [&b"\x90"[..], b"\xdf\xff\xff\xff\xff", b"\x81\xa1a\xc4\x01\x00", b"\x80\x80", b"\xc1", &deep] {
            assert_eq!(
                WireFormat::MessagePack.parse(wrong).unwrap_err().code(),
                Code::MalformedBody,
                "{:?}",
                &wrong[..2.min(wrong.len())]
            );
        }
    }

    #[test]
    fn both_forms_are_equivalent() {
        let json = br#"{"a":[1,-2,0.5,null,true],"b":{"c":"\u00e9"}}"#.to_vec();
        let packed = WireFormat::MessagePack.transcode(json.clone()).unwrap();
        assert_eq!(WireFormat::MessagePack.parse(&packed).unwrap(), WireFormat::Json.parse(&json).unwrap());
    }
}
