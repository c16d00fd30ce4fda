//! Gemini's API as a client format, with providers of every kind.

use serde_json::{Value, json};

use super::{
    KINDS,
    answers::{frames, whole_answer},
    gemini::{
        client_body::{GeminiMethod, normalise},
        client_format::{AnswerOptions, GeminiWriter, whole as write_whole},
        client_request,
    },
    head, reader, streamed, whole, write,
};
use crate::{
    ApiStyle, Meter, ProviderKind,
    canonical::{Format, MediaKind, Part, Request, Source, Speaker, ToolChoice},
    preflight::inspect_body,
    tapped_stream::Tap,
    translate::{AnswerParser, FormatConverter, read_whole},
};

fn read(body: &Value) -> (Request, AnswerOptions) {
    let body = normalise(GeminiMethod::GenerateContent, "m", body.to_string().as_bytes()).unwrap();
    client_request::read(&serde_json::from_slice(&body).unwrap()).unwrap()
}

/// A request of this conversation.
fn conversation(contents: &Value) -> Request {
    read(&json!({ "contents": contents })).0
}

fn text(text: &str) -> Value {
    json!({"parts": [{"text": text}]})
}

#[test]
fn reads_settings_in_both_spellings() {
    let camel = json!({"contents": [text("Hi")], "systemInstruction": text("Be brief."), "unknown": 1,
        "generationConfig": {"temperature": 0.5, "topP": 0.9, "topK": 40.0, "maxOutputTokens": "100", "stopSequences": ["x"],
            "candidateCount": 2, "seed": 7, "presencePenalty": 0.1, "frequencyPenalty": 0.2, "responseLogprobs": true,
            "logprobs": 3, "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": true}}});
    let snake = json!({"contents": text("Hi"), "system_instruction": text("Be brief."),
        "generation_config": {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_output_tokens": 100, "stop_sequences": ["x"],
            "candidate_count": 2, "seed": 7, "presence_penalty": 0.1, "frequency_penalty": 0.2, "response_logprobs": true,
            "logprobs": 3, "thinking_config": {"thinking_budget": 1024, "include_thoughts": true}}});
    let (request, options) = read(&camel);
    assert_eq!((&request, options), (&read(&snake).0, super::THOUGHTS));
    assert_eq!((request.max_output, request.top_k, request.choices), (Some(100), Some(40), Some(2)));
    assert_eq!((request.logprobs, request.seed, request.stop), (Some(3), Some(7), vec!["x".to_owned()]));
    assert_eq!(request.system, ["Be brief."]);
    let reasoning = request.reasoning.unwrap();
    assert_eq!((reasoning.budget, reasoning.shown, reasoning.is_off()), (Some(1_024), true, false));
}

#[test]
fn reads_thinking_settings() {
    for (config, expected) in [
        (json!({}), None),
        (json!({"thinkingBudget": 0}), Some(("none", Some(0)))),
        (json!({"thinkingBudget": -1}), Some(("", None))),
        (json!({"thinkingLevel": "HIGH"}), Some(("high", None))),
        (json!({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED", "includeThoughts": true}), Some(("", None))),
    ] {
        let (request, _) = read(&json!({"contents": [text("Hi")], "generationConfig": {"thinkingConfig": config}}));
        let found = request.reasoning.as_ref();
        let found = found.map(|found| (found.effort.map_or("", |effort| effort.name()), found.budget));
        assert_eq!(found, expected, "{config}");
    }
}

#[test]
fn reads_tools_and_their_choice() {
    let request = |config: Value| {
        let declarations = json!([
            {"name": "f", "description": "d", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
            {"name": "g", "parametersJsonSchema": {"type": "object", "properties": {"b": {"type": "integer"}}}}]);
        read(&json!({"contents": [text("Hi")], "tools": [{"functionDeclarations": declarations}, {"googleSearch": {}}],
            "toolConfig": {"functionCallingConfig": config}}))
        .0
    };
    let names = || vec!["f".to_owned(), "g".to_owned()];
    for (config, expected) in [
        (json!({}), Some(ToolChoice::Auto)),
        (json!({"mode": "NONE"}), Some(ToolChoice::None)),
        (json!({"mode": "ANY"}), Some(ToolChoice::Required)),
        (json!({"mode": "ANY", "allowedFunctionNames": ["f"]}), Some(ToolChoice::Named("f".to_owned()))),
        (
            json!({"mode": "ANY", "allowed_function_names": ["f", "g"]}),
            Some(ToolChoice::Among { names: names(), required: true }),
        ),
        (json!({"mode": "VALIDATED"}), Some(ToolChoice::Auto)),
        (
            json!({"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]}),
            Some(ToolChoice::Among { names: names(), required: false }),
        ),
    ] {
        let request = request(config.clone());
        assert_eq!(request.tool_choice, expected, "{config}");
        let parameters: Vec<_> = request.tools.iter().map(|tool| tool.parameters.clone().unwrap()).collect();
        assert_eq!(parameters[0], json!({"type": "object", "properties": {"a": {"type": "string"}}}));
        assert_eq!(parameters[1], json!({"type": "object", "properties": {"b": {"type": "integer"}}}));
    }
}

#[test]
fn reads_files_of_messages_and_results() {
    let request = conversation(&json!([
        {"role": "user", "parts": [
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo_"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
            {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
            {"fileData": {"fileUri": "https://example.org/a.jpg"}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "Done."},
            "parts": [{"inlineData": {"mimeType": "image/jpeg", "data": "_9j_"}}]}}]}]));
    let kinds = request.turns[0].parts.iter().map(|part| match part {
        Part::Media(medium) => medium.kind,
        other => panic!("{other:?}"),
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [MediaKind::Image, MediaKind::File, MediaKind::Audio, MediaKind::Image]);
    let Part::Media(first) = &request.turns[0].parts[0] else { panic!() };
    assert_eq!(first.source, Source::Data { mime: "image/png".to_owned(), data: "iVBORw0KGgo/".to_owned() });
    let Part::Result(result) = &request.turns[2].parts[0] else { panic!() };
    assert_eq!((&result.parts[0], result.parts.len()), (&Part::Text("Done.".to_owned()), 2));
}

#[test]
fn sends_tool_rounds_to_every_kind_of_provider() {
    let contents = json!([
        {"role": "user", "parts": [{"text": "Weather?"}]},
        {"role": "model", "parts": [{"text": "Loo"}]},
        {"role": "model", "parts": [{"text": "k."}, {"functionCall": {"name": "f", "args": {"a": 1}}}, {"functionCall": {"name": "g"}}]},
        {"role": "function", "parts": [
            {"functionResponse": {"id": "g-1", "name": "g", "response": {"error": "broken"}}},
            {"functionResponse": {"name": "f", "response": {"celsius": 9}}},
            {"text": "Well?"}]}]);
    let request = conversation(&contents);
    assert_eq!(
        request.turns.iter().map(|turn| turn.speaker).collect::<Vec<_>>(),
        [Speaker::User, Speaker::Assistant, Speaker::User]
    );

    let chat = write(ProviderKind::OPENAI, &request).unwrap();
    let messages = &chat["messages"];
    assert_eq!((&messages[1]["content"], &messages[1]["tool_calls"][0]["id"]), (&json!("Look."), &json!("call_0")));
    let results: Vec<_> = [2, 3].map(|at| (&messages[at]["tool_call_id"], &messages[at]["content"])).to_vec();
    assert!(results.contains(&(&json!("call_0"), &json!("{\"celsius\":9}"))), "{chat}");
    assert!(results.iter().any(|(id, _)| **id == json!("call_1")), "{chat}");

    let claude = write(ProviderKind::ANTHROPIC, &request).unwrap();
    let results = claude["messages"][2]["content"].as_array().unwrap();
    assert_eq!((&results[0]["tool_use_id"], &results[0]["is_error"]), (&json!("call_1"), &json!(true)), "{claude}");
    assert_eq!(results[2]["text"], "Well?", "{claude}");
}

#[test]
fn requests_structured_answers() {
    let format = |config: Value| {
        let (request, options) = read(&json!({"contents": [text("Hi")], "generationConfig": config}));
        (request.format, options.is_wrapped, request.system.concat())
    };
    assert_eq!(format(json!({"responseMimeType": "application/json"})).0, Format::Json);
    let (object, is_wrapped, _) =
        format(json!({"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "properties": {}}}));
    let Format::Schema { schema, .. } = object else { panic!("{object:?}") };
    assert_eq!((schema, is_wrapped), (json!({"type": "object", "properties": {}}), false));
    let (list, is_wrapped, _) = format(json!({"responseJsonSchema": {"type": "array", "items": {"type": "string"}}}));
    let Format::Schema { schema, .. } = list else { panic!("{list:?}") };
    assert_eq!((&schema["properties"]["value"]["type"], is_wrapped), (&json!("array"), true));
    let (text, _, system) =
        format(json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a", "b"]}}));
    assert!(text == Format::Text && system.ends_with("a, b"), "{system}");
}

#[test]
fn rejects_malformed_requests() {
    for (body, param) in [
        (json!({"contents": []}), "contents"),
        (json!({}), "contents"),
        (json!({"contents": "Hi"}), "contents[0]"),
        (json!({"contents": [{"role": "robot", "parts": []}]}), "contents[0].role"),
        (json!({"contents": [{"parts": [{"functionCall": {}}]}]}), "contents[0].parts[0].functionCall.name"),
        (json!({"contents": [text("a")], "generationConfig": {"topK": "many"}}), "generationConfig.topK"),
        (
            json!({"contents": [text("a")], "toolConfig": {"functionCallingConfig": {"mode": "X"}}}),
            "toolConfig.functionCallingConfig.mode",
        ),
    ] {
        let normal = normalise(GeminiMethod::GenerateContent, "m", body.to_string().as_bytes()).unwrap();
        let error = client_request::read(&serde_json::from_slice(&normal).unwrap()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
    }
}

/// Parts of the first candidate of an answer or a frame.
fn parts(answer: &Value) -> &[Value] {
    answer["candidates"][0]["content"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn usage_metadata(kind: ProviderKind) -> Value {
    let mut usage = json!({"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 17, "cachedContentTokenCount": 4, "thoughtsTokenCount": 3});
    if kind == ProviderKind::ANTHROPIC {
        usage = json!({"promptTokenCount": 10, "candidatesTokenCount": 7, "totalTokenCount": 17, "cachedContentTokenCount": 4});
    }
    usage
}

#[test]
fn writes_whole_answers_and_streams() {
    for kind in KINDS {
        let (answer, _) = whole(kind, ApiStyle::Gemini, &whole_answer(kind)).unwrap();
        assert_eq!(answer["usageMetadata"], usage_metadata(kind), "{kind:?}");
        let head = ["finishReason", "index"].map(|name| &answer["candidates"][0][name]);
        assert_eq!(head, [&json!("STOP"), &json!(0)], "{kind:?}: {answer}");
        assert_eq!((&answer["modelVersion"], &answer["responseId"]), (&json!("m"), &json!("id_1")));
        let mut written = parts(&answer).to_vec();
        let signature = written[2].as_object_mut().unwrap().shift_remove("thoughtSignature");
        assert!(signature.is_some_and(|signature| signature.is_string()), "{kind:?}: {answer}");
        let expected = [
            json!({"text": "hm", "thought": true}),
            json!({"text": "Look."}),
            json!({"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}}),
            json!({"functionCall": {"id": "c2", "name": "g", "args": {"b": 2}}}),
        ];
        assert_eq!(written, expected, "{kind:?}");

        let (chunks, _) = streamed(kind, ApiStyle::Gemini, &frames(kind)).unwrap();
        let all: Vec<Value> = chunks.iter().flat_map(|chunk| parts(chunk).to_vec()).collect();
        assert_eq!(all, parts(&answer), "{kind:?}");
        let last = chunks.last().unwrap();
        assert_eq!(
            (&last["usageMetadata"], &last["candidates"][0]["finishReason"]),
            (&usage_metadata(kind), &json!("STOP"))
        );
        let finished = chunks.iter().filter(|chunk| !chunk["candidates"][0]["finishReason"].is_null()).count();
        assert_eq!(finished, 1, "{kind:?}: {chunks:?}");
    }
}

#[test]
fn returns_reasoning_to_its_provider_with_the_call() {
    let (answer, _) = whole(ProviderKind::ANTHROPIC, ApiStyle::Gemini, &whole_answer(ProviderKind::ANTHROPIC)).unwrap();
    let mut content = answer["candidates"][0]["content"].clone();
    // Gemini CLI drops thoughts.
    content["parts"].as_array_mut().unwrap().remove(0);
    let result = |name: &str| json!({"functionResponse": {"name": name, "response": {}}});
    let contents = json!([text("Hi"), content, {"role": "user", "parts": [result("f"), result("g")]}]);
    let claude = write(ProviderKind::ANTHROPIC, &conversation(&contents)).unwrap();
    let blocks = &claude["messages"][1]["content"];
    assert_eq!(blocks[0], json!({"type": "thinking", "thinking": "hm", "signature": "sig"}), "{claude}");
    assert_eq!((&blocks[1]["text"], &blocks[2]["id"], &blocks[3]["id"]), (&json!("Look."), &json!("c1"), &json!("c2")));
}

#[test]
fn maps_finish_reasons() {
    for (reason, expected) in
        [("stop", "STOP"), ("length", "MAX_TOKENS"), ("content_filter", "SAFETY"), ("tool_calls", "STOP")]
    {
        let answer = json!({"choices": [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": ""}}]});
        let (written, _) = whole(ProviderKind::OPENAI, ApiStyle::Gemini, &answer).unwrap();
        let candidate = &written["candidates"][0];
        assert_eq!(
            (&candidate["finishReason"], &candidate["content"]["parts"]),
            (&json!(expected), &json!([{"text": ""}]))
        );
    }
}

#[test]
fn hides_thoughts_and_unwraps_answers_as_asked() {
    let options = AnswerOptions { shows_thoughts: false, is_wrapped: true };
    let message = json!({"role": "assistant", "reasoning_content": "hm", "content": "{\"value\": [\"a\", 1]}"});
    let answer = json!({"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}).to_string();
    let parser = || AnswerParser::new(reader(ProviderKind::OPENAI), std::sync::Arc::default());
    let (parsed, usage) = read_whole(answer.as_bytes(), parser(), &Meter::default()).unwrap();
    let written = write_whole(&head(), options, &parsed, &usage);
    assert_eq!(parts(&written), [json!({"text": "[\"a\",1]"})]);

    let delta =
        |delta: Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let frames = [
        delta(json!({"reasoning_content": "hm"}), Value::Null),
        delta(json!({"content": "{\"value\""}), Value::Null),
        delta(json!({"content": ": 7}"}), json!("stop")),
    ];
    let wire: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    let mut tap = FormatConverter::new(parser(), Box::new(GeminiWriter::new(head(), options)));
    let meter = Meter::default();
    let mut out = tap.pass(format!("{wire}data: [DONE]\n\n").into(), &meter).unwrap().unwrap_or_default().to_vec();
    if !tap.is_done() {
        out.extend(tap.finish(bytes::Bytes::new(), &meter).unwrap().unwrap_or_default());
    }
    let chunks = super::frame_data(std::str::from_utf8(&out).unwrap());
    assert_eq!(chunks.len(), 1, "{chunks:?}");
    assert_eq!(parts(&chunks[0]), [json!({"text": "7"})]);
}

#[test]
fn writes_citations_and_log_probabilities() {
    let annotation = json!({"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", "start_index": 1, "end_index": 3}});
    let logprobs = json!({"content": [{"token": "é", "logprob": -0.5, "bytes": null, "top_logprobs": [{"token": "e", "logprob": -1.0, "bytes": null}]}]});
    let answer = json!({"choices": [{"index": 0, "finish_reason": "stop", "logprobs": logprobs,
        "message": {"role": "assistant", "content": "éàx", "annotations": [annotation]}}]});
    let (written, _) = whole(ProviderKind::OPENAI, ApiStyle::Gemini, &answer).unwrap();
    let candidate = &written["candidates"][0];
    let expected = json!({"groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 2, "endIndex": 5, "text": "àx"}, "groundingChunkIndices": [0]}]});
    assert_eq!(candidate["groundingMetadata"], expected, "{written}");
    let expected = json!({"topCandidates": [{"candidates": [{"token": "e", "logProbability": -1.0}]}],
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}]});
    assert_eq!(candidate["logprobsResult"], expected, "{written}");
}

#[test]
fn inspects_requests() {
    let inspected = |body: Value, method: GeminiMethod| {
        let body = normalise(method, "m", body.to_string().as_bytes()).unwrap();
        let info = inspect_body(ApiStyle::Gemini, &body).map_err(|error| error.param)?;
        Ok::<_, Option<String>>((info.stream, info.is_repeatable, info.estimate))
    };
    let config = json!({"maxOutputTokens": 50, "candidateCount": 2, "seed": 1});
    let body = json!({"contents": [text("Hi")], "generationConfig": config, "tools": [{"google_search": {}}]});
    let (stream, is_repeatable, estimate) = inspected(body.clone(), GeminiMethod::StreamGenerateContent).unwrap();
    assert_eq!((stream, is_repeatable), (true, true));
    assert_eq!((estimate.max_output, estimate.choices, estimate.tools.searches), (Some(50), 2, 10));
    assert_eq!(inspected(body, GeminiMethod::GenerateContent).unwrap().2.tools.searches, 30);
    let (_, is_repeatable, estimate) = inspected(json!({"content": text("Hi")}), GeminiMethod::EmbedContent).unwrap();
    assert_eq!((is_repeatable, estimate.choices), (true, 0));
    let image = json!({"inlineData": {"mimeType": "image/png", "data": "A".repeat(400_000)}});
    let (_, _, estimate) = inspected(json!({"contents": [{"parts": [image]}]}), GeminiMethod::GenerateContent).unwrap();
    assert!(estimate.input < 4_000, "{}", estimate.input);
    let many = json!({"contents": [text("Hi")], "generationConfig": {"candidateCount": 1_000}});
    assert_eq!(inspected(many, GeminiMethod::GenerateContent).unwrap_err().as_deref(), Some("candidateCount"));
}
