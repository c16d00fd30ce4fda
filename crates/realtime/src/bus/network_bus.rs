//! Bus of several instances: delivers to this process directly and to the other instances through a server.
//!
//! All waiting messages are published over one connection, at once. While the server is unavailable, nothing is queued:
//! publishers get an error (the outbox publisher retries later), but the listeners in this process have received the
//! messages. [`PubSubService`] is the receiving side.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use actix::Actor as _;
use appcore::{
    InstanceId, Secret,
    breaker::{Breaker, Policy},
    event::{BusError, BusMessage, ChannelInterest, EventBus, Listener, MemoryBus, PublishAck},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    recent_heads::RecentHeads,
    transport::{Outgoing, Publish, Transport},
    wire_message::{WireMessage, channel, heartbeat_channel},
};
use crate::pubsub::PubSubService;

/// Circuit breaker: after a failure, publishing is refused for a moment.
const BREAKER_POLICY: Policy =
    Policy { failures: 1, pause: Duration::from_millis(250), longest_pause: Duration::from_millis(500) };
/// Maximum number of publications that are sent at once.
const MAX_PIPELINED: usize = 256;
/// Interval of the heartbeats that an instance sends to itself through the server, to check the path.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which the last sequence numbers of conversations are announced.
const HEADS_INTERVAL: Duration = Duration::from_millis(250);

/// Publishes messages to all instances that use the same server.
pub struct NetworkBus {
    local: Arc<MemoryBus>,
    interest: Arc<ChannelInterest>,
    outgoing: mpsc::UnboundedSender<Publication>,
    link: Arc<Link>,
}

/// State that both sides of the bus share.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// True while the subscription exists, and once it has existed.
    pub is_subscribed: AtomicBool,
    pub has_subscribed: AtomicBool,
    /// True if heartbeats have not come back, so that the publisher has to use a new connection.
    pub is_silent: AtomicBool,
    /// True if all instances read announcements of sequence numbers. Earlier releases can't, but receive all events.
    pub announces_heads: AtomicBool,
}

struct Publication {
    messages: Vec<BusMessage>,
    /// Trace context of the publisher.
    traceparent: Option<String>,
    done: oneshot::Sender<Result<(), BusError>>,
}

impl NetworkBus {
    /// Starts the bus within the caller's actix system. The server doesn't have to be available yet.
    pub fn start(url: &Secret, instance: InstanceId) -> anyhow::Result<Arc<Self>> {
        let Transport { name, address, publisher, subscriber } = Transport::open(url)?;
        let (local, link) = (Arc::new(MemoryBus::new()), Arc::new(Link::default()));
        let (outgoing, publications) = mpsc::unbounded_channel();
        let publisher = Publisher {
            publisher,
            instance,
            breaker: Breaker::new("bus", BREAKER_POLICY),
            link: Arc::clone(&link),
            heads: RecentHeads::default(),
            announced_at: None,
        };
        actix_rt::spawn(publisher.run(publications));
        let interest = Arc::new(ChannelInterest::default());
        let receiver = PubSubService::new(
            subscriber,
            (name, address),
            instance,
            (Arc::clone(&local), Arc::clone(&interest)),
            Arc::clone(&link),
        );
        receiver.start();
        Ok(Arc::new(Self { local, interest, outgoing, link }))
    }
}

impl EventBus for NetworkBus {
    fn publish(&self, messages: Vec<BusMessage>) -> PublishAck {
        self.local.deliver(&messages);
        let (done, left) = oneshot::channel();
        // If the publisher task has ended, `done` is dropped and the caller gets an error.
        let _ = self.outgoing.send(Publication { messages, traceparent: telemetry::traceparent(), done });
        left
    }

    fn is_connected(&self) -> bool {
        self.link.is_subscribed.load(Relaxed)
    }

    fn has_connected(&self) -> bool {
        self.link.has_subscribed.load(Relaxed)
    }

    fn channel_interest(&self) -> Option<&Arc<ChannelInterest>> {
        Some(&self.interest)
    }

    fn subscribe(&self) -> Listener {
        self.local.subscribe()
    }
}

struct Publisher {
    publisher: Box<dyn Publish>,
    instance: InstanceId,
    breaker: Breaker,
    link: Arc<Link>,
    heads: RecentHeads,
    announced_at: Option<Instant>,
}

impl Publisher {
    async fn run(mut self, mut publications: mpsc::UnboundedReceiver<Publication>) {
        let mut batch = Vec::new();
        let mut heartbeats = tokio::time::interval(HEARTBEAT_INTERVAL);
        heartbeats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut announcing = tokio::time::interval(HEADS_INTERVAL);
        announcing.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_heartbeat = tokio::select! {
                taken = publications.recv_many(&mut batch, MAX_PIPELINED) => {
                    if taken == 0 {
                        break;
                    }
                    false
                }
                _ = heartbeats.tick() => true,
                _ = announcing.tick() => false,
            };
            batch.iter().for_each(|publication| self.heads.record(&publication.messages));
            // A single event is announced together with it, so that the announcement isn't lost if the instance dies.
            let is_due = self.announced_at.is_none_or(|at| at.elapsed() >= HEADS_INTERVAL);
            let announces = is_due && !self.heads.is_empty() && self.link.announces_heads.load(Relaxed);
            if batch.is_empty() && !is_heartbeat && !announces {
                continue;
            }
            if self.link.is_silent.swap(false, Relaxed) {
                self.publisher.disconnect();
            }
            let announcements = if announces { self.heads.announcements() } else { Vec::new() };
            let result = self.publish(&batch, &announcements, is_heartbeat).await;
            if announces && result.is_ok() {
                self.heads.mark_announced();
                self.announced_at = Some(Instant::now());
            }
            for publication in batch.drain(..) {
                let _ = publication.done.send(result.clone());
            }
        }
    }

    async fn publish(
        &mut self,
        batch: &[Publication],
        announcements: &[BusMessage],
        is_heartbeat: bool,
    ) -> Result<(), BusError> {
        let away = |error: &dyn Display| BusError::Unavailable(error.to_string());
        let mut outgoing = Vec::new();
        let published = batch.iter().flat_map(|publication| {
            publication.messages.iter().map(|message| (message, publication.traceparent.as_deref()))
        });
        for (message, traceparent) in published.chain(announcements.iter().map(|message| (message, None))) {
            let payload =
                WireMessage::encode(self.instance, Some(message), traceparent).map_err(|error| away(&error))?;
            outgoing.push(Outgoing { channel: channel(message), payload });
        }
        if is_heartbeat {
            let payload = WireMessage::encode(self.instance, None, None).map_err(|error| away(&error))?;
            outgoing.push(Outgoing { channel: heartbeat_channel(self.instance), payload });
        }
        let admitted = self.breaker.admit().map_err(|error| away(&error))?;
        match self.publisher.publish(outgoing).await {
            Ok(()) => {
                admitted.record_success();
                Ok(())
            }
            Err(error) => {
                let error = format!("{error:#}");
                admitted.record_failure(&error);
                Err(away(&error))
            }
        }
    }
}
