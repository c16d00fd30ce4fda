//! An AI provider that does what a test tells it to.
//!
//! It speaks just enough HTTP to be called by the server, and it is written on a bare socket, so that it can stall and cut a
//! stream wherever a test wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Which API it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamKind {
    OpenAi,
    Gemini,
}

/// What it does with one request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Streams these words, then ends properly.
    Answer(Vec<String>),
    /// Streams these words, each only when the test calls [`Upstream::release`]; then ends properly.
    Step(Vec<String>),
    /// Streams these words and falls silent, the connection open.
    Stall(Vec<String>),
    /// Streams these words and cuts the connection.
    Cut(Vec<String>),
    /// Streams these words and then bytes that mean nothing.
    Garbage(Vec<String>),
    /// Thinks this, then says that, as servers of OpenAI's kind do.
    Thinking(String, Vec<String>),
    /// Refuses: status, `Retry-After` in seconds.
    Refuse(u16, Option<u32>),
}

impl Behaviour {
    #[must_use]
    pub fn answer(text: &str) -> Self {
        Self::Answer(words(text))
    }

    #[must_use]
    pub fn step(text: &str) -> Self {
        Self::Step(words(text))
    }

    #[must_use]
    pub fn stall(text: &str) -> Self {
        Self::Stall(words(text))
    }

    #[must_use]
    pub fn cut(text: &str) -> Self {
        Self::Cut(words(text))
    }

    #[must_use]
    pub fn thinking(thought: &str, text: &str) -> Self {
        Self::Thinking(thought.to_owned(), words(text))
    }

    #[must_use]
    pub fn garbage(text: &str) -> Self {
        Self::Garbage(words(text))
    }
}

/// A request that it got.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    /// The API key, wherever this kind of API carries it.
    pub key: Option<String>,
    pub body: Value,
}

/// A running provider; it ends with the test.
pub struct Upstream {
    kind: UpstreamKind,
    port: u16,
    shared: Arc<Shared>,
    count: watch::Receiver<usize>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    kind: UpstreamKind,
    plan: Mutex<VecDeque<Behaviour>>,
    usual: Mutex<Behaviour>,
    asked: Mutex<Vec<Asked>>,
    count: watch::Sender<usize>,
    steps: Semaphore,
}

impl UpstreamKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
        }
    }
}

impl Upstream {
    /// Answers "Hello from the upstream." until it is told otherwise.
    pub async fn start(kind: UpstreamKind) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (told, count) = watch::channel(0);
        let shared = Arc::new(Shared {
            kind,
            plan: Mutex::default(),
            usual: Mutex::new(Behaviour::answer("Hello from the upstream.")),
            asked: Mutex::default(),
            count: told,
            steps: Semaphore::new(0),
        });
        let serving = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // A caller that goes away in mid-stream is nothing special.
                tokio::spawn(async move { serve(stream, &shared).await.ok() });
            }
        });
        Self { kind, port, shared, count, server }
    }

    #[must_use]
    pub fn kind(&self) -> UpstreamKind {
        self.kind
    }

    /// With the version segment, as `ai.providers.*.base_url` wants it.
    #[must_use]
    pub fn url(&self) -> String {
        let version = match self.kind {
            UpstreamKind::OpenAi => "v1",
            UpstreamKind::Gemini => "v1beta",
        };
        format!("http://127.0.0.1:{}/{version}", self.port)
    }

    /// What it does with the next request that nothing has been planned for yet.
    pub fn then(&self, behaviour: Behaviour) {
        lock(&self.shared.plan).push_back(behaviour);
    }

    /// What it does with every request for which nothing is planned.
    pub fn always(&self, behaviour: Behaviour) {
        *lock(&self.shared.usual) = behaviour;
    }

    /// Lets [`Behaviour::Step`] send so many words more.
    pub fn release(&self, words: usize) {
        self.shared.steps.add_permits(words);
    }

    /// What it has been asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// Waits until it has been asked so many times in all.
    pub async fn wait_until_asked(&mut self, times: usize) {
        let wait = self.count.wait_for(|count| *count >= times);
        let asked = tokio::time::timeout(crate::PATIENCE, wait).await;
        assert!(asked.is_ok(), "the upstream was asked {} times, not {times}", lock(&self.shared.asked).len());
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// With the spaces, so that together they are the text again.
fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let asked = read_request(&mut stream).await?;
    let streams = shared.kind == UpstreamKind::OpenAi && asked.body["stream"] == true
        || asked.path.contains("streamGenerateContent");
    if asked.path.contains("/models") && asked.body.is_null() {
        return respond(&mut stream, 200, None, &models(shared.kind)).await;
    }
    lock(&shared.asked).push(asked);
    shared.count.send_modify(|count| *count += 1);
    let planned = lock(&shared.plan).pop_front();
    let behaviour = planned.unwrap_or_else(|| lock(&shared.usual).clone());
    match behaviour {
        Behaviour::Refuse(status, retry_after) => {
            let body = refusal(shared.kind, status);
            respond(&mut stream, status, retry_after, &body).await
        }
        Behaviour::Answer(words) if !streams => {
            respond(&mut stream, 200, None, &whole(shared.kind, &words.concat())).await
        }
        Behaviour::Answer(words) => {
            begin(&mut stream).await?;
            write_words(&mut stream, shared, &words, false).await?;
            finish(&mut stream, shared.kind, words.len()).await
        }
        Behaviour::Thinking(thought, words) => {
            begin(&mut stream).await?;
            write_event(&mut stream, &openai_chunk(json!({ "reasoning_content": thought }), Value::Null)).await?;
            write_words(&mut stream, shared, &words, false).await?;
            finish(&mut stream, shared.kind, words.len()).await
        }
        Behaviour::Step(words) => {
            begin(&mut stream).await?;
            write_words(&mut stream, shared, &words, true).await?;
            finish(&mut stream, shared.kind, words.len()).await
        }
        Behaviour::Stall(words) => {
            begin(&mut stream).await?;
            write_words(&mut stream, shared, &words, false).await?;
            // Until the other side gives up.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.map(|_| ())
        }
        Behaviour::Cut(words) => {
            begin(&mut stream).await?;
            write_words(&mut stream, shared, &words, false).await?;
            // The body's end, which chunks announce, never comes.
            stream.shutdown().await
        }
        Behaviour::Garbage(words) => {
            begin(&mut stream).await?;
            write_words(&mut stream, shared, &words, false).await?;
            write_chunk(&mut stream, "data: {\"cho\u{0}ices\": [[[\n\ndata: 17\n\n<html>nonsense</html>\n\n").await?;
            stream.write_all(b"0\r\n\r\n").await
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(place) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break place + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or_default();
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let key = header("x-goog-api-key")
        .or_else(|| header("authorization").map(|value| value.trim_start_matches("Bearer ").to_owned()));
    Ok(Asked {
        path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
        key,
        body: serde_json::from_slice(&bytes[end..]).unwrap_or_default(),
    })
}

async fn respond(stream: &mut TcpStream, status: u16, retry_after: Option<u32>, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let retry = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\nconnection: close\r\n{retry}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn begin(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await
}

async fn write_chunk(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
}

async fn write_words(stream: &mut TcpStream, shared: &Shared, words: &[String], step: bool) -> std::io::Result<()> {
    if shared.kind == UpstreamKind::OpenAi {
        write_event(stream, &openai_chunk(json!({ "role": "assistant", "content": "" }), Value::Null)).await?;
    }
    for word in words {
        if step {
            shared.steps.acquire().await.map_err(std::io::Error::other)?.forget();
        }
        let event = match shared.kind {
            UpstreamKind::OpenAi => openai_chunk(json!({ "content": word }), Value::Null),
            UpstreamKind::Gemini => {
                json!({ "candidates": [{ "index": 0, "content": { "role": "model", "parts": [{ "text": word }] } }] })
            }
        };
        write_event(stream, &event).await?;
    }
    Ok(())
}

async fn finish(stream: &mut TcpStream, kind: UpstreamKind, words: usize) -> std::io::Result<()> {
    match kind {
        UpstreamKind::OpenAi => {
            write_event(stream, &openai_chunk(json!({}), json!("stop"))).await?;
            let usage = json!({ "prompt_tokens": 7, "completion_tokens": words, "total_tokens": 7 + words });
            write_event(stream, &json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [], "usage": usage })).await?;
            write_chunk(stream, "data: [DONE]\n\n").await?;
        }
        UpstreamKind::Gemini => {
            let last = json!({
                "candidates": [{ "index": 0, "content": { "role": "model", "parts": [{ "text": "" }] }, "finishReason": "STOP" }],
                "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": words, "totalTokenCount": 7 + words },
            });
            write_event(stream, &last).await?;
        }
    }
    stream.write_all(b"0\r\n\r\n").await?;
    stream.shutdown().await
}

async fn write_event(stream: &mut TcpStream, event: &Value) -> std::io::Result<()> {
    write_chunk(stream, &format!("data: {event}\n\n")).await
}

fn openai_chunk(delta: Value, finish_reason: Value) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }],
    })
}

fn whole(kind: UpstreamKind, text: &str) -> Value {
    match kind {
        UpstreamKind::OpenAi => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "small",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
        }),
        UpstreamKind::Gemini => json!({
            "candidates": [{ "index": 0, "content": { "role": "model", "parts": [{ "text": text }] }, "finishReason": "STOP" }],
        }),
    }
}

fn models(kind: UpstreamKind) -> Value {
    match kind {
        UpstreamKind::OpenAi => {
            json!({ "object": "list", "data": [{ "id": "small", "object": "model", "created": 1, "owned_by": "test" }] })
        }
        UpstreamKind::Gemini => json!({ "models": [{ "name": "models/small" }] }),
    }
}

fn refusal(kind: UpstreamKind, status: u16) -> Value {
    match kind {
        UpstreamKind::OpenAi => {
            json!({ "error": { "message": "refused by the test", "type": "server_error", "param": null, "code": null } })
        }
        UpstreamKind::Gemini => {
            let name = if status == 429 { "RESOURCE_EXHAUSTED" } else { "INTERNAL" };
            json!({ "error": { "code": status, "status": name, "message": "refused by the test" } })
        }
    }
}
