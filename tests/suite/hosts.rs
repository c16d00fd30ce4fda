//! Host names to which the server answers, and origins from which it may be used.

use reqwest::Method;
use support::{Answer, Application, Caller, PASSWORD, Setup, json, new_email};

/// Sends a request with this host, as a browser does from a page of that host.
async fn ask(caller: &Caller, method: Method, host: &str, path: &str) -> Answer {
    caller.send(caller.request(method, path).header("host", host)).await
}

async fn sign_up(app: &Application, host: &str, origin: &str) -> Answer {
    let body = json!({ "email": new_email("eve"), "password": PASSWORD, "display_name": "Eve" });
    let anonymous = app.anonymous();
    let request = anonymous.request(Method::POST, "/r1/auth/signup").header("host", host).header("origin", origin);
    anonymous.send(request.header("x-natter-transport", "cookie").json(&body)).await
}

async fn handshake(app: &Application, host: &str, path: &str) -> Answer {
    let anonymous = app.anonymous();
    let request = anonymous.request(Method::GET, path).header("host", host);
    let request = request.header("connection", "upgrade").header("upgrade", "websocket");
    let request = request.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    anonymous.send(request).await
}

async fn answers_to_no_foreign_name(app: &Application) {
    let anonymous = app.anonymous();
    for foreign in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"] {
        for path in
            ["/", "/r1/auth/oauth/providers", "/openapi.json", "/r1/events", "/socket.io/?EIO=4&transport=polling"]
        {
            ask(&anonymous, Method::GET, foreign, path).await.refused(421, "wrong_host");
        }
        sign_up(app, foreign, &format!("http://{foreign}")).await.refused(421, "wrong_host");
        for path in ["/r1/websocket", "/socket.io/?EIO=4&transport=websocket"] {
            handshake(app, foreign, path).await.refused(421, "wrong_host");
        }
        // For health checks, load balancers use a host name of their own.
        for path in ["/health", "/health/simple"] {
            assert_eq!(ask(&anonymous, Method::GET, foreign, path).await.status, 200, "{path}");
        }
    }
    for local in ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080"] {
        ask(&anonymous, Method::GET, local, "/r1/auth/oauth/providers").await.data();
    }
}

#[tokio::test]
async fn rejects_unknown_host_names_on_a_loopback_listener() {
    let app = Application::start().await;
    answers_to_no_foreign_name(&app).await;
    sign_up(&app, "localhost:8080", "http://localhost:8080").await.data_with(201);
}

#[tokio::test]
async fn accepts_only_the_public_and_listed_origins() {
    let app = Setup::new()
        .set("server.public_url", "http://chat.example:8080")
        .set("server.cors_origins", "https://app.example")
        .start()
        .await;
    answers_to_no_foreign_name(&app).await;
    for (host, origin) in [
        ("chat.example:8080", "http://chat.example:8080"),
        ("chat.example:8080", "https://app.example"),
        ("10.0.0.1:8080", "http://chat.example:8080"),
    ] {
        sign_up(&app, host, origin).await.data_with(201);
    }
    for (host, origin) in [
        ("localhost:8080", "http://localhost:8080"),
        ("10.0.0.1:8080", "http://10.0.0.1:8080"),
        ("chat.example:8080", "https://chat.example:8080"),
        ("chat.example:8080", "null"),
    ] {
        sign_up(&app, host, origin).await.refused(403, "cross_site");
    }
}
