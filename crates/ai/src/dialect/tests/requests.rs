//! Requests: conversion from each client format to each provider format.

use serde_json::{Value, json};

use super::{API_STYLES, KINDS, read, translated};
use crate::{ApiStyle, ProviderKind};

pub(super) const SCHEMA: fn() -> Value = || json!({"$schema": "x", "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});

/// A tool round with two parallel calls, in each client format.
pub(super) fn tool_round(style: ApiStyle) -> Value {
    match style {
        ApiStyle::Chat => json!({"model": "m", "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Hue\"}"}},
                {"id": "call_b", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Da Lat\"}"}}]},
            {"role": "tool", "tool_call_id": "call_a", "content": "{\"celsius\":31}"},
            {"role": "tool", "tool_call_id": "call_b", "content": "cold"}],
            "tools": [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA(), "strict": true}}],
            "tool_choice": "required", "max_completion_tokens": 50}),
        ApiStyle::Responses => json!({"model": "m", "instructions": "Be brief.", "input": [
            {"role": "user", "content": "Weather?"},
            {"type": "function_call", "call_id": "call_a", "name": "weather", "arguments": "{\"city\":\"Hue\"}"},
            {"type": "function_call", "call_id": "call_b", "name": "weather", "arguments": "{\"city\":\"Da Lat\"}"},
            {"type": "function_call_output", "call_id": "call_a", "output": "{\"celsius\":31}"},
            {"type": "function_call_output", "call_id": "call_b", "output": "cold"}],
            "tools": [{"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA(), "strict": true}],
            "tool_choice": "required", "max_output_tokens": 50, "include": []}),
        ApiStyle::Messages => json!({"model": "m", "system": [{"type": "text", "text": "Be brief."}], "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "call_a", "name": "weather", "input": {"city": "Hue"}},
                {"type": "tool_use", "id": "call_b", "name": "weather", "input": {"city": "Da Lat"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_a", "content": "{\"celsius\":31}"},
                {"type": "tool_result", "tool_use_id": "call_b", "content": [{"type": "text", "text": "cold"}]}]}],
            "tools": [{"name": "weather", "description": "d", "input_schema": SCHEMA(), "strict": true}],
            "tool_choice": {"type": "any"}, "max_tokens": 50}),
        ApiStyle::Gemini => json!({"contents": [
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "call_a", "name": "weather", "args": {"city": "Hue"}}},
                {"functionCall": {"id": "call_b", "name": "weather", "args": {"city": "Da Lat"}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "call_a", "name": "weather", "response": {"celsius": 31}}},
                {"functionResponse": {"id": "call_b", "name": "weather", "response": {"output": "cold"}}}]}],
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [{"functionDeclarations": [{"name": "weather", "description": "d", "parametersJsonSchema": SCHEMA()}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}, "generationConfig": {"maxOutputTokens": 50}}),
    }
}

#[test]
fn converts_tool_rounds_between_all_formats() {
    let openai = json!({"model": "up", "max_completion_tokens": 50, "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Hue\"}"}},
            {"id": "call_b", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Da Lat\"}"}}]},
        {"role": "tool", "tool_call_id": "call_a", "content": "{\"celsius\":31}"},
        {"role": "tool", "tool_call_id": "call_b", "content": "cold"}],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA(), "strict": true}}],
        "tool_choice": "required"});
    let mut bare = SCHEMA();
    bare.as_object_mut().unwrap().remove("$schema");
    let gemini = json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "call_a", "name": "weather", "args": {"city": "Hue"}}, "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"id": "call_b", "name": "weather", "args": {"city": "Da Lat"}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "call_a", "name": "weather", "response": {"celsius": 31}}},
                {"functionResponse": {"id": "call_b", "name": "weather", "response": {"result": "cold"}}}]}],
        "tools": [{"functionDeclarations": [{"name": "weather", "description": "d", "parametersJsonSchema": bare}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {"maxOutputTokens": 50}});
    let anthropic = json!({"model": "up", "max_tokens": 50, "system": "Be brief.", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "call_a", "name": "weather", "input": {"city": "Hue"}},
            {"type": "tool_use", "id": "call_b", "name": "weather", "input": {"city": "Da Lat"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "call_a", "content": [{"type": "text", "text": "{\"celsius\":31}"}]},
            {"type": "tool_result", "tool_use_id": "call_b", "content": [{"type": "text", "text": "cold"}]}]}],
        "tools": [{"name": "weather", "description": "d", "input_schema": SCHEMA()}],
        "tool_choice": {"type": "any"}});
    for style in API_STYLES {
        let mut openai = openai.clone();
        if style == ApiStyle::Gemini {
            // Gemini's API has no strict tools.
            openai["tools"][0]["function"].as_object_mut().unwrap().remove("strict");
        }
        for (kind, expected) in KINDS.into_iter().zip([&openai, &gemini, &anthropic]) {
            assert_eq!(&translated(style, kind, &tool_round(style)), expected, "{style:?} to {kind:?}");
        }
    }
}

fn chat(fields: &Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn omits_the_tool_choice_without_tools() {
    for kind in KINDS {
        let body = chat(&json!({"tools": [], "tool_choice": "auto", "parallel_tool_calls": true}));
        let written = translated(ApiStyle::Chat, kind, &body);
        for field in ["tools", "tool_choice", "toolConfig", "parallel_tool_calls"] {
            assert_eq!(written.get(field), None, "{kind:?}");
        }
    }
}

#[test]
fn ignores_null_and_merges_neighbours() {
    let body = json!({"model": "m", "stop": null, "temperature": null, "tools": null, "messages": [
        {"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": " "}]},
        {"role": "assistant", "content": ""}]});
    let written = translated(ApiStyle::Chat, ProviderKind::GEMINI, &body);
    assert_eq!(written, json!({"contents": [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]}));
}

#[test]
fn sends_a_lone_system_prompt_as_user_text() {
    let body = json!({"model": "m", "messages": [{"role": "developer", "content": "Say hello"}]});
    let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &body);
    assert_eq!(gemini, json!({"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]}));
    let anthropic = translated(ApiStyle::Chat, ProviderKind::ANTHROPIC, &body);
    assert_eq!(anthropic["messages"], json!([{"role": "user", "content": "Say hello"}]));
}

#[test]
fn passes_answer_schemas_to_all_providers() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let format = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}}});
    let openai = translated(ApiStyle::Chat, ProviderKind::OPENAI, &chat(&format));
    assert_eq!(openai["response_format"], format["response_format"]);
    let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &chat(&format));
    assert_eq!(
        gemini["generationConfig"],
        json!({"responseMimeType": "application/json", "responseJsonSchema": schema})
    );
    let anthropic = translated(ApiStyle::Chat, ProviderKind::ANTHROPIC, &chat(&format));
    assert_eq!(anthropic["output_config"], json!({"format": {"type": "json_schema", "schema": schema}}));
    let flat = json!({"model": "m", "input": "Hi", "text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}}});
    assert_eq!(
        translated(ApiStyle::Responses, ProviderKind::OPENAI, &flat)["response_format"],
        format["response_format"]
    );
    let object = chat(&json!({"response_format": {"type": "json_object"}}));
    assert_eq!(
        translated(ApiStyle::Chat, ProviderKind::GEMINI, &object)["generationConfig"],
        json!({"responseMimeType": "application/json"})
    );
}

#[test]
fn inlines_images_and_audio() {
    let content = json!([
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}}]);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &body);
    assert_eq!(
        gemini["contents"][0]["parts"],
        json!([
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, {"inlineData": {"mimeType": "audio/wav", "data": "BBBB"}}])
    );
    assert_eq!(translated(ApiStyle::Chat, ProviderKind::OPENAI, &body)["messages"][0]["content"], content);
    let refused = super::write(ProviderKind::ANTHROPIC, &read(ApiStyle::Chat, &body).unwrap()).unwrap_err();
    assert_eq!(refused.status(ApiStyle::Chat), 400);
    let picture = json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
    let body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [{"type": "image", "source": picture}]}]});
    let openai = translated(ApiStyle::Messages, ProviderKind::OPENAI, &body);
    assert_eq!(openai["messages"][0]["content"][0]["image_url"]["url"], "data:image/png;base64,AAAA");
}

#[test]
fn passes_image_urls_only_to_providers_that_fetch_them() {
    let body = json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x.test/a.png"}]}]});
    let anthropic = translated(ApiStyle::Responses, ProviderKind::ANTHROPIC, &body);
    assert_eq!(anthropic["messages"][0]["content"][0]["source"], json!({"type": "url", "url": "https://x.test/a.png"}));
    let refused = super::write(ProviderKind::GEMINI, &read(ApiStyle::Responses, &body).unwrap()).unwrap_err();
    assert!(refused.message().contains("data URL"));
    let file = chat(
        &json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]}),
    );
    assert!(read(ApiStyle::Chat, &file).is_err());
}

#[test]
fn maps_efforts_to_each_provider() {
    let body = chat(&json!({"reasoning_effort": "medium", "max_completion_tokens": 20_000}));
    let request = read(ApiStyle::Chat, &body).unwrap();
    let config = |model| {
        crate::dialect::gemini::request::write(&request, model).unwrap()["generationConfig"]["thinkingConfig"].clone()
    };
    assert_eq!(config("gemini-2.5-flash"), json!({"includeThoughts": true, "thinkingBudget": 4_096}));
    assert_eq!(config("gemini-3-pro"), json!({"includeThoughts": true, "thinkingLevel": "MEDIUM"}));
    assert_eq!(config("gemini-2.0-flash"), Value::Null);
    let anthropic = translated(ApiStyle::Chat, ProviderKind::ANTHROPIC, &body);
    assert_eq!(anthropic["thinking"], json!({"type": "enabled", "budget_tokens": 4_096}));
    let body = json!({"model": "m", "max_tokens": 9_000, "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 1.0, "thinking": {"type": "enabled", "budget_tokens": 2_000}});
    assert_eq!(translated(ApiStyle::Messages, ProviderKind::OPENAI, &body)["reasoning_effort"], "medium");
    let raised = translated(
        ApiStyle::Chat,
        ProviderKind::ANTHROPIC,
        &chat(&json!({"reasoning_effort": "high", "temperature": 0.5})),
    );
    assert!(raised["max_tokens"].as_u64() > raised["thinking"]["budget_tokens"].as_u64());
    assert_eq!(raised.get("temperature"), None, "newer models reject it");
}

#[test]
fn caps_the_default_limit_at_the_models_maximum() {
    for (model, more, most) in [
        ("claude-3-haiku-20240307", json!({}), 4_096),
        ("claude-haiku-4-5", json!({}), 8_192),
        ("claude-opus-4-1", json!({"reasoning_effort": "max"}), 32_000),
        ("claude-sonnet-4-5", json!({"reasoning_effort": "max"}), 32_768),
    ] {
        let request = read(ApiStyle::Chat, &chat(&more)).unwrap();
        let fitted = crate::params::fit(&request, model, None);
        let written = crate::dialect::anthropic::provider_format::write(&fitted, model).unwrap();
        assert_eq!(written["max_tokens"], most, "{model}");
    }
}

#[test]
fn uses_adaptive_thinking_for_current_claude_models() {
    let asked = |more: &Value, model: &str| {
        let request = read(ApiStyle::Chat, &chat(more)).unwrap();
        let fitted = crate::params::fit(&request, model, None);
        crate::dialect::anthropic::provider_format::write(&fitted, model).unwrap()
    };
    let deep = asked(&json!({"reasoning_effort": "high", "temperature": 0.5}), "claude-opus-5");
    assert_eq!(deep["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!((&deep["output_config"], deep.get("temperature")), (&json!({"effort": "high"}), None));
    let none = asked(&json!({"reasoning_effort": "none"}), "claude-opus-5");
    assert_eq!((none.get("thinking"), none.get("output_config")), (None, None));
    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    let both = asked(&json!({"reasoning_effort": "max", "response_format": schema}), "claude-sonnet-5");
    assert_eq!(
        (&both["output_config"]["effort"], &both["output_config"]["format"]["type"]),
        (&json!("max"), &json!("json_schema"))
    );
    let older = asked(
        &json!({"temperature": 1.5, "top_p": 0.9, "stop": ["\n", "END"], "max_tokens": 90_000}),
        "claude-haiku-4-5",
    );
    assert_eq!(
        (&older["temperature"], older.get("top_p"), &older["stop_sequences"]),
        (&json!(1.0), None, &json!(["END"]))
    );
    assert_eq!(older["max_tokens"], 64_000);
}

#[test]
fn hashes_long_user_ids() {
    let user = |name: &str| {
        let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "metadata": {"user_id": name}});
        translated(ApiStyle::Messages, ProviderKind::OPENAI, &body)["user"].as_str().unwrap().to_owned()
    };
    assert_eq!(user("anna"), "anna");
    let long = "user_".repeat(30);
    assert_eq!((user(&long).len(), user(&long) == user(&long)), (64, true));
    assert_ne!(user(&long), user(&format!("{long}x")));
}

#[test]
fn returns_signatures_to_their_provider() {
    let body = chat(&json!({"messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "x", "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "redacted_thinking", "data": "d"}],
         "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {"thought_signature": "gs"}}}]},
        {"role": "tool", "tool_call_id": "c", "content": "1"}]}));
    let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &body);
    assert_eq!(gemini["contents"][1]["parts"][1]["thoughtSignature"], "gs");
    let anthropic = translated(ApiStyle::Chat, ProviderKind::ANTHROPIC, &body);
    assert_eq!(
        anthropic["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "hm", "signature": "sig"})
    );
    assert_eq!(anthropic["messages"][1]["content"][1], json!({"type": "redacted_thinking", "data": "d"}));
    let item = json!({"model": "m", "input": [
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "sig"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"}]});
    let anthropic = translated(ApiStyle::Responses, ProviderKind::ANTHROPIC, &item);
    assert_eq!(anthropic["messages"][1]["content"][0]["signature"], "sig");
}

#[test]
fn rejects_unavailable_features_by_name() {
    let refused = |style, body: Value| {
        let error = read(style, &body).unwrap_err();
        let body: Value = serde_json::from_slice(&error.render(style, "").body).unwrap();
        (error.status(style), body["error"]["param"].as_str().map(str::to_owned))
    };
    for (field, value) in
        [("previous_response_id", json!("resp_1")), ("conversation", json!("c")), ("background", json!(true))]
    {
        let mut body = json!({"model": "m", "input": "Hi"});
        body[field] = value;
        assert_eq!(refused(ApiStyle::Responses, body), (400, Some(field.to_owned())));
    }
    let without = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(refused(ApiStyle::Messages, without).0, 400);
    assert_eq!(
        refused(ApiStyle::Chat, chat(&json!({"messages": [{"role": "who"}]}))),
        (400, Some("messages[0].role".to_owned()))
    );
    assert_eq!(refused(ApiStyle::Chat, json!([])).0, 400);
}

#[test]
fn strips_fields_that_mistral_rejects() {
    let mistral = ProviderKind::from_name("mistral").unwrap();
    let tool =
        json!({"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": true, "stream_options": {"include_usage": true},
        "seed": 7, "user": "anna", "tools": [tool], "tool_choice": "required", "max_tokens": 20});
    let written = translated(ApiStyle::Chat, mistral, &body);
    assert_eq!(
        written,
        json!({"model": "up", "messages": [{"role": "user", "content": "Hello"}], "stream": true, "random_seed": 7, "tools": [tool],
            "tool_choice": "any", "max_tokens": 20})
    );
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"},
        {"role": "assistant", "tool_calls": [call("toolu_01AbC"), call("aB3456789")]},
        {"role": "tool", "tool_call_id": "toolu_01AbC", "content": "1"}, {"role": "tool", "tool_call_id": "aB3456789", "content": "2"}]});
    let messages = translated(ApiStyle::Chat, mistral, &body)["messages"].clone();
    let id = messages[1]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!((&messages[2]["tool_call_id"], &messages[3]["tool_call_id"]), (&json!(id), &json!("aB3456789")));
    let named = json!({"type": "function", "function": {"name": "look"}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}], "tools": [tool], "tool_choice": named});
    assert_eq!(translated(ApiStyle::Chat, mistral, &body)["tool_choice"], named);
}

#[test]
fn normalises_the_jpg_media_type() {
    let picture = json!([{"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA"}}]);
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": picture}]});
    let source = json!({"type": "base64", "media_type": "image/jpg", "data": "AAAA"});
    let messages = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]});
    for (style, body) in [(ApiStyle::Chat, chat), (ApiStyle::Messages, messages)] {
        for kind in KINDS {
            let written = translated(style, kind, &body).to_string();
            assert!(written.contains("image/jpeg") && !written.contains("image/jpg"), "{kind:?} {written}");
        }
    }
}

#[test]
fn rejects_file_urls_for_openai() {
    let source = json!({"type": "url", "url": "https://example.org/a.pdf"});
    let document = json!({"type": "document", "source": source});
    let body =
        |content: &Value| json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]});
    let result = json!([{"type": "tool_result", "tool_use_id": "t", "content": [document]}]);
    for content in [json!([document]), result] {
        let request = read(ApiStyle::Messages, &body(&content)).unwrap();
        let refused = super::write(ProviderKind::OPENAI, &request).unwrap_err();
        assert!(refused.status(ApiStyle::Messages) == 400 && refused.message().contains("by URL"), "{refused}");
        assert!(super::write(ProviderKind::ANTHROPIC, &request).is_ok());
    }
}

#[test]
fn writes_failed_results_and_drops_thinking_only_turns_for_openai() {
    let failed = |content: &Value, is_error: bool| {
        let result = json!({"type": "tool_result", "tool_use_id": "t", "is_error": is_error, "content": content});
        let body = json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "user", "content": "x"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "w", "input": {}}]},
            {"role": "user", "content": [result]}]});
        translated(ApiStyle::Messages, ProviderKind::OPENAI, &body)["messages"][2]["content"].clone()
    };
    assert_eq!(failed(&json!("No city."), true), "Error: No city.");
    assert_eq!(failed(&json!([]), true), "Error:");
    assert_eq!(
        (failed(&json!("Error 5"), true), failed(&json!("No city."), false)),
        (json!("Error 5"), json!("No city."))
    );
    let thoughts = json!([{"type": "thinking", "thinking": "hm", "signature": ""}]);
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "content": thoughts}, {"role": "user", "content": "y"}]});
    let openai = translated(ApiStyle::Messages, ProviderKind::OPENAI, &body);
    assert_eq!(openai["messages"], json!([{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]));
}

#[test]
fn names_gemini_results_by_the_preceding_call() {
    let call = |name: &str| json!({"role": "assistant", "tool_calls": [{"id": "0", "type": "function", "function": {"name": name, "arguments": "{}"}}]});
    let result = |text: &str| json!({"role": "tool", "tool_call_id": "0", "content": text});
    let body = chat(&json!({"messages": [{"role": "user", "content": "x"}, call("look"), result("{\"a\":1}"),
        call("find"), result("{\"$ref\":\"#/a\"}")]}));
    let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &body);
    let response = |turn: usize| gemini["contents"][turn]["parts"][0]["functionResponse"].clone();
    assert_eq!((&response(2)["name"], &response(2)["response"]), (&json!("look"), &json!({"a": 1})));
    assert_eq!(
        (&response(4)["name"], &response(4)["response"]),
        (&json!("find"), &json!({"result": "{\"$ref\":\"#/a\"}"}))
    );
}

#[test]
fn fits_parameters_for_openai_reasoning_models() {
    let body = chat(
        &json!({"max_tokens": 9, "stop": ["a", "b", "", "c", "d", "e"], "verbosity": "low", "parallel_tool_calls": true,
        "tools": [{"type": "function", "function": {"name": "f"}}]}),
    );
    let request = read(ApiStyle::Chat, &body).unwrap();
    let written = |model: &str, base: &str| {
        let base = base.parse().unwrap();
        ProviderKind::OPENAI.dialect().write(&request, model, &base).unwrap()
    };
    let (public, own) = ("https://api.openai.com/v1", "http://vllm.internal/v1");
    let stops = json!(["a", "b", "c", "d"]);
    for (model, base, limit, stop, verbosity, parallel) in [
        ("gpt-4o", public, "max_completion_tokens", &stops, false, true),
        ("gpt-4o", own, "max_tokens", &stops, false, true),
        ("gpt-5-mini", public, "max_completion_tokens", &Value::Null, true, true),
        ("openai/gpt-5.1", own, "max_completion_tokens", &Value::Null, true, true),
        ("gpt-5-chat-latest", public, "max_completion_tokens", &stops, false, true),
        ("o4-mini", own, "max_completion_tokens", &Value::Null, false, false),
        ("my-deployment", "https://mine.openai.azure.us/openai/v1", "max_completion_tokens", &stops, true, true),
        ("llama-4", own, "max_tokens", &stops, false, true),
    ] {
        let body = written(model, base);
        assert_eq!(body[limit], 9, "{model} at {base}");
        assert_eq!(&body["stop"], stop, "{model} at {base}");
        let has = |name: &str| body.get(name).is_some();
        assert_eq!((has("verbosity"), has("parallel_tool_calls")), (verbosity, parallel), "{model} at {base}");
    }
}

#[test]
fn fits_numbers_and_stop_sequences_for_gemini() {
    let config = |fields: &Value, model: &str| {
        let request = read(ApiStyle::Chat, &chat(fields)).unwrap();
        let base = ProviderKind::GEMINI.dialect().public_url().parse().unwrap();
        ProviderKind::GEMINI.dialect().write(&request, model, &base).unwrap()["generationConfig"].clone()
    };
    let asked = json!({"seed": 7, "frequency_penalty": 0.5, "presence_penalty": 0, "stop": ["", "END"]});
    assert_eq!(config(&asked, "gemini-2.5-flash"), json!({"seed": 7, "stopSequences": ["END"]}));
    assert_eq!(
        config(&asked, "gemini-2.0-flash"),
        json!({"seed": 7, "stopSequences": ["END"], "frequencyPenalty": 0.5})
    );
    for (seed, short) in [(i64::from(i32::MAX) + 8, 7), (-3, -3), (i64::MIN + 5, 5), (1_234_567_890_123, 1_912_276_171)]
    {
        assert_eq!(config(&json!({"seed": seed}), "gemini-3-pro"), json!({"seed": short}), "{seed}");
    }
}

#[test]
fn ends_with_a_user_turn_for_claude_without_prefill() {
    let body = chat(&json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "Once"}]}));
    let request = read(ApiStyle::Chat, &body).unwrap();
    for (model, turns) in [("claude-sonnet-4-5", 2), ("claude-sonnet-4-6", 3), ("claude-opus-5", 3), ("up", 2)] {
        let written = crate::dialect::anthropic::provider_format::write(&request, model).unwrap();
        assert_eq!(written["messages"].as_array().unwrap().len(), turns, "{model}");
    }
}

#[test]
fn omits_the_effort_with_tools_for_newer_openai_models() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let asked = |model: &str, base: &str, tools: &Value| {
        let request = read(ApiStyle::Chat, &chat(&json!({"reasoning_effort": "high", "tools": tools}))).unwrap();
        super::write_at(ProviderKind::OPENAI, base, model, &request).unwrap()["reasoning_effort"].clone()
    };
    let (public, own) = ("https://api.openai.com/v1", "https://openrouter.ai/api/v1");
    for (model, base, effort) in [
        ("gpt-5.2", public, json!("high")),
        ("gpt-5.4-mini", public, Value::Null),
        ("gpt-5.6-sol", public, json!("none")),
        ("openai/gpt-5.6-sol", own, json!("high")),
    ] {
        assert_eq!(asked(model, base, &tools), effort, "{model}");
        assert_eq!(asked(model, base, &json!([])), "high", "{model}");
    }
}

#[test]
fn starts_with_a_user_turn_before_a_leading_call() {
    let call = json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "1"});
    let body = chat(&json!({"messages": [call, result]}));
    let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &body);
    let roles: Vec<&str> =
        gemini["contents"].as_array().unwrap().iter().filter_map(|content| content["role"].as_str()).collect();
    assert_eq!(roles, ["user", "model", "user"]);
    let greeting =
        chat(&json!({"messages": [{"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Hi"}]}));
    let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &greeting);
    assert_eq!(gemini["contents"][0]["role"], "model", "text without calls may come first");
}
