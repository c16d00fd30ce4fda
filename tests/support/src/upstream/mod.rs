//! Fake AI provider controlled by the test.
//!
//! Implements only as much of HTTP as needed, on a raw socket, so that it can pause or cut a stream
//! at any point and notice when the caller disconnects.

mod anthropic;
mod batches;
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

pub use batches::{BatchJob, JobCreation, JobResult};
use batches::{Jobs, Reply};
use dialect::Dialect;
use wire::Writer;

/// API format of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamKind {
    OpenAi,
    Gemini,
    Anthropic,
}

/// Reaction of the provider to a request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Streams these words and ends the answer properly.
    Answer(Vec<String>),
    /// Calls tools: their names, and the arguments as JSON.
    CallTools(Vec<(String, Value)>),
    /// Streams these words, one for each [`Upstream::release`], and ends the answer properly.
    Step(Vec<String>),
    /// Streams these words, then sends nothing more, but keeps the connection open.
    Stall(Vec<String>),
    /// Sends nothing at all, not even the head of a response.
    Hang,
    /// Streams these words, then cuts the connection.
    Cut(Vec<String>),
    /// Streams these words, then sends invalid bytes.
    Garbage(Vec<String>),
    /// Streams the reasoning, then the words.
    Thinking(String, Vec<String>),
    /// Streams these words, then a frame with an error.
    Fail(Vec<String>),
    /// Streams these words byte by byte, and ends the answer properly.
    Crumbs(Vec<String>),
    /// Streams frames with these data, then ends the body.
    Frames(Vec<Value>),
    /// Answers any request with status 200 and this body.
    Body(Value),
    /// Answers any request with these bytes of audio.
    Audio(Vec<u8>),
    /// Streams these bytes of audio, then cuts the connection.
    CutAudio(Vec<u8>),
    /// Rejects the request with this status and a retry delay in seconds, in the header
    /// `Retry-After` or, for Gemini, in the body.
    Refuse(u16, Option<u32>),
    /// Rejects the request with this status, retry delay and body.
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

/// Request that was received.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// API key, taken from the header or the query, depending on the format.
    pub key: Option<String>,
    pub body: Value,
    /// Body as received; it may not be JSON.
    pub bytes: Vec<u8>,
}

/// Running provider. It ends with the test.
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
    /// Reaction to requests for embeddings: answer, refuse, hang, or wait for a
    /// [release](Upstream::release) each time.
    embedding: Mutex<Behaviour>,
    asked: Mutex<Vec<Asked>>,
    /// Jobs of the batch API. Its requests aren't among those that were `asked`.
    jobs: Mutex<Jobs>,
    count: watch::Sender<usize>,
    /// Times at which callers have disconnected before their answer was complete.
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
    /// Starts a provider. By default, it answers "Hello from the upstream."
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
            jobs: Mutex::default(),
            count: told,
            left: leave,
            steps: Semaphore::new(0),
        });
        let serving = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // An error is ignored, because callers may disconnect during a stream.
                tokio::spawn(async move { serve(stream, &shared).await.ok() });
            }
        });
        Self { kind, port, shared, count, left, server }
    }

    #[must_use]
    pub fn kind(&self) -> UpstreamKind {
        self.kind
    }

    /// Returns the URL with the version, as in the setting `ai.providers.*.base_url`.
    #[must_use]
    pub fn url(&self) -> String {
        let version = match self.kind {
            UpstreamKind::OpenAi | UpstreamKind::Anthropic => "v1",
            UpstreamKind::Gemini => "v1beta",
        };
        format!("http://127.0.0.1:{}/{version}", self.port)
    }

    /// Queues the reaction to one of the next requests.
    pub fn then(&self, behaviour: Behaviour) {
        lock(&self.shared.plan).push_back(behaviour);
    }

    /// Sets the reaction to requests for which none is queued.
    pub fn always(&self, behaviour: Behaviour) {
        *lock(&self.shared.usual) = behaviour;
    }

    /// Sets the reaction to requests for embeddings. The words of an answer are ignored.
    pub fn embed(&self, behaviour: Behaviour) {
        *lock(&self.shared.embedding) = behaviour;
    }

    /// Allows [`Behaviour::Step`] to send this number of further words.
    pub fn release(&self, words: usize) {
        self.shared.steps.add_permits(words);
    }

    /// Returns the requests received up to now.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// Jobs that were submitted to the batch API.
    #[must_use]
    pub fn jobs(&self) -> Vec<BatchJob> {
        lock(&self.shared.jobs).all()
    }

    /// Number of files of the batch API that are stored.
    #[must_use]
    pub fn stored_files(&self) -> usize {
        lock(&self.shared.jobs).stored_files()
    }

    /// Sets the reaction to the creation of jobs.
    pub fn on_job(&self, creation: JobCreation) {
        lock(&self.shared.jobs).creation = creation;
    }

    /// Sets the results of the first requests of each job. The others are answered, or cancelled with
    /// their job.
    pub fn plan_results(&self, results: &[JobResult]) {
        lock(&self.shared.jobs).results = results.to_vec();
    }

    /// Ends all jobs in progress.
    pub fn finish_jobs(&self) {
        lock(&self.shared.jobs).finish_all();
    }

    /// Waits until this number of requests has arrived in total.
    pub async fn wait_until_asked(&mut self, times: usize) {
        let wait = self.count.wait_for(|count| *count >= times);
        let asked = tokio::time::timeout(crate::PATIENCE, wait).await;
        assert!(asked.is_ok(), "the upstream received {} requests, not {times}", lock(&self.shared.asked).len());
    }

    /// Waits until this number of callers has disconnected early. Returns the time of the last one.
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

/// Splits a text into words with their spaces, so that joining these gives the text again.
fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// Answers a request, and notices meanwhile if the caller disconnects.
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
    let reply = lock(&shared.jobs).answer(dialect, &asked);
    match reply {
        Some(Reply::Json(status, body)) => return writer.respond(status, None, &body).await,
        Some(Reply::Lines(lines)) => return writer.respond_text(&lines).await,
        Some(Reply::Silent) => std::future::pending().await,
        None => {}
    }
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
        Behaviour::Audio(bytes) => {
            writer.start_as("audio/mpeg").await?;
            writer.bytes(&bytes).await?;
            writer.end().await
        }
        Behaviour::CutAudio(bytes) => {
            writer.start_as("audio/mpeg").await?;
            writer.bytes(&bytes).await?;
            writer.shutdown().await
        }
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
            // Waits until the client gives up.
            std::future::pending().await
        }
        Behaviour::Cut(words) => {
            begin(writer, shared, &words, false).await?;
            // The last chunk is missing, so the response is incomplete.
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
