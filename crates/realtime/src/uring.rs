//! Batched sends through io_uring(7).
//!
//! A conversation with a thousand readers needs a thousand sends, and entering the kernel for each
//! costs a sixth of their time. Here the sends are queued in a ring and submitted with one system
//! call. Each send is tried once without blocking, so all of them are finished when the call
//! returns.
//!
//! If the kernel is too old or forbids io_uring, as in many containers, the ring stays closed and
//! each send is a separate system call.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use io_uring::{IoUring, opcode, types::Fd};

/// Maximum number of sends per system call.
const ENTRIES: usize = 1_024;
/// Result that stands for a send that wasn't executed.
const NOT_EXECUTED: i32 = -libc::EAGAIN;

/// Bytes to send, with their socket.
pub type Send<'a> = (BorrowedFd<'a>, &'a [u8]);

/// Ring of one thread.
pub struct SendRing {
    ring: Option<IoUring>,
    /// Result of each send: the number of bytes sent, or a negative error number.
    results: Vec<i32>,
}

impl SendRing {
    #[must_use]
    pub fn open() -> Self {
        let opened = IoUring::builder()
            // Only one thread submits and waits, so the kernel doesn't have to interrupt it.
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(ENTRIES as u32);
        let ring =
            opened.inspect_err(|error| tracing::debug!(%error, "io_uring unavailable, falling back to send(2)")).ok();
        Self { ring, results: Vec::new() }
    }

    /// Creates a ring that is closed, so that it is never used.
    #[must_use]
    pub const fn closed() -> Self {
        Self { ring: None, results: Vec::new() }
    }

    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ring.is_some()
    }

    /// Sends bytes to each socket as far as the socket accepts them. Returns the results in the
    /// same order. A socket may occur only once: otherwise its second send could be executed
    /// although the first one wasn't, and bytes would be missing.
    pub fn send<'a, T>(
        &mut self,
        sends: &'a [T],
        parts: impl Fn(&'a T) -> Send<'a>,
    ) -> impl Iterator<Item = io::Result<usize>> {
        self.results.clear();
        self.results.resize(sends.len(), NOT_EXECUTED);
        for (sends, results) in sends.chunks(ENTRIES).zip(self.results.chunks_mut(ENTRIES)) {
            let Some(ring) = &mut self.ring else { break };
            if let Err(error) = submit(ring, sends.iter().map(&parts), results) {
                tracing::warn!(%error, "io_uring failed, falling back to send(2)");
                // Closing the ring drops queued sends that weren't executed.
                self.ring = None;
            }
        }
        self.results.iter().map(|result| usize::try_from(*result).map_err(|_| io::Error::from_raw_os_error(-result)))
    }
}

/// Executes at most [`ENTRIES`] sends. All of them are finished when this returns.
fn submit<'a>(ring: &mut IoUring, sends: impl Iterator<Item = Send<'a>>, results: &mut [i32]) -> io::Result<()> {
    let mut entries = ring.submission();
    for (at, (socket, bytes)) in sends.enumerate() {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let send = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), length)
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
            .build()
            .user_data(at as u64);
        // SAFETY: the socket and the bytes are borrowed for longer than the kernel uses them, which
        // is until all sends are completed below.
        #[expect(unsafe_code, reason = "the kernel reads what the compiler doesn't see it read")]
        unsafe { entries.push(&send) }.map_err(io::Error::other)?;
    }
    drop(entries);
    let mut answered = 0;
    while answered < results.len() {
        let outcome = ring.submit_and_wait(results.len() - answered);
        for answer in ring.completion() {
            if let Some(result) = results.get_mut(answer.user_data() as usize) {
                *result = answer.result();
            }
            answered += 1;
        }
        match outcome {
            Ok(_) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)) => {}
            // The kernel never executes entries that it hasn't accepted. Accepted entries are
            // awaited.
            Err(error) if ring.submission().len() + answered >= results.len() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
impl SendRing {
    /// Opens a ring if the kernel allows it. If it doesn't and `NATTER_TEST_REQUIRE_IO_URING` is
    /// set, the test fails.
    pub(crate) fn for_test() -> Self {
        let ring = Self::open();
        let is_required = std::env::var_os("NATTER_TEST_REQUIRE_IO_URING").is_some();
        assert!(ring.is_open() || !is_required, "the kernel forbids io_uring");
        ring
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read as _},
        os::{fd::AsFd as _, unix::net::UnixStream},
    };

    use super::*;

    #[test]
    fn sends_more_than_the_ring_holds_and_reports_each_result() {
        let mut ring = SendRing::for_test();
        if !ring.is_open() {
            return;
        }
        let pairs: Vec<(UnixStream, UnixStream)> = (0..400).map(|_| UnixStream::pair().unwrap()).collect();
        for round in 0..4_u8 {
            let frames: Vec<Vec<u8>> = (0..pairs.len()).map(|at| vec![round; at + 1]).collect();
            let sends: Vec<Send<'_>> =
                pairs.iter().zip(&frames).map(|((here, _), frame)| (here.as_fd(), frame.as_slice())).collect();
            let results: Vec<usize> = ring.send(&sends, |send| *send).map(Result::unwrap).collect();
            assert!(results.iter().zip(&frames).all(|(sent, frame)| *sent == frame.len()));
            for ((_, mut there), frame) in pairs.iter().map(|(here, there)| (here, there)).zip(&frames) {
                let mut read = vec![0; frame.len()];
                there.read_exact(&mut read).unwrap();
                assert_eq!(&read, frame);
            }
        }
    }

    #[test]
    fn reports_partial_sends_full_sockets_and_closed_ones() {
        let mut ring = SendRing::for_test();
        if !ring.is_open() {
            return;
        }
        let ((full, _reader), (gone, there)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        drop(there);
        let long = vec![0; 16 * 1024 * 1024];
        let mut send = || {
            let results: Vec<io::Result<usize>> =
                ring.send(&[(full.as_fd(), long.as_slice()), (gone.as_fd(), b"1")], |send| *send).collect();
            results.into_iter().map(|result| result.map_err(|error| error.kind())).collect::<Vec<_>>()
        };
        let first = send();
        assert!(first[0].is_ok_and(|sent| sent > 0 && sent < long.len()), "{first:?}");
        assert_eq!(first[1], Err(ErrorKind::BrokenPipe));
        assert_eq!(send()[0], Err(ErrorKind::WouldBlock));
    }
}
