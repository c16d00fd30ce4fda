//! Outgoing queue of one client. It contains whole frames and is limited in bytes.
//!
//! The limit is in bytes instead of frames, because memory is what a slow client costs. The
//! [`Sender`](crate::sender::Sender) decides whether a frame may exceed the limit. An empty queue
//! releases its memory, so an idle connection takes only the memory of the struct.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::Bytes;

/// Maximum number of slices per system call. The kernel's limit is 1,024.
const MAX_SLICES: usize = 64;
/// Maximum number of bytes that are copied to send several frames as one buffer.
const MAX_JOINED_BYTES: usize = 64 * 1024;
/// Maximum capacity that an empty queue keeps, in frames. A larger one is released.
const KEPT_CAPACITY: usize = 4;

/// Frames that are still to be written to one client.
#[derive(Debug)]
pub struct Queue {
    frames: VecDeque<Bytes>,
    /// Number of bytes of the first frame that are already written.
    sent: usize,
    bytes: usize,
    /// Number of bytes at the front that don't count against the limit, because `hello` may exceed
    /// it.
    exempt: usize,
    limit: usize,
}

/// Error of a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// Cache of the frames that were joined last. Readers of a conversation usually wait for the same
/// frames, and then share the joined copy.
#[derive(Default)]
pub struct Joined {
    frames: Vec<Bytes>,
    whole: Bytes,
    copied: usize,
}

impl Joined {
    /// Total number of bytes copied.
    #[must_use]
    pub fn copied(&self) -> usize {
        self.copied
    }

    fn join(&mut self, frames: &mut VecDeque<Bytes>) -> Bytes {
        let is_same = |(one, other): (&Bytes, &Bytes)| one.as_ptr() == other.as_ptr() && one.len() == other.len();
        if self.frames.len() == frames.len() && self.frames.iter().zip(&*frames).all(is_same) {
            frames.clear();
        } else {
            self.frames.clear();
            self.frames.extend(frames.drain(..));
            self.whole = self.frames.concat().into();
            self.copied += self.whole.len();
        }
        self.whole.clone()
    }
}

/// Progress of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All frames were written.
    Empty,
    /// The send buffer of the socket is full.
    Blocked,
}

impl Queue {
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { frames: VecDeque::new(), sent: 0, bytes: 0, exempt: 0, limit }
    }

    /// Queued bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Queued bytes that count against the limit.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.bytes - self.exempt
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn push(&mut self, frame: Bytes) -> Result<(), Overflow> {
        if self.counted() + frame.len() > self.limit {
            return Err(Overflow);
        }
        self.push_exempt(frame, 0);
        Ok(())
    }

    /// Adds a frame although it exceeds the limit. The frame is counted.
    pub fn push_beyond(&mut self, frame: Bytes) {
        self.push_exempt(frame, 0);
    }

    /// Adds a frame that doesn't count against the limit: `hello`, whose length depends on the
    /// number of conversations, or a close frame.
    pub fn push_uncounted(&mut self, frame: Bytes) {
        let length = frame.len();
        self.push_exempt(frame, length);
    }

    /// Adds a partially written frame at the front; `sent` bytes of it have been written.
    pub fn push_partial(&mut self, frame: Bytes, sent: usize) {
        self.bytes += frame.len() - sent;
        self.sent = sent;
        self.frames.push_front(frame);
    }

    fn push_exempt(&mut self, frame: Bytes, exempt: usize) {
        self.bytes += frame.len();
        self.exempt += exempt;
        self.frames.push_back(frame);
    }

    /// Removes the next frame, for receivers that take whole frames.
    pub fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.account(frame.len());
        self.release();
        Some(frame)
    }

    /// Removes all frames as one buffer, if no frame is partially written and the frames are small.
    /// Clients that wait for the same frames share the buffer.
    pub fn take_whole(&mut self, joined: &mut Joined) -> Option<Bytes> {
        if self.sent > 0 || self.frames.is_empty() || self.bytes > MAX_JOINED_BYTES {
            return None;
        }
        let whole = if self.frames.len() == 1 { self.frames.pop_front()? } else { joined.join(&mut self.frames) };
        self.account(whole.len());
        self.release();
        Some(whole)
    }

    /// Drops all frames except a partially written one, which must be completed to keep the framing
    /// intact.
    pub fn keep_partial(&mut self) {
        self.frames.truncate(usize::from(self.sent > 0));
        self.bytes = self.frames.front().map_or(0, |frame| frame.len() - self.sent);
        self.exempt = 0;
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Writes until the queue is empty or `write` would block.
    pub fn write(&mut self, mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<Progress> {
        while let Some(first) = self.frames.front() {
            let first = IoSlice::new(&first[self.sent..]);
            let outcome = if self.frames.len() == 1 {
                write(&[first])
            } else {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                slices[0] = first;
                let mut used = 1;
                for (slice, frame) in slices[1..].iter_mut().zip(self.frames.iter().skip(1)) {
                    *slice = IoSlice::new(frame);
                    used += 1;
                }
                write(&slices[..used])
            };
            match outcome {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.release();
        Ok(Progress::Empty)
    }

    fn advance(&mut self, written: usize) {
        self.account(written);
        let mut left = self.sent + written;
        while let Some(frame) = self.frames.front() {
            if left < frame.len() {
                break;
            }
            left -= frame.len();
            self.frames.pop_front();
        }
        self.sent = left;
    }

    fn account(&mut self, gone: usize) {
        self.bytes -= gone.min(self.bytes);
        self.exempt = self.exempt.saturating_sub(gone);
    }

    fn release(&mut self) {
        if self.frames.is_empty() && self.frames.capacity() > KEPT_CAPACITY {
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(lengths: &[usize]) -> (Queue, Vec<u8>) {
        let (mut queue, mut all) = (Queue::new(usize::MAX), Vec::new());
        for (at, length) in lengths.iter().enumerate() {
            let frame = vec![at as u8; *length];
            all.extend(&frame);
            queue.push(frame.into()).unwrap();
        }
        (queue, all)
    }

    #[test]
    fn limits_bytes_and_keeps_queued_frames() {
        let mut queue = Queue::new(10);
        queue.push(Bytes::from_static(b"12345678")).unwrap();
        assert_eq!(queue.push(Bytes::from_static(b"123")), Err(Overflow));
        queue.push(Bytes::from_static(b"12")).unwrap();
        assert_eq!(queue.bytes(), 10);
    }

    #[test]
    fn an_exempt_frame_does_not_count_against_later_ones() {
        let mut queue = Queue::new(10);
        queue.push_uncounted(vec![0; 100].into());
        queue.push(Bytes::from_static(b"1234567890")).unwrap();
        assert_eq!(queue.push(Bytes::from_static(b"1")), Err(Overflow));
        assert_eq!(queue.pop().map(|frame| frame.len()), Some(100));
        assert_eq!(queue.push(Bytes::from_static(b"1")), Err(Overflow), "the exempt frame returned only what it took");
    }

    #[test]
    fn keeps_a_partially_written_frame_when_the_rest_is_dropped() {
        let (mut queue, _) = filled(&[4, 4]);
        let mut writes = [Ok(1), Err(io::ErrorKind::WouldBlock.into())].into_iter();
        assert_eq!(queue.write(|_| writes.next().unwrap()).unwrap(), Progress::Blocked);
        queue.keep_partial();
        assert_eq!(queue.bytes(), 3);
        let (mut untouched, _) = filled(&[4, 4]);
        untouched.keep_partial();
        assert!(untouched.is_empty());
    }

    #[test]
    fn receivers_of_the_same_frames_share_their_bytes() {
        let frames = [Bytes::from_static(b"12"), Bytes::from(vec![3, 4]), Bytes::from(vec![5])];
        let waiting = |frames: &[Bytes]| {
            let mut queue = Queue::new(10);
            frames.iter().for_each(|frame| queue.push(frame.clone()).unwrap());
            queue
        };
        let mut joined = Joined::default();
        let mut take = |frames: &[Bytes]| {
            let mut queue = waiting(frames);
            let whole = queue.take_whole(&mut joined).unwrap();
            assert!(queue.is_empty() && queue.bytes() == 0);
            assert_eq!(whole, frames.concat());
            whole
        };
        let (first, second) = (take(&frames), take(&frames));
        assert_eq!(first.as_ptr(), second.as_ptr());
        // Frames of the same length but with another content, which must not come from the cache.
        take(&[frames[0].clone(), frames[1].clone(), Bytes::from(vec![6])]);
        take(&frames[..2]);
        assert_eq!(take(&frames[..1]).as_ptr(), frames[0].as_ptr());
    }

    #[test]
    fn does_not_join_partially_written_or_long_frames() {
        let mut joined = Joined::default();
        let (mut begun, _) = filled(&[4, 4]);
        let mut writes = [Ok(1), Err(io::ErrorKind::WouldBlock.into())].into_iter();
        assert_eq!(begun.write(|_| writes.next().unwrap()).unwrap(), Progress::Blocked);
        let (mut long, _) = filled(&[MAX_JOINED_BYTES, 1]);
        for (queue, bytes) in [(&mut begun, 7), (&mut long, MAX_JOINED_BYTES + 1)] {
            assert!(queue.take_whole(&mut joined).is_none());
            assert_eq!(queue.bytes(), bytes);
        }
    }

    #[test]
    fn an_empty_queue_holds_no_memory() {
        let (mut queue, _) = filled(&[1; 100]);
        queue.write(|slices| Ok(slices.iter().map(|slice| slice.len()).sum())).unwrap();
        assert!(queue.frames.capacity() <= KEPT_CAPACITY);
    }

    #[test]
    fn a_zero_length_write_is_an_error() {
        let (mut queue, _) = filled(&[4]);
        assert!(queue.write(|_| Ok(0)).is_err());
    }

    proptest! {
        #[test]
        fn writes_every_byte_once_in_order(
            lengths in proptest::collection::vec(1_usize..50, 1..200),
            cuts in proptest::collection::vec(1_usize..120, 1..50),
        ) {
            let (mut queue, all) = filled(&lengths);
            let (mut out, mut cuts, mut blocked) = (Vec::<u8>::new(), cuts.into_iter().cycle(), false);
            loop {
                let progress = queue.write(|slices| {
                    blocked = !blocked;
                    if blocked {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                    let taken = cuts.next().unwrap().min(bytes.len());
                    out.extend(&bytes[..taken]);
                    Ok(taken)
                }).unwrap();
                prop_assert_eq!(queue.bytes(), all.len() - out.len());
                if progress == Progress::Empty {
                    break;
                }
            }
            prop_assert_eq!(out, all);
        }
    }
}
