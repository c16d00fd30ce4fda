//! WebSocket transport: each message is one packet, and binary data is sent as it is.

use std::rc::Rc;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{net::TcpStream, time::Instant};

use super::{
    Message, SessionHandler, Settings, UpgradingSocket,
    packet::{self, Packet},
    ping_schedule::PingSchedule,
};
use crate::{
    close::Close,
    deflate::DeflateParams,
    frame::{self, Incoming, Kind, Reader},
    frame_limit::TokenBucket,
    sender::Sender,
    socket::{self, Disconnected, Handler, Inbound},
};

/// Creates the reader of a session's socket.
pub(super) fn inbound(settings: &Settings, deflate: Option<DeflateParams>, unread: &[u8]) -> Inbound {
    let allowance = settings.packets_per_second.map(|limit| TokenBucket::new(limit, Instant::now()));
    Inbound::new(Reader::new(settings.max_payload, deflate.is_some()), allowance, unread)
}

/// Enables compression of long frames, if both the settings and the client allow it.
pub(super) fn compress(sender: &Sender, deflate: Option<DeflateParams>, settings: &Settings) {
    if let Some(bytes) = settings.compress_from
        && deflate.is_some()
    {
        sender.deflate_from(bytes);
    }
}

/// Serves a session until it ends.
pub(super) async fn serve(
    guest: impl SessionHandler,
    sender: Rc<Sender>,
    mut inbound: Inbound,
    mut rhythm: PingSchedule,
) {
    let mut talk = PacketHandler { handler: guest, sender: Rc::clone(&sender) };
    let ended = tokio::select! {
        biased;
        () = socket::run(&sender, &mut inbound, &mut talk) => None,
        close = rhythm.run(&sender) => Some(close),
    };
    drop((inbound, rhythm));
    if let Some(close) = ended {
        talk.handler.close(close);
    }
    talk.handler.leave();
    if !sender.is_broken() {
        Box::pin(socket::linger(&sender)).await;
    }
    sender.abort();
}

/// Decodes packets and passes messages to the session handler.
struct PacketHandler<G> {
    handler: G,
    sender: Rc<Sender>,
}

impl<G: SessionHandler> PacketHandler<G> {
    fn push(&self, frame: Bytes) -> Result<(), Close> {
        if !self.sender.push(frame) {
            return Err(Close::TOO_SLOW);
        }
        self.sender.flush();
        Ok(())
    }
}

impl<G: SessionHandler> Handler for PacketHandler<G> {
    fn has_slot(&self) -> bool {
        self.handler.has_slot()
    }

    async fn handle(&mut self, message: Incoming) -> Result<(), Close> {
        match message {
            Incoming::Ping(_) | Incoming::Pong | Incoming::Close(_) => Ok(()),
            Incoming::Binary(bytes) => self.handler.handle_message(Message::Binary(bytes)).await,
            Incoming::Text(text) => {
                match packet::decode(text.as_str()).map_err(|packet::InvalidPacket| Close::PROTOCOL)? {
                    Packet::Message(data) => self.handler.handle_message(Message::Text(data)).await,
                    Packet::Close => Err(Close::NORMAL),
                    Packet::Ping(data) => self.push(packet::pong(data)),
                    Packet::Pong | Packet::Noop => Ok(()),
                    Packet::Upgrade => Err(Close::PROTOCOL),
                }
            }
        }
    }

    fn close(&self, close: Close) {
        self.handler.close(close);
    }
}

/// Socket of an upgrade in progress.
pub(super) struct Probe {
    socket: TcpStream,
    deflate: Option<DeflateParams>,
    inbound: Inbound,
    /// Unsent bytes, starting with the response to the request.
    unsent: BytesMut,
    /// Event to report once the unsent bytes are written.
    pending_event: Option<UpgradeEvent>,
    deadline: Instant,
    is_probed: bool,
}

/// Event of an upgrade in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpgradeEvent {
    /// The client has probed the socket and was answered.
    Probed,
    /// The client has switched to this socket.
    Upgraded,
    /// The upgrade has failed, and the session stays with the old transport.
    Failed,
}

impl Probe {
    /// Starts the upgrade. Returns `None` if the socket is already closed.
    pub fn start(visitor: UpgradingSocket, settings: &Settings) -> Option<Self> {
        let UpgradingSocket { socket, unread, preface, deflate, refused } = visitor;
        // Dropping the channel informs the requester that the upgrade wasn't refused.
        drop(refused);
        Some(Self {
            socket: TcpStream::from_std(socket).ok()?,
            deflate,
            inbound: inbound(settings, deflate, &unread),
            unsent: BytesMut::from(preface),
            pending_event: None,
            deadline: Instant::now() + settings.upgrade_timeout,
            is_probed: false,
        })
    }

    /// Deadline of the upgrade.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub fn is_probed(&self) -> bool {
        self.is_probed
    }

    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> UpgradeEvent {
        self.listen().await.unwrap_or(UpgradeEvent::Failed)
    }

    async fn listen(&mut self) -> Result<UpgradeEvent, Disconnected> {
        loop {
            while !self.unsent.is_empty() {
                self.socket.writable().await.map_err(|_| Disconnected)?;
                match self.socket.try_write(&self.unsent) {
                    Ok(written) => self.unsent.advance(written),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return Err(Disconnected),
                }
            }
            if let Some(sign) = self.pending_event.take() {
                return Ok(sign);
            }
            match self.inbound.next_message() {
                Ok(Some(message)) => self.handle_message(&message),
                Err(close) => self.fail(close),
                Ok(None) => {
                    self.socket.readable().await.map_err(|_| Disconnected)?;
                    self.inbound.receive(&self.socket)?;
                }
            }
        }
    }

    fn handle_message(&mut self, message: &Incoming) {
        match message {
            Incoming::Pong => {}
            Incoming::Ping(data) => self.unsent.extend_from_slice(&frame::frame(Kind::Pong, data)),
            Incoming::Text(text) => match packet::decode(text.as_str()) {
                Ok(Packet::Ping(packet::PROBE)) => {
                    self.is_probed = true;
                    self.unsent.extend_from_slice(&packet::pong(packet::PROBE));
                    self.pending_event = Some(UpgradeEvent::Probed);
                }
                Ok(Packet::Upgrade) if self.is_probed => self.pending_event = Some(UpgradeEvent::Upgraded),
                _ => self.fail(Close::PROTOCOL),
            },
            Incoming::Binary(_) => self.fail(Close::PROTOCOL),
            Incoming::Close(_) => self.fail(Close::NORMAL),
        }
    }

    fn fail(&mut self, close: Close) {
        self.unsent.extend_from_slice(&frame::close_frame(close));
        self.pending_event = Some(UpgradeEvent::Failed);
    }

    /// Attaches the socket to the session and returns its receiving half.
    pub fn finish(self, sender: &Sender, settings: &Settings) -> Inbound {
        compress(sender, self.deflate, settings);
        sender.record_activity();
        sender.attach(self.socket);
        self.inbound
    }
}
