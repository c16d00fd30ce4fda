//! Clients that disconnect: the connection to the provider ends at once instead of at the next
//! write.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

/// Maximum time until the provider's connection ends. The goal is 100 ms; the rest is for a busy
/// machine. Until a heartbeat it would take 15 s, and a further frame from the provider might never
/// come.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Sends a question on a new connection.
async fn ask(stage: &Stage, stream: bool) -> TcpStream {
    let address = stage.app.url().trim_start_matches("http://").to_owned();
    let (body, key) = (question(stream).to_string(), stage.program.access_token());
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket.write_all((head + &body).as_bytes()).await.unwrap();
    socket
}

/// Reads until this text has arrived.
async fn read_until(socket: &mut TcpStream, text: &str) {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
    }
}

/// Disconnects and waits until the provider has noticed.
async fn leave(mut stage: Stage, socket: TcpStream, times: usize) -> Stage {
    let left = Instant::now();
    drop(socket);
    let noticed = stage.upstream.wait_until_left(times).await;
    let took = noticed.saturating_duration_since(left);
    assert!(took < AT_ONCE, "the provider continued for {took:?}");
    stage
}

#[tokio::test]
async fn a_disconnecting_client_cancels_its_request() {
    let mut stage = Stage::start().await;

    // The client disconnects during a stream that sends nothing.
    stage.upstream.then(Behaviour::stall("One two "));
    let mut socket = ask(&stage, true).await;
    read_until(&mut socket, "two ").await;
    stage = leave(stage, socket, 1).await;

    // The client disconnects during a stream that sends text.
    let many = "word ".repeat(100_000);
    stage.upstream.then(Behaviour::step(&many));
    let mut socket = ask(&stage, true).await;
    stage.upstream.release(3);
    read_until(&mut socket, "word ").await;
    stage.upstream.release(50_000);
    read_until(&mut socket, "word ").await;
    stage = leave(stage, socket, 2).await;

    // The client disconnects before the first byte of a stream, and during a call that isn't
    // streamed.
    for (stream, times) in [(true, 3), (false, 4)] {
        stage.upstream.then(Behaviour::Hang);
        let socket = ask(&stage, stream).await;
        stage.upstream.wait_until_asked(times).await;
        stage = leave(stage, socket, times).await;
    }

    // The client disconnects before the first token but after keep-alives.
    let setup = Setup::new().set("gateway.heartbeat_seconds", 1);
    let late = Stage::with(setup, UpstreamKind::OpenAi).await;
    late.upstream.then(Behaviour::Hang);
    let mut socket = ask(&late, true).await;
    read_until(&mut socket, ": ping").await;
    leave(late, socket, 1).await;

    // A connection that the client has half-closed counts as closed. No known client relies on
    // anything else.
    stage.upstream.then(Behaviour::Hang);
    let mut socket = ask(&stage, false).await;
    stage.upstream.wait_until_asked(5).await;
    socket.shutdown().await.unwrap();
    let _ = stage.upstream.wait_until_left(5).await;

    // The program and its key still work.
    let answer = stage.program.post("/v1/chat/completions", question(false)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
