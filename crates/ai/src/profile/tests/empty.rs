//! Servers that refuse messages without content.

use bytes::Bytes;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::{DEEPSEEK, OPENAI, VLLM, call, messages, plain, result, said};
use crate::{
    ProviderKind,
    profile::{
        Profile,
        adapt::{BodyFormat, adapt},
        refusal,
    },
    provider_http::failure,
};

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[test]
fn leaves_out_answers_with_neither_text_nor_calls() {
    let (user, more) = (said("user", "a"), said("user", "b"));
    for answer in [
        said("assistant", ""),
        said("assistant", " \n"),
        json!({"role": "assistant", "content": null}),
        json!({"role": "assistant", "content": []}),
        json!({"role": "assistant", "content": [text("")]}),
        json!({"role": "assistant", "content": "", "tool_calls": []}),
        json!({"role": "assistant", "content": null, "refusal": null}),
        json!({"role": "assistant", "content": "", "reasoning_content": "hm"}),
        json!({"role": "assistant", "reasoning_content": "hm"}),
    ] {
        for base in [DEEPSEEK, VLLM, OPENAI] {
            let adapted = messages(base, "m", json!([user, answer, more]));
            assert_eq!(adapted, json!([user, more]), "{answer} at {base}");
        }
    }
    let refusal = json!({"role": "assistant", "content": null, "refusal": "no"});
    let own = json!([user, call("c"), result("c", ""), said("assistant", "x"), refusal, said("user", "")]);
    assert_eq!(messages(VLLM, "m", own.clone()), own);
}

#[test]
fn leaves_out_empty_text_parts() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:"}});
    let with_parts = |parts: Value| {
        let mut message = call("c");
        message["content"] = parts;
        message
    };
    for (given, expected) in [
        (json!({"role": "user", "content": [text(""), image]}), json!({"role": "user", "content": [image]})),
        (with_parts(json!([text("")])), call("c")),
        (with_parts(json!([])), call("c")),
        (with_parts(json!([text("x")])), with_parts(json!([text("x")]))),
        (json!({"role": "user", "content": [text("")]}), said("user", "")),
        (json!({"role": "tool", "tool_call_id": "c", "content": []}), result("c", "")),
    ] {
        assert_eq!(messages(VLLM, "m", json!([given])), json!([expected]), "{given}");
    }
}

#[test]
fn fills_messages_that_need_a_text() {
    let base = "https://api.moonshot.ai/v1";
    let adapted =
        messages(base, "moonshot-v1-8k", json!([said("user", ""), call("c"), result("c", ""), said("user", "x")]));
    assert_eq!(adapted, json!([said("user", "(empty)"), call("c"), result("c", "(empty)"), said("user", "x")]));
}

#[test]
fn adapts_messages_of_anthropic() {
    let profile = Profile::of(ProviderKind::ANTHROPIC, &"https://api.anthropic.com/v1".parse().unwrap(), "claude", []);
    let adapted = |messages: &Value| {
        let body = Bytes::from(json!({"model": "m", "messages": messages}).to_string());
        let adapted = adapt(&profile, BodyFormat::Messages, &body)?;
        Some(serde_json::from_slice::<Value>(&adapted).unwrap()["messages"].take())
    };
    let tool = json!({"type": "tool_use", "id": "t", "name": "w", "input": {}});
    let of = |parts: Value| json!({"type": "tool_result", "tool_use_id": "t", "content": parts});
    let given = json!([
        {"role": "user", "content": [text("a"), text(" ")]},
        {"role": "assistant", "content": [text(""), tool]},
        {"role": "user", "content": [of(json!([text("")]))]},
        {"role": "assistant", "content": []},
        {"role": "user", "content": [text("")]},
    ]);
    let expected = json!([
        {"role": "user", "content": [text("a")]},
        {"role": "assistant", "content": [tool]},
        {"role": "user", "content": [of(json!([]))]},
        {"role": "user", "content": "(empty)"},
    ]);
    assert_eq!(adapted(&given), Some(expected));
    let own = json!([
        {"role": "user", "content": "a"}, {"role": "assistant", "content": [text("b"), tool]},
        {"role": "user", "content": [of(json!(""))]}, {"role": "assistant", "content": ""}]);
    assert_eq!(adapted(&own), None, "an empty answer may be the last");
}

#[test]
fn recognises_refusals_of_empty_messages() {
    let found = |error: &Value, messages: Value| {
        let failure = failure::parse_response(StatusCode::BAD_REQUEST, &HeaderMap::new(), error.to_string().as_bytes());
        let body = Bytes::from(json!({"model": "m", "messages": messages}).to_string());
        let remedy = refusal::find(&*failure.refusal?, &Profile::default(), BodyFormat::Chat, &body)?;
        Some(remedy.settings.join(" "))
    };
    let empty_answer = || json!([said("user", "a"), said("assistant", ""), said("user", "b")]);
    for error in [
        plain("Invalid assistant message: content or tool_calls must be set"),
        json!({"object": "error", "message": "Assistant message must have either content or tool_calls, but not none.", "type": "invalid_request_assistant_message", "code": "3240"}),
        plain("Invalid request: message at position 1 with role 'assistant' must not be empty"),
        plain("messages.1: all messages must have non-empty content; content must be non-empty"),
        plain("messages: text content blocks must be non-empty"),
        plain("messages[1].content cannot be empty"),
    ] {
        assert_eq!(found(&error, empty_answer()).as_deref(), Some("empty_answers=no"), "{error}");
    }
    let empty_result = json!([said("user", "a"), call("c"), result("c", "")]);
    let error = plain("Invalid request: text content is empty");
    assert_eq!(found(&error, empty_result).as_deref(), Some("empty_content=no"));
}
