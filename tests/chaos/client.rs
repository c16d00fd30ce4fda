//! WebSocket client that reads and sends. It keeps several messages in flight, resends those that
//! are not acknowledged, and syncs when needed. It only records what happens; the checker evaluates
//! the record.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use support::{Member, Value, json, new_id};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::evidence::{Chat, Did, Event, Reader, Seen, Writer, mark, now};
use crate::line::{Form, Incoming, Line, Over};

/// Maximum number of messages that are not acknowledged yet.
const OUTSTANDING: usize = 8;
/// Time without a frame after a ping, after which the client considers the server gone.
const SILENCE: Duration = Duration::from_secs(3);
const RECONNECT: Duration = Duration::from_millis(60);
/// Delay after which a sync that was refused is tried again.
const AGAIN: Duration = Duration::from_millis(400);
/// Percentage of messages before which the client sends a typing event.
const TYPES: usize = 20;
/// Percentage of events for which the client sends a read receipt.
const READS: usize = 5;

/// Instructions to the clients of a run.
#[derive(Clone, Debug)]
pub struct Orders {
    /// True while clients may create new messages.
    pub writes: bool,
    /// Incremented to make the clients with unreliable connections disconnect.
    pub drop_number: u64,
}

/// Indices of the conversations by their ids.
pub type Chats = Arc<HashMap<String, Chat>>;

/// Record of a client, which can be read while the client runs.
#[derive(Clone, Default)]
pub struct Notes {
    pub reader: Arc<Mutex<Reader>>,
    pub writer: Arc<Mutex<Writer>>,
    pub progress: Arc<Mutex<Progress>>,
    pub surprises: Arc<Mutex<Vec<String>>>,
    /// Marks of the texts that the client has removed.
    pub removed: Arc<Mutex<Vec<String>>>,
}

/// Progress of a client.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    pub cursors: HashMap<Chat, i64>,
    /// Number of unacknowledged messages.
    pub outstanding: usize,
}

pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Notes {
    pub fn new(name: &str, member: &Member) -> Self {
        let notes = Self::default();
        *lock(&notes.reader) =
            Reader { name: name.into(), user: member.id.clone(), is_visitor: false, seen: Vec::new() };
        *lock(&notes.writer) = Writer { name: name.into(), user: member.id.clone(), did: Vec::new() };
        notes
    }

    pub fn saw(&self, seen: Seen) {
        lock(&self.reader).seen.push((now(), seen));
    }

    pub fn did(&self, did: Did) {
        lock(&self.writer).did.push((now(), did));
    }

    pub fn surprise(&self, what: String) {
        lock(&self.surprises).push(what);
    }

    /// Records an ephemeral event. Returns true if it adds the reader to a conversation.
    pub fn take_passing(&self, chat: Chat, kind: &str, payload: &Value) -> bool {
        let own = lock(&self.reader).user.clone();
        let concerns_self = |user: &Value| user.as_str() == Some(own.as_str());
        match kind {
            "member.added" if concerns_self(&payload["member"]["user_id"]) => {
                self.saw(Seen::Joined(chat));
                return true;
            }
            "member.removed" if concerns_self(&payload["user_id"]) => self.saw(Seen::Left(chat)),
            "member.added" | "member.removed" | "member.updated" | "conversation.count" | "receipts" | "typing" => {
                self.saw(Seen::Passing(chat, kind.to_owned()));
            }
            _ => {}
        }
        false
    }

    pub fn cursor(&self, chat: Chat) -> i64 {
        lock(&self.progress).cursors.get(&chat).copied().unwrap_or(0)
    }

    /// Records an event. Returns true if an earlier one is missing.
    pub fn take(&self, chat: Chat, seq: i64) -> bool {
        let mut progress = lock(&self.progress);
        let cursor = progress.cursors.entry(chat).or_default();
        if seq == *cursor + 1 {
            *cursor = seq;
        }
        seq > *cursor
    }

    /// Returns the conversations whose cursors are behind these heads, with the cursors.
    pub fn behind(&self, heads: &BTreeMap<Chat, i64>) -> BTreeMap<Chat, i64> {
        heads
            .iter()
            .map(|(chat, head)| (*chat, self.cursor(*chat), *head))
            .filter(|(_, cursor, head)| cursor < head)
            .map(|(chat, cursor, _)| (chat, cursor))
            .collect()
    }
}

/// Message that is resent until it is acknowledged.
#[derive(Clone, Debug)]
struct Message {
    client_id: String,
    text: String,
    chat: usize,
}

pub struct Client {
    pub member: Member,
    pub form: Form,
    pub notes: Notes,
    pub chats: Chats,
    /// Conversations to which the client writes, each with its weight.
    pub writes_to: Vec<(String, usize)>,
    /// Conversation that the client views.
    pub views: Option<Chat>,
    /// Range from which the pause between new messages is drawn, in milliseconds.
    pub pause: (u64, u64),
    pub dice: Dice,
    pub orders: watch::Receiver<Orders>,
}

/// Messages and requests of a connection that are not answered yet.
#[derive(Default)]
struct Ways {
    sent: VecDeque<(String, Message)>,
    syncs: BTreeSet<String>,
}

impl Client {
    /// Runs the client until the task is aborted.
    pub async fn run(mut self) {
        let mut unsent: VecDeque<Message> = VecDeque::new();
        loop {
            if let Some(mut line) = Line::open(&self.member, self.form).await {
                let mut ways = Ways::default();
                let Over(code) = self.talk(&mut line, &mut ways, &mut unsent).await;
                let code = match code {
                    None => line.goodbye().await,
                    said => said,
                };
                self.notes.saw(Seen::Lost(code));
                // Unanswered messages are sent again, in order, before new ones.
                for (_, message) in ways.sent.into_iter().rev() {
                    unsent.push_front(message);
                }
                lock(&self.notes.progress).outstanding = unsent.len();
            }
            tokio::time::sleep(RECONNECT + self.dice.between(0, 60)).await;
        }
    }

    async fn talk(&mut self, line: &mut Line, ways: &mut Ways, unsent: &mut VecDeque<Message>) -> Over {
        self.notes.did(Did::Connected);
        let mut orders = self.orders.clone();
        orders.mark_unchanged();
        let drop_number = orders.borrow().drop_number;
        let (mut is_greeted, mut pinged) = (false, false);
        let mut next_message = Instant::now() + self.pause();
        let mut heard = Instant::now();
        let mut sync_again: Option<Instant> = None;
        loop {
            lock(&self.notes.progress).outstanding = ways.sent.len() + unsent.len();
            let writes = orders.borrow().writes;
            let may_send = is_greeted
                && !self.writes_to.is_empty()
                && ways.sent.len() < OUTSTANDING
                && (writes || !unsent.is_empty());
            let silence = heard + if pinged { SILENCE * 2 } else { SILENCE };
            tokio::select! {
                incoming = line.next() => {
                    let incoming = match incoming {
                        Ok(incoming) => incoming,
                        Err(over) => return over,
                    };
                    (heard, pinged) = (Instant::now(), false);
                    is_greeted |= incoming.kind == "hello";
                    match self.hear(line, incoming, ways, unsent).await {
                        Some(true) => sync_again = Some(Instant::now() + AGAIN),
                        Some(false) => {}
                        None => return Over(None),
                    }
                }
                () = tokio::time::sleep_until(next_message), if may_send => {
                    next_message = Instant::now() + self.pause();
                    let message = unsent.pop_front().unwrap_or_else(|| self.new_message());
                    if self.send(line, message, ways, unsent).await.is_none() {
                        return Over(None);
                    }
                }
                () = until(sync_again) => {
                    sync_again = None;
                    if self.sync(line, ways, None).await.is_none() {
                        return Over(None);
                    }
                }
                () = tokio::time::sleep_until(silence) => {
                    if pinged || line.send("ping", json!({})).await.is_none() {
                        return Over(None);
                    }
                    pinged = true;
                }
                changed = orders.changed() => {
                    if changed.is_err() || (orders.borrow().drop_number != drop_number && self.dice.percent(50)) {
                        return Over(Some(1000));
                    }
                }
            }
        }
    }

    fn pause(&mut self) -> Duration {
        self.dice.between(self.pause.0, self.pause.1)
    }

    fn new_message(&mut self) -> Message {
        let total: usize = self.writes_to.iter().map(|(_, weight)| weight).sum();
        let mut throw = self.dice.below(total);
        let chat = self.writes_to.iter().position(|(_, weight)| {
            let is_it = throw < *weight;
            throw = throw.saturating_sub(*weight);
            is_it
        });
        Message { client_id: new_id(), text: mark(), chat: chat.unwrap_or(0) }
    }

    async fn send(
        &mut self,
        line: &mut Line,
        message: Message,
        ways: &mut Ways,
        unsent: &mut VecDeque<Message>,
    ) -> Option<()> {
        let payload = json!({
            "conversation_id": self.writes_to[message.chat].0,
            "client_id": message.client_id,
            "content": format!("{} says {}", self.member.name, message.text),
        });
        if self.dice.percent(TYPES) {
            let typing = json!({ "conversation_id": self.writes_to[message.chat].0, "active": true });
            line.send("typing", typing).await?;
        }
        self.notes.did(Did::Sent { client_id: message.client_id.clone() });
        match line.send("message.send", payload).await {
            Some(id) => {
                ways.sent.push_back((id, message));
                Some(())
            }
            None => {
                unsent.push_front(message);
                None
            }
        }
    }

    /// Requests the missed events of these conversations after their cursors; if `None`, of all
    /// known conversations.
    async fn sync(&mut self, line: &mut Line, ways: &mut Ways, cursors: Option<BTreeMap<Chat, i64>>) -> Option<()> {
        let cursors = cursors.unwrap_or_else(|| lock(&self.notes.progress).cursors.clone().into_iter().collect());
        let named: serde_json::Map<String, Value> =
            self.chats.iter().filter_map(|(id, chat)| Some((id.clone(), (*cursors.get(chat)?).into()))).collect();
        self.notes.saw(Seen::Sync);
        ways.syncs.insert(line.send("sync", json!({ "cursors": named })).await?);
        Some(())
    }

    /// Handles a frame. Returns true if another sync is needed, and `None` if the connection is
    /// over.
    async fn hear(
        &mut self,
        line: &mut Line,
        incoming: Incoming,
        ways: &mut Ways,
        unsent: &mut VecDeque<Message>,
    ) -> Option<bool> {
        let Incoming { kind, payload, answers } = incoming;
        if let Some(place) = ways.sent.iter().position(|(id, _)| Some(id) == answers.as_ref()) {
            let (_, message) = ways.sent.remove(place)?;
            if kind == "ack" {
                self.notes.did(Did::Acknowledged {
                    chat: self.chats[&self.writes_to[message.chat].0],
                    client_id: message.client_id,
                    message: payload["message_id"].as_str()?.to_owned(),
                    seq: payload["seq"].as_i64()?,
                });
            } else {
                self.notes.did(Did::PutOff { client_id: message.client_id.clone() });
                // A member who was removed can't write to the conversation.
                match payload["code"].as_str() {
                    Some("not_found") => {}
                    Some("unavailable") => unsent.push_back(message),
                    _ => {
                        self.notes.surprise(format!("{} was refused a message: {payload}", self.member.name));
                        unsent.push_back(message);
                    }
                }
            }
            return Some(false);
        }
        let is_sync = answers.as_ref().is_some_and(|id| ways.syncs.contains(id));
        match kind.as_str() {
            "hello" => {
                let heads = self.heads(&payload["conversations"]);
                let behind = self.notes.behind(&heads);
                for chat in heads.keys() {
                    lock(&self.notes.progress).cursors.entry(*chat).or_default();
                }
                self.notes.saw(Seen::Hello { heads, resumes: false });
                if let Some(chat) = self.views {
                    let shown = self.chats.iter().find(|(_, known)| **known == chat).map(|(id, _)| id.clone());
                    self.notes.saw(Seen::Views(BTreeSet::from([chat])));
                    line.send("view", json!({ "conversation_ids": [shown] })).await?;
                }
                if !behind.is_empty() {
                    self.sync(line, ways, Some(behind)).await?;
                }
            }
            "sync.done" if is_sync => {
                ways.syncs.remove(&answers?);
                let named = |entry: &&Value| self.chats.get(entry["id"].as_str()?).copied();
                let (gone, refused): (Vec<&Value>, Vec<&Value>) =
                    payload["refused"].as_array()?.iter().partition(|entry| entry["code"] == "not_found");
                let [gone, refused] =
                    [gone, refused].map(|some| some.iter().filter_map(named).collect::<BTreeSet<_>>());
                let again = !refused.is_empty();
                self.notes.saw(Seen::Synced { refused, gone });
                return Some(again);
            }
            // The native protocol first reports every refused conversation and then the end of the
            // sync.
            "error" if is_sync && payload["conversation_id"].is_null() => {
                ways.syncs.remove(&answers?);
                self.notes.saw(Seen::Synced { refused: self.chats.values().copied().collect(), gone: BTreeSet::new() });
                return Some(true);
            }
            "resync" => {
                let chats = payload["conversation_ids"].as_array().map(|ids| {
                    ids.iter().filter_map(|id| self.chats.get(id.as_str()?).copied()).collect::<BTreeSet<_>>()
                });
                self.notes.saw(Seen::Resync(chats));
                self.sync(line, ways, None).await?;
            }
            kind => {
                let chat = payload["conversation_id"].as_str().and_then(|id| self.chats.get(id).copied());
                if let (Some(chat), Some(seq @ 1..)) = (chat, payload["seq"].as_i64())
                    && kind != "receipt"
                {
                    let event = Event::of(kind, &payload);
                    let lets_in = event.kind == "member.added" && event.member.as_deref() == Some(&self.member.id);
                    self.notes.saw(Seen::Event(chat, seq, event));
                    if self.notes.take(chat, seq) && lets_in {
                        let cursor = self.notes.cursor(chat);
                        self.sync(line, ways, Some(BTreeMap::from([(chat, cursor)]))).await?;
                    }
                    if self.dice.percent(READS) {
                        let receipt =
                            json!({ "conversation_id": payload["conversation_id"], "seq": seq, "state": "read" });
                        line.send("receipt", receipt).await?;
                    }
                } else if let Some(chat) = chat
                    && self.notes.take_passing(chat, kind, &payload)
                {
                    let cursor = self.notes.cursor(chat);
                    lock(&self.notes.progress).cursors.entry(chat).or_insert(cursor);
                    self.sync(line, ways, Some(BTreeMap::from([(chat, cursor)]))).await?;
                }
            }
        }
        Some(false)
    }

    fn heads(&self, conversations: &Value) -> BTreeMap<Chat, i64> {
        heads(&self.chats, conversations)
    }
}

/// Returns the heads of the conversations that a `hello` lists.
pub fn heads(chats: &Chats, conversations: &Value) -> BTreeMap<Chat, i64> {
    let listed = conversations.as_array().into_iter().flatten();
    listed.filter_map(|one| Some((*chats.get(one["id"].as_str()?)?, one["last_seq"].as_i64()?))).collect()
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
