//! Shard: the real-time connections of one thread. Receives events from the bus and delivers them
//! to its connections.
//!
//! There is one shard per worker thread. It shares nothing with other threads, so it needs no
//! locks. A shard processes up to [`BATCH`] events, writes to each affected socket once, and then
//! yields. So events that have queued up are sent to a socket with one system call, and a single
//! event is sent immediately. After a long round the shard pauses briefly, so that the next round
//! sends more events at once.

mod announcement_delivery;
mod bus_channels;
mod bus_outage;
mod delivery;
mod expiry;
mod joining;
mod subscriptions;
mod viewing;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use crate::{
    RealtimeServices,
    broadcaster::ShardHandle,
    close::Close,
    connection_handle::ConnectionHandle,
    heartbeat::HeartbeatWheel,
    instruction::{DrainSchedule, Instruction},
    uring::SendRing,
};
use appcore::{
    AppError, ConversationId, Timestamp, UserId,
    auth::CredentialId,
    event::{BusMessage, Listener, SharedEnvelope, Signal, Topic},
};
use bytes::Bytes;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use event_log::events;
pub use joining::PendingJoin;
pub use subscriptions::CatchUp;
use subscriptions::Subscriptions;
#[cfg(test)]
pub(crate) use subscriptions::size_of_person;
pub use viewing::{MAX_DISPLAYED, MAX_WATCHED};

/// Maximum number of events that are processed before the sockets are written to.
const BATCH: usize = 64;
/// Number of payload bytes after which the sockets are written to. It limits how much a burst of
/// events queues per connection.
const BATCH_BYTES: usize = 32 * 1024;
/// Duration of writing several events after which the shard pauses. During the pause, clients that
/// waited for these events send their next messages and the writer commits them. They are then
/// delivered in one round over all readers instead of several.
const LONG_WRITE: Duration = Duration::from_millis(2);
/// Divisor that yields the pause from the duration of the write.
const PAUSE_DIVISOR: u32 = 2;
const MAX_PAUSE: Duration = Duration::from_millis(4);
/// Maximum number of events per read of the log.
const PAGE: u64 = 200;
/// Delay after a join before the membership is verified in the database.
const JOIN_CHECK_DELAY: Duration = Duration::from_secs(1);
/// Minimum interval between two deliveries of coalesced events.
const COALESCE_INTERVAL: Duration = Duration::from_secs(1);

/// Connections of one worker thread.
pub struct Shard {
    services: Arc<RealtimeServices>,
    shards: ShardHandle,
    subscriptions: RefCell<Subscriptions>,
    wheel: RefCell<HeartbeatWheel>,
    /// Signals that frames were pushed outside the shard's own loop and must be flushed.
    flush_requested: Notify,
    outage: bus_outage::Outage,
    recovered_broadcasts: announcement_delivery::RecoveredBroadcasts,
    /// End of the pause after a long write, if there is one.
    paused_until: Cell<Option<Instant>>,
    /// Time up to which this shard knows all ended sessions and API keys.
    ended_until: Cell<Timestamp>,
    /// Time of the last check for stalled clients.
    swept_at: Cell<Instant>,
    is_draining: Cell<bool>,
    drained: Notify,
}

impl Shard {
    /// Starts the shard of this thread.
    #[must_use]
    pub fn start(services: Arc<RealtimeServices>, shards: ShardHandle) -> Rc<Self> {
        let (instructions, received) = mpsc::unbounded_channel();
        shards.add_shard(instructions);
        let listener = services.bus.subscribe();
        let ring = if services.config.realtime.io_uring { SendRing::open() } else { SendRing::closed() };
        let shard = Rc::new(Self {
            subscriptions: RefCell::new(
                Subscriptions::new(services.clock.clone(), ring, services.config.realtime.small_conversation)
                    .with_channels(services.bus.channel_interest().cloned()),
            ),
            wheel: RefCell::new(HeartbeatWheel::new(services.config.realtime.heartbeat)),
            flush_requested: Notify::new(),
            outage: bus_outage::Outage::default(),
            recovered_broadcasts: announcement_delivery::RecoveredBroadcasts::default(),
            paused_until: Cell::new(None),
            ended_until: Cell::new(services.clock.now()),
            swept_at: Cell::new(Instant::now()),
            is_draining: Cell::new(false),
            drained: Notify::new(),
            services,
            shards,
        });
        actix_rt::spawn(Rc::clone(&shard).run(listener, received));
        shard
    }

    #[must_use]
    pub fn services(&self) -> &Arc<RealtimeServices> {
        &self.services
    }

    #[must_use]
    pub fn shards(&self) -> &ShardHandle {
        &self.shards
    }

    /// True if this instance is being drained or shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Waits until the instance is drained or starts to shut down.
    pub async fn until_draining(&self) {
        let told = self.drained.notified();
        if !self.is_draining.get() {
            told.await;
        }
    }

    /// Time without a sign of life after which a connection is closed.
    #[must_use]
    pub fn silence_timeout(&self) -> Duration {
        self.wheel.borrow().silence_timeout()
    }

    async fn run(self: Rc<Self>, mut listener: Listener, mut instructions: mpsc::UnboundedReceiver<Instruction>) {
        // Late ticks are made up for, so that the wheel makes one turn per heartbeat interval even
        // under load.
        let mut tick = tokio::time::interval(self.wheel.borrow().tick());
        let mut check = tokio::time::interval(expiry::SESSION_CHECK_INTERVAL);
        check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first tick after a pause fires immediately, and the next one after the full interval.
        let mut gathering = tokio::time::interval(COALESCE_INTERVAL);
        gathering.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let (next_gap, rest) = (self.subscriptions.borrow().next_gap(), self.paused_until.get());
            let has_gathered = self.subscriptions.borrow().has_coalesced();
            tokio::select! {
                message = listener.recv(), if rest.is_none() => {
                    let Some(message) = message else { break };
                    self.process(message, &mut listener).await;
                }
                () = sleep_until(rest), if rest.is_some() => self.paused_until.set(None),
                () = self.flush_requested.notified() => self.subscriptions.borrow_mut().flush(),
                _ = tick.tick() => self.send_heartbeats(),
                _ = gathering.tick(), if has_gathered => self.deliver_coalesced(),
                () = sleep_until(next_gap) => self.fill_due_gaps(),
                _ = check.tick() => self.check_sessions(),
                Some(instruction) = instructions.recv() => match instruction {
                    Instruction::Drain(schedule) => self.drain(schedule),
                    Instruction::Resume => self.is_draining.set(false),
                },
            }
        }
    }

    /// Processes this message and those queued behind it, then writes to the sockets.
    async fn process(self: &Rc<Self>, first: BusMessage, listener: &mut Listener) {
        let now = Instant::now();
        let (mut taken, mut bytes) = (1, weight(&first));
        match &first {
            BusMessage::Envelope(envelope) if listener.is_empty() && !is_broadcast(envelope) => {
                self.subscriptions.borrow_mut().receive_single(envelope, now);
            }
            _ => self.handle(first, now),
        }
        while taken < BATCH
            && bytes < BATCH_BYTES
            && let Ok(message) = listener.try_recv()
        {
            taken += 1;
            bytes += weight(&message);
            self.handle(message, now);
        }
        let (joined, doubtful) = {
            let mut subscriptions = self.subscriptions.borrow_mut();
            subscriptions.flush();
            (subscriptions.take_joined(), subscriptions.take_unchecked_watchers())
        };
        let took = now.elapsed();
        let is_behind = taken == BATCH || bytes >= BATCH_BYTES;
        if taken > 1 && !is_behind && took >= LONG_WRITE {
            self.paused_until.set(Some(now + took + (took / PAUSE_DIVISOR).min(MAX_PAUSE)));
        }
        if !joined.is_empty() {
            self.verify_joins(joined);
        }
        if !doubtful.is_empty() {
            self.check_watches(doubtful);
        }
        if is_behind {
            tokio::task::yield_now().await;
        }
    }

    fn handle(self: &Rc<Self>, message: BusMessage, now: Instant) {
        match message {
            BusMessage::Envelope(envelope) => {
                if !self.deliver_broadcast(&envelope) {
                    self.subscriptions.borrow_mut().receive(&envelope, now);
                }
            }
            BusMessage::Coalesced(gathered) => self.subscriptions.borrow_mut().coalesce(&gathered),
            BusMessage::Signal(Signal::SessionsEnded(sessions)) => {
                self.end(sessions.into_iter().map(CredentialId::Session));
            }
            BusMessage::Signal(Signal::ApiKeysRevoked(keys)) => self.end(keys.into_iter().map(CredentialId::ApiKey)),
            BusMessage::Signal(Signal::Gap) => self.record_outage(now),
            BusMessage::Signal(Signal::ChannelsOpened(channels)) => self.read_opened_channels(channels),
            BusMessage::Signal(Signal::LogAdvanced { heads }) => {
                self.subscriptions.borrow_mut().announce(&heads, now);
            }
            BusMessage::Signal(Signal::Banned { network, is_manual, .. }) => {
                self.close_banned(|address| {
                    is_manual && network.contains(&address) && self.services.firewall.may_ban(address)
                });
            }
            BusMessage::Signal(Signal::ViewQuery { question, user_id, conversation_id }) => {
                if self.subscriptions.borrow().is_displayed(user_id, conversation_id) {
                    drop(self.services.bus.publish(vec![BusMessage::Signal(Signal::ViewReply { question })]));
                }
            }
            BusMessage::Signal(Signal::ConnectionQuery { asked_by, user_id }) => {
                if self.subscriptions.borrow().is_connected(user_id) {
                    drop(
                        self.services
                            .bus
                            .publish(vec![BusMessage::Signal(Signal::ConnectionReply { asked_by, user_id })]),
                    );
                }
            }
            BusMessage::Signal(
                Signal::StopGeneration(_)
                | Signal::ViewReply { .. }
                | Signal::ConnectionReply { .. }
                | Signal::JobsWaiting
                | Signal::UserChanged(_)
                | Signal::BanLifted(_)
                | Signal::KeysChanged(_)
                | Signal::ModelsChanged
                | Signal::PaymentSwitchesChanged
                | Signal::SearchIndexStale
                | Signal::ProviderKeyPaused { .. }
                | Signal::ProviderSettingsForgotten { .. }
                | Signal::ResponseDeleted { .. }
                | Signal::ProviderKeyObserved { .. },
            ) => {}
        }
    }

    /// Reads the log to fill gaps that have persisted.
    fn fill_due_gaps(self: &Rc<Self>) {
        let due = self.subscriptions.borrow_mut().due_gaps(Instant::now());
        for (conversation, last) in due {
            let shard = Rc::clone(self);
            actix_rt::spawn(async move {
                let logged = match events::envelopes_after(&shard.services.events, conversation, last, PAGE).await {
                    Ok(logged) => logged,
                    Err(error) => {
                        tracing::warn!(%error, %conversation, "failed to fill gap, telling readers to resync");
                        Vec::new()
                    }
                };
                let mut rest = &logged[..];
                while !rest.is_empty() {
                    let (part, after) = rest.split_at(batch_size(rest));
                    shard.subscriptions.borrow_mut().receive_logged(conversation, part);
                    shard.subscriptions.borrow_mut().flush();
                    tokio::task::yield_now().await;
                    rest = after;
                }
                shard.subscriptions.borrow_mut().finish_gap(conversation, last, Instant::now());
                shard.flush_requested.notify_one();
            });
        }
    }

    /// Verifies joins in the database. A join event that arrives late may let a user follow a
    /// conversation again that they have left since.
    fn verify_joins(self: &Rc<Self>, joined: Vec<UserId>) {
        let shard = Rc::clone(self);
        actix_rt::spawn(async move {
            tokio::time::sleep(JOIN_CHECK_DELAY).await;
            if let Err(error) = shard.reload_memberships(&joined).await {
                tracing::warn!(%error, "failed to reload memberships");
            }
        });
    }

    /// Reads the memberships of these users and corrects their subscriptions.
    async fn reload_memberships(self: &Rc<Self>, people: &[UserId]) -> Result<(), AppError> {
        let arrivals: Vec<PendingJoin> = people.iter().map(|user| self.start_joining(*user)).collect();
        let mut found = conversations::subscriptions_of_many(&self.services.conversations, people).await?;
        for arrival in arrivals {
            let following = found.remove(&arrival.user).unwrap_or_default();
            if self.subscriptions.borrow().is_outdated(arrival.user, &following) {
                // The concurrent join has scheduled another verification.
                continue;
            }
            arrival.merge_memberships(&following, None);
        }
        self.flush_requested.notify_one();
        Ok(())
    }

    /// Adds the connection to the heartbeat wheel.
    pub fn watch(&self, out: &Rc<ConnectionHandle>) {
        self.wheel.borrow_mut().add(out);
    }

    /// Removes a closed connection.
    pub fn leave(&self, out: &Rc<ConnectionHandle>) {
        self.wheel.borrow_mut().remove(out);
        self.subscriptions.borrow_mut().leave(out);
    }

    /// Queues a frame for one connection. It is flushed together with other frames for the
    /// connection.
    pub fn push(&self, out: &Rc<ConnectionHandle>, frame: Bytes) {
        self.subscriptions.borrow_mut().push(out, frame);
        self.flush_requested.notify_one();
    }

    #[must_use]
    pub fn follows(&self, user: UserId, conversation: ConversationId) -> bool {
        self.subscriptions.borrow().follows(user, conversation)
    }

    /// True for a small conversation; see [`Subscriptions::is_small`].
    #[must_use]
    pub fn is_small(&self, conversation: ConversationId) -> bool {
        self.subscriptions.borrow().is_small(conversation)
    }

    /// Withholds live events; see [`Subscriptions::hold`].
    #[must_use]
    pub fn hold(&self, out: &Rc<ConnectionHandle>, conversation: ConversationId) -> CatchUp {
        self.subscriptions.borrow_mut().withhold(out, conversation)
    }

    /// Ends a catch-up; see [`Subscriptions::release`].
    #[must_use]
    pub fn release(&self, out: &Rc<ConnectionHandle>, conversation: ConversationId, seq: i64) -> CatchUp {
        self.subscriptions.borrow_mut().release(out, conversation, seq)
    }

    /// Reads a page of the log for a connection that catches up.
    pub async fn page(&self, conversation: ConversationId, after: i64) -> Result<Vec<SharedEnvelope>, AppError> {
        events::envelopes_after(&self.services.events, conversation, after, PAGE).await
    }

    /// Closes all connections at different times, so that clients don't reconnect all at once.
    fn drain(&self, schedule: DrainSchedule) {
        self.is_draining.set(true);
        self.drained.notify_waiters();
        let all: Vec<Rc<ConnectionHandle>> = self.wheel.borrow().all().cloned().collect();
        let count = all.len();
        for (index, out) in all.into_iter().enumerate() {
            actix_rt::spawn(async move {
                tokio::time::sleep(schedule.delay(index, count)).await;
                out.close(Close::RESTARTING);
            });
        }
    }
}

/// True for broadcasts, whose recipients have to be resolved first.
fn is_broadcast(envelope: &SharedEnvelope) -> bool {
    matches!(envelope.topic, Topic::AnnouncementAudience { .. })
}

/// Approximate number of bytes that a message adds to a connection's queue.
fn weight(message: &BusMessage) -> usize {
    match message {
        BusMessage::Envelope(envelope) => envelope.payload.len(),
        BusMessage::Signal(_) | BusMessage::Coalesced(_) => 0,
    }
}

/// Number of events to process before the sockets are written to; at least 1.
fn batch_size(envelope: &[SharedEnvelope]) -> usize {
    let mut bytes = 0;
    let fitting = envelope.iter().take_while(|envelope| {
        bytes += envelope.payload.len();
        bytes <= BATCH_BYTES
    });
    fitting.count().max(1)
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
