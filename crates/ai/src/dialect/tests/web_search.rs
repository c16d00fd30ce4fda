//! Web search in each pair of formats: requests for it, and the searches and citations of answers.

use serde_json::{Value, json};

use super::{convert_whole, frame_data, head, openai_responses, read, reader, write, write_at, writer};
use crate::{
    ApiStyle, Meter, ProviderKind, Usage,
    canonical::{Reader, Writer},
    dialect::anthropic,
    tapped_stream::Tap as _,
    translate::{AnswerParser, FormatConverter, read_whole},
    web_search::OwnSearch,
};

/// The same search as requested in each client format.
fn asked(style: ApiStyle) -> Value {
    let location = json!({"type": "approximate", "city": "Hue"});
    match style {
        ApiStyle::Chat => json!({"model": "m", "messages": [{"role": "user", "content": "news?"}],
            "web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"city": "Hue"}}}}),
        ApiStyle::Responses => json!({"model": "m", "input": "news?", "tool_choice": "auto",
            "tools": [{"type": "web_search", "search_context_size": "low", "user_location": location}]}),
        _ => json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "news?"}],
            "tools": [{"type": "web_search_20250305", "name": "web_search", "user_location": location}]}),
    }
}

/// Formats with options of a search.
const CLIENT_STYLES: [ApiStyle; 3] = [ApiStyle::Chat, ApiStyle::Responses, ApiStyle::Messages];

/// Gemini's format has no options.
#[test]
fn requests_the_search_of_each_provider_for_clients_of_gemini() {
    for name in ["googleSearch", "google_search"] {
        let body =
            json!({"model": "m", "contents": [{"role": "user", "parts": [{"text": "news?"}]}], "tools": [{name: {}}]});
        let of = |own| written(&body, ApiStyle::Gemini, Some(own));
        assert_eq!(of(OwnSearch::Responses)["tools"][0]["type"], "web_search");
        assert_eq!(of(OwnSearch::Claude)["tools"][0]["type"], "web_search_20250305");
        assert_eq!(of(OwnSearch::Plugin)["plugins"], json!([{"id": "web"}]));
    }
}

fn written(body: &Value, style: ApiStyle, own: Option<OwnSearch>) -> Value {
    let mut request = read(style, body).unwrap();
    request.web_search.as_mut().unwrap().own = own;
    match own {
        Some(OwnSearch::Responses) => openai_responses::provider_format::encode(&request, "gpt-5").unwrap(),
        Some(OwnSearch::Claude) => write(ProviderKind::ANTHROPIC, &request).unwrap(),
        Some(OwnSearch::Google) => write(ProviderKind::GEMINI, &request).unwrap(),
        _ => write_at(ProviderKind::OPENAI, "https://openrouter.ai/api/v1", "m", &request).unwrap(),
    }
}

#[test]
fn requests_the_search_of_each_provider() {
    for style in CLIENT_STYLES {
        let of = |own| written(&asked(style), style, Some(own));
        let location = json!({"city": "Hue", "type": "approximate"});
        let size = (style != ApiStyle::Messages).then_some("low");
        let responses = of(OwnSearch::Responses);
        assert_eq!(
            (&responses["tools"][0]["type"], &responses["tools"][0]["user_location"]),
            (&json!("web_search"), &location)
        );
        assert_eq!(responses["tools"][0]["search_context_size"].as_str(), size);
        assert_eq!(responses["max_tool_calls"], 5);
        assert!(responses["include"].to_string().contains("web_search_call.action.sources"));
        let claude =
            json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 5, "user_location": location}]);
        assert_eq!(of(OwnSearch::Claude)["tools"], claude);
        assert_eq!(of(OwnSearch::Google)["tools"], json!([{"googleSearch": {}}]));
        let options = of(OwnSearch::Options);
        assert_eq!(options["web_search_options"]["user_location"]["approximate"]["city"], "Hue");
        assert_eq!(options["web_search_options"]["search_context_size"].as_str(), size);
        assert_eq!(of(OwnSearch::Plugin)["plugins"], json!([{"id": "web"}]));
        for own in [Some(OwnSearch::Always), None] {
            let plain = written(&asked(style), style, own);
            let names = ["tools", "tool_choice", "web_search_options", "plugins"];
            assert!(names.iter().all(|name| plain.get(*name).is_none()), "{plain}");
        }
    }
}

#[test]
fn forces_the_search_and_keeps_filters_and_functions() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "web_search_20260209", "name": "web_search", "max_uses": 2, "blocked_domains": ["e.org"]}],
        "tool_choice": {"type": "tool", "name": "web_search"}});
    let claude = written(&body, ApiStyle::Messages, Some(OwnSearch::Claude));
    assert_eq!(claude["tool_choice"], json!({"type": "tool", "name": "web_search"}));
    assert_eq!(
        (&claude["tools"][0]["max_uses"], &claude["tools"][0]["blocked_domains"]),
        (&json!(2), &json!(["e.org"]))
    );
    let responses = written(&body, ApiStyle::Messages, Some(OwnSearch::Responses));
    assert_eq!((&responses["tool_choice"], &responses["max_tool_calls"]), (&json!("required"), &json!(2)));
    let none = written(&body, ApiStyle::Messages, None);
    assert_eq!(none.get("tool_choice"), None, "the question is answered without a search");

    let beside = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"googleSearch": {}}, {"type": "function", "function": {"name": "f"}}]});
    let claude = written(&beside, ApiStyle::Chat, Some(OwnSearch::Claude));
    let names: Vec<&Value> = claude["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["f", "web_search"]);
    let google = written(&beside, ApiStyle::Chat, Some(OwnSearch::Google));
    assert!(!google.to_string().contains("googleSearch"), "Gemini rejects it beside functions");
}

const TEXT: &str = "It rains.";
const URL: &str = "https://e.org/a";

/// An answer with a search for `rain` that found [`URL`] and is cited by [`TEXT`].
struct Searched {
    reader: fn() -> Box<dyn Reader>,
    whole: Value,
    frames: Vec<Value>,
}

fn of_responses() -> Searched {
    let citation = json!({"type": "url_citation", "url": URL, "title": "A", "start_index": 0, "end_index": 9});
    let call = json!({"id": "ws_1", "type": "web_search_call", "status": "completed",
        "action": {"type": "search", "query": "rain", "sources": [{"type": "url", "url": URL, "title": "A"}]}});
    let opened = json!({"type": "web_search_call", "status": "completed", "action": {"type": "open_page", "url": URL}});
    let message = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": TEXT, "annotations": [citation]}]});
    let whole = json!({"id": "r", "object": "response", "status": "completed", "output": [call, opened, message],
        "usage": {"input_tokens": 7, "output_tokens": 3}});
    let done =
        |index: u32, item: &Value| json!({"type": "response.output_item.done", "output_index": index, "item": item});
    let frames = vec![
        done(0, &call),
        done(1, &opened),
        json!({"type": "response.output_text.delta", "output_index": 2, "content_index": 0, "delta": TEXT}),
        json!({"type": "response.output_text.annotation.added", "output_index": 2, "annotation": citation}),
        done(2, &message),
        json!({"type": "response.completed", "response": whole}),
    ];
    Searched { reader: || Box::new(openai_responses::provider_format::ResponsesReader::default()), whole, frames }
}

fn of_claude() -> Searched {
    let call = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}});
    let result = json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
        {"type": "web_search_result", "url": URL, "title": "A", "encrypted_content": "e"}]});
    let citation = json!({"type": "web_search_result_location", "url": URL, "title": "A", "encrypted_index": "e", "cited_text": "x"});
    let usage = json!({"input_tokens": 7, "output_tokens": 3, "server_tool_use": {"web_search_requests": 1}});
    let whole = json!({"type": "message", "stop_reason": "end_turn", "usage": usage,
        "content": [call, result, {"type": "text", "text": TEXT, "citations": [citation]}]});
    let start =
        |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
    let mut started = call;
    started["input"] = json!({});
    let frames = vec![
        start(0, started),
        delta(0, json!({"type": "input_json_delta", "partial_json": "{\"query\":"})),
        delta(0, json!({"type": "input_json_delta", "partial_json": "\"rain\"}"})),
        stop(0),
        start(1, result),
        stop(1),
        start(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": TEXT})),
        delta(2, json!({"type": "citations_delta", "citation": citation})),
        stop(2),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
        json!({"type": "message_stop"}),
    ];
    Searched { reader: || reader(ProviderKind::ANTHROPIC), whole, frames }
}

fn of_gemini() -> Searched {
    let grounding = json!({"webSearchQueries": ["rain"], "groundingChunks": [{"web": {"uri": URL, "title": "A"}}],
        "groundingSupports": [{"segment": {"endIndex": 9, "text": TEXT}, "groundingChunkIndices": [0]}]});
    let usage = json!({"promptTokenCount": 7, "candidatesTokenCount": 3});
    let whole = json!({"candidates": [{"finishReason": "STOP", "groundingMetadata": grounding, "content": {"parts": [{"text": TEXT}]}}],
        "usageMetadata": usage});
    let frames = vec![
        json!({"candidates": [{"content": {"parts": [{"text": TEXT}]}, "groundingMetadata": grounding}]}),
        json!({"candidates": [{"content": {"parts": []}, "finishReason": "STOP", "groundingMetadata": grounding}], "usageMetadata": usage}),
    ];
    Searched { reader: || reader(ProviderKind::GEMINI), whole, frames }
}

fn answers() -> [Searched; 3] {
    [of_responses(), of_claude(), of_gemini()]
}

fn stream(searched: &Searched, style: ApiStyle) -> (Vec<Value>, Usage) {
    let writer: Box<dyn Writer> = match style {
        ApiStyle::Messages => Box::new(anthropic::client_format::MessageWriter::new(head(), 11).with_search(true)),
        style => writer(style),
    };
    let (meter, parser) = (Meter::default(), AnswerParser::new((searched.reader)(), std::sync::Arc::default()));
    let mut tap = FormatConverter::new(parser, writer);
    let wire: String = searched.frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    let mut out = tap.pass(wire.into(), &meter).unwrap().unwrap_or_default().to_vec();
    if !tap.is_done() {
        out.extend(tap.finish(bytes::Bytes::new(), &meter).unwrap().unwrap_or_default());
    }
    (frame_data(&String::from_utf8(out).unwrap()), meter.usage())
}

#[test]
fn counts_the_searches_of_the_provider() {
    for searched in answers() {
        let (_, usage) = convert_whole((searched.reader)(), ApiStyle::Chat, &searched.whole).unwrap();
        assert_eq!(usage.searches, Some(1), "{}", searched.whole);
        assert_eq!(stream(&searched, ApiStyle::Chat).1.searches, Some(1), "{:?}", searched.frames);
    }
}

#[test]
fn writes_annotations_in_chat_completions() {
    let cited = json!({"url": URL, "title": "A", "start_index": 0, "end_index": 9});
    let expected = json!([{"type": "url_citation", "url_citation": cited}]);
    for searched in answers() {
        let (chat, _) = convert_whole((searched.reader)(), ApiStyle::Chat, &searched.whole).unwrap();
        let message = &chat["choices"][0]["message"];
        assert_eq!((&message["content"], &message["annotations"]), (&json!(TEXT), &expected), "{}", searched.whole);
        let (chunks, _) = stream(&searched, ApiStyle::Chat);
        let deltas = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["annotations"]);
        assert_eq!(deltas.filter(|list| !list.is_null()).collect::<Vec<_>>(), [&expected], "{:?}", searched.frames);
    }
}

#[test]
fn writes_search_items_and_annotations_in_responses() {
    let citation = json!({"type": "url_citation", "url": URL, "title": "A", "start_index": 0, "end_index": 9});
    let check = |output: &Value| {
        let of = |kind: &str| output.as_array().unwrap().iter().filter(|item| item["type"] == kind).collect::<Vec<_>>();
        let calls = of("web_search_call");
        assert_eq!(calls.len(), 1, "{output}");
        let action = &calls[0]["action"];
        assert_eq!((&action["query"], &action["sources"][0]["url"]), (&json!("rain"), &json!(URL)), "{output}");
        assert_eq!(of("message")[0]["content"][0]["annotations"], json!([citation]), "{output}");
    };
    for searched in answers() {
        let (response, _) = convert_whole((searched.reader)(), ApiStyle::Responses, &searched.whole).unwrap();
        check(&response["output"]);
        let (events, _) = stream(&searched, ApiStyle::Responses);
        check(&events.last().unwrap()["response"]["output"]);
        let has = |kind: &str| events.iter().any(|event| event["type"] == kind);
        assert!(
            has("response.web_search_call.searching") && has("response.output_text.annotation.added"),
            "{events:?}"
        );
    }
}

#[test]
fn writes_search_blocks_and_citations_in_messages() {
    for searched in answers() {
        let (meter, parser) = (Meter::default(), AnswerParser::new((searched.reader)(), std::sync::Arc::default()));
        let (answer, usage) = read_whole(searched.whole.to_string().as_bytes(), parser, &meter).unwrap();
        let message = anthropic::client_format::whole(&head(), &answer, &usage, true);
        let content = message["content"].as_array().unwrap();
        let of = |kind: &str| content.iter().find(|block| block["type"] == kind).unwrap();
        let (call, result, text) = (of("server_tool_use"), of("web_search_tool_result"), of("text"));
        assert_eq!((&call["input"]["query"], &call["id"]), (&json!("rain"), &result["tool_use_id"]));
        assert_eq!((&result["content"][0]["url"], &result["content"][0]["title"]), (&json!(URL), &json!("A")));
        assert_eq!((&text["text"], &text["citations"][0]["url"]), (&json!(TEXT), &json!(URL)));
        assert_eq!(message["usage"]["server_tool_use"]["web_search_requests"], 1);

        let (events, _) = stream(&searched, ApiStyle::Messages);
        let kinds: Vec<&str> = events.iter().filter_map(|event| event["content_block"]["type"].as_str()).collect();
        assert!(kinds.contains(&"server_tool_use") && kinds.contains(&"web_search_tool_result"), "{kinds:?}");
        let citation = events.iter().find(|event| event["delta"]["type"] == "citations_delta").unwrap();
        assert_eq!(citation["delta"]["citation"]["url"], URL);
        let input: String = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
        assert_eq!(input, r#"{"query":"rain"}"#);
    }
}
