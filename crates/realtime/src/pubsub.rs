//! [`PubSubService`], the actor that receives messages of other instances.
//!
//! It has its own connection, and subscribes to the control channel and to the channels of
//! conversations that have [readers](ChannelInterest) on this instance. It drops the instance's own
//! messages and delivers the rest to the bus of this process, which every shard listens to. The
//! servers don't store messages: one that is published while this instance isn't subscribed is
//! lost. Therefore the actor delivers [`Signal::Gap`] to this process when the connection is lost,
//! every second until it is restored, and once more afterwards; and [`Signal::ChannelsOpened`] when
//! it has subscribed to further channels. The shards then read the log. A half-open connection is
//! noticed because the instance's own heartbeats don't come back.
//!
//! Beside an instance of an earlier release, whose heartbeats are on the control channel, this
//! instance subscribes to all channels.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix::{Actor, ActorFutureExt as _, Context, ContextFutureSpawner as _, WrapFuture as _};
use appcore::{
    InstanceId,
    event::{BusMessage, ChannelInterest, ChannelSet, MemoryBus, Signal},
};
use futures_util::StreamExt as _;
use metrics::metrics;
use telemetry::{Span, SpanRole};
use tokio::time::{Instant, sleep_until};

use crate::bus::{
    CONTROL_CHANNEL, ChangeChannels, HEARTBEAT_INTERVAL, Incoming, Link, Subscribe, Subscription, WireMessage,
    channel_kind, conversation_channels, own_channels,
};

/// Timeout for connecting and subscribing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum and minimum delay between connection attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
const MIN_BACKOFF: Duration = Duration::from_millis(50);
/// Time without any message after which the connection is considered lost.
const SILENCE_TIMEOUT: Duration = HEARTBEAT_INTERVAL.saturating_mul(4);

/// Minimum interval between gap signals for messages that can't be decoded.
const GAP_INTERVAL: Duration = Duration::from_secs(1);
/// Time for which a channel stays subscribed without readers, so that readers who reconnect find it open.
const UNREAD_CHANNEL_GRACE: Duration = Duration::from_secs(30);
/// Time without a heartbeat of an earlier release after which there is no such instance.
const EARLIER_RELEASE_TIMEOUT: Duration = HEARTBEAT_INTERVAL.saturating_mul(4);

/// Receiver of messages of other instances.
pub struct PubSubService(Option<Receiver>);

impl PubSubService {
    /// Receiver for a server with this name and address.
    pub(crate) fn new(
        subscriber: Box<dyn Subscribe>,
        (name, address): (&'static str, String),
        instance: InstanceId,
        (local, interest): (Arc<MemoryBus>, Arc<ChannelInterest>),
        link: Arc<Link>,
    ) -> Self {
        Self(Some(Receiver { subscriber, name, address, instance, local, interest, link }))
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
    interest: Arc<ChannelInterest>,
    link: Arc<Link>,
}

impl Receiver {
    async fn listen(self) {
        let (name, address) = (self.name, self.address.as_str());
        let mut pause = MIN_BACKOFF;
        let mut was_away = false;
        loop {
            let wanted = self.interest.wanted();
            let channels = own_channels(self.instance).into_iter().chain(conversation_channels(wanted)).collect();
            let subscribed = tokio::time::timeout(CONNECT_TIMEOUT, self.subscriber.subscribe(channels)).await;
            match subscribed.map_err(anyhow::Error::from).flatten() {
                Ok(subscription) => {
                    if was_away {
                        tracing::info!(server = address, "{name} connection restored");
                    }
                    self.mark_open(wanted);
                    self.report_gap();
                    self.link.is_subscribed.store(true, Relaxed);
                    self.link.has_subscribed.store(true, Relaxed);
                    pause = MIN_BACKOFF;
                    self.forward(subscription).await;
                    self.link.is_subscribed.store(false, Relaxed);
                    self.interest.mark_all_closed();
                    metrics().realtime.set_bus_channels(0);
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

    /// Delivers messages until the connection is lost.
    async fn forward(&self, Subscription { channels, mut messages }: Subscription) {
        let mut silence = Instant::now() + SILENCE_TIMEOUT;
        let mut gaps = UnreadableMessages::default();
        let mut changes = ChannelChanges::new(channels);
        loop {
            if gaps.is_due() {
                self.report_gap();
            }
            changes.start(self);
            // Both are checked in each round, because messages may never pause.
            let due = gaps.due.into_iter().chain(changes.due).min();
            tokio::select! {
                biased;
                changed = changes.finish() => {
                    if let Err(error) = changed {
                        tracing::warn!(error = format!("{error:#}"), "failed to change channels of the bus");
                        return;
                    }
                    changes.apply(self);
                }
                () = self.interest.changed() => changes.is_outdated = true,
                incoming = messages.next() => {
                    let Some(incoming) = incoming else { return };
                    silence = Instant::now() + SILENCE_TIMEOUT;
                    self.receive(incoming, &mut gaps, &mut changes);
                }
                () = sleep_until(silence) => {
                    // Either side may have lost its connection.
                    self.link.is_silent.store(true, Relaxed);
                    return;
                }
                () = sleep_until(due.unwrap_or(silence)), if due.is_some() => {}
            }
        }
    }

    fn receive(&self, incoming: Incoming, gaps: &mut UnreadableMessages, changes: &mut ChannelChanges) {
        let Incoming::Message { channel, payload } = incoming else {
            self.report_gap();
            return;
        };
        metrics().realtime.record_bus_message(channel_kind(&channel), payload.len());
        if WireMessage::origin(&payload) == Some(self.instance) {
            return;
        }
        match WireMessage::decode(&payload) {
            Ok(WireMessage { message: Some(message), traceparent, .. }) => {
                let _span = traceparent.map(|from| Span::start_within(SpanRole::Consumer, "bus receive", Some(&from)));
                self.local.deliver(&[message]);
            }
            Ok(WireMessage { message: None, .. }) if channel == CONTROL_CHANNEL => {
                changes.record_earlier_release(self);
            }
            Ok(WireMessage { message: None, .. }) => {}
            // Such a message is usually from another release. Durable events in it are in the
            // log as well.
            Err(error) => {
                if gaps.record() {
                    tracing::warn!(%error, channel, "failed to decode message of another instance");
                }
            }
        }
    }

    fn mark_open(&self, channels: ChannelSet) {
        self.interest.mark_open(channels);
        metrics().realtime.set_bus_channels(self.interest.open().count_ones());
    }

    fn report_gap(&self) {
        self.local.deliver(&[BusMessage::Signal(Signal::Gap)]);
    }
}

/// Gap signals for messages that can't be decoded, at most one per [`GAP_INTERVAL`].
#[derive(Default)]
struct UnreadableMessages {
    /// Time of the next signal, if such a message has arrived.
    due: Option<Instant>,
    last: Option<Instant>,
}

impl UnreadableMessages {
    /// Records a message. Returns false if a signal is due anyway.
    fn record(&mut self) -> bool {
        let is_first = self.due.is_none();
        if is_first {
            let now = Instant::now();
            self.due = Some(self.last.map_or(now, |last| now.max(last + GAP_INTERVAL)));
        }
        is_first
    }

    /// True if a signal is to be delivered now.
    fn is_due(&mut self) -> bool {
        let is_due = self.due.take_if(|due| *due <= Instant::now()).is_some();
        if is_due {
            self.last = Some(Instant::now());
        }
        is_due
    }
}

type PendingChange = Pin<Box<dyn Future<Output = (Box<dyn ChangeChannels>, anyhow::Result<()>)>>>;

/// Changes of the subscribed channels, one at a time, while messages arrive.
struct ChannelChanges {
    /// Used by the change in progress, if it is `None`.
    channels: Option<Box<dyn ChangeChannels>>,
    in_progress: Option<PendingChange>,
    /// Channels that are open once the change in progress has finished.
    opening: ChannelSet,
    /// True if the wanted channels may have changed.
    is_outdated: bool,
    /// Time of the next check of channels without readers, and of earlier releases.
    due: Option<Instant>,
    /// Time from which there is no instance of an earlier release, unless another heartbeat arrives.
    is_earlier_release_gone_at: Instant,
    has_earlier_release: bool,
}

impl ChannelChanges {
    fn new(channels: Box<dyn ChangeChannels>) -> Self {
        let is_earlier_release_gone_at = Instant::now() + EARLIER_RELEASE_TIMEOUT;
        Self {
            channels: Some(channels),
            in_progress: None,
            opening: 0,
            is_outdated: true,
            due: Some(is_earlier_release_gone_at),
            is_earlier_release_gone_at,
            has_earlier_release: false,
        }
    }

    /// Starts to open the channels that are wanted, and to close those without readers.
    fn start(&mut self, receiver: &Receiver) {
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.check(receiver);
        }
        if !self.is_outdated {
            return;
        }
        let Some(mut channels) = self.channels.take() else { return };
        self.is_outdated = false;
        let (interest, now) = (&receiver.interest, Instant::now());
        let (wanted, closing) = if self.has_earlier_release {
            (ChannelSet::MAX, 0)
        } else {
            (interest.wanted(), interest.close_unread(now, UNREAD_CHANNEL_GRACE))
        };
        self.opening = wanted & !interest.open();
        let unread = if self.has_earlier_release { None } else { interest.next_expiry(now, UNREAD_CHANNEL_GRACE) };
        let knows_releases = receiver.link.announces_heads.load(Relaxed);
        let release = (!knows_releases).then_some(self.is_earlier_release_gone_at);
        self.due = unread.into_iter().chain(release).min();
        if self.opening == 0 && closing == 0 {
            self.channels = Some(channels);
            return;
        }
        metrics().realtime.set_bus_channels(interest.open().count_ones());
        let (opened, closed) = (conversation_channels(self.opening), conversation_channels(closing));
        self.in_progress = Some(Box::pin(async move {
            let result = channels.change(opened, closed).await;
            (channels, result)
        }));
    }

    /// Waits for the end of the change in progress; forever if there is none.
    async fn finish(&mut self) -> anyhow::Result<()> {
        let Some(in_progress) = &mut self.in_progress else { return std::future::pending().await };
        let (channels, result) = in_progress.await;
        self.in_progress = None;
        self.channels = Some(channels);
        result
    }

    /// Reports the channels that the finished change has opened.
    fn apply(&mut self, receiver: &Receiver) {
        self.is_outdated = true;
        let opened = std::mem::take(&mut self.opening);
        if opened == 0 {
            return;
        }
        receiver.mark_open(opened);
        if self.has_earlier_release {
            // Its users may have joined conversations whose channels were not open.
            receiver.report_gap();
        } else {
            receiver.local.deliver(&[BusMessage::Signal(Signal::ChannelsOpened(opened))]);
        }
    }

    fn check(&mut self, receiver: &Receiver) {
        self.is_outdated = true;
        self.due = None;
        if Instant::now() >= self.is_earlier_release_gone_at {
            self.has_earlier_release = false;
            receiver.link.announces_heads.store(true, Relaxed);
        }
    }

    fn record_earlier_release(&mut self, receiver: &Receiver) {
        self.is_earlier_release_gone_at = Instant::now() + EARLIER_RELEASE_TIMEOUT;
        self.due = Some(self.is_earlier_release_gone_at);
        receiver.link.announces_heads.store(false, Relaxed);
        self.is_outdated |= !self.has_earlier_release;
        self.has_earlier_release = true;
    }
}

#[cfg(test)]
mod tests;
