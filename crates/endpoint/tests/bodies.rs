//! Tests of endpoints that read and write raw bodies, over real HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    ffi::OsString,
    sync::{Arc, LazyLock},
    time::Duration,
};

use actix_web::{App, HttpServer, rt::time::sleep, web::Data};
use appcore::{AppError, Clock, Code, InstanceId, config, event::MemoryBus};
use bytes::Bytes;
use dbcontext::Database;
use endpoint::{
    Access, BodyForm, BodyStream, Bound, Ctx, Endpoint, EndpointDef, FailureForm, NoInput, RateGroup, Raw, Reply,
    Routes,
};
use futures_util::stream;
use migration::{Migrator, MigratorTrait as _};
use natter_macro::{dto, endpoint};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

static ENDPOINTS: [EndpointDef; 5] = [
    EndpointDef::of::<EchoBytes>(),
    EndpointDef::of::<CountStream>(),
    EndpointDef::of::<AnswerLate>(),
    EndpointDef::of::<StreamLong>(),
    EndpointDef::of::<RefuseLikeOthers>(),
];

const LIMIT: usize = 4_096;
const DEADLINE: Duration = Duration::from_secs(1);

#[dto(request)]
pub struct EchoBytesRequest {
    #[from(query)]
    pub again: Option<bool>,
    #[from(bytes)]
    pub body: Bytes,
}

/// Echo the body
#[endpoint(POST "/t/bytes", tag = "t", access = Access::Public, rate = RateGroup::Write, content("application/octet-stream"), max_body = Bound::Fixed(LIMIT))]
impl Endpoint for EchoBytes {
    type Request = EchoBytesRequest;
    type Response = Raw;

    async fn handle(_: &Ctx, request: EchoBytesRequest) -> Result<Reply<Raw>, AppError> {
        let times = if request.again == Some(true) { 2 } else { 1 };
        Ok(Reply::bytes("application/octet-stream", request.body.repeat(times).into()))
    }
}

#[dto(request)]
pub struct CountStreamRequest {
    #[from(stream, "image/png")]
    pub body: BodyStream,
}

/// Count the bytes of a stream
#[endpoint(POST "/t/stream", tag = "t", access = Access::Public, rate = RateGroup::Write, content("text/plain"), max_body = Bound::Setting(|config| config.server.port as usize), body_idle = Duration::from_millis(300), deadline = Bound::Fixed(Duration::from_secs(60)))]
impl Endpoint for CountStream {
    type Request = CountStreamRequest;
    type Response = Raw;

    async fn handle(_: &Ctx, mut request: CountStreamRequest) -> Result<Reply<Raw>, AppError> {
        let mut count = 0;
        while let Some(piece) = request.body.next().await {
            count += piece?.len();
        }
        Ok(Reply::bytes("text/plain", count.to_string().into()))
    }
}

/// Exceed the deadline
#[endpoint(GET "/t/late", tag = "t", access = Access::Public, rate = RateGroup::Read, content("text/plain"), deadline = Bound::Fixed(Duration::from_millis(100)))]
impl Endpoint for AnswerLate {
    type Request = NoInput;
    type Response = Raw;

    async fn handle(_: &Ctx, _: NoInput) -> Result<Reply<Raw>, AppError> {
        std::future::pending().await
    }
}

/// Stream for longer than the deadline
#[endpoint(GET "/t/long", tag = "t", access = Access::Public, rate = RateGroup::Read, content("text/plain"), deadline = Bound::Fixed(DEADLINE))]
impl Endpoint for StreamLong {
    type Request = NoInput;
    type Response = Raw;

    async fn handle(_: &Ctx, _: NoInput) -> Result<Reply<Raw>, AppError> {
        let pieces = stream::unfold(0, |n| async move {
            sleep(DEADLINE / 2).await;
            (n < 4).then(|| (Ok(Bytes::from_static(b"piece ")), n + 1))
        });
        Ok(Reply::stream("text/plain", pieces))
    }
}

/// Refuse
#[endpoint(POST "/t/refuse", tag = "t", access = Access::Public, rate = RateGroup::Write, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for RefuseLikeOthers {
    type Request = EchoBytesRequest;
    type Response = Raw;

    async fn handle(_: &Ctx, _: EchoBytesRequest) -> Result<Reply<Raw>, AppError> {
        Err(Code::OutOfCredits.into())
    }
}

struct Server {
    address: std::net::SocketAddr,
    app: Arc<app::App>,
    _folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(more: &[(&str, &str)]) -> Self {
        static ROUTES: LazyLock<Routes> = LazyLock::new(|| Routes::new("/t", ENDPOINTS.iter()));
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/natter.db", folder.path().display());
        let database = Database::connect(&url, 2).await.unwrap();
        Migrator::up(database.schema(), None).await.unwrap();
        let data = folder.path().display().to_string();
        let settings =
            [("NATTER__DATABASE__URL", &*url), ("NATTER__SERVER__DATA_DIR", &*data), ("NATTER__SERVER__PORT", "5000")];
        let settings = settings.into_iter().chain(more.iter().copied());
        let environment = settings.map(|(key, value)| (OsString::from(key), OsString::from(value)));
        let config = Arc::new(config::load_core(None, environment).unwrap().config);
        let (bus, clock) = (Arc::new(MemoryBus::new()), Clock::system());
        let app = app::App::build(
            platform::Core::build(config, InstanceId::new(), clock, database, bus, None).await.unwrap(),
        )
        .await
        .unwrap();
        let served = Arc::clone(&app);
        let server = HttpServer::new(move || {
            App::new().app_data(Data::from(Arc::clone(&served))).configure(|config| ROUTES.configure(config))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        actix_web::rt::spawn(server.run());
        Self { address, app, _folder: folder }
    }

    /// Sends a body without its last byte, and waits until the server has buffered or refused it.
    async fn begin_body(&self, from: [u8; 4], length: usize) -> Result<TcpStream, String> {
        let before = self.app.bodies.bytes_in_use();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let mut socket = socket.connect(self.address).await.unwrap();
        let head =
            format!("POST /t/bytes HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![b'x'; length - 1]).await.unwrap();
        let mut answer = Vec::new();
        loop {
            let held = self.app.bodies.bytes_in_use();
            assert!(held <= MOST, "{held} bytes are held");
            if held >= before + length {
                return Ok(socket);
            }
            tokio::select! {
                read = socket.read_buf(&mut answer) => assert!(matches!(read, Ok(1..)), "{read:?}"),
                () = sleep(Duration::from_millis(1)) => {}
            }
            // The whole response has arrived. The server closes the connection later, after it has
            // read the rest of the request.
            if answer.ends_with(b"}") {
                return Err(String::from_utf8(answer).unwrap());
            }
        }
    }

    /// Sends a request and returns the complete response.
    async fn ask(&self, head: &str, body: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{}\r\nhost: a\r\nconnection: close\r\n\r\n", head.replace('\n', "\r\n"));
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }
}

#[actix_web::test]
async fn raw_bodies_are_unchanged_and_limited() {
    let server = Server::start().await;
    let answer = server.ask("POST /t/bytes?again=true HTTP/1.1\ncontent-length: 3", b"\x00{,").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\x00{,\x00{,"), "{answer}");
    assert!(answer.contains("content-type: application/octet-stream"), "{answer}");
    // The request is refused because of its headers, before a body is sent.
    let answer = server.ask("POST /t/bytes HTTP/1.1\ncontent-length: 4097", b"").await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("4 KiB or smaller"), "{answer}");
    let chunk = format!("1001\r\n{}\r\n0\r\n\r\n", "x".repeat(LIMIT + 1));
    let answer = server.ask("POST /t/bytes HTTP/1.1\ntransfer-encoding: chunked", chunk.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let answer = server.ask("POST /t/bytes HTTP/1.1\ncontent-encoding: gzip\ncontent-length: 1", b"x").await;
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
}

/// Memory limits of the test below, for the instance and for each address.
const MOST: usize = 96 * 1024;
const MOST_OF_ADDRESS: usize = 64 * 1024;

#[actix_web::test]
async fn slow_bodies_stay_within_the_memory_budget() {
    let (most, of_address) = (MOST.to_string(), MOST_OF_ADDRESS.to_string());
    let server = Server::start_with(&[
        ("NATTER__SERVER__BODY_BYTES", &most),
        ("NATTER__SERVER__BODY_BYTES_PER_ADDRESS", &of_address),
        ("NATTER__RATE_LIMIT__WRITE__LIMIT", "1000000"),
    ])
    .await;
    let (mut held, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..1_000 {
        match server.begin_body([127, 0, 0, 1], LIMIT).await {
            Ok(socket) => held.push(socket),
            Err(answer) => refused.push(answer),
        }
    }
    assert_eq!((held.len(), refused.len()), (MOST_OF_ADDRESS / LIMIT, 1_000 - MOST_OF_ADDRESS / LIMIT));
    for answer in refused {
        assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("\r\nretry-after: 2\r\n"), "{answer}");
    }
    // Another address is still served, until the limit of the instance is reached.
    while let Ok(socket) = server.begin_body([127, 0, 0, 2], LIMIT).await {
        held.push(socket);
    }
    assert_eq!((held.len(), server.app.bodies.bytes_in_use()), (MOST / LIMIT, MOST));
    let answer = server.begin_body([127, 0, 0, 3], LIMIT).await.unwrap_err();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nretry-after: 2\r\n"), "{answer}");
    // The pending requests complete normally.
    for mut socket in held {
        socket.write_all(b"x").await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&[b'x'; LIMIT]));
    }
    assert_eq!(server.app.bodies.bytes_in_use(), 0);
    drop(server.begin_body([127, 0, 0, 3], LIMIT).await.unwrap());
}

#[actix_web::test]
async fn streamed_bodies_are_limited_in_size_and_idle_time() {
    let server = Server::start().await;
    let answer = server.ask("POST /t/stream HTTP/1.1\ncontent-length: 5000", &[b'x'; 5_000]).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("5000"), "{answer}");
    let answer = server.ask("POST /t/stream HTTP/1.1\ncontent-length: 5001", b"").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "the limit is a setting: {answer}");
    let answer = server.ask("POST /t/stream HTTP/1.1\ncontent-length: 5000", b"half").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("took too long to arrive"), "{answer}");
}

#[actix_web::test]
async fn the_deadline_ends_when_the_response_starts() {
    let server = Server::start().await;
    let answer = server.ask("GET /t/late HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"code\":\"unavailable\""), "{answer}");
    let answer = server.ask("GET /t/long HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(answer.matches("piece ").count(), 4, "{answer}");
    let head = server.ask("HEAD /t/long HTTP/1.1", b"").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
}

#[actix_web::test]
async fn errors_use_the_format_of_the_endpoint() {
    let server = Server::start().await;
    let answer = server.ask("POST /t/refuse HTTP/1.1\ncontent-length: 1", b"x").await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("\"type\":\"insufficient_quota\""), "{answer}");
    let answer = server.ask("POST /t/refuse HTTP/1.1\ncontent-length: 1\nanthropic-version: 1", b"x").await;
    assert!(answer.starts_with("HTTP/1.1 402") && answer.contains("\"type\":\"billing_error\""), "{answer}");
    // An error that occurs before the endpoint is reached has the same format.
    let answer = server.ask("POST /t/refuse HTTP/1.1\ncontent-length: 9999999", b"").await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"type\":\"invalid_request_error\""), "{answer}");
}

#[test]
fn definitions_contain_the_body_form() {
    let forms: Vec<BodyForm> = ENDPOINTS.iter().map(|def| def.body).collect();
    assert_eq!(forms, [BodyForm::Bytes, BodyForm::Stream, BodyForm::Nothing, BodyForm::Nothing, BodyForm::Bytes]);
}
