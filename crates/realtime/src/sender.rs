//! Sending half of a connection: a queue limited in bytes, and the socket it is written to.
//!
//! The [`Backlog`] limits the queued bytes. As long as no more than the free bytes are queued, only
//! the queue's own length is checked, so a delivery needs no clock and no shared counter. Only
//! bytes beyond that are counted for the instance, and only then is the time since the client's
//! last read checked.
//!
//! Frames for the client are pushed on the connection's own thread. Closing is a push too: the
//! close frame is queued, and the connection's task ensures that the socket is closed soon after.
//!
//! Without a socket (an SSE stream or a polling client), the HTTP response takes frames from the
//! queue. A socket may be attached later, when a polling client upgrades to WebSocket; queued
//! frames are then written to it.

use std::{
    cell::{Cell, OnceCell, RefCell},
    io,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{net::TcpStream, sync::Notify, time::Instant};

use crate::{
    backlog::{Backlog, STALL_TIMEOUT},
    close::Close,
    frame,
    queue::{Joined, Progress, Queue},
};

/// Divisor that defines a share of the free bytes. Reads from the log pause while more than this
/// share is queued.
const PAGE_ROOM_DIVISOR: usize = 4;

/// Sending half of one connection.
pub struct Sender {
    socket: OnceCell<TcpStream>,
    queue: RefCell<Queue>,
    backlog: Arc<Backlog>,
    /// Number of queued bytes as counted by the backlog; 0 while no more than the free bytes are
    /// queued.
    counted: Cell<usize>,
    /// Time since which the client has read nothing. Only maintained while bytes are counted.
    stalled_since: Cell<Instant>,
    state: Cell<State>,
    /// True if the socket is full; the connection's task waits until it is writable.
    is_blocked: Cell<bool>,
    /// Minimum size of compressed frames, in bytes; 0 disables compression.
    deflates_from: Cell<usize>,
    last_activity: Cell<Instant>,
    /// Wakes the connection's task, or the stream that takes frames from the queue.
    task: Notify,
    /// Wakes tasks that wait until the queue has room.
    subscription: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The close frame is queued.
    Closing(Close),
    /// The socket is gone, so nothing can be written any more.
    Broken,
}

impl Sender {
    /// Creates a sender limited by `backlog`.
    #[must_use]
    pub fn new(socket: Option<TcpStream>, backlog: &Arc<Backlog>) -> Self {
        let now = Instant::now();
        Self {
            socket: socket.map_or_else(OnceCell::new, OnceCell::from),
            queue: RefCell::new(Queue::new(backlog.free())),
            backlog: Arc::clone(backlog),
            counted: Cell::new(0),
            stalled_since: Cell::new(now),
            state: Cell::new(State::Open),
            is_blocked: Cell::new(false),
            deflates_from: Cell::new(0),
            last_activity: Cell::new(now),
            task: Notify::new(),
            subscription: Notify::new(),
        }
    }

    #[must_use]
    pub fn socket(&self) -> Option<&TcpStream> {
        self.socket.get()
    }

    /// Attaches a socket and writes queued frames to it. Has no effect if there is a socket
    /// already.
    pub fn attach(&self, socket: TcpStream) {
        if self.socket.set(socket).is_ok() {
            self.flush();
        }
    }

    /// Enables compression of frames of at least `bytes` bytes.
    pub fn deflate_from(&self, bytes: usize) {
        self.deflates_from.set(bytes);
    }

    /// True if a frame of this length is sent compressed.
    #[must_use]
    pub fn deflates(&self, length: usize) -> bool {
        let from = self.deflates_from.get();
        from > 0 && length >= from
    }

    /// Compresses a frame for this client only, if the client's frames of this length are
    /// compressed.
    #[must_use]
    pub fn compress_if_long(&self, frame: Bytes) -> Bytes {
        if self.deflates(frame.len()) { frame::shrink(&frame) } else { frame }
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Returns the close reason once the connection is closing.
    #[must_use]
    pub fn close_reason(&self) -> Option<Close> {
        match self.state.get() {
            State::Closing(close) => Some(close),
            State::Open | State::Broken => None,
        }
    }

    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state.get() == State::Broken
    }

    /// Queues a frame. Returns false if the client reads too slowly and must be disconnected.
    #[must_use]
    pub fn push(&self, frame: Bytes) -> bool {
        if !self.is_open() || self.queue.borrow_mut().push(frame.clone()).is_ok() {
            return true;
        }
        self.push_beyond(frame)
    }

    /// Queues a frame beyond the free bytes, if the client is making progress and the backlog
    /// allows it; see [`Self::push`].
    #[cold]
    fn push_beyond(&self, frame: Bytes) -> bool {
        self.flush();
        if !self.is_open() || self.queue.borrow_mut().push(frame.clone()).is_ok() {
            return true;
        }
        let (now, waiting) = (Instant::now(), self.queue.borrow().counted() + frame.len());
        if self.counted.get() == 0 {
            self.stalled_since.set(now);
        }
        if waiting > self.backlog.cap() || self.is_stalled(now) {
            return false;
        }
        let before = self.counted.get();
        if !self.count(waiting) {
            self.count(before);
            return false;
        }
        self.queue.borrow_mut().push_beyond(frame);
        true
    }

    /// True if more than the free bytes are queued and the client has read nothing for [`STALL`].
    #[must_use]
    pub fn is_stalled(&self, now: Instant) -> bool {
        self.counted.get() > 0 && now.saturating_duration_since(self.stalled_since.get()) >= STALL_TIMEOUT
    }

    /// Updates the number of bytes that the backlog counts. Returns false if the total exceeds the
    /// budget.
    fn count(&self, waiting: usize) -> bool {
        self.backlog.recount(self.counted.replace(waiting), waiting)
    }

    /// Restarts the stall timer and updates the counted bytes after frames have left the queue.
    fn record_progress(&self) {
        let counted = self.counted.get();
        if counted == 0 {
            return;
        }
        let waiting = self.queue.borrow().counted();
        if waiting < counted {
            self.stalled_since.set(Instant::now());
        }
        self.count(if waiting > self.backlog.free() { waiting } else { 0 });
    }

    /// Returns the socket if it is ready and the queue is empty, so that a frame may bypass the
    /// queue.
    #[must_use]
    pub fn ready_socket(&self) -> Option<&TcpStream> {
        let is_ready = !self.is_blocked.get() && self.is_open() && self.queue.borrow().is_empty();
        self.socket.get().filter(|_| is_ready)
    }

    /// Removes all queued frames as one buffer to be sent outside the queue, if the socket is ready
    /// and no task waits for room.
    #[must_use]
    pub fn take_waiting(&self, joined: &mut Joined) -> Option<(Bytes, &TcpStream)> {
        let socket = self.socket.get()?;
        if self.is_blocked.get() || !self.is_open() || !self.has_page_room() {
            return None;
        }
        Some((self.queue.borrow_mut().take_whole(joined)?, socket))
    }

    /// Records the result of a send that bypassed the queue. The part that was not sent is queued
    /// at the front.
    pub fn record_sent(&self, frame: &Bytes, outcome: io::Result<usize>) {
        let sent = match outcome {
            Ok(sent) if sent == frame.len() => return,
            Ok(sent) => sent,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(_) => return self.abort(),
        };
        self.queue.borrow_mut().push_partial(frame.clone(), sent);
        self.is_blocked.set(true);
        self.task.notify_one();
    }

    /// Queues the first frame of the connection, which may exceed the limit.
    pub fn push_first(&self, frame: Bytes) {
        if self.is_open() {
            self.queue.borrow_mut().push_uncounted(frame);
        }
    }

    /// Closes the connection with the given frames, which are sent after all queued ones. If the
    /// client reads too slowly, the queued frames are dropped.
    pub fn close(&self, close: Close, goodbye: impl IntoIterator<Item = Bytes>) {
        if !self.is_open() {
            return;
        }
        self.state.set(State::Closing(close));
        {
            let mut queue = self.queue.borrow_mut();
            if close == Close::TOO_SLOW {
                queue.keep_partial();
            }
            for frame in goodbye {
                queue.push_uncounted(frame);
            }
        }
        self.record_progress();
        self.flush();
        self.task.notify_one();
        self.subscription.notify_waiters();
    }

    /// Closes the connection without a close frame, because the client is gone.
    pub fn abort(&self) {
        self.state.set(State::Broken);
        self.queue.borrow_mut().clear();
        self.record_progress();
        self.task.notify_one();
        self.subscription.notify_waiters();
    }

    /// Writes queued frames as far as the socket accepts them.
    pub fn flush(&self) {
        let Some(socket) = self.socket.get() else {
            if !self.queue.borrow().is_empty() {
                self.task.notify_one();
            }
            return;
        };
        if self.is_blocked.get() || self.is_broken() {
            return;
        }
        let had_page_room = self.has_page_room();
        let written = self.queue.borrow_mut().write(|slices| match slices {
            [slice] => socket.try_write(slice),
            slices => socket.try_write_vectored(slices),
        });
        self.record_progress();
        match written {
            // Waking takes a lock, so it is skipped if there was room already.
            Ok(Progress::Empty) if had_page_room => {}
            Ok(Progress::Empty) => self.subscription.notify_waiters(),
            Ok(Progress::Blocked) => {
                self.is_blocked.set(true);
                self.task.notify_one();
            }
            Err(_) => self.abort(),
        }
    }

    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.is_blocked.get()
    }

    /// Resumes writing after the socket became writable.
    pub fn unblock(&self) {
        self.is_blocked.set(false);
        self.flush();
        self.notify_room();
    }

    fn notify_room(&self) {
        if self.has_page_room() {
            self.subscription.notify_waiters();
        }
    }

    fn has_page_room(&self) -> bool {
        self.queue.borrow().bytes() < self.backlog.free() / PAGE_ROOM_DIVISOR
    }

    /// Removes the next frame, for connections without a socket.
    pub fn pop(&self) -> Option<Bytes> {
        let frame = self.queue.borrow_mut().pop();
        self.record_progress();
        self.notify_room();
        frame
    }

    /// Queued bytes.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.borrow().bytes()
    }

    /// Waits until an event from the log can be queued without exceeding the client's limit, or the
    /// connection ends.
    pub async fn has_room(&self) {
        while self.is_open() && !self.has_page_room() {
            self.subscription.notified().await;
        }
    }

    /// Waits until the connection's task is woken.
    pub async fn wait_until_woken(&self) {
        self.task.notified().await;
    }

    pub fn wake(&self) {
        self.task.notify_one();
    }

    /// Records that the client has sent something.
    pub fn record_activity(&self) {
        self.last_activity.set(Instant::now());
    }

    /// Time at which the client last sent something.
    #[must_use]
    pub fn last_activity(&self) -> Instant {
        self.last_activity.get()
    }

    /// Time since the client last sent something.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_activity.get())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.count(0);
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncReadExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn connected() -> (Sender, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        socket.writable().await.unwrap();
        (Sender::new(Some(socket), &Arc::new(Backlog::fixed(64 * 1024 * 1024))), client)
    }

    fn write_through(sender: &Sender, frame: &'static [u8]) -> bool {
        let Some(socket) = sender.ready_socket() else { return false };
        sender.record_sent(&Bytes::from_static(frame), socket.try_write(frame));
        true
    }

    #[tokio::test]
    async fn bypasses_the_queue_only_when_it_is_empty() {
        let (sender, mut client) = connected().await;
        assert!(write_through(&sender, b"1"));
        assert!(sender.push(Bytes::from_static(b"2")));
        assert!(!write_through(&sender, b"3"), "it would overtake queued frames");
        sender.flush();
        assert!(write_through(&sender, b"3"));
        let mut read = [0; 3];
        client.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"123");
    }

    #[tokio::test]
    async fn queues_what_the_socket_does_not_accept_in_order() {
        let (sender, mut client) = connected().await;
        let large: Bytes = (0..16 * 1024 * 1024).map(|at: u32| at.to_be_bytes()[3]).collect::<Vec<u8>>().into();
        sender.record_sent(&large, sender.ready_socket().unwrap().try_write(&large));
        assert!(sender.is_blocked() && sender.queued_bytes() > 0 && sender.queued_bytes() < large.len());
        assert!(!write_through(&sender, b"end"));
        assert!(sender.push(Bytes::from_static(b"end")));
        let mut read = vec![0; large.len() + 3];
        let socket = sender.socket().unwrap();
        let write = async {
            while sender.queued_bytes() > 0 {
                socket.writable().await.unwrap();
                sender.unblock();
            }
        };
        let (outcome, ()) = tokio::join!(client.read_exact(&mut read), write);
        outcome.unwrap();
        assert_eq!(read[..large.len()], large);
        assert_eq!(&read[large.len()..], b"end");
    }

    #[tokio::test]
    async fn sends_nothing_after_the_close_frame() {
        let (sender, _client) = connected().await;
        sender.close(Close::CREDENTIALS, [Bytes::from_static(b"bye")]);
        assert!(!write_through(&sender, b"late"));
    }

    fn bytes(length: usize) -> Bytes {
        vec![0; length].into()
    }

    #[tokio::test(start_paused = true)]
    async fn disconnects_only_clients_that_stop_reading() {
        let backlog = Arc::new(Backlog::new(100, 10_000, 10_000));
        let (reads, stuck) = (Sender::new(None, &backlog), Sender::new(None, &backlog));
        assert!(reads.push(bytes(100)) && stuck.push(bytes(100)));
        for second in 0..20 {
            for _ in 0..2 {
                assert!(reads.push(bytes(100)), "disconnected after {second} s");
            }
            assert_eq!(reads.pop().map(|frame| frame.len()), Some(100));
            tokio::time::advance(STALL_TIMEOUT / 2).await;
        }
        assert!(stuck.push(bytes(100)), "the stall timer starts when more than the free bytes are queued");
        tokio::time::advance(STALL_TIMEOUT / 2).await;
        assert!(!stuck.is_stalled(Instant::now()) && stuck.push(bytes(100)));
        tokio::time::advance(STALL_TIMEOUT / 2).await;
        assert!(stuck.is_stalled(Instant::now()) && !stuck.push(bytes(1)));
        assert!(backlog.is_exceeded());
        drop((reads, stuck));
        assert!(!backlog.is_exceeded());
    }

    #[tokio::test(start_paused = true)]
    async fn enforces_the_cap_and_the_shared_budget() {
        let backlog = Arc::new(Backlog::new(100, 1_000, 1_500));
        let senders: Vec<Sender> = (0..3).map(|_| Sender::new(None, &backlog)).collect();
        let fill = |sender: &Sender| (0..).take_while(|_| sender.push(bytes(100))).count();
        assert_eq!(fill(&senders[0]), 10, "the cap");
        assert_eq!(fill(&senders[1]), 7, "the budget has 600 left beyond the free bytes");
        assert_eq!(fill(&senders[2]), 1, "the free bytes are available to every connection");
        while senders[0].pop().is_some() {}
        assert_eq!(fill(&senders[2]), 9, "released budget is available to others");
        for sender in &senders {
            sender.close(Close::TOO_SLOW, []);
        }
        assert!(!backlog.is_exceeded());
    }
}
