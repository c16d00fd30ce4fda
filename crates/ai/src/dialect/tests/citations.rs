//! Web pages that an answer cites: read from each provider format, written in each client format.

use serde_json::{Value, json};

use super::{streamed, whole};
use crate::{ApiStyle, ProviderKind};

const TEXT: &str = "Café fact. More.";
const URL: &str = "https://example.org/a";
/// Range of `Café fact.` in characters.
const CITED: (u64, u64) = (0, 10);
/// Range of [`TEXT`] in characters.
const ALL: (u64, u64) = (0, 16);

/// An answer that cites [`URL`].
struct Cited {
    kind: ProviderKind,
    whole: Value,
    frames: Vec<Value>,
    title: &'static str,
    range: (u64, u64),
}

/// Chat completions with these fields beside the text of the message and beside the choices.
fn chat(in_message: &Value, beside: &Value, title: &'static str, range: (u64, u64)) -> Cited {
    let with = |mut value: Value, fields: &Value| {
        value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        value
    };
    let message = with(json!({"role": "assistant", "content": TEXT}), in_message);
    let chunk =
        |delta: Value, reason: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    // Some servers repeat the fields in each chunk.
    let frames = vec![
        with(chunk(json!({"role": "assistant", "content": "Café fact."}), Value::Null), beside),
        with(chunk(json!({"content": " More."}), Value::Null), beside),
        with(chunk(in_message.clone(), Value::Null), beside),
        with(chunk(in_message.clone(), json!("stop")), beside),
    ];
    let whole = with(json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}), beside);
    Cited { kind: ProviderKind::OPENAI, whole, frames, title, range }
}

fn claude() -> Cited {
    let citation = json!({"type": "web_search_result_location", "url": URL, "title": "A", "encrypted_index": "e", "cited_text": "x"});
    let start = |index: u64| json!({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}});
    let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let text = |text: &str| json!({"type": "text_delta", "text": text});
    let document = json!({"type": "char_location", "document_index": 0, "cited_text": "x"});
    let frames = vec![
        start(0),
        // Citations may come before or after their text.
        delta(0, json!({"type": "citations_delta", "citation": citation})),
        delta(0, text("Café ")),
        delta(0, text("fact.")),
        json!({"type": "content_block_stop", "index": 0}),
        start(1),
        delta(1, text(" More.")),
        delta(1, json!({"type": "citations_delta", "citation": document})),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ];
    let whole = json!({"type": "message", "stop_reason": "end_turn", "content": [
        {"type": "text", "text": "Café fact.", "citations": [citation]},
        {"type": "text", "text": " More.", "citations": [document]}]});
    Cited { kind: ProviderKind::ANTHROPIC, whole, frames, title: "A", range: CITED }
}

/// Gemini counts bytes: `Café fact.` has eleven.
fn gemini(segment: &Value, range: (u64, u64)) -> Cited {
    let grounding = json!({"groundingChunks": [{"web": {"uri": URL, "title": "A"}}, {"maps": {}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0, 7]}]});
    let whole = json!({"candidates": [{"finishReason": "STOP", "groundingMetadata": grounding,
        "content": {"parts": [{"text": "hm", "thought": true}, {"text": TEXT}]}}]});
    let frames = vec![
        json!({"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}]}}]}),
        json!({"candidates": [{"content": {"parts": [{"text": "Café fact."}]}}]}),
        json!({"candidates": [{"content": {"parts": [{"text": " More."}]}, "groundingMetadata": grounding}]}),
        json!({"candidates": [{"content": {"parts": []}, "finishReason": "STOP", "groundingMetadata": grounding}]}),
    ];
    Cited { kind: ProviderKind::GEMINI, whole, frames, title: "A", range }
}

fn answers() -> Vec<Cited> {
    let cited = json!({"url": URL, "title": "A", "start_index": 0, "end_index": 10});
    let mut flat = cited.clone();
    flat["type"] = "url_citation".into();
    let nested = json!({"annotations": [{"type": "url_citation", "url_citation": cited}]});
    let unranged = json!({"url": URL, "title": "A", "start_index": 0, "end_index": 0, "content": "x"});
    let unranged = json!({"annotations": [{"type": "url_citation", "url_citation": unranged}]});
    let none = json!({});
    vec![
        chat(&nested, &none, "A", CITED),
        chat(&json!({ "annotations": [flat] }), &none, "A", CITED),
        chat(&unranged, &none, "A", ALL),
        chat(&none, &json!({"citations": [URL], "search_results": [{"title": "A", "url": URL}]}), "A", ALL),
        chat(&none, &json!({"citations": [URL]}), URL, ALL),
        chat(&none, &json!({"web_search": [{"link": URL, "title": "A"}]}), "A", ALL),
        chat(&none, &json!({"search_info": {"search_results": [{"url": URL, "title": "A", "index": 1}]}}), "A", ALL),
        chat(
            &json!({"executed_tools": [{"type": "search", "search_results": {"results": [{"url": URL, "title": "A"}]}}]}),
            &none,
            "A",
            ALL,
        ),
        chat(&nested, &json!({"citations": [URL]}), "A", CITED),
        claude(),
        gemini(&json!({"endIndex": 11, "text": "Café fact."}), CITED),
        gemini(&json!({"startIndex": 500, "endIndex": 511, "text": "Café fact.", "partIndex": 1}), CITED),
        gemini(&json!({"endIndex": 11}), CITED),
        gemini(&json!({"endIndex": 4, "text": "elsewhere"}), ALL),
    ]
}

#[test]
fn writes_citations_in_chat_completions() {
    for Cited { kind, whole: answer, frames, title, range: (start, end) } in answers() {
        let cited = json!({"url": URL, "title": title, "start_index": start, "end_index": end});
        let expected = json!([{"type": "url_citation", "url_citation": cited}]);
        let (chat, _) = whole(kind, ApiStyle::Chat, &answer).unwrap();
        assert_eq!(chat["choices"][0]["message"]["annotations"], expected, "{answer}");
        let (chunks, _) = streamed(kind, ApiStyle::Chat, &frames).unwrap();
        let deltas = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["annotations"]);
        assert_eq!(deltas.filter(|list| !list.is_null()).collect::<Vec<_>>(), [&expected], "{frames:?}");
    }
}

#[test]
fn writes_citations_in_responses() {
    for Cited { kind, whole: answer, frames, title, range: (start, end) } in answers() {
        let cited = json!({"type": "url_citation", "url": URL, "title": title, "start_index": start, "end_index": end});
        let part = |response: &Value| {
            let output = response["output"].as_array().unwrap();
            output.iter().find(|item| item["type"] == "message").unwrap()["content"][0].clone()
        };
        let (response, _) = whole(kind, ApiStyle::Responses, &answer).unwrap();
        assert_eq!(part(&response)["annotations"], json!([cited]), "{answer}");
        let (events, _) = streamed(kind, ApiStyle::Responses, &frames).unwrap();
        let place = |name: &str| events.iter().position(|event| event["type"] == name).unwrap();
        let added = &events[place("response.output_text.annotation.added")];
        let named = (&added["annotation"], &added["annotation_index"], &added["content_index"]);
        assert_eq!(named, (&cited, &json!(0), &json!(0)), "{frames:?}");
        assert!(place("response.output_text.annotation.added") < place("response.output_text.done"), "{frames:?}");
        assert_eq!(part(&events.last().unwrap()["response"])["annotations"], json!([cited]), "{frames:?}");
        let done = &events[place("response.content_part.done")];
        assert_eq!(done["part"]["annotations"], json!([cited]), "{frames:?}");
    }
}

#[test]
fn lists_sources_at_the_end_of_messages() {
    for Cited { kind, whole: answer, frames, title, .. } in answers() {
        let page = if title == URL { URL.to_owned() } else { format!("{title}: {URL}") };
        let expected = format!("{TEXT}\n\nSources:\n- {page}");
        let (message, _) = whole(kind, ApiStyle::Messages, &answer).unwrap();
        let texts = message["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str());
        assert_eq!(texts.collect::<String>(), expected, "{answer}");
        let (events, _) = streamed(kind, ApiStyle::Messages, &frames).unwrap();
        let texts: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
        assert_eq!(texts, expected, "{frames:?}");
    }
}

#[test]
fn lists_each_source_once() {
    let text = format!("See {URL}.");
    let cited = |url: &str| json!({"type": "url_citation", "url_citation": {"url": url, "title": "B"}});
    let ranged = json!({"type": "url_citation", "url_citation": {"url": "https://b.org", "title": "B", "start_index": 0, "end_index": 3}});
    let annotations =
        json!([cited(URL), cited("https://b.org"), ranged, {"type": "file_citation", "url_citation": {"url": "x"}}]);
    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let said = json!({"role": "assistant", "content": text, "annotations": annotations, "tool_calls": [call]});
    let answer = json!({"choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}]});
    let expected = format!("{text}\n\nSources:\n- B: https://b.org");
    let (message, _) = whole(ProviderKind::OPENAI, ApiStyle::Messages, &answer).unwrap();
    assert_eq!(message["content"][0]["text"], expected);
    assert_eq!(message["content"][1]["type"], "tool_use");
    let frames = [json!({"choices": [{"index": 0, "delta": said, "finish_reason": "tool_calls"}]})];
    let (events, _) = streamed(ProviderKind::OPENAI, ApiStyle::Messages, &frames).unwrap();
    let texts: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(texts, expected);
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["content_block"]["type"].as_str()).collect();
    assert_eq!(kinds, ["text", "tool_use"]);
}

#[test]
fn counts_ranges_within_each_text_item() {
    let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
    let cited = json!({"url": URL, "title": "A", "start_index": 6, "end_index": 10});
    let frames = [
        delta(json!({"role": "assistant", "content": "Café "})),
        delta(json!({"reasoning_content": "hm"})),
        delta(json!({"content": "fact.", "annotations": [{"type": "url_citation", "url_citation": cited}]})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    ];
    let (events, _) = streamed(ProviderKind::OPENAI, ApiStyle::Responses, &frames).unwrap();
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(output[0]["content"][0]["annotations"], json!([]));
    let annotation = &output[2]["content"][0]["annotations"][0];
    assert_eq!((&annotation["start_index"], &annotation["end_index"]), (&json!(1), &json!(5)));
}

#[test]
fn reads_answers_that_have_a_message_and_a_delta() {
    let choice = |delta: &str, message: &str, reason: Value| {
        json!({"search_results": [{"title": "A", "url": URL}], "choices": [{"index": 0, "finish_reason": reason,
            "delta": {"role": "assistant", "content": delta}, "message": {"role": "assistant", "content": message}}]})
    };
    for style in [ApiStyle::Chat, ApiStyle::Responses, ApiStyle::Messages, ApiStyle::Gemini] {
        let (answer, _) = whole(ProviderKind::OPENAI, style, &choice("", TEXT, json!("stop"))).unwrap();
        let answer = answer.to_string();
        assert!(answer.contains(TEXT) && answer.contains(URL), "{style:?} {answer}");
        let frames = [choice("Café fact.", "Café fact.", Value::Null), choice(" More.", TEXT, json!("stop"))];
        let (frames, _) = streamed(ProviderKind::OPENAI, style, &frames).unwrap();
        let stream = Value::from(frames).to_string();
        assert_eq!(stream.matches("Café fact.").count(), stream.matches(" More.").count(), "{style:?} {stream}");
        assert!(stream.contains(URL), "{style:?} {stream}");
    }
}
