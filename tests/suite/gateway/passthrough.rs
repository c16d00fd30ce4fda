//! Endpoints whose calls are passed to a provider that has them.

use reqwest::Method;

use super::{
    budgets::{spending, spent},
    tries::Two,
    *,
};

/// Checks a call of an endpoint: its cost and usage row, a key without the endpoint, and the
/// fallback to another provider. A token costs one micro-credit. Returns the answer.
async fn check_endpoint((path, endpoint): (&str, &str), asked: &Value, said: &Value, cost: i64) -> Value {
    let (stage, key, caller) = spending(100_000).await;
    stage.upstream.then(Behaviour::Body(said.clone()));
    let answer = caller.post(path, asked.clone()).await;
    assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some(&*cost.to_string())), "{answer:?}");
    assert_eq!(spent(&stage, &key).await, cost);
    let rows = stage.anna.get(&format!("/r1/usage/requests?key_id={}", key["id"].as_str().unwrap())).await.data();
    let row = &rows["items"][0];
    let recorded = (&row["endpoint"], &row["cost"], &row["status"], &row["estimated"]);
    assert_eq!(recorded, (&json!(endpoint), &json!(cost), &json!(200), &json!(false)), "{row}");

    let other = keys::make(&stage.anna, json!({ "endpoints": ["chat"] })).await;
    let refused = keys::program(&stage.app, &other).post(path, asked.clone()).await;
    assert_eq!((refused.status, &refused.body["error"]["type"]), (403, &json!("permission_error")), "{refused:?}");

    let Two { stage, second } = Two::start("key-one").await;
    stage.upstream.always(Behaviour::Refuse(500, None));
    second.always(Behaviour::Body(said.clone()));
    let fallback = stage.program.post(path, asked.clone()).await;
    assert_eq!((fallback.status, fallback.header("x-natter-model")), (200, Some("other")), "{fallback:?}");
    answer.body
}

/// Checks that a malformed call names this field.
async fn names_field(stage: &Stage, path: &str, asked: Value, field: &str) {
    let refused = stage.program.post(path, asked.clone()).await;
    assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!(field)), "{asked}: {refused:?}");
}

#[tokio::test]
async fn passes_completions() {
    let asked = json!({ "model": "small", "prompt": "Once", "suffix": "ever after.", "max_tokens": 5 });
    let said = json!({
        "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "small",
        "choices": [{ "text": " upon", "index": 0, "logprobs": null, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
    });
    assert_eq!(check_endpoint(("/v1/completions", "completions"), &asked, &said, 10).await, said);

    let stage = Stage::start().await;
    let chunk = |text: &str, finish: Value| json!({ "object": "text_completion", "choices": [{ "text": text, "index": 0, "finish_reason": finish }] });
    let usage =
        json!({ "object": "text_completion", "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 3 } });
    let chunks = vec![chunk(" upon", Value::Null), chunk(" a time", json!("stop")), usage];
    stage.upstream.then(Behaviour::Frames(chunks.clone()));
    let answer =
        stage.program.post("/v1/completions", json!({ "model": "small", "prompt": "Once", "stream": true })).await;
    assert_eq!(frames(&answer), chunks[..2], "the usage wasn't requested: {answer:?}");
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{answer:?}");
    let came = stage.upstream.asked().pop().unwrap();
    assert_eq!((came.path.as_str(), &came.body["max_tokens"]), ("/v1/completions", &json!(16)));
    let rows = stage.anna.get("/r1/usage/requests").await.data();
    assert_eq!(
        (&rows["items"][0]["input_tokens"], &rows["items"][0]["output_tokens"]),
        (&json!(7), &json!(3)),
        "{rows}"
    );
    names_field(&stage, "/v1/completions", json!({ "model": "small", "prompt": {} }), "prompt").await;
}

#[tokio::test]
async fn serves_single_completions_by_chat() {
    let asked = json!({ "model": "small", "prompt": "Hello?" });
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        let answer = async |asked: &Value| {
            if kind == UpstreamKind::OpenAi {
                stage.upstream.then(Behaviour::Refuse(404, None));
            }
            stage.program.post("/v1/completions", asked.clone()).await
        };
        let whole = answer(&asked).await;
        let choice =
            json!({ "text": "Hello from the upstream.", "index": 0, "logprobs": null, "finish_reason": "stop" });
        assert_eq!((whole.status, &whole.body["object"]), (200, &json!("text_completion")), "{kind:?}: {whole:?}");
        assert_eq!(whole.body["choices"], json!([choice]), "{kind:?}");
        let mut stream = asked.clone();
        stream["stream"] = json!(true);
        let streamed = answer(&stream).await;
        let text: String = frames(&streamed)
            .iter()
            .map(|frame| frame["choices"][0]["text"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(text, "Hello from the upstream.", "{kind:?}: {streamed:?}");
        assert!(streamed.text().ends_with("data: [DONE]\n\n"), "{kind:?}: {streamed:?}");
        for (field, value) in [("suffix", json!("The end.")), ("prompt", json!(["one", "two"])), ("logprobs", json!(2))]
        {
            let mut more = asked.clone();
            more[field] = value;
            let refused = answer(&more).await;
            assert_eq!(
                (refused.status, &refused.body["error"]["param"]),
                (400, &json!(field)),
                "{kind:?}: {refused:?}"
            );
        }
        let rows = stage.anna.get("/r1/usage/requests").await.data();
        assert!(rows["items"].as_array().unwrap().iter().all(|row| row["endpoint"] == "completions"), "{rows}");
    }
}

#[tokio::test]
async fn ranks_documents_in_both_formats() {
    let documents = json!(["one", { "text": "two" }]);
    let asked = json!({ "model": "small", "query": "two", "documents": documents, "top_n": 2, "odd": true });
    let said = json!({
        "id": "rank-1", "model": "small", "usage": { "prompt_tokens": 9, "total_tokens": 9 },
        "results": [{ "index": 0, "relevance_score": 0.25, "document": { "text": "one" } }, { "index": 1, "relevance_score": 0.75 }],
    });
    let jina = check_endpoint(("/v1/rerank", "rerank"), &asked, &said, 9).await;
    let ranked = json!([
        { "index": 1, "relevance_score": 0.75, "document": { "text": "two" } },
        { "index": 0, "relevance_score": 0.25, "document": { "text": "one" } },
    ]);
    assert_eq!(
        (&jina["results"], &jina["usage"]["total_tokens"], &jina["model"]),
        (&ranked, &json!(9), &json!("small"))
    );
    let cohere = check_endpoint(("/v2/rerank", "rerank"), &asked, &said, 9).await;
    let ranked = json!([{ "index": 1, "relevance_score": 0.75 }, { "index": 0, "relevance_score": 0.25 }]);
    assert_eq!((&cohere["results"], &cohere["id"]), (&ranked, &json!("rank-1")), "{cohere}");
    assert!(cohere["meta"].is_object(), "{cohere}");

    let stage = Stage::start().await;
    stage.upstream.then(Behaviour::Body(said));
    assert_eq!(stage.program.post("/v2/rerank", asked).await.status, 200);
    let came = stage.upstream.asked().pop().unwrap();
    assert_eq!(
        (came.path.as_str(), &came.body["documents"], &came.body["odd"]),
        ("/v1/rerank", &documents, &json!(true))
    );
    let many = vec!["one"; 1_001];
    for (body, field) in [
        (json!({ "model": "small", "documents": ["one"] }), "query"),
        (json!({ "model": "small", "query": "two", "documents": many }), "documents"),
        (json!({ "model": "small", "query": "two", "documents": ["one", 2] }), "documents[1]"),
    ] {
        names_field(&stage, "/v1/rerank", body, field).await;
    }
    let other = Stage::with(Setup::new(), UpstreamKind::Anthropic).await;
    names_field(&other, "/v1/rerank", json!({ "model": "small", "query": "two", "documents": ["one"] }), "model").await;
    let unknown = stage.program.post("/v2/nothing", json!({})).await;
    assert_eq!((unknown.status, &unknown.body["error"]["type"]), (404, &json!("invalid_request_error")), "{unknown:?}");
}

#[tokio::test]
async fn passes_moderations() {
    let asked = json!({ "model": "small", "input": ["one", "two"] });
    let said = json!({
        "id": "modr-1", "model": "small", "results": [{ "flagged": false, "categories": { "illicit": null } }],
        "usage": { "prompt_tokens": 4, "total_tokens": 4, "completion_tokens": 0 },
    });
    assert_eq!(check_endpoint(("/v1/moderations", "moderations"), &asked, &said, 4).await, said);

    // OpenAI reports no usage, and its requests may name no model.
    let setup = Setup::new().set("ai.model_map.omni-moderation-latest", "fake/small");
    let stage = Stage::with(setup, UpstreamKind::OpenAi).await;
    stage.upstream.then(Behaviour::Body(json!({ "id": "modr-1", "results": [] })));
    assert_eq!(stage.program.post("/v1/moderations", json!({ "input": "one" })).await.status, 200);
    let came = stage.upstream.asked().pop().unwrap();
    assert_eq!((came.path.as_str(), &came.body["model"]), ("/v1/moderations", &json!("small")));
    let rows = stage.anna.get("/r1/usage/requests").await.data();
    assert_eq!(
        (&rows["items"][0]["estimated"], &rows["items"][0]["output_tokens"]),
        (&json!(true), &json!(0)),
        "{rows}"
    );
    names_field(&stage, "/v1/moderations", json!({ "model": 7, "input": "one" }), "model").await;
}

#[tokio::test]
async fn passes_image_generations() {
    let asked = json!({ "model": "small", "prompt": "A cat", "n": 2, "size": "1024x1024" });
    let images = json!([{ "b64_json": "AA==" }, { "b64_json": "AA==" }]);
    let said = json!({ "created": 1, "data": images, "usage": { "input_tokens": 5, "output_tokens": 300, "total_tokens": 305 } });
    assert_eq!(check_endpoint(("/v1/images/generations", "images"), &asked, &said, 305).await, said);

    // Without usage, images are billed by the piece if the model has a price for it, and by an
    // estimate of tokens otherwise.
    let (stage, key, caller) = spending(100_000).await;
    let plain = json!({ "created": 1, "data": images });
    stage.upstream.always(Behaviour::Body(plain));
    assert_eq!(caller.post("/v1/images/generations", asked.clone()).await.status, 200);
    let estimated = spent(&stage, &key).await;
    assert!((2_000..2_100).contains(&estimated), "{estimated}");
    let price = json!({ "price": { "input": 0, "output": 1_000_000, "image": 3_000 } });
    stage.app.admin().await.put("/r1/admin/models/small", price).await.data();
    let answer = caller.post("/v1/images/generations", asked.clone()).await;
    assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some("6000")), "{answer:?}");

    let event = |name: &str| json!({ "type": format!("image_generation.{name}"), "b64_json": "AA==" });
    let mut completed = event("completed");
    completed["usage"] = json!({ "input_tokens": 5, "output_tokens": 300 });
    let events = vec![event("partial_image"), completed];
    stage.upstream.then(Behaviour::Frames(events.clone()));
    let streamed = json!({ "model": "small", "prompt": "A cat", "stream": true, "partial_images": 1 });
    assert_eq!(frames(&caller.post("/v1/images/generations", streamed).await), events);
    assert_eq!(spent(&stage, &key).await, estimated + 6_000 + 300);
    for (more, field) in [
        (json!({ "n": 11 }), "n"),
        (json!({ "n": "many" }), "n"),
        (json!({ "image": { "file_id": "file-1" } }), "image.file_id"),
    ] {
        let mut asked = asked.clone();
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        names_field(&stage, "/v1/images/generations", asked, field).await;
    }
}

#[tokio::test]
async fn passes_image_edits() {
    let (stage, key, caller) = spending(100_000).await;
    let part =
        |head: &str, content: &str| format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n{content}\r\n");
    let file = |name: &str| part(&format!("name=\"{name}\"; filename=\"cat.png\"\r\ncontent-type: image/png"), "PNG");
    let form = |more: &str| {
        let fields = part("name=\"prompt\"", "A hat") + &part("name=\"model\"", "small") + more;
        file("image[]") + &file("image[]") + &file("mask") + &fields + "--b--\r\n"
    };
    let send = async |body: String| {
        let request = caller.request(Method::POST, "/v1/images/edits");
        caller.send(request.header("content-type", "multipart/form-data; boundary=b").body(body)).await
    };
    let said = json!({ "created": 1, "data": [{ "b64_json": "AA==" }], "usage": { "input_tokens": 500, "output_tokens": 300 } });
    stage.upstream.always(Behaviour::Body(said.clone()));
    let answer = send(form("")).await;
    assert_eq!((answer.status, &answer.body, answer.header("x-natter-cost")), (200, &said, Some("800")), "{answer:?}");
    assert_eq!(spent(&stage, &key).await, 800);
    let came = stage.upstream.asked().pop().unwrap();
    let text = String::from_utf8_lossy(&came.bytes);
    assert_eq!(
        (came.path.as_str(), text.matches("name=\"image[]\"; filename=\"cat.png\"").count()),
        ("/v1/images/edits", 2),
        "{text}"
    );
    assert!(text.contains("name=\"mask\"") && text.contains("A hat") && text.contains("PNG"), "{text}");
    for (name, value) in [("n", "0"), ("images[0][file_id]", "file-1")] {
        let refused = send(form(&part(&format!("name=\"{name}\""), value))).await;
        assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!(name)), "{refused:?}");
    }
    assert_eq!(send("{}".to_owned()).await.status, 400);
}

#[tokio::test]
async fn passes_speech() {
    let asked = json!({ "model": "small", "input": "twenty characters...", "voice": "alloy", "speed": 1.5 });
    let (stage, key, caller) = spending(100_000).await;
    stage.upstream.always(Behaviour::Audio(b"ID3 sound".to_vec()));
    let answer = caller.post("/v1/audio/speech", asked.clone()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("audio/mpeg")), "{answer:?}");
    assert_eq!(answer.text(), "ID3 sound");
    let came = stage.upstream.asked().pop().unwrap();
    assert_eq!((came.path.as_str(), &came.body["speed"]), ("/v1/audio/speech", &json!(1.5)));
    // Five tokens of text, and five times as many of audio.
    assert_eq!(spent(&stage, &key).await, 30);
    let rows = stage.anna.get("/r1/usage/requests").await.data();
    let recorded = (&rows["items"][0]["endpoint"], &rows["items"][0]["estimated"], &rows["items"][0]["status"]);
    assert_eq!(recorded, (&json!("speech"), &json!(true), &json!(200)), "{rows}");

    let done =
        json!({ "type": "speech.audio.done", "usage": { "input_tokens": 4, "output_tokens": 9, "total_tokens": 13 } });
    let events = vec![json!({ "type": "speech.audio.delta", "audio": "SUQz" }), done];
    stage.upstream.then(Behaviour::Frames(events.clone()));
    let mut stream = asked.clone();
    stream["stream_format"] = json!("sse");
    assert_eq!(frames(&caller.post("/v1/audio/speech", stream.clone()).await), events);
    assert_eq!(spent(&stage, &key).await, 30 + 13);
    // Some servers ignore the format.
    let streamed = frames(&caller.post("/v1/audio/speech", stream).await);
    assert_eq!(streamed[0], json!({ "type": "speech.audio.delta", "audio": "SUQzIHNvdW5k" }));

    // A recording that breaks off must not look complete.
    stage.upstream.then(Behaviour::CutAudio(b"ID3".to_vec()));
    let mut response = caller.request(Method::POST, "/v1/audio/speech").json(&asked).send().await.unwrap();
    let mut end = response.chunk().await;
    while matches!(end, Ok(Some(_))) {
        end = response.chunk().await;
    }
    assert!(end.is_err(), "{end:?}");
    names_field(&stage, "/v1/audio/speech", json!({ "model": "small", "voice": "alloy" }), "input").await;
    let other = keys::make(&stage.anna, json!({ "endpoints": ["transcriptions"] })).await;
    assert_eq!(keys::program(&stage.app, &other).post("/v1/audio/speech", asked.clone()).await.status, 403);

    let Two { stage, second } = Two::start("key-one").await;
    stage.upstream.always(Behaviour::Refuse(500, None));
    second.always(Behaviour::Audio(b"ID3 sound".to_vec()));
    let answer = stage.program.post("/v1/audio/speech", asked).await;
    assert_eq!((answer.status, answer.header("x-natter-model")), (200, Some("other")), "{answer:?}");
}

#[tokio::test]
async fn gemini_speaks_in_a_chat() {
    let stage = Stage::with(Setup::new(), UpstreamKind::Gemini).await;
    let part = json!({ "inlineData": { "mimeType": "audio/L16;rate=24000", "data": "AQIDBA==" } });
    stage.upstream.always(Behaviour::Body(json!({
        "candidates": [{ "content": { "role": "model", "parts": [part] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7 },
    })));
    let mut asked = json!({ "model": "small", "input": "Hi.", "voice": "alloy", "response_format": "pcm" });
    let answer = stage.program.post("/v1/audio/speech", asked.clone()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("audio/pcm")), "{answer:?}");
    assert_eq!(answer.text(), "\u{1}\u{2}\u{3}\u{4}");
    let config = stage.upstream.asked().pop().unwrap().body["generationConfig"].clone();
    assert_eq!(config["responseModalities"], json!(["AUDIO"]), "{config}");
    asked["stream_format"] = json!("sse");
    let events = frames(&stage.program.post("/v1/audio/speech", asked.clone()).await);
    assert_eq!(events[0]["audio"], "AQIDBA==");
    assert_eq!(events[1]["usage"], json!({ "input_tokens": 5, "output_tokens": 2, "total_tokens": 7 }));
    asked["response_format"] = json!("mp3");
    names_field(&stage, "/v1/audio/speech", asked, "response_format").await;

    let chat = json!({ "model": "small", "modalities": ["text", "audio"], "audio": { "voice": "Kore", "format": "wav" },
        "messages": [{ "role": "user", "content": "Say hi" }] });
    let answer = stage.program.post("/v1/chat/completions", chat).await;
    let data = answer.body["choices"][0]["message"]["audio"]["data"].as_str();
    assert!(data.is_some_and(|data| data.starts_with("UklGR")), "{answer:?}");
}

#[tokio::test]
async fn passes_audio_of_chat_completions() {
    let stage = Stage::start().await;
    let audio = json!({ "id": "audio_1", "data": "SUQz", "expires_at": 1, "transcript": "Hi." });
    let message = json!({ "role": "assistant", "content": null, "audio": audio });
    stage.upstream.then(Behaviour::Body(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "small",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 },
    })));
    let mut chat = question(false);
    chat["modalities"] = json!(["text", "audio"]);
    chat["audio"] = json!({ "voice": "alloy", "format": "mp3" });
    let answer = stage.program.post("/v1/chat/completions", chat.clone()).await;
    assert_eq!(answer.body["choices"][0]["message"]["audio"], audio, "{answer:?}");
    let came = stage.upstream.asked().pop().unwrap().body;
    assert_eq!((&came["modalities"], &came["audio"]), (&chat["modalities"], &chat["audio"]));
}

#[tokio::test]
async fn refuses_the_realtime_api() {
    let stage = Stage::start().await;
    for answer in [stage.program.get("/v1/realtime").await, stage.program.post("/v1/realtime", json!({})).await] {
        assert_eq!((answer.status, &answer.body["error"]["code"]), (404, &json!("unsupported_endpoint")), "{answer:?}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains("/v1/chat/completions"), "{answer:?}");
    }
    let upgrade = stage.program.request(Method::GET, "/v1/realtime?model=small");
    let upgrade = upgrade.header("connection", "upgrade").header("upgrade", "websocket");
    let answer = stage.program.send(upgrade).await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (404, &json!("unsupported_endpoint")), "{answer:?}");
    for path in ["/v1/nothing", "/v1/assistants", "/v1/audio"] {
        let answer = stage.program.post(path, json!({})).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["type"]),
            (404, &json!("invalid_request_error")),
            "{answer:?}"
        );
    }
}
