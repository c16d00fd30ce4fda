//! System instructions within a conversation stay in place, so that the prefix in a provider's
//! cache stays valid.

use serde_json::{Value, json};

use super::{API_STYLES, translated};
use crate::{ApiStyle, ProviderKind};

/// Builds a conversation from roles and texts.
fn conversation(style: ApiStyle, said: &[(&str, &str)]) -> Value {
    let messages: Vec<Value> = said.iter().map(|(role, text)| json!({"role": role, "content": text})).collect();
    match style {
        ApiStyle::Chat => json!({"model": "m", "messages": messages}),
        ApiStyle::Responses => {
            let kind = |role: &Value| if role == "assistant" { "output_text" } else { "input_text" };
            let items = messages.iter().map(|one| json!({"type": "message", "role": one["role"], "content": [{"type": kind(&one["role"]), "text": one["content"]}]}));
            json!({"model": "m", "input": items.collect::<Vec<_>>()})
        }
        ApiStyle::Messages => json!({"model": "m", "max_tokens": 9, "messages": messages}),
        ApiStyle::Gemini => {
            let role = |role: &Value| if role == "assistant" { "model".into() } else { role.clone() };
            let content = |one: &Value| json!({"role": role(&one["role"]), "parts": [{"text": one["content"]}]});
            json!({"contents": messages.iter().map(content).collect::<Vec<_>>()})
        }
    }
}

const SAID: [(&str, &str); 5] =
    [("system", "base"), ("user", "a"), ("assistant", "b"), ("system", "reminder 1"), ("user", "c")];
const MARKED: &str = "<system-reminder>\nreminder 1\n</system-reminder>";

#[test]
fn keeps_instructions_in_place() {
    for style in API_STYLES {
        let body = conversation(style, &SAID);
        let openai = translated(style, ProviderKind::OPENAI, &body);
        let expected: Vec<Value> = SAID.iter().map(|(role, text)| json!({"role": role, "content": text})).collect();
        assert_eq!(openai["messages"], json!(expected), "{style:?}");
        let anthropic = translated(style, ProviderKind::ANTHROPIC, &body);
        assert_eq!(anthropic["system"], "base", "{style:?}");
        let last =
            json!({"role": "user", "content": [{"type": "text", "text": MARKED}, {"type": "text", "text": "c"}]});
        assert_eq!(
            (&anthropic["messages"][2], anthropic["messages"].as_array().unwrap().len()),
            (&last, 3),
            "{style:?}"
        );
        let gemini = translated(style, ProviderKind::GEMINI, &body);
        assert_eq!(gemini["systemInstruction"], json!({"parts": [{"text": "base"}]}), "{style:?}");
        assert_eq!(
            gemini["contents"][2],
            json!({"role": "user", "parts": [{"text": MARKED}, {"text": "c"}]}),
            "{style:?}"
        );
        let mistral = translated(style, ProviderKind::from_name("mistral").unwrap(), &body);
        assert!(mistral["messages"].as_array().unwrap().iter().skip(1).all(|message| message["role"] != "system"));
    }
}

#[test]
fn keeps_top_instructions_and_marks_only_once() {
    let said =
        [("system", "one"), ("system", "two"), ("user", "a"), ("system", "<system-reminder>r</system-reminder>")];
    for style in API_STYLES {
        let body = conversation(style, &said);
        let openai = translated(style, ProviderKind::OPENAI, &body);
        assert_eq!(openai["messages"][0], json!({"role": "system", "content": "one\n\ntwo"}), "{style:?}");
        assert_eq!(openai["messages"][2], json!({"role": "system", "content": said[3].1}), "{style:?}");
        let anthropic = translated(style, ProviderKind::ANTHROPIC, &body);
        assert_eq!(anthropic["messages"][0]["content"][1]["text"], said[3].1, "{style:?}");
    }
}

#[test]
fn keeps_the_prefix_stable_across_turns() {
    for kind in [ProviderKind::OPENAI, ProviderKind::GEMINI, ProviderKind::ANTHROPIC] {
        let field = if kind == ProviderKind::GEMINI { "contents" } else { "messages" };
        let turns = |said: &[(&str, &str)]| {
            let written = translated(ApiStyle::Messages, kind, &conversation(ApiStyle::Messages, said));
            written[field].as_array().unwrap().clone()
        };
        let before = turns(&SAID);
        let after = turns(&[&SAID[..], &[("assistant", "d"), ("system", "reminder 2"), ("user", "e")]].concat());
        assert_eq!(before, after[..before.len()], "{kind:?}");
    }
}

#[test]
fn puts_nothing_between_a_call_and_its_result() {
    let call = json!({"type": "tool_use", "id": "c", "name": "f", "input": {}});
    let result = json!({"type": "tool_result", "tool_use_id": "c", "content": "1"});
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": [call]},
        {"role": "system", "content": "reminder 1"}, {"role": "user", "content": [result, {"type": "text", "text": "c"}]}]});
    let openai = translated(ApiStyle::Messages, ProviderKind::OPENAI, &body);
    let roles: Vec<&str> =
        openai["messages"].as_array().unwrap().iter().filter_map(|one| one["role"].as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "system", "user"]);
    let anthropic = translated(ApiStyle::Messages, ProviderKind::ANTHROPIC, &body);
    let kinds = |content: &Value| content.as_array().unwrap().iter().map(|one| one["type"].clone()).collect::<Vec<_>>();
    assert_eq!(kinds(&anthropic["messages"][2]["content"]), ["tool_result", "text", "text"]);
    let gemini = translated(ApiStyle::Messages, ProviderKind::GEMINI, &body);
    assert!(gemini["contents"][2]["parts"][0].get("functionResponse").is_some());
    assert_eq!(gemini["contents"][2]["parts"][1]["text"], MARKED);
}
