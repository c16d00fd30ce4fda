//! Client that behaves well: it reconnects, syncs from its cursors, drops duplicates, and records
//! what it receives.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::member::Member;
use crate::new_id;
use crate::place::wait_until;

/// Delay between connection attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// Time without an answer to a ping, after which the client considers the server gone.
const SILENCE: Duration = Duration::from_secs(3);

/// State of a conversation as the client knows it.
#[derive(Debug, Default)]
struct View {
    /// Sequence number and type of the accepted events, in order.
    seen: Vec<(i64, String)>,
    /// Events that have arrived too early.
    held: BTreeMap<i64, String>,
}

impl View {
    fn cursor(&self) -> i64 {
        self.seen.last().map_or(0, |(seq, _)| *seq)
    }

    fn take(&mut self, seq: i64, kind: &str) {
        if seq > self.cursor() {
            self.held.insert(seq, kind.to_owned());
        }
        while let Some(kind) = self.held.remove(&(self.cursor() + 1)) {
            let next = self.cursor() + 1;
            self.seen.push((next, kind));
        }
    }
}

#[derive(Debug, Default)]
struct Record {
    views: HashMap<String, View>,
    connections: u32,
    /// Number of live events that skipped a sequence number without a preceding `resync`.
    unannounced_jumps: u32,
    /// Number of live events that the client had already, while it was not catching up.
    repetitions: u32,
}

/// Client that follows all conversations of a member until it is dropped.
pub struct Follower {
    record: Arc<Mutex<Record>>,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Starts following; returns when the client is connected.
    pub async fn start(member: &Member) -> Self {
        let record: Arc<Mutex<Record>> = Arc::default();
        let task = tokio::spawn(run(member.clone(), Arc::clone(&record)));
        let follower = Self { record, task };
        wait_until("the follower connects", || async { follower.connections() > 0 }).await;
        follower
    }

    /// Number of connections up to now.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.lock().connections
    }

    /// Number of gaps that the server has not announced.
    #[must_use]
    pub fn unannounced_jumps(&self) -> u32 {
        self.lock().unannounced_jumps
    }

    /// Number of events that the server has sent again without a reason.
    #[must_use]
    pub fn repetitions(&self) -> u32 {
        self.lock().repetitions
    }

    /// Returns the sequence number and type of each event of a conversation, in order.
    #[must_use]
    pub fn seen(&self, conversation: &str) -> Vec<(i64, String)> {
        self.lock().views.get(conversation).map(|view| view.seen.clone()).unwrap_or_default()
    }

    /// Waits until the events of a conversation up to this sequence number were received.
    pub async fn wait_for(&self, conversation: &str, seq: i64) {
        wait_until(&format!("seq {seq} of {conversation} at a follower"), || async {
            self.lock().views.get(conversation).is_some_and(|view| view.cursor() >= seq)
        })
        .await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(member: Member, record: Arc<Mutex<Record>>) {
    loop {
        let _ = follow(&member, &record).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Follows over one connection until that ends.
async fn follow(member: &Member, record: &Mutex<Record>) -> Option<()> {
    let address = member.base().trim_start_matches("http://").to_owned();
    let mut request = format!("ws://{address}/r1/websocket").into_client_request().ok()?;
    request.headers_mut().extend(member.headers());
    let tcp = TcpStream::connect(&address).await.ok()?;
    let upgrade = tokio_tungstenite::client_async(request, tcp);
    let (mut stream, _) = tokio::time::timeout(SILENCE, upgrade).await.ok()?.ok()?;
    let lock = || record.lock().unwrap_or_else(PoisonError::into_inner);
    let mut synced = false;
    let mut pinged = false;
    loop {
        let message = match tokio::time::timeout(SILENCE, stream.next()).await {
            Ok(message) => message?.ok()?,
            Err(_) if pinged => return None,
            Err(_) => {
                pinged = true;
                send(&mut stream, "ping", json!({})).await?;
                continue;
            }
        };
        pinged = false;
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).ok()?;
        let payload = &frame["payload"];
        match frame["type"].as_str()? {
            "hello" => {
                let mut cursors = serde_json::Map::new();
                {
                    let mut record = lock();
                    record.connections += 1;
                    for conversation in payload["conversations"].as_array()? {
                        let id = conversation["id"].as_str()?;
                        let cursor = record.views.entry(id.to_owned()).or_default().cursor();
                        if conversation["last_seq"].as_i64()? > cursor {
                            cursors.insert(id.to_owned(), cursor.into());
                        }
                    }
                }
                send(&mut stream, "sync", json!({ "cursors": cursors })).await?;
            }
            "sync.done" => synced = true,
            "resync" => {
                synced = false;
                let cursors: serde_json::Map<String, Value> =
                    lock().views.iter().map(|(id, view)| (id.clone(), view.cursor().into())).collect();
                send(&mut stream, "sync", json!({ "cursors": cursors })).await?;
            }
            kind => {
                let (Some(id), Some(seq)) = (payload["conversation_id"].as_str(), payload["seq"].as_i64()) else {
                    continue;
                };
                let mut record = lock();
                let view = record.views.entry(id.to_owned()).or_default();
                let jumped = synced && seq > view.cursor() + 1;
                let is_repeated = synced && seq <= view.cursor();
                view.take(seq, kind);
                record.unannounced_jumps += u32::from(jumped);
                record.repetitions += u32::from(is_repeated);
            }
        }
    }
}

async fn send(stream: &mut WebSocketStream<TcpStream>, kind: &str, payload: Value) -> Option<()> {
    let envelope = json!({ "id": new_id(), "type": kind, "timestamp": "2026-01-01T00:00:00.000Z", "payload": payload });
    stream.send(Message::Text(envelope.to_string().into())).await.ok()
}
