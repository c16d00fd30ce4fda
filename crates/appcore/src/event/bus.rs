//! Event bus: the trait through which events are delivered within a process and between instances.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{ChannelInterest, Coalesced, Envelope, Signal};

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

/// Confirmation of a publication. It resolves when the messages have left this instance, or could
/// not be sent.
pub type PublishAck = oneshot::Receiver<Result<(), BusError>>;

/// Receiver of all messages, both from this instance and from others, in the order of arrival.
pub type Listener = mpsc::UnboundedReceiver<BusMessage>;

/// Bus that delivers envelopes and signals to all listeners on all instances.
pub trait EventBus: Send + Sync + 'static {
    /// Delivers the messages to the listeners of this process immediately, and sends them to the
    /// other instances. Never blocks.
    fn publish(&self, messages: Vec<BusMessage>) -> PublishAck;

    /// True if the other instances can be reached. While they can't, cached data that they may have
    /// changed must be checked in the database.
    fn is_connected(&self) -> bool {
        true
    }

    /// False until the other instances could be reached for the first time.
    fn has_connected(&self) -> bool {
        true
    }

    /// Channels of other instances' messages that this instance needs. `None` if all messages arrive anyway.
    fn channel_interest(&self) -> Option<&Arc<ChannelInterest>> {
        None
    }

    /// Subscribes to all messages that are sent from now on. Those of other instances about a conversation arrive only if
    /// its channel is open; see [`ChannelInterest`]. Dropping the listener ends the subscription.
    fn subscribe(&self) -> Listener;
}
