//! Cache hints of the caller reach only the provider that knows them.

use serde_json::json;

use super::{KINDS, translated};
use crate::{ApiStyle, ProviderKind};

#[test]
fn passes_cache_marks_of_chat_requests_to_claude() {
    let mark = json!({"type": "ephemeral"});
    let body = json!({"model": "m", "max_tokens": 50,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "long rules", "cache_control": mark}, {"type": "text", "text": "today"}]},
            {"role": "user", "content": [{"type": "text", "text": "hello", "cache_control": mark}, {"type": "text", "text": "more"}]},
            {"role": "assistant", "content": "b", "tool_calls": [{"id": "t", "type": "function", "function": {"name": "w", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "t", "content": [{"type": "text", "text": "1", "cache_control": mark}]},
            {"role": "user", "content": "c", "cache_control": mark}],
        "tools": [{"type": "function", "function": {"name": "w", "parameters": {"type": "object", "properties": {}}}, "cache_control": mark}]});
    let claude = translated(ApiStyle::Chat, ProviderKind::ANTHROPIC, &body);
    assert_eq!(
        claude["system"],
        json!([{"type": "text", "text": "long rules", "cache_control": mark}, {"type": "text", "text": "today"}])
    );
    assert_eq!(
        claude["messages"][0]["content"],
        json!([{"type": "text", "text": "hello"}, {"type": "text", "text": "more"}]),
        "Claude allows four cache marks: the oldest of a message is removed"
    );
    assert_eq!(
        claude["messages"][2]["content"],
        json!([
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "1"}], "cache_control": mark},
            {"type": "text", "text": "c", "cache_control": mark}])
    );
    assert_eq!(claude["tools"][0]["cache_control"], mark);
    for kind in KINDS.into_iter().filter(|kind| *kind != ProviderKind::ANTHROPIC) {
        assert!(!translated(ApiStyle::Chat, kind, &body).to_string().contains("cache_control"), "{kind:?}");
    }
}

#[test]
fn passes_the_cache_key_to_openai() {
    let body = json!({"model": "m", "input": "x", "prompt_cache_key": "k1"});
    assert_eq!(translated(ApiStyle::Responses, ProviderKind::OPENAI, &body)["prompt_cache_key"], "k1");
    for kind in [ProviderKind::GEMINI, ProviderKind::ANTHROPIC, ProviderKind::from_name("mistral").unwrap()] {
        assert_eq!(translated(ApiStyle::Responses, kind, &body).get("prompt_cache_key"), None, "{kind:?}");
    }
}

#[test]
fn limits_cache_marks_for_anthropic() {
    let mark = || json!({"type": "ephemeral"});
    let text = |text: &str| json!([{"type": "text", "text": text, "cache_control": mark()}]);
    let mut messages = vec![json!({"role": "system", "content": text("s")})];
    for place in 0..5 {
        messages.push(json!({"role": "user", "content": text(&format!("u{place}"))}));
        messages.push(json!({"role": "assistant", "content": "a"}));
    }
    messages.push(json!({"role": "user", "content": "last"}));
    let body = json!({"model": "m", "messages": messages});
    let written = super::translated(ApiStyle::Chat, ProviderKind::ANTHROPIC, &body);
    let is_marked = |turn: usize| written["messages"][turn]["content"][0].get("cache_control").is_some();
    assert_eq!([0, 2, 4, 6, 8].map(is_marked), [false, false, true, true, true], "{written}");
    assert_eq!(written["system"][0]["cache_control"], mark());
}
