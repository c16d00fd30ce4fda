//! [`PubSubService`], the actor that receives messages of other instances.
//!
//! It has its own connection and subscribes to all channels. It drops the instance's own messages
//! and delivers the rest to the bus of this process, which every shard listens to. The servers
//! don't store messages: one that is published while this instance isn't subscribed is lost.
//! Therefore the actor delivers [`Signal::Gap`] to this process when the connection is lost, every
//! second until it is restored, and once more afterwards. The shards then read the log. A half-open
//! connection is noticed because the instance's own heartbeats don't come back.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix::{Actor, ActorFutureExt as _, Context, ContextFutureSpawner as _, WrapFuture as _};
use appcore::{
    InstanceId,
    event::{BusMessage, MemoryBus, Signal},
};
use futures_util::{Stream, StreamExt as _};
use telemetry::{Span, SpanRole};
use tokio::time::{Instant, timeout_at};

use crate::bus::{HEARTBEAT_INTERVAL, Incoming, Link, Subscribe, WireMessage};

/// Timeout for connecting and subscribing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum and minimum delay between connection attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
const MIN_BACKOFF: Duration = Duration::from_millis(50);
/// Time without any message after which the connection is considered lost.
const SILENCE_TIMEOUT: Duration = HEARTBEAT_INTERVAL.saturating_mul(4);

/// Minimum interval between gap signals for messages that can't be decoded.
const GAP_INTERVAL: Duration = Duration::from_secs(1);

/// Receiver of messages of other instances.
pub struct PubSubService(Option<Receiver>);

impl PubSubService {
    /// Receiver for a server with this name and address.
    pub(crate) fn new(
        subscriber: Box<dyn Subscribe>,
        (name, address): (&'static str, String),
        instance: InstanceId,
        local: Arc<MemoryBus>,
        link: Arc<Link>,
    ) -> Self {
        Self(Some(Receiver { subscriber, name, address, instance, local, link }))
    }
}

impl Actor for PubSubService {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(receiver) = self.0.take() {
            receiver.listen().into_actor(self).map(|(), _, _| ()).spawn(context);
        }
    }
}

struct Receiver {
    subscriber: Box<dyn Subscribe>,
    name: &'static str,
    address: String,
    instance: InstanceId,
    local: Arc<MemoryBus>,
    link: Arc<Link>,
}

impl Receiver {
    async fn listen(self) {
        let (name, address) = (self.name, self.address.as_str());
        let mut pause = MIN_BACKOFF;
        let mut was_away = false;
        loop {
            let subscribed = tokio::time::timeout(CONNECT_TIMEOUT, self.subscriber.subscribe()).await;
            match subscribed.map_err(anyhow::Error::from).flatten() {
                Ok(messages) => {
                    if was_away {
                        tracing::info!(server = address, "{name} connection restored");
                    }
                    self.report_gap();
                    self.link.is_subscribed.store(true, Relaxed);
                    self.link.has_subscribed.store(true, Relaxed);
                    pause = MIN_BACKOFF;
                    self.forward(messages).await;
                    self.link.is_subscribed.store(false, Relaxed);
                    tracing::warn!(
                        server = address,
                        "{name} connection lost, reading events of other instances from the database"
                    );
                }
                Err(error) if !was_away => {
                    let error = format!("{error:#}");
                    tracing::warn!(
                        error,
                        server = address,
                        "{name} unavailable, reading events of other instances from the database"
                    );
                }
                Err(_) => {}
            }
            was_away = true;
            self.report_gap();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_BACKOFF);
        }
    }

    async fn forward(&self, messages: impl Stream<Item = Incoming>) {
        tokio::pin!(messages);
        let mut silence = Instant::now() + SILENCE_TIMEOUT;
        // Time at which to signal a gap for messages that couldn't be decoded.
        let mut gap: Option<Instant> = None;
        let mut last_gap: Option<Instant> = None;
        loop {
            if gap.take_if(|gap| *gap <= Instant::now()).is_some() {
                last_gap = Some(Instant::now());
                self.report_gap();
            }
            let incoming = match timeout_at(gap.map_or(silence, |gap| gap.min(silence)), messages.next()).await {
                Ok(Some(incoming)) => incoming,
                Err(_) if gap.is_some() => continue,
                Ok(None) => return,
                Err(_) => {
                    // Either side may have lost its connection.
                    self.link.is_silent.store(true, Relaxed);
                    return;
                }
            };
            silence = Instant::now() + SILENCE_TIMEOUT;
            let Incoming::Message { channel, payload } = incoming else {
                self.report_gap();
                continue;
            };
            if WireMessage::origin(&payload) == Some(self.instance) {
                continue;
            }
            match WireMessage::decode(&payload) {
                Ok(WireMessage { message: Some(message), traceparent, .. }) => {
                    let _span =
                        traceparent.map(|from| Span::start_within(SpanRole::Consumer, "bus receive", Some(&from)));
                    self.local.deliver(&[message]);
                }
                Ok(WireMessage { message: None, .. }) => {}
                // Such a message is usually from another release. Durable events in it are in the
                // log as well.
                Err(error) if gap.is_none() => {
                    tracing::warn!(%error, channel, "failed to decode message of another instance");
                    let now = Instant::now();
                    gap = Some(last_gap.map_or(now, |last| now.max(last + GAP_INTERVAL)));
                }
                Err(_) => {}
            }
        }
    }

    fn report_gap(&self) {
        self.local.deliver(&[BusMessage::Signal(Signal::Gap)]);
    }
}

#[cfg(test)]
mod tests {
    use appcore::event::EventBus as _;
    use async_trait::async_trait;
    use bytes::Bytes;
    use futures_util::stream::{self, BoxStream};
    use tokio::sync::mpsc;

    use super::*;
    use crate::bus::WireMessage;

    struct NoServer;

    #[async_trait]
    impl Subscribe for NoServer {
        async fn subscribe(&self) -> anyhow::Result<BoxStream<'static, Incoming>> {
            anyhow::bail!("there is no server")
        }
    }

    fn message(payload: &[u8]) -> Incoming {
        Incoming::Message { channel: "natter:control".to_owned(), payload: Bytes::copy_from_slice(payload) }
    }

    #[actix_rt::test]
    async fn reports_incompatible_messages_as_gaps_at_most_once_a_second() {
        let local = Arc::new(MemoryBus::new());
        let mut listener = local.subscribe();
        let (instance, other) = (InstanceId::new(), InstanceId::new());
        let receiver = Receiver {
            subscriber: Box::new(NoServer),
            name: "server",
            address: String::new(),
            instance,
            local,
            link: Arc::default(),
        };
        let (sender, received) = mpsc::unbounded_channel();
        let unreadable = [other.0.as_bytes().as_slice(), &[99, 1, 2]].concat();
        let readable = WireMessage::encode(other, Some(&BusMessage::Signal(Signal::JobsWaiting)), None).unwrap();
        for number in 0..100 {
            sender.send(message(if number == 50 { &readable } else { &unreadable })).unwrap();
        }
        let messages = stream::unfold(received, async |mut received| Some((received.recv().await?, received)));
        let passing = actix_rt::spawn(async move { receiver.forward(messages).await });
        assert_eq!(listener.recv().await, Some(BusMessage::Signal(Signal::Gap)), "reported immediately");
        let first = Instant::now();
        assert_eq!(listener.recv().await, Some(BusMessage::Signal(Signal::JobsWaiting)));
        assert_eq!(listener.recv().await, Some(BusMessage::Signal(Signal::Gap)), "later ones are reported together");
        assert!(first.elapsed() >= GAP_INTERVAL / 2);
        drop(sender);
        passing.await.unwrap();
        assert!(listener.try_recv().is_err());
    }
}
