//! The client's socket, and whether the client is still at its other end.
//!
//! actix reads from the socket while an answer is being made, but an end of the stream that it finds there concerns it only after the
//! answer: the client may have closed its own direction alone. A handler that works for nobody else wants to know at once. So the socket
//! notes what is read from it, and a request carries a [`Client`] that can be waited for.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_web::HttpRequest;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

pub struct ClientSocket {
    stream: TcpStream,
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
        Self { stream, client: Client::default() }
    }

    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
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
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(written, Poll::Ready(Err(_))) {
            self.client.note_end();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

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
}
