//! Subscriptions of one thread's connections, and delivery to them. Contains no sockets, database
//! access or timers.
//!
//! A *subscription* is a conversation followed on this thread: its [`Resequencer`] and its readers.
//! A
//! *person* is a user with open connections on this thread, or with one being opened. All
//! connections of a person follow the same conversations and workspaces; each has its own displayed
//! conversations and watched users.
//!
//! **Connecting.** A user's conversations are read from the database while events keep arriving.
//! The user is therefore registered first. The highest `seq` of each conversation and all changes
//! of the user's memberships are buffered until the membership query returns, and then merged with
//! its result ([`Subscriptions::settle`]). For each conversation, `hello` contains the sequence
//! number up to which the client must catch up; later events arrive live. The same is done after a
//! bus outage and shortly after each join, because lost or late events could otherwise leave
//! subscriptions incorrect.

mod catch_up;
mod coalesced;
mod gaps;
mod joining;
mod topics;
mod viewers;
mod workspaces;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use appcore::{
    Clock, ConversationId, UserId, WorkspaceId,
    auth::CredentialId,
    event::{
        ChannelGuard, ChannelInterest, ChannelSet, FollowChange, LogPosition, SharedEnvelope,
        channels::{channel_of, channels_of},
    },
};
use bytes::Bytes;
use metrics::metrics;
use tokio::time::Instant;

use super::delivery::{Deliveries, FrameEncodings};
use crate::{
    close::Close,
    codec::FrameBody,
    connection_handle::ConnectionHandle,
    protocol::{ControlFrame as _, Resync},
    resequencer::Resequencer,
    uring::SendRing,
};

pub use catch_up::CatchUp;

/// Subscriptions of one thread's connections.
pub struct Subscriptions {
    clock: Clock,
    /// Channels of the bus that the subscriptions need. `None` if all messages arrive.
    channels: Option<Arc<ChannelInterest>>,
    subscriptions: HashMap<ConversationId, Subscription>,
    people: HashMap<UserId, Person>,
    /// Number of users whose conversations are being read.
    joining_count: usize,
    /// Highest sequence number delivered per conversation. Only recorded while users are
    /// connecting.
    seen: HashMap<ConversationId, i64>,
    /// Subscriptions with a gap, by the time at which the log is read.
    gaps: VecDeque<(Instant, ConversationId)>,
    /// Users who have joined a conversation and whose membership is to be verified.
    unverified_joins: Vec<UserId>,
    /// Maximum number of members of a small conversation, in which all followers count as viewers.
    small_conversation: u32,
    /// Connections that display a conversation and follow it.
    viewers: HashMap<ConversationId, Vec<Rc<ConnectionHandle>>>,
    /// Connections that watch a user's presence.
    watchers: HashMap<UserId, Vec<Rc<ConnectionHandle>>>,
    /// Connections whose watches have to be checked again, because visibility between users may
    /// have changed.
    unchecked_watchers: Vec<Rc<ConnectionHandle>>,
    /// Connected users per workspace.
    workspaces: HashMap<WorkspaceId, HashSet<UserId>>,
    coalesced: coalesced::Pending,
    deliveries: Deliveries,
    stamp: u64,
}

struct Subscription {
    order: Resequencer<SharedEnvelope>,
    readers: Vec<Rc<ConnectionHandle>>,
    /// Number of members of the conversation; `None` if unknown.
    members: Option<u32>,
    /// Sequence number of the last event whose joins and leaves are included in `members`.
    counted_at: i64,
    /// True if the subscription is in `gaps`, or the log is being read for it.
    is_late: bool,
    /// Keeps the conversation's channel of the bus subscribed.
    _channel: Option<ChannelGuard>,
}

#[derive(Default)]
struct Person {
    connections: Vec<Rc<ConnectionHandle>>,
    /// Conversations that the user follows, sorted. The list has no spare capacity, because there
    /// is one per connected user.
    follows: Vec<ConversationId>,
    workspaces: Vec<WorkspaceId>,
    /// Changes buffered while the user's conversations are being read.
    joining: Option<Box<BufferedChanges>>,
}

#[derive(Default)]
struct BufferedChanges {
    /// Number of connections that are being opened.
    count: u32,
    /// Buffered joins (true) and leaves (false), with their sequence numbers.
    changes: HashMap<ConversationId, (i64, bool)>,
    /// Buffered joins (true) and leaves (false) of workspaces.
    workspaces: HashMap<WorkspaceId, bool>,
}

#[cfg(test)]
pub(crate) const fn size_of_person() -> usize {
    size_of::<Person>()
}

impl Person {
    fn follows(&self, conversation: ConversationId) -> bool {
        self.follows.binary_search(&conversation).is_ok()
    }

    /// Adds a conversation. Returns false if the user already followed it.
    fn follow(&mut self, conversation: ConversationId) -> bool {
        match self.follows.binary_search(&conversation) {
            Ok(_) => false,
            Err(place) => {
                self.follows.insert(place, conversation);
                true
            }
        }
    }

    /// Removes a conversation. Returns false if the user didn't follow it.
    fn unfollow(&mut self, conversation: ConversationId) -> bool {
        let place = self.follows.binary_search(&conversation);
        place.map(|place| self.follows.remove(place)).is_ok()
    }
}

impl Subscriptions {
    #[must_use]
    pub fn new(clock: Clock, ring: SendRing, small_conversation: u32) -> Self {
        Self {
            clock,
            channels: None,
            subscriptions: HashMap::new(),
            people: HashMap::new(),
            joining_count: 0,
            seen: HashMap::new(),
            gaps: VecDeque::new(),
            unverified_joins: Vec::new(),
            small_conversation,
            viewers: HashMap::new(),
            watchers: HashMap::new(),
            unchecked_watchers: Vec::new(),
            workspaces: HashMap::new(),
            coalesced: coalesced::Pending::default(),
            deliveries: Deliveries::new(ring),
            stamp: 0,
        }
    }

    /// Sets the channels of the bus, of which those of the subscriptions are needed.
    #[must_use]
    pub fn with_channels(self, channels: Option<Arc<ChannelInterest>>) -> Self {
        Self { channels, ..self }
    }

    /// Removes a closed connection.
    pub fn leave(&mut self, out: &Rc<ConnectionHandle>) {
        self.set_displayed(out, Vec::new());
        self.watch(out, Vec::new());
        let Some(person) = self.people.get_mut(&out.user_id) else { return };
        person.connections.retain(|other| !Rc::ptr_eq(other, out));
        for id in &person.follows {
            if let Some(subscription) = self.subscriptions.get_mut(id) {
                subscription.remove(out);
                if subscription.readers.is_empty() {
                    self.subscriptions.remove(id);
                }
            }
        }
        self.remove_if_disconnected(out.user_id);
    }

    fn remove_if_disconnected(&mut self, user: UserId) {
        let Some(person) = self.people.get_mut(&user) else { return };
        if !person.connections.is_empty() {
            return;
        }
        for id in std::mem::take(&mut person.follows) {
            if self.subscriptions.get(&id).is_some_and(|subscription| subscription.readers.is_empty()) {
                self.subscriptions.remove(&id);
            }
        }
        for id in std::mem::take(&mut person.workspaces) {
            workspaces::remove(&mut self.workspaces, id, user);
        }
        if person.joining.is_none() {
            self.people.remove(&user);
        }
    }

    /// True if the user follows the conversation, as far as this thread knows.
    #[must_use]
    pub fn follows(&self, user: UserId, conversation: ConversationId) -> bool {
        self.people.get(&user).is_some_and(|person| person.follows(conversation))
    }

    /// True if the user has an open connection on this thread, or one being opened.
    #[must_use]
    pub fn is_connected(&self, user: UserId) -> bool {
        self.people.contains_key(&user)
    }

    /// Users with an open connection on this thread.
    #[must_use]
    pub fn people(&self) -> Vec<UserId> {
        self.people.iter().filter(|(_, person)| !person.connections.is_empty()).map(|(id, _)| *id).collect()
    }

    fn connections(&self) -> impl Iterator<Item = &Rc<ConnectionHandle>> {
        self.people.values().flat_map(|person| &person.connections)
    }

    /// Closes the connections of these sessions and API keys.
    pub fn end(&mut self, credentials: &HashSet<CredentialId>) {
        for out in self.connections().filter(|out| credentials.contains(&out.credential)) {
            out.close(Close::CREDENTIALS);
        }
    }

    /// Processes an event that has no others queued behind it. It is sent immediately without being
    /// queued. A second pass over thousands of readers to flush their queues would find none of
    /// them in the processor's cache any more.
    pub fn receive_single(&mut self, envelope: &SharedEnvelope, now: Instant) {
        self.deliveries.set_alone(true);
        self.receive(envelope, now);
        self.deliveries.set_alone(false);
    }

    /// Processes an event from the bus.
    pub fn receive(&mut self, envelope: &SharedEnvelope, now: Instant) {
        if self.joining_count > 0
            && let Some(position) = envelope.position
        {
            self.buffer_change(position, &envelope.effect);
        }
        match envelope.position {
            Some(position) if position.seq > 0 => self.receive_durable(position, envelope, now),
            Some(position) => {
                self.follow(position, &envelope.effect);
                self.deliver(envelope);
            }
            None => self.receive_ephemeral(envelope),
        }
    }

    fn receive_durable(&mut self, position: LogPosition, envelope: &SharedEnvelope, now: Instant) {
        let LogPosition { conversation_id, seq } = position;
        if !self.subscriptions.contains_key(&conversation_id) {
            // The conversation isn't followed on this thread. The event matters only if it adds a
            // member who is connected here.
            if !self.adds_connected_user(&envelope.effect) {
                return;
            }
            let subscription = Subscription::after(conversation_id, seq - 1, self.channels.as_ref());
            self.subscriptions.insert(conversation_id, subscription);
        }
        let Some(subscription) = self.subscriptions.get_mut(&conversation_id) else { return };
        let mut passed = Vec::new();
        subscription.order.push(seq, SharedEnvelope::clone(envelope), &mut passed);
        subscription.record_gap(conversation_id, now, &mut self.gaps);
        if passed.len() > 1 {
            // The event has closed a gap, so each connection gets several events in one write.
            self.deliveries.set_alone(false);
        }
        self.deliver_in_order(&passed);
    }

    fn adds_connected_user(&self, effect: &FollowChange) -> bool {
        let FollowChange::Follow(users) = effect else { return false };
        users.iter().any(|user| self.people.get(user).is_some_and(|person| !person.connections.is_empty()))
    }

    /// Delivers events that are in order. A join takes effect before its event is delivered, a
    /// leave afterwards.
    fn deliver_in_order(&mut self, passed: &[SharedEnvelope]) {
        for envelope in passed {
            let Some(position) = envelope.position else { continue };
            self.follow(position, &envelope.effect);
            self.deliver(envelope);
            let lag = self.clock.now().millis().saturating_sub(envelope.timestamp.millis());
            metrics().realtime.record_fan_out(Duration::from_millis(u64::try_from(lag).unwrap_or(0)));
            match &envelope.effect {
                FollowChange::Unfollow(users) => {
                    self.count_leaves(position, users.len());
                    self.unfollow(position.conversation_id, users);
                }
                FollowChange::UnfollowAll => {
                    let users = self.people_in(position.conversation_id);
                    self.unfollow(position.conversation_id, &users);
                }
                _ => {}
            }
        }
    }

    fn follow(&mut self, position: LogPosition, effect: &FollowChange) {
        let FollowChange::Follow(users) = effect else { return };
        self.add_follower(position, users);
        self.count_joins(position, users.len());
    }

    /// Subscribes these users to the conversation from this position on.
    fn add_follower(&mut self, position: LogPosition, users: &[UserId]) {
        let conversation = position.conversation_id;
        for user in users {
            let Some(person) = self.people.get_mut(user).filter(|person| !person.connections.is_empty()) else {
                continue;
            };
            if person.follow(conversation) {
                let channels = self.channels.as_ref();
                let create = || Subscription::after(conversation, position.seq, channels);
                let subscription = self.subscriptions.entry(conversation).or_insert_with(create);
                subscription.readers.extend(person.connections.iter().cloned());
                if position.seq > subscription.order.last() {
                    // The new reader must not get earlier events, which this thread may not have
                    // delivered yet.
                    person.connections.iter().for_each(|out| out.skip_at_least(conversation, position.seq));
                }
                for out in person.connections.iter().filter(|out| out.displays(conversation)) {
                    viewers::add(&mut self.viewers, conversation, out);
                }
                self.unverified_joins.push(*user);
            }
        }
    }

    /// Users on this thread who follow the conversation.
    fn people_in(&self, conversation: ConversationId) -> Vec<UserId> {
        let Some(subscription) = self.subscriptions.get(&conversation) else { return Vec::new() };
        let mut users: Vec<UserId> = subscription.readers.iter().map(|out| out.user_id).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    fn unfollow(&mut self, conversation: ConversationId, users: &[UserId]) {
        let Some(subscription) = self.subscriptions.get_mut(&conversation) else { return };
        for user in users {
            let Some(person) = self.people.get_mut(user) else { continue };
            if person.unfollow(conversation) {
                for out in &person.connections {
                    subscription.remove(out);
                    out.end_withholding(conversation);
                    viewers::remove(&mut self.viewers, conversation, out);
                }
            }
        }
        if subscription.readers.is_empty() {
            self.subscriptions.remove(&conversation);
        }
        for user in users {
            self.schedule_watch_check(*user);
        }
    }

    /// Queues a frame for one connection.
    pub fn push(&mut self, out: &Rc<ConnectionHandle>, frame: Bytes) {
        self.deliveries.push(out, out.compress_if_long(frame));
    }

    /// Tells all clients to synchronise again.
    pub fn resync_all(&mut self) {
        let all: Vec<Rc<ConnectionHandle>> = self.connections().cloned().collect();
        self.send_resync(&all, None);
    }

    fn send_resync(&mut self, outs: &[Rc<ConnectionHandle>], conversations: Option<&[ConversationId]>) {
        let payload = serde_json::to_vec(&Resync { conversation_ids: conversations }).unwrap_or_default();
        let forms = FrameEncodings::of(FrameBody::control(Resync::KIND, self.clock.now(), &payload, None));
        self.deliveries.deliver(outs, &forms);
    }

    /// Conversations followed on this thread.
    #[must_use]
    pub fn conversations(&self) -> Vec<ConversationId> {
        self.subscriptions.keys().copied().collect()
    }

    /// Conversations followed on this thread whose channel is in the set.
    #[must_use]
    pub fn conversations_on(&self, channels: ChannelSet) -> Vec<ConversationId> {
        self.subscriptions.keys().copied().filter(|id| (channels >> channel_of(*id)) & 1 == 1).collect()
    }

    /// Tells the readers of these conversations to synchronise them again.
    pub fn resync(&mut self, conversations: &[ConversationId]) {
        for id in conversations {
            let Some(subscription) = self.subscriptions.get(id) else { continue };
            let readers = subscription.readers.clone();
            self.send_resync(&readers, Some(&[*id]));
        }
    }

    /// Removes and returns the users whose memberships are to be verified.
    #[must_use]
    pub fn take_joined(&mut self) -> Vec<UserId> {
        std::mem::take(&mut self.unverified_joins)
    }

    /// Flushes the queued frames, once per connection.
    pub fn flush(&mut self) {
        self.deliveries.flush();
    }
}

impl Subscription {
    fn after(conversation: ConversationId, seq: i64, channels: Option<&Arc<ChannelInterest>>) -> Self {
        Self {
            order: Resequencer::after(seq),
            readers: Vec::new(),
            members: None,
            counted_at: seq,
            is_late: false,
            _channel: channels.map(|channels| channels.acquire(channels_of([conversation]))),
        }
    }

    fn remove(&mut self, out: &Rc<ConnectionHandle>) {
        if let Some(at) = self.readers.iter().position(|other| Rc::ptr_eq(other, out)) {
            self.readers.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests;
