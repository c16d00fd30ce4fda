//! The Responses API as a provider format: requests in its form, and its answers for every client.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    API_STYLES, KINDS, convert_stream, convert_whole, frame_data,
    openai_responses::{
        provider_format::{ResponsesReader, encode},
        stream_conversion::stream_of_response,
    },
    read,
    reasoning_blocks::next_request,
    requests::{SCHEMA, tool_round},
    translated,
};
use crate::{
    AiError, ApiStyle, Usage,
    provider_http::failure::Failure,
    reasoning_blocks::{MARKER, encrypted_content},
};

const ENCRYPTED: &str = "gAAAAABoReasoning";

fn encoded(style: ApiStyle, body: &Value, model: &str) -> Value {
    encode(&read(style, body).unwrap(), model).unwrap()
}

/// A chat request with these fields, as sent to a model.
fn asked(fields: &Value, model: &str) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    encoded(ApiStyle::Chat, &body, model)
}

fn input_of_messages(messages: &Value) -> Value {
    encoded(ApiStyle::Messages, &json!({"model": "m", "max_tokens": 9, "messages": messages}), "gpt-5")["input"].clone()
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
}

fn developer(text: &str) -> Value {
    json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]})
}

fn assistant(text: &str) -> Value {
    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

fn call(id: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": "weather", "arguments": arguments})
}

fn output(id: &str, output: &Value) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": output})
}

#[test]
fn encodes_tool_rounds_of_all_formats() {
    let expected = json!({"model": "gpt-4o", "instructions": "Be brief.", "store": false, "input": [
        user("Weather?"), call("call_a", "{\"city\":\"Hue\"}"), call("call_b", "{\"city\":\"Da Lat\"}"),
        output("call_a", &json!("{\"celsius\":31}")), output("call_b", &json!("cold"))],
        "tools": [{"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA(), "strict": true}],
        "tool_choice": "required", "max_output_tokens": 50});
    // Gemini's API has no strict tools.
    for style in API_STYLES.into_iter().filter(|style| *style != ApiStyle::Gemini) {
        assert_eq!(encoded(style, &tool_round(style), "gpt-4o"), expected, "{style:?}");
    }
}

#[test]
fn keeps_system_turns_in_place_as_developer_messages() {
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"},
        {"role": "assistant", "content": "Look.", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
        {"role": "system", "content": "Be kind."}, {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "user", "content": "y"}, {"role": "system", "content": "Be calm."}]});
    let written = encoded(ApiStyle::Chat, &body, "gpt-5");
    assert_eq!(written["instructions"], "Be brief.");
    assert_eq!(
        written["input"],
        json!([
            user("x"),
            assistant("Look."),
            call("c", "{}"),
            output("c", &json!("1")),
            developer("Be kind."),
            user("y"),
            developer("Be calm.")
        ])
    );
}

#[test]
fn moves_instructions_into_the_input_if_needed() {
    let system = json!({"role": "system", "content": "Answer in JSON."});
    let format = json!({"type": "json_object"});
    let body = json!({"messages": [system, {"role": "user", "content": "x"}], "response_format": format});
    let written = asked(&body, "gpt-5");
    assert_eq!(
        (&written["input"], written.get("instructions")),
        (&json!([developer("Answer in JSON."), user("x")]), None)
    );
    assert_eq!(written["text"], json!({"format": format}));
    let written = asked(&json!({"messages": [system]}), "gpt-5");
    assert_eq!((&written["input"], written.get("instructions")), (&json!([developer("Answer in JSON.")]), None));
    let thoughts =
        json!([{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "sig"}]}]);
    let body = json!({"model": "m", "max_tokens": 9, "messages": thoughts});
    let refused = encode(&read(ApiStyle::Messages, &body).unwrap(), "gpt-5").unwrap_err();
    assert_eq!(refused.status(ApiStyle::Messages), 400);
}

#[test]
fn encodes_images_files_and_audio() {
    let text = STANDARD.encode("a,b");
    for (part, expected) in [
        (
            json!({"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}}),
            json!({"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"}),
        ),
        (
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
            json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}),
        ),
        (
            json!({"type": "file", "file": {"filename": "Report", "file_data": "data:application/pdf;base64,JVBERi0x"}}),
            json!({"type": "input_file", "filename": "Report.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}),
        ),
        (
            json!({"type": "file", "file": {"filename": "a.PDF", "file_data": "JVBERi0x"}}),
            json!({"type": "input_file", "filename": "a.PDF", "file_data": "data:application/pdf;base64,JVBERi0x"}),
        ),
        (
            json!({"type": "file", "file": {"filename": "a.csv", "file_data": format!("data:text/csv;base64,{text}")}}),
            json!({"type": "input_text", "text": "a.csv:\na,b"}),
        ),
        (
            json!({"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}),
            json!({"type": "input_file", "file_url": "https://example.org/a.pdf"}),
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}),
            json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}),
        ),
    ] {
        let body = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]});
        assert_eq!(asked(&body, "gpt-5")["input"][0]["content"][1], expected, "{part}");
    }
}

#[test]
fn encodes_results_with_images_and_failures() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let picture = json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"});
    let text = |text: &str| json!({"type": "text", "text": text});
    let written = |text: &str| json!({"type": "input_text", "text": text});
    for (content, is_error, expected) in [
        (json!("31"), false, json!("31")),
        (json!("No city."), true, json!("Error: No city.")),
        (json!([]), true, json!("Error:")),
        (json!([text("a"), text("b")]), false, json!("a\nb")),
        (json!([text("a"), image, text("b")]), false, json!([written("a"), picture, written("b")])),
        (json!([image, text("No city.")]), true, json!([picture, written("Error: No city.")])),
        (json!([image]), true, json!([written("Error:"), picture])),
    ] {
        let result = json!({"type": "tool_result", "tool_use_id": "c", "is_error": is_error, "content": content});
        let tool_use = json!({"type": "tool_use", "id": "c", "name": "weather", "input": {}});
        let input =
            input_of_messages(&json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": [tool_use]},
            {"role": "user", "content": [result, text("y")]}]));
        assert_eq!(input, json!([user("x"), call("c", "{}"), output("c", &expected), user("y")]), "{content}");
    }
}

#[test]
fn encodes_tools_with_an_explicit_strict_mode() {
    let open = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    for (mut function, mut expected) in [
        (json!({"parameters": SCHEMA(), "strict": true}), json!({"parameters": SCHEMA(), "strict": true})),
        (json!({"parameters": SCHEMA()}), json!({"parameters": SCHEMA(), "strict": false})),
        (json!({"parameters": open, "strict": true}), json!({"parameters": open, "strict": false})),
        (json!({}), json!({"parameters": {"type": "object", "properties": {}}, "strict": false})),
    ] {
        function["name"] = "f".into();
        expected["name"] = "f".into();
        expected["type"] = "function".into();
        let written = asked(&json!({"tools": [{"type": "function", "function": function}]}), "gpt-5");
        assert_eq!(written["tools"], json!([expected]));
    }
}

#[test]
fn encodes_tool_choices() {
    let named = json!({"type": "function", "function": {"name": "f"}});
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}});
    let flat = json!({"type": "function", "name": "f"});
    for (choice, expected) in [
        (json!("auto"), json!("auto")),
        (json!("none"), json!("none")),
        (json!("required"), json!("required")),
        (named.clone(), flat.clone()),
        (allowed, json!({"type": "allowed_tools", "mode": "required", "tools": [flat]})),
    ] {
        let body = json!({"tools": [named], "tool_choice": choice, "parallel_tool_calls": false});
        let written = asked(&body, "gpt-5");
        assert_eq!((&written["tool_choice"], &written["parallel_tool_calls"]), (&expected, &json!(false)));
        let without = asked(&json!({"tool_choice": choice, "parallel_tool_calls": false}), "gpt-5");
        assert_eq!((without.get("tool_choice"), without.get("parallel_tool_calls")), (None, None));
    }
}

#[test]
fn encodes_parameters_that_the_model_accepts() {
    let schema = json!({"name": "n", "description": "d", "schema": SCHEMA(), "strict": true});
    let open = json!({"name": "n", "schema": {"type": "object"}, "strict": true});
    let format = |schema: &Value| json!({"response_format": {"type": "json_schema", "json_schema": schema}});
    let strict =
        json!({"format": {"type": "json_schema", "name": "n", "description": "d", "schema": SCHEMA(), "strict": true}});
    let lax = json!({"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": false}});
    let (thoughts, logprobs) = ("reasoning.encrypted_content", "message.output_text.logprobs");
    for (fields, model, name, expected) in [
        (json!({"max_tokens": 5}), "gpt-5", "max_output_tokens", json!(16)),
        (json!({"max_completion_tokens": 17}), "gpt-5", "max_output_tokens", json!(17)),
        (json!({}), "gpt-5", "max_output_tokens", Value::Null),
        (json!({"temperature": 0.5}), "gpt-4o", "temperature", json!(0.5)),
        (json!({"top_p": 0.5}), "gpt-4o", "top_p", json!(0.5)),
        (json!({"user": "anna"}), "gpt-5", "user", json!("anna")),
        (json!({"stream": true}), "gpt-5", "stream", json!(true)),
        (json!({"prompt_cache_key": "k"}), "gpt-5", "prompt_cache_key", json!("k")),
        (format(&schema), "gpt-5", "text", strict),
        (format(&open), "gpt-5", "text", lax),
        (json!({"verbosity": "low"}), "gpt-5.2-codex", "text", json!({"verbosity": "low"})),
        (json!({"verbosity": "low"}), "my-deployment", "text", json!({"verbosity": "low"})),
        (json!({"verbosity": "low"}), "o4-mini", "text", Value::Null),
        (json!({"verbosity": "low"}), "gpt-5-chat-latest", "text", Value::Null),
        (json!({"reasoning_effort": "high"}), "gpt-5", "reasoning", json!({"effort": "high", "summary": "auto"})),
        (json!({"reasoning_effort": "none"}), "gpt-5.1", "reasoning", json!({"effort": "none"})),
        (json!({"reasoning": {"effort": "low", "exclude": true}}), "gpt-5", "reasoning", json!({"effort": "low"})),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 4_000}}),
            "o3",
            "reasoning",
            json!({"effort": "medium", "summary": "auto"}),
        ),
        (json!({"reasoning_effort": "high"}), "gpt-4o", "reasoning", Value::Null),
        (json!({}), "gpt-5", "reasoning", Value::Null),
        (json!({}), "gpt-5.2-codex", "include", json!([thoughts])),
        (json!({}), "gpt-6", "include", json!([thoughts])),
        (json!({}), "my-deployment", "include", Value::Null),
        (json!({"reasoning_effort": "high"}), "my-deployment", "include", json!([thoughts])),
        (json!({"reasoning_effort": "high"}), "gpt-4o", "include", Value::Null),
        (json!({"logprobs": true, "top_logprobs": 2}), "gpt-4o", "include", json!([logprobs])),
        (json!({"logprobs": true, "top_logprobs": 2}), "gpt-4o", "top_logprobs", json!(2)),
        (json!({"logprobs": true}), "gpt-4o", "top_logprobs", Value::Null),
    ] {
        assert_eq!(asked(&fields, model)[name], expected, "{name} of {fields} at {model}");
    }
    assert_eq!(asked(&json!({"user": "u".repeat(65)}), "gpt-5")["user"].as_str().unwrap().len(), 64);
}

#[test]
fn omits_parameters_that_the_api_lacks() {
    let fields = json!({"stop": ["a"], "n": 1, "seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0.5, "top_k": 3,
        "stream": true, "stream_options": {"include_usage": true}, "logprobs": true, "reasoning_effort": "low",
        "response_format": {"type": "text"}});
    let written = asked(&fields, "gpt-4o");
    let names: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["model", "input", "store", "include", "stream"]);
    let several = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 2});
    let refused = encode(&read(ApiStyle::Chat, &several).unwrap(), "gpt-5").unwrap_err();
    assert_eq!((refused.status(ApiStyle::Chat), refused.param.as_deref()), (400, Some("n")));
}

/// Reasoning, a text, reasoning without a summary, and two calls.
fn answer() -> Value {
    json!({"id": "resp_1", "object": "response", "status": "completed", "error": null, "incomplete_details": null, "output": [
        {"id": "rs_1", "type": "reasoning", "encrypted_content": format!("{ENCRYPTED}1"), "summary": [
            {"type": "summary_text", "text": "hm"}, {"type": "summary_text", "text": "so"}]},
        {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [
            {"type": "output_text", "text": "Look.", "annotations": [], "logprobs": []}]},
        {"id": "rs_2", "type": "reasoning", "encrypted_content": format!("{ENCRYPTED}2"), "summary": []},
        {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
        {"id": "fc_2", "type": "function_call", "status": "completed", "call_id": "c2", "name": "g", "arguments": "{}"}],
        "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 17}})
}

fn counted() -> Usage {
    Usage { input: Some(10), cached: Some(4), output: Some(7), reasoning: Some(3), ..Usage::default() }
}

fn whole(style: ApiStyle, body: &Value) -> Result<(Value, Usage), Failure> {
    convert_whole(Box::new(ResponsesReader::default()), style, body)
}

fn streamed(style: ApiStyle, wire: String) -> Result<(Vec<Value>, Usage), Failure> {
    let (text, usage) = convert_stream(Box::new(ResponsesReader::default()), style, vec![wire.into()])?;
    Ok((frame_data(&text), usage))
}

fn streamed_events(style: ApiStyle, events: &[Value]) -> Result<(Vec<Value>, Usage), Failure> {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    streamed(style, events.iter().map(frame).collect())
}

fn stream_of(response: &Value) -> String {
    String::from_utf8(stream_of_response(response).to_vec()).unwrap()
}

fn completed(response: &Value) -> Value {
    json!({"type": "response.completed", "response": response})
}

#[test]
fn parses_whole_answers() {
    for style in API_STYLES {
        let (written, usage) = whole(style, &answer()).unwrap();
        assert_eq!(usage, counted(), "{style:?}");
        match style {
            ApiStyle::Chat => {
                let choice = &written["choices"][0];
                let message = &choice["message"];
                assert_eq!(choice["finish_reason"], "tool_calls");
                assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("Look."), &json!("hm\n\nso")));
                assert_eq!(message["tool_calls"][0]["function"], json!({"name": "f", "arguments": "{\"a\":1}"}));
                assert_eq!(message["tool_calls"][1]["id"], "c2");
            }
            ApiStyle::Responses => {
                let items = written["output"].as_array().unwrap().iter();
                let kinds: Vec<&str> = items.filter_map(|item| item["type"].as_str()).collect();
                assert_eq!(kinds, ["reasoning", "message", "reasoning", "function_call", "function_call"]);
                assert_eq!((&written["status"], &written["output"][4]["call_id"]), (&json!("completed"), &json!("c2")));
            }
            ApiStyle::Messages => {
                assert_eq!(written["stop_reason"], "tool_use");
                assert_eq!(written["content"][0]["thinking"], "hm\n\nso");
                assert_eq!(written["content"][1], json!({"type": "text", "text": "Look."}));
                assert_eq!(written["content"][3]["input"], json!({"a": 1}));
            }
            ApiStyle::Gemini => {
                let parts = &written["candidates"][0]["content"]["parts"];
                assert_eq!(parts[0], json!({"text": "hm\n\nso", "thought": true}));
                assert_eq!(parts[1], json!({"text": "Look."}));
                assert_eq!(parts[2]["functionCall"]["args"], json!({"a": 1}));
            }
        }
    }
}

#[test]
fn parses_streams() {
    let (chunks, usage) = streamed(ApiStyle::Chat, stream_of(&answer())).unwrap();
    assert_eq!(usage, counted());
    let choices = || chunks.iter().filter_map(|chunk| chunk["choices"].get(0));
    let joined = |name: &str| choices().filter_map(|choice| choice["delta"][name].as_str()).collect::<String>();
    assert_eq!((joined("content"), joined("reasoning_content")), ("Look.".to_owned(), "hm\n\nso".to_owned()));
    let calls: Vec<_> = choices().filter_map(|choice| choice["delta"]["tool_calls"].get(0)).collect();
    let part = |index: usize| (&calls[index]["index"], &calls[index]["id"], &calls[index]["function"]["arguments"]);
    assert_eq!(part(0), (&json!(0), &json!("c1"), &json!("")));
    assert_eq!(part(1), (&json!(0), &Value::Null, &json!("{\"a\":1}")));
    assert_eq!(part(2), (&json!(1), &json!("c2"), &json!("")));
    assert_eq!((part(3), calls.len()), ((&json!(1), &Value::Null, &json!("{}")), 4));
    assert_eq!(choices().next_back().unwrap()["finish_reason"], "tool_calls");

    let (events, _) = streamed(ApiStyle::Messages, stream_of(&answer())).unwrap();
    let starts: Vec<&str> = events.iter().filter_map(|event| event["content_block"]["type"].as_str()).collect();
    assert_eq!(starts, ["thinking", "text", "thinking", "tool_use", "tool_use"]);
    let signatures: Vec<_> =
        events.iter().filter_map(|event| encrypted_content(event["delta"]["signature"].as_str()?)).collect();
    assert_eq!(signatures, [format!("{ENCRYPTED}1"), format!("{ENCRYPTED}2")]);

    let (events, _) = streamed(ApiStyle::Responses, stream_of(&answer())).unwrap();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], last["response"]["output"].as_array().unwrap().len()),
        (&json!("response.completed"), 5)
    );
}

#[test]
fn accepts_streams_without_increments() {
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "name": "f", "call_id": "c", "arguments": ""}});
    let item = json!({"type": "function_call", "name": "f", "call_id": "c", "arguments": "{\"a\":1}"});
    let done = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let delta =
        |json: &str| json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": json});
    let text = json!({"type": "message", "content": [{"type": "output_text", "text": "Look."}]});
    let end = |output: Value| completed(&json!({"status": "completed", "output": output}));
    let arguments = |events: &[Value]| -> String {
        let (written, _) = streamed_events(ApiStyle::Messages, events).unwrap();
        written.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect()
    };
    for events in [
        vec![added.clone(), done.clone(), end(json!([item]))],
        vec![done.clone(), end(json!([]))],
        vec![added.clone(), delta("{\"a\""), delta(":1}"), done, end(json!([item]))],
        vec![added.clone(), delta("{\"a\":1}"), end(json!([item]))],
        vec![added, end(json!([item]))],
        vec![end(json!([item]))],
    ] {
        assert_eq!(arguments(&events), "{\"a\":1}", "{events:?}");
    }
    let (chunks, _) = streamed_events(ApiStyle::Chat, &[end(json!([text, text]))]).unwrap();
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "Look.\n\nLook.");
}

#[test]
fn parses_refusals_readable_reasoning_logprobs_and_images() {
    let token = json!({"token": "a", "logprob": -0.5, "top_logprobs": []});
    let events = [
        json!({"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "hm"}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "summary"}),
        json!({"type": "response.refusal.delta", "output_index": 1, "delta": "No."}),
        json!({"type": "response.output_text.delta", "output_index": 2, "delta": "a", "logprobs": [token]}),
        json!({"type": "response.output_item.done", "output_index": 3, "item": {"type": "image_generation_call", "status": "completed", "result": "iVBORw0KGgoAAAA="}}),
        completed(&json!({"status": "completed", "output": []})),
    ];
    let (chunks, usage) = streamed_events(ApiStyle::Chat, &events).unwrap();
    let deltas: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    let has = |name: &str, value: &Value| deltas.iter().any(|delta| delta[name] == *value);
    assert!(has("reasoning_content", &json!("hm")) && !has("reasoning_content", &json!("summary")));
    assert!(has("refusal", &json!("No.")) && has("content", &json!("a")));
    assert!(chunks.iter().any(|chunk| chunk["choices"][0]["logprobs"]["content"] == json!([token])));
    let image = deltas.iter().find_map(|delta| delta["images"][0]["image_url"]["url"].as_str());
    assert_eq!(image, Some("data:image/png;base64,iVBORw0KGgoAAAA="));
    assert!(usage.estimated, "no usage was reported");
}

#[test]
fn returns_reasoning_before_the_item_that_followed_it() {
    let reasoning = |number: u64, text: &str| {
        let summary = if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
        json!({"type": "reasoning", "summary": summary, "encrypted_content": format!("{ENCRYPTED}{number}")})
    };
    let function = |id: &str, name: &str, arguments: &str| json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments});
    for style in [ApiStyle::Responses, ApiStyle::Messages] {
        let (written, _) = whole(style, &answer()).unwrap();
        let body = next_request(style, &written);
        let input = encoded(style, &body, "gpt-5")["input"].clone();
        let expected = json!([
            user("x"),
            reasoning(1, "hm\n\nso"),
            assistant("Look."),
            reasoning(2, ""),
            function("c1", "f", "{\"a\":1}"),
            function("c2", "g", "{}"),
            output("c1", &json!("1")),
            output("c2", &json!("1"))
        ]);
        assert_eq!(input, expected, "{style:?}");
        for kind in KINDS {
            let other = translated(style, kind, &body).to_string();
            assert!(!other.contains(MARKER) && !other.contains(ENCRYPTED), "{kind:?} {other}");
        }
    }
    // Chat completions carry all reasoning before the text.
    let (written, _) = whole(ApiStyle::Chat, &answer()).unwrap();
    let input = encoded(ApiStyle::Chat, &next_request(ApiStyle::Chat, &written), "gpt-5")["input"].clone();
    assert_eq!((&input[1], &input[2], &input[3]), (&reasoning(1, "hm\n\nso"), &reasoning(2, ""), &assistant("Look.")));
}

#[test]
fn keeps_consecutive_reasoning_items_apart() {
    let mut body = answer();
    body["output"].as_array_mut().unwrap().remove(1);
    for style in API_STYLES {
        let (written, _) = whole(style, &body).unwrap();
        let input = encoded(style, &next_request(style, &written), "gpt-5")["input"].clone();
        let contents: Vec<_> =
            input.as_array().unwrap().iter().filter_map(|item| item["encrypted_content"].as_str()).collect();
        assert_eq!(contents, [format!("{ENCRYPTED}1"), format!("{ENCRYPTED}2")], "{style:?}");
    }
}

#[test]
fn drops_reasoning_of_others_and_without_a_following_item() {
    let thinking = |signature: &str| json!({"type": "thinking", "thinking": "hm", "signature": signature});
    let own = thinking(&format!("{MARKER}e.{ENCRYPTED}"));
    let text = json!({"type": "text", "text": "Look."});
    let kept = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": ENCRYPTED});
    for (content, items) in [
        (json!([thinking("EqQBCkYI"), {"type": "redacted_thinking", "data": "d"}, text]), vec![assistant("Look.")]),
        (json!([thinking(MARKER), thinking(""), text]), vec![assistant("Look.")]),
        (json!([own, text]), vec![kept.clone(), assistant("Look.")]),
        (json!([thinking(ENCRYPTED), text]), vec![kept, assistant("Look.")]),
        (json!([text, own]), vec![assistant("Look.")]),
        (json!([own]), vec![]),
    ] {
        let input =
            input_of_messages(&json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": content},
            {"role": "user", "content": "y"}]));
        let expected = Value::from([vec![user("x")], items, vec![user("y")]].concat());
        assert_eq!(input, expected, "{content}");
    }
}

#[test]
fn reports_incomplete_answers() {
    for (reason, finish, stop) in
        [("max_output_tokens", "length", "max_tokens"), ("content_filter", "content_filter", "refusal")]
    {
        let mut body = answer();
        body["status"] = "incomplete".into();
        body["incomplete_details"] = json!({"reason": reason});
        let (chat, usage) = whole(ApiStyle::Chat, &body).unwrap();
        assert_eq!((&chat["choices"][0]["finish_reason"], usage), (&json!(finish), counted()));
        let (events, _) = streamed(ApiStyle::Messages, stream_of(&body)).unwrap();
        let delta = events.iter().find(|event| event["type"] == "message_delta").unwrap();
        assert_eq!(delta["delta"]["stop_reason"], stop);
        let (events, _) = streamed(ApiStyle::Responses, stream_of(&body)).unwrap();
        assert_eq!(events.last().unwrap()["response"]["incomplete_details"]["reason"], reason);
    }
}

#[test]
fn reports_failed_and_cut_answers() {
    let (busy, unavailable) = (AiError::Busy { retry_after: None }, AiError::Unavailable { retry_after: None });
    let limited = json!({"code": "rate_limit_exceeded", "message": "slow"});
    for (error, expected) in [
        (limited.clone(), &busy),
        (json!({"code": "server_error", "message": "boom"}), &unavailable),
        (Value::Null, &unavailable),
    ] {
        let body = json!({"status": "failed", "error": error, "output": []});
        assert_eq!(&whole(ApiStyle::Chat, &body).unwrap_err().error, expected, "{body}");
        let event = json!({"type": "response.failed", "response": body});
        assert_eq!(&streamed_events(ApiStyle::Chat, &[event]).unwrap_err().error, expected, "{body}");
    }
    for event in [
        json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": null, "sequence_number": 1}),
        json!({"type": "error", "error": limited}),
    ] {
        let named = format!("event: error\ndata: {event}\n\n");
        for wire in [named, format!("data: {event}\n\n")] {
            assert_eq!(streamed(ApiStyle::Chat, wire.clone()).unwrap_err().error, busy, "{wire}");
        }
    }
    let text = stream_of(&answer());
    let cut = text[..text.len() / 2].to_owned();
    assert_eq!(streamed(ApiStyle::Chat, cut).unwrap_err().error, AiError::Truncated);
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "delta": "Lo"});
    assert_eq!(streamed_events(ApiStyle::Chat, &[delta]).unwrap_err().error, AiError::Truncated);
    for body in [json!({}), json!([]), json!({"status": "completed"})] {
        assert_eq!(whole(ApiStyle::Chat, &body).unwrap_err().error, AiError::Garbled, "{body}");
    }
}
