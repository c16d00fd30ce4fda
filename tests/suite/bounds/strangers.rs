//! Limits on clients without authentication, by address.

use support::{Application, Setup, wait_until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::silent;
use crate::raw::Raw;

const SESSION: &str = "/socket.io/?EIO=4&transport=polling";

/// True if the server has closed the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read = tokio::time::timeout(std::time::Duration::from_millis(50), stream.read(&mut byte)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

async fn connect(app: &Application) -> TcpStream {
    TcpStream::connect(("127.0.0.1", app.instances[0].port())).await.unwrap()
}

/// A response may be long. If it isn't read, it must not occupy the server's memory.
#[tokio::test]
async fn buffers_an_unread_response_in_bounded_memory() {
    const READERS: u64 = 200;
    let app = Application::start().await;
    let whole = app.anonymous().get("/openapi.json").await;
    assert!(whole.bytes.len() > 400_000, "{}", whole.bytes.len());
    let memory = app.instances[0].memory();
    let mut unread = Vec::new();
    for _ in 0..READERS {
        let (raw, head) = Raw::knock(&app.url(), "GET", "/openapi.json", "connection: close").await;
        assert_eq!(head.status, 200);
        unread.push(raw);
    }
    let grown = app.instances[0].memory().saturating_sub(memory);
    assert!(grown < READERS * 160 * 1024, "{READERS} unread answers take {grown} bytes");
    let last = unread.pop().unwrap().body().await;
    assert_eq!(last, whole.body, "a reading client gets the whole response");
}

#[tokio::test]
async fn limits_open_connections_per_address_except_websockets() {
    const MOST: usize = 20;
    let app =
        Setup::new().set("rate_limit.enabled", true).set("server.max_connections_per_address", MOST).start().await;
    let anna = app.sign_up("Anna").await;
    let mut sockets = Vec::new();
    for _ in 0..MOST + 10 {
        sockets.push(silent(&anna).await);
    }
    let mut open = Vec::new();
    for _ in 0..MOST + 10 {
        open.push(connect(&app).await);
    }
    let mut closed = 0;
    for stream in &mut open {
        closed += usize::from(is_closed(stream).await);
    }
    assert!(closed >= 10, "{closed} were closed");
    drop(open);
    wait_until("another connection is accepted", || async {
        let mut stream = connect(&app).await;
        let asked = stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        let mut answer = String::new();
        asked.is_ok() && stream.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test]
async fn exempts_trusted_proxies_from_the_connection_limit() {
    let app = Setup::new()
        .set("rate_limit.enabled", true)
        .set("server.max_connections_per_address", 5)
        .set("server.trusted_proxies", "127.0.0.1/32")
        .start()
        .await;
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(connect(&app).await);
    }
    for stream in &mut open {
        assert!(!is_closed(stream).await);
    }
}

/// An address can neither use up the polling sessions of all clients nor use up its own for good.
#[tokio::test]
async fn one_address_cannot_exhaust_long_polling_for_others() {
    let app = Setup::new()
        .set("rate_limit.enabled", true)
        .set("server.trusted_proxies", "127.0.0.1/32")
        .set("realtime.max_anonymous_per_address", 50)
        .start()
        .await;
    let anonymous = app.anonymous();
    let open = async |address: &str| {
        let request = anonymous.request(reqwest::Method::GET, SESSION).header("x-forwarded-for", address);
        request.send().await.unwrap()
    };
    let mut statuses = Vec::new();
    for _ in 0..120 {
        let answer = open("203.0.113.1").await;
        if answer.status() == 429 {
            assert_eq!(answer.headers()["retry-after"], "5");
        }
        statuses.push(answer.status().as_u16());
    }
    assert!(statuses[..50].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses[50..].iter().all(|status| *status == 429), "{statuses:?}");
    let upgrade = "x-forwarded-for: 203.0.113.1";
    let headers = crate::raw::upgrade_headers(upgrade);
    let (_, head) = Raw::knock(&app.url(), "GET", "/socket.io/?EIO=4&transport=websocket", &headers).await;
    assert_eq!(head.status, 429, "unauthenticated WebSockets count");
    for n in 2..20 {
        assert_eq!(open(&format!("203.0.113.{n}")).await.status(), 200, "other addresses are accepted");
    }
    // A session without authentication ends after ten seconds, which frees its slot.
    wait_until("another polling session is accepted", || async { open("203.0.113.1").await.status() == 200 }).await;
}

#[tokio::test]
async fn rate_limits_socketio_handshakes() {
    let app = Setup::new()
        .set("rate_limit.enabled", true)
        .set("rate_limit.handshake.limit", 3)
        .set("rate_limit.handshake.window", 86_400)
        .start()
        .await;
    let anonymous = app.anonymous();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(anonymous.request(reqwest::Method::GET, SESSION).send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}
