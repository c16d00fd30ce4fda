//! The way from any thread of an instance to the one that a session lives on.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{Refused, Sid};
use crate::deflate::Agreement;

/// What a request is answered with: a payload, or why not.
pub type PollResult = Result<Bytes, Refused>;

/// A body on its way; nothing comes when the client goes away before its end.
pub type Body = oneshot::Receiver<Result<Bytes, Refused>>;

/// A client that polls asks for something.
#[derive(Debug)]
pub enum Call {
    /// GET: what waits, once there is something.
    Poll(oneshot::Sender<PollResult>),
    /// POST: packets from the client.
    Post(Body, oneshot::Sender<PollResult>),
    /// The client comes on a socket, to go over to it.
    Upgrade(Box<Visitor>),
}

/// A client on a socket. The answer is the socket where it is refused.
#[derive(Debug)]
pub struct Visitor {
    /// It belongs to no thread's reactor.
    pub socket: std::net::TcpStream,
    /// What came behind the request.
    pub unread: BytesMut,
    /// The answer to the request.
    pub preface: Bytes,
    pub deflate: Option<Agreement>,
    pub refused: oneshot::Sender<(std::net::TcpStream, Refused)>,
}

impl Call {
    /// Answers that it can't be.
    pub fn refuse(self, refused: Refused) {
        // Whoever asked may be gone.
        match self {
            Self::Poll(answer) | Self::Post(_, answer) => drop(answer.send(Err(refused))),
            Self::Upgrade(visitor) => drop(visitor.refused.send((visitor.socket, refused))),
        }
    }
}

pub(super) struct Visit {
    pub secret: Uuid,
    pub call: Call,
}

/// Shared by all threads of an instance.
#[derive(Clone, Debug)]
pub struct SessionRouter {
    instance: Uuid,
    threads: Arc<RwLock<Vec<mpsc::UnboundedSender<Visit>>>>,
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

    /// One more thread has sessions.
    pub(super) fn open(&self) -> (u16, mpsc::UnboundedReceiver<Visit>) {
        let (visits, received) = mpsc::unbounded_channel();
        let mut threads = self.threads.write().unwrap_or_else(PoisonError::into_inner);
        // There are at most 1,024 threads, see `server.workers`.
        let thread = u16::try_from(threads.len()).unwrap_or(u16::MAX);
        threads.push(visits);
        (thread, received)
    }

    /// Brings it to the session, if that is of this instance.
    pub fn bring(&self, sid: &Sid, call: Call) {
        if sid.instance != self.instance {
            return call.refuse(Refused::UnknownSid);
        }
        let thread = {
            let threads = self.threads.read().unwrap_or_else(PoisonError::into_inner);
            threads.get(usize::from(sid.thread)).cloned()
        };
        let visit = Visit { secret: sid.secret, call };
        match thread {
            None => visit.call.refuse(Refused::UnknownSid),
            Some(thread) => {
                if let Err(mpsc::error::SendError(visit)) = thread.send(visit) {
                    visit.call.refuse(Refused::UnknownSid);
                }
            }
        }
    }
}
