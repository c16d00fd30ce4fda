//! Delivery of frames to connections. A frame is encoded once per wire format, and each socket is
//! written to once per batch.

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
/// Number of copied bytes after which they are sent. Readers of many conversations may wait for
/// different frames, so copies could otherwise use much memory.
pub(super) const MAX_COPIED_BYTES: usize = 1024 * 1024;

/// Frames that are being delivered to connections.
pub(super) struct Deliveries {
    /// Connections with unflushed frames.
    outs: Vec<Rc<ConnectionHandle>>,
    /// True if the current frame is the only one for each connection in this round. It is then sent
    /// directly where the queue is empty.
    is_alone: bool,
    ring: SendRing,
}

impl Deliveries {
    pub(super) fn new(ring: SendRing) -> Self {
        Self { outs: Vec::new(), is_alone: false, ring }
    }

    /// Sets whether the following frame is the only one for each connection in this round.
    pub(super) fn set_alone(&mut self, is_alone: bool) {
        self.is_alone = is_alone;
    }

    /// Delivers one frame to each connection in its wire format. The reference count of a frame is
    /// only incremented if the frame is queued: an atomic increment for each of a thousand readers
    /// would keep the processor from prefetching the next reader's memory.
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
            metrics().realtime.record_delivery(forms.envelope.kind, count);
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
            out.clear_dirty();
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

/// Encodings of one frame. Each is created for the first reader that needs it and shared by the
/// others.
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
