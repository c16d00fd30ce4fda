//! SSRF tests: a server on the loopback address counts connections, and none may arrive.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use appcore::config::Destination;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// Server on the loopback address that sends a fixed response and counts connections.
struct Canary {
    port: u16,
    hits: Arc<AtomicUsize>,
}

impl Canary {
    async fn start(answer: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (hits, answer) = (Arc::new(AtomicUsize::new(0)), answer.into());
        let counted = Arc::clone(&hits);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let _ = socket.read(&mut [0; 4096]).await;
                    let _ = socket.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { port, hits }
    }

    async fn saying(body: &str) -> Self {
        Self::start(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()))
            .await
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    fn url(&self, host: &str) -> Url {
        format!("http://{host}:{}/", self.port).parse().unwrap()
    }
}

fn redirect_to(target: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

fn settings(allow: &[&str]) -> config::Outgoing {
    config::Outgoing { allow: allow.iter().map(|text| text.parse::<Destination>().unwrap()).collect() }
}

fn outgoing(allow: &[&str]) -> Outgoing {
    Outgoing::new(&settings(allow)).unwrap()
}

/// Creates a client that resolves every name to these addresses, with the port of the canary.
fn resolving(allow: &[&str], addresses: &[&str], port: u16) -> Outgoing {
    let addresses: Vec<SocketAddr> =
        addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), port)).collect();
    Outgoing::with_lookup(&settings(allow), Some(Arc::new(move |_| Ok(addresses.clone())))).unwrap()
}

async fn refusal(outgoing: &Outgoing, url: &str) -> OutgoingError {
    outgoing.get(url.parse().unwrap(), FetchLimits::default()).await.unwrap_err()
}

#[tokio::test]
async fn refuses_forbidden_addresses_in_all_spellings() {
    let canary = Canary::saying("secret").await;
    let outgoing = resolving(&[], &["127.0.0.1", "::1"], canary.port);
    for scheme in ["http", "https"] {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "0.0.0.0",
            "0",
            "127。0。0。1",
            "１２７.0.0.1",
            "①②⑦.0.0.1",
            "[::1]",
            "[::]",
            "[0:0:0:0:0:0:0:1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::7f00:1]",
            "[2002:7f00:1::]",
            "[2001:0:7f00:1::]",
            "10.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "192.168.0.1",
            "172.16.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "localhost",
            "localhost.",
            "LOCALHOST",
        ] {
            let url = format!("{scheme}://{host}:{}/", canary.port);
            assert_eq!(refusal(&outgoing, &url).await, OutgoingError::Forbidden, "{url}");
            let usual = format!("{scheme}://{host}/");
            assert_eq!(refusal(&outgoing, &usual).await, OutgoingError::Forbidden, "{usual}");
        }
    }
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn refuses_other_schemes_and_credentials_in_urls() {
    let outgoing = outgoing(&[]);
    for url in [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "data:text/plain,a",
        "unix:/run/docker.sock",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://:password@example.com/",
    ] {
        assert_eq!(refusal(&outgoing, url).await, OutgoingError::Forbidden, "{url}");
    }
}

#[tokio::test]
async fn refuses_names_with_a_forbidden_address() {
    let canary = Canary::saying("secret").await;
    for addresses in [&["127.0.0.1"][..], &["93.184.216.34", "127.0.0.1"], &["::ffff:127.0.0.1"], &["10.0.0.1"], &[]] {
        let outgoing = resolving(&[], addresses, canary.port);
        assert_eq!(refusal(&outgoing, "https://rebinding.example/").await, OutgoingError::Forbidden, "{addresses:?}");
        assert_eq!(refusal(&outgoing, "http://rebinding.example/").await, OutgoingError::Forbidden, "{addresses:?}");
    }
    // Requests without TLS are refused even to public addresses, before a connection is opened.
    let outgoing = resolving(&[], &["93.184.216.34"], canary.port);
    assert_eq!(refusal(&outgoing, "http://plain.example/").await, OutgoingError::Forbidden);
    assert_eq!(refusal(&outgoing, "https://port.example:8443/").await, OutgoingError::Forbidden);
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn each_connection_resolves_and_checks_the_name() {
    let canary = Canary::saying("first").await;
    let first = SocketAddr::new("127.0.0.1".parse().unwrap(), canary.port);
    let then = SocketAddr::new("127.0.0.2".parse().unwrap(), canary.port);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let lookup: NameLookup =
        Arc::new(move |_| Ok(vec![if counted.fetch_add(1, Ordering::SeqCst) == 0 { first } else { then }]));
    let outgoing = Outgoing::with_lookup(&settings(&["127.0.0.1"]), Some(lookup)).unwrap();
    let url: Url = canary.url("rebinding.example");
    assert_eq!(outgoing.get(url.clone(), FetchLimits::default()).await.unwrap().body, "first");
    assert_eq!(outgoing.get(url, FetchLimits::default()).await.unwrap_err(), OutgoingError::Forbidden);
    assert_eq!((asked.load(Ordering::SeqCst), canary.hits()), (2, 1));
}

#[tokio::test]
async fn redirect_targets_are_checked() {
    let canary = Canary::saying("secret").await;
    for host in ["127.0.0.2", "0x7f.2", "[::ffff:127.0.0.2]", "169.254.169.254"] {
        let target = canary.url(host);
        let door = Canary::start(redirect_to(target.as_str())).await;
        let outgoing = outgoing(&["127.0.0.1"]);
        assert_eq!(refusal(&outgoing, door.url("127.0.0.1").as_str()).await, OutgoingError::Forbidden, "{host}");
        assert_eq!(door.hits(), 1);
    }
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn redirects_are_limited() {
    let door = Canary::start(redirect_to("/again")).await;
    let refused = refusal(&outgoing(&["127.0.0.0/8"]), door.url("127.0.0.1").as_str()).await;
    assert_eq!((refused, door.hits()), (OutgoingError::TooManyRedirects, 4));
}

#[tokio::test]
async fn reaches_allowed_destinations() {
    let canary = Canary::saying("hello").await;
    for (allow, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.0/8", "127.0.0.1"),
        ("localhost", "localhost"),
        ("LocalHost.", "localhost"),
        ("127.0.0.1", "[::ffff:127.0.0.1]"),
    ] {
        let fetched =
            resolving(&[allow], &["127.0.0.1"], canary.port).get(canary.url(host), FetchLimits::default()).await;
        let is_mapped = host.starts_with('[');
        // If this machine has no IPv6, the connection fails, but it isn't forbidden.
        assert!(
            matches!(fetched, Ok(ref answer) if answer.body == "hello") || is_mapped && fetched.is_err(),
            "{allow} {host}"
        );
        assert!(is_mapped || fetched.is_ok());
    }
    assert_eq!(refusal(&outgoing(&["example.com"]), canary.url("127.0.0.1").as_str()).await, OutgoingError::Forbidden);
}

#[tokio::test]
async fn responses_are_limited_in_size_and_time() {
    let allowed = outgoing(&["127.0.0.1"]);
    let limits = FetchLimits { max_bytes: 10, ..FetchLimits::default() };
    let long = Canary::saying("eleven bytes").await;
    assert_eq!(allowed.get(long.url("127.0.0.1"), limits).await.unwrap_err(), OutgoingError::TooLong);
    let unannounced = Canary::start("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\neleven bytes").await;
    assert_eq!(allowed.get(unannounced.url("127.0.0.1"), limits).await.unwrap_err(), OutgoingError::TooLong);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap();
    let limits = FetchLimits { timeout: Duration::from_millis(50), ..FetchLimits::default() };
    assert_eq!(allowed.get(url, limits).await.unwrap_err(), OutgoingError::TimedOut);
}
