//! Bus over NATS. Channels are subjects: `natter.events.{0-63}`, `natter.control`, and one for each instance's heartbeats.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use async_nats::{Client, ConnectOptions, Event, ServerAddr, Subscriber};
use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, AbortHandle, Abortable, SelectAll},
};
use tokio::{sync::mpsc, time::timeout};
use url::Url;
use uuid::Uuid;

use super::{
    WireMessage,
    transport::{ChangeChannels, Incoming, Outgoing, Publish, Subscribe, Subscription},
};

/// Timeout of connecting, and of a response.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum number of received messages that wait in memory. Above it they are lost, which is noticed.
const CAPACITY: usize = 65_536;

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
            client.publish(subject(&channel), payload.into()).await?;
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
    async fn subscribe(&self, channels: Vec<String>) -> anyhow::Result<Subscription> {
        let (events, happened) = mpsc::unbounded_channel();
        let options = ConnectOptions::new().event_callback(move |event| {
            let events = events.clone();
            async move {
                let _ = events.send(event);
            }
        });
        let client = self.connect(options).await?;
        let (sender, added) = mpsc::unbounded_channel();
        let mut own = Channels::new(client, sender).await?;
        own.change(channels, Vec::new()).await?;
        let messages = Messages { subscribers: SelectAll::new(), added, events: happened };
        let stream = stream::unfold(messages, async |mut messages| {
            let incoming = messages.next().await?;
            Some((incoming, messages))
        });
        Ok(Subscription { channels: Box::new(own), messages: stream.boxed() })
    }
}

/// Subscriptions of a connection. They end when its client is dropped.
struct Channels {
    client: Client,
    /// Handle of each channel's subscriber, by subject. Aborting ends the subscription.
    open: HashMap<String, AbortHandle>,
    added: mpsc::UnboundedSender<Abortable<Subscriber>>,
    /// Subject on which this connection sends itself messages, and their subscriber.
    probe: (String, Subscriber),
}

impl Channels {
    async fn new(client: Client, added: mpsc::UnboundedSender<Abortable<Subscriber>>) -> anyhow::Result<Self> {
        let subject = format!("natter.probe.{}", Uuid::now_v7().simple());
        let subscriber = client.subscribe(subject.clone()).await?;
        Ok(Self { client, open: HashMap::new(), added, probe: (subject, subscriber) })
    }

    /// Waits until the server has processed what this connection has sent before. It processes a connection's commands
    /// in order, and doesn't confirm subscriptions otherwise.
    async fn round_trip(&mut self) -> anyhow::Result<()> {
        let (subject, returned) = &mut self.probe;
        // Releases that subscribe to all subjects take this for a heartbeat.
        let payload = Uuid::now_v7().as_bytes().to_vec();
        self.client.publish(subject.clone(), payload.clone().into()).await?;
        while returned.next().await.context("the connection was lost")?.payload != payload {}
        Ok(())
    }
}

#[async_trait]
impl ChangeChannels for Channels {
    async fn change(&mut self, opened: Vec<String>, closed: Vec<String>) -> anyhow::Result<()> {
        let changed = async {
            for channel in opened {
                let subject = subject(&channel);
                let (handle, registration) = AbortHandle::new_pair();
                let subscriber = self.client.subscribe(subject.clone()).await?;
                // If the receiver is gone, the whole subscription is being dropped.
                let _ = self.added.send(Abortable::new(subscriber, registration));
                self.open.insert(subject, handle);
            }
            for channel in closed {
                if let Some(handle) = self.open.remove(&subject(&channel)) {
                    handle.abort();
                }
            }
            self.round_trip().await
        };
        timeout(TIMEOUT, changed).await.context("timed out")?
    }
}

struct Messages {
    subscribers: SelectAll<Abortable<Subscriber>>,
    added: mpsc::UnboundedReceiver<Abortable<Subscriber>>,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Messages {
    async fn next(&mut self) -> Option<Incoming> {
        loop {
            tokio::select! {
                Some(subscriber) = self.added.recv() => self.subscribers.push(subscriber),
                message = self.subscribers.next(), if !self.subscribers.is_empty() => {
                    // `None` if the last subscriber has ended, which follows an event.
                    let Some(message) = message else { continue };
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

fn subject(channel: &str) -> String {
    channel.replace(':', ".")
}
