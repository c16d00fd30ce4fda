//! Tools of a server, and results of their calls.

use std::collections::HashSet;

use appcore::text_field::parse_line;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Maximum number of tools of a server; more would fill a model's context window.
pub(crate) const MAX_TOOLS: usize = 128;
const MAX_NAME: usize = 128;
const MAX_TITLE: usize = 120;
/// Maximum length of a description, in characters.
const MAX_DESCRIPTION: usize = 2_000;
/// Maximum size of one tool's argument schema, and of all tools' schemas, in bytes.
const MAX_SCHEMA: usize = 32 * 1024;
const MAX_SCHEMAS: usize = 512 * 1024;

/// A tool of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    /// JSON Schema of the arguments.
    pub schema: Value,
    /// True if the server claims that the tool changes nothing.
    pub is_read_only: bool,
    /// True if the server claims that repeating a call has no further effect.
    pub is_idempotent: bool,
}

/// Maximum number of images in a result, and maximum size of one, in bytes of base64.
const MAX_PICTURES: usize = 4;
const MAX_PICTURE_BYTES: usize = 4 * 1024 * 1024;

/// Result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    pub text: String,
    /// Images as base64 data, unchanged.
    pub pictures: Vec<String>,
    /// True if the tool reports a failure.
    pub is_error: bool,
}

/// Validates tools: names are unique, and names and schemas are within the limits.
pub(crate) fn validate_tools(tools: Vec<rmcp::model::Tool>) -> Vec<Tool> {
    let mut names = HashSet::new();
    let mut schemas = 0;
    let mut kept = Vec::new();
    for tool in tools {
        let is_name =
            (1..=MAX_NAME).contains(&tool.name.len()) && tool.name.chars().all(|char| char.is_ascii_graphic());
        let schema = Value::Object((*tool.input_schema).clone());
        let bytes = schema.to_string().len();
        if kept.len() == MAX_TOOLS || !is_name || bytes > MAX_SCHEMA || schemas + bytes > MAX_SCHEMAS {
            tracing::warn!(bytes, "tool dropped, name, schema or tool count exceeds limit");
            continue;
        }
        if !names.insert(tool.name.to_string()) {
            continue;
        }
        schemas += bytes;
        let annotations = tool.annotations.unwrap_or_default();
        let is_read_only = annotations.read_only_hint.unwrap_or(false);
        kept.push(Tool {
            name: tool.name.into_owned(),
            title: tool.title.or(annotations.title.clone()).and_then(|title| valid_title(&title)),
            description: tool.description.map(|text| truncate_visible(&text, MAX_DESCRIPTION)),
            schema: if schema.get("type").is_some() { schema } else { json!({ "type": "object", "properties": {} }) },
            is_read_only,
            is_idempotent: is_read_only || annotations.is_idempotent(),
        });
    }
    kept
}

/// Validates a title. Titles are shown where users approve calls, so one that isn't a plain line is
/// dropped.
pub(crate) fn valid_title(title: &str) -> Option<String> {
    let beginning: String = title.chars().take(MAX_TITLE).collect();
    parse_line("title", &beginning, MAX_TITLE).ok()
}

/// Truncates a text and removes characters that can't be stored, change the text direction, or are
/// visible only to models.
pub(crate) fn truncate_visible(text: &str, chars: usize) -> String {
    let is_hidden = |char: char| {
        matches!(char, '\0' | '\u{61c}' | '\u{200e}' | '\u{200f}')
            || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().filter(|char| !is_hidden(*char)).take(chars).collect()
}

/// Converts a result to text, truncated to `limit` bytes.
pub(crate) fn result(result: CallToolResult, limit: usize) -> CallResult {
    let mut pictures = Vec::new();
    let mut texts: Vec<String> = result.content.into_iter().map(|one| block(one, &mut pictures)).collect();
    if texts.iter().all(|text| text.trim().is_empty())
        && let Some(structured) = result.structured_content
    {
        texts = vec![structured.to_string()];
    }
    CallResult { text: truncate(&texts.join("\n"), limit), pictures, is_error: result.is_error.unwrap_or(false) }
}

/// Creates a result that consists of a text.
pub(crate) fn text(text: &str, limit: usize) -> CallResult {
    CallResult { text: truncate(text, limit), pictures: Vec::new(), is_error: false }
}

/// Converts a resource's contents to a result.
pub(crate) fn resource(read: Vec<ResourceContents>, limit: usize) -> CallResult {
    let mut pictures = Vec::new();
    let texts: Vec<String> = read.into_iter().map(|one| contents(one, &mut pictures)).collect();
    CallResult { pictures, ..text(&texts.join("\n"), limit) }
}

/// Converts a content block to text for a model. Images are collected for models with image input;
/// audio and other media are only named.
pub(crate) fn block(block: ContentBlock, pictures: &mut Vec<String>) -> String {
    match block {
        ContentBlock::Text(text) => text.text,
        ContentBlock::Image(image) => picture(&image.mime_type, image.data, pictures),
        ContentBlock::Audio(audio) => placeholder("audio", &audio.mime_type, &audio.data),
        ContentBlock::Resource(embedded) => contents(embedded.resource, pictures),
        ContentBlock::ResourceLink(link) => format!("[{}: {}]", link.name, link.uri),
        _ => "[something else, not shown]".to_owned(),
    }
}

/// Converts a resource to text for a model.
fn contents(contents: ResourceContents, pictures: &mut Vec<String>) -> String {
    match contents {
        ResourceContents::TextResourceContents { text, .. } => text,
        ResourceContents::BlobResourceContents { mime_type, blob, .. } => {
            let mime = mime_type.as_deref().unwrap_or("unknown");
            if mime.starts_with("image/") { picture(mime, blob, pictures) } else { placeholder("file", mime, &blob) }
        }
        _ => "[a resource, not shown]".to_owned(),
    }
}

/// Collects an image, if the limits permit.
fn picture(mime: &str, data: String, pictures: &mut Vec<String>) -> String {
    if pictures.len() >= MAX_PICTURES || data.len() > MAX_PICTURE_BYTES {
        return placeholder("image", mime, &data);
    }
    let bytes = data.len() / 4 * 3;
    pictures.push(data);
    format!("[image {}, {mime}, {bytes} bytes]", pictures.len())
}

fn placeholder(kind: &str, mime: &str, data: &str) -> String {
    format!("[{kind}, {mime}, {} bytes, not shown]", data.len() / 4 * 3)
}

/// Truncates a text, and removes NUL, which PostgreSQL can't store.
pub(crate) fn truncate(text: &str, limit: usize) -> String {
    let text = text.replace('\0', "");
    if text.len() <= limit {
        return text;
    }
    let end = text.floor_char_boundary(limit);
    format!("{}\n[{} more bytes were left out]", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn offered(name: &str, schema: Value) -> rmcp::model::Tool {
        let Value::Object(schema) = schema else { panic!("not an object") };
        rmcp::model::Tool::new_with_raw(name.to_owned(), Some("x".repeat(5_000).into()), Arc::new(schema))
    }

    #[test]
    fn drops_tools_beyond_the_limits() {
        let wide = json!({ "type": "object", "properties": { "a": { "description": "x".repeat(MAX_SCHEMA) } } });
        let tools = validate_tools(vec![
            offered("add", json!({ "type": "object" })),
            offered("add", json!({ "type": "object" })),
            offered("", json!({})),
            offered("with space", json!({})),
            offered("wide", wide),
            offered("bare", json!({})),
        ]);
        assert_eq!(tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["add", "bare"]);
        assert_eq!(tools[1].schema["type"], "object");
        assert_eq!(tools[0].description.as_ref().map(String::len), Some(MAX_DESCRIPTION));
        assert!(!tools[0].is_read_only && !tools[0].is_idempotent);
        let titled = |title: &str| {
            let mut tool = offered("titled", json!({}));
            tool.title = Some(title.to_owned());
            tool.description = Some("one\u{202e}two\u{e0041}\nthree".into());
            validate_tools(vec![tool]).remove(0)
        };
        assert_eq!(titled("Read\u{200b} only").title, None);
        assert_eq!(titled("Pay\nnothing").title, None);
        assert_eq!(titled("Pay \u{202e}gnihton").title, None);
        let plain = titled("Read");
        assert_eq!((plain.title.as_deref(), plain.description.as_deref()), (Some("Read"), Some("onetwo\nthree")));
        let many = (0..500).map(|at| offered(&format!("t{at}"), json!({}))).collect();
        assert_eq!(validate_tools(many).len(), MAX_TOOLS);
    }

    #[test]
    fn converts_results_to_bounded_text() {
        let of = |content: Value| serde_json::from_value::<CallToolResult>(content).unwrap();
        let mixed = of(json!({ "content": [
            { "type": "text", "text": "a\u{0}b" }, { "type": "image", "data": "AAAA", "mimeType": "image/png" },
        ], "isError": true }));
        let text = "ab\n[image 1, image/png, 3 bytes]".to_owned();
        assert_eq!(result(mixed, 100), CallResult { text, pictures: vec!["AAAA".to_owned()], is_error: true });
        let picture = json!({ "type": "image", "data": "AAAA", "mimeType": "image/png" });
        let many = result(of(json!({ "content": vec![picture; 9] })), 1_000);
        assert_eq!((many.pictures.len(), many.text.matches("not shown").count()), (MAX_PICTURES, 9 - MAX_PICTURES));
        let read: Vec<ResourceContents> = serde_json::from_value(json!([
            { "uri": "a:1", "text": "One" }, { "uri": "a:2", "mimeType": "image/png", "blob": "AAAA" },
            { "uri": "a:3", "mimeType": "application/zip", "blob": "AAAA" },
        ]))
        .unwrap();
        let read = resource(read, 1_000);
        assert_eq!(read.text, "One\n[image 1, image/png, 3 bytes]\n[file, application/zip, 3 bytes, not shown]");
        assert_eq!((read.pictures.as_slice(), read.is_error), (["AAAA".to_owned()].as_slice(), false));
        let structured = of(json!({ "content": [], "structuredContent": { "sum": 3 } }));
        assert_eq!(result(structured, 100).text, "{\"sum\":3}");
        let long = of(json!({ "content": [{ "type": "text", "text": "ơ".repeat(100) }] }));
        let text = result(long, 51).text;
        assert!(text.starts_with(&"ơ".repeat(25)) && text.ends_with("[150 more bytes were left out]"), "{text}");
    }
}
