//! Readers that are slow or stalled. They are disconnected after a bounded number of bytes or a
//! bounded time, and neither they nor others lose events.

use std::time::{Duration, Instant};

use support::{Application, Follower, Member, PATIENCE, Setup, Value, json, wait_until};

use super::{connections, connections_fall_to, silent};
use crate::raw::{CLOSE, PING, PONG, Raw, TEXT};

const CONTENT: usize = 4_900;

/// Sends long messages as fast as a reader that reads all of them. Returns the longest delivery
/// time.
async fn pour(sender: &Member, reader: &mut support::Socket, chat: &str, from: i64, count: i64) -> Duration {
    let mut socket = sender.connect().await;
    let (content, mut longest) = ("x".repeat(CONTENT), Duration::ZERO);
    for n in from..from + count {
        let body = json!({ "conversation_id": chat, "client_id": format!("{n}"), "content": content });
        let begun = Instant::now();
        socket.send("message.send", body).await;
        assert_eq!(reader.read_until_seq(chat, n).await.len(), 1, "each message arrives once");
        longest = longest.max(begun.elapsed());
        socket.read_until_seq(chat, n).await;
    }
    longest
}

/// Reads the data that is still buffered for a stalled client. Returns the last sequence number and
/// the close code.
async fn remains(stuck: &mut Raw) -> (i64, Option<u16>) {
    let (mut last, mut code) = (0, None);
    while let Some((opcode, payload)) = stuck.frame().await {
        match opcode {
            TEXT => {
                let frame: Value = serde_json::from_slice(&payload).unwrap();
                if let Some(seq) = frame["payload"]["seq"].as_i64() {
                    assert_eq!(seq, last + 1, "received messages have no gap");
                    last = seq;
                }
            }
            CLOSE => code = Some(u16::from_be_bytes([payload[0], payload[1]])),
            _ => {}
        }
    }
    (last, code)
}

#[tokio::test]
async fn stalled_readers_are_disconnected_without_affecting_others() {
    const STUCK: usize = 30;
    const MESSAGES: i64 = 250;
    let app =
        Setup::new().set("realtime.backlog_bytes", 65_536).set("realtime.max_backlog_bytes", 65_536).start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let chat = anna.open_group("Busy", &[&ben, &eve]).await;
    let witness = Follower::start(&eve).await;
    let mut reader = eve.connect().await;
    let joined = reader.hello["conversations"][0]["last_seq"].as_i64().unwrap();
    let before = connections(&app);
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        stuck.push(silent(&ben).await);
    }
    let memory = app.instances[0].memory();
    let longest = pour(&anna, &mut reader, &chat, joined + 1, MESSAGES).await;
    assert!(longest < Duration::from_secs(10), "the reader waited {longest:?} for a message");
    // The memory is bounded by the queues and the messages themselves. Without a bound, each
    // connection would use 1.2 MB or keep the shared messages in memory.
    let grown = app.instances[0].memory().saturating_sub(memory);
    assert!(grown < 24 * 1024 * 1024, "the server grew by {grown} bytes");
    for stuck in &mut stuck {
        let (last, code) = remains(stuck).await;
        assert_eq!(code, Some(4508), "after {last}");
        assert!(last < joined + MESSAGES, "the client received everything, so it was not slow");
    }
    drop(stuck);
    connections_fall_to(&app, before + 1).await;
    witness.wait_for(&chat, joined + MESSAGES).await;
    assert_eq!(witness.unannounced_jumps(), 0);
    // After they reconnect, they get all events.
    let mut back = ben.connect().await;
    back.send("sync", json!({ "cursors": { (chat.as_str()): 0 } })).await;
    let missed = back.read_until_seq(&chat, joined + MESSAGES).await;
    let seqs: Vec<i64> = missed.iter().map(|event| event.payload["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=joined + MESSAGES).collect::<Vec<_>>());
}

/// A slow reader has a longer queue than a stalled one, but its socket accepts data again and
/// again.
#[tokio::test]
async fn keeps_slow_readers_connected() {
    const MESSAGES: i64 = 600;
    let app = Setup::new().set("realtime.backlog_bytes", 65_536).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut reader = anna.connect().await;
    let mut slow = silent(&ben).await;
    let pouring = tokio::spawn({
        let (anna, chat) = (anna.clone(), chat.clone());
        async move { pour(&anna, &mut reader, &chat, 1, MESSAGES).await }
    });
    let mut last = 0;
    while last < MESSAGES {
        let (opcode, payload) = slow.frame().await.expect("it continues");
        match opcode {
            TEXT => {
                let frame: Value = serde_json::from_slice(&payload).unwrap();
                if let Some(seq) = frame["payload"]["seq"].as_i64() {
                    assert_eq!(seq, last + 1, "received messages have no gap");
                    last = seq;
                    // Reads more slowly than messages arrive, so that they are queued. The pause
                    // sets the speed of the reader; it doesn't wait for a condition.
                    tokio::time::sleep(Duration::from_millis(8)).await;
                }
            }
            PING => slow.send(PONG, &payload).await,
            other => panic!("unexpected frame {other} after {last}: {payload:?}"),
        }
    }
    pouring.await.unwrap();
}

/// The stall is detected even if nothing more is sent to the client.
#[tokio::test]
async fn a_stalled_reader_is_disconnected_within_a_second_without_more_traffic() {
    const MESSAGES: i64 = 120;
    let app = Setup::new().set("realtime.backlog_bytes", 65_536).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let before = connections(&app);
    let stuck = silent(&ben).await;
    let mut reader = anna.connect().await;
    pour(&anna, &mut reader, &chat, 1, MESSAGES).await;
    drop(reader);
    // The heartbeat would take 60 s to detect the stall.
    connections_fall_to(&app, before).await;
    drop(stuck);
}

#[tokio::test]
async fn disconnects_a_stalled_event_stream_that_resumes_without_loss() {
    const MESSAGES: i64 = 250;
    let app =
        Setup::new().set("realtime.backlog_bytes", 65_536).set("realtime.max_backlog_bytes", 65_536).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut live = ben.event_stream(None).await;
    let cursor = loop {
        live.next().await;
        if let Some(id) = &live.last_event_id {
            break id.clone();
        }
    };
    let bearer = format!("authorization: Bearer {}\nconnection: close", ben.access_token());
    let (mut stuck, head) = Raw::knock(&app.url(), "GET", "/r1/events", &bearer).await;
    assert_eq!(head.status, 200);
    let mut sender = anna.connect().await;
    let mut reader = anna.connect().await;
    let content = "x".repeat(CONTENT);
    for n in 1..=MESSAGES {
        sender.send_message(&chat, &content).await;
        reader.read_until_seq(&chat, n).await;
        assert_eq!(live.expect("message.created").await.payload["seq"], n, "the other stream continues");
    }
    assert!(stuck.rest().await < usize::try_from(MESSAGES).unwrap() * CONTENT, "the stream was not cut off");
    drop(live);
    let mut stream = ben.event_stream(Some(&cursor)).await;
    for n in 1..=MESSAGES {
        assert_eq!(stream.expect("message.created").await.payload["seq"], n);
    }
}

/// Pings wait in the queue of a full socket. Therefore a client counts as alive only if data
/// arrives from it.
#[tokio::test]
async fn the_heartbeat_detects_a_frozen_socket() {
    let app = Setup::new()
        .set("realtime.heartbeat_seconds", 1)
        .set("realtime.backlog_bytes", 64 * 1024 * 1024)
        .set("realtime.max_connections_per_user", 1)
        .start()
        .await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let before = connections(&app);
    let mut frozen = silent(&ben).await;
    // The client answers some heartbeats. Then it stalls, like a stopped process whose kernel still
    // acknowledges data.
    let mut pings = 0;
    while pings < 3 {
        if let (PING, payload) = frozen.frame().await.unwrap() {
            frozen.send(PONG, &payload).await;
            pings += 1;
        }
    }
    let content = "x".repeat(CONTENT);
    let begun = Instant::now();
    for _ in 0..100 {
        anna.send_message(&chat, &content).await;
    }
    wait_until("the connection slot is free", || async {
        support::Socket::try_open(&app.url(), "/r1/websocket", ben.headers(), support::Codec::Json).await.is_ok()
    })
    .await;
    assert!(begun.elapsed() < PATIENCE);
    // The server closes the socket although the client does nothing.
    connections_fall_to(&app, before + 1).await;
    drop(frozen);
}

#[tokio::test]
async fn releases_a_vanished_client_after_the_close_frame() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let before = connections(&app);
    let mut gone = Vec::new();
    for _ in 0..10 {
        let mut raw = silent(&anna).await;
        // The frame violates the protocol. The server sends a close frame and waits for that of the
        // client, which never comes.
        raw.write(&[0x81, 2, b'h', b'i']).await;
        gone.push(raw);
    }
    connections_fall_to(&app, before).await;
}
