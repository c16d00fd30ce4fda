//! Router that passes requests from any thread of an instance to the thread of their session.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{EngineRefusal, Sid};
use crate::deflate::DeflateParams;

/// Response to a polling request: a payload, or the reason of a refusal.
pub type PollResult = Result<Bytes, EngineRefusal>;

/// Body that is still being received. If the client disconnects, the sender is dropped.
pub type Body = oneshot::Receiver<Result<Bytes, EngineRefusal>>;

/// Request to a session.
#[derive(Debug)]
pub enum SessionRequest {
    /// GET: answered with queued packets as soon as there are any.
    Poll(oneshot::Sender<PollResult>),
    /// POST: packets from the client.
    Post(Body, oneshot::Sender<PollResult>),
    /// Upgrade to WebSocket.
    Upgrade(Box<UpgradingSocket>),
}

/// Socket of a client that requests an upgrade. If the upgrade is refused, the socket is returned
/// through `refused`.
#[derive(Debug)]
pub struct UpgradingSocket {
    /// Socket, not registered with the event loop of any thread.
    pub socket: std::net::TcpStream,
    /// Bytes received after the request.
    pub unread: BytesMut,
    /// Response to the request.
    pub preface: Bytes,
    pub deflate: Option<DeflateParams>,
    pub refused: oneshot::Sender<(std::net::TcpStream, EngineRefusal)>,
}

impl SessionRequest {
    /// Answers the request with a refusal.
    pub fn refuse(self, refused: EngineRefusal) {
        // The client may have disconnected.
        match self {
            Self::Poll(answer) | Self::Post(_, answer) => drop(answer.send(Err(refused))),
            Self::Upgrade(visitor) => drop(visitor.refused.send((visitor.socket, refused))),
        }
    }
}

pub(super) struct RoutedRequest {
    pub secret: Uuid,
    pub call: SessionRequest,
}

/// Handle of the router, shared by all threads of an instance.
#[derive(Clone, Debug)]
pub struct SessionRouter {
    instance: Uuid,
    threads: Arc<RwLock<Vec<mpsc::UnboundedSender<RoutedRequest>>>>,
}

impl SessionRouter {
    #[must_use]
    pub fn new(instance: Uuid) -> Self {
        Self { instance, threads: Arc::default() }
    }

    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// Registers a thread and returns its index and the requests for its sessions.
    pub(super) fn register_thread(&self) -> (u16, mpsc::UnboundedReceiver<RoutedRequest>) {
        let (visits, received) = mpsc::unbounded_channel();
        let mut threads = self.threads.write().unwrap_or_else(PoisonError::into_inner);
        // The setting `server.workers` limits the number of threads to 1,024.
        let thread = u16::try_from(threads.len()).unwrap_or(u16::MAX);
        threads.push(visits);
        (thread, received)
    }

    /// Passes a request to the session's thread. Refuses it if the session belongs to another
    /// instance.
    pub fn route(&self, sid: &Sid, call: SessionRequest) {
        if sid.instance != self.instance {
            return call.refuse(EngineRefusal::UnknownSid);
        }
        let thread = {
            let threads = self.threads.read().unwrap_or_else(PoisonError::into_inner);
            threads.get(usize::from(sid.thread)).cloned()
        };
        let visit = RoutedRequest { secret: sid.secret, call };
        match thread {
            None => visit.call.refuse(EngineRefusal::UnknownSid),
            Some(thread) => {
                if let Err(mpsc::error::SendError(visit)) = thread.send(visit) {
                    visit.call.refuse(EngineRefusal::UnknownSid);
                }
            }
        }
    }
}
