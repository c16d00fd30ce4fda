//! Load generator that calls a gateway on persistent connections.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use futures_util::future::try_join_all;
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::peer::Running;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Plain,
    Streamed,
}

/// Address and credentials of the calls.
#[derive(Clone)]
pub struct Load {
    pub address: SocketAddr,
    pub key: String,
    pub path: &'static str,
}

impl Load {
    pub fn of(running: &Running) -> Self {
        Self { address: running.server.address, key: running.key.clone(), path: running.path }
    }

    /// Makes calls as fast as possible for this duration. Returns the number of calls.
    pub async fn all(&self, call: Call, parallel: usize, duration: Duration) -> anyhow::Result<f64> {
        let (end, request) = (Instant::now() + duration, self.request(call));
        let connections = (0..parallel).map(|_| async {
            let mut connection = Connection::open(self.address).await?;
            let mut answered = 0_u32;
            while Instant::now() < end {
                connection.ask(&request).await?;
                answered += 1;
            }
            anyhow::Ok(f64::from(answered))
        });
        Ok(try_join_all(connections).await?.into_iter().sum())
    }

    /// Makes calls at this rate for this duration, started on a fixed schedule. Returns the
    /// latencies, measured from the scheduled times.
    pub async fn paced(&self, call: Call, per_second: u32, duration: Duration) -> anyhow::Result<Vec<Duration>> {
        const CONNECTIONS: u32 = 64;
        let request = self.request(call);
        let begun = Instant::now();
        let planned = |number: u32| begun + Duration::from_secs(1) / per_second * number;
        let calls = u32::try_from(duration.as_secs())? * per_second;
        let connections = (0..CONNECTIONS).map(|first| {
            let request = &request;
            async move {
                let mut connection = Connection::open(self.address).await?;
                let mut took = Vec::new();
                for number in (first..calls).step_by(CONNECTIONS as usize) {
                    tokio::time::sleep_until(planned(number).into()).await;
                    took.push(connection.ask(request).await?.duration_since(planned(number)));
                }
                anyhow::Ok(took)
            }
        });
        Ok(try_join_all(connections).await?.concat())
    }

    /// Makes calls one after the other. Returns the latencies: until the complete answer, or until
    /// the first frame of a stream.
    pub async fn one_by_one(&self, call: Call, count: usize) -> anyhow::Result<Vec<Duration>> {
        let request = self.request(call);
        let mut connection = Connection::open(self.address).await?;
        let mut took = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            let first = connection.ask(&request).await?;
            took.push(first.duration_since(begun));
        }
        Ok(took)
    }

    fn request(&self, call: Call) -> String {
        let question = "What is the answer to all of this? Say it in some words, and not in too many. ".repeat(10);
        let stream =
            if call == Call::Streamed { r#","stream":true,"stream_options":{"include_usage":true}"# } else { "" };
        let body = format!(
            r#"{{"model":"gpt-4o-mini","messages":[{{"role":"system","content":"You are brief."}},{{"role":"user","content":"{question}"}}],"max_tokens":200,"temperature":0.7{stream}}}"#
        );
        let Self { address, key, path } = self;
        format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\naccept: application/json\r\n\
             x-portkey-provider: openai\r\nx-portkey-custom-host: {}\r\ncontent-length: {}\r\n\r\n{body}",
            super::peer::custom_host(),
            body.len()
        )
    }
}

struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: Vec::with_capacity(32_768) })
    }

    /// Sends a request and reads the complete answer. Returns the time at which its first frame
    /// arrived; for an answer that isn't streamed, the time at which it ended.
    async fn ask(&mut self, request: &str) -> anyhow::Result<Instant> {
        self.socket.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let mut first = None;
        loop {
            ensure!(self.socket.read_buf(&mut self.buffer).await? > 0, "gateway closed the connection");
            let Some(head) = memmem::find(&self.buffer, b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
            if !text.starts_with("http/1.1 200") {
                bail!("unexpected response: {}", String::from_utf8_lossy(&self.buffer));
            }
            let body = &self.buffer[head + 4..];
            let is_whole = match text.lines().find_map(|line| line.strip_prefix("content-length:")) {
                Some(length) => body.len() >= length.trim().parse::<usize>()?,
                None => body.ends_with(b"0\r\n\r\n"),
            };
            if first.is_none() && memmem::find(body, b"data:").is_some() {
                first = Some(Instant::now());
            }
            if is_whole {
                return Ok(first.unwrap_or_else(Instant::now));
            }
        }
    }
}
