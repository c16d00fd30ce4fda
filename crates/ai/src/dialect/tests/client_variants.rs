//! Values as clients and models write them, other than documented.

use serde_json::{Value, json};

use super::{read, translated, whole};
use crate::{ApiStyle, ProviderKind, canonical::Effort};

/// A chat request with these fields, as sent to Claude with a budget for thinking.
fn at_claude(fields: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 32_000, "messages": [{"role": "user", "content": "x"}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let request = read(ApiStyle::Chat, &body).unwrap();
    let fitted = crate::params::fit(&request, "claude-sonnet-4-5", None);
    crate::dialect::anthropic::provider_format::write(&fitted, "claude-sonnet-4-5").unwrap()
}

#[test]
fn reads_budgets_and_efforts_in_all_spellings() {
    for (fields, budget) in [
        (json!({"thinking": {"type": "enabled", "budget_tokens": 16_000}}), json!(16_000)),
        (json!({"thinking": {"type": "enabled", "budgetTokens": 16_000}}), json!(16_000)),
        (json!({"reasoning_effort": "medium"}), Effort::Medium.budget().into()),
        (json!({"reasoning_effort": "auto"}), Value::Null),
        (json!({"reasoning_effort": "default"}), Value::Null),
    ] {
        assert_eq!(at_claude(fields.clone())["thinking"]["budget_tokens"], budget, "{fields}");
    }
    let wrong = json!({"model": "m", "reasoning_effort": "lots", "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(read(ApiStyle::Chat, &wrong).unwrap_err().param.as_deref(), Some("reasoning_effort"));
    let responses = json!({"model": "m", "input": "x", "reasoning": {"effort": "auto"}});
    assert_eq!(read(ApiStyle::Responses, &responses).unwrap().reasoning, None);
}

#[test]
fn does_not_let_claude_think_before_a_prefilled_answer() {
    let messages = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "So"}]);
    assert_eq!(at_claude(json!({"reasoning_effort": "low", "messages": messages})).get("thinking"), None);
}

#[test]
fn reads_arguments_that_are_encoded_twice() {
    for (arguments, expected) in
        [(r#""{\"a\": \"1\"}""#, r#"{"a":"1"}"#), (r#"{"a":"{}"}"#, r#"{"a":"{}"}"#), (r#""text""#, "{}")]
    {
        let call = json!({"id": "c", "type": "function", "function": {"name": "w", "arguments": arguments}});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        let answer = json!({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]});
        let (answer, _) = whole(ProviderKind::OPENAI, ApiStyle::Messages, &answer).unwrap();
        assert_eq!(answer["content"][0]["input"].to_string(), expected, "{arguments}");
    }
}

#[test]
fn leaves_out_the_data_of_generated_images() {
    let (large, small) = ("A".repeat(5_000), "tiny");
    let body = |result: &str| {
        json!({"model": "m", "input": [{"role": "user", "content": "x"},
            {"type": "image_generation_call", "id": "ig", "status": "completed", "result": result}]})
    };
    let said =
        |result: &str| translated(ApiStyle::Responses, ProviderKind::OPENAI, &body(result))["messages"][1].to_string();
    assert!(said(&large).contains("[data]") && !said(&large).contains("AAAA"));
    assert!(said(small).contains(small));
}

#[test]
fn says_that_the_content_of_a_result_follows() {
    let result = json!({"type": "tool_result", "tool_use_id": "t", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]});
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "w", "input": {}}]},
        {"role": "user", "content": [result]}]});
    let messages = translated(ApiStyle::Messages, ProviderKind::OPENAI, &body)["messages"].take();
    assert_eq!(messages[2]["content"], "[The content follows in the next message.]");
    assert_eq!(messages[3]["content"][0]["type"], "image_url");
}
