//! Maximum request rate on a few persistent connections.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATH;
use crate::crowd::PAUSE;

const CONNECTIONS: usize = 16;

/// Sends requests for this duration and returns the number of answers.
pub async fn send(address: SocketAddr, token: &str, duration: Duration) -> anyhow::Result<f64> {
    let end = Instant::now() + duration;
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
    let connections = (0..CONNECTIONS).map(|_| ask(address, &request, end));
    let answered = tokio::select! {
        answered = futures_util::future::try_join_all(connections) => answered?,
        never = sleep_by_the_clock() => never,
    };
    Ok(answered.into_iter().map(f64::from).sum())
}

/// Sleeps in a loop, which keeps the thread from blocking in `epoll_wait`. Otherwise the server's
/// writes would pay for waking it.
async fn sleep_by_the_clock() -> ! {
    loop {
        thread::sleep(PAUSE);
        tokio::task::yield_now().await;
    }
}

async fn ask(address: SocketAddr, request: &str, end: Instant) -> anyhow::Result<u32> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4_096);
    let mut answered = 0;
    while Instant::now() < end {
        socket.write_all(request.as_bytes()).await?;
        buffer.clear();
        while !is_whole(&buffer)? {
            if socket.read_buf(&mut buffer).await? == 0 {
                bail!("server closed the connection");
            }
        }
        answered += 1;
    }
    Ok(answered)
}

fn is_whole(buffer: &[u8]) -> anyhow::Result<bool> {
    let Some(head) = memmem::find(buffer, b"\r\n\r\n") else { return Ok(false) };
    let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
    if !text.starts_with("http/1.1 200") {
        bail!("unexpected response: {text}");
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
    Ok(buffer.len() >= head + 4 + length.trim().parse::<usize>()?)
}
