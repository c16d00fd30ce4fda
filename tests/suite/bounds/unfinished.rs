//! Connections on which a request or a handshake is never finished.

use std::time::{Duration, Instant};

use support::{Application, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{connections, connections_fall_to};
use crate::raw::{Raw, upgrade_headers};

/// Timeout for unfinished requests, and additional time for a slow machine.
const GRANTED: Duration = Duration::from_secs(10);
const SLACK: Duration = Duration::from_secs(6);

async fn connect(app: &Application) -> TcpStream {
    TcpStream::connect(app.url().trim_start_matches("http://")).await.unwrap()
}

/// Returns the time after which the server closes the connection.
async fn lifetime(mut stream: TcpStream, drip: Option<u8>) -> Duration {
    let begun = Instant::now();
    let mut answer = Vec::new();
    loop {
        let pause = tokio::time::sleep(Duration::from_millis(500));
        tokio::select! {
            read = stream.read_buf(&mut answer) => if !matches!(read, Ok(1..)) { return begun.elapsed() },
            () = pause => if let Some(byte) = drip && stream.write_all(&[byte]).await.is_err() { return begun.elapsed() },
        }
        assert!(begun.elapsed() < GRANTED + SLACK, "still open after {:?}: {answer:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn closes_requests_that_are_never_finished() {
    let app = Application::start().await;
    let before = connections(&app);
    let upgrade = format!("GET /r1/websocket HTTP/1.1\r\nhost: a\r\n{}", upgrade_headers("").replace('\n', "\r\n"));
    let polling = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: a\r\nupgr".to_owned();
    let mut tasks = Vec::new();
    for (begin, drip) in [
        (String::new(), None),
        ("GET / HTTP/1.1\r\nhost:".to_owned(), None),
        ("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ".to_owned(), Some(b'x')),
        (upgrade.clone(), None),
        (upgrade, Some(b'x')),
        (polling, None),
    ] {
        for _ in 0..5 {
            let mut stream = connect(&app).await;
            stream.write_all(begin.as_bytes()).await.unwrap();
            tasks.push(tokio::spawn(lifetime(stream, drip)));
        }
    }
    // Meanwhile other clients are served.
    let anna = app.sign_up("Anna").await;
    assert_eq!(anna.connect().await.request("ping", json!({})).await.kind, "pong");
    for task in tasks {
        let lifetime = task.await.unwrap();
        assert!(lifetime > Duration::from_secs(2), "disconnected too early: {lifetime:?}");
    }
    // Anna's connections stay open.
    connections_fall_to(&app, before + 2).await;
}

#[tokio::test]
async fn rejects_an_oversized_request_head() {
    let app = Application::start().await;
    let mut memory = None;
    for _ in 0..6 {
        let mut stream = connect(&app).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx-long: ").await.unwrap();
        let (mut read, mut write) = stream.split();
        let mut answer = Vec::new();
        let pouring = async {
            for _ in 0..1_000 {
                if write.write_all(&[b'x'; 16 * 1024]).await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::join!(pouring, read.read_to_end(&mut answer));
        let status = String::from_utf8_lossy(&answer).split(' ').nth(1).map(str::to_owned);
        assert!(status.as_deref().is_none_or(|status| status.starts_with('4')), "{status:?}");
        // Measured after the first connection, for which the worker threads allocate their buffers.
        memory.get_or_insert_with(|| app.instances[0].memory());
    }
    let grown = app.instances[0].memory().saturating_sub(memory.unwrap_or_default());
    assert!(grown < 16 * 1024 * 1024, "the server grew by {grown} bytes");
}

#[tokio::test]
async fn closes_unauthenticated_connections() {
    let app = Application::start().await;
    let before = connections(&app);
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(Raw::open(&app.url(), "/socket.io/?EIO=4&transport=websocket", "").await);
    }
    let begun = Instant::now();
    for raw in &mut silent {
        assert!(raw.ends().await);
    }
    assert!(begun.elapsed() < GRANTED + SLACK, "{:?}", begun.elapsed());
    connections_fall_to(&app, before).await;
}

#[tokio::test]
async fn closes_a_connection_whose_refusal_is_not_read() {
    let app = Application::start().await;
    let before = connections(&app);
    let mut unread = Vec::new();
    for _ in 0..10 {
        let mut stream = connect(&app).await;
        let request = format!(
            "GET /r1/websocket HTTP/1.1\r\nhost: a\r\n{}\r\n\r\n",
            upgrade_headers("x: y").replace('\n', "\r\n")
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        unread.push(stream);
    }
    connections_fall_to(&app, before).await;
}
