//! Details that may get lost when a request is translated from one API format to another.

use super::*;

const GEMINI_USAGE: fn() -> Value =
    || json!({ "promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 9, "totalTokenCount": 16 });

fn candidate(parts: Value, finish: Option<&str>) -> Value {
    json!({ "candidates": [{ "index": 0, "content": { "role": "model", "parts": parts }, "finishReason": finish }] })
}

/// Call of the tool `weather`.
fn calling(city: &str) -> Value {
    json!({ "functionCall": { "name": "weather", "args": { "city": city } } })
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

fn schema() -> Value {
    json!({ "type": "object", "properties": { "city": { "$ref": "#/$defs/city" } }, "additionalProperties": false,
        "$defs": { "city": { "type": "string" } } })
}

/// Conversation in the format of chat completions, with two parallel tool calls and an empty
/// message.
fn tool_round(call_ids: [&str; 2]) -> Value {
    let calls = call_ids.map(|id| {
        json!({ "id": id, "type": "function", "function": { "name": "weather", "arguments": "{\"city\":\"Hue\"}" } })
    });
    json!({ "model": "small", "messages": [
        { "role": "user", "content": "One." }, { "role": "user", "content": "Two." },
        { "role": "assistant", "content": "", "tool_calls": calls },
        { "role": "tool", "tool_call_id": call_ids[0], "content": "31" },
        { "role": "tool", "tool_call_id": call_ids[1], "content": "{\"celsius\":9}" },
        { "role": "user", "content": [{ "type": "text", "text": " " }, { "type": "text", "text": "Three." }] }],
        "tools": [{ "type": "function", "function": { "name": "weather", "parameters": schema() } }] })
}

#[tokio::test]
async fn the_operator_can_override_model_parameters() {
    for (takes, thinks, temperature, max_tokens) in [
        ("any any", true, Value::Null, 5_000),
        ("none any 100", false, json!(0.5), 100),
        ("none never", false, Value::Null, 5_000),
    ] {
        let stage = Stage::with(Setup::new().set("ai.takes.small", takes), UpstreamKind::Anthropic).await;
        let mut asked = asked_at(API_STYLES[0], false);
        let more = json!({ "reasoning_effort": "high", "temperature": 0.5, "max_tokens": 5_000 });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(stage.program.post(API_STYLES[0], asked).await.status, 200);
        let came = stage.upstream.asked().pop().unwrap().body;
        assert_eq!(
            (came.get("thinking").is_some(), &came["temperature"], &came["max_tokens"]),
            (thinks, &temperature, &json!(max_tokens)),
            "{takes}: {came}"
        );
    }
}

#[tokio::test]
async fn an_administrator_can_override_model_parameters() {
    let stage = Stage::with(Setup::new(), UpstreamKind::Anthropic).await;
    let (admin, path) = (stage.app.admin().await, "/r1/admin/models/small");
    for (definition, thinks, temperature, max_tokens) in [
        (Some(json!({ "parameters": { "thinking": "any", "sampling": "any" } })), true, Value::Null, 5_000),
        (
            Some(json!({ "parameters": { "thinking": "none" }, "capabilities": { "max_output": 100 } })),
            false,
            json!(0.5),
            100,
        ),
        (Some(json!({ "parameters": { "thinking": "none", "sampling": "never" } })), false, Value::Null, 5_000),
        (None, true, Value::Null, 5_000),
    ] {
        match &definition {
            Some(definition) => {
                let defined = admin.put(path, definition.clone()).await.data();
                assert_eq!(defined["parameters"]["thinking"], definition["parameters"]["thinking"]);
            }
            None => {
                admin.delete(path).await.data();
            }
        }
        let mut asked = asked_at(API_STYLES[0], false);
        let more = json!({ "reasoning_effort": "high", "temperature": 0.5, "max_tokens": 5_000 });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(stage.program.post(API_STYLES[0], asked).await.status, 200);
        let came = stage.upstream.asked().pop().unwrap().body;
        assert_eq!(
            (came.get("thinking").is_some(), &came["temperature"], &came["max_tokens"]),
            (thinks, &temperature, &json!(max_tokens)),
            "{definition:?}: {came}"
        );
    }
}

#[tokio::test]
async fn ends_a_tool_call_answer_even_if_the_provider_stream_continues() {
    let stage = Stage::with(Setup::new(), UpstreamKind::Gemini).await;
    let later = candidate(json!([{ "text": "" }]), Some("STOP"));
    stage.upstream.always(Behaviour::Frames(vec![
        candidate(json!([calling("Hue")]), None),
        candidate(json!([calling("Da Lat")]), None),
        later,
    ]));

    let chat = frames(&stage.program.post(API_STYLES[0], asked_at(API_STYLES[0], true)).await);
    let ends: Vec<&str> = chat.iter().filter_map(|frame| frame["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(ends, ["tool_calls"]);
    let begun =
        chat.iter().map(|frame| &frame["choices"][0]["delta"]["tool_calls"][0]).filter(|call| call["id"].is_string());
    let (mut ids, places): (Vec<&Value>, Vec<&Value>) = begun.map(|call| (&call["id"], &call["index"])).unzip();
    assert_eq!(places, [0, 1], "{chat:?}");
    ids.dedup();
    assert_eq!(ids.len(), 2, "{chat:?}");

    // Each call is in a separate block, and only one block is open at a time.
    let messages = frames(&stage.program.post(API_STYLES[2], asked_at(API_STYLES[2], true)).await);
    let mut open = None;
    let mut blocks = Vec::new();
    for frame in &messages {
        match frame["type"].as_str() {
            Some("content_block_start") => {
                assert_eq!(open.replace(&frame["index"]), None, "{messages:?}");
                blocks.push((frame["index"].as_u64(), frame["content_block"]["name"].as_str(), String::new()));
            }
            Some("content_block_delta") => {
                assert_eq!(open, Some(&frame["index"]), "{messages:?}");
                blocks.last_mut().unwrap().2.push_str(frame["delta"]["partial_json"].as_str().unwrap());
            }
            Some("content_block_stop") => assert_eq!(open.take(), Some(&frame["index"]), "{messages:?}"),
            _ => {}
        }
    }
    let call = |at, city: &str| (Some(at), Some("weather"), format!("{{\"city\":\"{city}\"}}"));
    assert_eq!(blocks, [call(0, "Hue"), call(1, "Da Lat")]);
    let end = messages.iter().find(|frame| frame["type"] == "message_delta").unwrap();
    assert_eq!(end["delta"]["stop_reason"], "tool_use");

    let responses = frames(&stage.program.post(API_STYLES[1], asked_at(API_STYLES[1], true)).await);
    let last = responses.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    let calls: Vec<&Value> =
        last["response"]["output"].as_array().unwrap().iter().map(|item| &item["arguments"]).collect();
    assert_eq!(calls, ["{\"city\":\"Hue\"}", "{\"city\":\"Da Lat\"}"]);
}

#[tokio::test]
async fn separates_tool_calls_whose_index_restarts() {
    let stage = Stage::start().await;
    let call = |id: &str, city: &str| {
        let function = json!({ "name": "weather", "arguments": format!("{{\"city\":\"{city}\"}}") });
        chunk(json!({ "tool_calls": [{ "index": 0, "id": id, "type": "function", "function": function }] }), None)
    };
    let all = vec![call("a", "Hue"), call("b", "Da Lat"), chunk(json!({}), Some("tool_calls"))];
    stage.upstream.always(Behaviour::Frames(all));
    let messages = frames(&stage.program.post(API_STYLES[2], asked_at(API_STYLES[2], true)).await);
    let begun = messages.iter().filter(|frame| frame["type"] == "content_block_start");
    let begun: Vec<(&Value, &Value)> = begun.map(|frame| (&frame["index"], &frame["content_block"]["id"])).collect();
    assert_eq!(begun, [(&json!(0), &json!("a")), (&json!(1), &json!("b"))]);
}

#[tokio::test]
async fn restores_thought_signatures_that_the_client_dropped() {
    let stage = Stage::with(Setup::new(), UpstreamKind::Gemini).await;
    // Only newer models require thought signatures.
    let deployments = json!([{ "provider": "fake", "model": "gemini-3-pro" }]);
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "deployments": deployments })).await.data();
    let mut signed = calling("Hue");
    signed["thoughtSignature"] = json!("signature-of-hue");
    stage.upstream.then(Behaviour::Body(candidate(json!([signed, calling("Da Lat")]), Some("STOP"))));
    let answer = stage.program.post(API_STYLES[0], question(false)).await;
    let calls = &answer.body["choices"][0]["message"]["tool_calls"];
    let ids = [0, 1].map(|at| calls[at]["id"].as_str().unwrap().to_owned());
    for (ids, signature) in [
        ([ids[0].as_str(), ids[1].as_str()], "signature-of-hue"),
        // The ids are unknown to the server. Newer models refuse such calls without a signature.
        (["call_x", "call_y"], "skip_thought_signature_validator"),
    ] {
        let answer = stage.program.post(API_STYLES[0], tool_round(ids)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let asked = stage.upstream.asked().pop().unwrap();
        assert_eq!(asked.body["contents"][1]["parts"][0]["thoughtSignature"], signature, "{}", asked.body);
    }
}

/// After each step, the AI SDK continues with ids only. The Agents SDK sends a single id.
#[tokio::test]
async fn resolves_previous_response_ids_in_the_responses_api() {
    let stage = Stage::start().await;
    let deployments = json!([{ "provider": "fake", "model": "deepseek-v4-pro" }]);
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "deployments": deployments })).await.data();
    let call =
        json!({ "index": 0, "id": "call_1", "type": "function", "function": { "name": "weather", "arguments": "{}" } });
    for stream in [false, true] {
        stage.upstream.then(Behaviour::Frames(vec![
            chunk(json!({ "role": "assistant", "reasoning_content": "I should call." }), None),
            chunk(json!({ "tool_calls": [call] }), None),
            chunk(json!({}), Some("tool_calls")),
        ]));
        let first = json!({ "model": "small", "stream": true, "input": "Weather?" });
        let said = frames(&stage.program.post(API_STYLES[1], first).await).pop().unwrap()["response"].clone();
        let ids: Vec<Value> = said["output"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| json!({ "type": "item_reference", "id": item["id"] }))
            .collect();
        let result = json!({ "type": "function_call_output", "call_id": "call_1", "output": "sunny" });
        let mut named = vec![json!({ "role": "user", "content": "Weather?" })];
        named.extend(ids);
        named.push(result.clone());
        for second in [
            json!({ "model": "small", "stream": stream, "input": named }),
            json!({ "model": "small", "stream": stream, "input": [result], "previous_response_id": said["id"] }),
        ] {
            let answer = stage.program.post(API_STYLES[1], second).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let asked = stage.upstream.asked().pop().unwrap().body;
            let assistant = &asked["messages"][1];
            assert_eq!(
                (&assistant["reasoning_content"], &assistant["tool_calls"][0]["id"], &asked["messages"][2]["content"]),
                (&json!("I should call."), &json!("call_1"), &json!("sunny")),
                "{asked}"
            );
        }
        let other = stage.anna.program(&["gateway"]).await;
        let stolen = json!({ "model": "small", "input": "x", "previous_response_id": said["id"] });
        let refused = other.post(API_STYLES[1], stolen).await;
        assert_eq!((refused.status, &refused.body["error"]["code"]), (400, &json!("previous_response_not_found")));
    }
}

#[tokio::test]
async fn merges_and_fills_turns_and_adapts_schemas_per_provider() {
    for (kind, turns, parts) in
        [(UpstreamKind::Gemini, "contents", "parts"), (UpstreamKind::Anthropic, "messages", "content")]
    {
        let stage = Stage::with(Setup::new(), kind).await;
        let answer = stage.program.post(API_STYLES[0], tool_round(["call_a", "call_b"])).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = stage.upstream.asked().pop().unwrap().body;
        let turns = body[turns].as_array().unwrap();
        let roles: Vec<&Value> = turns.iter().map(|turn| &turn["role"]).collect();
        assert!(roles.windows(2).all(|pair| pair[0] != pair[1]) && roles[0] == "user", "{body}");
        let all: Vec<&Value> = turns.iter().flat_map(|turn| turn[parts].as_array().unwrap()).collect();
        let empty = |part: &&&Value| part["text"].as_str().is_some_and(|text| text.trim().is_empty());
        assert_eq!(all.iter().find(empty), None, "{body}");
        // Both tool results precede the next text.
        let results: Vec<bool> =
            turns[2][parts].as_array().unwrap().iter().map(|part| part["text"].is_null()).collect();
        assert_eq!(results, [true, true, false], "{body}");
        let tool = &body["tools"][0];
        let (there, plain) = match kind {
            UpstreamKind::Gemini => (
                &tool["functionDeclarations"][0]["parametersJsonSchema"],
                &tool["functionDeclarations"][0]["parameters"],
            ),
            _ => (&tool["input_schema"], &tool["parameters"]),
        };
        assert_eq!((there, plain), (&schema(), &Value::Null), "{body}");
    }
}

#[tokio::test]
async fn omits_the_tool_choice_without_tools() {
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        let styles = if kind == UpstreamKind::OpenAi { &API_STYLES[1..] } else { &API_STYLES[..2] };
        for style in styles {
            let mut asked = asked_at(style, false);
            asked["tools"] = json!([]);
            asked["tool_choice"] = if *style == API_STYLES[2] { json!({ "type": "auto" }) } else { json!("auto") };
            let answer = stage.program.post(style, asked).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let body = stage.upstream.asked().pop().unwrap().body;
            for field in ["tools", "tool_choice", "toolConfig"] {
                assert_eq!(body[field], Value::Null, "{kind:?} {style}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn reports_answers_truncated_by_reasoning_and_counts_the_tokens() {
    let stage = Stage::with(Setup::new(), UpstreamKind::Gemini).await;
    let ended = json!({ "candidates": [{ "finishReason": "MAX_TOKENS" }],
        "usageMetadata": { "promptTokenCount": 5, "thoughtsTokenCount": 9, "totalTokenCount": 14 } });
    stage.upstream.then(Behaviour::Body(ended));
    let answer = stage.program.post(API_STYLES[0], question(false)).await;
    let choice = &answer.body["choices"][0];
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!(""), &json!("length")), "{answer:?}");
    assert_eq!(answer.body["usage"]["completion_tokens"], 9);
    let mut whole = candidate(json!([{ "text": "Yes." }]), Some("STOP"));
    whole["usageMetadata"] = GEMINI_USAGE();
    stage.upstream.then(Behaviour::Body(whole));
    let answer = stage.program.post(API_STYLES[2], question(false)).await;
    assert_eq!(answer.body["usage"]["output_tokens"], 11, "{answer:?}");
    let rows = stage.anna.get("/r1/usage/requests").await.data();
    let counted = |at: usize| ["output_tokens", "reasoning_tokens"].map(|field| rows["items"][at][field].as_u64());
    assert_eq!([counted(1), counted(0)], [[Some(9), Some(9)], [Some(11), Some(9)]], "{rows}");
}

#[tokio::test]
async fn includes_usage_in_a_stream_on_request() {
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        stage.upstream.always(Behaviour::answer("One two three."));
        let plain = frames(&stage.program.post(API_STYLES[0], question(true)).await);
        assert!(
            plain.iter().all(|frame| frame["usage"].is_null() && frame["choices"][0].is_object()),
            "{kind:?}: {plain:?}"
        );
        let mut asked = question(true);
        asked["stream_options"] = json!({ "include_usage": true });
        let counted = frames(&stage.program.post(API_STYLES[0], asked).await);
        let last = counted.last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]["prompt_tokens"]), (&json!([]), &json!(7)), "{kind:?}: {last}");
        assert_eq!((&last["usage"]["completion_tokens"], &last["usage"]["total_tokens"]), (&json!(3), &json!(10)));
    }
}

#[tokio::test]
async fn parses_streams_split_at_any_byte() {
    let text = "Thế giới 🌍 \"quoted\" ";
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        stage.upstream.always(Behaviour::crumbs(text));
        for style in API_STYLES {
            let answer = stage.program.post(style, asked_at(style, true)).await;
            assert_eq!(streamed_text(&answer), text, "{kind:?} {style}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_interrupted_stream_never_looks_complete() {
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        for broken in [Behaviour::cut("One two "), Behaviour::fail("One two ")] {
            stage.upstream.always(broken);
            for style in API_STYLES {
                let answer = stage.program.post(style, asked_at(style, true)).await;
                assert_eq!(streamed_text(&answer), "One two ", "{kind:?} {style}: {answer:?}");
                let text = answer.text();
                for end in ["[DONE]", "response.completed", "message_stop"] {
                    assert!(!text.contains(end), "{kind:?} {style}: {text}");
                }
                let last = frames(&answer).pop().unwrap();
                assert!(last["type"] == "error" || last["error"].is_object(), "{kind:?} {style}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn starts_a_message_once_and_new_reasoning_blocks_after_tool_calls() {
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        let messages = frames(&stage.program.post(API_STYLES[2], question(true)).await);
        let begun = types(&messages).into_iter().filter(|kind| *kind == "message_start");
        assert_eq!((begun.count(), messages[0]["type"].as_str()), (1, Some("message_start")), "{kind:?}");
    }
    let stage = Stage::start().await;
    let call = json!({ "index": 0, "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    stage.upstream.then(Behaviour::Frames(vec![
        chunk(json!({ "role": "assistant", "tool_calls": [call] }), None),
        chunk(json!({ "reasoning_content": "Hm." }), None),
        chunk(json!({ "content": "So." }), None),
        chunk(json!({}), Some("tool_calls")),
    ]));
    let messages = frames(&stage.program.post(API_STYLES[2], question(true)).await);
    let begun = messages.iter().filter(|frame| frame["type"] == "content_block_start");
    let begun: Vec<(&Value, &Value)> = begun.map(|frame| (&frame["index"], &frame["content_block"]["type"])).collect();
    let block = |at: usize, kind: &str| (json!(at), json!(kind));
    let expected = [block(0, "tool_use"), block(1, "thinking"), block(2, "text")];
    assert_eq!(begun, expected.iter().map(|(at, kind)| (at, kind)).collect::<Vec<_>>());
}

/// Client libraries fail if the role or the finish reason is missing.
#[tokio::test]
async fn fills_in_missing_parts_of_a_providers_stream() {
    let stage = Stage::start().await;
    let bare = |delta: Value| json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [{ "index": 0, "delta": delta }] });
    let said = vec![bare(json!({ "content": "One " })), bare(json!({ "content": "two." })), bare(json!({}))];
    for end in ["length", "stop"] {
        let mut all = said.clone();
        all.push(chunk(json!({}), Some(end)));
        stage.upstream.then(Behaviour::Frames(all));
        let chat = frames(&stage.program.post(API_STYLES[0], question(true)).await);
        assert_eq!(chat[0]["choices"][0]["delta"], json!({ "role": "assistant", "content": "One " }), "{chat:?}");
        let ends: Vec<&Value> =
            chat.iter().map(|frame| &frame["choices"][0]["finish_reason"]).filter(|end| end.is_string()).collect();
        assert_eq!(ends, [end]);
        let roles = chat.iter().filter(|frame| frame["choices"][0]["delta"]["role"].is_string());
        assert_eq!(roles.count(), 1, "{chat:?}");
    }
}

#[tokio::test]
async fn converts_embeddings_of_every_provider_to_the_requested_encoding() {
    for kind in [UpstreamKind::OpenAi, UpstreamKind::Gemini] {
        let stage = Stage::with(Setup::new(), kind).await;
        let ask = async |encoding: Value| {
            let body = json!({ "model": "small", "input": ["one", "two"], "encoding_format": encoding });
            let answer = stage.program.post("/v1/embeddings", body).await;
            assert_eq!((answer.status, &answer.body["data"][1]["index"]), (200, &json!(1)), "{kind:?}: {answer:?}");
            answer.body["data"][1]["embedding"].clone()
        };
        assert_eq!(ask(json!("base64")).await, "AAAAPwAAgL8AAABA", "{kind:?}");
        for encoding in [json!("float"), Value::Null] {
            assert_eq!(ask(encoding).await, json!([0.5, -1.0, 2.0]), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn responses_name_the_tools_that_a_model_cannot_get() {
    let stage = Stage::start().await;
    let asked = |tools: Value| {
        let mut asked = question(false);
        asked["tools"] = tools;
        asked
    };
    let own = json!({ "name": "weather", "input_schema": schema() });
    let code = json!({ "type": "code_execution_20250825", "name": "code_execution" });
    for (tools, dropped) in [(json!([code, own]), Some("code_execution_20250825")), (json!([own]), None)] {
        stage.upstream.then(Behaviour::answer("Hello."));
        let answer = stage.program.post("/v1/messages", asked(tools)).await;
        assert_eq!((answer.status, answer.header("x-natter-dropped-tools")), (200, dropped), "{answer:?}");
        let came = stage.upstream.asked().pop().unwrap().body;
        let names: Vec<&Value> =
            came["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
        assert_eq!(names, [&json!("weather")]);
    }
    let mut limitless = question(false);
    limitless.as_object_mut().unwrap().remove("max_tokens");
    let refused = stage.program.post("/v1/messages", limitless).await;
    assert_eq!((refused.status, &refused.body["error"]["type"]), (400, &json!("invalid_request_error")));
    assert_eq!(refused.body["error"]["message"], "max_tokens: Field required");
}
