//! The configurations of nginx and HAProxy that Natter ships, tested with all features.
//! [`crate::sse`] tests SSE behind them, [`crate::firewall`] client addresses, and
//! [`crate::cluster`] restarts.

use std::path::Path;

use reqwest::Method;
use support::{
    Application, Balancer, Caller, Codec, Credentials, IdentityProvider, MailServer, Member, Nginx, PASSWORD, Setup,
    Upstream, UpstreamKind, form, json, new_email, wait_until,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::socketio::polling::Poller;

/// Size of an upload, in bytes: larger than the memory buffers of the proxies and than nginx's
/// default limit for bodies.
const LARGE: usize = 12 * 1024 * 1024;

/// Both proxies in front of the application.
struct Proxies {
    nginx: Nginx,
    haproxy: Balancer,
}

impl Proxies {
    async fn before(app: &Application) -> Self {
        let haproxy = Balancer::start(&app.instances).await;
        haproxy.wait_until_all_are_up().await;
        Self { nginx: Nginx::shipped(&app.instances).await, haproxy }
    }

    fn urls(&self) -> [String; 2] {
        [self.nginx.url(), self.haproxy.url()]
    }
}

#[tokio::test]
async fn forwards_every_kind_of_socket() {
    let app = Application::start().await;
    let proxies = Proxies::before(&app).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut seq = 0;
    for url in proxies.urls() {
        let (anna, ben) = (anna.at(&url), ben.at(&url));
        let mut sockets = [ben.connect().await, ben.connect_with(Codec::MessagePack).await];
        let mut poller = Poller::connect(&ben, std::slice::from_ref(&url)).await;
        for _ in 0..3 {
            seq += 1;
            anna.send_message(&chat, "through a proxy").await;
            for socket in &mut sockets {
                assert_eq!(socket.expect_in("message.created", &chat).await.payload["seq"], seq);
            }
            assert_eq!(poller.event("message.created").await["seq"], seq);
        }
        let mut raw = poller.probe(&url).await;
        raw.send_text("5").await;
        raw.send_text("421[\"ping\",{}]").await;
        while raw.text().await != "431[{}]" {}
    }
}

#[tokio::test]
async fn forwards_uploads_and_leaves_size_limits_to_the_server() {
    let app = Setup::new().set("uploads.max_bytes", LARGE).start().await;
    let proxies = Proxies::before(&app).await;
    let anna = app.sign_up("Anna").await;
    let bytes: Vec<u8> = (0..LARGE).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for url in proxies.urls() {
        let anna = anna.at(&url);
        let upload = anna.upload("large.bin", "application/octet-stream", bytes.clone()).await;
        let read = anna.get(&crate::uploads::address(&upload)).await;
        assert!(read.status == 200 && read.bytes == bytes, "{}: {} bytes", read.status, read.bytes.len());
        let longer = anna.uploading("larger.bin", "application/octet-stream", vec![0; LARGE + 1]);
        anna.send(longer).await.refused(413, "too_large");
    }
}

/// A proxy that buffers uploads would fill its disk and hide the progress of the upload.
#[tokio::test]
async fn streams_uploads_to_the_server() {
    let app = Application::start().await;
    let proxies = Proxies::before(&app).await;
    let anna = app.sign_up("Anna").await;
    let incoming = app.folder().join("uploads/incoming");
    for url in proxies.urls() {
        let mut stream = begin_upload(&anna, &url, LARGE).await;
        stream.write_all(&vec![7; LARGE / 2]).await.unwrap();
        wait_until("the first part of the upload arrives", || {
            std::future::ready(bytes_in(&incoming) >= LARGE as u64 / 4)
        })
        .await;
        stream.write_all(&vec![7; LARGE - LARGE / 2]).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 201");
        wait_until("the broken upload is deleted", || std::future::ready(bytes_in(&incoming) == 0)).await;
    }
}

async fn begin_upload(member: &Member, url: &str, length: usize) -> TcpStream {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /r1/uploads HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/octet-stream\r\n\
         content-length: {length}\r\n\r\n",
        member.access_token()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

fn bytes_in(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

#[tokio::test]
async fn forwards_questions_with_files_to_an_assistant() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let proxies = Proxies::before(&app).await;
    let program = app.sign_up("Anna").await.program(&["gateway"]).await;
    for url in proxies.urls() {
        let program = program.at(&url);
        let picture = format!("data:image/png;base64,{}", "A".repeat(LARGE));
        let content = json!([{ "type": "image_url", "image_url": { "url": picture } }]);
        let body = json!({ "model": "small", "messages": [{ "role": "user", "content": content }] });
        let answer = program.post("/v1/chat/completions", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let too_long =
            program.request(reqwest::Method::POST, "/v1/chat/completions").body(vec![b' '; 33 * 1024 * 1024]);
        let refused = program.send(too_long.header("content-type", "application/json")).await;
        assert_eq!((refused.status, refused.body["error"]["type"].as_str()), (413, Some("invalid_request_error")));
    }
}

/// Public address of a server that is below a path.
const BELOW: &str = "https://example.test/chat";
const BELOW_ORIGIN: &str = "https://example.test";
const CALLBACK: &str = "/r1/auth/oauth/idp/callback";

/// Tests a server behind the shipped nginx, without a proxy, and behind a proxy that removes the
/// path.
#[tokio::test]
async fn serves_everything_below_a_base_path() {
    let redirect = format!("{BELOW}{CALLBACK}");
    let provider = IdentityProvider::start(&[redirect.as_str()]).await;
    let (mail, folder) = (MailServer::start().await, tempfile::tempdir().unwrap());
    let app = Setup::new()
        .set("server.public_url", BELOW)
        .set("mail.smtp_url", mail.url())
        .set("mail.from", "Natter <chat@example.test>")
        .identity_provider("idp", "oidc", &provider, folder.path())
        .set("auth.oauth.idp.trust_email", true)
        .start()
        .await;
    let nginx = Nginx::shipped_below_a_path(&app.instances).await;
    assert_eq!(Caller::anonymous(&nginx.url()).get("/chat").await.status, 301);
    assert_eq!(
        Caller::anonymous(&nginx.url()).get("/health/simple").await.status,
        404,
        "paths outside the base path are not served"
    );
    for (host, path) in [(nginx.url(), "/chat"), (app.url(), "/chat"), (app.url(), "")] {
        let base = format!("{host}{path}");
        assert_eq!(Caller::anonymous(&base).get("/health/simple").await.status, 200, "{base}");
        let described = Caller::anonymous(&base).get("/openapi.json").await;
        assert_eq!(described.body["servers"], json!([{ "url": "/chat" }]), "{base}");
        assert_eq!(described.header("strict-transport-security"), Some("max-age=63072000"), "HSTS without subdomains");
        a_browser_signs_up_and_is_sent_mail(&base, &mail).await;
        messages_and_files_go_through(&host, &base).await;
        one_signs_in_by_a_provider(&base, &provider).await;
    }
}

async fn a_browser_signs_up_and_is_sent_mail(base: &str, mail: &MailServer) {
    let (anonymous, email) = (Caller::anonymous(base), new_email("Anna"));
    let body = json!({ "email": email, "password": PASSWORD, "display_name": "Anna" });
    let request = anonymous.request(Method::POST, "/r1/auth/signup").header("x-natter-transport", "cookie");
    let answer = anonymous.send(request.header("origin", BELOW_ORIGIN).json(&body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let set: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    for (name, path) in
        [("__Secure-natter_access=", "Path=/chat/;"), ("__Secure-natter_refresh=", "Path=/chat/r1/auth;")]
    {
        assert!(set.iter().any(|cookie| cookie.starts_with(name) && cookie.contains(path)), "{set:?}");
    }
    let with_cookies =
        |origin: &str| Caller::new(base, Credentials::Cookies { header: answer.cookies(), origin: origin.to_owned() });
    let anna = with_cookies(BELOW_ORIGIN);
    assert_eq!(anna.get("/r1/users/me").await.data()["email"], email);
    with_cookies("https://evil.test").post("/r1/auth/refresh", json!({})).await.refused(403, "cross_site");
    assert_eq!(anna.post("/r1/auth/refresh", json!({})).await.status, 200);
    let link = format!("{BELOW}/verify-email?token=");
    assert!(mail.mail_with(&email, &link).await.html().contains(&link));
}

async fn messages_and_files_go_through(host: &str, base: &str) {
    let (anna, ben) = (Member::sign_up(base, "Anna").await, Member::sign_up(base, "Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut sockets = [ben.connect().await, ben.connect_with(Codec::MessagePack).await];
    let mut poller = Poller::connect(&ben, &[base.to_owned()]).await;
    anna.send_message(&chat, "below a path").await;
    for socket in &mut sockets {
        assert_eq!(socket.expect_in("message.created", &chat).await.payload["message"]["content"], "below a path");
    }
    assert_eq!(poller.event("message.created").await["message"]["content"], "below a path");

    let upload = anna.upload("large.bin", "application/octet-stream", vec![7_u8; LARGE / 4]).await;
    assert_eq!(anna.get(&crate::uploads::address(&upload)).await.bytes.len(), LARGE / 4);
    let begun = anna.request(Method::POST, "/r1/uploads/tus").header("tus-resumable", "1.0.0");
    let begun = anna.send(begun.header("upload-length", "5").header("upload-metadata", "filename YS50eHQ=")).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let place = begun.header("location").unwrap();
    assert!(place.starts_with("/chat/r1/uploads/tus/"), "{place}");
    // Paths are relative to the host, as browsers resolve them.
    let anna = anna.at(host);
    let piece = anna.request(Method::PATCH, place).header("tus-resumable", "1.0.0").header("upload-offset", "0");
    let sent = anna.send(piece.header("content-type", "application/offset+octet-stream").body("hello")).await;
    assert_eq!((sent.status, sent.header("upload-offset")), (204, Some("5")), "{sent:?}");
}

async fn one_signs_in_by_a_provider(base: &str, provider: &IdentityProvider) {
    let browser = Caller::anonymous(base);
    let gone = browser.get("/r1/auth/oauth/idp/start?next=%2Fc%2Fnew").await;
    let cookie = gone.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Secure-natter_oauth_") && cookie.contains("Path=/chat/;"), "{cookie}");
    let sent = provider.sign_in(gone.header("location").unwrap(), "ada").await;
    assert_eq!(sent.address.path(), format!("/chat{CALLBACK}"));
    let back = browser.request(Method::GET, &format!("{CALLBACK}?{}", form(&sent.fields)));
    let arrived = browser.send(back.header("cookie", gone.cookies()).header("sec-fetch-site", "cross-site")).await;
    assert_eq!((arrived.status, arrived.header("location")), (303, Some("/chat/c/new")), "{arrived:?}");
    assert!(arrived.cookies().contains("__Secure-natter_access="), "{arrived:?}");
}
