//! Answers: conversion from each provider format to each client format, whole and streamed.

use serde_json::{Value, json};

use super::{API_STYLES, KINDS, stream_bytes, streamed, whole};
use crate::{AiError, ApiStyle, ProviderKind, Usage};

/// Thinking, text and two parallel calls, in each provider format.
pub(super) fn whole_answer(kind: ProviderKind) -> Value {
    match kind.name() {
        "openai" => json!({"choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": "Look.", "reasoning_content": "hm", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{\"b\":2}"}}]}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}}}),
        "gemini" => json!({"candidates": [{"finishReason": "STOP", "content": {"role": "model", "parts": [
            {"text": "hm", "thought": true}, {"text": "Look."},
            {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "sig"},
            {"functionCall": {"id": "c2", "name": "g", "args": {"b": 2}}}]}}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "cachedContentTokenCount": 4}}),
        _ => json!({"type": "message", "stop_reason": "tool_use", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "text", "text": "Look."},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "c2", "name": "g", "input": {"b": 2}}],
            "usage": {"input_tokens": 6, "cache_read_input_tokens": 4, "output_tokens": 7}}),
    }
}

/// The answer of [`whole_answer`] as stream frames, with the arguments of both calls split.
pub(super) fn frames(kind: ProviderKind) -> Vec<Value> {
    let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let part = |part: Value| json!({"candidates": [{"content": {"parts": [part]}}]});
    let piece = |index: u64, kind: &str, field: &str, value: &str| json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: value}});
    match kind.name() {
        "openai" => vec![
            delta(json!({"role": "assistant", "content": ""})),
            delta(json!({"reasoning_content": "hm"})),
            delta(json!({"content": "Look."})),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\""}}]}),
            ),
            // The increments of the two calls are interleaved, which the format permits.
            delta(
                json!({"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": "{\"b\":"}}]}),
            ),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]})),
            delta(json!({"tool_calls": [{"index": 1, "function": {"arguments": "2}"}}]})),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            json!({"choices": [], "usage": whole_answer(kind)["usage"]}),
        ],
        "gemini" => vec![
            part(json!({"text": "hm", "thought": true})),
            part(json!({"text": "Look."})),
            part(json!({"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "sig"})),
            part(json!({"functionCall": {"id": "c2", "name": "g", "args": {"b": 2}}})),
            // The finish reason comes in a later chunk than the call.
            json!({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}], "usageMetadata": whole_answer(kind)["usageMetadata"]}),
        ],
        _ => vec![
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 6, "cache_read_input_tokens": 4, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
            piece(0, "thinking_delta", "thinking", "hm"),
            piece(0, "signature_delta", "signature", "sig"),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "ping"}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
            piece(1, "text_delta", "text", "Look."),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "c1", "name": "f", "input": {}}}),
            piece(2, "input_json_delta", "partial_json", "{\"a\":1}"),
            json!({"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "c2", "name": "g", "input": {}}}),
            piece(3, "input_json_delta", "partial_json", "{\"b\":"),
            piece(3, "input_json_delta", "partial_json", "2}"),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}),
            json!({"type": "message_stop"}),
        ],
    }
}

fn counted(kind: ProviderKind) -> Usage {
    let reasoning = (kind != ProviderKind::ANTHROPIC).then_some(3);
    Usage { input: Some(10), cached: Some(4), output: Some(7), reasoning, ..Usage::default() }
}

#[test]
fn converts_whole_answers_between_all_formats() {
    for kind in KINDS {
        for style in API_STYLES {
            let (answer, usage) = whole(kind, style, &whole_answer(kind)).unwrap();
            assert_eq!(usage, counted(kind), "{kind:?}");
            let place = format!("{kind:?} to {style:?}: {answer}");
            match style {
                ApiStyle::Chat => {
                    let choice = &answer["choices"][0];
                    assert_eq!(choice["finish_reason"], "tool_calls", "{place}");
                    assert_eq!(choice["message"]["content"], "Look.", "{place}");
                    assert_eq!(choice["message"]["reasoning_content"], "hm", "{place}");
                    assert_eq!(
                        choice["message"]["tool_calls"][1]["function"],
                        json!({"name": "g", "arguments": "{\"b\":2}"})
                    );
                    assert_eq!(answer["usage"]["total_tokens"], 17);
                }
                ApiStyle::Responses => {
                    let kinds: Vec<&str> =
                        answer["output"].as_array().unwrap().iter().filter_map(|item| item["type"].as_str()).collect();
                    assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call"], "{place}");
                    assert_eq!(
                        (&answer["status"], &answer["output"][3]["call_id"]),
                        (&json!("completed"), &json!("c2"))
                    );
                    for field in
                        ["id", "object", "created_at", "model", "output", "tools", "error", "incomplete_details"]
                    {
                        assert!(answer.get(field).is_some(), "{field}");
                    }
                    assert_eq!(answer["usage"]["input_tokens_details"]["cached_tokens"], 4);
                }
                ApiStyle::Messages => {
                    let kinds: Vec<&str> =
                        answer["content"].as_array().unwrap().iter().filter_map(|item| item["type"].as_str()).collect();
                    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"], "{place}");
                    assert_eq!(
                        (&answer["stop_reason"], &answer["content"][3]["input"]),
                        (&json!("tool_use"), &json!({"b": 2}))
                    );
                    let mut counts = json!({"input_tokens": 6, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 7});
                    if let Some(thinking) = usage.reasoning {
                        counts["output_tokens_details"] = json!({"thinking_tokens": thinking});
                    }
                    assert_eq!(answer["usage"], counts);
                }
                ApiStyle::Gemini => {
                    let candidate = &answer["candidates"][0];
                    assert_eq!(candidate["finishReason"], "STOP", "{place}");
                    assert_eq!(candidate["content"]["parts"][3]["functionCall"]["args"], json!({"b": 2}), "{place}");
                }
            }
        }
    }
}

#[test]
fn converts_streams_to_chat_completions() {
    for kind in KINDS {
        let (chunks, usage) = streamed(kind, ApiStyle::Chat, &frames(kind)).unwrap();
        assert_eq!(usage, counted(kind), "{kind:?}");
        let choices: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk["choices"].get(0)).collect();
        assert_eq!(choices[0]["delta"]["role"], "assistant", "{kind:?}");
        let finishes: Vec<&Value> =
            choices.iter().map(|choice| &choice["finish_reason"]).filter(|finish| !finish.is_null()).collect();
        assert_eq!(finishes, ["tool_calls"], "{kind:?}");
        let mut calls = vec![(String::new(), String::new()); 2];
        for call in choices.iter().filter_map(|choice| choice["delta"]["tool_calls"].get(0)) {
            let place = &mut calls[usize::try_from(call["index"].as_u64().unwrap()).unwrap()];
            place.0.push_str(call["id"].as_str().unwrap_or_default());
            place.1.push_str(call["function"]["arguments"].as_str().unwrap());
        }
        let expected = [("c1", "{\"a\":1}"), ("c2", "{\"b\":2}")].map(|(id, json)| (id.to_owned(), json.to_owned()));
        assert_eq!(calls, expected, "{kind:?}");
        let last = chunks.last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(7)));
    }
}

#[test]
fn converts_streams_to_messages_with_one_open_block() {
    for kind in KINDS {
        let (events, _) = streamed(kind, ApiStyle::Messages, &frames(kind)).unwrap();
        assert_eq!(events[0]["message"]["usage"]["input_tokens"], 11, "{kind:?}: the estimate, until there is a count");
        let (mut open, mut next, mut blocks) = (None, 0, Vec::new());
        for event in &events {
            match event["type"].as_str().unwrap() {
                "content_block_start" => {
                    assert_eq!((open, &event["index"]), (None, &json!(next)), "{kind:?} {event}");
                    open = Some(next);
                    blocks.push((event["content_block"]["type"].as_str().unwrap().to_owned(), String::new()));
                }
                "content_block_delta" => {
                    assert_eq!(Some(event["index"].as_u64().unwrap()), open, "{kind:?} {event}");
                    blocks.last_mut().unwrap().1.push_str(event["delta"]["partial_json"].as_str().unwrap_or_default());
                }
                "content_block_stop" => {
                    open = None;
                    next += 1;
                }
                _ => {}
            }
        }
        let of = |name: &str| events.iter().filter(|event| event["type"] == name).count();
        assert_eq!((of("message_start"), of("message_delta"), of("message_stop")), (1, 1, 1), "{kind:?}");
        let tools: Vec<_> = blocks.iter().filter(|block| block.0 == "tool_use").map(|block| block.1.as_str()).collect();
        assert_eq!(tools, ["{\"a\":1}", "{\"b\":2}"], "{kind:?}");
        let delta = events.iter().find(|event| event["type"] == "message_delta").unwrap();
        assert_eq!((&delta["delta"]["stop_reason"], &delta["usage"]["output_tokens"]), (&json!("tool_use"), &json!(7)));
    }
}

#[test]
fn converts_streams_to_responses_with_complete_items() {
    for kind in KINDS {
        let (events, _) = streamed(kind, ApiStyle::Responses, &frames(kind)).unwrap();
        for (sequence, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], sequence, "{kind:?}");
        }
        assert_eq!(
            (&events[0]["type"], &events[1]["type"]),
            (&json!("response.created"), &json!("response.in_progress"))
        );
        let of = |name: &str| events.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
        assert_eq!((of("response.output_item.added").len(), of("response.output_item.done").len()), (4, 4), "{kind:?}");
        assert_eq!(of("response.output_text.delta")[0]["logprobs"], json!([]));
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.completed");
        let output = last["response"]["output"].as_array().unwrap();
        assert_eq!(output[1]["content"][0]["text"], "Look.", "{kind:?}");
        assert_eq!(
            (&output[2]["arguments"], &output[3]["arguments"]),
            (&json!("{\"a\":1}"), &json!("{\"b\":2}")),
            "{kind:?}"
        );
        assert_eq!(last["response"]["usage"]["total_tokens"], 17);
    }
}

#[test]
fn opens_a_new_block_for_thinking_after_a_call() {
    let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
    let frames = [
        delta(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]})),
        delta(json!({"reasoning_content": "hm"})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    ];
    let (events, _) = streamed(ProviderKind::OPENAI, ApiStyle::Messages, &frames).unwrap();
    let starts: Vec<&str> = events.iter().filter_map(|event| event["content_block"]["type"].as_str()).collect();
    assert_eq!(starts, ["tool_use", "thinking"]);
}

#[test]
fn separates_parallel_calls_with_restarting_indexes() {
    let call = |id: &str| json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": id, "function": {"name": "f", "arguments": "{}"}}]}}]});
    let end = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    let (chunks, _) = streamed(ProviderKind::OPENAI, ApiStyle::Chat, &[call("a"), call("b"), end]).unwrap();
    let ids: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| {
            let call = &chunk["choices"][0]["delta"]["tool_calls"][0];
            Some((call["index"].as_u64()?, call["id"].as_str()?.to_owned()))
        })
        .collect();
    assert_eq!(ids, [(0, "a".to_owned()), (1, "b".to_owned())]);
}

#[test]
fn reports_length_if_the_limit_ends_the_thinking() {
    let body = json!({"candidates": [{"finishReason": "MAX_TOKENS"}], "usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 9}});
    let (answer, usage) = whole(ProviderKind::GEMINI, ApiStyle::Chat, &body).unwrap();
    assert_eq!(
        (&answer["choices"][0]["finish_reason"], &answer["choices"][0]["message"]["content"]),
        (&json!("length"), &json!(""))
    );
    assert_eq!((usage.input, usage.output), (Some(5), Some(9)), "reasoning is charged");
    let (answer, _) = whole(ProviderKind::GEMINI, ApiStyle::Responses, &body).unwrap();
    assert_eq!(
        (&answer["status"], &answer["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    let (answer, _) = whole(ProviderKind::GEMINI, ApiStyle::Chat, &blocked).unwrap();
    assert_eq!(answer["choices"][0]["finish_reason"], "content_filter");
    for reason in ["MALFORMED_FUNCTION_CALL", "MISSING_THOUGHT_SIGNATURE"] {
        let broken = json!({"candidates": [{"finishReason": reason}]});
        assert_eq!(whole(ProviderKind::GEMINI, ApiStyle::Chat, &broken).unwrap_err(), AiError::Garbled.into());
    }
}

#[test]
fn passes_logprobs_if_available() {
    let body = json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "a"}]}, "logprobsResult": {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "b", "logProbability": -1.0}]}]}}]});
    let (answer, _) = whole(ProviderKind::GEMINI, ApiStyle::Chat, &body).unwrap();
    let token = &answer["choices"][0]["logprobs"]["content"][0];
    assert_eq!((&token["logprob"], &token["top_logprobs"][1]["token"]), (&json!(-0.5), &json!("b")));
}

#[test]
fn reports_cut_and_failed_answers() {
    let unended = |kind: ProviderKind| {
        let mut all = frames(kind);
        all.truncate(3);
        let wire: String = all.iter().map(|frame| format!("data: {frame}\n\n")).collect();
        stream_bytes(kind, ApiStyle::Chat, vec![wire.into()])
    };
    for kind in KINDS {
        assert_eq!(unended(kind).unwrap_err(), AiError::Truncated.into(), "{kind:?}");
    }
    let overloaded =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    let failed = stream_bytes(ProviderKind::ANTHROPIC, ApiStyle::Chat, vec![overloaded.into()]).unwrap_err();
    assert_eq!(failed.error, AiError::Unavailable { retry_after: None });
}

#[test]
fn passes_generated_images_to_formats_with_images() {
    let parts = json!([{"text": "Here: "}, {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}]);
    let answer = json!({"candidates": [{"finishReason": "STOP", "content": {"role": "model", "parts": parts}}]});
    let url = json!("data:image/png;base64,iVBO");
    let (chat, _) = whole(ProviderKind::GEMINI, ApiStyle::Chat, &answer).unwrap();
    let message = &chat["choices"][0]["message"];
    assert_eq!((&message["content"], &message["images"][0]["image_url"]["url"]), (&json!("Here: "), &url));
    let (response, _) = whole(ProviderKind::GEMINI, ApiStyle::Responses, &answer).unwrap();
    assert_eq!(response["output"][1]["result"], "iVBO");
    let (words, _) = whole(ProviderKind::GEMINI, ApiStyle::Messages, &answer).unwrap();
    assert!(words["content"][1]["text"].as_str().unwrap().contains("image/png"));
    let frames = std::slice::from_ref(&answer);
    let (chunks, usage) = streamed(ProviderKind::GEMINI, ApiStyle::Chat, frames).unwrap();
    let image = chunks.iter().find_map(|chunk| chunk["choices"][0]["delta"]["images"].get(0)).unwrap();
    assert_eq!((&image["image_url"]["url"], usage.output > Some(900)), (&url, true));
    let (events, _) = streamed(ProviderKind::GEMINI, ApiStyle::Responses, frames).unwrap();
    assert_eq!(events.last().unwrap()["response"]["output"][1]["type"], "image_generation_call");
    let (events, _) = streamed(ProviderKind::GEMINI, ApiStyle::Messages, frames).unwrap();
    assert!(events.iter().any(|event| event["delta"]["text"].as_str().is_some_and(|text| text.contains("image/png"))));
}

#[test]
fn accepts_call_increments_with_changing_ids() {
    let call = |id: &str, function: Value| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": id, "function": function}]}}]});
    let frames = [
        call("a", json!({"name": "f", "arguments": "{\"x\""})),
        call("b", json!({"arguments": ":1}"})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    ];
    let (events, _) = streamed(ProviderKind::OPENAI, ApiStyle::Messages, &frames).unwrap();
    let json: String = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(json, "{\"x\":1}");
}

#[test]
fn adds_missing_event_names_to_messages() {
    let (mut tap, meter) = (super::anthropic::passthrough::MessagesTap::default(), crate::Meter::default());
    let bare = [
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 1}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}),
    ];
    let frames: String = bare.iter().map(|event| format!("data: {event}\n\n")).collect();
    let named: String =
        bare.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())).collect();
    for wire in [frames, named.clone()] {
        let passed = crate::tapped_stream::Tap::pass(&mut tap, wire.into(), &meter).unwrap().unwrap();
        assert_eq!(passed, named);
    }
}

/// Calls parsed from an OpenAI stream with these increments, each with its name and arguments.
fn calls_of(pieces: &[Value]) -> Vec<(String, String)> {
    let mut frames: Vec<Value> =
        pieces.iter().map(|piece| json!({"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]})).collect();
    frames.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}));
    let (events, _) = streamed(ProviderKind::OPENAI, ApiStyle::Responses, &frames).unwrap();
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap().clone();
    let ids: std::collections::BTreeSet<&str> = output.iter().filter_map(|call| call["call_id"].as_str()).collect();
    assert!(ids.len() == output.len() && !ids.contains(""), "{output:?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    output.iter().map(|call| (text(&call["name"]), text(&call["arguments"]))).collect()
}

#[test]
fn separates_calls_with_equal_indexes() {
    let call = |id: Value, index: Value, name: &str, arguments: &str| json!({"id": id, "index": index, "function": {"name": name, "arguments": arguments}});
    let two = [("f".to_owned(), "{\"a\":1}".to_owned()), ("g".to_owned(), "{\"b\":2}".to_owned())];
    let none = Value::Null;
    for (id, index) in [
        (json!(""), json!(0)),
        (none.clone(), json!(0)),
        (json!("c"), none.clone()),
        (json!("c"), json!(0)),
        (none.clone(), none),
    ] {
        let pieces =
            [call(id.clone(), index.clone(), "f", "{\"a\":1}"), call(id.clone(), index.clone(), "g", "{\"b\":2}")];
        assert_eq!(calls_of(&pieces), two, "{id} {index}");
    }
    // One id and two indexes, in interleaved increments.
    let more = |index: u64, arguments: &str| json!({"id": "c", "index": index, "function": {"arguments": arguments}});
    let begun = |index: u64, name: &str| call(json!("c"), json!(index), name, "");
    let pieces = [begun(0, "f"), begun(1, "g"), more(0, "{\"a\""), more(1, "{\"b\":"), more(0, ":1}"), more(1, "2}")];
    assert_eq!(calls_of(&pieces), two);
    // The name is repeated with each increment of one call, and once after it.
    let pieces = ["", "{\"a\"", ":1}", ""].map(|arguments| call(json!(""), json!(0), "f", arguments));
    assert_eq!(calls_of(&pieces), two[..1]);
    // The same tool is called twice.
    let pieces = ["{\"a\":1}", "{\"a\":1}"].map(|arguments| call(json!("f"), json!(0), "f", arguments));
    assert_eq!(calls_of(&pieces), [two[0].clone(), two[0].clone()]);
}

#[test]
fn reads_thinking_and_images_in_all_variants() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}});
    let parts =
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Look."}]);
    let said = json!({"role": "assistant", "content": parts, "images": [image]});
    for (name, frame) in [
        ("message", json!({"choices": [{"index": 0, "message": said, "finish_reason": "model_length"}]})),
        ("delta", json!({"choices": [{"index": 0, "delta": said, "finish_reason": "model_length"}]})),
    ] {
        let response = if name == "message" {
            whole(ProviderKind::OPENAI, ApiStyle::Responses, &frame).unwrap().0
        } else {
            let (events, _) = streamed(ProviderKind::OPENAI, ApiStyle::Responses, &[frame]).unwrap();
            events.last().unwrap()["response"].clone()
        };
        assert_eq!(response["status"], "incomplete", "{name}");
        assert_eq!(response["output"][0]["summary"][0]["text"], "hm", "{name}");
        assert_eq!(response["output"][1]["content"][0]["text"], "Look.", "{name}");
        assert_eq!(response["output"][2]["result"], "iVBO", "{name}");
    }
}

#[test]
fn reads_usage_in_all_variants_and_ignores_later_zeros() {
    let end = |more: Value| {
        let mut frame = json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]});
        frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        frame
    };
    let counts = json!({"prompt_tokens": "12", "completion_tokens": 3, "prompt_cache_hit_tokens": 4});
    let counted = Usage { input: Some(12), output: Some(3), cached: Some(4), ..Usage::default() };
    let of_kimi =
        json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop", "usage": counts}]});
    for frames in [
        vec![end(json!({"usage": counts}))],
        vec![end(json!({"x_groq": {"id": "r", "usage": counts}}))],
        vec![of_kimi],
        vec![
            end(json!({"usage": counts})),
            json!({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}),
        ],
    ] {
        let (_, usage) = streamed(ProviderKind::OPENAI, ApiStyle::Messages, &frames).unwrap();
        assert_eq!(usage, counted, "{frames:?}");
        let (mut tap, meter) = (super::openai_chat::passthrough::ChatTap::new(false, false), crate::Meter::default());
        for frame in &frames {
            crate::tapped_stream::Tap::pass(&mut tap, format!("data: {frame}\n\n").into(), &meter).unwrap();
        }
        crate::tapped_stream::Tap::pass(&mut tap, "data: [DONE]\n\n".into(), &meter).unwrap();
        assert_eq!(meter.usage(), counted, "{frames:?}");
    }
    let of_claude = [
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 8, "cache_read_input_tokens": 4, "output_tokens": 0}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 3}}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(streamed(ProviderKind::ANTHROPIC, ApiStyle::Chat, &of_claude).unwrap().1, counted);
}

#[test]
fn reports_thinking_and_cache_writes_of_claude() {
    let counts = json!({"input_tokens": 10, "cache_creation_input_tokens": 4_000, "cache_read_input_tokens": 100,
        "output_tokens": 1_600, "output_tokens_details": {"thinking_tokens": 1_500}});
    let answer = json!({"type": "message", "stop_reason": "end_turn", "content": [{"type": "text", "text": "ok"}], "usage": counts});
    let frames = [
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 10, "cache_creation_input_tokens": 4_000, "cache_read_input_tokens": 100, "output_tokens": 1}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1_600, "output_tokens_details": {"thinking_tokens": 1_500}}}),
        json!({"type": "message_stop"}),
    ];
    let chat = json!({"prompt_tokens": 4_110, "completion_tokens": 1_600, "total_tokens": 5_710,
        "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 4_000}, "cache_creation_input_tokens": 4_000,
        "completion_tokens_details": {"reasoning_tokens": 1_500}});
    let response = json!({"input_tokens": 4_110, "output_tokens": 1_600, "total_tokens": 5_710,
        "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 4_000},
        "output_tokens_details": {"reasoning_tokens": 1_500}});
    for (style, expected) in [(ApiStyle::Chat, chat), (ApiStyle::Responses, response), (ApiStyle::Messages, counts)] {
        let (written, usage) = whole(ProviderKind::ANTHROPIC, style, &answer).unwrap();
        assert_eq!(written["usage"], expected, "{style:?}");
        assert_eq!((usage.cache_write, usage.reasoning), (Some(4_000), Some(1_500)), "{style:?}");
        let (events, _) = streamed(ProviderKind::ANTHROPIC, style, &frames).unwrap();
        let reported = events.iter().rev().find_map(|event| {
            let usage = [&event["usage"], &event["response"]["usage"]];
            usage.into_iter().find(|usage| usage.is_object())
        });
        assert_eq!(reported, Some(&expected), "{style:?}");
    }
}

#[test]
fn accepts_answers_with_an_empty_error_field() {
    for nothing in [json!(""), json!({}), json!([]), json!(false), Value::Null] {
        let mut answer = whole_answer(ProviderKind::OPENAI);
        answer["error"] = nothing.clone();
        assert!(whole(ProviderKind::OPENAI, ApiStyle::Messages, &answer).is_ok(), "{nothing}");
        let read =
            super::openai_chat::passthrough::meter_whole(answer.to_string().as_bytes(), &crate::Meter::default());
        assert_eq!(read, Ok(()), "{nothing}");
    }
    let odd = json!({"candidates": [{"index": null, "finishReason": "STOP", "content": {"parts": [{"text": "a"}, {"inlineData": {"data": null}}]}}]});
    assert!(whole(ProviderKind::GEMINI, ApiStyle::Chat, &odd).is_ok());
}

#[test]
fn joins_split_surrogates() {
    let piece = |text: &str| format!(r#"data: {{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#) + "\n\n";
    let frames = [piece(r"a\ud83d"), piece(r"\ude00b"), "data: [DONE]\n\n".to_owned()].concat();
    for style in API_STYLES {
        let (text, _) = stream_bytes(ProviderKind::OPENAI, style, vec![frames.clone().into()]).unwrap();
        assert!(text.contains("😀b") && !text.contains('\u{fffd}'), "{style:?}: {text}");
    }
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a\ud83d"}]}"#;
    let asked = crate::dialect::lone_surrogates::parse_request(body.as_bytes()).unwrap();
    assert_eq!(asked["messages"][0]["content"], "a\u{fffd}");
    assert!(crate::dialect::lone_surrogates::parse_request(b"{").is_err());
}

#[test]
fn writes_empty_objects_for_missing_arguments() {
    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}});
    let body = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"}]});
    for (style, place, expected) in [
        (ApiStyle::Chat, "/choices/0/message/tool_calls/0/function/arguments", json!("{}")),
        (ApiStyle::Responses, "/output/0/arguments", json!("{}")),
        (ApiStyle::Messages, "/content/0/input", json!({})),
    ] {
        let (answer, _) = whole(ProviderKind::OPENAI, style, &body).unwrap();
        assert_eq!(answer.pointer(place), Some(&expected), "{answer}");
    }
}

#[test]
fn reads_claude_calls_without_arguments_as_empty_objects() {
    let start = |index: u64, id: &str| json!({"type": "content_block_start", "index": index, "content_block": {"type": "tool_use", "id": id, "name": "f", "input": {}}});
    let piece = |index: u64, json: &str| json!({"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": json}});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    let frames = [
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 1}}}),
        start(0, "a"),
        piece(0, ""),
        stop(0),
        start(1, "b"),
        piece(1, "{\"x\":"),
        piece(1, "1}"),
        stop(1),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ];
    let (chunks, _) = streamed(ProviderKind::ANTHROPIC, ApiStyle::Chat, &frames).unwrap();
    let arguments = |place: u64| -> String {
        let calls = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]);
        calls.filter(|call| call["index"] == place).filter_map(|call| call["function"]["arguments"].as_str()).collect()
    };
    assert_eq!((arguments(0), arguments(1)), ("{}".to_owned(), "{\"x\":1}".to_owned()));
}
