//! Compaction of conversations for models without one of their own: the model summarises the
//! conversation, and the summary replaces it.
//!
//! As at OpenAI (<https://platform.openai.com/docs/guides/compaction>), the last item of the input
//! is a `compaction_trigger`, or the request goes to `/v1/responses/compact`. The answer has one
//! item of type `compaction`, whose `encrypted_content` the client sends back unread.

use std::{borrow::Cow, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    GatewayError,
    canonical::{Format, Part, Request, Speaker, ToolChoice},
    dialect::openai_chat::passthrough::{byte_range, replace_ranges},
};

/// Prefix of a summary in `encrypted_content`.
const PREFIX: &str = "nt1.summary.";
const TRIGGER: &str = "compaction_trigger";
/// Instruction that asks the model for the summary.
const INSTRUCTION: &str = "Summarise this conversation for a model that continues it and sees nothing else of it. \
    Include the user's requests and preferences, decisions and their reasons, what was done and what it showed, exact \
    names, paths, numbers and code that are still needed, and the next steps. Answer with the summary only, without \
    calling tools.";
/// Text before a summary in the request that continues the conversation.
const INTRODUCTION: &str = "Summary of the conversation so far, of which the original is no longer included:";

static PREFIX_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PREFIX));
static TRIGGER_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(TRIGGER));

/// True for items that stand for the earlier part of a conversation.
pub(super) fn is_compaction(kind: &str) -> bool {
    matches!(kind, "compaction" | "compaction_summary" | "context_compaction")
}

/// Encodes a summary as `encrypted_content`.
pub(super) fn encode_summary(summary: &str) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(summary))
}

/// Text that replaces a compaction of this gateway; `None` for those of providers.
pub(super) fn summary_text(encrypted_content: &str) -> Option<String> {
    let summary = URL_SAFE_NO_PAD.decode(encrypted_content.strip_prefix(PREFIX)?).ok()?;
    Some(format!("{INTRODUCTION}\n\n{}", String::from_utf8(summary).ok()?))
}

/// True if a request may ask for a compaction.
pub(crate) fn may_request_compaction(body: &[u8]) -> bool {
    TRIGGER_MARK.find(body).is_some()
}

/// True if the last item of the input asks for a compaction.
pub(crate) fn requests_compaction(body: &Value) -> bool {
    let last = body["input"].as_array().and_then(|items| items.last());
    last.is_some_and(|item| item["type"] == TRIGGER)
}

/// Asks the model for a summary. Tools stay in the request because calls in the conversation need
/// their declarations.
pub(super) fn request_summary(request: &mut Request) {
    request.append(Speaker::User, [Part::Text(INSTRUCTION.to_owned())]);
    request.tool_choice = (!request.tools.is_empty()).then_some(ToolChoice::None);
    request.format = Format::Text;
    request.logprobs = None;
    request.web_search = None;
}

/// Replaces this gateway's compactions by their summaries, which providers can read. `None` if there
/// are none.
pub(super) fn expand_summaries(body: &Bytes) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct RequestBody<'a> {
        #[serde(borrow)]
        input: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        encrypted_content: Option<Cow<'a, str>>,
    }
    PREFIX_MARK.find(body)?;
    let input = serde_json::from_slice::<RequestBody<'_>>(body).ok()?.input?;
    let items: Vec<&RawValue> = serde_json::from_str(input.get()).ok()?;
    let expanded = items.into_iter().filter_map(|raw| {
        let item: Item<'_> = serde_json::from_str(raw.get()).ok()?;
        let text = summary_text(item.kind.filter(|kind| is_compaction(kind)).and(item.encrypted_content)?.as_ref())?;
        let message = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
        Some((byte_range(body, raw), message.to_string()))
    });
    let expanded: Vec<_> = expanded.collect();
    (!expanded.is_empty()).then(|| replace_ranges(body, expanded))
}

/// Converts a request to `/v1/responses/compact` into one to `/v1/responses`.
pub(crate) fn response_request(body: &[u8]) -> Result<Bytes, GatewayError> {
    let mut body: Value = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let fields = body.as_object_mut().ok_or_else(|| GatewayError::invalid("The request must be a JSON object."))?;
    let mut items = match fields.remove("input") {
        Some(Value::Array(items)) => items,
        Some(Value::String(text)) => vec![json!({"role": "user", "content": text})],
        None | Some(Value::Null) if fields.get("previous_response_id").is_some_and(Value::is_string) => Vec::new(),
        _ => {
            return Err(GatewayError::invalid_param("input", "`input` must be a string or an array of items."));
        }
    };
    items.retain(|item| item["type"] != TRIGGER);
    items.push(json!({ "type": TRIGGER }));
    fields.insert("input".to_owned(), items.into());
    fields.insert("stream".to_owned(), false.into());
    fields.insert("store".to_owned(), false.into());
    Ok(body.to_string().into())
}

/// Converts a response into the answer of `/v1/responses/compact`.
pub(crate) fn compaction_object(response: &[u8]) -> Option<Bytes> {
    let response: Value = serde_json::from_slice(response).ok()?;
    let items = response["output"].as_array()?.iter();
    let compactions: Vec<&Value> = items.filter(|item| item["type"].as_str().is_some_and(is_compaction)).collect();
    let compacted = json!({
        "id": response["id"], "object": "response.compaction", "created_at": response["created_at"],
        "output": compactions, "usage": response["usage"],
    });
    (!compactions.is_empty()).then(|| compacted.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_summaries_only() {
        let text = summary_text(&encode_summary("Ünïcode")).unwrap();
        assert!(text.ends_with("\n\nÜnïcode"), "{text}");
        for foreign in ["gAAAA", "", "nt1.", "nt1.summary.*"] {
            assert_eq!(summary_text(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn expands_summaries_for_providers() {
        let item = |content: &str| json!({"type": "compaction", "id": "cmp_1", "encrypted_content": content});
        let question = json!({"role": "user", "content": "next"});
        let body = json!({"model": "m", "input": [item(&encode_summary("done: a")), item("gAAAA"), question]});
        let expanded = expand_summaries(&body.to_string().into()).unwrap();
        let expanded: Value = serde_json::from_slice(&expanded).unwrap();
        let text = format!("{INTRODUCTION}\n\ndone: a");
        let message = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
        assert_eq!(expanded["input"], json!([message, item("gAAAA"), question]));
        let foreign = json!({"model": "m", "input": [item("gAAAA")]});
        assert_eq!(expand_summaries(&foreign.to_string().into()), None);
    }

    #[test]
    fn converts_requests_to_compact() {
        let converted = |body: Value| {
            let body = response_request(body.to_string().as_bytes()).map_err(|error| error.param)?;
            Ok::<Value, Option<String>>(serde_json::from_slice(&body).unwrap())
        };
        let trigger = json!({"type": TRIGGER});
        let body = converted(json!({"model": "m", "input": "one", "stream": true})).unwrap();
        assert_eq!(body["input"], json!([{"role": "user", "content": "one"}, trigger]));
        assert_eq!((&body["stream"], requests_compaction(&body)), (&json!(false), true));
        let body = converted(json!({"model": "m", "previous_response_id": "resp_1"})).unwrap();
        assert_eq!(body["input"], json!([trigger]));
        for wrong in [json!({"model": "m"}), json!({"model": "m", "input": 7})] {
            assert_eq!(converted(wrong), Err(Some("input".to_owned())));
        }
    }

    #[test]
    fn returns_only_compactions() {
        let item = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "x"});
        let response = json!({"id": "resp_1", "created_at": 7, "usage": {"input_tokens": 1},
            "output": [{"type": "reasoning", "id": "rs_1"}, item]});
        let compacted: Value =
            serde_json::from_slice(&compaction_object(response.to_string().as_bytes()).unwrap()).unwrap();
        assert_eq!((&compacted["object"], &compacted["output"]), (&json!("response.compaction"), &json!([item])));
        assert_eq!(compaction_object(br#"{"output": []}"#), None);
    }
}
