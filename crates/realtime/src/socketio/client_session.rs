//! Socket.IO client. It is unauthenticated at first; after authentication its session is like any
//! other.

use std::{cell::Cell, rc::Rc, time::Duration};

use appcore::{AppError, Code, ConnectionId, RequestSource};
use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    close::Close,
    codec::{
        Wire,
        socketio::{self, DecodedPacket, Decoder},
    },
    connection::{OpenConnection, Opening},
    engine::{self, Deadline, EngineRefusal, Message, SessionHandler, SessionHandlerFactory},
    per_address::AddressSlot,
    sender::Sender,
    shard::Shard,
    upgrade_request::{Token, authenticate_token, prepare_opening},
};

/// Time within which a client must authenticate.
const AUTH_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of authentication attempts.
const MAX_AUTH_ATTEMPTS: usize = 5;

/// Data of a client's first request.
pub struct Caller {
    /// Access token from the `Authorization` header or a cookie.
    pub token: Option<Token>,
    /// Address, country and page origin of the client.
    pub source: RequestSource,
}

/// Creates the handlers of Socket.IO clients on one thread.
pub struct ClientSessionFactory {
    pub shard: Rc<Shard>,
}

impl SessionHandlerFactory for ClientSessionFactory {
    type Caller = Caller;
    type Handler = SocketIoClient;

    fn receive(&self, caller: Caller, sender: Rc<Sender>) -> Result<SocketIoClient, EngineRefusal> {
        let slot = self.shard.shards().anonymous().acquire(caller.source.address).ok_or(EngineRefusal::TooMany)?;
        let (at, is_met) = (Instant::now() + AUTH_TIMEOUT, Rc::new(Cell::new(false)));
        Ok(SocketIoClient {
            stage: Stage::Unauthenticated(Box::new(UnauthenticatedClient {
                caller,
                sender,
                tries: 0,
                at,
                is_met,
                _slot: slot,
            })),
            shard: Rc::clone(&self.shard),
            packets: Decoder::default(),
        })
    }
}

/// Handler of one client.
pub struct SocketIoClient {
    stage: Stage,
    shard: Rc<Shard>,
    packets: Decoder,
}

enum Stage {
    Unauthenticated(Box<UnauthenticatedClient>),
    Authenticated(OpenConnection),
}

struct UnauthenticatedClient {
    caller: Caller,
    sender: Rc<Sender>,
    tries: usize,
    at: Instant,
    is_met: Rc<Cell<bool>>,
    /// Slot that the session occupies among the unauthenticated sessions of its address.
    _slot: AddressSlot,
}

impl UnauthenticatedClient {
    async fn admit(&self, shard: &Rc<Shard>, token: Option<String>) -> Result<Opening, AppError> {
        let (services, source) = (shard.services(), self.caller.source);
        // An administrator may have banned the address since the client's first request.
        services.firewall.check_manual(|| source.address)?;
        let principal = match (&token, &self.caller.token) {
            (Some(token), _) => authenticate_token(services, token, source).await?,
            (None, Some(token)) if token.by_cookie && source.is_cross_site => {
                return Err(Code::CrossSite.into());
            }
            (None, Some(token)) => authenticate_token(services, &token.text, source).await?,
            (None, None) => return Err(Code::Unauthenticated.into()),
        };
        prepare_opening(shard, principal, Wire::SocketIo, source).await
    }

    fn send(&self, frame: Bytes) -> Result<(), Close> {
        if !self.sender.push(frame) {
            return Err(Close::TOO_SLOW);
        }
        self.sender.flush();
        Ok(())
    }
}

impl SocketIoClient {
    async fn take_packet(&mut self, packed: DecodedPacket) -> Result<(), Close> {
        match (&mut self.stage, packed) {
            (_, DecodedPacket::Nothing) | (Stage::Authenticated(_), DecodedPacket::Connect { .. }) => Ok(()),
            (_, DecodedPacket::Disconnect) => Err(Close::NORMAL),
            (Stage::Authenticated(live), DecodedPacket::Request(request)) => {
                live.handle(request);
                Ok(())
            }
            // The client must authenticate first.
            (Stage::Unauthenticated(_), DecodedPacket::Request(_)) => Err(Close::PROTOCOL),
            (Stage::Authenticated(live), DecodedPacket::UnknownNamespace(namespace)) => {
                live.push(socketio::encode_unknown_namespace(&namespace));
                Ok(())
            }
            (Stage::Unauthenticated(stranger), DecodedPacket::UnknownNamespace(namespace)) => {
                stranger.tries += 1;
                stranger.send(socketio::encode_unknown_namespace(&namespace))?;
                if stranger.tries > MAX_AUTH_ATTEMPTS { Err(Close::CREDENTIALS) } else { Ok(()) }
            }
            (Stage::Unauthenticated(stranger), DecodedPacket::Connect { token }) => {
                stranger.tries += 1;
                if stranger.tries > MAX_AUTH_ATTEMPTS {
                    return Err(Close::CREDENTIALS);
                }
                match Box::pin(stranger.admit(&self.shard, token)).await {
                    Ok(opening) => {
                        let connected = socketio::encode_connected(&ConnectionId::new().to_string());
                        stranger.is_met.set(true);
                        let live = opening.open(Rc::clone(&stranger.sender), connected);
                        self.stage = Stage::Authenticated(live);
                        Ok(())
                    }
                    Err(error) => {
                        stranger.send(socketio::encode_refused(&error.sentence(), error.code()))?;
                        if error.code() == Code::CrossSite { Err(Close::ORIGIN) } else { Ok(()) }
                    }
                }
            }
        }
    }
}

impl SessionHandler for SocketIoClient {
    fn has_slot(&self) -> bool {
        match &self.stage {
            Stage::Unauthenticated(_) => true,
            Stage::Authenticated(live) => live.has_slot(),
        }
    }

    async fn handle_message(&mut self, message: Message<'_>) -> Result<(), Close> {
        let packed = match message {
            Message::Text(text) => self.packets.text(text)?,
            Message::Binary(bytes) => self.packets.binary(bytes)?,
        };
        self.take_packet(packed).await
    }

    fn close(&self, close: Close) {
        match &self.stage {
            Stage::Unauthenticated(stranger) => {
                stranger.sender.close(close, [engine::encode_close(&stranger.sender, close)])
            }
            Stage::Authenticated(live) => live.close(close),
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        match &self.stage {
            Stage::Unauthenticated(stranger) => {
                Some(Deadline { at: stranger.at, close: Close::CREDENTIALS, is_met: Rc::clone(&stranger.is_met) })
            }
            Stage::Authenticated(_) => None,
        }
    }

    fn leave(&mut self) {
        if let Stage::Authenticated(live) = &self.stage {
            live.leave();
        }
    }
}
