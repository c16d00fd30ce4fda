//! How a frame reaches the connections that it is for: encoded once in each form, written to each socket once per batch.

use std::{borrow::Borrow, cell::OnceCell, os::fd::AsFd as _, rc::Rc};

use bytes::Bytes;
use metrics::metrics;
use tokio::net::TcpStream;

use crate::{
    codec::{FrameBody, Wire},
    frame,
    outbound::Outbound,
    queue::Joined,
    ring::Ring,
};

/// Sends that are worth more than a system call each.
const WORTH_A_RING: usize = 3;
/// Bytes that are copied before they are sent: readers of many conversations may each wait for other frames.
pub(super) const COPIED: usize = 1024 * 1024;

/// What is on its way to the sockets.
pub(super) struct Deliveries {
    /// Connections with something in their queues.
    outs: Vec<Rc<Outbound>>,
    /// What is delivered is the only frame for each connection: it goes past the queue where nothing waits there.
    is_alone: bool,
    ring: Ring,
}

impl Deliveries {
    pub(super) fn new(ring: Ring) -> Self {
        Self { outs: Vec::new(), is_alone: false, ring }
    }

    /// Whether what is delivered from now on is the only frame for each connection.
    pub(super) fn set_alone(&mut self, is_alone: bool) {
        self.is_alone = is_alone;
    }

    /// Brings each connection its form of one frame. Nothing here counts references but what waits: an atomic count for each of a thousand
    /// readers would keep the processor from fetching the next one's memory ahead.
    pub(super) fn deliver<'a>(&mut self, outs: impl IntoIterator<Item = &'a Rc<Outbound>>, forms: &Forms<'_>) {
        let outs = outs.into_iter();
        let most = if self.is_alone { outs.size_hint().1.unwrap_or_default() } else { 0 };
        let mut ready: Vec<Ready<'_, &Bytes>> = Vec::with_capacity(most);
        let mut count = 0;
        for out in outs {
            count += 1;
            let frame = forms.get(out);
            match self.is_alone.then(|| out.ready_socket()).flatten() {
                Some(socket) => ready.push((out, frame, socket)),
                None => self.push(out, frame.clone()),
            }
        }
        self.send(&ready);
        if count > 0 {
            metrics().realtime.delivered(forms.envelope.kind, count);
        }
    }

    pub(super) fn push(&mut self, out: &Rc<Outbound>, frame: Bytes) {
        out.push(frame);
        if out.becomes_dirty() {
            self.outs.push(Rc::clone(out));
        }
    }

    pub(super) fn flush(&mut self) {
        let mut outs = std::mem::take(&mut self.outs);
        let (mut joined, mut ready) = (Joined::default(), Vec::<Ready<'_, Bytes>>::new());
        for out in &outs {
            out.cleaned();
            if joined.copied() > COPIED {
                self.send(&ready);
                ready.clear();
                joined = Joined::default();
            }
            let taken = self.ring.is_open().then(|| out.take_waiting(&mut joined)).flatten();
            match taken {
                Some((frames, socket)) => ready.push((out, frames, socket)),
                None => out.flush(),
            }
        }
        self.send(&ready);
        drop(ready);
        outs.clear();
        self.outs = outs;
    }

    /// Each connection gets its bytes, as far as its socket takes them. None may be there twice.
    fn send<T: Borrow<Bytes>>(&mut self, ready: &[Ready<'_, T>]) {
        if ready.len() < WORTH_A_RING || !self.ring.is_open() {
            for (out, frame, socket) in ready {
                out.went_out(frame.borrow(), socket.try_write(frame.borrow()));
            }
        } else {
            let outcomes = self.ring.send(ready, |(_, frame, socket)| (socket.as_fd(), frame.borrow()));
            for ((out, frame, _), outcome) in ready.iter().zip(outcomes) {
                out.went_out(frame.borrow(), outcome);
            }
        }
    }
}

/// Bytes that go past the queue of a connection, to its socket.
type Ready<'a, T> = (&'a Outbound, T, &'a TcpStream);

/// The wire forms of one frame: each made when its first reader needs it, and shared by the others.
pub(super) struct Forms<'a> {
    envelope: FrameBody<'a>,
    plain: [OnceCell<Bytes>; Wire::COUNT],
    deflated: [OnceCell<Bytes>; Wire::COUNT],
}

impl<'a> Forms<'a> {
    pub(super) fn of(envelope: FrameBody<'a>) -> Self {
        Self {
            envelope,
            plain: [const { OnceCell::new() }; Wire::COUNT],
            deflated: [const { OnceCell::new() }; Wire::COUNT],
        }
    }

    fn get(&self, out: &Outbound) -> &Bytes {
        let wire = out.wire;
        let plain = self.plain[wire.index()].get_or_init(|| wire.encode(&self.envelope));
        if out.deflates(plain.len()) { self.deflated[wire.index()].get_or_init(|| frame::shrink(plain)) } else { plain }
    }
}
