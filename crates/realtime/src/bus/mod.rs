//! Event bus between instances. The bus within one process is [`appcore::event::MemoryBus`].

#[cfg(debug_assertions)]
mod faults;
mod nats;
mod network_bus;
mod recent_heads;
mod redis;
mod redis_cluster;
#[cfg(test)]
mod tests;
mod transport;
mod wire_message;

use appcore::Secret;
pub use network_bus::NetworkBus;
pub(crate) use network_bus::{HEARTBEAT_INTERVAL, Link};
use transport::Transport;
pub(crate) use transport::{ChangeChannels, Incoming, Subscribe, Subscription};
pub(crate) use wire_message::{CONTROL_CHANNEL, WireMessage, channel_kind, conversation_channels, own_channels};

/// Subscribes to a bus once, to check that it can be used.
pub async fn probe(url: &Secret) -> anyhow::Result<()> {
    Transport::open(url)?.subscriber.subscribe(vec![CONTROL_CHANNEL.to_owned()]).await.map(drop)
}
