//! A hundred thousand subscriptions at the same time, and limits on the number of connections.

use std::time::{Duration, Instant};

use support::{Application, Codec, Engine, Setup, Socket, json};

use crate::raw::Raw;

/// Copies a conversation with its members `times` times.
async fn multiply(app: &Application, conversation_title: &str, times: usize) {
    let (id, numbers) = match app.database.engine {
        Engine::Sqlite => (
            "randomblob(16)",
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times}) SELECT i FROM n) n"
            ),
        ),
        Engine::Postgres => ("gen_random_uuid()", format!("generate_series(1, {times}) n")),
    };
    app.database
        .run(&format!(
            "INSERT INTO conversations (id, workspace_id, kind, title, last_seq, last_activity_at, created_by, created_at, is_deleted) \
             SELECT {id}, workspace_id, kind, 'copy', last_seq, last_activity_at, created_by, created_at, is_deleted \
             FROM conversations, {numbers} WHERE title = '{conversation_title}'"
        ))
        .await;
    app.database
        .run(&format!(
            "INSERT INTO conversation_members (conversation_id, user_id, role, read_seq, delivered_seq, joined_at, is_deleted) \
             SELECT copy.id, m.user_id, m.role, 0, 0, m.joined_at, m.is_deleted \
             FROM conversations copy, conversations original JOIN conversation_members m ON m.conversation_id = original.id \
             WHERE copy.title = 'copy' AND original.title = '{conversation_title}'"
        ))
        .await;
}

#[tokio::test]
async fn a_hundred_thousand_subscriptions_use_bounded_memory() {
    const CONVERSATIONS: usize = 2_000;
    const CONNECTIONS: usize = 50;
    let app = Setup::new().set("workspaces.shared", "Home").start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let chat = anna.open_group("original", &[&ben, &eve]).await;
    multiply(&app, "original", CONVERSATIONS - 1).await;
    let mut sender = anna.connect().await;
    assert_eq!(sender.hello["conversations"].as_array().unwrap().len(), CONVERSATIONS + 1);
    // Measured after the first subscription, so that its one-time costs, such as caches, don't
    // count.
    let memory = app.instances[0].memory();
    let mut sockets = Vec::new();
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        let socket = ben.connect().await;
        assert_eq!(socket.hello["conversations"].as_array().unwrap().len(), CONVERSATIONS + 1);
        sockets.push(socket);
    }
    let opening = begun.elapsed() / u32::try_from(CONNECTIONS).unwrap();
    assert!(opening < Duration::from_secs(3), "a connection with {CONVERSATIONS} conversations took {opening:?}");
    let each = app.instances[0].memory().saturating_sub(memory) / (CONVERSATIONS * CONNECTIONS) as u64;
    assert!(each < 400, "a subscription costs {each} bytes");
    // All subscriptions work, and none of them delays the others.
    let sent = sender.send_message(&chat, "to all").await;
    for socket in &mut sockets {
        assert_eq!(socket.expect("message.created").await.payload["seq"], sent["seq"]);
    }
    let begun = Instant::now();
    drop(sockets);
    assert_eq!(sender.request("ping", json!({})).await.kind, "pong");
    assert!(begun.elapsed() < Duration::from_secs(15), "closing all connections took {:?}", begun.elapsed());
}

#[tokio::test]
async fn streams_and_sockets_share_one_connection_limit() {
    let app = Setup::new().set("realtime.max_connections_per_user", 3).start().await;
    let anna = app.sign_up("Anna").await;
    let _socket = anna.connect().await;
    let _other = anna.connect_with(Codec::MessagePack).await;
    let mut stream = anna.event_stream(None).await;
    assert_eq!(stream.next().await.kind, "hello");
    anna.get("/r1/events").await.refused(429, "too_many_connections");
    let refused = Socket::try_open(&app.url(), "/r1/websocket", anna.headers(), Codec::Json).await;
    assert_eq!(refused.err().map(|(status, _)| status), Some(429));
    let mut raw = Raw::open(&app.url(), "/socket.io/?EIO=4&transport=websocket", "").await;
    raw.text().await;
    raw.send_text(&format!("40{}", json!({ "token": anna.access_token() }))).await;
    assert!(raw.text().await.starts_with("44"), "Socket.IO reports the refusal in its own format");
    // Other users are unaffected.
    app.sign_up("Ben").await.connect().await.drain().await;
}
