//! Bus over one Redis server, or over a primary that Sentinel names.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use platform::redis::sentinel;
use redis::{
    AsyncConnectionConfig, Client,
    aio::{MultiplexedConnection, PubSubSink},
};
use tokio::sync::Mutex;
use url::Url;

use super::transport::{ChangeChannels, Incoming, Outgoing, Publish, Subscribe, Subscription};

/// Timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct RedisServer {
    address: Address,
    connection: Option<MultiplexedConnection>,
}

enum Address {
    Server(Client),
    /// The primary may change, so Sentinel is queried before each connection.
    Sentinel(Mutex<redis::sentinel::SentinelClient>),
}

impl RedisServer {
    pub(super) fn new(servers: &[Url]) -> anyhow::Result<Self> {
        let address = if sentinel::is_sentinel(servers) {
            Address::Sentinel(Mutex::new(sentinel::client(servers)?))
        } else {
            let [server] = servers else { anyhow::bail!("several hosts need redis+sentinel:// or redis+cluster://") };
            Address::Server(platform::redis::client_certificate::client(server)?)
        };
        Ok(Self { address, connection: None })
    }

    async fn client(&self) -> anyhow::Result<Client> {
        match &self.address {
            Address::Server(client) => Ok(client.clone()),
            Address::Sentinel(client) => {
                let primary = async { client.lock().await.async_get_client().await };
                let primary = tokio::time::timeout(RESPONSE_TIMEOUT, primary).await;
                primary.context("Sentinel doesn't respond")?.context("Sentinel names no primary")
            }
        }
    }

    async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        Ok(self.client().await?.get_multiplexed_async_connection_with_config(&config).await?)
    }
}

#[async_trait]
impl Publish for RedisServer {
    async fn publish(&mut self, messages: Vec<Outgoing>) -> anyhow::Result<()> {
        let mut pipe = redis::pipe();
        for Outgoing { channel, payload } in messages {
            pipe.publish(channel, payload).ignore();
        }
        // The connection is taken out of the struct, so that it isn't used again after a failure.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        pipe.query_async::<()>(&mut connection).await?;
        self.connection = Some(connection);
        Ok(())
    }

    fn disconnect(&mut self) {
        self.connection = None;
    }
}

#[async_trait]
impl Subscribe for RedisServer {
    async fn subscribe(&self, channels: Vec<String>) -> anyhow::Result<Subscription> {
        let subscribed = async {
            let (mut sink, stream) = self.client().await?.get_async_pubsub().await?.split();
            sink.subscribe(channels).await?;
            let messages = stream.map(|message| Incoming::Message {
                channel: message.get_channel_name().to_owned(),
                payload: Bytes::copy_from_slice(message.get_payload_bytes()),
            });
            Ok(Subscription { channels: Box::new(Channels(sink)), messages: messages.boxed() })
        };
        let subscription: Result<_, anyhow::Error> = tokio::time::timeout(RESPONSE_TIMEOUT, subscribed).await?;
        subscription
    }
}

/// Sink of a connection, whose subscriptions end when it is dropped.
struct Channels(PubSubSink);

#[async_trait]
impl ChangeChannels for Channels {
    async fn change(&mut self, opened: Vec<String>, closed: Vec<String>) -> anyhow::Result<()> {
        let changed = async {
            if !opened.is_empty() {
                self.0.subscribe(opened).await?;
            }
            if !closed.is_empty() {
                self.0.unsubscribe(closed).await?;
            }
            Ok(())
        };
        tokio::time::timeout(RESPONSE_TIMEOUT, changed).await?
    }
}
