//! One upgraded socket: reads it, cuts what comes into messages, writes what waits, and sees to its end.
//!
//! It reads only while the [`Handler`] has a place for another message, so a client that asks faster than it is answered is slowed down
//! by TCP and not by memory. It waits for the socket to take more when a write was cut short. And when it was decided (by anyone) that
//! the connection ends, it gives the goodbye a short time to arrive and then drops the socket, whether the client reads or not.
//!
//! What a message means is not known here: `connection` knows for the product, and `examples/ws_echo.rs` sends it back.

use std::{net::Shutdown, time::Duration};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::{net::TcpStream, time::Instant};

use crate::{
    close::Close,
    flood::Allowance,
    frame::{self, Incoming, Kind, Reader},
    sender::Sender,
};

/// Bytes that one read takes.
const CHUNK: usize = 4_096;
/// Bytes after which others get the thread.
const TURN: usize = 64 * 1024;
/// How long a client may take to read the goodbye.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long after the goodbye the client's own is waited for.
const LINGER: Duration = Duration::from_secs(1);

/// What a client sends, cut into messages.
pub struct Inbound {
    reader: Reader,
    buffer: BytesMut,
    /// None: as many as it likes.
    allowance: Option<Allowance>,
}

impl Inbound {
    /// `unread` came with the request that opened the connection.
    #[must_use]
    pub fn new(reader: Reader, allowance: Option<Allowance>, unread: &[u8]) -> Self {
        Self { reader, buffer: BytesMut::from(unread), allowance }
    }

    /// Reads what is there. An error is the end.
    pub fn receive(&mut self, socket: &TcpStream) -> Result<usize, Gone> {
        let mut chunk = [0; CHUNK];
        match socket.try_read(&mut chunk) {
            Ok(0) => Err(Gone),
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(read)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(Gone),
        }
    }

    /// The next message, if it is all there. An empty buffer gives its memory back.
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

/// The other side has closed the socket.
#[derive(Debug)]
pub struct Gone;

/// Handles what a client sends.
pub trait Handler {
    /// Whether it takes another message now. Where that changes, [`Sender::wake`] says so.
    fn has_slot(&self) -> bool;

    /// Takes a message; pings and goodbyes are seen to without it. An error ends the connection.
    fn take(&mut self, message: Incoming) -> impl Future<Output = Result<(), Close>>;

    /// Says goodbye in the connection's own words.
    fn close(&self, close: Close);
}

/// Reads and writes until it is decided that the connection ends, or the other side is gone.
pub async fn exchange(sender: &Sender, inbound: &mut Inbound, handler: &mut impl Handler) {
    let Some(socket) = sender.socket() else { return };
    // The client may have sent frames along with its request.
    take_messages(sender, inbound, handler).await;
    let mut in_turn = 0;
    while sender.is_open() {
        let reads = handler.has_slot();
        tokio::select! {
            biased;
            () = sender.woken() => {}
            ready = socket.writable(), if sender.is_blocked() => match ready {
                Ok(()) => sender.unblock(),
                Err(_) => return sender.give_up(),
            },
            ready = socket.readable(), if reads => {
                if ready.is_err() {
                    return sender.give_up();
                }
                match inbound.receive(socket) {
                    Ok(0) => continue,
                    Ok(read) => {
                        in_turn += read;
                        sender.heard();
                    }
                    Err(Gone) => return sender.give_up(),
                }
            }
        }
        take_messages(sender, inbound, handler).await;
        if in_turn >= TURN {
            in_turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Hands on what has arrived, as far as there are places for it.
async fn take_messages(sender: &Sender, inbound: &mut Inbound, handler: &mut impl Handler) {
    let mut has_answered = false;
    while sender.is_open() && handler.has_slot() {
        let taken = match inbound.next_message() {
            Ok(Some(Incoming::Ping(data))) => {
                has_answered = true;
                if sender.push(frame::frame(Kind::Pong, &data)) { Ok(()) } else { Err(Close::TOO_SLOW) }
            }
            Ok(Some(Incoming::Pong)) => Ok(()),
            Ok(Some(Incoming::Close(code))) => Err(Close::answer(code)),
            Ok(Some(message)) => handler.take(message).await,
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

/// Gives the goodbye a chance to be read: until the client has said its own or closed, or its time is up. What it still sends is dropped,
/// because a socket that is closed with something unread takes back what it has sent.
pub async fn see_off(sender: &Sender) {
    let Some(socket) = sender.socket() else { return };
    let mut deadline = Instant::now() + FAREWELL;
    let mut is_told = false;
    let mut dropped = [0; 512];
    while !sender.is_broken() {
        if !is_told && sender.waiting() == 0 {
            is_told = true;
            // Nothing comes after the goodbye. A client that reads on sees the end at once, and closes.
            if SockRef::from(socket).shutdown(Shutdown::Write).is_err() {
                return;
            }
            deadline = deadline.min(Instant::now() + LINGER);
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
