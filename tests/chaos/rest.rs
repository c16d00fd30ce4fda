//! Client that writes by HTTP. It sends messages and replies, edits, deletes, reacts, pins, votes,
//! and adds and removes members.

use std::time::Duration;

use reqwest::Method;
use support::{Answer, Member, Value, json, new_id};
use tokio::sync::watch;

use crate::client::{Chats, Notes, Orders, lock};
use crate::dice::Dice;
use crate::evidence::{Did, mark};

/// Timeout of a request.
const PATIENCE: Duration = Duration::from_secs(16);
const AGAIN: Duration = Duration::from_millis(50);
/// Number of the client's most recent messages that it may edit, delete, reply to or react to.
const REMEMBERED: usize = 20;
/// The emoji 👍, 🎉 and 👀, percent-encoded.
const EMOJI: [&str; 3] = ["%F0%9F%91%8D", "%F0%9F%8E%89", "%F0%9F%91%80"];
const OPTIONS: usize = 3;

/// Message that this client has sent.
struct Own {
    conversation: String,
    id: String,
    /// Mark that is contained in the text.
    text: String,
    is_reply: bool,
    is_pinned: bool,
}

pub struct Requester {
    pub member: Member,
    pub notes: Notes,
    pub chats: Chats,
    pub writes_to: Vec<String>,
    /// Ids of messages with polls.
    pub polls: Vec<String>,
    pub pause: (u64, u64),
    pub dice: Dice,
    pub orders: watch::Receiver<Orders>,
}

impl Requester {
    /// Performs these actions until the run ends, then completes those that it has started.
    pub async fn write(mut self) {
        let mut own: Vec<Own> = Vec::new();
        while self.orders.borrow().writes {
            match self.dice.below(100) {
                44..50 if !own.is_empty() => {
                    let (place, is_pinned) = (self.dice.below(own.len()), self.dice.percent(60));
                    own[place].is_pinned = self.pin(&own[place].id, is_pinned).await;
                }
                50..62 if !own.is_empty() => {
                    let (place, emoji) = (self.dice.below(own.len()), EMOJI[self.dice.below(EMOJI.len())]);
                    let path = format!("/r1/messages/{}/reactions/{emoji}", own[place].id);
                    let method = if self.dice.percent(60) { Method::PUT } else { Method::DELETE };
                    self.insist(method, &path, Value::Null, &[404]).await;
                }
                62..74 if own.iter().any(|message| !message.is_reply) => {
                    let roots: Vec<&Own> = own.iter().filter(|message| !message.is_reply).collect();
                    let root = roots[self.dice.below(roots.len())];
                    let (conversation, root) = (root.conversation.clone(), root.id.clone());
                    own.extend(self.send(conversation, Some(root)).await);
                }
                74..80 if !self.polls.is_empty() => {
                    let path = format!("/r1/messages/{}/vote", self.polls[self.dice.below(self.polls.len())]);
                    let choice = self.dice.below(OPTIONS + 1);
                    let choices = if choice < OPTIONS { vec![choice] } else { Vec::new() };
                    self.insist(Method::PUT, &path, json!({ "choices": choices }), &[]).await;
                }
                80..90 if !own.is_empty() => {
                    let place = self.dice.below(own.len());
                    let (path, text) = (format!("/r1/messages/{}", own[place].id), mark());
                    let body = json!({ "content": format!("edited {text}") });
                    if self.insist(Method::PATCH, &path, body, &[404]).await == 200 {
                        lock(&self.notes.removed).push(std::mem::replace(&mut own[place].text, text));
                    }
                }
                90..95 if !own.is_empty() => {
                    let Own { id, text, .. } = own.swap_remove(self.dice.below(own.len()));
                    self.insist(Method::DELETE, &format!("/r1/messages/{id}"), Value::Null, &[404]).await;
                    lock(&self.notes.removed).push(text);
                }
                _ => own.extend(self.send_anywhere().await),
            }
            // Unpins a message before forgetting it, because a conversation may have at most a
            // hundred pins.
            if own.len() > REMEMBERED {
                let Own { id, is_pinned, .. } = own.remove(0);
                if is_pinned {
                    self.pin(&id, false).await;
                }
            }
            let pause = self.dice.between(self.pause.0, self.pause.1);
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends a message directly to the given instance.
    pub async fn whisper(&mut self, base: &str) {
        self.member = self.member.at(base);
        self.send_anywhere().await;
    }

    async fn send_anywhere(&mut self) -> Option<Own> {
        let conversation = self.writes_to[self.dice.below(self.writes_to.len())].clone();
        self.send(conversation, None).await
    }

    /// Sends a message until it is acknowledged, if `root` is given as a reply in that thread.
    async fn send(&mut self, conversation: String, root: Option<String>) -> Option<Own> {
        let (client_id, text) = (new_id(), mark());
        let content = format!("{} writes {text}", self.member.name);
        let body = json!({ "client_id": client_id, "content": content, "thread_id": root });
        let path = format!("/r1/conversations/{conversation}/messages");
        loop {
            self.notes.did(Did::Connected);
            self.notes.did(Did::Sent { client_id: client_id.clone() });
            let Some(answer) = self.ask(Method::POST, &path, body.clone(), &[]).await else { continue };
            let message = answer.data();
            let (Some(id), Some(seq)) = (message["id"].as_str(), message["seq"].as_i64()) else { return None };
            let chat = self.chats[&conversation];
            self.notes.did(Did::Acknowledged { chat, client_id, message: id.into(), seq });
            return Some(Own { conversation, id: id.to_owned(), text, is_reply: root.is_some(), is_pinned: false });
        }
    }

    /// Pins or unpins a message. Returns true if it is pinned afterwards.
    async fn pin(&mut self, id: &str, is_pinned: bool) -> bool {
        let method = if is_pinned { Method::PUT } else { Method::DELETE };
        self.insist(method, &format!("/r1/messages/{id}/pin"), Value::Null, &[404]).await == 200 && is_pinned
    }

    /// Adds and removes a guest repeatedly.
    pub async fn open_the_door(mut self, guest: String) {
        let members = format!("/r1/conversations/{}/members", self.writes_to[0]);
        let mut is_in = true;
        while self.orders.borrow().writes {
            if is_in {
                self.insist(Method::DELETE, &format!("{members}/{guest}"), Value::Null, &[404]).await;
            } else {
                self.insist(Method::POST, &members, json!({ "user_id": guest }), &[409]).await;
            }
            is_in = !is_in;
            let pause = self.dice.between(self.pause.0, self.pause.1);
            tokio::time::sleep(pause).await;
        }
    }

    /// Repeatedly joins and leaves a channel, and is a member at the end. Returns the number of
    /// times that it has left.
    pub async fn come_and_go(mut self) -> usize {
        let channel = format!("/r1/conversations/{}", self.writes_to[0]);
        let mut visits = 0;
        while self.orders.borrow().writes {
            self.insist(Method::POST, &format!("{channel}/join"), json!({}), &[]).await;
            let stay = self.dice.between(self.pause.0, self.pause.1);
            tokio::time::sleep(stay).await;
            self.insist(Method::POST, &format!("{channel}/leave"), json!({}), &[403]).await;
            visits += 1;
            let pause = self.dice.between(self.pause.0, self.pause.1);
            tokio::time::sleep(pause).await;
        }
        self.insist(Method::POST, &format!("{channel}/join"), json!({}), &[]).await;
        visits
    }

    /// Repeats a request until it succeeds; returns the status. `done` are the statuses of a
    /// repetition whose first attempt was executed but whose response was lost.
    async fn insist(&mut self, method: Method, path: &str, body: Value, done: &[u16]) -> u16 {
        loop {
            if let Some(answer) = self.ask(method.clone(), path, body.clone(), done).await {
                return answer.status;
            }
        }
    }

    /// Makes one attempt. If the result is neither success nor `done`, and the service isn't
    /// unavailable, it is recorded as unexpected.
    async fn ask(&mut self, method: Method, path: &str, body: Value, done: &[u16]) -> Option<Answer> {
        let request = self.member.request(method.clone(), path).timeout(PATIENCE);
        let request = if body.is_null() { request } else { request.json(&body) };
        let what = match self.member.try_send(request).await {
            Ok(answer) if matches!(answer.status, 200 | 201) || done.contains(&answer.status) => return Some(answer),
            Ok(answer) if matches!(answer.status, 502..=504) => format!("{answer:?}"),
            Ok(answer) => {
                self.notes.surprise(format!("{} got {answer:?}", self.member.name));
                format!("{answer:?}")
            }
            Err(error) => format!("{method} {path}: {error:?}"),
        };
        self.notes.did(Did::Failed { what });
        tokio::time::sleep(AGAIN).await;
        None
    }
}
