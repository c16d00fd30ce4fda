//! I/O loop of one upgraded socket: reads and parses messages, writes queued frames, and closes.
//!
//! It reads only while the [`Handler`] accepts another message, so a client that sends faster than
//! it is answered is slowed down by TCP instead of consuming memory. After a partial write it waits
//! until the socket is writable. Once either side closes the connection, the loop waits a short
//! time for the close frame to arrive, and then drops the socket, whether or not the client has
//! read the frame.
//!
//! The meaning of messages is up to the handler: `connection` for the product, an echo in
//! `examples/ws_echo.rs`.

use std::{net::Shutdown, time::Duration};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::{net::TcpStream, time::Instant};

use crate::{
    close::Close,
    frame::{self, Incoming, Kind, Reader},
    frame_limit::TokenBucket,
    sender::Sender,
};

/// Maximum number of bytes per read.
const READ_CHUNK: usize = 4_096;
/// Number of bytes read after which the task yields.
const YIELD_AFTER: usize = 64 * 1024;
/// Timeout for sending the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for the client to close the connection after it was sent the close frame.
const PEER_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Receiving half of a connection: buffer and parser.
pub struct Inbound {
    reader: Reader,
    buffer: BytesMut,
    /// Frame rate limit; `None` means unlimited.
    allowance: Option<TokenBucket>,
}

impl Inbound {
    /// Creates the receiving half; `unread` are bytes received after the request.
    #[must_use]
    pub fn new(reader: Reader, allowance: Option<TokenBucket>, unread: &[u8]) -> Self {
        Self { reader, buffer: BytesMut::from(unread), allowance }
    }

    /// Reads the available bytes. An error means that the connection is gone.
    pub fn receive(&mut self, socket: &TcpStream) -> Result<usize, Disconnected> {
        let mut chunk = [0; READ_CHUNK];
        match socket.try_read(&mut chunk) {
            Ok(0) => Err(Disconnected),
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(read)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(Disconnected),
        }
    }

    /// Returns the next complete message. If the buffer is empty, its memory is released.
    pub fn next_message(&mut self) -> Result<Option<Incoming>, Close> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let message = self.reader.next(&mut self.buffer)?;
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        let frames = self.reader.take_frames();
        if let Some(allowance) = &mut self.allowance
            && frames > 0
            && !allowance.take(frames, Instant::now())
        {
            return Err(Close::FLOOD);
        }
        Ok(message)
    }
}

/// Error if the client has closed the socket.
#[derive(Debug)]
pub struct Disconnected;

/// Handler of client messages.
pub trait Handler {
    /// True if another message is accepted. The handler calls [`Sender::wake`] when this changes to
    /// true.
    fn has_slot(&self) -> bool;

    /// Handles a message that is neither a ping nor a close frame. An error closes the connection.
    fn handle(&mut self, message: Incoming) -> impl Future<Output = Result<(), Close>>;

    /// Closes the connection in its wire format.
    fn close(&self, close: Close);
}

/// Reads and writes until the connection is closing or the client is gone.
pub async fn run(sender: &Sender, inbound: &mut Inbound, handler: &mut impl Handler) {
    let Some(socket) = sender.socket() else { return };
    // The client may have sent frames right after its request, which were received together with
    // it.
    take_messages(sender, inbound, handler).await;
    let mut in_turn = 0;
    while sender.is_open() {
        let reads = handler.has_slot();
        tokio::select! {
            biased;
            () = sender.wait_until_woken() => {}
            ready = socket.writable(), if sender.is_blocked() => match ready {
                Ok(()) => sender.unblock(),
                Err(_) => return sender.abort(),
            },
            ready = socket.readable(), if reads => {
                if ready.is_err() {
                    return sender.abort();
                }
                match inbound.receive(socket) {
                    Ok(0) => continue,
                    Ok(read) => {
                        in_turn += read;
                        sender.record_activity();
                    }
                    Err(Disconnected) => return sender.abort(),
                }
            }
        }
        take_messages(sender, inbound, handler).await;
        if in_turn >= YIELD_AFTER {
            in_turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Handles received messages as long as the handler accepts them.
async fn take_messages(sender: &Sender, inbound: &mut Inbound, handler: &mut impl Handler) {
    let mut has_answered = false;
    while sender.is_open() && handler.has_slot() {
        let taken = match inbound.next_message() {
            Ok(Some(Incoming::Ping(data))) => {
                has_answered = true;
                if sender.push(frame::frame(Kind::Pong, &data)) { Ok(()) } else { Err(Close::TOO_SLOW) }
            }
            Ok(Some(Incoming::Pong)) => Ok(()),
            Ok(Some(Incoming::Close(code))) => Err(Close::echo(code)),
            Ok(Some(message)) => handler.handle(message).await,
            Ok(None) => break,
            Err(close) => Err(close),
        };
        if let Err(close) = taken {
            handler.close(close);
        }
    }
    if has_answered {
        sender.flush();
    }
}

/// Waits until the client has read the close frame, which means that it has closed its side too, or
/// until a timeout. Received data is discarded, because closing a socket with unread data resets
/// the connection, and sent data would be lost.
pub async fn linger(sender: &Sender) {
    let Some(socket) = sender.socket() else { return };
    let mut deadline = Instant::now() + CLOSE_TIMEOUT;
    let mut is_told = false;
    let mut dropped = [0; 512];
    while !sender.is_broken() {
        if !is_told && sender.queued_bytes() == 0 {
            is_told = true;
            // No data follows the close frame, so the sending direction is closed. A client that
            // keeps reading sees this at once and closes.
            if SockRef::from(socket).shutdown(Shutdown::Write).is_err() {
                return;
            }
            deadline = deadline.min(Instant::now() + PEER_CLOSE_TIMEOUT);
        }
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => return,
            ready = socket.writable(), if sender.is_blocked() => match ready {
                Ok(()) => sender.unblock(),
                Err(_) => return,
            },
            ready = socket.readable() => {
                if ready.is_err() {
                    return;
                }
                match socket.try_read(&mut dropped) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        }
    }
}
