//! Cache hints of the caller reach only the provider that knows them.

use serde_json::{Value, json};

use super::{KINDS, read, translated};
use crate::{ApiStyle, ProviderKind, ai::encode_request, params::ModelParamOverrides, profile::adapt::BodyFormat};

/// A chat request as translated for a model of this provider, with what the gateway adds for prompt
/// caches.
fn cached(kind: ProviderKind, base: &str, model: &str, accepts: Option<&str>, body: &Value) -> Value {
    let limits = appcore::view::ModelParameterLimits { accepts: accepts.map(str::to_owned), ..Default::default() };
    let own = ModelParamOverrides::read(&limits, None).filter(|own| !own.is_empty());
    let request = read(ApiStyle::Chat, body).unwrap();
    let api = (kind, BodyFormat::of(kind));
    let body = encode_request(api, &base.parse().unwrap(), &request, model, own.as_ref()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn adds_cache_marks_for_claude() {
    let (mark, claude) = (json!({"type": "ephemeral"}), "claude-sonnet-4-6");
    let (system, first) = (json!({"role": "system", "content": "rules"}), json!({"role": "user", "content": "a"}));
    let (answer, second) = (json!({"role": "assistant", "content": "b"}), json!({"role": "user", "content": "c"}));
    let at = |base: &str, kind, accepts, messages: &[&Value]| {
        cached(kind, base, claude, accepts, &json!({"model": "m", "max_tokens": 9, "messages": messages}))
    };
    let anthropic = |messages: &[&Value]| at("https://api.anthropic.com/v1", ProviderKind::ANTHROPIC, None, messages);
    let begun = anthropic(&[&system, &first, &answer, &second]);
    assert_eq!(begun["system"], json!([{"type": "text", "text": "rules", "cache_control": mark}]));
    assert_eq!(begun["messages"][2]["content"], json!([{"type": "text", "text": "c", "cache_control": mark}]));
    let single = anthropic(&[&first]);
    assert!(!single.to_string().contains("cache_control"), "{single}");
    let own = json!({"role": "user", "content": [{"type": "text", "text": "a", "cache_control": mark}]});
    assert_eq!(anthropic(&[&system, &own])["system"], "rules", "the caller's own marks stay alone");
    let off = at(
        "https://api.anthropic.com/v1",
        ProviderKind::ANTHROPIC,
        Some("cache=no"),
        &[&system, &first, &answer, &second],
    );
    assert!(!off.to_string().contains("cache_control"), "{off}");
    let router = at("https://openrouter.ai/api/v1", ProviderKind::OPENAI, None, &[&system, &first, &answer, &second]);
    assert_eq!(router["messages"][0]["content"], json!([{"type": "text", "text": "rules", "cache_control": mark}]));
    assert_eq!(router["messages"][3]["content"], json!([{"type": "text", "text": "c", "cache_control": mark}]));
    let other = at("https://example.org/v1", ProviderKind::OPENAI, None, &[&system, &own]);
    assert!(!other.to_string().contains("cache_control"), "{other}");
}

#[test]
fn adds_a_cache_key_for_openai() {
    let body = |key: Value| json!({"model": "m", "user": "anna", "prompt_cache_key": key, "messages": [{"role": "user", "content": "a"}]});
    let key = |base: &str, accepts, given: Value| {
        cached(ProviderKind::OPENAI, base, "gpt-5", accepts, &body(given))["prompt_cache_key"].take()
    };
    let openai = "https://api.openai.com/v1";
    let added = key(openai, None, Value::Null);
    assert_eq!((added.as_str().map(str::len), &added), (Some(32), &key(openai, None, Value::Null)));
    assert_eq!(key(openai, None, json!("own")), "own");
    assert_eq!(key(openai, Some("cache=no"), Value::Null), Value::Null);
    assert_eq!(key("http://127.0.0.1:8000/v1", None, Value::Null), Value::Null);
    assert!(
        key("https://api.kimi.com/coding/v1", None, Value::Null).is_string(),
        "its coding plan caches nothing without"
    );
}

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

#[test]
fn passes_cache_marks_of_messages_to_openrouter() {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let marked = |text: &str| json!({"type": "text", "text": text, "cache_control": mark});
    let call = json!({"type": "tool_use", "id": "t", "name": "w", "input": {}});
    let result =
        |mark: &Value| json!([{"type": "tool_result", "tool_use_id": "t", "content": "sunny", "cache_control": mark}]);
    let body = |messages: Value| json!({"model": "m", "max_tokens": 9, "system": [marked("rules"), {"type": "text", "text": "today"}], "messages": messages});
    let written = |base: &str, kind, body: &Value| {
        let request = read(ApiStyle::Messages, body).unwrap();
        let api = (kind, BodyFormat::of(kind));
        let body = encode_request(api, &base.parse().unwrap(), &request, "claude-sonnet-4-6", None).unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    let router = |messages: Value| {
        written("https://openrouter.ai/api/v1", ProviderKind::OPENAI, &body(messages))["messages"].take()
    };
    let first = router(json!([{"role": "user", "content": [{"type": "text", "text": "a"}, marked("b")]}]));
    assert_eq!(first[0]["content"], json!([marked("rules"), {"type": "text", "text": "today"}]));
    assert_eq!(first[1]["content"], json!([{"type": "text", "text": "a"}, marked("b")]));
    // A mark on a tool result moves to the text before it.
    for (answer, user, assistant) in [
        (json!([{"type": "text", "text": "I look."}, call]), json!("a"), json!([marked("I look.")])),
        (json!([call]), json!([marked("a")]), Value::Null),
    ] {
        let looped = router(json!([
            {"role": "user", "content": "a"}, {"role": "assistant", "content": answer}, {"role": "user", "content": result(&mark)}]));
        assert_eq!((&looped[1]["content"], &looped[2]["content"]), (&user, &assistant), "{looped}");
        assert_eq!(looped[3], json!({"role": "tool", "tool_call_id": "t", "content": "sunny"}));
    }
    let claude = written(
        "https://api.anthropic.com/v1",
        ProviderKind::ANTHROPIC,
        &body(
            json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": [call]}, {"role": "user", "content": result(&mark)}]),
        ),
    );
    assert_eq!(claude["system"][0]["cache_control"], mark);
    assert_eq!(claude["messages"][2]["content"][0]["cache_control"], mark);
    let other = written(
        "https://example.org/v1",
        ProviderKind::OPENAI,
        &body(json!([{"role": "user", "content": [marked("a")]}])),
    );
    assert!(!other.to_string().contains("cache_control"), "{other}");
}

#[test]
fn drops_the_billing_line_that_differs_in_each_request() {
    let line = "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=36ee5;";
    let block = |text: &str| json!({"type": "text", "text": text});
    let with_lines = format!("{line}\nYou are an agent.\nBe brief.");
    for (system, expected) in [
        (json!([block(line), block("You are an agent.\nBe brief.")]), "You are an agent.\nBe brief."),
        (json!([block(&with_lines)]), "You are an agent.\nBe brief."),
        (json!(with_lines), "You are an agent.\nBe brief."),
        (json!([block("You are an agent."), block(line)]), "You are an agent."),
        (json!("What is x-anthropic-billing-header: for?"), "What is x-anthropic-billing-header: for?"),
    ] {
        let body =
            json!({"model": "m", "max_tokens": 9, "system": system, "messages": [{"role": "user", "content": "x"}]});
        for (kind, path) in
            [(ProviderKind::OPENAI, "/messages/0/content"), (ProviderKind::GEMINI, "/systemInstruction/parts/0/text")]
        {
            let written = translated(ApiStyle::Messages, kind, &body);
            assert_eq!(written.pointer(path).and_then(Value::as_str), Some(expected), "{kind:?} {system}");
        }
    }
}
