//! Tool names that no provider accepts: replaced in requests, restored in answers.

use serde_json::{Value, json};

use super::*;
use crate::tool_names;

const LONG: &str = "mcp__ymir-privileged__get_failed_pipeline_jobs_from_merge_request";

/// A round in which this tool was called and must be called again.
fn round(style: ApiStyle, name: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    match style {
        ApiStyle::Chat => json!({"model": "m", "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "1"}],
            "tools": [{"type": "function", "function": {"name": name, "parameters": schema}}],
            "tool_choice": {"type": "function", "function": {"name": name}}}),
        ApiStyle::Responses => json!({"model": "m", "input": [
            {"role": "user", "content": "x"},
            {"type": "function_call", "call_id": "c", "name": name, "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"}],
            "tools": [{"type": "function", "name": name, "parameters": schema}],
            "tool_choice": {"type": "function", "name": name}}),
        ApiStyle::Messages => json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": name, "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "1"}]}],
            "tools": [{"name": name, "input_schema": schema}], "tool_choice": {"type": "tool", "name": name}}),
        ApiStyle::Gemini => json!({"contents": [
            {"parts": [{"text": "x"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "c", "name": name, "args": {}}}]},
            {"parts": [{"functionResponse": {"id": "c", "name": name, "response": {"output": "1"}}}]}],
            "tools": [{"functionDeclarations": [{"name": name, "parametersJsonSchema": schema}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}}),
    }
}

fn fitted(style: ApiStyle, name: &str) -> Request {
    let mut request = read(style, &round(style, name)).unwrap();
    tool_names::normalise(&mut request);
    request
}

/// A whole answer with a call of this tool.
fn call(kind: ProviderKind, name: &str) -> Value {
    match kind.name() {
        "openai" => json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [
            {"index": 0, "id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}]}}]}),
        "gemini" => {
            json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"functionCall": {"name": name, "args": {}}}]}}]})
        }
        _ => {
            json!({"type": "message", "stop_reason": "tool_use", "content": [{"type": "tool_use", "id": "c", "name": name, "input": {}}]})
        }
    }
}

#[test]
fn round_trips_invalid_names() {
    for name in [LONG, "files.read", "xem thời tiết", "a/b:c", "plain_name-1"] {
        for style in API_STYLES {
            let request = fitted(style, name);
            let sent = request.tools[0].name.as_str();
            let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            assert!(sent.len() <= 64 && is_plain(sent), "{sent}");
            assert_eq!(sent == name, name == "plain_name-1", "{sent}");
            for kind in KINDS {
                let written = write(kind, &request).unwrap().to_string();
                let times = if kind == ProviderKind::GEMINI { 4 } else { 3 };
                assert_eq!(written.matches(&format!("\"{sent}\"")).count(), times, "{written}");
                assert!(sent == name || !written.contains(name), "{written}");
                let listener = || AnswerParser::new(reader(kind), std::sync::Arc::default()).with_tools(&request);
                let answer = call(kind, sent).to_string();
                let (answer, _) = read_whole(answer.as_bytes(), listener(), &Meter::default()).unwrap();
                let names: Vec<&str> = answer.choices[0].calls().map(|(call, _)| call.name.as_str()).collect();
                assert_eq!(names, [name], "{kind:?}");
            }
        }
    }
}

#[test]
fn restores_names_in_streams() {
    let request = fitted(ApiStyle::Messages, LONG);
    for kind in [ProviderKind::OPENAI, ProviderKind::GEMINI] {
        let frame = call(kind, &request.tools[0].name);
        let listener = AnswerParser::new(reader(kind), std::sync::Arc::default()).with_tools(&request);
        let (mut tap, meter) = (FormatConverter::new(listener, writer(ApiStyle::Messages)), Meter::default());
        let mut out = tap.pass(format!("data: {frame}\n\n").into(), &meter).unwrap().unwrap_or_default().to_vec();
        out.extend(tap.finish(Bytes::new(), &meter).unwrap().unwrap_or_default());
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(&format!("\"name\":\"{LONG}\"")), "{kind:?} {text}");
    }
}

#[test]
fn keeps_names_distinct() {
    let of = |names: &[&str]| {
        let tools: Vec<Value> =
            names.iter().map(|name| json!({"type": "function", "function": {"name": name}})).collect();
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": tools});
        let mut request = read(ApiStyle::Chat, &body).unwrap();
        tool_names::normalise(&mut request);
        let names: Vec<String> = request.tools.into_iter().map(|tool| tool.name).collect();
        (names, request.renamed)
    };
    let longer = format!("{LONG}_2");
    let (names, renamed) = of(&["files.read", "files/read", "files_read", LONG, &longer]);
    let mut different = names.clone();
    different.sort();
    different.dedup();
    assert_eq!((different.len(), renamed.len()), (5, 4), "{names:?}");
    // A tool whose name equals another one's replacement.
    let taken = names[0].clone();
    let (names, renamed) = of(&["files.read", &taken]);
    assert_ne!(names[0], names[1]);
    assert_eq!((names[1] == taken, renamed[&names[0]].as_str()), (true, "files.read"));
}

#[test]
fn starts_names_with_a_letter() {
    for (name, begins) in [("21st_magic", "_21st_magic_"), ("-x", "_-x_"), ("", "__")] {
        let request = fitted(ApiStyle::Chat, name);
        let sent = request.tools[0].name.as_str();
        assert!(sent.starts_with(begins) && sent.len() == begins.len() + 8, "{sent}");
        assert_eq!(request.renamed[sent], name);
    }
}
