//! Properties that every response has: request ids, headers and CORS.

use reqwest::Method;
use support::{Application, Setup, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

#[tokio::test]
async fn keeps_valid_request_ids_and_replaces_others() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    let ask = async |id: &str| {
        let answer = anonymous.send(anonymous.request(Method::GET, "/health/simple").header("x-request-id", id)).await;
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(ask("from-the-proxy.1:2_3").await, "from-the-proxy.1:2_3");
    for wrong in ["", "two words", "\"quoted\"", &"x".repeat(200)] {
        let id = ask(wrong).await;
        assert!(id != wrong && id.len() == 36, "{wrong:?} became {id:?}");
    }
}

#[tokio::test]
async fn logs_routes_without_secrets() {
    let mut app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let answer = anna.get("/r1/users?q=a-secret-question").await;
    let id = answer.header("x-request-id").unwrap().to_owned();
    let _ = anna.get(&format!("/r1/users/{}", support::new_id())).await;
    app.instances[0].terminate().await;
    let log = app.instances[0].log().join("\n");
    let line = log.lines().find(|line| line.contains(&id)).expect("each request has its line");
    for part in ["\"route\":\"/r1/users\"", "\"path\":\"/r1/users\"", "\"status\":200", "\"ms\":", &anna.id] {
        assert!(line.contains(part), "{line} lacks {part}");
    }
    assert!(log.contains("\"route\":\"/r1/users/{id}\""));
    for secret in ["a-secret-question", anna.access_token(), anna.refresh_token(), support::PASSWORD] {
        assert!(!log.contains(secret), "{secret} was logged");
    }
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let app = Setup::new().set("server.public_url", "https://chat.example").start().await;
    for path in ["/r1/users/me", "/r1/nothing", "/health", "/openapi.json", "/frames.json", "/docs/", "/"] {
        let answer = app.anonymous().get(path).await;
        let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert!(header("strict-transport-security").starts_with("max-age="), "{path}");
        for (name, value) in [
            ("referrer-policy", "strict-origin-when-cross-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(name), value, "{path}: {name}");
        }
        assert!(header("permissions-policy").contains("camera=()"), "{path}");
        let policy = header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && policy.starts_with("default-src '"), "{path}: {policy}");
        let scripts = policy.split(';').find(|rule| rule.trim().starts_with("script-src")).unwrap_or_default();
        assert!(!scripts.contains("unsafe"), "{path}: {policy}");
    }
    let plain = Application::start().await;
    let header = plain.anonymous().get("/").await.header("strict-transport-security").map(str::to_owned);
    assert_eq!(header, None, "no HSTS over http");
    let answer = app.anonymous().get("/r1/users/me").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn limits_cors_to_the_configured_origins() {
    let app = Setup::new().set("server.cors_origins", "https://app.example").start().await;
    let anna = app.sign_up("Anna").await;
    let from = async |origin: &str, method: Method| {
        let request = anna.request(method, "/r1/users/me").header("origin", origin);
        anna.send(
            request
                .header("access-control-request-method", "PATCH")
                .header("access-control-request-headers", "authorization"),
        )
        .await
    };
    let asked = from("https://app.example", Method::OPTIONS).await;
    assert_eq!(asked.status, 204, "{asked:?}");
    assert!(asked.header("access-control-allow-methods").is_some_and(|methods| methods.contains("PATCH")));
    assert!(asked.header("access-control-allow-headers").is_some_and(|headers| headers.contains("Authorization")));
    let read = from("https://app.example", Method::GET).await;
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, Some("https://app.example")));
    assert_eq!(read.header("access-control-allow-credentials"), Some("true"));
    assert!(read.headers.get_all("vary").iter().any(|vary| vary == "Origin"), "{read:?}");
    let readable = read.header("access-control-expose-headers").unwrap_or_default().to_ascii_lowercase();
    for name in ["x-request-id", "retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
        assert!(readable.contains(name), "{readable} lacks {name}");
    }
    for stranger in ["https://evil.example", "https://app.example.evil.example", "null", "http://app.example"] {
        for method in [Method::OPTIONS, Method::GET] {
            assert_eq!(from(stranger, method).await.header("access-control-allow-origin"), None, "{stranger}");
        }
    }
}

#[tokio::test]
async fn answers_head_requests_without_a_body() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let whole = anna.get("/r1/users/me").await;
    let head = anna.send(anna.request(Method::HEAD, "/r1/users/me")).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
    assert_eq!(head.header("content-length"), whole.header("content-length"));
}

/// Sends invalid bytes, and requests that never end. The server closes the connection and keeps
/// running.
#[tokio::test]
async fn survives_malformed_requests() {
    let app = Application::start().await;
    let address = app.url().trim_start_matches("http://").to_owned();
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(300_000));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-many: y\r\n".repeat(5_000));
    let noise: Vec<u8> = (0..4_096_u32).map(|at| (at * 31 % 251) as u8).collect();
    let wrong: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /r1/users/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \xff\xfe\r\nconnection: close\r\n\r\n",
        b"GET /r1/users/me HTTP/1.1\r\nhost: x\r\ncookie: natter_access=\x80; =; ;;\r\nconnection: close\r\n\r\n",
        b"POST /r1/auth/signin HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: -1\r\n\r\n{}",
        b"POST /r1/auth/signin HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
        &noise,
    ];
    for bytes in wrong {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        // The server may close the connection before it has read everything.
        let _ = socket.write_all(bytes).await;
        let mut answer = Vec::new();
        let ended = timeout(support::PATIENCE, socket.read_to_end(&mut answer)).await;
        assert!(
            ended.is_ok(),
            "the connection stays open after {:?}…",
            String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
        );
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    // Sends half of a body, then disconnects.
    for _ in 0..20 {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        let head = b"POST /r1/auth/signin HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"email\":";
        socket.write_all(head).await.unwrap();
    }
    let anna = app.sign_up("Anna").await;
    let _ = anna.post("/r1/workspaces", json!({ "name": "Still here" })).await.data_with(201);
}

#[tokio::test]
async fn compresses_long_responses_for_clients_that_accept_gzip() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let (ben, cara) = (app.sign_up("Ben").await, app.sign_up("Cara").await);
    for at in 0..8 {
        let group = json!({ "kind": "group", "title": format!("Group {at}"), "member_ids": [ben.id, cara.id] });
        anna.post("/r1/conversations", group).await.data_with(201);
    }
    let ask = async |path: &str| anna.send(anna.request(Method::GET, path).header("accept-encoding", "gzip, br")).await;
    let list = ask("/r1/conversations").await;
    assert_eq!(list.header("content-encoding"), Some("gzip"));
    assert!(list.header("vary").is_some_and(|vary| vary.contains("Accept-Encoding")));
    assert_eq!(ask("/r1/users/me").await.header("content-encoding"), None);
    assert_eq!(ask("/r1/auth/policy").await.header("content-encoding"), None);
    assert_eq!(anna.get("/r1/conversations").await.header("content-encoding"), None);
}
