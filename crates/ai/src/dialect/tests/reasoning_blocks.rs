//! Reasoning blocks return with the conversation, and reach only providers that can read them.

use serde_json::{Value, json};

use super::{
    API_STYLES, KINDS,
    answers::{frames, whole_answer},
    read, streamed, translated, whole,
};
use crate::{
    ApiStyle, ProviderKind,
    reasoning_blocks::{MARKER, OpaqueBlock},
};

/// The next request of a client that sends this answer back unchanged.
pub(super) fn next_request(style: ApiStyle, answer: &Value) -> Value {
    let ids = |list: &Value, name: &str| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|call| call[name].clone()).filter(|id| !id.is_null()).collect()
    };
    match style {
        ApiStyle::Chat => {
            let said = &answer["choices"][0]["message"];
            let mut messages = vec![json!({"role": "user", "content": "x"}), said.clone()];
            let results = ids(&said["tool_calls"], "id").into_iter();
            messages.extend(results.map(|id| json!({"role": "tool", "tool_call_id": id, "content": "1"})));
            json!({"model": "m", "messages": messages})
        }
        ApiStyle::Responses => {
            let mut items = vec![json!({"role": "user", "content": "x"})];
            items.extend(answer["output"].as_array().unwrap().iter().cloned());
            let results = ids(&answer["output"], "call_id").into_iter();
            items.extend(results.map(|id| json!({"type": "function_call_output", "call_id": id, "output": "1"})));
            json!({"model": "m", "input": items})
        }
        ApiStyle::Messages => {
            let results = ids(&answer["content"], "id").into_iter();
            let results: Vec<Value> =
                results.map(|id| json!({"type": "tool_result", "tool_use_id": id, "content": "1"})).collect();
            json!({"model": "m", "max_tokens": 9_000, "messages": [
                {"role": "user", "content": "x"}, {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": results}]})
        }
        ApiStyle::Gemini => {
            let content = &answer["candidates"][0]["content"];
            let calls: Vec<Value> =
                content["parts"].as_array().unwrap().iter().map(|part| part["functionCall"].clone()).collect();
            let results = ids(&calls.into(), "id").into_iter();
            let results: Vec<Value> =
                results.map(|id| json!({"functionResponse": {"id": id, "response": {"output": "1"}}})).collect();
            json!({"contents": [{"parts": [{"text": "x"}]}, content, {"parts": results}],
                "generationConfig": {"maxOutputTokens": 9_000}})
        }
    }
}

fn asked(style: ApiStyle, body: &Value, kind: ProviderKind, model: &str) -> Value {
    let base = kind.dialect().public_url().parse().unwrap();
    kind.dialect().write(&read(style, body).unwrap(), model, &base).unwrap()
}

fn thoughts_of(claude: &Value) -> Vec<Value> {
    let blocks = claude["messages"][1]["content"].as_array().unwrap().iter();
    blocks.filter(|block| block["type"].as_str().unwrap().contains("thinking")).cloned().collect()
}

#[test]
fn returns_or_disables_thinking_in_tool_loops() {
    for source in KINDS {
        for style in API_STYLES {
            let (answer, _) = whole(source, style, &whole_answer(source)).unwrap();
            let body = next_request(style, &answer);
            let place = format!("{source:?} by {style:?}");
            let deepseek = asked(style, &body, ProviderKind::OPENAI, "deepseek-v4-pro");
            assert_eq!(deepseek["messages"][1]["reasoning_content"], "hm", "{place}: {deepseek}");
            assert_eq!(deepseek["messages"][1]["tool_calls"].as_array().unwrap().len(), 2, "{place}");
            let other = asked(style, &body, ProviderKind::OPENAI, "gpt-5-mini");
            assert!(other["messages"][1].get("reasoning_content").is_none(), "{place}: {other}");
            let claude = asked(style, &body, ProviderKind::ANTHROPIC, "claude-sonnet-4-5");
            let own = json!({"type": "thinking", "thinking": "hm", "signature": "sig"});
            let expected = if source == ProviderKind::ANTHROPIC { vec![own] } else { Vec::new() };
            assert_eq!(thoughts_of(&claude), expected, "{place}: {claude}");
            let gemini = asked(style, &body, ProviderKind::GEMINI, "gemini-3-pro");
            for written in [deepseek, other, claude, gemini] {
                assert!(!written.to_string().contains(MARKER), "{place}: {written}");
            }
        }
    }
}

#[test]
fn restores_thinking_from_the_opaque_field_alone() {
    let (answer, _) = whole(ProviderKind::OPENAI, ApiStyle::Responses, &whole_answer(ProviderKind::OPENAI)).unwrap();
    let mut body = next_request(ApiStyle::Responses, &answer);
    assert_eq!(body["input"][1]["type"], "reasoning");
    body["input"][1]["summary"] = json!([]);
    let deepseek = asked(ApiStyle::Responses, &body, ProviderKind::OPENAI, "deepseek-v4-pro");
    assert_eq!(deepseek["messages"][1]["reasoning_content"], "hm");
    body["input"][1]["encrypted_content"] = OpaqueBlock::redacted("data").encode().into();
    let claude = asked(ApiStyle::Responses, &body, ProviderKind::ANTHROPIC, "claude-sonnet-4-5");
    assert_eq!(thoughts_of(&claude), [json!({"type": "redacted_thinking", "data": "data"})]);
    body["input"][1]["encrypted_content"] = json!("gAAAAABofOpenAI");
    let claude = asked(ApiStyle::Responses, &body, ProviderKind::ANTHROPIC, "claude-sonnet-4-5");
    assert_eq!(thoughts_of(&claude), Vec::<Value>::new(), "OpenAI's own data is opaque");
}

#[test]
fn sends_blank_reasoning_to_models_that_require_it() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"}]});
    let blank = |model: &str| {
        asked(ApiStyle::Chat, &body, ProviderKind::OPENAI, model)["messages"][1]["reasoning_content"].clone()
    };
    assert_eq!((blank("kimi-k2.5"), blank("deepseek-reasoner")), (json!(" "), json!(" ")));
    assert_eq!((blank("glm-5"), blank("gpt-5")), (Value::Null, Value::Null));
    let told = json!({"model": "m", "messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "content": "y", "reasoning": "hm"}, {"role": "user", "content": "z"}]});
    let glm = asked(ApiStyle::Chat, &told, ProviderKind::OPENAI, "glm-5");
    assert_eq!(glm["messages"][1]["reasoning_content"], "hm");
}

#[test]
fn streams_thinking_with_a_signature() {
    let (events, _) = streamed(ProviderKind::OPENAI, ApiStyle::Messages, &frames(ProviderKind::OPENAI)).unwrap();
    let signed: Vec<&Value> = events.iter().filter(|event| event["delta"]["type"] == "signature_delta").collect();
    assert_eq!(signed.len(), 1);
    assert_eq!((&signed[0]["index"], &signed[0]["delta"]["signature"]), (&json!(0), &json!(MARKER)));
    let (events, _) = streamed(ProviderKind::ANTHROPIC, ApiStyle::Messages, &frames(ProviderKind::ANTHROPIC)).unwrap();
    let signed: Vec<&str> = events.iter().filter_map(|event| event["delta"]["signature"].as_str()).collect();
    assert_eq!(signed, ["sig"]);
}

#[test]
fn passes_call_signatures_to_servers_that_may_know_them() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "gs"}}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "content": null, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]});
    let openai = translated(ApiStyle::Chat, ProviderKind::OPENAI, &body);
    assert!(openai["messages"][1]["tool_calls"][0].get("extra_content").is_none(), "OpenAI rejects unknown data");
    let base = "https://openrouter.ai/api/v1".parse().unwrap();
    let other = ProviderKind::OPENAI.dialect().write(&read(ApiStyle::Chat, &body).unwrap(), "m", &base).unwrap();
    assert_eq!(other["messages"][1]["tool_calls"][0], call);
}
