//! Tools of OpenAI's newer clients: free-form tools, which other providers get as functions with
//! one field, and functions in a namespace.

use serde_json::{Value, json};

use super::*;

const PATCH: &str = "*** Begin Patch\n+\"x\"\n*** End Patch";

/// A round in which a free-form tool was called and is offered again.
fn round(style: ApiStyle) -> Value {
    let grammar = json!({"syntax": "lark", "definition": "start: /.+/"});
    match style {
        ApiStyle::Responses => json!({
            "model": "m",
            "input": [
                {"type": "message", "role": "user", "content": "Mend it."},
                {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": PATCH},
                {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done."},
            ],
            "tools": [
                {"type": "custom", "name": "apply_patch", "description": "Changes files.",
                 "format": {"type": "grammar", "syntax": grammar["syntax"], "definition": grammar["definition"]}},
                {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}},
            ],
            "tool_choice": {"type": "custom", "name": "apply_patch"},
        }),
        _ => json!({
            "model": "m",
            "messages": [
                {"role": "user", "content": "Mend it."},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "apply_patch", "input": PATCH}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "Done."},
            ],
            "tools": [
                {"type": "custom", "custom": {"name": "apply_patch", "description": "Changes files.", "format": {"type": "grammar", "grammar": grammar}}},
                {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}},
            ],
            "tool_choice": {"type": "custom", "custom": {"name": "apply_patch"}},
        }),
    }
}

#[test]
fn sends_custom_tools_as_functions_with_one_field() {
    let arguments = json!({ "input": PATCH });
    for style in [ApiStyle::Chat, ApiStyle::Responses] {
        let openai = translated(style, ProviderKind::OPENAI, &round(style));
        let call = &openai["messages"][1]["tool_calls"][0]["function"];
        assert_eq!(
            (&call["name"], call["arguments"].as_str()),
            (&json!("apply_patch"), Some(arguments.to_string().as_str()))
        );
        let tool = &openai["tools"][0]["function"];
        assert_eq!(tool["parameters"]["required"], json!(["input"]));
        let told = tool["description"].as_str().unwrap();
        assert!(told.starts_with("Changes files.\n\n") && told.ends_with("(lark):\nstart: /.+/"), "{told}");
        assert_eq!(openai["tool_choice"]["function"]["name"], "apply_patch");
        let gemini = translated(style, ProviderKind::GEMINI, &round(style));
        assert_eq!(gemini["contents"][1]["parts"][0]["functionCall"]["args"], arguments);
        assert_eq!(gemini["contents"][2]["parts"][0]["functionResponse"]["name"], "apply_patch");
        let anthropic = translated(style, ProviderKind::ANTHROPIC, &round(style));
        assert_eq!(anthropic["messages"][1]["content"][0]["input"], arguments);
        assert_eq!(anthropic["tools"][0]["input_schema"]["properties"]["input"]["type"], "string");
    }
}

/// Text, a free-form call, and a function call.
fn frames() -> Vec<Value> {
    let chunk = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
    let text = json!({ "input": PATCH }).to_string();
    let (left, right) = text.split_at(9);
    let call = |index: u32, id: &str, name: &str, arguments: &str| {
        chunk(json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}))
    };
    vec![
        chunk(json!({"content": "So."})),
        call(0, "c3", "apply_patch", left),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": right}}]})),
        call(1, "c2", "look", "{}"),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    ]
}

fn spoken(style: ApiStyle, frames: &[Value]) -> Vec<Value> {
    let request = read(style, &round(style)).unwrap();
    assert_eq!(request.custom_tools, ["apply_patch"]);
    let wire: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    let listener = AnswerParser::new(reader(ProviderKind::OPENAI), std::sync::Arc::default()).with_tools(&request);
    let (mut tap, meter) = (FormatConverter::new(listener, writer(style)), Meter::default());
    let out = tap.pass(format!("{wire}data: [DONE]\n\n").into(), &meter).unwrap().unwrap();
    let text = String::from_utf8(out.to_vec()).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn streams_custom_calls_with_their_text() {
    let events = spoken(ApiStyle::Responses, &frames());
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    let input = ["response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"];
    for kind in input {
        assert_eq!(kinds.iter().filter(|one| **one == kind).count(), 1, "{kinds:?}");
    }
    let added = events.iter().find(|event| event["item"]["type"] == "custom_tool_call").unwrap();
    assert_eq!((&added["type"], &added["item"]["input"]), (&json!("response.output_item.added"), &json!("")));
    let output = &events.last().unwrap()["response"]["output"];
    let call = &output[1];
    assert_eq!(
        (&call["type"], &call["call_id"], &call["input"]),
        (&json!("custom_tool_call"), &json!("c3"), &json!(PATCH))
    );
    assert_eq!((&output[2]["type"], &output[2]["arguments"]), (&json!("function_call"), &json!("{}")));
    assert_eq!(output.as_array().unwrap().len(), 3);

    let chunks = spoken(ApiStyle::Chat, &frames());
    let calls: Vec<&Value> =
        chunks.iter().flat_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array()).flatten().collect();
    assert_eq!(
        calls[0],
        &json!({"index": 0, "id": "c3", "type": "custom", "custom": {"name": "apply_patch", "input": ""}})
    );
    assert!(calls.contains(&&json!({"index": 0, "custom": {"input": PATCH}})), "{calls:?}");
    assert!(calls.iter().any(|call| call["function"]["name"] == "look" && call["index"] == 1), "{calls:?}");
}

#[test]
fn writes_custom_calls_and_takes_invalid_json_as_text() {
    let body = |arguments: &str| {
        json!({"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            {"id": "c1", "type": "function", "function": {"name": "apply_patch", "arguments": arguments}},
        ]}}]})
        .to_string()
    };
    for (arguments, text) in
        [(json!({ "input": PATCH }).to_string().as_str(), PATCH), ("not JSON", "not JSON"), ("{}", ""), ("[]", "[]")]
    {
        let listener = AnswerParser::new(reader(ProviderKind::OPENAI), std::sync::Arc::default());
        let question = Request { custom_tools: vec!["apply_patch".to_owned()], ..Request::default() };
        let listener = listener.with_tools(&question);
        let (answer, usage) = read_whole(body(arguments).as_bytes(), listener, &Meter::default()).unwrap();
        let chat = openai_chat::client_format::whole(&head(), &answer, &usage);
        let choice = &chat["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(
            choice["message"]["tool_calls"][1],
            json!({"id": "c1", "type": "custom", "custom": {"name": "apply_patch", "input": text}})
        );
        let response = openai_responses::answer::whole(&head(), &json!({"tools": []}), &answer, &usage);
        assert_eq!(
            (&response["output"][1]["type"], &response["output"][1]["input"]),
            (&json!("custom_tool_call"), &json!(text))
        );
    }
}

#[test]
fn round_trips_functions_in_a_namespace() {
    let function = json!({"type": "function", "name": "close", "parameters": {"type": "object", "properties": {}}});
    let body = json!({
        "model": "m",
        "input": [
            {"type": "function_call", "call_id": "c1", "namespace": "agents", "name": "close", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "Closed."},
        ],
        "tools": [{"type": "namespace", "name": "agents", "description": "Agents.", "tools": [function]}, function],
    });
    for kind in KINDS {
        let asked = translated(ApiStyle::Responses, kind, &body).to_string();
        assert!(asked.matches("agents__close").count() >= 2, "{asked}");
    }
    let (_, repeated) = openai_responses::request::read(&body).unwrap();
    let call = |index: u32, name: &str| json!({"index": index, "id": format!("c{index}"), "function": {"name": name, "arguments": "{}"}});
    let chunk = json!({"choices": [{"index": 0, "delta": {"tool_calls": [call(0, "agents__close"), call(1, "close")]}, "finish_reason": "tool_calls"}]});
    let writer = openai_responses::answer::ResponseWriter::new(head(), repeated, None);
    let listener = AnswerParser::new(reader(ProviderKind::OPENAI), std::sync::Arc::default());
    let (mut tap, meter) = (FormatConverter::new(listener, Box::new(writer)), Meter::default());
    let out = tap.pass(format!("data: {chunk}\n\ndata: [DONE]\n\n").into(), &meter).unwrap().unwrap();
    let text = String::from_utf8(out.to_vec()).unwrap();
    let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    let output = &serde_json::from_str::<Value>(last).unwrap()["response"]["output"];
    assert_eq!((&output[0]["namespace"], &output[0]["name"]), (&json!("agents"), &json!("close")));
    assert_eq!((&output[1]["namespace"], &output[1]["name"]), (&Value::Null, &json!("close")));
}

#[test]
fn restores_later_namespaces_without_duplicate_tools() {
    let function = json!({"type": "function", "name": "close", "parameters": {"type": "object", "properties": {}}});
    let space = json!({"type": "namespace", "name": "agents", "tools": [function]});
    let body = json!({"model": "m", "tools": [function], "input": [
        {"type": "additional_tools", "role": "developer", "tools": [space]},
        {"type": "tool_search_call", "call_id": "c", "arguments": {}},
        {"type": "tool_search_output", "call_id": "c", "tools": [space, function]},
        {"role": "user", "content": "x"}]});
    let (mut request, repeated) = openai_responses::request::read(&body).unwrap();
    crate::tool_names::normalise(&mut request);
    let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["agents__close", "close"]);
    let call = json!({"id": "c1", "function": {"name": "agents__close", "arguments": "{}"}});
    let answer = json!({"choices": [{"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]});
    let listener = AnswerParser::new(reader(ProviderKind::OPENAI), std::sync::Arc::default());
    let (answer, usage) = read_whole(answer.to_string().as_bytes(), listener, &Meter::default()).unwrap();
    let response = openai_responses::answer::whole(&head(), &repeated, &answer, &usage);
    let output = &response["output"][0];
    assert_eq!((&output["namespace"], &output["name"]), (&json!("agents"), &json!("close")));
}

#[test]
fn round_trips_the_clients_tool_search() {
    let parameters = json!({"type": "object", "properties": {"query": {"type": "string"}}});
    let search =
        json!({"type": "tool_search", "execution": "client", "description": "Finds tools.", "parameters": parameters});
    let space = json!({"type": "namespace", "name": "mail", "tools": [{"type": "function", "name": "send"}]});
    let asked = json!({"type": "tool_search_call", "call_id": "c1", "execution": "client", "status": "completed", "arguments": {"query": "mail"}});
    let found = json!({"type": "tool_search_output", "call_id": "c1", "execution": "client", "status": "completed", "tools": [space]});
    let body = json!({"model": "m", "input": [{"role": "user", "content": "x"}, asked, found], "tools": [search]});
    let openai = translated(ApiStyle::Responses, ProviderKind::OPENAI, &body);
    let names: Vec<&Value> = openai["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(names, ["mail__send", "tool_search"]);
    let call = &openai["messages"][1]["tool_calls"][0];
    assert_eq!((&call["id"], &call["function"]["name"]), (&json!("c1"), &json!("tool_search")));
    assert_eq!(call["function"]["arguments"], json!({"query": "mail"}).to_string());
    let result = json!({"role": "tool", "tool_call_id": "c1", "content": "Tools available: mail__send"});
    assert_eq!(openai["messages"][2], result);

    let (_, repeated) = openai_responses::request::read(&body).unwrap();
    let said =
        json!({"index": 0, "id": "c2", "function": {"name": "tool_search", "arguments": "{\"query\":\"rain\"}"}});
    let chunk = json!({"choices": [{"index": 0, "delta": {"tool_calls": [said]}, "finish_reason": "tool_calls"}]});
    let is_known = |item: &Value| {
        let told = (&item["type"], &item["call_id"], &item["execution"], &item["arguments"]);
        told == (&json!("tool_search_call"), &json!("c2"), &json!("client"), &json!({"query": "rain"}))
            && item["id"].as_str().is_some_and(|id| id.starts_with("tsc_"))
    };
    let listener = || AnswerParser::new(reader(ProviderKind::OPENAI), std::sync::Arc::default());
    let (answer, usage) = read_whole(chunk.to_string().as_bytes(), listener(), &Meter::default()).unwrap();
    let whole = openai_responses::answer::whole(&head(), &repeated, &answer, &usage);
    assert!(is_known(&whole["output"][0]), "{whole}");
    let writer = openai_responses::answer::ResponseWriter::new(head(), repeated, None);
    let (mut tap, meter) = (FormatConverter::new(listener(), Box::new(writer)), Meter::default());
    let out = tap.pass(format!("data: {chunk}\n\ndata: [DONE]\n\n").into(), &meter).unwrap().unwrap();
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert!(!text.contains("function_call"), "{text}");
    let events: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let done = events.iter().find(|event| event["type"] == "response.output_item.done").unwrap();
    assert!(is_known(&done["item"]), "{done}");

    let by_openai = json!({"model": "m", "input": "x", "tools": [{"type": "tool_search"}]});
    assert!(read(ApiStyle::Responses, &by_openai).unwrap().tools.is_empty());
}

#[test]
fn omits_hosted_tools_and_keeps_their_results_as_text() {
    let function = json!({"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}});
    let body = json!({
        "model": "m",
        "input": [
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "namespace", "name": "agents", "tools": [function]}]},
            {"role": "user", "content": "News?"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "rain in Hue"}},
            {"type": "local_shell_call", "call_id": "c1", "action": {"type": "exec", "command": ["ls"]}},
            {"type": "local_shell_call_output", "id": "c1", "output": "notes.txt"},
            {"type": "tool_search_call", "call_id": "c2", "arguments": {"query": "mail"}},
            {"type": "tool_search_output", "call_id": "c2", "tools": [{"type": "function", "name": "mail", "parameters": null}]},
        ],
        "tools": [function, {"type": "web_search"}, {"type": "namespace", "name": "a", "tools": [{"type": "web_search"}]}],
        "tool_choice": {"type": "web_search"},
    });
    let (request, _) = openai_responses::request::read(&body).unwrap();
    let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!((names, request.tool_choice.is_none()), (vec!["agents__look", "mail", "look"], true));
    for kind in KINDS {
        let asked = translated(ApiStyle::Responses, kind, &body).to_string();
        for told in ["rain in Hue", "notes.txt", "agents__look"] {
            assert!(asked.contains(told), "{told}: {asked}");
        }
    }
    let alone = json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}], "tool_choice": "required"});
    let (request, _) = openai_responses::request::read(&alone).unwrap();
    assert!(request.tools.is_empty() && request.tool_choice.is_none());
    let picture =
        json!({"model": "m", "input": [{"type": "image_generation_call", "id": "i", "result": "A".repeat(1_000_000)}]});
    assert!(translated(ApiStyle::Responses, ProviderKind::GEMINI, &picture).to_string().len() < 10_000);
    let reference = json!({"model": "m", "input": [{"type": "item_reference", "id": "rs_1"}]});
    let refused = openai_responses::request::read(&reference).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("input[0].type"));
}
