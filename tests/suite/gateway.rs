//! Gateway APIs (`/v1`, `/api`, `/openai`), which programs call with API keys.

mod added;
mod answers;
mod azure;
mod background;
mod batches;
mod budgets;
mod cache;
mod cluster;
mod files;
mod gemini;
mod key_parts;
mod keys;
mod leaving;
mod model_lists;
mod models;
mod money;
mod nonsense;
mod ollama;
mod passing;
mod passthrough;
mod pictures;
mod provider_batches;
mod refusals;
mod responses;
mod samples;
mod secrets;
mod service_accounts;
mod translation;
mod tries;
mod usage;
mod web_search;

use support::{Answer, Application, Behaviour, Member, Setup, Upstream, UpstreamKind, Value, json};

pub(crate) use samples::sample_calls;

/// Application with an AI provider, and a program that has an API key.
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

/// Paths of the three API styles.
const API_STYLES: [&str; 3] = ["/v1/chat/completions", "/v1/responses", "/v1/messages"];

/// Question to the model `small`, in the format of this API style.
fn asked_at(style: &str, stream: bool) -> Value {
    match style {
        "/v1/responses" => json!({ "model": "small", "stream": stream, "max_output_tokens": 100, "input": "Hello?" }),
        _ => question(stream),
    }
}

/// Returns the frames of a streamed answer, without the `[DONE]` at the end of chat completions.
#[track_caller]
fn frames(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("{data}"))).collect()
}

/// Returns the text of a streamed answer.
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

/// Question to the model `small`, in a format that all API styles except responses accept.
fn question(stream: bool) -> Value {
    let messages = json!([{ "role": "user", "content": "Hello?" }]);
    json!({ "model": "small", "stream": stream, "max_tokens": 100, "messages": messages })
}
