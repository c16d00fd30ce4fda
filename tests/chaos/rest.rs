//! Who writes by requests: messages, edits, deletions, members.

use std::time::Duration;

use reqwest::Method;
use support::{Answer, Member, Value, json, new_id};
use tokio::sync::watch;

use crate::client::{Chats, Notes, Orders, lock};
use crate::dice::Dice;
use crate::evidence::{Did, mark};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(16);
const AGAIN: Duration = Duration::from_millis(50);
/// Messages that may still be edited or deleted.
const REMEMBERED: usize = 20;

pub struct Requester {
    pub member: Member,
    pub notes: Notes,
    pub chats: Chats,
    pub writes_to: Vec<String>,
    pub pause: (u64, u64),
    pub dice: Dice,
    pub orders: watch::Receiver<Orders>,
}

impl Requester {
    /// Writes, edits and deletes until it is told to stop; everything that it began ends.
    pub async fn write(mut self) {
        // Its messages, with the mark of what each says.
        let mut own: Vec<(String, String)> = Vec::new();
        while self.orders.borrow().writes {
            match self.dice.below(100) {
                80..90 if !own.is_empty() => {
                    let place = self.dice.below(own.len());
                    let (path, text) = (format!("/r1/messages/{}", own[place].0), mark());
                    let body = json!({ "content": format!("edited {text}") });
                    if self.insist(Method::PATCH, &path, body, &[404]).await == 200 {
                        lock(&self.notes.removed).push(std::mem::replace(&mut own[place].1, text));
                    }
                }
                90..95 if !own.is_empty() => {
                    let (id, text) = own.swap_remove(self.dice.below(own.len()));
                    self.insist(Method::DELETE, &format!("/r1/messages/{id}"), Value::Null, &[404]).await;
                    lock(&self.notes.removed).push(text);
                }
                _ => own.extend(self.send().await),
            }
            if own.len() > REMEMBERED {
                own.remove(0);
            }
            let pause = self.dice.between(self.pause.0, self.pause.1);
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends one message to this very instance.
    pub async fn whisper(&mut self, base: &str) {
        self.member = self.member.at(base);
        self.send().await;
    }

    /// Sends one message until it is acknowledged; its id, and the mark of what it says.
    async fn send(&mut self) -> Option<(String, String)> {
        let id = self.writes_to[self.dice.below(self.writes_to.len())].clone();
        let (client_id, text) = (new_id(), mark());
        let body = json!({ "client_id": client_id, "content": format!("{} writes {text}", self.member.name) });
        let path = format!("/r1/conversations/{id}/messages");
        loop {
            self.notes.did(Did::Connected);
            self.notes.did(Did::Sent { client_id: client_id.clone() });
            let Some(answer) = self.ask(Method::POST, &path, body.clone(), &[]).await else { continue };
            let message = answer.data();
            let (Some(message_id), Some(seq)) = (message["id"].as_str(), message["seq"].as_i64()) else { return None };
            self.notes.did(Did::Acknowledged { chat: self.chats[&id], client_id, message: message_id.into(), seq });
            return Some((message_id.to_owned(), text));
        }
    }

    /// Lets a guest in and out, again and again.
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

    /// Joins a channel and leaves it, again and again, and is in it at the end. Answers how often it left.
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

    /// Asks until it is done, and answers by which status. What may have been done by an attempt without an answer is `done` too.
    async fn insist(&mut self, method: Method, path: &str, body: Value, done: &[u16]) -> u16 {
        loop {
            if let Some(answer) = self.ask(method.clone(), path, body.clone(), done).await {
                return answer.status;
            }
        }
    }

    /// One attempt. Anything but success, `done`, and that the service is away is a surprise.
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
