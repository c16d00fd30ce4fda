//! Connections to the servers that carry messages between instances.

use appcore::{Secret, config::split_hosts};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use url::Url;

use super::{nats::Nats, redis::RedisServer, redis_cluster::RedisCluster};

/// Encoded message and its channel.
pub(crate) struct Outgoing {
    pub channel: String,
    pub payload: Vec<u8>,
}

/// Part of a subscription's stream.
#[derive(Clone, Debug)]
pub(crate) enum Incoming {
    Message {
        channel: String,
        payload: Bytes,
    },
    /// Messages may have been lost, but the subscription goes on.
    Gap,
}

/// Sends messages to all instances.
#[async_trait]
pub(crate) trait Publish: Send {
    /// Sends messages, and returns when the server has received them. Messages of one channel stay in order. Connects
    /// first if there is no connection; after an error, the connection is not used again.
    async fn publish(&mut self, messages: Vec<Outgoing>) -> anyhow::Result<()>;

    /// Closes the connection, so that the next messages use a new one.
    fn disconnect(&mut self);
}

/// Receives the messages of all instances.
#[async_trait]
pub(crate) trait Subscribe: Send + Sync {
    /// Connects and subscribes to these channels.
    async fn subscribe(&self, channels: Vec<String>) -> anyhow::Result<Subscription>;
}

/// Subscription to some channels over one connection. Both parts must be kept.
pub(crate) struct Subscription {
    pub channels: Box<dyn ChangeChannels>,
    /// Received messages. The stream ends when the connection is lost.
    pub messages: BoxStream<'static, Incoming>,
}

/// Changes the channels of a subscription while its messages are received.
#[async_trait]
pub(crate) trait ChangeChannels: Send {
    /// Subscribes to `opened`, and unsubscribes from `closed`. Returns when the server has subscribed to all of `opened`.
    /// An error means that the connection must be closed.
    async fn change(&mut self, opened: Vec<String>, closed: Vec<String>) -> anyhow::Result<()>;
}

/// Server that carries messages between instances.
pub(crate) struct Transport {
    /// Name of the kind of server, for log lines.
    pub name: &'static str,
    /// Hosts and ports, without passwords.
    pub address: String,
    pub publisher: Box<dyn Publish>,
    pub subscriber: Box<dyn Subscribe>,
}

impl Transport {
    /// Creates the two sides for a URL. They connect when they are used.
    pub(crate) fn open(url: &Secret) -> anyhow::Result<Self> {
        let servers = split_hosts(url.expose()).filter(|servers| servers.iter().all(Url::has_host));
        let servers = servers.ok_or_else(|| anyhow::anyhow!("it is not a valid address"))?;
        let address = servers.iter().map(host_and_port).collect::<Vec<_>>().join(",");
        let scheme = servers[0].scheme();
        let (name, publisher, subscriber): (_, Box<dyn Publish>, Box<dyn Subscribe>) = match scheme {
            "nats" | "tls" => ("nats", Box::new(Nats::new(servers.clone())?), Box::new(Nats::new(servers)?)),
            "redis+cluster" | "rediss+cluster" => {
                ("redis cluster", Box::new(RedisCluster::new(&servers)?), Box::new(RedisCluster::new(&servers)?))
            }
            _ => ("redis", Box::new(RedisServer::new(&servers)?), Box::new(RedisServer::new(&servers)?)),
        };
        #[cfg(debug_assertions)]
        let subscriber = super::faults::inject(subscriber);
        Ok(Self { name, address, publisher, subscriber })
    }
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
