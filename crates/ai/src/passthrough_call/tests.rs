use serde_json::json;

use super::*;
use crate::Usage;

fn read(endpoint: PassthroughEndpoint, body: Value) -> Result<PassthroughRequest, GatewayError> {
    PassthroughRequest::parse(endpoint, PassthroughBody::Json(body.to_string().into()))
}

/// Field that the error names.
fn wrong_field(endpoint: PassthroughEndpoint, body: Value) -> Option<String> {
    read(endpoint, body).err().and_then(|error| error.param)
}

fn call(request: PassthroughRequest, has_image_price: bool) -> PassthroughCall {
    let meter = Arc::new(Meter::default());
    meter.set_estimated_input(request.estimate.input);
    PassthroughCall {
        request,
        route: Arc::default(),
        request_id: String::new(),
        owner: WorkOwner::System,
        passes: None,
        has_image_price,
        meter,
    }
}

/// Whole answer for the client.
fn answer(call: &PassthroughCall, answer: &Value) -> Value {
    let answer = call.request.params.read_whole(answer.to_string().into(), "served", call).unwrap();
    serde_json::from_slice(&answer).unwrap()
}

/// Request for the provider.
fn encoded(request: &PassthroughRequest, passes: &[&str]) -> Value {
    let ParsedBody::Json(body) = &*request.body else { panic!("no JSON") };
    let passes: Vec<String> = passes.iter().map(|name| (*name).to_owned()).collect();
    serde_json::from_slice(&request.encode(body, "served", &passes).unwrap()).unwrap()
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

#[test]
fn names_the_wrong_field() {
    use PassthroughEndpoint::*;
    let many = vec!["a"; 1_001];
    for (endpoint, body, field) in [
        (Completions, json!({"prompt": "a"}), "model"),
        (Completions, json!({"model": "m"}), "prompt"),
        (Completions, json!({"model": "m", "prompt": [1, "a"]}), "prompt"),
        (Completions, json!({"model": "m", "prompt": "a", "n": 0}), "n"),
        (Completions, json!({"model": "m", "prompt": "a", "stream_options": 1}), "stream_options"),
        (JinaRerank, json!({"model": "m", "documents": ["a"]}), "query"),
        (JinaRerank, json!({"model": "m", "query": "q"}), "documents"),
        (CohereRerank, json!({"model": "m", "query": "q", "documents": many}), "documents"),
        (CohereRerank, json!({"model": "m", "query": "q", "documents": ["a", 7]}), "documents[1]"),
        (Moderations, json!({"model": 7, "input": "a"}), "model"),
        (ImageGenerations, json!({"model": "m", "prompt": "a", "n": 11}), "n"),
        (ImageGenerations, json!({"model": "m", "prompt": "a", "images": [{"file_id": "f"}]}), "images[0].file_id"),
        (Speech, json!({"model": "m", "voice": "alloy"}), "input"),
    ] {
        assert_eq!(wrong_field(endpoint, body.clone()).as_deref(), Some(field), "{body}");
    }
}

#[test]
fn estimates_completions_from_prompts_and_limits() {
    for (body, input, most, choices) in [
        (json!({"prompt": "twelve chars"}), 3, Some(16), 1),
        (json!({"prompt": ["four", "four"], "max_tokens": 5, "n": 2}), 2, Some(5), 4),
        (json!({"prompt": [1, 2, 3], "best_of": 4, "n": 2}), 3, Some(16), 4),
        (json!({"prompt": [[1, 2], [3]], "max_tokens": 0}), 3, None, 2),
    ] {
        let mut asked = body.clone();
        asked["model"] = "m".into();
        let estimate = read(PassthroughEndpoint::Completions, asked).unwrap().estimate;
        assert_eq!((estimate.input, estimate.max_output, estimate.choices), (input, most, choices), "{body}");
    }
}

#[test]
fn sets_limit_and_usage_of_completions() {
    let body = json!({"model": "m", "prompt": "a", "stream": true, "suffix": "b", "odd": 1, "models": ["dear"]});
    let request = read(PassthroughEndpoint::Completions, body).unwrap();
    let expected = json!({"model": "served", "prompt": "a", "stream": true, "suffix": "b", "odd": 1, "max_tokens": 16,
        "stream_options": {"include_usage": true}});
    assert_eq!(encoded(&request, &[]), expected);
    assert!(request.stream);
}

#[test]
fn completes_single_texts_by_chat() {
    let body = json!({"model": "m", "prompt": "Once", "echo": false, "best_of": 1, "temperature": 0.5, "suffix": null});
    let chat = json!({"model": "m", "temperature": 0.5, "messages": [{"role": "user", "content": "Once"}],
        "max_completion_tokens": 16});
    assert_eq!(completions::chat_body(&body).unwrap(), chat);
    for (name, value) in [
        ("suffix", json!("end")),
        ("echo", json!(true)),
        ("logprobs", json!(0)),
        ("best_of", json!(2)),
        ("prompt", json!(["Once"])),
    ] {
        let mut asked = body.clone();
        asked[name] = value;
        assert_eq!(completions::chat_body(&asked).unwrap_err().param.as_deref(), Some(name));
    }
    let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "served",
        "choices": [{"index": 0, "message": {"content": "upon"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}});
    let expected = json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "served",
        "choices": [{"text": "upon", "index": 0, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}});
    let converted = completions::from_chat(answer.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&converted).unwrap(), expected);
}

/// Passes a stream in one block, and returns what the client gets.
fn passed(body: Value, frames: &str, meter: &Meter) -> Result<String, Failure> {
    let mut asked = body;
    asked["model"] = "m".into();
    asked["prompt"] = "a".into();
    asked["stream"] = true.into();
    let request = read(PassthroughEndpoint::Completions, asked).unwrap();
    let AnswerParams::Completion(params) = &*request.params else { panic!("no completion") };
    let mut tap = params.tap();
    let mut out = tap.pass(frames.to_owned().into(), meter)?.unwrap_or_default().to_vec();
    if !tap.is_done() {
        out.extend_from_slice(&tap.finish(Bytes::new(), meter)?.unwrap_or_default());
    }
    if let Some(failure) = tap.failure() {
        return Err(failure);
    }
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn passes_streamed_completions() {
    let text = "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"upon\",\"index\":0,\"finish_reason\":null}]}\n\n";
    let end = "data: {\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"length\"}]}\n\n";
    let counts = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
    let all = format!("{text}{end}{counts}data: [DONE]\n\n");
    let meter = Meter::default();
    assert_eq!(passed(json!({}), &all, &meter).unwrap(), format!("{text}{end}data: [DONE]\n\n"));
    assert_eq!((meter.usage(), meter.finish()), (usage(3, 2), Some(crate::Finish::Length)));
    let asked = json!({"stream_options": {"include_usage": true}});
    assert_eq!(passed(asked, &all, &Meter::default()).unwrap(), all);
    // Some servers omit the end.
    let cut = passed(json!({}), &format!("{text}{end}"), &Meter::default()).unwrap();
    assert_eq!(cut, format!("{text}{end}data: [DONE]\n\n"));
    assert_eq!(passed(json!({}), text, &Meter::default()).unwrap_err().error, AiError::Truncated);
    assert_eq!(passed(json!({}), "data: 7x\n\n", &Meter::default()).unwrap_err().error, AiError::Garbled);
}

#[tokio::test]
async fn converts_streamed_chats_to_completions() {
    let body = json!({"model": "m", "prompt": "a", "stream": true});
    let request = read(PassthroughEndpoint::Completions, body).unwrap();
    let AnswerParams::Completion(params) = &*request.params else { panic!("no completion") };
    let chat = |delta: Value, finish: Value| {
        let chunk = json!({"id": "chatcmpl-1", "created": 1, "model": "served",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        Ok(Bytes::from(format!("data: {chunk}\n\n")))
    };
    let frames = [
        chat(json!({"role": "assistant", "content": ""}), Value::Null),
        chat(json!({"content": "upon"}), Value::Null),
        Ok(Bytes::from(": ping\n\n")),
        chat(json!({}), json!("stop")),
        Ok(Bytes::from("data: [DONE]\n\n")),
    ];
    let converted = params.chat_frames(stream::iter(frames).boxed());
    let parts: Vec<String> =
        converted.map(|part| part.map(|part| String::from_utf8(part.to_vec()).unwrap()).unwrap()).collect().await;
    assert_eq!(parts.len(), 4, "{parts:?}");
    assert!(parts[0].contains(r#""text":"upon""#) && parts[0].contains("text_completion"), "{parts:?}");
    assert!(parts[2].contains(r#""finish_reason":"stop""#), "{parts:?}");
    assert_eq!((parts[1].as_str(), parts[3].as_str()), (": ping\n\n", "data: [DONE]\n\n"));
}

#[test]
fn converts_rankings_of_every_server() {
    let body = json!({"model": "m", "query": "four", "documents": ["four", {"text": "b"}], "return_documents": true});
    let jina = || read(PassthroughEndpoint::JinaRerank, body.clone()).unwrap();
    assert_eq!(jina().estimate.input, (2 * 4 + 4 + r#"{"text":"b"}"#.len() as u64).div_ceil(4));
    assert!(encoded(&jina(), &[]).get("return_documents").is_none());
    let vllm = json!({"id": "1", "model": "x", "usage": {"total_tokens": 9},
        "results": [{"index": 0, "relevance_score": 0.1, "document": {"text": "four"}}, {"index": 1, "relevance_score": 0.9}]});
    let asked = call(jina(), false);
    let expected = json!({"model": "served", "object": "list", "usage": {"prompt_tokens": 9, "total_tokens": 9}, "results": [
        {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
        {"index": 0, "relevance_score": 0.1, "document": {"text": "four"}}]});
    assert_eq!((answer(&asked, &vllm), asked.meter.usage()), (expected, usage(9, 0)));
    let mut plain = body.clone();
    plain["top_n"] = 1.into();
    let cohere = call(read(PassthroughEndpoint::CohereRerank, plain).unwrap(), false);
    let expected = json!({"id": "7", "results": [{"index": 1, "relevance_score": 0.9}], "meta": {"billed_units": {}}});
    let mut from_cohere = vllm;
    (from_cohere["id"], from_cohere["meta"]) = (json!("7"), json!({"billed_units": {}}));
    assert_eq!(answer(&cohere, &from_cohere), expected);
    let bare = json!([{"index": 1, "score": 0.5}]);
    let asked = call(jina(), false);
    assert_eq!(answer(&asked, &bare)["results"][0]["relevance_score"], 0.5);
    assert!(asked.meter.usage().estimated);
    for wrong in [json!({}), json!({"results": [{"index": 2, "relevance_score": 1}]}), json!({"error": {"code": 500}})]
    {
        let asked = call(jina(), false);
        assert!(asked.request.params.read_whole(wrong.to_string().into(), "served", &asked).is_err(), "{wrong}");
    }
}

#[test]
fn moderations_have_a_default_model() {
    let request = read(PassthroughEndpoint::Moderations, json!({"input": "a"})).unwrap();
    assert_eq!(request.model, MODERATION_MODEL);
    assert_eq!(encoded(&request, &[]), json!({"input": "a", "model": "served"}));
    let asked = call(request, false);
    let verdict = json!({"id": "modr-1", "results": [{"flagged": false}]});
    assert_eq!(answer(&asked, &verdict), verdict);
    assert_eq!((asked.meter.usage().output, asked.meter.usage().estimated), (Some(0), true));
}

#[test]
fn bills_images_by_tokens_or_by_the_piece() {
    let request =
        || read(PassthroughEndpoint::ImageGenerations, json!({"model": "m", "prompt": "cat", "n": 2})).unwrap();
    assert_eq!((request().estimate.choices, request().estimate.tools.images), (2, 2));
    let images = json!({"created": 1, "data": [{"b64_json": "AA=="}, {"b64_json": "AA=="}]});
    let mut counted = images.clone();
    counted["usage"] = json!({"input_tokens": 5, "output_tokens": 2_000});
    for (said, has_price, output, pieces) in
        [(&counted, true, 2_000, Some(0)), (&images, true, 0, Some(2)), (&images, false, 2_000, None)]
    {
        let asked = call(request(), has_price);
        assert_eq!(&answer(&asked, said), said);
        let usage = asked.meter.usage();
        assert_eq!((usage.output, usage.images), (Some(output), pieces), "{said} {has_price}");
        assert_eq!(usage.estimated, said["usage"].is_null());
    }
}

#[test]
fn passes_and_meters_streamed_images() {
    let body = json!({"model": "m", "prompt": "cat", "stream": true});
    let asked = call(read(PassthroughEndpoint::ImageGenerations, body).unwrap(), true);
    let AnswerParams::Media(media) = &*asked.request.params else { panic!("no image") };
    let partial =
        "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA==\",\"partial_image_index\":0}\n\n";
    let completed = "data: {\"type\":\"image_generation.completed\",\"b64_json\":\"AA==\",\"usage\":{\"input_tokens\":5,\"output_tokens\":300}}\n\n";
    let mut tap = media.tap(&asked);
    assert_eq!(tap.pass(partial.into(), &asked.meter).unwrap().unwrap(), partial);
    assert_eq!((asked.meter.usage().images, tap.is_done()), (Some(1), false), "billed even if the stream breaks off");
    let last = tap.pass(format!("{completed}data: [DONE]\n\n").into(), &asked.meter).unwrap().unwrap();
    assert_eq!((last.as_ref(), tap.is_done()), (completed.as_bytes(), true));
    let counted = Usage { images: Some(0), ..usage(5, 300) };
    assert_eq!((asked.meter.usage(), asked.meter.finish()), (counted, Some(crate::Finish::Stop)));
    assert!(media.tap(&asked).finish(Bytes::new(), &asked.meter).is_err());
    // Some servers ignore that a stream was requested.
    let whole =
        json!({"created": 1, "data": [{"b64_json": "AA=="}], "usage": {"input_tokens": 5, "output_tokens": 300}});
    let frames = media.frames(whole.to_string().as_bytes(), &asked).unwrap();
    let event: Value = serde_json::from_slice(&frames["data: ".len()..]).unwrap();
    assert_eq!((&event["type"], &event["b64_json"]), (&json!("image_generation.completed"), &json!("AA==")));
}

#[test]
fn reads_forms_of_image_edits() {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let form = |n: &str| MultipartForm {
        fields: vec![field("model", "m"), field("prompt", "a hat"), field("n", n), field("stream", "True")],
        files: vec![crate::FormFile {
            field: "image[]".to_owned(),
            name: "cat.png".to_owned(),
            content_type: "image/png".to_owned(),
            content: Bytes::from_static(b"PNG"),
        }],
    };
    let parse = |form| PassthroughRequest::parse(PassthroughEndpoint::ImageEdits, PassthroughBody::Form(form));
    let request = parse(form("2")).unwrap();
    assert_eq!((request.model.as_str(), request.stream, request.estimate.choices), ("m", true, 2));
    assert!(request.estimate.input > FILE_TOKENS);
    assert_eq!(parse(form("many")).unwrap_err().param.as_deref(), Some("n"));
    let mut stored = form("1");
    stored.fields.push(field("images[0][file_id]", "file-1"));
    assert_eq!(parse(stored).unwrap_err().param.as_deref(), Some("images[0][file_id]"));
}

#[test]
fn estimates_speech_from_its_text() {
    let body =
        json!({"model": "m", "input": "twenty characters...", "voice": "alloy", "speed": 1.5, "stream_format": "sse"});
    let request = read(PassthroughEndpoint::Speech, body.clone()).unwrap();
    assert_eq!((request.estimate.input, request.estimate.max_output, request.stream), (5, Some(50), true));
    assert_eq!(encoded(&request, &["speed"])["speed"], 1.5);
    let asked = call(request, false);
    let AnswerParams::Media(media) = &*asked.request.params else { panic!("no speech") };
    let frames = media.frames(b"ID3", &asked).unwrap();
    assert!(frames.starts_with(b"data: {\"type\":\"speech.audio.delta\",\"audio\":\"SUQz\"}\n\n"), "{frames:?}");
    let counted = asked.meter.usage();
    assert_eq!((counted.input, counted.output, counted.audio_output), (Some(5), Some(25), Some(25)));
    assert!(counted.estimated);
    for (said, passed) in [("audio/mpeg", Some("audio/mpeg")), ("x/y", Some("application/octet-stream")), (JSON, None)]
    {
        assert_eq!(speech::audio_type(said), passed);
    }
}

#[test]
fn speaks_by_chat_in_formats_without_an_encoder() {
    let body = json!({"model": "m", "input": "Hello.", "voice": "alloy", "instructions": "Whisper."});
    let (chat, format) = speech::chat_body(&body).unwrap();
    let expected = json!({"model": "m", "messages": [{"role": "user", "content": "Whisper:\nHello."}],
        "modalities": ["audio"], "audio": {"format": "wav", "voice": "alloy"}});
    assert_eq!((chat, format), (expected, crate::canonical::AudioFormat::Wav));
    for (name, value) in [("response_format", json!("mp3")), ("speed", json!(1.5))] {
        let mut asked = body.clone();
        asked[name] = value;
        assert_eq!(speech::chat_body(&asked).unwrap_err().param.as_deref(), Some(name));
    }
    let answer = json!({"choices": [{"message": {"audio": {"data": "AQI="}}}], "usage": {"prompt_tokens": 1}});
    let (audio, usage) = speech::read_chat(answer.to_string().as_bytes()).unwrap();
    assert_eq!((&audio[..], usage), (&[1, 2][..], json!({"prompt_tokens": 1})));
    assert!(speech::read_chat(b"{}").is_err());
}
