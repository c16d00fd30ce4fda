//! JSON field reader: treats null as absent and names the path of an invalid field in errors.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem::Finder;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    GatewayError,
    canonical::{MediaKind, Source},
};

/// Prefixes of the JSON escapes of lower-case letters and `_`. Clients escape these characters only
/// to hide a word from a substring search.
static ESCAPED: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| [r"\u005", r"\u006", r"\u007"].map(Finder::new));

/// True if the JSON contains escaped lower-case letters.
pub(crate) fn has_escaped(json: &[u8]) -> bool {
    ESCAPED.iter().any(|escape| escape.find(json).is_some())
}

/// True if the JSON may contain one of these lower-case words, escaped or not.
pub(crate) fn may_have(json: &[u8], words: &[Finder<'static>]) -> bool {
    words.iter().any(|word| word.find(json).is_some()) || has_escaped(json)
}

/// Parses the list at this path; empty if it isn't a list, which the provider then rejects.
///
/// Returns an error if the list can't be parsed (for example because of a lone surrogate): the
/// provider might accept it, and it can't be inspected.
pub(crate) fn parse_list(list: &RawValue, place: &str) -> Read<Vec<Value>> {
    if !list.get().starts_with('[') {
        return Ok(Vec::new());
    }
    let unreadable = |error| GatewayError::invalid_param(place, format!("This list couldn't be read: {error}."));
    serde_json::from_str(list.get()).map_err(unreadable)
}

/// Parses a whole number of zero or more, also if written as `4096.0`.
pub(crate) fn whole_number(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=1e15).contains(float));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
    value.as_u64().or_else(|| float().map(|float| float as u64))
}

/// Byte order mark, with which some programs on Windows start a body.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Normalises an object: the last of duplicated keys wins, as in most libraries, a byte order mark
/// is removed, and the fields `counts` become integers. `None` if it isn't an object or is
/// unchanged.
pub(crate) fn normalised(json: &[u8], counts: &[&str]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json)).ok()?;
    let fields = value.as_object_mut()?;
    for name in counts {
        if let Some(field) = fields.get_mut(*name)
            && let Some(count) = whole_number(field)
        {
            *field = count.into();
        }
    }
    let written = value.to_string();
    (written.as_bytes() != json).then_some(written)
}

/// Fields of an object, with its path in the request.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

type Read<T> = Result<T, GatewayError>;

impl<'a> Fields<'a> {
    pub fn root(value: &'a Value) -> Read<Self> {
        match value {
            Value::Object(map) => Ok(Self { map, path: String::new() }),
            _ => Err(GatewayError::invalid("The request body must be a JSON object.")),
        }
    }

    pub fn at(value: &'a Value, path: String) -> Read<Self> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(type_error(path, "an object")),
        }
    }

    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.map.keys().map(String::as_str)
    }

    pub fn to_value(&self) -> Map<String, Value> {
        self.map.clone()
    }

    pub fn error(&self, name: &str, message: impl Into<String>) -> GatewayError {
        GatewayError::invalid_param(self.path_of(name), message)
    }

    pub fn text(&self, name: &str) -> Read<Option<&'a str>> {
        self.typed(name, "a string", Value::as_str)
    }

    pub fn required_text(&self, name: &str) -> Read<&'a str> {
        self.text(name)?.ok_or_else(|| type_error(self.path_of(name), "a string"))
    }

    pub fn flag(&self, name: &str) -> Read<Option<bool>> {
        self.typed(name, "a boolean", Value::as_bool)
    }

    pub fn count(&self, name: &str) -> Read<Option<u64>> {
        self.typed(name, "a whole number, zero or more", whole_number)
    }

    pub fn integer(&self, name: &str) -> Read<Option<i64>> {
        self.typed(name, "a whole number", Value::as_i64)
    }

    pub fn number(&self, name: &str) -> Read<Option<f64>> {
        self.typed(name, "a number", Value::as_f64)
    }

    /// Returns an empty list if the field is absent.
    pub fn list(&self, name: &str) -> Read<&'a [Value]> {
        Ok(self.typed(name, "an array", |value| value.as_array().map(Vec::as_slice))?.unwrap_or_default())
    }

    /// Objects of a list, each with its path.
    pub fn objects(&self, name: &str) -> Read<Vec<Self>> {
        let list = self.list(name)?.iter().enumerate();
        list.map(|(index, value)| Self::at(value, format!("{}[{index}]", self.path_of(name)))).collect()
    }

    pub fn object(&self, name: &str) -> Read<Option<Self>> {
        self.get(name).map(|value| Self::at(value, self.path_of(name))).transpose()
    }

    pub fn required_object(&self, name: &str) -> Read<Self> {
        self.object(name)?.ok_or_else(|| type_error(self.path_of(name), "an object"))
    }

    /// Accepts a string or a list of strings.
    pub fn texts(&self, name: &str) -> Read<Vec<String>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(items)) => {
                let text = |item: &Value| item.as_str().map(str::to_owned);
                items
                    .iter()
                    .map(text)
                    .collect::<Option<_>>()
                    .ok_or_else(|| type_error(self.path_of(name), "a list of strings"))
            }
            Some(_) => Err(type_error(self.path_of(name), "a string or a list of strings")),
        }
    }

    fn typed<T>(&self, name: &str, what: &str, read: impl Fn(&'a Value) -> Option<T>) -> Read<Option<T>> {
        self.get(name).map(|value| read(value).ok_or_else(|| type_error(self.path_of(name), what))).transpose()
    }
}

/// Parses a provider's count. Some send `12.0` or `"12"`, and −1 if unknown.
pub(crate) fn lenient_count(value: &Value) -> Option<u64> {
    let written = || value.as_str().and_then(|text| text.trim().parse::<f64>().ok());
    let float = || value.as_f64().or_else(written).filter(|float| (0.0..=1e15).contains(float));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    value.as_u64().or_else(|| float().map(|float| float.ceil() as u64))
}

fn type_error(path: String, what: &str) -> GatewayError {
    let message = format!("`{path}` must be {what}.");
    GatewayError::invalid_param(path, message)
}

/// Maximum length, in characters, of one text when a server tool call is rendered as text.
const MAX_RENDERED_TEXT: usize = 4_000;
/// Length, in bytes, from which on a text without white space counts as the data of an image, which
/// the model can't read as text.
const MIN_DATA_LEN: usize = 1_000;

/// Renders the call or result of a server tool as text, so that it stays in the conversation with
/// another provider.
pub(crate) fn render_server_tool(kind: &str, item: &Fields<'_>) -> String {
    let mut said = item.to_value();
    for name in ["type", "id", "call_id", "tool_use_id", "status", "caller", "cache_control"] {
        said.shift_remove(name);
    }
    said.values_mut().for_each(shorten);
    format!("[{kind}] {}", Value::Object(said))
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() >= MIN_DATA_LEN && !text.contains(char::is_whitespace) => {
            "[data]".clone_into(text);
        }
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(MAX_RENDERED_TEXT) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => {
            // Only the provider that encrypted these fields can read them.
            fields.retain(|name, _| !name.starts_with("encrypted_"));
            fields.values_mut().for_each(shorten);
        }
        _ => {}
    }
}

/// Media type and base64 data of a data URL.
pub(crate) fn data_url(url: &str) -> Option<(&str, &str)> {
    let scheme = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:"))?;
    let (mime, data) = url[scheme.len()..].split_once(',')?;
    let mime = mime.strip_suffix(";base64").or_else(|| mime.strip_suffix(";BASE64"))?;
    Some((media_type(mime.split(';').next().unwrap_or(mime)), data))
}

/// Normalises a media type: many clients send `image/jpg`, which no provider accepts.
pub(crate) fn media_type(mime: &str) -> &str {
    if mime.eq_ignore_ascii_case("image/jpg") { "image/jpeg" } else { mime }
}

/// Base64 of the first bytes of the supported file types, with their media types.
const BASE64_PREFIXES: [(&str, &str); 5] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
];

/// Creates a source, with the media type detected from the first bytes if possible: providers
/// reject a mismatch. Removes line breaks from the base64.
pub(crate) fn data(mime: &str, data: &str) -> Source {
    let has_spaces = memchr::memchr2(b'\n', b' ', data.as_bytes()).is_some();
    let data: String = if has_spaces { data.split_ascii_whitespace().collect() } else { data.to_owned() };
    // Audio and video files start with `RIFF` too. A WebP image has the base64 of `WEBP` after it,
    // whose last characters are at this position.
    let is_other = |found: &str| found == "image/webp" && data.get(12..16) != Some("RUJQ");
    let found = BASE64_PREFIXES.iter().find(|(beginning, found)| data.starts_with(beginning) && !is_other(found));
    let mime = found.map_or_else(|| media_type(mime).to_ascii_lowercase(), |(_, found)| (*found).to_owned());
    Source::Data { mime, data }
}

/// Content of a text file. `None` if the type isn't text; an error if it isn't base64-encoded
/// UTF-8.
pub(crate) fn text_of_file(source: &Source) -> Option<Result<String, ()>> {
    let Source::Data { mime, data } = source else { return None };
    let is_text = mime.starts_with("text/")
        || ["json", "xml", "yaml", "javascript", "sql"].iter().any(|kind| mime.ends_with(kind));
    let read = || String::from_utf8(STANDARD.decode(data).ok()?).ok();
    is_text.then(|| read().ok_or(()))
}

/// Kind of a medium according to its media type, because some clients send images as files and
/// documents as images.
pub(crate) fn kind_of(source: &Source, sent_as: MediaKind) -> MediaKind {
    match source {
        Source::Data { mime, .. } if mime.starts_with("image/") => MediaKind::Image,
        Source::Data { mime, .. } if mime.starts_with("audio/") => MediaKind::Audio,
        Source::Data { mime, .. } if mime == "application/pdf" => MediaKind::File,
        _ => sent_as,
    }
}

/// Instruction to answer in JSON, for models that don't take a schema or a format as a field.
pub(crate) fn schema_instruction(schema: Option<&Value>) -> String {
    const JSON_ONLY: &str =
        "When you call no tool, answer with a single JSON object and nothing else, without a fence of code around it.";
    schema
        .map_or_else(|| JSON_ONLY.to_owned(), |schema| format!("{JSON_ONLY} It has to fit this JSON Schema:\n{schema}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_or_rejects_lists() {
        let listed = |text: &str| {
            let list = RawValue::from_string(text.to_owned()).unwrap();
            parse_list(&list, "tools").map(|items| items.len()).map_err(|error| error.param)
        };
        assert_eq!(listed(r#" [{"a":1}, "\ud83d\ude00"] "#), Ok(2));
        for other in ["[]", "null", "{}", r#""\ud83d""#] {
            assert_eq!(listed(other), Ok(0), "{other}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        for unreadable in [r#"["\ud83d"]"#, "[1e999]", deep.as_str()] {
            assert_eq!(listed(unreadable), Err(Some("tools".to_owned())), "{unreadable}");
        }
    }

    #[test]
    fn normalises_duplicate_keys_and_counts() {
        let mended = |json: &str| normalised(json.as_bytes(), &["n"]);
        let read = r#"{"n":2,"m":1.0,"in":{"a":2}}"#;
        assert_eq!(mended(r#"{"n":1,"m":1.0,"in":{"a":1,"a":2},"n":2.0}"#).as_deref(), Some(read));
        for same in [read, r#"{"n":1.5}"#, r#"{"n":"1"}"#, "[1.0]", "1.0", "{", ""] {
            assert_eq!(mended(same), None, "{same}");
        }
    }
}
