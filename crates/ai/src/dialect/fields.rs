//! Reading a request's JSON: null is absent, and what is wrong is said with its place.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem::Finder;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    GatewayError,
    neutral::{MediaKind, Source},
};

/// How small letters and `_` begin where they are written as escapes: no program does that, but for whoever hides a word from a search.
static ESCAPED: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| [r"\u005", r"\u006", r"\u007"].map(Finder::new));

/// Whether JSON hides small letters.
pub(crate) fn has_escaped(json: &[u8]) -> bool {
    ESCAPED.iter().any(|escape| escape.find(json).is_some())
}

/// Whether JSON may have one of these words of small letters, however they are written in it.
pub(crate) fn may_have(json: &[u8], words: &[Finder<'static>]) -> bool {
    words.iter().any(|word| word.find(json).is_some()) || has_escaped(json)
}

/// The list at this place of a request; empty where it is none, which its provider refuses. A list that can't be read, such as for half of a character in one
/// of its texts, may be one that its provider reads: it is refused, for it can't be looked through.
pub(crate) fn listed(list: &RawValue, place: &str) -> Read<Vec<Value>> {
    if !list.get().starts_with('[') {
        return Ok(Vec::new());
    }
    let unreadable = |error| GatewayError::invalid_param(place, format!("This list couldn't be read: {error}."));
    serde_json::from_str(list.get()).map_err(unreadable)
}

/// A whole number, zero or more, also where it is written as a fraction.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=1e15).contains(float));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
    value.as_u64().or_else(|| float().map(|float| float as u64))
}

/// An object as most libraries read it: of a key that stands in it twice, as some programs and proxies write it, the last value counts, and `4096.0` is
/// a whole number in these of its fields. None: it is no object, or is written so already.
pub(crate) fn mended(json: &[u8], counts: &[&str]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(json).ok()?;
    let fields = value.as_object_mut()?;
    for name in counts {
        if let Some(field) = fields.get_mut(*name)
            && let Some(count) = whole(field)
        {
            *field = count.into();
        }
    }
    let written = value.to_string();
    (written.as_bytes() != json).then_some(written)
}

/// The fields of an object at a place of the request.
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
            _ => Err(wrong(path, "an object")),
        }
    }

    pub fn place(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The whole object.
    pub fn to_value(&self) -> Map<String, Value> {
        self.map.clone()
    }

    pub fn error(&self, name: &str, message: impl Into<String>) -> GatewayError {
        GatewayError::invalid_param(self.place(name), message)
    }

    pub fn text(&self, name: &str) -> Read<Option<&'a str>> {
        self.typed(name, "a string", Value::as_str)
    }

    pub fn needed_text(&self, name: &str) -> Read<&'a str> {
        self.text(name)?.ok_or_else(|| wrong(self.place(name), "a string"))
    }

    pub fn flag(&self, name: &str) -> Read<Option<bool>> {
        self.typed(name, "a boolean", Value::as_bool)
    }

    pub fn count(&self, name: &str) -> Read<Option<u64>> {
        self.typed(name, "a whole number, zero or more", whole)
    }

    pub fn integer(&self, name: &str) -> Read<Option<i64>> {
        self.typed(name, "a whole number", Value::as_i64)
    }

    pub fn number(&self, name: &str) -> Read<Option<f64>> {
        self.typed(name, "a number", Value::as_f64)
    }

    /// An empty list where there is none.
    pub fn list(&self, name: &str) -> Read<&'a [Value]> {
        Ok(self.typed(name, "an array", |value| value.as_array().map(Vec::as_slice))?.unwrap_or_default())
    }

    /// The objects of a list, each with its place.
    pub fn objects(&self, name: &str) -> Read<Vec<Self>> {
        let list = self.list(name)?.iter().enumerate();
        list.map(|(index, value)| Self::at(value, format!("{}[{index}]", self.place(name)))).collect()
    }

    pub fn object(&self, name: &str) -> Read<Option<Self>> {
        self.get(name).map(|value| Self::at(value, self.place(name))).transpose()
    }

    pub fn needed_object(&self, name: &str) -> Read<Self> {
        self.object(name)?.ok_or_else(|| wrong(self.place(name), "an object"))
    }

    /// A string, or a list of strings.
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
                    .ok_or_else(|| wrong(self.place(name), "a list of strings"))
            }
            Some(_) => Err(wrong(self.place(name), "a string or a list of strings")),
        }
    }

    fn typed<T>(&self, name: &str, what: &str, read: impl Fn(&'a Value) -> Option<T>) -> Read<Option<T>> {
        self.get(name).map(|value| read(value).ok_or_else(|| wrong(self.place(name), what))).transpose()
    }
}

/// A count of a provider's, however it writes it: some say 12.0 or "12", and −1 where they don't know.
pub(crate) fn counted(value: &Value) -> Option<u64> {
    let written = || value.as_str().and_then(|text| text.trim().parse::<f64>().ok());
    let float = || value.as_f64().or_else(written).filter(|float| (0.0..=1e15).contains(float));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    value.as_u64().or_else(|| float().map(|float| float.ceil() as u64))
}

fn wrong(path: String, what: &str) -> GatewayError {
    let message = format!("`{path}` must be {what}.");
    GatewayError::invalid_param(path, message)
}

/// The longest text within a call of a tool that no other provider has, in letters: a picture in base64 is none that a model could read.
const LONGEST_TOLD: usize = 4_000;

/// Such a call, or what came of it, as a text: what was done and found stays in the conversation.
pub(crate) fn told(kind: &str, item: &Fields<'_>) -> String {
    let mut said = item.to_value();
    for name in ["type", "id", "call_id", "tool_use_id", "status", "caller", "cache_control"] {
        said.shift_remove(name);
    }
    said.values_mut().for_each(shorten);
    format!("[{kind}] {}", Value::Object(said))
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(LONGEST_TOLD) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => {
            // Only who wrote it can read it.
            fields.retain(|name, _| !name.starts_with("encrypted_"));
            fields.values_mut().for_each(shorten);
        }
        _ => {}
    }
}

/// The content type and the base64 of a data URL.
pub(crate) fn data_url(url: &str) -> Option<(&str, &str)> {
    let scheme = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:"))?;
    let (mime, data) = url[scheme.len()..].split_once(',')?;
    let mime = mime.strip_suffix(";base64").or_else(|| mime.strip_suffix(";BASE64"))?;
    Some((media_type(mime.split(';').next().unwrap_or(mime)), data))
}

/// A type as providers know it: `image/jpg` is what many programs say and none of them takes.
pub(crate) fn media_type(mime: &str) -> &str {
    if mime.eq_ignore_ascii_case("image/jpg") { "image/jpeg" } else { mime }
}

/// How the base64 of what providers take begins.
const BEGINNINGS: [(&str, &str); 5] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
];

/// What was sent, with its type by its first bytes where they tell: providers refuse what is called another picture than it is. Some programs write base64 in
/// lines.
pub(crate) fn data(mime: &str, data: &str) -> Source {
    let has_spaces = memchr::memchr2(b'\n', b' ', data.as_bytes()).is_some();
    let data: String = if has_spaces { data.split_ascii_whitespace().collect() } else { data.to_owned() };
    // Sound and films begin with `RIFF` as well; behind it stands what it is, here the end of `WEBP`.
    let is_other = |found: &str| found == "image/webp" && data.get(12..16) != Some("RUJQ");
    let found = BEGINNINGS.iter().find(|(beginning, found)| data.starts_with(beginning) && !is_other(found));
    let mime = found.map_or_else(|| media_type(mime).to_ascii_lowercase(), |(_, found)| (*found).to_owned());
    Source::Data { mime, data }
}

/// What stands in a file of text. None: it is of another type. An error: it isn't text in UTF-8 with base64.
pub(crate) fn text_of_file(source: &Source) -> Option<Result<String, ()>> {
    let Source::Data { mime, data } = source else { return None };
    let is_text = mime.starts_with("text/")
        || ["json", "xml", "yaml", "javascript", "sql"].iter().any(|kind| mime.ends_with(kind));
    let read = || String::from_utf8(STANDARD.decode(data).ok()?).ok();
    is_text.then(|| read().ok_or(()))
}

/// What was sent as this, as far as its type says: some programs send pictures as files, and documents as pictures.
pub(crate) fn kind_of(source: &Source, sent_as: MediaKind) -> MediaKind {
    match source {
        Source::Data { mime, .. } if mime.starts_with("image/") => MediaKind::Image,
        Source::Data { mime, .. } if mime.starts_with("audio/") => MediaKind::Audio,
        Source::Data { mime, .. } if mime == "application/pdf" => MediaKind::File,
        _ => sent_as,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_or_refused() {
        let listed = |text: &str| {
            let list = RawValue::from_string(text.to_owned()).unwrap();
            listed(&list, "tools").map(|items| items.len()).map_err(|error| error.param)
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
    fn an_object_is_written_as_most_libraries_read_it() {
        let mended = |json: &str| mended(json.as_bytes(), &["n"]);
        let read = r#"{"n":2,"m":1.0,"in":{"a":2}}"#;
        assert_eq!(mended(r#"{"n":1,"m":1.0,"in":{"a":1,"a":2},"n":2.0}"#).as_deref(), Some(read));
        for same in [read, r#"{"n":1.5}"#, r#"{"n":"1"}"#, "[1.0]", "1.0", "{", ""] {
            assert_eq!(mended(same), None, "{same}");
        }
    }
}
