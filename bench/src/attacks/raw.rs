//! Requests that no client library makes: unfinished, of unknown length, or in large numbers.

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

/// Source address of these requests, so that their rate limits are separate from those of the other
/// members.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Number of bytes per write.
pub const PIECE: usize = 64 << 10;
const SEND_TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for which unfinished requests are kept open.
const HOLD_TIME: Duration = Duration::from_secs(3);

/// Request with a body that consists of copies of one chunk.
pub struct Request<'a> {
    pub head: String,
    pub piece: &'a [u8],
    pub pieces: usize,
    pub end: &'a [u8],
}

/// Creates the head of a request with a body of this length. An empty token sends no credentials.
pub fn head(server: SocketAddr, target: &str, token: &str, media_type: &str, length: usize) -> String {
    let credentials = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    format!(
        "{target} HTTP/1.1\r\nHost: {server}\r\n{credentials}Content-Type: {media_type}\r\nX-Filename: a\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends a complete request.
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

/// Sends requests with only a part of their bodies, so that they never end. Reports how many of
/// them the server still holds after [`HOLD_TIME`].
pub async fn hold(server: SocketAddr, count: usize, head: &str, length: usize) -> String {
    let body = vec![b' '; length];
    let body = body.as_slice();
    let start = || async move {
        let mut stream = connect(server).await?;
        let pieces = iter::once(head.as_bytes()).chain(body.chunks(PIECE));
        // A request that the server has stopped reading counts as held too.
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
        // Some requests are answered only after everything was written.
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
    /// The server has read all of it.
    Whole,
    /// The server answered before it had read all of it; `None` if it closed the connection.
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

/// Reads the status of an answer; `None` if the connection was closed or no answer arrived in time.
async fn status_of(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<u16> {
    let mut line = [0; 12];
    timeout(ANSWER_TIMEOUT, stream.read_exact(&mut line)).await.ok()?.ok()?;
    std::str::from_utf8(line.get(9..)?).ok()?.parse().ok()
}
