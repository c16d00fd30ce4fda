//! The client's socket, and whether the client is still at its other end.
//!
//! actix reads from the socket while an answer is being made, but an end of the stream that it finds there concerns it only after the
//! answer: the client may have closed its own direction alone. A handler that works for nobody else wants to know at once. So the socket
//! notes what is read from it, and a request carries a [`Client`] that can be waited for.
//!
//! actix reads all that has come, up to 128 KiB, before it looks whether anybody wants it, and the buffer keeps the room: 1,000 bodies, 872 of them
//! refused, took 283 MiB. So the socket gives so much, however much room there is, and the next once actix has had a look ([`READ_AT_ONCE`]): what is
//! read or dropped as it comes needs no more room. A body that its handler leaves unread still fills the buffer.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_web::HttpRequest;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take},
    net::TcpStream,
};

/// What one connection reads before others, and its own reader, have their turn, in bytes.
const READ_AT_ONCE: u64 = 16 * 1024;

pub struct ClientSocket {
    /// Up to what may be read before the reader is told to wait.
    stream: Take<TcpStream>,
    client: Client,
}

/// Whoever is at the other end of a connection.
#[derive(Clone, Default)]
pub struct Client(Rc<Presence>);

#[derive(Default)]
struct Presence {
    gone: Cell<bool>,
    /// One request of a connection is answered at a time, so one waits.
    waiting: RefCell<Option<Waker>>,
}

impl Client {
    /// The one who sent this request. Requests that came by no socket of ours have one who never leaves.
    #[must_use]
    pub fn of(http: &HttpRequest) -> Self {
        http.conn_data::<Self>().cloned().unwrap_or_default()
    }

    /// Returns when the client has closed the connection, or its sending direction.
    pub async fn leaves(&self) {
        std::future::poll_fn(|context| {
            if self.0.gone.get() {
                return Poll::Ready(());
            }
            let mut waiting = self.0.waiting.borrow_mut();
            match &mut *waiting {
                Some(waker) => waker.clone_from(context.waker()),
                None => *waiting = Some(context.waker().clone()),
            }
            Poll::Pending
        })
        .await;
    }

    fn note_end(&self) {
        self.0.gone.set(true);
        if let Some(waker) = self.0.waiting.take() {
            waker.wake();
        }
    }
}

impl ClientSocket {
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self { stream: stream.take(READ_AT_ONCE), client: Client::default() }
    }

    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stream.limit() == 0 {
            self.stream.set_limit(READ_AT_ONCE);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            self.stream.set_limit(READ_AT_ONCE);
        }
        let ended = match &read {
            Poll::Ready(Ok(())) => room > 0 && buffer.filled().len() == before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.client.note_end();
        }
        read
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.stream.get_mut()).poll_write(context, bytes);
        if matches!(written, Poll::Ready(Err(_))) {
            self.client.note_end();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::*;

    #[actix_web::test]
    async fn a_client_that_closes_its_direction_is_gone_once_that_is_read() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut socket = ClientSocket::new(listener.accept().await.unwrap().0);
        let client = socket.client().clone();
        peer.write_all(b"GET").await.unwrap();
        let mut bytes = Vec::new();
        while bytes.len() < 3 {
            socket.read_buf(&mut bytes).await.unwrap();
        }
        assert!(futures_util::poll!(Box::pin(client.leaves())).is_pending());
        peer.shutdown().await.unwrap();
        let reading = actix_web::rt::spawn(async move { socket.read_buf(&mut bytes).await });
        client.leaves().await;
        assert_eq!(reading.await.unwrap().unwrap(), 0);
    }

    #[actix_web::test]
    async fn a_reader_has_its_turn_before_all_that_came_is_read() {
        const TURN: usize = READ_AT_ONCE as usize;
        const ALL: usize = 8 * TURN;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut socket = ClientSocket::new(listener.accept().await.unwrap().0);
        let sending = actix_web::rt::spawn(async move { peer.write_all(&[0; ALL]).await.map(|()| peer) });
        let (mut read, mut turns) = (0, 0);
        std::future::poll_fn(|context| {
            let mut in_a_turn = 0;
            // Buffers that are small, and larger than what is given at once.
            let size = if turns % 2 == 0 { 4096 } else { 4 * TURN };
            turns += 1;
            let mut room = vec![0; size];
            loop {
                let mut buffer = ReadBuf::new(&mut room);
                if Pin::new(&mut socket).poll_read(context, &mut buffer).is_pending() {
                    break;
                }
                in_a_turn += buffer.filled().len();
            }
            assert!(in_a_turn <= TURN, "{in_a_turn}");
            read += in_a_turn;
            if read == ALL { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        sending.await.unwrap().unwrap();
    }
}
