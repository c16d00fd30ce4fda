//! Bus over a Redis Cluster, with sharded Pub/Sub: each node carries the channels of its own slots.
//!
//! A subscription belongs to the node that owns the channel's slot. When a node dies, or a slot moves, the channels are
//! subscribed again, until all of them have succeeded; the client library alone leaves some of them silent.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, future, stream};
use redis::{
    ProtocolVersion, PushInfo, PushKind, RedisError, Value,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use url::Url;

use super::transport::{ChangeChannels, Incoming, Outgoing, Publish, Subscribe, Subscription};

/// Timeouts of connecting to a node, and of a response.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of subscribing to a channel. A node that has died doesn't respond.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_millis(500);
/// Interval of subscribing again after a node was lost, until all channels are subscribed.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Interval of subscribing to all channels again without a reason, in case that the loss of a node was not noticed.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(15);

pub(super) struct RedisCluster {
    nodes: Vec<String>,
    /// Client certificate.
    certificate: Option<redis::TlsCertificates>,
    connection: Option<ClusterConnection>,
}

impl RedisCluster {
    pub(super) fn new(servers: &[Url]) -> anyhow::Result<Self> {
        let address = platform::redis::client_certificate::without_query;
        let nodes = servers.iter().map(|url| address(url).as_str().replacen("+cluster", "", 1)).collect();
        let certificate = servers.first().map(platform::redis::client_certificate::load).transpose()?.flatten();
        Ok(Self { nodes, certificate, connection: None })
    }

    fn builder(&self) -> ClusterClientBuilder {
        let builder = ClusterClient::builder(self.nodes.iter().map(String::as_str))
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(RESPONSE_TIMEOUT)
            .retries(2);
        match &self.certificate {
            Some(certificate) => builder.certs(certificate.clone()),
            None => builder,
        }
    }
}

#[async_trait]
impl Publish for RedisCluster {
    async fn publish(&mut self, messages: Vec<Outgoing>) -> anyhow::Result<()> {
        // The messages of a channel belong to one node. The channels are sent to their nodes concurrently.
        let mut pipes = BTreeMap::<String, redis::Pipeline>::new();
        for Outgoing { channel, payload } in messages {
            let pipe = pipes.entry(channel.clone()).or_default();
            pipe.cmd("SPUBLISH").arg(channel).arg(payload).ignore();
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let client = self.builder().build()?;
                timeout(RESPONSE_TIMEOUT, client.get_async_connection()).await.context("timed out")??
            }
        };
        let sent = future::try_join_all(pipes.into_values().map(|pipe| {
            let mut connection = connection.clone();
            async move { pipe.query_async::<()>(&mut connection).await }
        }));
        timeout(RESPONSE_TIMEOUT, sent).await.context("timed out")??;
        self.connection = Some(connection);
        Ok(())
    }

    fn disconnect(&mut self) {
        self.connection = None;
    }
}

#[async_trait]
impl Subscribe for RedisCluster {
    async fn subscribe(&self, channels: Vec<String>) -> anyhow::Result<Subscription> {
        let (sender, pushes) = mpsc::unbounded_channel();
        let client = self.builder().use_protocol(ProtocolVersion::RESP3).push_sender(sender).build()?;
        let connection = timeout(RESPONSE_TIMEOUT, client.get_async_connection()).await.context("timed out")??;
        let (own, changes) = mpsc::unbounded_channel();
        let mut messages = Messages {
            connection,
            pushes,
            changes,
            channels: channels.into_iter().collect(),
            unconfirmed: Vec::new(),
            renewal: Instant::now(),
            is_incomplete: false,
        };
        if !messages.renew().await {
            anyhow::bail!("some channels can't be subscribed to");
        }
        let stream = stream::unfold(messages, async |mut messages| {
            let incoming = messages.next().await?;
            Some((incoming, messages))
        });
        Ok(Subscription { channels: Box::new(Channels(own)), messages: stream.boxed() })
    }
}

/// Sender of changes to the part that subscribes.
struct Channels(mpsc::UnboundedSender<Change>);

struct Change {
    opened: Vec<String>,
    closed: Vec<String>,
    confirmed: oneshot::Sender<()>,
}

#[async_trait]
impl ChangeChannels for Channels {
    /// Waits for the node of each channel, however long it takes to replace it. Other channels go on meanwhile.
    async fn change(&mut self, opened: Vec<String>, closed: Vec<String>) -> anyhow::Result<()> {
        let (confirmed, confirmation) = oneshot::channel();
        self.0.send(Change { opened, closed, confirmed }).ok().context("the connection was lost")?;
        confirmation.await.context("the connection was lost")
    }
}

struct Messages {
    connection: ClusterConnection,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
    changes: mpsc::UnboundedReceiver<Change>,
    /// Channels that are subscribed, or will be as soon as their node responds.
    channels: BTreeSet<String>,
    /// Changes that are confirmed once all channels are subscribed.
    unconfirmed: Vec<oneshot::Sender<()>>,
    /// Time of the next attempt to subscribe to all channels.
    renewal: Instant,
    /// True from the loss of a node until all channels are subscribed again.
    is_incomplete: bool,
}

impl Messages {
    async fn next(&mut self) -> Option<Incoming> {
        loop {
            let push = tokio::select! {
                push = self.pushes.recv() => push?,
                Some(change) = self.changes.recv() => {
                    self.apply(change).await;
                    continue;
                }
                () = tokio::time::sleep_until(self.renewal) => {
                    let was_incomplete = self.is_incomplete;
                    self.is_incomplete = !self.renew().await;
                    if was_incomplete || self.is_incomplete {
                        return Some(Incoming::Gap);
                    }
                    continue;
                }
            };
            match push.kind {
                PushKind::SMessage => {
                    if let Some(message) = message(push.data) {
                        return Some(message);
                    }
                }
                // A node was lost, or a slot has moved to another one.
                PushKind::Disconnection => self.schedule_renewal(),
                PushKind::SUnsubscribe if self.lacks(&push.data) => self.schedule_renewal(),
                _ => {}
            }
        }
    }

    async fn apply(&mut self, Change { opened, closed, confirmed }: Change) {
        for channel in &closed {
            self.channels.remove(channel);
        }
        self.channels.extend(opened.iter().cloned());
        // A failure leaves a subscription whose messages are ignored, until the connection ends.
        let unsubscribed = closed.iter().map(|channel| {
            let mut connection = self.connection.clone();
            async move { timeout(SUBSCRIBE_TIMEOUT, connection.sunsubscribe(channel)).await.map(drop) }
        });
        let (_, is_subscribed) = future::join(future::join_all(unsubscribed), self.subscribe(&opened)).await;
        self.unconfirmed.push(confirmed);
        if is_subscribed && !self.is_incomplete {
            self.confirm();
        } else {
            self.is_incomplete = true;
            self.renewal = self.renewal.min(Instant::now() + RETRY_INTERVAL);
        }
    }

    fn confirm(&mut self) {
        for change in self.unconfirmed.drain(..) {
            let _ = change.send(());
        }
    }

    fn schedule_renewal(&mut self) {
        self.is_incomplete = true;
        self.renewal = Instant::now();
    }

    /// True if the push ends the subscription of a channel that this instance has not left.
    fn lacks(&self, data: &[Value]) -> bool {
        let Some(Value::BulkString(channel)) = data.first() else { return true };
        str::from_utf8(channel).is_ok_and(|channel| self.channels.contains(channel))
    }

    /// Subscribes to all channels. Returns false if some of them failed; the next attempt is then due soon.
    async fn renew(&mut self) -> bool {
        let all: Vec<String> = self.channels.iter().cloned().collect();
        let is_complete = self.subscribe(&all).await;
        if is_complete {
            self.confirm();
        }
        self.renewal = Instant::now() + if is_complete { RENEWAL_INTERVAL } else { RETRY_INTERVAL };
        is_complete
    }

    /// Subscribes to these channels. Returns false if some of them failed.
    async fn subscribe(&self, channels: &[String]) -> bool {
        let all = future::join_all(channels.iter().map(|channel| {
            let mut connection = self.connection.clone();
            async move {
                let subscribed = timeout(SUBSCRIBE_TIMEOUT, connection.ssubscribe(channel)).await;
                matches!(subscribed, Ok(Ok::<(), RedisError>(())))
            }
        }));
        all.await.into_iter().all(|subscribed| subscribed)
    }
}

/// Message of a push, whose data are the channel and the payload.
fn message(data: Vec<Value>) -> Option<Incoming> {
    let mut data = data.into_iter();
    let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) = (data.next(), data.next()) else {
        return None;
    };
    Some(Incoming::Message { channel: String::from_utf8(channel).ok()?, payload: Bytes::from(payload) })
}
