//! The gateway: `/v1`, as programs with keys call it.

mod answers;
mod budgets;
mod cache;
mod keys;
mod leaving;
mod models;
mod refusals;
mod usage;

use support::{Application, Behaviour, Member, Setup, Upstream, UpstreamKind, Value, json};

/// An application with one provider, and a program of somebody's that may ask it.
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

/// A question to the model `small`, for any of the three doors.
fn question(stream: bool) -> Value {
    let messages = json!([{ "role": "user", "content": "Hello?" }]);
    json!({ "model": "small", "stream": stream, "max_tokens": 100, "messages": messages })
}
