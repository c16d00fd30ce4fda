//! Event bus: a trait for delivering events within a process and between instances.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{Coalesced, Envelope, Signal};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BusMessage {
    Envelope(Arc<Envelope>),
    Signal(Signal),
    #[serde(rename = "Gathered")]
    Coalesced(Arc<Coalesced>),
}

/// Reason for which a message didn't reach the other instances.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BusError {
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
    #[error("the bus has stopped")]
    Stopped,
}

/// Resolves when the published messages have left this instance, or could not be sent.
pub type PublishAck = oneshot::Receiver<Result<(), BusError>>;

/// Receives all messages, of this instance and of the others, in the order of arrival.
pub type Listener = mpsc::UnboundedReceiver<BusMessage>;

/// Delivers envelopes and signals to all listeners on all instances.
pub trait EventBus: Send + Sync + 'static {
    /// Delivers the messages to the listeners of this process immediately, and sends them to the
    /// other instances. Never blocks.
    fn publish(&self, messages: Vec<BusMessage>) -> PublishAck;

    /// True if the other instances can be reached. While they can't, caches of their state must be
    /// checked against the database.
    fn is_connected(&self) -> bool {
        true
    }

    /// Subscribes to all messages from now on, until the listener is dropped.
    fn subscribe(&self) -> Listener;
}
