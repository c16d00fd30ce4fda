//! WebSocket connection of a person: sends the person's messages, and reports received messages as
//! delivered, or as read if the conversation is displayed.

use std::collections::VecDeque;
use std::sync::Arc;

use memchr::memmem;
use serde::Deserialize;
use support::{Member, json, new_id};
use tokio::sync::mpsc;

use super::measuring::Tally;
use crate::durable::wire::{Incoming, Reader, Writer, connect};

pub enum Order {
    StartTyping(String),
    Send {
        conversation: String,
        /// Planned time of sending, in nanoseconds of the tally's stopwatch.
        due: u64,
        words: String,
    },
    Display(String),
    /// Reports the conversation as read up to this sequence number.
    Read(String, i64),
    Reconnect,
}

/// Sender of orders to a connection. The connection is closed when this is dropped.
pub type Orders = mpsc::UnboundedSender<Order>;

struct Connection {
    member: Member,
    /// True for one of the person's connections. Only this one sends reports.
    is_first: bool,
    orders: mpsc::UnboundedReceiver<Order>,
    tally: Arc<Tally>,
    displayed: String,
    /// Planned times of the messages that are not acknowledged, in the order of sending.
    unacknowledged: VecDeque<u64>,
    must_reconnect: bool,
}

#[derive(Deserialize)]
struct Event {
    payload: Position,
}

#[derive(Deserialize)]
struct Position {
    conversation_id: String,
    seq: i64,
}

/// Opens a connection.
pub fn open(member: &Member, is_first: bool, tally: &Arc<Tally>) -> Orders {
    let (sender, orders) = mpsc::unbounded_channel();
    let mut connection = Connection {
        member: member.clone(),
        is_first,
        orders,
        tally: Arc::clone(tally),
        displayed: String::new(),
        unacknowledged: VecDeque::new(),
        must_reconnect: false,
    };
    tokio::spawn(async move {
        if let Err(error) = connection.run().await {
            connection.tally.fail(format_args!("connection of {}: {error:#}", connection.member.name));
        }
    });
    sender
}

impl Connection {
    async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            let (reader, writer) = connect(self.member.base(), self.member.access_token()).await?;
            if !self.serve(reader, writer).await? {
                return Ok(());
            }
        }
    }

    /// Serves one connection. Returns true if the person reconnects, false if they leave.
    async fn serve(&mut self, mut reader: Reader, mut writer: Writer) -> anyhow::Result<bool> {
        loop {
            tokio::select! {
                incoming = reader.next() => {
                    let incoming = incoming?;
                    self.receive(&incoming, reader.payload(), &mut writer);
                }
                order = self.orders.recv() => match order {
                    Some(order) => self.follow(order, &mut writer),
                    None => return Ok(false),
                }
            }
            if !reader.has_more() {
                writer.flush().await?;
            }
            if self.must_reconnect && self.unacknowledged.is_empty() {
                self.must_reconnect = false;
                return Ok(true);
            }
        }
    }

    fn receive(&mut self, incoming: &Incoming, payload: &[u8], writer: &mut Writer) {
        match incoming {
            Incoming::Ack => match self.unacknowledged.pop_front() {
                Some(due) => self.tally.record_acknowledgement(due),
                None => self.tally.fail("acknowledgement without a message"),
            },
            Incoming::Message(due) => {
                if *due > 0 {
                    self.tally.record_delivery(*due);
                }
                if self.is_first {
                    self.report(payload, writer);
                }
            }
            Incoming::Refused(words) => self.tally.fail(words),
            Incoming::Ping => writer.push_pong(),
            Incoming::Other => {}
        }
    }

    /// Reports a message that another person has sent.
    fn report(&self, payload: &[u8], writer: &mut Writer) {
        if memmem::find(payload, self.member.id.as_bytes()).is_some() {
            return;
        }
        match serde_json::from_slice(payload) {
            Ok(Event { payload: Position { conversation_id, seq } }) => {
                let state = if conversation_id == self.displayed { "read" } else { "delivered" };
                push_receipt(writer, &conversation_id, seq, state);
            }
            Err(error) => self.tally.fail(format_args!("message without a position: {error}")),
        }
    }

    fn follow(&mut self, order: Order, writer: &mut Writer) {
        match order {
            Order::StartTyping(conversation) => {
                writer.push_command("typing", &json!({ "conversation_id": conversation, "active": true }));
            }
            Order::Send { conversation, due, words } => {
                writer.push_message(&conversation, &new_id(), &format!("{due:012} {words}"));
                self.unacknowledged.push_back(due);
            }
            Order::Display(conversation) => {
                writer.push_command("view", &json!({ "conversation_ids": [conversation] }));
                self.displayed = conversation;
            }
            Order::Read(conversation, seq) => push_receipt(writer, &conversation, seq, "read"),
            Order::Reconnect => self.must_reconnect = true,
        }
    }
}

fn push_receipt(writer: &mut Writer, conversation: &str, seq: i64, state: &str) {
    writer.push_command("receipt", &json!({ "conversation_id": conversation, "seq": seq, "state": state }));
}
