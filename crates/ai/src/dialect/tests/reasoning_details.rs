//! OpenRouter's `reasoning_details` return with the conversation, to OpenRouter only.

use serde_json::{Value, json};

use super::{read, reasoning_blocks::next_request, streamed, whole};
use crate::{ApiStyle, ProviderKind, reasoning_blocks::MARKER};

const OPENROUTER: &str = "https://openrouter.ai/api/v1";
/// Client formats that carry the details in an opaque field.
const STYLES: [ApiStyle; 2] = [ApiStyle::Responses, ApiStyle::Messages];

fn details() -> Value {
    json!([
        {"type": "reasoning.text", "text": "hm", "format": "google-gemini-v1", "index": 0, "signature": "sig"},
        {"type": "reasoning.encrypted", "data": "EoED", "id": "tool_w_1", "format": "google-gemini-v1", "index": 1}])
}

fn whole_answer() -> Value {
    let call = json!({"index": 0, "id": "tool_w_1", "type": "function", "function": {"name": "w", "arguments": "{\"city\":\"Hue\"}"}});
    let said = json!({"role": "assistant", "content": "Look.", "reasoning": "hm", "reasoning_details": details(), "tool_calls": [call]});
    json!({"choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}]})
}

/// The answer of [`whole_answer`] as a stream, whose last detail arrives while a call is open.
fn frames() -> Vec<Value> {
    let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let text = |fields: Value| {
        let mut detail = json!({"type": "reasoning.text", "format": "google-gemini-v1", "index": 0});
        detail.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        detail
    };
    let call = |fields: Value| delta(json!({ "tool_calls": [fields] }));
    vec![
        delta(
            json!({"role": "assistant", "content": "", "reasoning": "h", "reasoning_details": [text(json!({"text": "h"}))]}),
        ),
        delta(json!({"content": "", "reasoning": "m", "reasoning_details": [text(json!({"text": "m"}))]})),
        delta(json!({"content": "", "reasoning_details": [text(json!({"signature": "sig"}))]})),
        delta(json!({"content": "Look."})),
        call(
            json!({"index": 0, "id": "tool_w_1", "type": "function", "function": {"name": "w", "arguments": "{\"city\""}}),
        ),
        delta(json!({"content": "", "reasoning_details": [details()[1]]})),
        call(json!({"index": 0, "function": {"arguments": ":\"Hue\"}"}})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    ]
}

/// A client's copy of the streamed answer.
fn assembled(style: ApiStyle) -> Value {
    let (events, _) = streamed(ProviderKind::OPENAI, style, &frames()).unwrap();
    if style == ApiStyle::Responses {
        return events.last().unwrap()["response"].clone();
    }
    let mut blocks: Vec<Value> = Vec::new();
    let mut arguments = String::new();
    for event in &events {
        if event["type"] == "content_block_start" {
            blocks.push(event["content_block"].clone());
        }
        let Some(delta) = event["delta"].as_object() else { continue };
        for name in ["text", "thinking", "signature"] {
            if let Some(more) = delta.get(name).and_then(Value::as_str) {
                let block = blocks.last_mut().unwrap();
                block[name] = format!("{}{more}", block[name].as_str().unwrap()).into();
            }
        }
        arguments.push_str(delta.get("partial_json").and_then(Value::as_str).unwrap_or_default());
    }
    let call = blocks.iter_mut().find(|block| block["type"] == "tool_use").unwrap();
    call["input"] = serde_json::from_str(&arguments).unwrap();
    json!({ "content": blocks })
}

fn written(style: ApiStyle, body: &Value, kind: ProviderKind, base: &str) -> Value {
    let model = if kind == ProviderKind::GEMINI { "gemini-3-pro" } else { "google/gemini-3-pro" };
    kind.dialect().write(&read(style, body).unwrap(), model, &base.parse().unwrap()).unwrap()
}

#[test]
fn returns_reasoning_details_to_openrouter() {
    for style in STYLES {
        for answer in [whole(ProviderKind::OPENAI, style, &whole_answer()).unwrap().0, assembled(style)] {
            let body = next_request(style, &answer);
            let message = written(style, &body, ProviderKind::OPENAI, OPENROUTER)["messages"][1].clone();
            assert_eq!(message["reasoning_details"], details(), "{style:?} {answer}");
            assert_eq!(message["content"], "Look.", "{style:?}");
            let call = &message["tool_calls"][0];
            assert_eq!(
                (&call["id"], &call["function"]["arguments"]),
                (&json!("tool_w_1"), &json!("{\"city\":\"Hue\"}"))
            );
            for (kind, base) in [
                (ProviderKind::OPENAI, "https://api.openai.com/v1"),
                (ProviderKind::OPENAI, "http://127.0.0.1:8000/v1"),
                (ProviderKind::ANTHROPIC, "https://api.anthropic.com/v1"),
                (ProviderKind::GEMINI, "https://generativelanguage.googleapis.com/v1beta"),
            ] {
                let other = written(style, &body, kind, base).to_string();
                for word in ["reasoning_details", "EoED", MARKER] {
                    assert!(!other.contains(word), "{style:?} {base}: {other}");
                }
            }
        }
    }
}

#[test]
fn returns_details_without_readable_thinking() {
    let mut answer = whole_answer();
    let encrypted = json!([details()[1]]);
    let message = &mut answer["choices"][0]["message"];
    message["reasoning"] = Value::Null;
    message["reasoning_details"] = encrypted.clone();
    for style in STYLES {
        let (answer, _) = whole(ProviderKind::OPENAI, style, &answer).unwrap();
        let message = written(style, &next_request(style, &answer), ProviderKind::OPENAI, OPENROUTER);
        assert_eq!(message["messages"][1]["reasoning_details"], encrypted, "{style:?}");
    }
}

#[test]
fn keeps_the_text_of_details_for_other_models() {
    let mut answer = whole_answer();
    answer["choices"][0]["message"]["reasoning"] = Value::Null;
    for style in STYLES {
        let (answer, _) = whole(ProviderKind::OPENAI, style, &answer).unwrap();
        let mut body = next_request(style, &answer);
        if style == ApiStyle::Responses {
            assert_eq!(answer["output"][0]["summary"][0]["text"], "hm");
            body["input"][1]["summary"] = json!([]);
        } else {
            assert_eq!(answer["content"][0]["thinking"], "hm");
        }
        let base = "http://127.0.0.1:8000/v1".parse().unwrap();
        let request = read(style, &body).unwrap();
        let deepseek = ProviderKind::OPENAI.dialect().write(&request, "deepseek-v4-pro", &base).unwrap();
        assert_eq!(deepseek["messages"][1]["reasoning_content"], "hm", "{style:?}");
    }
}

#[test]
fn writes_reasoning_details_in_chat_completions() {
    let (chat, _) = whole(ProviderKind::OPENAI, ApiStyle::Chat, &whole_answer()).unwrap();
    assert_eq!(chat["choices"][0]["message"]["reasoning_details"], details());
    let (chunks, _) = streamed(ProviderKind::OPENAI, ApiStyle::Chat, &frames()).unwrap();
    let lists = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["reasoning_details"].as_array());
    assert_eq!(Value::from(lists.flatten().cloned().collect::<Vec<_>>()), details());
}
