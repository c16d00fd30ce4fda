//! People of the company, who perform the steps of the plan.

use std::sync::Arc;

use anyhow::Context;
use reqwest::{Method, RequestBuilder};
use support::{Application, Member, json};
use tokio::task::JoinSet;

use super::connection::{self, Order, Orders};
use super::measuring::Tally;
use super::plan::{Action, CHANNELS, PEOPLE};
use crate::attacks::calls;
use crate::search::corpus::Corpus;
use crate::work::MESSAGE;

/// Length of an uploaded text, in bytes.
const FILE: usize = 2_048;
/// Length of the time at the start of a message: twelve digits and a space.
const STAMP: usize = 13;
const CONNECTIONS_EACH: usize = 2;

pub struct Company {
    people: Vec<Person>,
    /// Ids of the conversations.
    conversations: Vec<String>,
    corpus: Corpus,
    tally: Arc<Tally>,
    /// HTTP calls in progress.
    calls: JoinSet<()>,
}

struct Person {
    member: Member,
    /// Connections; empty if the person is offline.
    connections: Vec<Orders>,
}

impl Company {
    /// Signs the people up and creates their conversations.
    pub async fn found(app: &Application, plan: &[Vec<usize>], tally: &Arc<Tally>) -> anyhow::Result<Self> {
        let members = app.crowd(PEOPLE).await;
        let mut conversations = Vec::with_capacity(plan.len());
        for (number, indices) in plan.iter().enumerate() {
            let [owner, others @ ..] = &indices[..] else { continue };
            let ids: Vec<&str> = others.iter().map(|other| members[*other].id.as_str()).collect();
            let body = if number < CHANNELS {
                json!({ "kind": "private_channel", "title": format!("Channel {number}"), "member_ids": ids })
            } else {
                json!({ "kind": "single", "member_ids": ids })
            };
            let made = members[*owner].post("/r1/conversations", body).await.data();
            conversations.push(made["id"].as_str().context("conversation without id")?.to_owned());
        }
        let people = members.into_iter().map(|member| Person { member, connections: Vec::new() }).collect();
        let tally = Arc::clone(tally);
        Ok(Self { people, conversations, corpus: Corpus::new(), tally, calls: JoinSet::new() })
    }

    /// Performs an action that is due at this time, in nanoseconds of the tally's stopwatch. HTTP
    /// calls continue in the background.
    pub fn perform(&mut self, person: usize, action: Action, due: u64) {
        match action {
            Action::Arrive => {
                let Person { member, connections } = &mut self.people[person];
                *connections =
                    (0..CONNECTIONS_EACH).map(|number| connection::open(member, number == 0, &self.tally)).collect();
                self.read_list(person);
            }
            Action::Leave => self.people[person].connections.clear(),
            Action::Reconnect => {
                for connection in &self.people[person].connections {
                    let _ = connection.send(Order::Reconnect);
                }
                self.read_list(person);
            }
            Action::StartTyping(conversation) => {
                self.order(person, Order::StartTyping(self.conversations[conversation].clone()));
            }
            Action::Send(conversation) => {
                let words = self.words(MESSAGE - STAMP);
                self.order(person, Order::Send { conversation: self.conversations[conversation].clone(), due, words });
            }
            Action::SendFile(conversation) => self.send_file(person, conversation),
            Action::Open(conversation) => self.display(person, conversation),
            Action::React(conversation) => self.react(person, conversation),
            Action::Search => {
                let words = self.words(MESSAGE);
                let word = words.split(' ').next().unwrap_or_default();
                let request = calls::search(&self.people[person].member, word, false);
                self.call(person, request);
            }
            Action::AskAssistant => self.chat_with_assistant(person),
        }
    }

    /// Waits until all HTTP calls have ended.
    pub async fn finish_calls(&mut self) {
        while let Some(ended) = self.calls.join_next().await {
            if let Err(panicked) = ended {
                self.tally.fail(panicked);
            }
        }
    }

    fn order(&self, person: usize, order: Order) {
        let sent = self.people[person].connections.first().map(|connection| connection.send(order));
        if !matches!(sent, Some(Ok(()))) {
            self.tally.fail(format_args!("person {person} is not connected"));
        }
    }

    fn call(&mut self, person: usize, request: RequestBuilder) {
        let (member, tally) = (self.people[person].member.clone(), Arc::clone(&self.tally));
        self.calls.spawn(async move {
            tally.check(member.try_send(request).await);
        });
    }

    /// Reads the list of conversations, as the web app does after it has connected.
    fn read_list(&mut self, person: usize) {
        let request = self.people[person].member.request(Method::GET, "/r1/conversations?page_size=200");
        self.call(person, request);
    }

    fn display(&mut self, person: usize, conversation: usize) {
        let Person { member, connections } = &self.people[person];
        let Some(connection) = connections.first().cloned() else { return };
        let (member, tally, id) = (member.clone(), Arc::clone(&self.tally), self.conversations[conversation].clone());
        self.calls.spawn(async move {
            let _ = connection.send(Order::Display(id.clone()));
            let request = member.request(Method::GET, &format!("/r1/conversations/{id}/messages?limit=50"));
            let page = tally.check(member.try_send(request).await).unwrap_or_default();
            let newest = page["items"].as_array().and_then(|items| items.last()?["seq"].as_i64());
            if let Some(seq) = newest {
                let _ = connection.send(Order::Read(id, seq));
            }
        });
    }

    fn react(&mut self, person: usize, conversation: usize) {
        let (member, tally) = (self.people[person].member.clone(), Arc::clone(&self.tally));
        let newest = format!("/r1/conversations/{}/messages?limit=1", self.conversations[conversation]);
        self.calls.spawn(async move {
            let page = tally.check(member.try_send(member.request(Method::GET, &newest)).await).unwrap_or_default();
            // The conversation is empty if its first message is not stored yet.
            let Some(id) = page["items"][0]["id"].as_str() else { return };
            let request = member.request(Method::PUT, &format!("/r1/messages/{id}/reactions/%F0%9F%91%8D"));
            tally.check(member.try_send(request).await);
        });
    }

    fn send_file(&mut self, person: usize, conversation: usize) {
        let (text, words) = (self.words(FILE), self.words(MESSAGE));
        let (member, tally) = (self.people[person].member.clone(), Arc::clone(&self.tally));
        let id = self.conversations[conversation].clone();
        self.calls.spawn(async move {
            let upload = tally.check(member.try_send(member.uploading("notes.txt", "text/plain", text)).await);
            let Some(upload) = upload else { return };
            tally.check(member.try_send(calls::message(&member, &id, &words, &[&upload])).await);
        });
    }

    /// Asks the assistant in a new conversation.
    fn chat_with_assistant(&mut self, person: usize) {
        let words = self.words(MESSAGE);
        let (member, tally) = (self.people[person].member.clone(), Arc::clone(&self.tally));
        self.calls.spawn(async move {
            let request = member.request(Method::POST, "/r1/conversations").json(&json!({ "kind": "assistant" }));
            let made = tally.check(member.try_send(request).await).unwrap_or_default();
            let Some(id) = made["id"].as_str() else { return };
            tally.check(member.try_send(calls::message(&member, id, &words, &[])).await);
        });
    }

    /// Returns a text of at most this many bytes. It has no addresses, because the server would fetch
    /// these pages.
    fn words(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        while text.len() < length {
            let said = self.corpus.say().text;
            for word in said.split(' ').filter(|word| !word.contains("://")) {
                if text.len() + word.len() >= length {
                    return text;
                }
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
        text
    }
}
