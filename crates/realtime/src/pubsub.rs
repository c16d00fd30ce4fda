//! [`PubSubService`], the actor that receives messages of other instances.
//!
//! It has its own Redis connection and subscribes to all channels. It drops the instance's own
//! messages and delivers the rest to the bus of this process, which every shard listens to. Pub/Sub
//! isn't durable: a message that is published while this instance isn't subscribed is lost.
//! Therefore the actor delivers [`Signal::Gap`] to this process when the connection is lost, every
//! second until it is restored, and once more afterwards. The shards then read the log. A half-open
//! connection is noticed because the instance's own heartbeats don't come back.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt as _, Context, ContextFutureSpawner as _, WrapFuture as _};
use appcore::{
    InstanceId,
    event::{BusMessage, MemoryBus, Signal},
};
use futures_util::{Stream, StreamExt as _};
use redis::{Client, Msg};
use telemetry::{Span, SpanRole};
use tokio::time::{Instant, timeout_at};

use crate::bus::{HEARTBEAT_INTERVAL, WireMessage, channels};

/// Timeout for connecting and subscribing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum and minimum delay between connection attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
const MIN_BACKOFF: Duration = Duration::from_millis(50);
/// Time without any message after which the connection is considered lost.
const SILENCE_TIMEOUT: Duration = HEARTBEAT_INTERVAL.saturating_mul(4);

/// Minimum interval between gap signals for messages that can't be decoded.
const GAP_INTERVAL: Duration = Duration::from_secs(1);

/// Receiver of messages of other instances.
pub struct PubSubService {
    client: Client,
    instance: InstanceId,
    local: Arc<MemoryBus>,
}

impl PubSubService {
    #[must_use]
    pub fn new(client: Client, instance: InstanceId, local: Arc<MemoryBus>) -> Self {
        Self { client, instance, local }
    }
}

impl Actor for PubSubService {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let subscriber =
            Subscriber { client: self.client.clone(), instance: self.instance, local: Arc::clone(&self.local) };
        subscriber.listen().into_actor(self).map(|(), _, _| ()).spawn(context);
    }
}

struct Subscriber {
    client: Client,
    instance: InstanceId,
    local: Arc<MemoryBus>,
}

impl Subscriber {
    async fn listen(self) {
        let mut pause = MIN_BACKOFF;
        let mut was_away = false;
        loop {
            match tokio::time::timeout(CONNECT_TIMEOUT, self.subscribe()).await {
                Ok(Ok(messages)) => {
                    if was_away {
                        tracing::info!("redis connection restored");
                    }
                    self.report_gap();
                    pause = MIN_BACKOFF;
                    self.forward(messages).await;
                    tracing::warn!("redis connection lost, reading events of other instances from the database");
                }
                Ok(Err(error)) if !was_away => {
                    tracing::warn!(%error, "redis unavailable, reading events of other instances from the database")
                }
                Ok(Err(_)) | Err(_) => {}
            }
            was_away = true;
            self.report_gap();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_BACKOFF);
        }
    }

    async fn subscribe(&self) -> Result<impl Stream<Item = Msg> + use<>, redis::RedisError> {
        let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
        sink.subscribe(channels()).await?;
        // The subscription ends when its sink is dropped, so the stream keeps the sink as well.
        Ok(stream.map(move |message| {
            let _ = &sink;
            message
        }))
    }

    async fn forward(&self, messages: impl Stream<Item = Msg>) {
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
            let message = match timeout_at(gap.map_or(silence, |gap| gap.min(silence)), messages.next()).await {
                Ok(Some(message)) => message,
                Err(_) if gap.is_some() => continue,
                Ok(None) | Err(_) => return,
            };
            silence = Instant::now() + SILENCE_TIMEOUT;
            let bytes = message.get_payload_bytes();
            if WireMessage::origin(bytes) == Some(self.instance) {
                continue;
            }
            match WireMessage::decode(bytes) {
                Ok(WireMessage { message: Some(message), traceparent, .. }) => {
                    let _span =
                        traceparent.map(|from| Span::start_within(SpanRole::Consumer, "bus receive", Some(&from)));
                    self.local.deliver(&[message]);
                }
                Ok(WireMessage { message: None, .. }) => {}
                // Such a message is usually from another release. Durable events in it are in the
                // log as well.
                Err(error) if gap.is_none() => {
                    tracing::warn!(%error, channel = message.get_channel_name(), "failed to decode message from redis");
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
    use futures_util::stream;
    use redis::Value;
    use tokio::sync::mpsc;

    use super::*;
    use crate::bus::WireMessage;

    fn message(payload: &[u8]) -> Msg {
        let text = |bytes: &[u8]| Value::BulkString(bytes.to_vec());
        Msg::from_value(&Value::Array(vec![text(b"message"), text(b"natter:control"), text(payload)])).unwrap()
    }

    #[actix_rt::test]
    async fn reports_incompatible_messages_as_gaps_at_most_once_a_second() {
        let local = Arc::new(MemoryBus::new());
        let mut listener = local.subscribe();
        let (instance, other) = (InstanceId::new(), InstanceId::new());
        let subscriber = Subscriber { client: Client::open("redis://127.0.0.1:1").unwrap(), instance, local };
        let (sender, receiver) = mpsc::unbounded_channel();
        let unreadable = [other.0.as_bytes().as_slice(), &[99, 1, 2]].concat();
        let readable = WireMessage::encode(other, Some(&BusMessage::Signal(Signal::JobsWaiting)), None).unwrap();
        for number in 0..100 {
            sender.send(message(if number == 50 { &readable } else { &unreadable })).unwrap();
        }
        let messages = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let passing = actix_rt::spawn(async move { subscriber.forward(messages).await });
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
