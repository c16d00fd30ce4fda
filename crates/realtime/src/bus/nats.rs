//! Bus over NATS. Channels are subjects: `natter.events.{0-63}` and `natter.control`.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::{Client, ConnectOptions, Event, ServerAddr, Subscriber};
use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::{sync::mpsc, time::timeout};
use url::Url;

use super::{
    WireMessage,
    transport::{Incoming, Outgoing, Publish, Subscribe},
};

/// Timeout of connecting, and of a response.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum number of received messages that wait in memory. Above it they are lost, which is noticed.
const CAPACITY: usize = 65_536;
/// All subjects of the bus.
const SUBJECTS: &str = "natter.>";

pub(super) struct Nats {
    servers: Vec<ServerAddr>,
    client: Option<Client>,
}

impl Nats {
    pub(super) fn new(servers: Vec<Url>) -> anyhow::Result<Self> {
        let servers = servers.into_iter().map(ServerAddr::from_url).collect::<Result<_, _>>()?;
        Ok(Self { servers, client: None })
    }

    async fn connect(&self, options: ConnectOptions) -> anyhow::Result<Client> {
        let options = options.name("natter").connection_timeout(TIMEOUT).subscription_capacity(CAPACITY);
        Ok(timeout(TIMEOUT, options.connect(&self.servers[..])).await.context("timed out")??)
    }
}

#[async_trait]
impl Publish for Nats {
    async fn publish(&mut self, messages: Vec<Outgoing>) -> anyhow::Result<()> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.connect(ConnectOptions::new()).await?,
        };
        let max_payload = client.server_info().max_payload;
        for Outgoing { channel, payload } in messages {
            let payload = if payload.len() > max_payload { WireMessage::too_large(&payload) } else { payload };
            client.publish(channel.replace(':', "."), payload.into()).await?;
        }
        // Publishing alone doesn't show whether the server has received anything.
        timeout(TIMEOUT, client.flush()).await.context("timed out")??;
        anyhow::ensure!(
            client.connection_state() == async_nats::connection::State::Connected,
            "the connection was lost"
        );
        self.client = Some(client);
        Ok(())
    }

    fn disconnect(&mut self) {
        self.client = None;
    }
}

#[async_trait]
impl Subscribe for Nats {
    async fn subscribe(&self) -> anyhow::Result<BoxStream<'static, Incoming>> {
        let (events, happened) = mpsc::unbounded_channel();
        let options = ConnectOptions::new().event_callback(move |event| {
            let events = events.clone();
            async move {
                let _ = events.send(event);
            }
        });
        let client = self.connect(options).await?;
        let messages = client.subscribe(SUBJECTS).await?;
        timeout(TIMEOUT, client.flush()).await.context("timed out")??;
        let subscription = Subscription { _client: client, messages, events: happened };
        let stream = stream::unfold(subscription, async |mut subscription| {
            let incoming = subscription.next().await?;
            Some((incoming, subscription))
        });
        Ok(stream.boxed())
    }
}

struct Subscription {
    /// The subscription ends when its client is dropped.
    _client: Client,
    messages: Subscriber,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Subscription {
    async fn next(&mut self) -> Option<Incoming> {
        loop {
            tokio::select! {
                message = self.messages.next() => {
                    let message = message?;
                    return Some(Incoming::Message {
                        channel: message.subject.replace('.', ":"),
                        payload: message.payload,
                    });
                }
                event = self.events.recv() => match event? {
                    // The client would connect again on its own. The caller does so for all kinds of servers.
                    Event::Disconnected | Event::Closed => return None,
                    Event::SlowConsumer(_) => return Some(Incoming::Gap),
                    _ => {}
                },
            }
        }
    }
}
