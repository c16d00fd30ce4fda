//! Who speaks in a session, and who receives them.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use tokio::time::Instant;

use super::Refused;
use crate::{close::Close, sender::Sender};

/// Receives new sessions. One per thread.
pub trait Host: 'static {
    /// What is known of a client from the request that it came with.
    type Caller;
    type Guest: Guest;

    /// A session begins, unless the host refuses it; `sender` is how its client is reached.
    fn receive(&self, caller: Self::Caller, sender: Rc<Sender>) -> Result<Self::Guest, Refused>;
}

/// What a client says.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    Text(&'a str),
    Binary(Bytes),
}

/// What a session does with what its client says.
pub trait Guest: 'static {
    /// Whether it takes a message now. Who had none and has again wakes the sender.
    fn has_slot(&self) -> bool {
        true
    }

    /// Takes a message. An error ends the session; [`Guest::close`] is called with it.
    fn take(&mut self, message: Message<'_>) -> impl Future<Output = Result<(), Close>>;

    /// Says goodbye.
    fn close(&self, close: Close);

    /// What the session must have come to in time. Asked once, when it begins.
    fn deadline(&self) -> Option<Deadline> {
        None
    }

    /// The session is over; nothing comes any more, and only what waits still goes out.
    fn leave(&mut self) {}
}

/// Until then something must have happened: whoever waits for it notes that it has.
#[derive(Clone, Debug)]
pub struct Deadline {
    pub at: Instant,
    /// How the session ends otherwise.
    pub close: Close,
    pub is_met: Rc<Cell<bool>>,
}
