//! Complete and streamed answers.

use reqwest::Method;
use support::{Caller, Credentials};

use super::*;

#[tokio::test]
async fn answers_name_the_model_that_produced_them() {
    let stage = Stage::start().await;
    stage.upstream.then(Behaviour::answer("Hello there."));
    let answer = stage.program.post("/v1/chat/completions", question(false)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["choices"][0]["message"]["content"], "Hello there.");
    assert_eq!(
        (answer.header("x-natter-model"), answer.header("content-type")),
        (Some("small"), Some("application/json"))
    );
    assert!(answer.header("x-natter-cost").is_some() && answer.header("x-request-id").is_some(), "{answer:?}");
    assert_eq!(answer.header("x-natter-tries"), Some("1"));
    assert!(answer.header("openai-processing-ms").unwrap().parse::<u64>().is_ok(), "{answer:?}");
    // The provider gets its own key and not that of the program.
    let asked = stage.upstream.asked();
    assert_eq!((asked[0].key.as_deref(), &asked[0].body["model"]), (Some("key-one"), &json!("small")));
    // The key can also be sent in Anthropic's header.
    let key = stage.program.access_token().to_owned();
    let nobody = Caller::new(&stage.app.url(), Credentials::None);
    let request = nobody.request(Method::POST, "/v1/chat/completions").header("x-api-key", key).json(&question(false));
    assert_eq!(nobody.send(request).await.status, 200);
}

#[tokio::test]
async fn streams_an_answer_as_it_is_generated() {
    let stage = Stage::start().await;
    stage.upstream.then(Behaviour::step("One two three."));
    let request = stage.program.request(Method::POST, "/v1/chat/completions").json(&question(true));
    let sending = tokio::spawn(request.send());
    stage.upstream.release(1);
    let mut response = sending.await.unwrap().unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-natter-model"], "small");
    let mut text = String::new();
    while !text.contains("One ") {
        text.push_str(&String::from_utf8_lossy(&response.chunk().await.unwrap().unwrap()));
    }
    assert!(!text.contains("two "), "the text arrived too early: {text}");
    stage.upstream.release(2);
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.contains("three.") && text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn sends_keep_alives_on_a_silent_stream() {
    let stage = Stage::with(Setup::new().set("gateway.heartbeat_seconds", 1), UpstreamKind::OpenAi).await;
    let pings =
        [("/v1/chat/completions", ": ping\n\n"), ("/v1/messages", "event: ping\ndata: {\"type\":\"ping\"}\n\n")];
    for (path, ping) in pings {
        stage.upstream.then(Behaviour::stall("One two "));
        let mut response = stage.program.request(Method::POST, path).json(&question(true)).send().await.unwrap();
        let mut text = String::new();
        while text.matches(ping).count() < 2 {
            text.push_str(&String::from_utf8_lossy(&response.chunk().await.unwrap().unwrap()));
        }
    }
}

/// Reads until `part` has occurred this many times.
async fn read_until(response: &mut reqwest::Response, text: &mut String, part: &str, times: usize) {
    while text.matches(part).count() < times {
        let chunk = response.chunk().await.unwrap().unwrap_or_else(|| panic!("ended: {text}"));
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
}

/// A stream of Gemini starts only with the first word.
#[tokio::test]
async fn sends_keep_alives_before_the_first_token_and_reports_late_errors() {
    let setup = Setup::new().set("gateway.heartbeat_seconds", 1).set("ai.answer_timeout", 6);
    let stage = Stage::with(setup, UpstreamKind::Gemini).await;
    for style in API_STYLES {
        stage.upstream.then(Behaviour::step("One two."));
        let mut response =
            stage.program.request(Method::POST, style).json(&asked_at(style, true)).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        let mut text = String::new();
        read_until(&mut response, &mut text, "ping\n", 2).await;
        stage.upstream.release(2);
        while let Some(chunk) = response.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert!(text.contains("\"One \"") && text.contains("\"two.\"") && !text.contains("rror\":{"), "{text}");
    }
    // If no provider responds, the stream reports the error, and the usage log records it.
    stage.upstream.always(Behaviour::Hang);
    for (style, kind) in API_STYLES.iter().zip(["\"code\":\"timeout\"", "\"code\":\"timeout\"", "timeout_error"]) {
        let answer = stage.program.post(style, asked_at(style, true)).await;
        let text = answer.text();
        assert!(answer.status == 200 && text.contains("ping\n") && text.contains(kind), "{style}: {text}");
        assert!(!text.contains("[DONE]") && !text.contains("message_stop"), "{text}");
    }
    let rows = stage.anna.get("/r1/usage/requests").await.data();
    assert_eq!((&rows["items"][0]["status"], &rows["items"][0]["cost"]), (&json!(504), &json!(0)), "{rows}");
    assert_eq!(rows["items"][3]["status"], 200, "{rows}");
}

#[tokio::test]
async fn ends_an_interrupted_stream_with_an_error() {
    let stage = Stage::start().await;
    for broken in [Behaviour::cut("One two "), Behaviour::garbage("One two "), Behaviour::fail("One two ")] {
        stage.upstream.then(broken);
        let answer = stage.program.post("/v1/chat/completions", question(true)).await;
        let text = answer.text();
        assert!(answer.status == 200 && text.contains("two "), "{answer:?}");
        assert!(text.contains("\"error\":{") && !text.contains("[DONE]"), "{text}");
    }
}

#[tokio::test]
async fn lists_the_models_of_a_key_in_each_clients_format() {
    let stage = Stage::start().await;
    let list = stage.program.get("/v1/models").await;
    let ids: Vec<&str> = list.body["data"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(list.body["object"], "list");
    assert_eq!(ids.iter().filter(|id| **id == "small" || **id == "large").count(), 2, "{list:?}");
    let one = stage.program.get("/v1/models/small").await;
    assert_eq!((&one.body["id"], &one.body["object"]), (&json!("small"), &json!("model")));
    assert_eq!(stage.program.get("/v1/models/fake%2Fsmall").await.status, 200);
    let other = stage.program.get("/v1/models/other").await;
    assert_eq!((other.status, &other.body["error"]["code"]), (404, &json!("model_not_found")), "{other:?}");
    let request = stage.program.request(Method::GET, "/v1/models").header("anthropic-version", "2026-10-21");
    let list = stage.program.send(request).await;
    assert_eq!((&list.body["has_more"], &list.body["data"][0]["type"]), (&json!(false), &json!("model")), "{list:?}");
}

#[tokio::test]
async fn returns_embeddings_in_the_requested_encoding() {
    let stage = Stage::start().await;
    let body = json!({ "model": "small", "input": ["one", "two"], "encoding_format": "float" });
    let answer = stage.program.post("/v1/embeddings", body).await;
    assert_eq!((answer.status, &answer.body["data"][1]["embedding"]), (200, &json!([0.5, -1.0, 2.0])), "{answer:?}");
    let body = json!({ "model": "small", "input": "one", "encoding_format": "base64" });
    let answer = stage.program.post("/v1/embeddings", body).await;
    assert_eq!(answer.body["data"][0]["embedding"], "AAAAPwAAgL8AAABA", "{answer:?}");
    assert_eq!(stage.program.post("/v1/embeddings", json!({ "model": "small" })).await.status, 400);
}

#[tokio::test]
async fn transcribes_a_recording() {
    let stage = Stage::start().await;
    let form = |model: &str| {
        format!(
            "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\ncontent-type: audio/wav\r\n\r\nRIFF\r\n\
             --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b--\r\n"
        )
    };
    let send = async |body: String| {
        let request = stage.program.request(Method::POST, "/v1/audio/transcriptions");
        stage.program.send(request.header("content-type", "multipart/form-data; boundary=b").body(body)).await
    };
    let answer = send(form("small")).await;
    assert_eq!((answer.status, &answer.body["text"]), (200, &json!("What was said.")), "{answer:?}");
    // One model ignores that a stream was requested, and another rejects the parameter.
    let with = |name: &str, value: &str| {
        form("small").replace(
            "--b--",
            &format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--b--"),
        )
    };
    let streamed = send(with("stream", "true")).await;
    assert_eq!((streamed.status, streamed.header("content-type")), (200, Some("text/event-stream")));
    assert!(streamed.text().contains("\"type\":\"transcript.text.done\""), "{streamed:?}");
    assert_eq!(send(with("response_format", "diarized_json")).await.status, 200);
    assert_eq!(send(with("response_format", "xml")).await.body["error"]["param"], "response_format");
    let request = stage.program.request(Method::POST, "/v1/audio/translations");
    let request = request.header("content-type", "multipart/form-data; boundary=b").body(form("small"));
    let translated = stage.program.send(request).await;
    assert_eq!((translated.status, &translated.body["text"]), (200, &json!("What it means.")), "{translated:?}");
    assert_eq!(send(form("other")).await.status, 404);
    for broken in ["", "--b\r\n", "{}"] {
        assert_eq!(send(broken.to_owned()).await.status, 400, "{broken}");
    }
}

#[tokio::test]
async fn counts_tokens() {
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        let answer = stage.program.post("/v1/messages/count_tokens", question(false)).await;
        assert!(answer.status == 200 && answer.body["input_tokens"].as_u64() > Some(0), "{kind:?}: {answer:?}");
    }
}
