//! Proxies a client's socket to the instance that has the client's session.
//!
//! Nothing is buffered while both sides accept data, so an idle connection costs two sockets and
//! little else.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use rand::RngExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::shard::Shard;

/// Maximum number of bytes per read.
const CHUNK: usize = 8 * 1024;
/// Number of reads after which the task yields.
const READS_PER_POLL: usize = 8;
/// Time over which connections are closed on shutdown, so that clients don't reconnect all at once.
const DRAIN_WINDOW: Duration = Duration::from_secs(2);

/// Proxies data until one side closes. `preface` is sent to the client first, and `unread` to the
/// session's instance.
pub(super) async fn proxy_until_draining(
    shard: &Shard,
    client: TcpStream,
    preface: Bytes,
    owner: impl AsyncRead + AsyncWrite + Unpin,
    unread: Bytes,
) {
    tokio::select! {
        _ = proxy(client, preface, owner, unread) => {}
        () = async {
            shard.until_draining().await;
            let pause = DRAIN_WINDOW.mul_f64(rand::rng().random());
            tokio::time::sleep(pause).await;
        } => {}
    }
}

async fn proxy(
    client: impl AsyncRead + AsyncWrite + Unpin,
    mut to_client: Bytes,
    owner: impl AsyncRead + AsyncWrite + Unpin,
    mut to_owner: Bytes,
) -> io::Result<()> {
    let (mut from_client, mut into_client) = tokio::io::split(client);
    let (mut from_owner, mut into_owner) = tokio::io::split(owner);
    poll_fn(|context| {
        let down = pump(Pin::new(&mut from_owner), Pin::new(&mut into_client), &mut to_client, context);
        if down.is_ready() {
            return down;
        }
        pump(Pin::new(&mut from_client), Pin::new(&mut into_owner), &mut to_owner, context)
    })
    .await
}

/// Copies the available bytes of one direction. Ready when the direction has ended.
fn pump(
    mut from: Pin<&mut impl AsyncRead>,
    mut to: Pin<&mut impl AsyncWrite>,
    rest: &mut Bytes,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    for _ in 0..READS_PER_POLL {
        while !rest.is_empty() {
            let written = ready!(to.as_mut().poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.advance(written);
        }
        *rest = Bytes::new();
        ready!(to.as_mut().poll_flush(context))?;
        let mut chunk = [0; CHUNK];
        let mut read = ReadBuf::new(&mut chunk);
        ready!(from.as_mut().poll_read(context, &mut read))?;
        if read.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        let written = match to.as_mut().poll_write(context, read.filled())? {
            Poll::Ready(written) => written,
            Poll::Pending => 0,
        };
        *rest = Bytes::copy_from_slice(&read.filled()[written..]);
    }
    context.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn proxies_everything_in_order_to_slow_readers() {
        let ((mut client, near), (mut owner, far)) = (duplex(7), duplex(5));
        let joined = tokio::spawn(proxy(near, Bytes::from_static(b"head;"), far, Bytes::from_static(b"early;")));
        let upward: Vec<u8> = (0..50_000_u32).map(|n| n as u8).collect();
        let sent = upward.clone();
        let (mut client_reads, mut client_writes) = tokio::io::split(&mut client);
        let both = async {
            client_writes.write_all(&sent).await.unwrap();
            let mut head = [0; 9];
            client_reads.read_exact(&mut head).await.unwrap();
            assert_eq!(&head, b"head;down");
        };
        let there = async {
            let mut read = vec![0; 6 + upward.len()];
            owner.read_exact(&mut read).await.unwrap();
            assert_eq!((&read[..6], &read[6..]), (&b"early;"[..], &upward[..]));
            owner.write_all(b"down").await.unwrap();
        };
        tokio::join!(both, there);
        drop(owner);
        joined.await.unwrap().unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "the other side is closed too");
    }
}
