//! The event bus: a trait for passing events within a process and between instances.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{Envelope, Gathered, Signal};

/// A message on the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BusMessage {
    Envelope(Arc<Envelope>),
    Signal(Signal),
    Gathered(Arc<Gathered>),
}

/// Why a message didn't reach the other instances.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BusError {
    #[error("the bus is away: {0}")]
    Away(String),
    #[error("the bus has stopped")]
    Stopped,
}

/// Resolves when the published messages have left this instance, or failed to.
pub type Left = oneshot::Receiver<Result<(), BusError>>;

/// Receives everything, of this instance and of the others, in the order of arrival.
pub type Listener = mpsc::UnboundedReceiver<BusMessage>;

/// Carries envelopes and signals to all listeners on all instances.
pub trait EventBus: Send + Sync + 'static {
    /// Delivers the messages within this process at once, and sends them to the other instances. Never blocks.
    fn publish(&self, messages: Vec<BusMessage>) -> Left;

    /// Whether the other instances can be reached. While they can't, caches of their state must be checked against the database.
    fn is_connected(&self) -> bool {
        true
    }

    /// Subscribes to everything that arrives from now on, until the listener is dropped.
    fn listen(&self) -> Listener;
}
