//! Delivery of frames to connections: encoded once per wire format, written to each socket once per
//! batch.

use std::{borrow::Borrow, cell::OnceCell, os::fd::AsFd as _, rc::Rc};

use bytes::Bytes;
use metrics::metrics;
use tokio::net::TcpStream;

use crate::{
    codec::{FrameBody, Wire},
    connection_handle::ConnectionHandle,
    frame,
    queue::Joined,
    uring::SendRing,
};

/// Minimum number of sends for which io_uring is used.
const MIN_RING_SENDS: usize = 3;
/// Maximum number of copied bytes before they are sent, because readers of many conversations may
/// wait for different frames.
pub(super) const MAX_COPIED_BYTES: usize = 1024 * 1024;

/// Frames on their way to the sockets.
pub(super) struct Deliveries {
    /// Connections with unflushed frames.
    outs: Vec<Rc<ConnectionHandle>>,
    /// True if the delivered frame is the only one for each connection. It then bypasses empty
    /// queues.
    is_alone: bool,
    ring: SendRing,
}

impl Deliveries {
    pub(super) fn new(ring: SendRing) -> Self {
        Self { outs: Vec::new(), is_alone: false, ring }
    }

    /// Sets whether the following frame is the only one for each connection.
    pub(super) fn set_alone(&mut self, is_alone: bool) {
        self.is_alone = is_alone;
    }

    /// Delivers one frame to each connection in its wire format. Only queued frames are reference
    /// counted: an atomic increment for each of a thousand readers would keep the processor from
    /// prefetching the next reader's memory.
    pub(super) fn deliver<'a>(
        &mut self,
        outs: impl IntoIterator<Item = &'a Rc<ConnectionHandle>>,
        forms: &FrameEncodings<'_>,
    ) {
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

    pub(super) fn push(&mut self, out: &Rc<ConnectionHandle>, frame: Bytes) {
        out.push(frame);
        if out.mark_dirty() {
            self.outs.push(Rc::clone(out));
        }
    }

    pub(super) fn flush(&mut self) {
        let mut outs = std::mem::take(&mut self.outs);
        let (mut joined, mut ready) = (Joined::default(), Vec::<Ready<'_, Bytes>>::new());
        for out in &outs {
            out.cleaned();
            if joined.copied() > MAX_COPIED_BYTES {
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

    /// Sends bytes to each connection as far as its socket accepts them. A connection may occur
    /// only once.
    fn send<T: Borrow<Bytes>>(&mut self, ready: &[Ready<'_, T>]) {
        if ready.len() < MIN_RING_SENDS || !self.ring.is_open() {
            for (out, frame, socket) in ready {
                out.record_sent(frame.borrow(), socket.try_write(frame.borrow()));
            }
        } else {
            let outcomes = self.ring.send(ready, |(_, frame, socket)| (socket.as_fd(), frame.borrow()));
            for ((out, frame, _), outcome) in ready.iter().zip(outcomes) {
                out.record_sent(frame.borrow(), outcome);
            }
        }
    }
}

/// Connection, bytes that bypass its queue, and its socket.
type Ready<'a, T> = (&'a ConnectionHandle, T, &'a TcpStream);

/// Encodings of one frame: each is created for its first reader and shared by the others.
pub(super) struct FrameEncodings<'a> {
    envelope: FrameBody<'a>,
    plain: [OnceCell<Bytes>; Wire::COUNT],
    deflated: [OnceCell<Bytes>; Wire::COUNT],
}

impl<'a> FrameEncodings<'a> {
    pub(super) fn of(envelope: FrameBody<'a>) -> Self {
        Self {
            envelope,
            plain: [const { OnceCell::new() }; Wire::COUNT],
            deflated: [const { OnceCell::new() }; Wire::COUNT],
        }
    }

    fn get(&self, out: &ConnectionHandle) -> &Bytes {
        let wire = out.wire;
        let plain = self.plain[wire.index()].get_or_init(|| wire.encode(&self.envelope));
        if out.deflates(plain.len()) { self.deflated[wire.index()].get_or_init(|| frame::shrink(plain)) } else { plain }
    }
}
