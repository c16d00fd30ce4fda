//! The sending half of a connection, as the shard sees it: a queue counted in bytes, and the socket that it is written to.
//!
//! Whoever has something for the client pushes it here, on the connection's own thread; nothing passes through the mailbox of the
//! session. The shard flushes what it pushed, once per batch. Ending a connection is a push too: the goodbye goes into the queue,
//! and the task that reads the socket (see [`crate::connection`]) sees to it that the socket does not outlive it for long.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Duration,
};

use appcore::{ConversationId, SessionId, Timestamp, UserId};
use bytes::Bytes;
use tokio::{net::TcpStream, sync::Notify, time::Instant};

use crate::{
    close::{Close, Reconnect},
    codec::{Wire, socketio},
    frame,
    queue::{Progress, Queue},
};

/// The part of the limit that may wait before whoever reads from the log waits too.
const PAGE_SHARE: usize = 4;

/// One connection, from the server to the client.
pub struct Outbound {
    pub user_id: UserId,
    pub session_id: SessionId,
    /// When the credentials that were shown run out.
    pub expires_at: Timestamp,
    pub wire: Wire,
    /// None for a stream of Server-Sent Events, which takes from the queue by itself.
    socket: Option<TcpStream>,
    queue: RefCell<Queue>,
    state: Cell<State>,
    /// The socket takes no more; the connection's task waits until it does.
    is_blocked: Cell<bool>,
    /// In the shard's list of those to be flushed.
    is_dirty: Cell<bool>,
    /// The last delivery to several conversations that came by, so that each connection gets it once.
    stamp: Cell<u64>,
    heard_at: Cell<Instant>,
    slot: Cell<u8>,
    /// Events up to which this connection has or gets by another way, by conversation. Mostly nothing.
    passed: RefCell<Option<Passed>>,
    /// Wakes the connection's task, or the stream.
    task: Notify,
    /// Wakes whoever waits for room in the queue.
    room: Notify,
}

/// On the heap only while there is something in it: a map of its own would make every connection larger.
type Passed = Box<Skips>;

#[derive(Default)]
struct Skips {
    until: HashMap<ConversationId, i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The goodbye is in the queue.
    Closing(Close),
    /// Nothing can be written any more.
    Broken,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Identity {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub expires_at: Timestamp,
}

impl From<&appcore::auth::Principal> for Identity {
    fn from(principal: &appcore::auth::Principal) -> Self {
        Self { user_id: principal.user_id, session_id: principal.session_id, expires_at: principal.expires_at }
    }
}

impl Outbound {
    #[must_use]
    pub fn new(identity: &Identity, wire: Wire, socket: Option<TcpStream>, backlog: usize) -> Rc<Self> {
        Rc::new(Self {
            user_id: identity.user_id,
            session_id: identity.session_id,
            expires_at: identity.expires_at,
            wire,
            socket,
            queue: RefCell::new(Queue::new(backlog)),
            state: Cell::new(State::Open),
            is_blocked: Cell::new(false),
            is_dirty: Cell::new(false),
            stamp: Cell::new(0),
            heard_at: Cell::new(Instant::now()),
            slot: Cell::new(0),
            passed: RefCell::new(None),
            task: Notify::new(),
            room: Notify::new(),
        })
    }

    #[must_use]
    pub fn socket(&self) -> Option<&TcpStream> {
        self.socket.as_ref()
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Why it ends, once that is decided.
    #[must_use]
    pub fn closing(&self) -> Option<Close> {
        match self.state.get() {
            State::Closing(close) => Some(close),
            State::Open | State::Broken => None,
        }
    }

    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state.get() == State::Broken
    }

    /// Adds a frame to what waits. Whoever reads too slowly is cut off here.
    pub fn push(&self, frame: Bytes) {
        if !self.is_open() {
            return;
        }
        if self.queue.borrow_mut().push(frame.clone()).is_ok() {
            return;
        }
        // A burst is not the client's fault as long as its socket takes what comes.
        self.flush();
        if self.is_open() && self.queue.borrow_mut().push(frame).is_err() {
            self.close(Close::TOO_SLOW);
        }
    }

    /// Adds the first frame, which may be longer than what may wait.
    pub fn greet(&self, frame: Bytes) {
        if self.is_open() {
            self.queue.borrow_mut().push_uncounted(frame);
        }
    }

    /// Says goodbye, after what waits already. A client that is too slow for that loses what waits.
    pub fn close(&self, close: Close) {
        if !self.is_open() {
            return;
        }
        self.state.set(State::Closing(close));
        {
            let mut queue = self.queue.borrow_mut();
            if close == Close::TOO_SLOW {
                queue.keep_begun();
            }
            if self.wire == Wire::SocketIo && close.reconnect == Reconnect::No {
                queue.push_uncounted(socketio::encode_disconnected());
            }
            if self.socket.is_some() {
                queue.push_uncounted(frame::close_frame(close));
            } else if close == Close::TOO_SLOW {
                queue.clear();
            }
        }
        self.flush();
        self.task.notify_one();
        self.room.notify_waiters();
    }

    /// Ends it without a word: the other side is gone.
    pub fn give_up(&self) {
        self.state.set(State::Broken);
        self.queue.borrow_mut().clear();
        self.task.notify_one();
        self.room.notify_waiters();
    }

    /// Writes what waits, as far as the socket takes it.
    pub fn flush(&self) {
        self.is_dirty.set(false);
        let Some(socket) = &self.socket else {
            if !self.queue.borrow().is_empty() {
                self.task.notify_one();
            }
            return;
        };
        if self.is_blocked.get() || self.is_broken() {
            return;
        }
        let written = self.queue.borrow_mut().write(|slices| match slices {
            [slice] => socket.try_write(slice),
            slices => socket.try_write_vectored(slices),
        });
        match written {
            Ok(Progress::Empty) => self.room.notify_waiters(),
            Ok(Progress::Blocked) => {
                self.is_blocked.set(true);
                self.task.notify_one();
            }
            Err(_) => self.give_up(),
        }
    }

    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.is_blocked.get()
    }

    /// The socket takes more again.
    pub fn unblock(&self) {
        self.is_blocked.set(false);
        self.flush();
        self.tell_room();
    }

    fn tell_room(&self) {
        if self.has_page_room() {
            self.room.notify_waiters();
        }
    }

    fn has_page_room(&self) -> bool {
        let queue = self.queue.borrow();
        queue.bytes() < queue.limit() / PAGE_SHARE
    }

    /// Takes the next chunk of a stream.
    pub fn pop(&self) -> Option<Bytes> {
        let chunk = self.queue.borrow_mut().pop();
        self.tell_room();
        chunk
    }

    /// Bytes that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.borrow().bytes()
    }

    /// Until an event from the log can be added without pushing the client over its limit, or the connection ends.
    pub async fn has_room(&self) {
        while self.is_open() && !self.has_page_room() {
            self.room.notified().await;
        }
    }

    /// Until something happened that the connection's task has to look at.
    pub async fn woken(&self) {
        self.task.notified().await;
    }

    pub fn wake(&self) {
        self.task.notify_one();
    }

    /// True the first time since the last flush.
    #[must_use]
    pub fn becomes_dirty(&self) -> bool {
        !self.is_dirty.replace(true)
    }

    /// True the first time for this stamp.
    #[must_use]
    pub fn takes(&self, stamp: u64) -> bool {
        self.stamp.replace(stamp) != stamp
    }

    /// A sign of life.
    pub fn heard(&self) {
        self.heard_at.set(Instant::now());
    }

    /// How long the client has been silent.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard_at.get())
    }

    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot.get()
    }

    pub fn set_slot(&self, slot: u8) {
        self.slot.set(slot);
    }

    /// Live events of the conversation up to `seq` are not for this connection.
    pub fn pass_until(&self, conversation: ConversationId, seq: i64) {
        self.passed.borrow_mut().get_or_insert_default().until.insert(conversation, seq);
    }

    /// Live events of the conversation are for this connection again.
    pub fn pass_no_more(&self, conversation: ConversationId) {
        let mut passed = self.passed.borrow_mut();
        if let Some(skips) = passed.as_mut() {
            skips.until.remove(&conversation);
            if skips.until.is_empty() {
                *passed = None;
            }
        }
    }

    /// Whether this live event is for this connection.
    #[must_use]
    pub fn wants(&self, conversation: ConversationId, seq: i64) -> bool {
        let until = match self.passed.borrow().as_ref() {
            None => return true,
            Some(passed) => passed.until.get(&conversation).copied(),
        };
        match until {
            None => true,
            Some(until) if seq <= until => false,
            Some(_) => {
                self.pass_no_more(conversation);
                true
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn stream(user_id: UserId, backlog: usize) -> Rc<Outbound> {
        let identity = Identity { user_id, session_id: SessionId::new(), expires_at: Timestamp(i64::MAX) };
        Outbound::new(&identity, Wire::Sse, None, backlog)
    }

    #[test]
    fn over_the_limit_it_is_cut_off_and_holds_nothing() {
        let out = stream(UserId::new(), 10);
        out.push(Bytes::from_static(b"12345678"));
        assert!(out.is_open());
        out.push(Bytes::from_static(b"12345678"));
        assert_eq!(out.closing(), Some(Close::TOO_SLOW));
        assert_eq!(out.waiting(), 0);
        out.push(Bytes::from_static(b"1"));
        assert_eq!(out.waiting(), 0, "nothing is added after the goodbye");
    }

    #[test]
    fn what_it_passes_is_per_conversation_and_forgotten_when_it_is_over() {
        let (out, one, other) = (stream(UserId::new(), 10), ConversationId::new(), ConversationId::new());
        out.pass_until(one, 5);
        assert!(!out.wants(one, 5));
        assert!(out.wants(other, 1));
        assert!(out.wants(one, 6));
        assert!(out.passed.borrow().is_none());
    }

    #[tokio::test]
    async fn a_page_waits_for_room_and_not_for_a_connection_that_ended() {
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
