//! Thinking of other models in a conversation that continues at Anthropic in its own format.

use serde_json::{Value, json};

use super::anthropic::passthrough::rewrite_request;
use crate::{ApiStyle, ProviderKind};

fn passed(body: &Value) -> Value {
    serde_json::from_slice(&rewrite_request(&body.to_string().into(), "up", false).unwrap().body).unwrap()
}

fn asked(assistant: &Value) -> Value {
    json!({"model": "up", "max_tokens": 9, "thinking": {"type": "enabled", "budget_tokens": 2_000},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": assistant}, {"role": "user", "content": "y"}]})
}

#[test]
fn strips_unsigned_thinking() {
    let (own, text) =
        (json!({"type": "thinking", "thinking": "hm", "signature": "sig"}), json!({"type": "text", "text": "hi"}));
    let (other, call) = (
        json!({"type": "thinking", "thinking": "hm", "signature": ""}),
        json!({"type": "tool_use", "id": "t", "name": "f", "input": {}}),
    );
    for (said, left, thinks) in [
        (json!([other, text]), json!([text]), true),
        (json!([own, other, call]), json!([own, call]), true),
        (json!([other, text, call]), json!([text, call]), false),
        (json!([own, text, call]), json!([own, text, call]), true),
    ] {
        let written = passed(&asked(&said));
        assert_eq!(written["messages"][1]["content"], left);
        assert_eq!(
            (written.get("thinking").is_some(), written.get("context_management").is_some()),
            (thinks, thinks),
            "{said}"
        );
    }
    for unsigned in [
        json!({"type": "thinking", "thinking": "hm"}),
        json!({"type": "thinking", "thinking": "hm", "signature": null}),
    ] {
        assert_eq!(passed(&asked(&json!([unsigned, text])))["messages"][1]["content"], json!([text]));
        assert_eq!(passed(&asked(&json!([own, unsigned, call])))["messages"][1]["content"], json!([own, call]));
    }
    let ours = json!({"type": "thinking", "thinking": "hm", "signature": "nt1."});
    assert_eq!(passed(&asked(&json!([ours, text])))["messages"][1]["content"], json!([text]));
    let written = passed(&asked(&json!([other])));
    assert_eq!(written["messages"], json!([{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]));
}

#[test]
fn strips_unsigned_thinking_before_counting() {
    let (other, text) =
        (json!({"type": "thinking", "thinking": "hm", "signature": "nt1."}), json!({"type": "text", "text": "hi"}));
    let body = asked(&json!([other, text])).to_string().into();
    let dialect = ProviderKind::ANTHROPIC.dialect();
    let count = dialect.count(&body, None, "up").unwrap().unwrap();
    let written: Value = serde_json::from_slice(&count.post.body).unwrap();
    assert_eq!(written["messages"][1]["content"], json!([text]));
}

#[test]
fn translates_other_formats_before_counting() {
    let body = json!({"model": "m", "input": "hello", "instructions": "s", "max_output_tokens": 9, "stream": true});
    let request = super::read(ApiStyle::Responses, &body).unwrap();
    let count =
        ProviderKind::ANTHROPIC.dialect().count(&body.to_string().into(), Some(&request), "up").unwrap().unwrap();
    let written: Value = serde_json::from_slice(&count.post.body).unwrap();
    let message = json!({"role": "user", "content": [{"type": "text", "text": "hello"}]});
    assert_eq!(written, json!({"model": "up", "messages": [message], "system": "s"}));
}

#[test]
fn passes_other_bodies_unchanged() {
    for content in [
        r#"{"type":"thinking","thinking":"hm","signature":"sig"}"#,
        r#"{"type":"text","text":"\"signature\": \"\""}"#,
        r#"{"type":"tool_use","input":{"signature":""}}"#,
        r#"{"type":"tool_use","input":{"thinking":"hm"}}"#,
    ] {
        let body = format!(
            r#"{{ "model":"up",  "messages":[ {{"role":"assistant","content":[{content}]}} ],"max_tokens":9.0 }}"#
        );
        assert_eq!(rewrite_request(&body.clone().into(), "up", false).unwrap().body, body);
    }
}
