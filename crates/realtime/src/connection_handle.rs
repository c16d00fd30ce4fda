//! Outbound side of a connection for the shard: sender, identity and subscriptions.
//!
//! Events of conversations don't pass through the session actor: the shard pushes them here and
//! flushes once per batch (see [`Sender`]).

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::IpAddr,
    ops::Deref,
    rc::Rc,
    sync::Arc,
};

use appcore::{ConversationId, Timestamp, UserId, auth::CredentialId};
use bytes::Bytes;
use metrics::metrics;
use tokio::net::TcpStream;

use crate::{
    backlog::Backlog,
    close::{Close, Reconnect},
    codec::{Wire, socketio},
    engine, frame,
    sender::Sender,
};

/// Outbound side of one connection.
pub struct ConnectionHandle {
    sender: Rc<Sender>,
    pub user_id: UserId,
    pub credential: CredentialId,
    /// Expiry of the credentials.
    pub expires_at: Timestamp,
    pub wire: Wire,
    /// Address of the client.
    address: Cell<Option<IpAddr>>,
    /// True if the connection is in the shard's flush list.
    is_dirty: Cell<bool>,
    /// Number of the last delivery to several conversations, by which each connection gets its
    /// frame only once.
    stamp: Cell<u64>,
    slot: Cell<u8>,
    /// Sequence number per conversation up to which live events are skipped, because the connection
    /// gets these events from the log. Usually empty.
    skipped: RefCell<Option<BoxedSkips>>,
    /// Conversations that the client displays and users that it watches. They are stored apart from
    /// the fields that every delivery reads.
    subscriptions: RefCell<Option<Box<ClientSubscriptions>>>,
}

/// Position that stands for all events: live delivery is withheld.
const ALL_EVENTS: i64 = i64::MAX;

/// Boxed and only present while it is not empty, because an inline map would enlarge every
/// connection.
type BoxedSkips = Box<SkippedPositions>;

#[derive(Default)]
struct SkippedPositions {
    until: HashMap<ConversationId, i64>,
}

/// Subscriptions of a client; each list is sorted.
#[derive(Default)]
struct ClientSubscriptions {
    conversations: Vec<ConversationId>,
    people: Vec<UserId>,
}

/// Identity of a client.
#[derive(Clone, Debug)]
pub struct Identity {
    pub user_id: UserId,
    pub credential: CredentialId,
    pub expires_at: Timestamp,
}

impl From<&appcore::auth::Principal> for Identity {
    fn from(principal: &appcore::auth::Principal) -> Self {
        Self { user_id: principal.user_id, credential: principal.credential.id(), expires_at: principal.expires_at }
    }
}

impl Deref for ConnectionHandle {
    type Target = Sender;

    fn deref(&self) -> &Sender {
        &self.sender
    }
}

impl ConnectionHandle {
    #[must_use]
    pub fn new(identity: &Identity, wire: Wire, socket: Option<TcpStream>, backlog: &Arc<Backlog>) -> Rc<Self> {
        Self::with_sender(identity, wire, Rc::new(Sender::new(socket, backlog)))
    }

    /// Creates the outbound side for an existing sender.
    #[must_use]
    pub fn with_sender(identity: &Identity, wire: Wire, sender: Rc<Sender>) -> Rc<Self> {
        Rc::new(Self {
            sender,
            user_id: identity.user_id,
            credential: identity.credential,
            expires_at: identity.expires_at,
            wire,
            address: Cell::new(None),
            is_dirty: Cell::new(false),
            stamp: Cell::new(0),
            slot: Cell::new(0),
            skipped: RefCell::new(None),
            subscriptions: RefCell::new(None),
        })
    }

    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address.get()
    }

    pub fn set_address(&self, address: Option<IpAddr>) {
        self.address.set(address);
    }

    /// Queues a frame. Closes the connection if the client reads too slowly.
    pub fn push(&self, frame: Bytes) {
        if !self.sender.push(frame) {
            self.close(Close::TOO_SLOW);
        }
    }

    /// Closes the connection with a close frame in its wire format.
    pub fn close(&self, close: Close) {
        // Codes chosen by clients aren't counted, because they are unbounded.
        if self.is_open() && Close::ALL.contains(&close) {
            metrics().realtime.record_close(close.code);
        }
        let sent_away =
            (self.wire == Wire::SocketIo && close.reconnect == Reconnect::No).then(socketio::encode_disconnected);
        let goodbye = match self.wire {
            Wire::Sse => None,
            Wire::SocketIo => Some(engine::encode_close(self, close)),
            Wire::Json | Wire::MessagePack => Some(frame::close_frame(close)),
        };
        self.sender.close(close, sent_away.into_iter().chain(goodbye));
    }

    /// Returns true on the first call since [`ConnectionHandle::cleaned`].
    #[must_use]
    pub fn mark_dirty(&self) -> bool {
        !self.is_dirty.replace(true)
    }

    /// Clears the flag. The shard calls this when it removes the connection from its flush list.
    pub fn clear_dirty(&self) {
        self.is_dirty.set(false);
    }

    /// Returns true on the first call with this delivery number.
    #[must_use]
    pub fn claim_stamp(&self, stamp: u64) -> bool {
        self.stamp.replace(stamp) != stamp
    }

    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot.get()
    }

    pub fn set_slot(&self, slot: u8) {
        self.slot.set(slot);
    }

    /// True if the client displays the conversation.
    #[must_use]
    pub fn displays(&self, conversation: ConversationId) -> bool {
        self.subscriptions
            .borrow()
            .as_ref()
            .is_some_and(|shown| shown.conversations.binary_search(&conversation).is_ok())
    }

    /// Replaces the displayed conversations, which must be sorted. Returns the previous ones.
    pub fn replace_displayed(&self, conversations: Vec<ConversationId>) -> Vec<ConversationId> {
        self.update_subscriptions(|shown| std::mem::replace(&mut shown.conversations, conversations))
    }

    /// True if the client watches anybody's presence.
    #[must_use]
    pub fn watches_presence(&self) -> bool {
        self.subscriptions.borrow().as_ref().is_some_and(|shown| !shown.people.is_empty())
    }

    /// Users whose presence the client watches.
    #[must_use]
    pub fn watched(&self) -> Vec<UserId> {
        self.subscriptions.borrow().as_ref().map(|shown| shown.people.clone()).unwrap_or_default()
    }

    /// Replaces the watched users, who must be sorted. Returns the previous ones.
    pub fn replace_watched(&self, people: Vec<UserId>) -> Vec<UserId> {
        self.update_subscriptions(|shown| std::mem::replace(&mut shown.people, people))
    }

    fn update_subscriptions<T>(&self, change: impl FnOnce(&mut ClientSubscriptions) -> T) -> T {
        let mut shown = self.subscriptions.borrow_mut();
        let lists = shown.get_or_insert_default();
        let before = change(lists);
        if lists.conversations.is_empty() && lists.people.is_empty() {
            *shown = None;
        }
        before
    }

    /// Withholds live events of the conversation until [`Self::resume`].
    pub fn withhold(&self, conversation: ConversationId) {
        self.skip_until(conversation, ALL_EVENTS);
    }

    /// Stops withholding the live events of a conversation that the user has left. A position
    /// announced in `hello` stays in effect, and events up to it are still skipped. The leave may
    /// be older than `hello`; if the user rejoined before it, the client has the events in between
    /// already.
    pub fn end_withholding(&self, conversation: ConversationId) {
        let until = self.skipped.borrow().as_ref().and_then(|passed| passed.until.get(&conversation).copied());
        if until == Some(ALL_EVENTS) {
            self.resume(conversation);
        }
    }

    /// Skips live events of the conversation up to `seq`.
    pub fn skip_until(&self, conversation: ConversationId, seq: i64) {
        self.skipped.borrow_mut().get_or_insert_default().until.insert(conversation, seq);
    }

    /// Skips live events up to `seq`, or further if that was requested earlier; see
    /// [`Self::skip_until`].
    pub fn skip_at_least(&self, conversation: ConversationId, seq: i64) {
        let mut passed = self.skipped.borrow_mut();
        let until = passed.get_or_insert_default().until.entry(conversation).or_insert(seq);
        *until = (*until).max(seq);
    }

    /// Resumes live events of the conversation.
    pub fn resume(&self, conversation: ConversationId) {
        let mut passed = self.skipped.borrow_mut();
        if let Some(skips) = passed.as_mut() {
            skips.until.remove(&conversation);
            if skips.until.is_empty() {
                *passed = None;
            }
        }
    }

    /// True if this live event is to be delivered to the connection.
    #[must_use]
    pub fn is_deliverable(&self, conversation: ConversationId, seq: i64) -> bool {
        let until = match self.skipped.borrow().as_ref() {
            None => return true,
            Some(passed) => passed.until.get(&conversation).copied(),
        };
        match until {
            None => true,
            Some(until) if seq <= until => false,
            Some(_) => {
                self.resume(conversation);
                true
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use appcore::SessionId;

    use super::*;

    pub(crate) fn stream(user_id: UserId, backlog: usize) -> Rc<ConnectionHandle> {
        stream_with(user_id, None, backlog)
    }

    pub(crate) fn stream_on(user_id: UserId, socket: TcpStream, backlog: usize) -> Rc<ConnectionHandle> {
        stream_with(user_id, Some(socket), backlog)
    }

    fn stream_with(user_id: UserId, socket: Option<TcpStream>, backlog: usize) -> Rc<ConnectionHandle> {
        let credential = CredentialId::Session(SessionId::new());
        let identity = Identity { user_id, credential, expires_at: Timestamp(i64::MAX) };
        ConnectionHandle::new(&identity, Wire::Sse, socket, &Arc::new(Backlog::fixed(backlog)))
    }

    #[test]
    fn over_the_limit_closes_and_empties_the_queue() {
        let out = stream(UserId::new(), 10);
        out.push(Bytes::from_static(b"12345678"));
        assert!(out.is_open());
        out.push(Bytes::from_static(b"12345678"));
        assert_eq!(out.close_reason(), Some(Close::TOO_SLOW));
        assert_eq!(out.queued_bytes(), 0);
        out.push(Bytes::from_static(b"1"));
        assert_eq!(out.queued_bytes(), 0, "nothing is queued after the close");
    }

    #[test]
    fn skips_events_per_conversation_until_passed() {
        let (out, one, other) = (stream(UserId::new(), 10), ConversationId::new(), ConversationId::new());
        out.skip_until(one, 5);
        assert!(!out.is_deliverable(one, 5));
        assert!(out.is_deliverable(other, 1));
        assert!(out.is_deliverable(one, 6));
        assert!(out.skipped.borrow().is_none());
    }

    #[tokio::test]
    async fn waiting_for_room_ends_with_room_or_the_connection() {
        let out = stream(UserId::new(), 1_000);
        out.push(vec![0; 250].into());
        let waits = out.has_room();
        tokio::pin!(waits);
        assert!(futures_util::poll!(&mut waits).is_pending());
        out.pop();
        waits.await;
        out.push(vec![0; 250].into());
        out.close(Close::NORMAL);
        out.has_room().await;
    }
}
