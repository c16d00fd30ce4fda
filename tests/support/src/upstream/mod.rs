//! Fake AI provider controlled by the test.
//!
//! Implements minimal HTTP on a raw socket, so that it can stall or cut a stream at any point and detect disconnects.

mod anthropic;
mod dialect;
mod gemini;
mod openai;
mod wire;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use dialect::Dialect;
use wire::Writer;

/// API format of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamKind {
    OpenAi,
    Gemini,
    Anthropic,
}

/// Reaction to one request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Streams these words, then ends properly.
    Answer(Vec<String>),
    /// Calls tools: names, and arguments as JSON.
    CallTools(Vec<(String, Value)>),
    /// Streams these words, one per [`Upstream::release`], then ends properly.
    Step(Vec<String>),
    /// Streams these words, then stalls with the connection open.
    Stall(Vec<String>),
    /// Sends nothing, not even a response head.
    Hang,
    /// Streams these words, then cuts the connection.
    Cut(Vec<String>),
    /// Streams these words, then invalid bytes.
    Garbage(Vec<String>),
    /// Streams reasoning, then words.
    Thinking(String, Vec<String>),
    /// Streams these words, then an error frame.
    Fail(Vec<String>),
    /// Streams these words byte by byte, then ends properly.
    Crumbs(Vec<String>),
    /// Streams frames with these data, then ends the body.
    Frames(Vec<Value>),
    /// Answers 200 with this body for any request.
    Body(Value),
    /// Refuses with a status and `Retry-After` in seconds, which Gemini puts into the body.
    Refuse(u16, Option<u32>),
    /// Refuses with a custom body.
    RefuseWith(u16, Option<u32>, Value),
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
    pub fn garbage(text: &str) -> Self {
        Self::Garbage(words(text))
    }

    #[must_use]
    pub fn crumbs(text: &str) -> Self {
        Self::Crumbs(words(text))
    }

    #[must_use]
    pub fn thinking(thought: &str, text: &str) -> Self {
        Self::Thinking(thought.to_owned(), words(text))
    }

    #[must_use]
    pub fn fail(text: &str) -> Self {
        Self::Fail(words(text))
    }

    #[must_use]
    pub fn call_tool(name: &str, arguments: Value) -> Self {
        Self::CallTools(vec![(name.to_owned(), arguments)])
    }
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    /// API key, from the header or query of this format.
    pub key: Option<String>,
    pub body: Value,
    /// Raw body, which may not be JSON.
    pub bytes: Vec<u8>,
}

/// A running provider; ends with the test.
pub struct Upstream {
    kind: UpstreamKind,
    port: u16,
    shared: Arc<Shared>,
    count: watch::Receiver<usize>,
    left: watch::Receiver<Vec<Instant>>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    dialect: Dialect,
    plan: Mutex<VecDeque<Behaviour>>,
    usual: Mutex<Behaviour>,
    /// Reaction to embedding requests: answer, refuse, hang, or wait for a [release](Upstream::release) each time.
    embedding: Mutex<Behaviour>,
    asked: Mutex<Vec<Asked>>,
    count: watch::Sender<usize>,
    /// Times at which callers disconnected before their answer was complete.
    left: watch::Sender<Vec<Instant>>,
    steps: Semaphore,
}

impl UpstreamKind {
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Gemini, Self::Anthropic];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::Anthropic => "anthropic",
        }
    }
}

impl Upstream {
    /// Starts a provider that answers "Hello from the upstream." by default.
    pub async fn start(kind: UpstreamKind) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("free port");
        let port = listener.local_addr().expect("bound address").port();
        let (told, count) = watch::channel(0);
        let (leave, left) = watch::channel(Vec::new());
        let shared = Arc::new(Shared {
            dialect: Dialect(kind),
            plan: Mutex::default(),
            usual: Mutex::new(Behaviour::answer("Hello from the upstream.")),
            embedding: Mutex::new(Behaviour::Answer(Vec::new())),
            asked: Mutex::default(),
            count: told,
            left: leave,
            steps: Semaphore::new(0),
        });
        let serving = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // Callers may disconnect during a stream.
                tokio::spawn(async move { serve(stream, &shared).await.ok() });
            }
        });
        Self { kind, port, shared, count, left, server }
    }

    #[must_use]
    pub fn kind(&self) -> UpstreamKind {
        self.kind
    }

    /// URL with the version segment, as in `ai.providers.*.base_url`.
    #[must_use]
    pub fn url(&self) -> String {
        let version = match self.kind {
            UpstreamKind::OpenAi | UpstreamKind::Anthropic => "v1",
            UpstreamKind::Gemini => "v1beta",
        };
        format!("http://127.0.0.1:{}/{version}", self.port)
    }

    /// Queues the reaction to the next request.
    pub fn then(&self, behaviour: Behaviour) {
        lock(&self.shared.plan).push_back(behaviour);
    }

    /// Sets the reaction to requests without a queued one.
    pub fn always(&self, behaviour: Behaviour) {
        *lock(&self.shared.usual) = behaviour;
    }

    /// Sets the reaction to embedding requests; the words are ignored.
    pub fn embed(&self, behaviour: Behaviour) {
        *lock(&self.shared.embedding) = behaviour;
    }

    /// Allows [`Behaviour::Step`] to send this many more words.
    pub fn release(&self, words: usize) {
        self.shared.steps.add_permits(words);
    }

    /// Requests received so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// Waits until this many requests arrived in total.
    pub async fn wait_until_asked(&mut self, times: usize) {
        let wait = self.count.wait_for(|count| *count >= times);
        let asked = tokio::time::timeout(crate::PATIENCE, wait).await;
        assert!(asked.is_ok(), "the upstream received {} requests, not {times}", lock(&self.shared.asked).len());
    }

    /// Waits until this many callers disconnected early; returns the time of the last one.
    pub async fn wait_until_left(&mut self, times: usize) -> Instant {
        let wait = self.left.wait_for(|left| left.len() >= times);
        match tokio::time::timeout(crate::PATIENCE, wait).await {
            Ok(Ok(left)) => left[times - 1],
            _ => panic!("fewer than {times} callers disconnected from the upstream"),
        }
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

/// Words with their spaces, so that joining them restores the text.
fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// Answers one request while watching for a disconnect.
async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let asked = wire::read_request(&mut stream).await?;
    stream.set_nodelay(true)?;
    let (mut reader, writer) = stream.split();
    let mut writer = Writer(writer);
    let answered = async {
        let answered = answer(&mut writer, shared, asked).await;
        if answered.is_err() {
            left(shared);
        }
        answered
    };
    let mut more = [0; 64];
    tokio::select! {
        answered = answered => answered,
        _ = reader.read(&mut more) => {
            left(shared);
            Ok(())
        }
    }
}

fn left(shared: &Shared) {
    shared.left.send_modify(|left| left.push(Instant::now()));
}

async fn answer(writer: &mut Writer<'_>, shared: &Shared, asked: Asked) -> std::io::Result<()> {
    let dialect = shared.dialect;
    if let Some(fixed) = dialect.fixed(&asked) {
        let is_embedding = asked.path.contains("mbed");
        lock(&shared.asked).push(asked);
        shared.count.send_modify(|count| *count += 1);
        let behaviour = lock(&shared.embedding).clone();
        match behaviour {
            Behaviour::Refuse(status, retry_after) if is_embedding => {
                return writer.respond(status, retry_after, &dialect.refusal(status, retry_after)).await;
            }
            Behaviour::Hang if is_embedding => std::future::pending().await,
            Behaviour::Step(_) if is_embedding => {
                shared.steps.acquire().await.map_err(std::io::Error::other)?.forget();
            }
            _ => {}
        }
        return writer.respond(200, None, &fixed).await;
    }
    if asked.path.contains("/models") && asked.body.is_null() {
        return writer.respond(200, None, &dialect.models()).await;
    }
    let streams = dialect.streams(&asked);
    lock(&shared.asked).push(asked);
    shared.count.send_modify(|count| *count += 1);
    let planned = lock(&shared.plan).pop_front();
    let behaviour = planned.unwrap_or_else(|| lock(&shared.usual).clone());
    match behaviour {
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Refuse(status, retry_after) => {
            writer.respond(status, retry_after, &dialect.refusal(status, retry_after)).await
        }
        Behaviour::RefuseWith(status, retry_after, body) => writer.respond(status, retry_after, &body).await,
        Behaviour::Answer(words) if !streams => writer.respond(200, None, &dialect.whole(&words.concat())).await,
        Behaviour::CallTools(calls) if !streams => writer.respond(200, None, &dialect.whole_calls(&calls)).await,
        Behaviour::Body(body) => writer.respond(200, None, &body).await,
        Behaviour::Frames(frames) => {
            writer.begin().await?;
            for frame in &frames {
                writer.chunk(&dialect::data(frame)).await?;
            }
            writer.end().await
        }
        Behaviour::Crumbs(words) => {
            writer.begin().await?;
            let frames = [dialect.head()].into_iter().chain(words.iter().map(|word| dialect.word(word)));
            let all: String = frames.chain(dialect.tail(words.len())).collect();
            for byte in all.as_bytes() {
                writer.bytes(&[*byte]).await?;
            }
            writer.end().await
        }
        Behaviour::CallTools(calls) => {
            writer.begin().await?;
            for frame in dialect.calls(&calls) {
                writer.chunk(&frame).await?;
            }
            writer.end().await
        }
        Behaviour::Thinking(thought, words) => {
            writer.begin().await?;
            writer.chunk(&dialect.thought(&thought)).await?;
            say(writer, shared, &words, false).await?;
            finish(writer, dialect, words.len()).await
        }
        Behaviour::Answer(words) => {
            begin(writer, shared, &words, false).await?;
            finish(writer, dialect, words.len()).await
        }
        Behaviour::Step(words) => {
            begin(writer, shared, &words, true).await?;
            finish(writer, dialect, words.len()).await
        }
        Behaviour::Stall(words) => {
            begin(writer, shared, &words, false).await?;
            // Until the client gives up.
            std::future::pending().await
        }
        Behaviour::Cut(words) => {
            begin(writer, shared, &words, false).await?;
            // The final chunk is missing.
            writer.shutdown().await
        }
        Behaviour::Garbage(words) => {
            begin(writer, shared, &words, false).await?;
            writer.chunk("data: {\"cho\u{0}ices\": [[[\n\ndata: 17\n\n<html>nonsense</html>\n\n").await?;
            writer.end().await
        }
        Behaviour::Fail(words) => {
            begin(writer, shared, &words, false).await?;
            writer.chunk(&dialect.failure()).await?;
            writer.end().await
        }
    }
}

async fn begin(writer: &mut Writer<'_>, shared: &Shared, words: &[String], step: bool) -> std::io::Result<()> {
    writer.begin().await?;
    say(writer, shared, words, step).await
}

async fn say(writer: &mut Writer<'_>, shared: &Shared, words: &[String], step: bool) -> std::io::Result<()> {
    let head = shared.dialect.head();
    if !head.is_empty() {
        writer.chunk(&head).await?;
    }
    for word in words {
        if step {
            shared.steps.acquire().await.map_err(std::io::Error::other)?.forget();
        }
        writer.chunk(&shared.dialect.word(word)).await?;
    }
    Ok(())
}

async fn finish(writer: &mut Writer<'_>, dialect: Dialect, words: usize) -> std::io::Result<()> {
    for frame in dialect.tail(words) {
        writer.chunk(&frame).await?;
    }
    writer.end().await
}
