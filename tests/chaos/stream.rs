//! Reader of server-sent events. It resumes by `Last-Event-ID`; after a `resync`, it reads the
//! missed events from the log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use support::{Member, Value, block_field, take_block};
use tokio::sync::watch;

use crate::client::{Chats, Notes, Orders, heads};
use crate::dice::Dice;
use crate::evidence::{Chat, Event, Seen};

const RECONNECT: Duration = Duration::from_millis(80);
/// Time without data after which a stream is closed. The server sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(17);
/// Time without data after which a stream is considered dead and closed if other connections are
/// receiving events.
const BUSY_SILENCE: Duration = Duration::from_secs(5);
/// Delay after which a failed read is tried again.
const AGAIN: Duration = Duration::from_millis(400);
const FETCH: Duration = Duration::from_secs(6);

pub struct StreamReader {
    pub member: Member,
    pub notes: Notes,
    pub chats: Chats,
    pub dice: Dice,
    pub orders: watch::Receiver<Orders>,
}

impl StreamReader {
    /// Runs the reader until the task is aborted.
    pub async fn run(mut self) {
        let mut cursor = None;
        // Conversations that must be read from the log, because nothing else delivers their missed
        // events.
        let mut owed = BTreeSet::new();
        loop {
            let code = self.follow(&mut cursor, &mut owed).await;
            if let Some(code) = code {
                self.notes.saw(Seen::Lost(code));
            }
            tokio::time::sleep(RECONNECT + self.dice.between(0, 60)).await;
        }
    }

    /// Reads a stream until it ends. Returns how it ended; `None` if it didn't start.
    async fn follow(&mut self, cursor: &mut Option<String>, owed: &mut BTreeSet<Chat>) -> Option<Option<u16>> {
        let mut request = self.member.request(Method::GET, "/r1/events").timeout(Duration::from_secs(3_600));
        let resumes = cursor.is_some();
        if let Some(cursor) = cursor {
            request = request.header("last-event-id", cursor.as_str());
        }
        let response = tokio::time::timeout(FETCH, request.send()).await.ok()?.ok()?;
        if response.status() != 200 {
            return None;
        }
        let mut chunks = response.bytes_stream();
        let mut read = Vec::new();
        let mut orders = self.orders.clone();
        orders.mark_unchanged();
        loop {
            let silence = if orders.borrow().writes { BUSY_SILENCE } else { SILENCE };
            let chunk = tokio::select! {
                chunk = tokio::time::timeout(silence, chunks.next()) => chunk,
                changed = orders.changed() => {
                    if changed.is_err() || (orders.borrow().writes && self.dice.percent(50)) {
                        return Some(Some(1000));
                    }
                    continue;
                }
                () = tokio::time::sleep(AGAIN), if !owed.is_empty() => {
                    self.fetch(owed).await;
                    continue;
                }
            };
            match chunk {
                Ok(Some(Ok(bytes))) => read.extend(bytes),
                Ok(None) => return Some(Some(1000)),
                Ok(Some(Err(_))) | Err(_) => return Some(None),
            }
            while let Some(block) = take_block(&mut read) {
                self.hear(&String::from_utf8_lossy(&block), cursor, owed, resumes);
            }
            if !owed.is_empty() {
                self.fetch(owed).await;
            }
        }
    }

    fn hear(&self, block: &str, cursor: &mut Option<String>, owed: &mut BTreeSet<Chat>, resumes: bool) {
        let field = |name| block_field(block, name);
        if let Some(id) = field("id") {
            *cursor = Some(id.to_owned());
        }
        let Some(envelope) = field("data").and_then(|data| serde_json::from_str::<Value>(data).ok()) else { return };
        let payload = &envelope["payload"];
        match envelope["type"].as_str().unwrap_or_default() {
            "hello" => {
                let heads = heads(&self.chats, &payload["conversations"]);
                if !resumes {
                    owed.extend(self.notes.behind(&heads).keys());
                }
                self.notes.saw(Seen::Hello { heads, resumes });
                if !owed.is_empty() {
                    self.notes.saw(Seen::Resync(Some(owed.clone())));
                }
            }
            "sync.done" => self.notes.saw(Seen::Synced { refused: owed.clone(), gone: BTreeSet::new() }),
            "resync" => {
                let named: Option<BTreeSet<Chat>> = payload["conversation_ids"]
                    .as_array()
                    .map(|ids| ids.iter().filter_map(|id| self.chats.get(id.as_str()?).copied()).collect());
                owed.extend(named.clone().unwrap_or_else(|| self.chats.values().copied().collect()));
                self.notes.saw(Seen::Resync(named));
            }
            kind => {
                let chat = payload["conversation_id"].as_str().and_then(|id| self.chats.get(id).copied());
                if let (Some(chat), Some(seq @ 1..)) = (chat, payload["seq"].as_i64())
                    && kind != "receipt"
                {
                    let event = Event::of(kind, payload);
                    let lets_in = event.kind == "member.added" && event.member.as_deref() == Some(&self.member.id);
                    self.notes.saw(Seen::Event(chat, seq, event));
                    if self.notes.take(chat, seq) && lets_in {
                        owed.insert(chat);
                    }
                } else if let Some(chat) = chat {
                    self.notes.take_passing(chat, kind, payload);
                }
            }
        }
    }

    /// Reads these conversations from the log. Those for which this fails remain in `owed`.
    async fn fetch(&self, owed: &mut BTreeSet<Chat>) {
        self.notes.saw(Seen::Sync);
        let names: BTreeMap<Chat, &String> = self.chats.iter().map(|(id, chat)| (*chat, id)).collect();
        for chat in owed.clone() {
            if self.fetch_one(chat, names[&chat]).await.is_some() {
                owed.remove(&chat);
            }
        }
        self.notes.saw(Seen::Synced { refused: owed.clone(), gone: BTreeSet::new() });
    }

    async fn fetch_one(&self, chat: Chat, id: &str) -> Option<()> {
        loop {
            let after = self.notes.cursor(chat);
            let path = format!("/r1/conversations/{id}/events?after_seq={after}&limit=200");
            let request = self.member.request(Method::GET, &path).timeout(FETCH);
            let answer = self.member.try_send(request).await.ok()?;
            if answer.status == 404 {
                return Some(());
            }
            if answer.status != 200 {
                return None;
            }
            let slice = answer.data();
            for item in slice["items"].as_array()? {
                let seq = item["seq"].as_i64()?;
                let event = Event::of(item["type"].as_str()?, &item["payload"]);
                self.notes.saw(Seen::Fetched(chat, seq, event));
                self.notes.take(chat, seq);
            }
            if slice["has_more"] != true {
                return Some(());
            }
        }
    }
}
