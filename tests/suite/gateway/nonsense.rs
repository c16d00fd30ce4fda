//! An invalid request is refused with a reason or is answered, but never causes a server error.

use reqwest::Method;

use super::*;

#[tokio::test]
async fn accepts_long_questions_and_limits_the_number_of_messages() {
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        let text = "What was said. ".repeat(40_000);
        for style in API_STYLES {
            let mut asked = asked_at(style, false);
            match style {
                "/v1/responses" => asked["input"] = json!(text),
                _ => asked["messages"][0]["content"] = json!(text),
            }
            let answer = stage.program.post(style, asked).await;
            assert_eq!(answer.status, 200, "{kind:?} {style}: {answer:?}");
            let came = stage.upstream.asked().pop().unwrap().body.to_string();
            assert!(came.contains(text.trim()), "{kind:?} {style}");
        }
    }
    let stage = Stage::start().await;
    let many = vec![json!({ "role": "user", "content": "x" }); 10_001];
    for (style, field) in API_STYLES.iter().zip(["messages", "input", "messages"]) {
        let mut asked = asked_at(style, false);
        asked[field] = json!(many);
        let refused = stage.program.post(style, asked).await;
        assert!(refused.status == 400 && refused.text().contains("10000"), "{style}: {refused:?}");
    }
    assert!(stage.upstream.asked().is_empty());
}

/// Question with nearly all parameters of an API style.
fn full(style: &str) -> Value {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let picture = "data:image/png;base64,iVBORw0KGgo=";
    match style {
        "/v1/chat/completions" => {
            json!({ "model": "small", "max_tokens": 9, "temperature": 0.5, "top_p": 1, "n": 1, "stop": ["x"], "seed": 1, "user": "u",
            "presence_penalty": 0, "frequency_penalty": 0, "logprobs": true, "top_logprobs": 2, "reasoning_effort": "low", "stream_options": { "include_usage": true },
            "tools": [{ "type": "function", "function": { "name": "f", "description": "d", "parameters": parameters } }],
            "tool_choice": { "type": "function", "function": { "name": "f" } }, "parallel_tool_calls": true,
            "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": parameters } },
            "messages": [{ "role": "system", "content": "s" },
                { "role": "user", "content": [{ "type": "text", "text": "t" }, { "type": "image_url", "image_url": { "url": picture } },
                    { "type": "input_audio", "input_audio": { "data": "AAAA", "format": "wav" } }] },
                { "role": "assistant", "content": null, "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }] },
                { "role": "tool", "tool_call_id": "c", "content": "r" }] })
        }
        "/v1/responses" => {
            json!({ "model": "small", "max_output_tokens": 9, "temperature": 0.5, "top_p": 1, "instructions": "i", "metadata": {}, "include": [],
            "store": false, "reasoning": { "effort": "low", "summary": "auto" }, "parallel_tool_calls": true, "tool_choice": "auto",
            "text": { "format": { "type": "json_schema", "name": "n", "schema": parameters }, "verbosity": "low" },
            "tools": [{ "type": "function", "name": "f", "parameters": parameters, "strict": true }],
            "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "t" }, { "type": "input_image", "image_url": picture }] },
                { "type": "reasoning", "id": "r", "summary": [{ "type": "summary_text", "text": "h" }] },
                { "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" },
                { "type": "function_call_output", "call_id": "c", "output": "r" }] })
        }
        _ => {
            json!({ "model": "small", "max_tokens": 9, "temperature": 0.5, "top_p": 1, "top_k": 4, "stop_sequences": ["x"], "system": [{ "type": "text", "text": "s" }],
            "metadata": { "user_id": "u" }, "thinking": { "type": "enabled", "budget_tokens": 1_024 }, "tool_choice": { "type": "auto" },
            "tools": [{ "name": "f", "description": "d", "input_schema": parameters }], "output_config": { "format": { "type": "json_schema", "schema": parameters } },
            "messages": [{ "role": "user", "content": [{ "type": "text", "text": "t" }, { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } }] },
                { "role": "assistant", "content": [{ "type": "thinking", "thinking": "h", "signature": "s" }, { "type": "tool_use", "id": "c", "name": "f", "input": {} }] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "c", "content": "r" }] }] })
        }
    }
}

/// Collects the JSON pointers to all values.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| {
            all.push(format!("{at}/{name}"));
            places(inner, &format!("{at}/{name}"), all);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, inner)| {
            all.push(format!("{at}/{n}"));
            places(inner, &format!("{at}/{n}"), all);
        }),
        _ => {}
    }
}

#[tokio::test]
async fn rejects_fields_of_the_wrong_type_with_a_client_error() {
    let wrong = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}x"),
        json!([]),
        json!({}),
        json!([{}]),
        json!([[1]]),
        json!(true),
    ];
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        for style in API_STYLES {
            let full = full(style);
            let mut all = Vec::new();
            places(&full, "", &mut all);
            for (n, place) in all.iter().enumerate() {
                for (m, value) in wrong.iter().enumerate() {
                    let mut body = full.clone();
                    *body.pointer_mut(place).unwrap() = value.clone();
                    body["stream"] = json!((n + m) % 2 == 0);
                    let answer = stage.program.post(style, body.clone()).await;
                    assert!(answer.status < 500, "{kind:?} {style} {place} = {value}: {answer:?}");
                    let told = answer.status == 200
                        || answer.body["error"]["message"].as_str().is_some_and(|told| !told.is_empty());
                    assert!(told, "{kind:?} {style} {place} = {value}: {answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn accepts_lenient_json_of_common_libraries() {
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        for (style, most) in API_STYLES.into_iter().zip(["max_tokens", "max_output_tokens", "max_tokens"]) {
            let mut asked = asked_at(style, false);
            asked[most] = json!(9.0);
            asked["temperature"] = json!(1);
            let text = asked.to_string().replace("\"stream\":false", "\"stream\":true,\"stream\":false");
            assert!(text.contains("true,") && text.contains("9.0"), "{text}");
            let request = stage.program.request(Method::POST, style).header("content-type", "application/json");
            let answer = stage.program.send(request.body(text)).await;
            assert_eq!(answer.status, 200, "{kind:?} {style}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn rejects_truncated_bodies_with_a_client_error() {
    let stage = Stage::with(Setup::new(), UpstreamKind::Gemini).await;
    for style in API_STYLES {
        let body = full(style).to_string();
        for end in (0..body.len()).step_by(7) {
            let request = stage.program.request(Method::POST, style).header("content-type", "application/json");
            let answer = stage.program.send(request.body(body.as_bytes()[..end].to_vec())).await;
            assert_eq!(answer.status, 400, "{style} {end}: {answer:?}");
        }
    }
    let deep = format!(
        "{{\"model\":\"small\",\"max_tokens\":1,\"input\":{0}{1},\"messages\":{0}{1}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    for style in API_STYLES.into_iter().chain(["/v1/embeddings", "/v1/messages/count_tokens"]) {
        let request = stage.program.request(Method::POST, style).header("content-type", "application/json");
        let answer = stage.program.send(request.body(deep.clone())).await;
        assert_eq!(answer.status, 400, "{style}: {answer:?}");
    }
    assert!(stage.upstream.asked().is_empty(), "the provider was called");
}
