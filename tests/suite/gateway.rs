//! Gateway API `/v1`, called by programs with API keys.

mod added;
mod answers;
mod budgets;
mod cache;
mod cluster;
mod keys;
mod leaving;
mod model_lists;
mod models;
mod money;
mod nonsense;
mod passing;
mod pictures;
mod refusals;
mod samples;
mod secrets;
mod translation;
mod tries;
mod usage;

use support::{Answer, Application, Behaviour, Member, Setup, Upstream, UpstreamKind, Value, json};

pub(crate) use samples::sample_calls;

/// An application with one provider, and a program with a key.
struct Stage {
    app: Application,
    upstream: Upstream,
    anna: Member,
    program: Member,
}

impl Stage {
    async fn start() -> Self {
        Self::with(Setup::new(), UpstreamKind::OpenAi).await
    }

    async fn with(setup: Setup, kind: UpstreamKind) -> Self {
        let upstream = Upstream::start(kind).await;
        let app = setup.provider(&upstream).start().await;
        let anna = app.sign_up("Anna").await;
        let program = anna.program(&["gateway"]).await;
        Self { app, upstream, anna, program }
    }
}

/// The three APIs.
const API_STYLES: [&str; 3] = ["/v1/chat/completions", "/v1/responses", "/v1/messages"];

/// A question to the model `small` in this API's format.
fn asked_at(style: &str, stream: bool) -> Value {
    match style {
        "/v1/responses" => json!({ "model": "small", "stream": stream, "max_output_tokens": 100, "input": "Hello?" }),
        _ => question(stream),
    }
}

/// Frames of a streamed answer, without the final `[DONE]` of chat completions.
#[track_caller]
fn frames(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("{data}"))).collect()
}

/// Text of a streamed answer.
#[track_caller]
fn streamed_text(answer: &Answer) -> String {
    let piece = |frame: &Value| {
        let delta = match frame["type"].as_str() {
            None => &frame["choices"][0]["delta"]["content"],
            Some("response.output_text.delta") => &frame["delta"],
            Some("content_block_delta") => &frame["delta"]["text"],
            Some(_) => &Value::Null,
        };
        delta.as_str().unwrap_or_default().to_owned()
    };
    frames(answer).iter().map(piece).collect()
}

/// A question to the model `small` for any API except responses.
fn question(stream: bool) -> Value {
    let messages = json!([{ "role": "user", "content": "Hello?" }]);
    json!({ "model": "small", "stream": stream, "max_tokens": 100, "messages": messages })
}
