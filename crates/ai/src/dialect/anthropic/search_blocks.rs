//! Web searches in Anthropic's format, for answers of other providers: the blocks of a search, and
//! citations.
//!
//! Anthropic encrypts parts of its own blocks and rejects blocks without that data, so those written
//! here become text before a conversation is passed through to it.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde_json::{Value, json};

use crate::{
    canonical::{Choice, Citation},
    dialect::fields::{Fields, render_server_tool},
    reasoning_blocks::{MARKER, is_own_marker},
    web_search::{SearchPage, SearchRun},
};

/// Prefix of the ids of searches written here.
const ID_PREFIX: &str = "srvtoolu_nt1";

/// Call and result of a search.
pub(super) fn blocks(run: &SearchRun) -> [Value; 2] {
    let id = format!("{ID_PREFIX}{:016x}", rand::random::<u64>());
    let content = match run.error {
        Some(code) => json!({"type": "web_search_tool_result_error", "error_code": code}),
        None => {
            let page = |page: &SearchPage| {
                json!({
                    "type": "web_search_result", "url": page.url, "title": page.title, "encrypted_content": MARKER,
                    "page_age": null,
                })
            };
            run.pages.iter().map(page).collect()
        }
    };
    [
        json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": run.query}}),
        json!({"type": "web_search_tool_result", "tool_use_id": id, "content": content}),
    ]
}

/// Citation within a text block.
pub(super) fn citation(citation: &Citation) -> Value {
    json!({
        "type": "web_search_result_location", "url": citation.url, "title": citation.title, "cited_text": "",
        "encrypted_index": MARKER,
    })
}

/// Citations of each text block, by its place among the choice's text blocks. A citation belongs to
/// the block in which its range ends.
pub(super) fn citations_of_texts(choice: &Choice, lengths: &[usize]) -> Vec<Vec<Value>> {
    let mut lists = vec![Vec::new(); lengths.len()];
    let mut end = 0;
    let ends: Vec<usize> = lengths
        .iter()
        .map(|length| {
            end += length;
            end
        })
        .collect();
    for cited in &choice.citations {
        let place = ends.iter().position(|end| cited.end <= *end).unwrap_or(ends.len().saturating_sub(1));
        if let Some(list) = lists.get_mut(place) {
            list.push(citation(cited));
        }
    }
    lists
}

static OWN_MARKS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [ID_PREFIX, "encrypted_index"].map(Finder::new));

/// Replaces searches that were written here by text, and removes such citations. `None` if there
/// are none.
pub(super) fn without_own_searches(body: &Bytes) -> Option<Bytes> {
    if !OWN_MARKS.iter().any(|mark| mark.find(body).is_some()) {
        return None;
    }
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let messages = value.get_mut("messages")?.as_array_mut()?;
    let mut is_changed = false;
    for message in messages.iter_mut().filter(|message| message["role"] == "assistant") {
        for block in message.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
            is_changed |= replace_search(block) || remove_citations(block);
        }
    }
    is_changed.then(|| value.to_string().into())
}

/// Replaces the call or result of a search by text. Returns false for other blocks.
fn replace_search(block: &mut Value) -> bool {
    let is_own =
        ["id", "tool_use_id"].iter().any(|name| block[*name].as_str().is_some_and(|id| id.starts_with(ID_PREFIX)));
    let kind = block["type"].as_str().unwrap_or_default().to_owned();
    if !is_own {
        return false;
    }
    let Ok(fields) = Fields::root(block) else { return false };
    *block = json!({"type": "text", "text": render_server_tool(&kind, &fields)});
    true
}

fn remove_citations(block: &mut Value) -> bool {
    let Some(citations) = block.get_mut("citations").and_then(Value::as_array_mut) else { return false };
    let before = citations.len();
    citations.retain(|citation| !citation["encrypted_index"].as_str().is_some_and(is_own_marker));
    let is_changed = citations.len() < before;
    if citations.is_empty()
        && let Some(fields) = block.as_object_mut()
    {
        fields.shift_remove("citations");
    }
    is_changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_own_searches_before_passthrough() {
        let page = SearchPage { url: "https://e.org".to_owned(), title: "E".to_owned(), text: String::new() };
        let run = SearchRun { query: "rain".to_owned(), pages: vec![page], error: None };
        let cited = Citation::new("https://e.org", Some("E"), 5);
        let theirs = json!({"type": "web_search_result_location", "encrypted_index": "Eo8B", "url": "https://f.org"});
        let [call, result] = blocks(&run);
        let text = json!({"type": "text", "text": "It rains.", "citations": [citation(&cited), theirs]});
        let body = json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [call, result, text]}]});
        let replaced = without_own_searches(&body.to_string().into()).unwrap();
        let replaced: Value = serde_json::from_slice(&replaced).unwrap();
        let content = &replaced["messages"][1]["content"];
        assert_eq!(
            content[0],
            json!({"type": "text", "text": r#"[server_tool_use] {"name":"web_search","input":{"query":"rain"}}"#})
        );
        assert!(content[1]["text"].as_str().unwrap().contains("https://e.org"), "{content}");
        assert_eq!(content[2]["citations"], json!([theirs]));
        let native = json!({"messages": [{"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1"}, {"type": "text", "citations": [theirs]}]}]});
        assert_eq!(without_own_searches(&native.to_string().into()), None);
    }
}
