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

    /// Creates the handler of a new session, or refuses the client. `sender` sends frames to the
    /// client.
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
    /// True if a message is accepted now. When this changes to true, the handler must wake the
    /// sender.
    fn has_slot(&self) -> bool {
        true
    }

    /// Handles a message. An error ends the session and is passed to [`SessionHandler::close`].
    fn handle_message(&mut self, message: Message<'_>) -> impl Future<Output = Result<(), Close>>;

    /// Sends the reason for closing the session to the client.
    fn close(&self, close: Close);

    /// Deadline of the session, if there is one. It is queried once, when the session starts.
    fn deadline(&self) -> Option<Deadline> {
        None
    }

    /// Called after the session has ended: no more messages arrive, and only frames that are
    /// already queued are sent.
    fn leave(&mut self) {}
}

/// Time by which a condition must be met, such as authentication. Setting `is_met` cancels the
/// deadline.
#[derive(Clone, Debug)]
pub struct Deadline {
    pub at: Instant,
    /// Close reason if the condition isn't met.
    pub close: Close,
    pub is_met: Rc<Cell<bool>>,
}
