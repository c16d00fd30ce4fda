//! The sending half of a connection: a queue counted in bytes, and the socket that it is written to.
//!
//! How many bytes may wait is up to the [`Backlog`]. Below its free bytes nothing but the queue's own length is looked at, so that a delivery
//! costs no clock and no shared counter; only what goes beyond is counted for the instance and measured against time.
//!
//! Whoever has something for the client pushes it here, on the connection's own thread. Ending a connection is a push too: the goodbye
//! goes into the queue, and the task of the connection sees to it that the socket does not outlive it for long.
//!
//! Where there is no socket (a stream of Server-Sent Events, a client that polls) whoever answers the client takes frames from the queue
//! by itself. A socket may come later, when a client that polled goes over to WebSocket: what waits then goes out on it.

use std::{
    cell::{Cell, OnceCell, RefCell},
    io,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{net::TcpStream, sync::Notify, time::Instant};

use crate::{
    backlog::{Backlog, STALL},
    close::Close,
    frame,
    queue::{Joined, Progress, Queue},
};

/// The part of the limit that may be queued before reads from the log pause.
const PAGE_SHARE: usize = 4;

/// What goes to one client.
pub struct Sender {
    socket: OnceCell<TcpStream>,
    queue: RefCell<Queue>,
    backlog: Arc<Backlog>,
    /// Bytes that the backlog has counted; 0 while no more waits than is free.
    counted: Cell<usize>,
    /// Since when the client has taken nothing. Kept while something is counted.
    stalled_since: Cell<Instant>,
    state: Cell<State>,
    /// The socket takes no more; the connection's task waits until it does.
    is_blocked: Cell<bool>,
    /// Bytes from which a frame goes out compressed; 0: never.
    deflates_from: Cell<usize>,
    heard_at: Cell<Instant>,
    /// Wakes the connection's task, or the stream.
    task: Notify,
    /// Wakes the tasks that wait for room in the queue.
    subscription: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The goodbye is in the queue.
    Closing(Close),
    /// Nothing can be written any more.
    Broken,
}

impl Sender {
    /// What may wait is up to `backlog`.
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
            heard_at: Cell::new(now),
            task: Notify::new(),
            subscription: Notify::new(),
        }
    }

    #[must_use]
    pub fn socket(&self) -> Option<&TcpStream> {
        self.socket.get()
    }

    /// From now on everything goes out on this socket, what waits first. The first socket stays.
    pub fn attach(&self, socket: TcpStream) {
        if self.socket.set(socket).is_ok() {
            self.flush();
        }
    }

    /// The client takes compressed frames; those that are shorter than this are not worth it.
    pub fn deflate_from(&self, bytes: usize) {
        self.deflates_from.set(bytes);
    }

    /// Whether a frame of this length goes out compressed.
    #[must_use]
    pub fn deflates(&self, length: usize) -> bool {
        let from = self.deflates_from.get();
        from > 0 && length >= from
    }

    /// A frame that is for this client alone, as it goes out.
    #[must_use]
    pub fn fit(&self, frame: Bytes) -> Bytes {
        if self.deflates(frame.len()) { frame::shrink(&frame) } else { frame }
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

    /// Adds a frame to what waits. False: the client reads too slowly to be kept.
    #[must_use]
    pub fn push(&self, frame: Bytes) -> bool {
        if !self.is_open() || self.queue.borrow_mut().push(frame.clone()).is_ok() {
            return true;
        }
        self.push_beyond(frame)
    }

    /// [`Self::push`] for a frame that does not fit into the free bytes: whether it may wait depends on what the client takes.
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

    /// Whether the client has taken nothing for too long while more waits for it than is free.
    #[must_use]
    pub fn is_stalled(&self, now: Instant) -> bool {
        self.counted.get() > 0 && now.saturating_duration_since(self.stalled_since.get()) >= STALL
    }

    /// Counts what waits for the instance. False: more waits on all connections than may.
    fn count(&self, waiting: usize) -> bool {
        self.backlog.recount(self.counted.replace(waiting), waiting)
    }

    /// Something has left the queue: what still waits counts against the client from now on.
    fn note_progress(&self) {
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

    /// The socket, where a frame may go out past the queue, since nothing waits in it.
    #[must_use]
    pub fn ready_socket(&self) -> Option<&TcpStream> {
        let is_ready = !self.is_blocked.get() && self.is_open() && self.queue.borrow().is_empty();
        self.socket.get().filter(|_| is_ready)
    }

    /// Takes all that waits out of the queue, to be sent past it, where the socket is ready and nobody waits for room.
    #[must_use]
    pub fn take_waiting(&self, joined: &mut Joined) -> Option<(Bytes, &TcpStream)> {
        let socket = self.socket.get()?;
        if self.is_blocked.get() || !self.is_open() || !self.has_page_room() {
            return None;
        }
        Some((self.queue.borrow_mut().take_whole(joined)?, socket))
    }

    /// How far the socket took a frame that went past the queue. The rest of it waits for the socket, before all others.
    pub fn went_out(&self, frame: &Bytes, outcome: io::Result<usize>) {
        let sent = match outcome {
            Ok(sent) if sent == frame.len() => return,
            Ok(sent) => sent,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(_) => return self.give_up(),
        };
        self.queue.borrow_mut().push_begun(frame.clone(), sent);
        self.is_blocked.set(true);
        self.task.notify_one();
    }

    /// Adds the first frame, which may be longer than what may wait.
    pub fn greet(&self, frame: Bytes) {
        if self.is_open() {
            self.queue.borrow_mut().push_uncounted(frame);
        }
    }

    /// Says goodbye with these frames, after what waits already. A client that is too slow for that loses what waits.
    pub fn close(&self, close: Close, goodbye: impl IntoIterator<Item = Bytes>) {
        if !self.is_open() {
            return;
        }
        self.state.set(State::Closing(close));
        {
            let mut queue = self.queue.borrow_mut();
            if close == Close::TOO_SLOW {
                queue.keep_begun();
            }
            for frame in goodbye {
                queue.push_uncounted(frame);
            }
        }
        self.note_progress();
        self.flush();
        self.task.notify_one();
        self.subscription.notify_waiters();
    }

    /// Ends it without a word: the other side is gone.
    pub fn give_up(&self) {
        self.state.set(State::Broken);
        self.queue.borrow_mut().clear();
        self.note_progress();
        self.task.notify_one();
        self.subscription.notify_waiters();
    }

    /// Writes what waits, as far as the socket takes it.
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
        self.note_progress();
        match written {
            // Waking takes a lock: not for every delivery.
            Ok(Progress::Empty) if had_page_room => {}
            Ok(Progress::Empty) => self.subscription.notify_waiters(),
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
            self.subscription.notify_waiters();
        }
    }

    fn has_page_room(&self) -> bool {
        self.queue.borrow().bytes() < self.backlog.free() / PAGE_SHARE
    }

    /// Takes the next frame, where there is no socket.
    pub fn pop(&self) -> Option<Bytes> {
        let frame = self.queue.borrow_mut().pop();
        self.note_progress();
        self.tell_room();
        frame
    }

    /// Bytes that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.borrow().bytes()
    }

    /// Until an event from the log can be added without pushing the client over its limit, or the connection ends.
    pub async fn has_room(&self) {
        while self.is_open() && !self.has_page_room() {
            self.subscription.notified().await;
        }
    }

    /// Until something happened that the connection's task has to look at.
    pub async fn woken(&self) {
        self.task.notified().await;
    }

    pub fn wake(&self) {
        self.task.notify_one();
    }

    /// A sign of life.
    pub fn heard(&self) {
        self.heard_at.set(Instant::now());
    }

    /// When the last sign of life came.
    #[must_use]
    pub fn heard_at(&self) -> Instant {
        self.heard_at.get()
    }

    /// How long the client has been silent.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard_at.get())
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
        sender.went_out(&Bytes::from_static(frame), socket.try_write(frame));
        true
    }

    #[tokio::test]
    async fn a_frame_goes_past_the_queue_only_where_nothing_waits() {
        let (sender, mut client) = connected().await;
        assert!(write_through(&sender, b"1"));
        assert!(sender.push(Bytes::from_static(b"2")));
        assert!(!write_through(&sender, b"3"), "it would overtake");
        sender.flush();
        assert!(write_through(&sender, b"3"));
        let mut read = [0; 3];
        client.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"123");
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_waits_and_what_follows_waits_behind_it() {
        let (sender, mut client) = connected().await;
        let large: Bytes = (0..16 * 1024 * 1024).map(|at: u32| at.to_be_bytes()[3]).collect::<Vec<u8>>().into();
        sender.went_out(&large, sender.ready_socket().unwrap().try_write(&large));
        assert!(sender.is_blocked() && sender.waiting() > 0 && sender.waiting() < large.len());
        assert!(!write_through(&sender, b"end"));
        assert!(sender.push(Bytes::from_static(b"end")));
        let mut read = vec![0; large.len() + 3];
        let socket = sender.socket().unwrap();
        let write = async {
            while sender.waiting() > 0 {
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
    async fn a_closed_connection_takes_nothing_past_its_goodbye() {
        let (sender, _client) = connected().await;
        sender.close(Close::CREDENTIALS, [Bytes::from_static(b"bye")]);
        assert!(!write_through(&sender, b"late"));
    }

    fn bytes(length: usize) -> Bytes {
        vec![0; length].into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_reads_is_not_cut_off_and_one_that_does_not_is_after_a_second() {
        let backlog = Arc::new(Backlog::new(100, 10_000, 10_000));
        let (reads, stuck) = (Sender::new(None, &backlog), Sender::new(None, &backlog));
        assert!(reads.push(bytes(100)) && stuck.push(bytes(100)));
        for second in 0..20 {
            for _ in 0..2 {
                assert!(reads.push(bytes(100)), "cut off after {second} s");
            }
            assert_eq!(reads.pop().map(|frame| frame.len()), Some(100));
            tokio::time::advance(STALL / 2).await;
        }
        assert!(stuck.push(bytes(100)), "a second begins when more waits than is free");
        tokio::time::advance(STALL / 2).await;
        assert!(!stuck.is_stalled(Instant::now()) && stuck.push(bytes(100)));
        tokio::time::advance(STALL / 2).await;
        assert!(stuck.is_stalled(Instant::now()) && !stuck.push(bytes(1)));
        assert!(backlog.is_exceeded());
        drop((reads, stuck));
        assert!(!backlog.is_exceeded());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_has_more_than_the_cap_and_all_together_no_more_than_the_budget() {
        let backlog = Arc::new(Backlog::new(100, 1_000, 1_500));
        let senders: Vec<Sender> = (0..3).map(|_| Sender::new(None, &backlog)).collect();
        let fill = |sender: &Sender| (0..).take_while(|_| sender.push(bytes(100))).count();
        assert_eq!(fill(&senders[0]), 10, "the cap");
        assert_eq!(fill(&senders[1]), 7, "the budget has 600 left beyond the free bytes");
        assert_eq!(fill(&senders[2]), 1, "the free bytes are everybody's");
        while senders[0].pop().is_some() {}
        assert_eq!(fill(&senders[2]), 9, "what one has taken is the others'");
        for sender in &senders {
            sender.close(Close::TOO_SLOW, []);
        }
        assert!(!backlog.is_exceeded());
    }
}
