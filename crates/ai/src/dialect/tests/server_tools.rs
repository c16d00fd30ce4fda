//! Calls of Anthropic's server tools in a conversation that continues with another provider.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{anthropic, read, translated};
use crate::{
    ApiStyle, Meter, ProviderKind,
    canonical::ToolChoice,
    dialect::anthropic::passthrough::{MessageEvents, MessagesTap},
    tapped_stream::Tap,
    used_call_ids::UsedCallIds,
};

fn body(assistant: &Value, user: &Value) -> Value {
    json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "news?"}, {"role": "assistant", "content": assistant}, {"role": "user", "content": user}]})
}

#[test]
fn keeps_server_tool_calls_as_text() {
    let search = json!([
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
            {"type": "web_search_result", "url": "https://e.org", "title": "Rain", "encrypted_content": "unreadable"}]},
        {"type": "mcp_tool_use", "id": "m", "name": "look", "server_name": "s", "input": {}},
        {"type": "mcp_tool_result", "tool_use_id": "m", "is_error": false, "content": [{"type": "text", "text": "a cloud"}]},
        {"type": "text", "text": "Here."}]);
    let documents = json!([
        {"type": "document", "title": "doc", "citations": {"enabled": true},
         "source": {"type": "content", "content": [{"type": "text", "text": "page one"}]}},
        {"type": "document", "source": {"type": "content", "content": "page two"}},
        {"type": "search_result", "source": "https://f.org", "title": "found", "content": [{"type": "text", "text": "page three"}]},
        {"type": "text", "text": "more"}]);
    for kind in [ProviderKind::OPENAI, ProviderKind::GEMINI] {
        let written = translated(ApiStyle::Messages, kind, &body(&search, &documents)).to_string();
        for told in [
            "rain",
            "https://e.org",
            "Rain",
            "a cloud",
            "Here.",
            "doc",
            "page one",
            "page two",
            "found",
            "page three",
            "more",
        ] {
            assert!(written.contains(told), "{told}: {written}");
        }
        assert!(!written.contains("unreadable") && !written.contains("srvtoolu_1"), "{written}");
    }
}

/// The functions that another provider gets for these tools of Anthropic.
fn functions(kind: ProviderKind, tools: &Value) -> Vec<Value> {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "tools": tools});
    let written = translated(ApiStyle::Messages, kind, &body);
    let functions = match kind.name() {
        "openai" => written["tools"].as_array().unwrap().iter().map(|tool| tool["function"].clone()).collect(),
        _ => written["tools"][0]["functionDeclarations"].as_array().unwrap().clone(),
    };
    assert!(!written.to_string().contains("_2025"), "{written}");
    functions
}

#[test]
fn offers_client_tools_of_anthropic_as_functions() {
    let tools = json!([
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 10_000},
        {"type": "text_editor_20250124", "name": "str_replace_editor"},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "computer_20251124", "name": "computer", "display_width_px": 1024, "display_height_px": 768, "enable_zoom": true},
        {"type": "computer_20241022", "name": "old_computer", "display_width_px": 640, "display_height_px": 480},
        {"name": "own", "input_schema": {"type": "object", "properties": {}}},
    ]);
    for kind in [ProviderKind::OPENAI, ProviderKind::GEMINI] {
        let functions = functions(kind, &tools);
        let names: Vec<&str> = functions.iter().map(|function| function["name"].as_str().unwrap()).collect();
        let expected =
            ["bash", "str_replace_based_edit_tool", "str_replace_editor", "memory", "computer", "old_computer", "own"];
        assert_eq!(names, expected);
    }
    let functions = functions(ProviderKind::OPENAI, &tools);
    let properties = |at: usize| functions[at]["parameters"]["properties"].clone();
    let values = |at: usize, name: &str| properties(at)[name]["enum"].as_array().unwrap().clone();
    for (at, names) in [
        (0, vec!["command", "restart"]),
        (1, vec!["command", "path", "file_text", "old_str", "new_str", "insert_text", "insert_line", "view_range"]),
        (3, vec!["command", "path", "old_path", "new_path", "file_text", "old_str", "insert_text", "view_range"]),
        (4, vec!["action", "coordinate", "text", "start_coordinate", "scroll_direction", "duration", "region"]),
    ] {
        for name in names {
            assert!(properties(at).get(name).is_some(), "{name} of {}", functions[at]);
        }
    }
    assert_eq!(properties(2).get("insert_text"), None);
    assert!(values(2, "command").contains(&json!("undo_edit")) && !values(1, "command").contains(&json!("undo_edit")));
    assert!(values(3, "command").contains(&json!("rename")));
    assert!(values(4, "action").contains(&json!("zoom")) && values(4, "action").contains(&json!("scroll")));
    assert!(!values(5, "action").contains(&json!("scroll")) && properties(5).get("region").is_none());
    let description = functions[4]["description"].as_str().unwrap();
    assert!(description.contains("1024 pixels wide and 768 pixels high"), "{description}");
}

/// A request in this API with these fields and one message.
fn asking(style: ApiStyle, mut fields: Value) -> Value {
    let message = json!([{"role": "user", "content": "x"}]);
    match style {
        ApiStyle::Messages => (fields["max_tokens"], fields["messages"]) = (json!(9), message),
        ApiStyle::Gemini => fields["contents"] = json!([{"role": "user", "parts": [{"text": "x"}]}]),
        ApiStyle::Chat => fields["messages"] = message,
        ApiStyle::Responses => fields["input"] = message,
    }
    fields["model"] = "m".into();
    fields
}

#[test]
fn drops_tools_that_only_another_provider_runs() {
    let own = json!({"name": "own", "input_schema": {"type": "object", "properties": {}}});
    let messages = |kind: &str, choice: Value| {
        let mut fields = json!({"tools": [{"type": kind, "name": "theirs"}, own]});
        if !choice.is_null() {
            fields["tool_choice"] = choice;
        }
        asking(ApiStyle::Messages, fields)
    };
    for (kind, choice, expected) in [
        ("web_fetch_20250910", Value::Null, None),
        ("code_execution_20250825", json!({"type": "any"}), Some(ToolChoice::Required)),
        ("code_execution_20250825", json!({"type": "tool", "name": "theirs"}), None),
        ("code_execution_20250825", json!({"type": "tool", "name": "own"}), Some(ToolChoice::Named("own".to_owned()))),
        ("mcp_toolset", Value::Null, None),
        ("advisor_20260301", Value::Null, None),
    ] {
        let request = read(ApiStyle::Messages, &messages(kind, choice.clone())).unwrap();
        let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!((names, &request.tool_choice), (vec!["own"], &expected), "{kind} {choice}");
        assert_eq!(request.dropped_tools, [kind]);
    }
    let alone = json!({"tools": [{"type": "code_execution_20250825", "name": "c"}], "tool_choice": {"type": "any"}});
    assert_eq!(read(ApiStyle::Messages, &asking(ApiStyle::Messages, alone)).unwrap().tool_choice, None);
    for kind in ["computer_use", "bash_tools_x", "function"] {
        let refused = read(ApiStyle::Messages, &messages(kind, Value::Null)).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some("tools[0].type"), "{kind}");
    }
    for (style, tools, dropped) in [
        (
            ApiStyle::Responses,
            json!([{"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "web_search"}, {"type": "tool_search"}]),
            vec!["code_interpreter"],
        ),
        (
            ApiStyle::Gemini,
            json!([{"codeExecution": {}, "functionDeclarations": []}, {"googleSearch": {}}]),
            vec!["codeExecution"],
        ),
        (ApiStyle::Messages, json!([{"type": "bash_20250124", "name": "bash"}, own]), vec![]),
    ] {
        let request = read(style, &asking(style, json!({"tools": tools}))).unwrap();
        assert_eq!(request.dropped_tools, dropped, "{tools}");
    }
}

#[test]
fn names_found_tools_in_the_result() {
    let call = json!([{"type": "tool_use", "id": "t", "name": "ToolSearch", "input": {}}]);
    let result = json!([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "get"}]}]);
    let openai = translated(ApiStyle::Messages, ProviderKind::OPENAI, &body(&call, &result));
    assert_eq!(openai["messages"][2], json!({"role": "tool", "tool_call_id": "t", "content": "Tool available: get"}));
}

#[test]
fn counts_unknown_tools() {
    let mut asked = body(&json!("x"), &json!("y"));
    asked["tools"] = json!([{"type": "hologram_tool", "name": "h"}, {"name": "f", "input_schema": {}}]);
    assert_eq!(anthropic::request::read_to_count(&asked).unwrap().tools.len(), 1);
    assert_eq!(read(ApiStyle::Messages, &asked).unwrap_err().param.as_deref(), Some("tools[0].type"));
    let unknown = body(&json!([{"type": "hologram"}]), &json!("y"));
    assert_eq!(read(ApiStyle::Messages, &unknown).unwrap_err().param.as_deref(), Some("messages[1].content[0].type"));
}

#[test]
fn bounds_searches_of_whole_answers_by_the_reservation() {
    let asked = |stream: bool, is_held: bool| {
        let tools = json!([{"type": "web_search_20250305", "name": "web_search"}, {"name": "f"},
            {"type": "web_search_20260209", "name": "again", "max_uses": 3}]);
        let body = json!({"model": "m", "max_tokens": 9, "stream": stream, "tools": tools, "messages": []}).to_string();
        let request = anthropic::passthrough::rewrite_request(&body.into(), "up", is_held).unwrap();
        serde_json::from_slice::<Value>(&request.body).unwrap()["tools"].clone()
    };
    let bounded = asked(false, true);
    assert_eq!((&bounded[0]["max_uses"], &bounded[2]["max_uses"]), (&json!(30), &json!(3)));
    assert_eq!(bounded[1], json!({"name": "f"}));
    for (stream, is_held) in [(true, true), (false, false)] {
        assert_eq!(asked(stream, is_held)[0].get("max_uses"), None, "{stream}");
    }
}

#[test]
fn meters_server_tools_while_streaming() {
    let searching = |index: u32| {
        json!({"type": "content_block_start", "index": index,
            "content_block": {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}})
    };
    for (pays_for_code, containers) in [(true, Some(1)), (false, None)] {
        let meter = Meter::default();
        let mut tap = MessagesTap::with_reader(MessageEvents::new(pays_for_code, UsedCallIds::default()));
        let mut told = |said: Value| {
            let kind = said["type"].as_str().unwrap();
            let event = Bytes::from(format!("event: {kind}\ndata: {said}\n\n"));
            assert!(tap.pass(event, &meter).is_ok(), "{said}");
            (meter.usage().searches, meter.usage().containers)
        };
        let begun = json!({"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}});
        assert_eq!(told(begun), (None, None));
        assert_eq!(told(searching(0)), (Some(1), None));
        assert_eq!(told(searching(1)), (Some(2), None));
        let ended = json!({"type": "message_delta",
            "delta": {"stop_reason": "end_turn", "container": {"id": "container_1", "expires_at": "2026-11-27T00:00:00Z"}},
            "usage": {"output_tokens": 9, "server_tool_use": {"web_search_requests": 1}}});
        assert_eq!(told(ended), (Some(1), containers), "one of the calls has failed");
    }
}
