//! Interfaces between the engine and the application: session handlers and their factory.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use tokio::time::Instant;

use super::EngineRefusal;
use crate::{close::Close, sender::Sender};

/// Factory of session handlers, one per thread.
pub trait SessionHandlerFactory: 'static {
    /// Data about a client, taken from its first request.
    type Caller;
    type Handler: SessionHandler;

    /// Creates the handler of a new session, or refuses the client. `sender` sends to the client.
    fn receive(&self, caller: Self::Caller, sender: Rc<Sender>) -> Result<Self::Handler, EngineRefusal>;
}

/// Message of a client.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    Text(&'a str),
    Binary(Bytes),
}

/// Handler of one session's messages.
pub trait SessionHandler: 'static {
    /// True if a message is accepted now. When this changes to true, the handler wakes the sender.
    fn has_slot(&self) -> bool {
        true
    }

    /// Handles a message. An error ends the session; [`Guest::close`] is called with it.
    fn take(&mut self, message: Message<'_>) -> impl Future<Output = Result<(), Close>>;

    /// Sends the close reason to the client.
    fn close(&self, close: Close);

    /// Deadline of the session, queried once when it starts.
    fn deadline(&self) -> Option<Deadline> {
        None
    }

    /// Called after the session has ended: no more messages arrive, and only queued frames are
    /// still sent.
    fn leave(&mut self) {}
}

/// Deadline for a condition, such as authentication. Setting `is_met` cancels it.
#[derive(Clone, Debug)]
pub struct Deadline {
    pub at: Instant,
    /// Close reason if the condition isn't met.
    pub close: Close,
    pub is_met: Rc<Cell<bool>>,
}
