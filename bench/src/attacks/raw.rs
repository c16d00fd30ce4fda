//! Requests that no client library makes: without their end, of unknown length, or by the thousand.

use std::{
    io, iter,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use super::answers::{Answers, Reply};

/// Address that these requests come from. It has limits of its own, which the others don't share.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Bytes that are written at once.
pub const PIECE: usize = 64 << 10;
const SEND_TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for which unfinished requests are held.
const HOLD_TIME: Duration = Duration::from_secs(3);

/// A request whose body is the same piece several times.
pub struct Request<'a> {
    pub head: String,
    pub piece: &'a [u8],
    pub pieces: usize,
    pub end: &'a [u8],
}

/// Head of a request with a body of this length; without a token it has no credentials.
pub fn head(server: SocketAddr, target: &str, token: &str, media_type: &str, length: usize) -> String {
    let credentials = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    format!(
        "{target} HTTP/1.1\r\nHost: {server}\r\n{credentials}Content-Type: {media_type}\r\nX-Filename: a\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends a request to its end.
pub async fn send(server: SocketAddr, request: &Request<'_>) -> Reply {
    let mut stream = connect(server).await.ok()?;
    let body = iter::repeat_n(request.piece, request.pieces);
    let pieces = iter::once(request.head.as_bytes()).chain(body).chain([request.end]);
    let status = match write(&mut stream, pieces).await {
        Written::Whole => status_of(&mut stream).await,
        Written::Answered(status) => status,
    };
    status.map(|status| (status, String::new()))
}

/// Sends so many requests with so much of their bodies, but not their ends, and says how many the server still holds after [`HOLD_TIME`].
pub async fn hold(server: SocketAddr, count: usize, head: &str, length: usize) -> String {
    let body = vec![b' '; length];
    let body = body.as_slice();
    let start = || async move {
        let mut stream = connect(server).await?;
        let pieces = iter::once(head.as_bytes()).chain(body.chunks(PIECE));
        // A request that the server doesn't read on is held as well.
        let written = timeout(SEND_TIMEOUT, write(&mut stream, pieces)).await.unwrap_or(Written::Whole);
        Ok::<_, io::Error>((stream, written))
    };
    let started = join_all((0..count).map(|_| start())).await;
    sleep(HOLD_TIME).await;
    let (mut held, mut answers) = (0, Answers::default());
    for request in started {
        let Ok((mut stream, written)) = request else {
            answers.add(None);
            continue;
        };
        // Some are answered after all was written.
        let late = timeout(Duration::from_millis(1), status_of(&mut stream)).await;
        let status = match (written, late) {
            (Written::Whole, Err(_)) => {
                held += 1;
                continue;
            }
            (Written::Whole, Ok(status)) | (Written::Answered(status), _) => status,
        };
        answers.add(status.map(|status| (status, String::new())));
    }
    format!("{held} held, {}", answers.in_words())
}

async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((ADDRESS, 0).into())?;
    socket.connect(server).await
}

/// How writing a request ended.
enum Written {
    /// The server took all of it.
    Whole,
    /// An answer came first; `None`: the connection was closed.
    Answered(Option<u16>),
}

async fn write<'a>(stream: &mut TcpStream, pieces: impl Iterator<Item = &'a [u8]>) -> Written {
    let (mut reader, mut writer) = stream.split();
    let writing = async {
        for piece in pieces {
            writer.write_all(piece).await?;
        }
        Ok::<_, io::Error>(())
    };
    tokio::select! {
        status = status_of(&mut reader) => Written::Answered(status),
        written = writing => match written {
            Ok(()) => Written::Whole,
            Err(_) => Written::Answered(None),
        },
    }
}

/// The status of an answer; `None`: the connection was closed, or nothing came in time.
async fn status_of(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<u16> {
    let mut line = [0; 12];
    timeout(ANSWER_TIMEOUT, stream.read_exact(&mut line)).await.ok()?.ok()?;
    std::str::from_utf8(line.get(9..)?).ok()?.parse().ok()
}
