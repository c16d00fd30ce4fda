//! The trait that carries news between the parts of one process and between processes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{Envelope, Signal};

/// What goes over the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BusMessage {
    Envelope(Arc<Envelope>),
    Signal(Signal),
}

/// Why the bus did not take a message to the other instances.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BusError {
    #[error("the bus is away: {0}")]
    Away(String),
    #[error("the bus has stopped")]
    Stopped,
}

/// Resolves when what was published has left this instance, or could not.
pub type Left = oneshot::Receiver<Result<(), BusError>>;

/// Receives everything, of this instance and of the others, in the order of arrival.
pub type Listener = mpsc::UnboundedReceiver<BusMessage>;

/// Carries news and signals to everyone who listens, on every instance.
pub trait EventBus: Send + Sync + 'static {
    /// Hands the messages to this process at once, and sends them on to the others. Never waits.
    fn publish(&self, messages: Vec<BusMessage>) -> Left;

    /// Whether the other instances can be reached just now; while they can't, whoever keeps something of theirs asks the database.
    fn is_connected(&self) -> bool {
        true
    }

    /// From now on, everything that arrives. Dropping the listener ends it.
    fn listen(&self) -> Listener;
}
