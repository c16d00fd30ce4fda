//! Tests of the receiver with a server in memory.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use appcore::{
    ConversationId, EventId, Timestamp,
    event::{Envelope, EventBus as _, FollowChange, Listener, Topic},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use super::*;

/// Bus server that loses messages on channels that are not subscribed.
#[derive(Clone)]
struct Server {
    channels: Arc<Mutex<BTreeSet<String>>>,
    sender: mpsc::UnboundedSender<Incoming>,
    /// Permits for changes of channels.
    changes: Arc<Semaphore>,
}

#[async_trait]
impl ChangeChannels for Server {
    async fn change(&mut self, opened: Vec<String>, closed: Vec<String>) -> anyhow::Result<()> {
        self.changes.acquire().await?.forget();
        let mut channels = self.channels();
        channels.extend(opened);
        channels.retain(|channel| !closed.contains(channel));
        Ok(())
    }
}

struct NoServer;

#[async_trait]
impl Subscribe for NoServer {
    async fn subscribe(&self, _: Vec<String>) -> anyhow::Result<Subscription> {
        anyhow::bail!("there is no server")
    }
}

impl Server {
    fn channels(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, channel: &str, payload: &[u8]) {
        if channel == CONTROL_CHANNEL || self.channels().contains(channel) {
            let payload = Bytes::copy_from_slice(payload);
            self.sender.send(Incoming::Message { channel: channel.to_owned(), payload }).unwrap();
        }
    }

    /// Publishes an ephemeral event of a conversation from another instance.
    fn publish_event(&self, number: u128) {
        let message = event(number);
        let payload = WireMessage::encode(InstanceId::new(), Some(&message), None).unwrap();
        self.publish(&format!("natter:events:{number}"), &payload);
    }
}

/// Receiver that is connected to a server which allows any number of changes.
struct Instance {
    server: Server,
    receiver: Arc<Receiver>,
    listener: Listener,
    _task: tokio::task::JoinHandle<()>,
}

/// Starts a receiver that may make this number of changes to its channels.
fn start(changes: usize) -> Instance {
    let (sender, received) = mpsc::unbounded_channel();
    let server = Server { channels: Arc::default(), sender, changes: Arc::new(Semaphore::new(changes)) };
    let local = Arc::new(MemoryBus::new());
    let listener = local.subscribe();
    let receiver = Arc::new(Receiver {
        subscriber: Box::new(NoServer),
        name: "server",
        address: String::new(),
        instance: InstanceId::new(),
        local,
        interest: Arc::default(),
        link: Arc::default(),
    });
    let messages = Box::pin(stream::unfold(received, async |mut received| Some((received.recv().await?, received))));
    let subscription = Subscription { channels: Box::new(server.clone()), messages };
    let running = Arc::clone(&receiver);
    let task = tokio::task::spawn_local(async move { running.forward(subscription).await });
    Instance { server, receiver, listener, _task: task }
}

fn conversation(number: u128) -> ConversationId {
    ConversationId(Uuid::from_u128(number))
}

fn event(number: u128) -> BusMessage {
    BusMessage::Envelope(Arc::new(Envelope {
        id: EventId::new(),
        kind: "typing".into(),
        timestamp: Timestamp(0),
        topic: Topic::Viewers(conversation(number)),
        position: None,
        effect: FollowChange::None,
        payload: "{}".into(),
    }))
}

fn is_event(message: &BusMessage) -> bool {
    matches!(message, BusMessage::Envelope(_))
}

const GAP: BusMessage = BusMessage::Signal(Signal::Gap);

/// Lets the receiver run until it waits.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Advances the clock in steps in which the instance gets a heartbeat, so that the connection isn't silent.
async fn advance(instance: &Instance, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        tokio::time::advance(HEARTBEAT_INTERVAL).await;
        instance.server.publish(CONTROL_CHANNEL, instance.receiver.instance.0.as_bytes());
        settle().await;
    }
}

#[actix_rt::test]
async fn reports_incompatible_messages_as_gaps_at_most_once_a_second() {
    let Instance { server, mut listener, .. } = start(0);
    let other = InstanceId::new();
    let unreadable = [other.0.as_bytes().as_slice(), &[99, 1, 2]].concat();
    let readable = WireMessage::encode(other, Some(&BusMessage::Signal(Signal::JobsWaiting)), None).unwrap();
    for number in 0..100 {
        server.publish(CONTROL_CHANNEL, if number == 50 { &readable } else { &unreadable });
    }
    assert_eq!(listener.recv().await, Some(GAP), "reported immediately");
    let first = Instant::now();
    assert_eq!(listener.recv().await, Some(BusMessage::Signal(Signal::JobsWaiting)));
    assert_eq!(listener.recv().await, Some(GAP), "later ones are reported together");
    assert!(first.elapsed() >= GAP_INTERVAL / 2);
    assert!(listener.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn subscribes_to_channels_with_readers_and_reports_them_when_confirmed() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut instance = start(0);
            let reader = instance.receiver.interest.acquire(1 << 7);
            settle().await;
            // The change is in progress, so this message is lost.
            instance.server.publish_event(7);
            settle().await;
            assert!(instance.listener.try_recv().is_err());
            instance.server.changes.add_permits(1);
            settle().await;
            assert_eq!(instance.listener.try_recv(), Ok(BusMessage::Signal(Signal::ChannelsOpened(1 << 7))));
            assert_eq!(instance.receiver.interest.open(), 1 << 7);
            instance.server.publish_event(7);
            instance.server.publish_event(8);
            settle().await;
            assert!(is_event(&instance.listener.try_recv().unwrap()));
            assert!(instance.listener.try_recv().is_err(), "channel 8 has no readers");
            drop(reader);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn unsubscribes_after_the_grace_period_and_opens_again_for_a_new_reader() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut instance = start(10);
            let interest = Arc::clone(&instance.receiver.interest);
            drop(interest.acquire(1 << 3));
            let reader = interest.acquire(1 << 5);
            settle().await;
            advance(&instance, UNREAD_CHANNEL_GRACE / 2).await;
            assert_eq!(instance.server.channels().len(), 1, "only the channel with a reader was opened");
            drop(reader);
            advance(&instance, UNREAD_CHANNEL_GRACE / 2).await;
            assert_eq!(interest.open(), 1 << 5, "a reader who returns soon finds the channel open");
            advance(&instance, UNREAD_CHANNEL_GRACE).await;
            assert_eq!((interest.open(), instance.server.channels().len()), (0, 0));
            while instance.listener.try_recv().is_ok() {}
            let _reader = interest.acquire(1 << 5);
            settle().await;
            assert_eq!(instance.listener.try_recv(), Ok(BusMessage::Signal(Signal::ChannelsOpened(1 << 5))));
        })
        .await;
}

/// A reader arrives while its channel is being unsubscribed.
#[tokio::test(start_paused = true)]
async fn a_reader_who_arrives_while_the_channel_closes_gets_it_opened_again() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut instance = start(1);
            let interest = Arc::clone(&instance.receiver.interest);
            let reader = interest.acquire(1 << 5);
            settle().await;
            drop(reader);
            // The last change needs a permit, so it stays in progress.
            advance(&instance, UNREAD_CHANNEL_GRACE * 2).await;
            let _reader = interest.acquire(1 << 5);
            settle().await;
            assert_eq!(interest.open(), 0, "messages may be lost from now on");
            while instance.listener.try_recv().is_ok() {}
            instance.server.changes.add_permits(2);
            settle().await;
            assert_eq!(instance.listener.try_recv(), Ok(BusMessage::Signal(Signal::ChannelsOpened(1 << 5))));
            assert!(instance.server.channels().contains("natter:events:5"));
        })
        .await;
}

/// Instances of earlier releases report joins only on the conversation's channel.
#[tokio::test(start_paused = true)]
async fn subscribes_to_all_channels_beside_an_earlier_release() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut instance = start(10);
            let interest = Arc::clone(&instance.receiver.interest);
            advance(&instance, EARLIER_RELEASE_TIMEOUT * 2).await;
            assert!(instance.receiver.link.announces_heads.load(Relaxed), "there is none");
            instance.server.publish(CONTROL_CHANNEL, InstanceId::new().0.as_bytes());
            settle().await;
            assert_eq!(interest.open(), ChannelSet::MAX);
            assert_eq!(instance.listener.try_recv(), Ok(GAP), "joins may have been lost until now");
            assert!(!instance.receiver.link.announces_heads.load(Relaxed), "it can't read the announcements");
            advance(&instance, EARLIER_RELEASE_TIMEOUT * 2).await;
            assert_eq!(interest.open(), 0);
            assert!(instance.receiver.link.announces_heads.load(Relaxed));
        })
        .await;
}
