//! Earlier reasoning: sent where it is required, renamed, and removed where it can't be read.

use serde_json::{Value, json};

use super::*;

#[test]
fn writes_earlier_reasoning_in_the_field_of_the_server() {
    let turn = |fields: Value| {
        let mut message = call("c");
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        message
    };
    let written = |setting: &'static str, fields: Value| {
        adapted(&Profile::default().with([setting]), &json!({"messages": [turn(fields)]}))["messages"][0].take()
    };
    let content = json!({"reasoning_content": "hm"});
    assert_eq!(written("thoughts=reasoning", content.clone()), turn(json!({"reasoning": "hm"})));
    assert_eq!(written("thoughts=no", content.clone()), call("c"));
    assert_eq!(written("thoughts=always", content.clone()), turn(content));
    assert_eq!(written("thoughts=always", json!({})), turn(json!({"reasoning_content": " "})));
    let both = json!({"reasoning": "hm", "reasoning_content": "hm"});
    assert_eq!(written("thoughts=always", json!({"reasoning": "hm"})), turn(both));
}

#[test]
fn adds_reasoning_to_turns_with_calls_where_it_is_required() {
    let history = |model: &str, base: &str| {
        let own = json!({"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [{"id": "b"}]});
        let said =
            messages(base, model, json!([said("user", "x"), call("a"), result("a", "1"), own, result("b", "2")]));
        [1, 3].map(|at| said[at]["reasoning_content"].as_str().map(str::to_owned))
    };
    let (blank, own) = (Some(" ".to_owned()), Some("hm".to_owned()));
    for (model, base, expected) in [
        ("deepseek-v4-flash", DEEPSEEK, [blank.clone(), own.clone()]),
        ("moonshotai/kimi-k2.5", VLLM, [blank, own.clone()]),
        ("glm-5", VLLM, [None, own.clone()]),
        ("deepseek-v4-flash", "https://api.groq.com/openai/v1", [None, None]),
        ("gpt-4o", OPENAI, [None, own]),
    ] {
        assert_eq!(history(model, base), expected, "{model} {base}");
    }
}

#[test]
fn removes_reasoning_that_the_provider_cannot_read() {
    let once = Some("once thoughts=no");
    let claude = json!({"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}]});
    let openai = json!({"input": [{"type": "reasoning", "encrypted_content": "e"}]});
    let gemini = json!({"contents": [{"parts": [{"functionCall": {}, "thoughtSignature": "s"}]}]});
    let router = json!({"messages": [{"role": "assistant", "content": "a", "reasoning_details": [{}]}]});
    for (format, message, body, expected) in [
        (BodyFormat::Messages, "messages.1.content.0: Invalid `signature` in `thinking` block", &claude, once),
        (
            BodyFormat::Messages,
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            &json!({"messages": []}),
            None,
        ),
        (BodyFormat::Responses, "The encrypted content for item rs_1 could not be verified.", &openai, once),
        (BodyFormat::Gemini, "Thought signature is not valid.", &gemini, once),
        (BodyFormat::Chat, "Provider returned error: Invalid signature in thinking block", &router, once),
    ] {
        assert_eq!(remedy(format, 400, &plain(message), body).as_deref(), expected, "{message}");
    }
}
