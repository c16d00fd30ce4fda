use serde_json::json;

use super::{
    super::{has_newer_limit, may_ignore_limit},
    *,
};
use crate::Usage;

fn rewritten(body: &str) -> (String, bool) {
    let out = rewrite_request(&Bytes::copy_from_slice(body.as_bytes()), "up\"stream", true).unwrap();
    (String::from_utf8(out.body.to_vec()).unwrap(), out.wants_usage)
}

#[test]
fn rewrites_only_model_and_usage() {
    assert_eq!(
        rewritten(r#"{ "a":1, "model" : "m", "messages":[] }"#),
        (r#"{ "a":1, "model" : "up\"stream", "messages":[] }"#.to_owned(), false)
    );
    assert_eq!(
        rewritten(r#"{"model":"m","stream":true}"#),
        (r#"{"stream_options":{"include_usage":true},"model":"up\"stream","stream":true}"#.to_owned(), false)
    );
    assert_eq!(
        rewritten(r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#),
        (r#"{"stream_options":{"include_usage":true},"model":"up\"stream","stream":true}"#.to_owned(), true)
    );
    assert_eq!(
        rewritten(r#"{"stream":true,"stream_options":{"x":1},"model":"m"}"#),
        (r#"{"stream":true,"stream_options":{"x":1,"include_usage":true},"model":"up\"stream"}"#.to_owned(), false)
    );
}

#[test]
fn sends_one_limit_under_the_known_name() {
    let sent = |body: &str, knows_newer: bool| {
        let out = rewrite_request(&Bytes::copy_from_slice(body.as_bytes()), "m", knows_newer).unwrap();
        String::from_utf8(out.body.to_vec()).unwrap()
    };
    for (body, newer, older) in [
        (r#"{"model":"m", "max_tokens":5}"#, r#"{"model":"m", "max_tokens":5}"#, r#"{"model":"m", "max_tokens":5}"#),
        (
            r#"{"model":"m", "max_completion_tokens":5}"#,
            r#"{"model":"m", "max_completion_tokens":5}"#,
            r#"{"max_tokens":5,"model":"m"}"#,
        ),
        (
            r#"{"max_tokens":9,"model":"m","max_completion_tokens":5}"#,
            r#"{"model":"m","max_completion_tokens":5}"#,
            r#"{"max_tokens":5,"model":"m"}"#,
        ),
        (
            r#"{"max_tokens":null,"max\u005fcompletion_tokens":5,"model":"m"}"#,
            r#"{"max_tokens":null,"max\u005fcompletion_tokens":5,"model":"m"}"#,
            r#"{"max_tokens":5,"model":"m"}"#,
        ),
        (
            r#"{"max_tokens":9,"max_completion_tokens":null,"model":"m"}"#,
            r#"{"max_tokens":9,"max_completion_tokens":null,"model":"m"}"#,
            r#"{"max_tokens":9,"max_completion_tokens":null,"model":"m"}"#,
        ),
    ] {
        assert_eq!((sent(body, true).as_str(), sent(body, false).as_str()), (newer, older), "{body}");
    }
}

#[test]
fn selects_the_limit_name_by_server_and_model() {
    let of = |base: &str, model: &str| {
        let base = base.parse().unwrap();
        (has_newer_limit(&base, model), may_ignore_limit(&base, model))
    };
    for (base, model, expected) in [
        ("https://api.openai.com/v1", "gpt-4o", (true, false)),
        ("https://api.openai.com/v1", "gpt-5", (true, false)),
        ("https://mine.openai.azure.com/openai/v1", "my-deployment", (true, false)),
        ("https://api.groq.com/openai/v1", "llama-4", (true, false)),
        ("https://openrouter.ai/api/v1", "openai/gpt-5", (true, false)),
        ("http://127.0.0.1:4000/v1", "openai/gpt-5-mini", (true, true)),
        ("http://127.0.0.1:11434/v1", "gemma4:12b", (false, false)),
        ("https://openai.example.org/v1", "gpt-4o", (false, false)),
    ] {
        assert_eq!(of(base, model), expected, "{base} {model}");
    }
}

fn pass(wants_usage: bool, blocks: &[&'static str]) -> (String, Usage) {
    let (mut tap, meter) = (ChatTap::new(wants_usage, false), Meter::default());
    let mut out = Vec::new();
    for block in blocks {
        out.extend(tap.pass(Bytes::from_static(block.as_bytes()), &meter).unwrap().unwrap_or_default());
    }
    out.extend(tap.finish(Bytes::new(), &meter).unwrap().unwrap_or_default());
    (String::from_utf8(out).unwrap(), meter.usage())
}

const HELLO: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const STOP: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const COUNTS: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":0}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn passes_the_usage_frame_only_if_requested() {
    let counted = Usage { input: Some(3), output: Some(2), cached: Some(0), ..Usage::default() };
    assert_eq!(pass(true, &[HELLO, STOP, COUNTS, DONE]), ([HELLO, STOP, COUNTS, DONE].concat(), counted));
    assert_eq!(pass(false, &[HELLO, STOP, COUNTS, DONE]), ([HELLO, STOP, DONE].concat(), counted));
}

#[test]
fn adds_frames_that_the_server_omits() {
    let (text, usage) = pass(true, &[HELLO, DONE]);
    let frames: Vec<&str> = text.split("\n\n").collect();
    assert!(frames[1].contains(r#""finish_reason":"stop""#), "{text}");
    let [null, none, next] = [r#""role" : null,"x":1"#, "", r#""content":"a""#]
        .map(|delta| format!("data: {{\"choices\":[{{\"delta\":{{{delta}}}}}]}}\n\n"));
    for (first, expected) in [(null, r#""role" : "assistant","x":1"#), (none, r#""role":"assistant""#)] {
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        let mut pass = |frame: &str| tap.pass(Bytes::copy_from_slice(frame.as_bytes()), &meter).unwrap().unwrap();
        assert_eq!(pass(&first), format!("data: {{\"choices\":[{{\"delta\":{{{expected}}}}}]}}\n\n"));
        assert_eq!(pass(&next), next);
    }
    assert!(frames[2].contains(r#""choices":[]"#) && frames[2].contains(r#""completion_tokens":2"#), "{text}");
    assert!(text.ends_with(DONE));
    assert_eq!(usage, Usage { input: Some(0), output: Some(2), estimated: true, ..Usage::default() });
    assert_eq!(pass(false, &[HELLO, STOP]).0, [HELLO, STOP, DONE].concat(), "a clean end after the finish");
}

#[test]
fn ends_the_stream_at_a_broken_frame() {
    let more = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"more\"}}]}\n\n";
    for broken in ["data: {\"cho\n\n", "data: {\"a\":1}{\"a\":2}\n\n", "data: plain\n\n"] {
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        for frame in [HELLO, more] {
            assert_eq!(tap.pass(Bytes::from_static(frame.as_bytes()), &meter).unwrap().unwrap(), frame);
        }
        let passed = tap.pass(Bytes::from([more, broken, STOP].concat()), &meter).unwrap().unwrap();
        assert_eq!((passed.as_ref(), tap.failure()), (more.as_bytes(), Some(AiError::Garbled.into())), "{broken}");
    }
}

#[test]
fn drops_foreign_lines() {
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    let more = "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"more\"}}]}";
    tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
    for frame in [format!("event: chunk\nid: 7\ndata: {more}\n\n"), format!("data: {more}\nretry: 10\n\n")] {
        let passed = tap.pass(Bytes::from(frame), &meter).unwrap().unwrap();
        assert_eq!(passed, format!("data: {more}\n\n"));
    }
    assert_eq!(tap.pass(Bytes::from_static(b"id: 7\n\n"), &meter).unwrap(), None);
    assert_eq!(tap.pass(Bytes::from_static(b": ping\n\n"), &meter).unwrap().unwrap(), ": ping\n\n");
}

#[test]
fn ignores_empty_finish_reasons() {
    let piece = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":\"\"}]}\n\n";
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    for _ in 0..2 {
        tap.pass(Bytes::from_static(piece.as_bytes()), &meter).unwrap();
        assert!(!tap.is_whole());
    }
    assert_eq!(tap.finish(Bytes::new(), &meter), Err(AiError::Truncated.into()));
    assert!(pass(false, &[piece, DONE]).0.contains(r#""finish_reason":"stop""#));
}

#[test]
fn infers_a_missing_finish_reason() {
    let call = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n";
    assert!(pass(false, &[call, DONE]).0.contains(r#""finish_reason":"tool_calls""#));
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    assert_eq!(tap.pass(Bytes::from_static(DONE.as_bytes()), &meter), Err(AiError::Empty.into()), "no output");
}

/// A frame with this choice.
fn frame_of(choice: &Value) -> String {
    format!("data: {}\n\n", json!({"id": "c", "choices": [choice]}))
}

/// A frame with this delta.
fn frame(delta: &Value) -> String {
    frame_of(&json!({"index": 0, "delta": delta, "finish_reason": null}))
}

/// Passes frames, each in a block of its own and all in one block. Returns the deltas and the
/// finish reasons of what was passed on.
fn repaired(frames: &[String]) -> (Vec<Value>, Vec<Value>) {
    let of = |blocks: &[String]| {
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        let mut out = Vec::new();
        for block in blocks {
            out.extend(tap.pass(Bytes::copy_from_slice(block.as_bytes()), &meter).unwrap().unwrap_or_default());
        }
        let text = String::from_utf8(out).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        let chunks: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
        (chunks, meter.finish())
    };
    let (chunks, finish) = of(frames);
    assert_eq!(of(&[frames.concat()]), (chunks.clone(), finish));
    let reasons: Vec<Value> = chunks.iter().map(|chunk| chunk["choices"][0]["finish_reason"].clone()).collect();
    let ends = reasons.into_iter().filter(|reason| !reason.is_null()).collect();
    (chunks.iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect(), ends)
}

#[test]
fn passes_well_formed_frames_unchanged() {
    let calls = [
        json!({"role": "assistant", "content": null, "tool_calls": [{"index": 0, "id": "call_a", "type": "function", "function": {"name": "w", "arguments": ""}}], "refusal": null}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"city\": \"H"}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "ue\"}"}}]}),
        json!({"tool_calls": [{"index": 1, "id": "call_b", "type": "function", "function": {"name": "w", "arguments": ""}}]}),
        json!({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
        json!({"tool_calls": [{"index": 2, "id": "call_c", "type": "custom", "custom": {"name": "patch", "input": ""}}]}),
        json!({"tool_calls": [{"index": 2, "custom": {"input": "*** Begin"}}]}),
        json!({"tool_calls": [{"index": 3, "id": "call_d", "type": "function", "function": {"name": "w", "arguments": "{}"}}]}),
    ];
    let thoughts = [
        json!({"role": "assistant", "content": "", "reasoning": null}),
        json!({"reasoning": "hm", "reasoning_content": "hm"}),
        json!({"reasoning_content": "hm"}),
        json!({"content": "the \"reasoning\"", "reasoning": ""}),
    ];
    for (deltas, end) in [(calls.as_slice(), "tool_calls"), (thoughts.as_slice(), "stop")] {
        let mut frames: Vec<String> = deltas.iter().map(frame).collect();
        frames.push(frame_of(&json!({"index": 0, "delta": {}, "finish_reason": end})));
        frames.push(DONE.to_owned());
        for blocks in [frames.clone(), vec![frames.concat()]] {
            let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
            for block in blocks {
                assert_eq!(tap.pass(block.clone().into(), &meter).unwrap().unwrap(), block);
            }
        }
    }
}

#[test]
fn passes_frames_without_marks_uncopied() {
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
    let block = Bytes::from(frame(&json!({"content": "more", "reasoning": null})));
    assert_eq!(tap.pass(block.clone(), &meter).unwrap().unwrap().as_ptr(), block.as_ptr());
}

#[test]
fn repairs_tool_calls_of_a_stream() {
    let call = |call: Value| json!({"role": "assistant", "tool_calls": [call]});
    let start = |index: u32, id: &str, arguments: &str| {
        call(json!({"index": index, "id": id, "type": "function", "function": {"name": "w", "arguments": arguments}}))
    };
    let more = |index: u32, arguments: &str| call(json!({"index": index, "function": {"arguments": arguments}}));
    for (name, sent, expected) in [
        (
            "all calls at index 0",
            vec![start(0, "call_a", "{\"c\":1}"), start(0, "call_b", "{\"c\":2}")],
            vec![start(0, "call_a", "{\"c\":1}"), start(1, "call_b", "{\"c\":2}")],
        ),
        (
            "increments of the second call at index 0",
            vec![start(0, "call_a", "{}"), start(0, "call_b", ""), more(0, "{}")],
            vec![start(0, "call_a", "{}"), start(1, "call_b", ""), more(1, "{}")],
        ),
        (
            "name and id in each increment",
            vec![start(0, "call_a", ""), start(0, "call_a", "{\"c\""), start(0, "call_a", ":1}")],
            vec![
                start(0, "call_a", ""),
                call(json!({"index": 0, "type": "function", "function": {"arguments": "{\"c\""}})),
                call(json!({"index": 0, "type": "function", "function": {"arguments": ":1}"}})),
            ],
        ),
        (
            "arguments as an object or null",
            vec![
                call(
                    json!({"index": 0, "id": "call_a", "type": "function", "function": {"name": "w", "arguments": {"c": 1}}}),
                ),
                call(
                    json!({"index": 1, "id": "call_b", "type": "function", "function": {"name": "w", "arguments": null}}),
                ),
            ],
            vec![start(0, "call_a", "{\"c\":1}"), start(1, "call_b", "")],
        ),
        (
            "no index and no type",
            vec![call(json!({"id": "call_a", "function": {"name": "w", "arguments": "{}"}}))],
            vec![call(
                json!({"id": "call_a", "function": {"name": "w", "arguments": "{}"}, "index": 0, "type": "function"}),
            )],
        ),
        ("indexes from 1", vec![start(1, "call_a", "{}"), more(1, " ")], vec![start(0, "call_a", "{}"), more(0, " ")]),
    ] {
        let mut frames: Vec<String> = sent.iter().map(frame).collect();
        frames.push(frame_of(&json!({"index": 0, "delta": {}, "finish_reason": "stop"})));
        let (mut deltas, ends) = repaired(&frames);
        deltas.pop();
        assert_eq!((deltas, ends), (expected, vec![json!("tool_calls")]), "{name}");
    }
}

#[test]
fn gives_each_call_of_a_stream_an_id() {
    let call = |id: Value, name: &str| json!({"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
    for (first, second) in [(Value::Null, json!("")), (json!("same"), json!("same"))] {
        let delta = json!({"role": "assistant", "tool_calls": [call(first, "a"), call(second, "b")]});
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        let passed = tap.pass(frame(&delta).into(), &meter).unwrap().unwrap();
        let chunk: Value = serde_json::from_slice(passed.trim_ascii().strip_prefix(b"data: ").unwrap()).unwrap();
        let calls = chunk["choices"][0]["delta"]["tool_calls"].as_array().unwrap();
        let id = |at: usize| calls[at]["id"].as_str().unwrap();
        assert!(!id(0).is_empty() && !id(1).is_empty() && id(0) != id(1), "{chunk}");
        assert_eq!((&calls[0]["index"], &calls[1]["index"]), (&json!(0), &json!(1)));
    }
}

#[test]
fn ends_choices_with_calls_by_tool_calls() {
    let call = json!({"role": "assistant", "tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "w", "arguments": "{}"}}]});
    let text = json!({"role": "assistant", "content": "x"});
    for (delta, said, passed, finish) in [
        (&call, "stop", "tool_calls", Finish::ToolCalls),
        (&call, "tool_calls", "tool_calls", Finish::ToolCalls),
        (&call, "length", "length", Finish::Length),
        (&call, "STOP", "tool_calls", Finish::ToolCalls),
        (&text, "stop", "stop", Finish::Stop),
        (&text, "eos", "stop", Finish::Stop),
        (&text, "MAX_TOKENS", "length", Finish::Length),
        (&text, "content_filter: RECITATION", "content_filter", Finish::Filtered),
        (&text, "tool_calls", "stop", Finish::Stop),
    ] {
        // The reason may stand beside the call or in a chunk of its own.
        let apart = [frame(delta), frame_of(&json!({"index": 0, "delta": {}, "finish_reason": said}))];
        let beside = [frame_of(&json!({"index": 0, "delta": delta, "finish_reason": said}))];
        for frames in [apart.as_slice(), beside.as_slice()] {
            assert_eq!(repaired(frames).1, [json!(passed)], "{said}");
            let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
            tap.pass(frames.concat().into(), &meter).unwrap();
            assert_eq!(meter.finish(), Some(finish), "{said}");
        }
    }
}

#[test]
fn whole_answers_have_standard_finish_reasons() {
    let call = json!({"id": "a", "type": "function", "function": {"name": "w", "arguments": "{}"}});
    for (message, said, expected) in [
        (json!({"content": "x"}), "eos", "stop"),
        (json!({"content": "x"}), "MAX_TOKENS", "length"),
        (json!({"content": "x"}), "tool_calls", "stop"),
        (json!({"content": "x", "tool_calls": []}), "tool_calls", "stop"),
        (json!({"content": null, "tool_calls": [call]}), "TOOL_CALLS", "tool_calls"),
        (json!({"content": null, "function_call": {"name": "w", "arguments": "{}"}}), "function_call", "function_call"),
    ] {
        let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": said}]});
        let repaired = repair_whole(body.to_string().into(), UsedCallIds::default());
        let repaired: Value = serde_json::from_slice(&repaired).unwrap();
        assert_eq!(repaired["choices"][0]["finish_reason"], expected, "{body}");
    }
}

#[test]
fn an_empty_finish_reason_becomes_null() {
    let frames = [
        frame_of(&json!({"index": 0, "delta": {"role": "assistant", "content": "x"}, "finish_reason": ""})),
        frame_of(&json!({"index": 0, "delta": {}, "finish_reason": "stop"})),
    ];
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    let passed = tap.pass(frames.concat().into(), &meter).unwrap().unwrap();
    let text = String::from_utf8(passed.to_vec()).unwrap();
    assert!(text.contains(r#""finish_reason":null"#) && text.contains(r#""finish_reason":"stop""#), "{text}");
}

#[test]
fn copies_reasoning_to_the_field_that_clients_read() {
    let role = json!({"role": "assistant", "content": ""});
    for (delta, expected) in [
        (json!({"reasoning": "h\n\"m"}), json!({"reasoning": "h\n\"m", "reasoning_content": "h\n\"m"})),
        (
            json!({"reasoning_content": null, "reasoning": "hm", "content": ""}),
            json!({"reasoning_content": "hm", "reasoning": "hm", "content": ""}),
        ),
        (json!({"reasoning": {"text": "hm"}}), json!({"reasoning": {"text": "hm"}})),
        (json!({"reasoning": "a", "reasoning_content": "b"}), json!({"reasoning": "a", "reasoning_content": "b"})),
    ] {
        let (deltas, _) = repaired(&[frame(&role), frame(&delta)]);
        assert_eq!(deltas, [role.clone(), expected], "{delta}");
    }
}

#[test]
fn repairs_whole_answers() {
    let answer = |message: Value, end: &str| json!({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": end}], "usage": {"prompt_tokens": 1}});
    let call = |arguments: Value| json!({"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "w", "arguments": arguments}}]});
    for (sent, expected) in [
        (answer(call(json!("{}")), "stop"), answer(call(json!("{}")), "tool_calls")),
        (answer(call(json!({"c": 1})), "tool_calls"), answer(call(json!("{\"c\":1}")), "tool_calls")),
        (answer(call(json!("")), "tool_calls"), answer(call(json!("{}")), "tool_calls")),
        (
            answer(json!({"content": "x", "reasoning": "hm"}), "stop"),
            answer(json!({"content": "x", "reasoning": "hm", "reasoning_content": "hm"}), "stop"),
        ),
    ] {
        let repaired = repair_whole(sent.to_string().into(), UsedCallIds::default());
        assert_eq!(serde_json::from_slice::<Value>(&repaired).unwrap(), expected, "{sent}");
    }
    for same in [
        answer(call(json!("{}")), "tool_calls"),
        answer(json!({"content": "x", "tool_calls": [], "reasoning": null}), "stop"),
        answer(json!({"content": "x", "reasoning": "hm", "reasoning_content": "hm"}), "stop"),
        json!({"tool_calls": [{"reasoning": "x"}]}),
    ] {
        let body = Bytes::from(same.to_string());
        let repaired = repair_whole(body.clone(), UsedCallIds::default());
        assert_eq!(repaired.as_ptr(), body.as_ptr(), "{same}");
    }
    let unnamed = json!({"tool_calls": [{"function": {"name": "w", "arguments": "{}"}}]});
    let repaired: Value =
        serde_json::from_slice(&repair_whole(answer(unnamed, "stop").to_string().into(), UsedCallIds::default()))
            .unwrap();
    let call = &repaired["choices"][0]["message"]["tool_calls"][0];
    assert!(call["id"].as_str().is_some_and(|id| !id.is_empty()) && call["type"] == "function", "{repaired}");
}

#[test]
fn tolerates_malformed_usage() {
    let told = |usage: &str| {
        let end =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}],{usage}}}\n\n");
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        for frame in [HELLO, &end, DONE] {
            tap.pass(Bytes::copy_from_slice(frame.as_bytes()), &meter).unwrap();
        }
        let whole =
            format!("{{\"choices\":[{{\"message\":{{\"content\":\"Hello\"}},\"finish_reason\":\"stop\"}}],{usage}}}");
        let in_one_piece = Meter::default();
        meter_whole(whole.as_bytes(), &in_one_piece).unwrap();
        assert_eq!(in_one_piece.usage().input, meter.usage().input, "{usage}");
        (meter.usage().input, meter.usage().output)
    };
    assert_eq!(told(r#""usage":{"prompt_tokens":57.0,"completion_tokens":17.92}"#), (Some(57), Some(18)));
    assert_eq!(told(r#""usage":null,"usage":{"prompt_tokens":1,"completion_tokens":2}"#), (Some(1), Some(2)));
    for odd in [
        r#""usage":{"prompt_tokens":-1,"completion_tokens":"3","prompt_tokens_details":[]}"#,
        r#""usage":[]"#,
        r#""usage":7"#,
    ] {
        assert_eq!(told(odd).0, Some(0), "{odd}: by an estimate");
    }
}

#[test]
fn reports_streams_without_an_end_as_cut() {
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
    assert_eq!(tap.finish(Bytes::new(), &meter), Err(AiError::Truncated.into()));
    assert_eq!(tap.finish(Bytes::from_static(b"data: {\"cho"), &meter), Err(AiError::Garbled.into()));
}

#[test]
fn waits_for_the_last_choice() {
    let frame = |index: u32, rest: &str| {
        Bytes::from(format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"role\":\"assistant\"}}{rest}}}]}}\n\n"
        ))
    };
    let ended = r#","finish_reason":"stop""#;
    let (mut tap, meter) = (ChatTap::new(false, true), Meter::default());
    for (index, rest, is_whole) in [(0, "", false), (1, "", false), (1, ended, false), (0, ended, true)] {
        tap.pass(frame(index, rest), &meter).unwrap();
        assert_eq!(tap.is_whole(), is_whole, "{index}{rest}");
    }
    let (mut tap, meter) = (ChatTap::new(false, true), Meter::default());
    tap.pass([frame(0, ""), frame(1, ended)].concat().into(), &meter).unwrap();
    assert_eq!(tap.finish(Bytes::new(), &meter), Err(AiError::Truncated.into()));
}

#[test]
fn recognises_errors_of_any_shape() {
    for frame in [
        "data: {\"error\":{\"message\":\"x\",\"code\":429}}\n\n",
        "event: error\ndata: {\"error\":{\"code\":429}}\n\n",
        "{\"object\":\"error\",\"code\":429}\n\n",
    ] {
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
        let failed = tap.pass(Bytes::from_static(frame.as_bytes()), &meter).unwrap_err();
        assert_eq!(failed.error, AiError::Busy { retry_after: None }, "{frame}");
    }
}

#[test]
fn measures_text_without_parsing() {
    assert_eq!(estimate_text_quarters(br#"{"content":"ab\"cd","reasoning_content":"ef","x":"content"}"#), 8);
    assert_eq!(estimate_text_quarters(r#"{"content": "日","arguments":"{}"}"#.as_bytes()), 6);
    assert_eq!(estimate_text_quarters(br#"{"content":null,"content":"#), 0);
}
