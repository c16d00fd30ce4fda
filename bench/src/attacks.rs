//! What attackers get who do again what was done in the review of 25 November 2026: the figures of `docs/security.md`.
//!
//! Each attack meets a server of its own with the settings as they come, but for a provider that isn't there. Meanwhile somebody at another address asks
//! again and again whether the server is well.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use futures_util::future::join_all;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use support::{Anonymous, Caller, Credentials, PASSWORD, free_port};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    machine::{self, Cores},
    server::Server,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What an attacker writes in one go.
const PIECE: usize = 64 * KIB;
/// How long what is held is held.
const HELD_FOR: Duration = Duration::from_secs(3);
/// Where somebody else calls from.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// The side of a picture just small enough to be looked at, in pixels.
const SIDE: u32 = 7_000;

/// An attack, as the page names it, with what it came to then.
struct Attack {
    name: &'static str,
    before: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Calls,
    Webhooks,
    Chunked,
    Announced,
    Pictures,
}

const ATTACKS: [Attack; 5] = [
    Attack {
        name: "H1: 60 unfinished calls of `/v1` with 31 of 32 MiB, by one key",
        before: "all held; 71 → 2,016 MiB",
        kind: Kind::Calls,
    },
    Attack {
        name: "H1: 1,000 unfinished payment webhooks, as large as they may be, without an account",
        before: "628 of 1 MiB held; 59 → 1,029 MiB",
        kind: Kind::Webhooks,
    },
    Attack { name: "M4: 20 pictures of 49 megapixels at once", before: "→ 594 MiB", kind: Kind::Pictures },
    Attack {
        name: "M5: 30 files of 60 MiB at once, of unknown length, where 1 GiB may wait to be sent",
        before: "30 × 201; 1,800 MiB on the disk",
        kind: Kind::Chunked,
    },
    Attack {
        name: "M5: 30 files of 100 MB announced at once by tus, where 1 GiB may wait to be sent",
        before: "30 × 201",
        kind: Kind::Announced,
    },
];

/// Measures and prints.
pub fn measure(natter: &Path) -> anyhow::Result<()> {
    let cores = Cores::choose()?;
    println!("{}", machine::describe());
    cores.pin_generator()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("\n| | before | now |\n|---|---|---|");
    for Attack { name, before, kind } in ATTACKS {
        let folder = tempfile::Builder::new().prefix("natter-bench").tempdir()?;
        let server = start(natter, cores, folder.path())?;
        let attacker = runtime.block_on(Attacker::sign_up(server.address))?;
        let idle = machine::memory(server.process())?;
        let watch = Watch::begin(&server);
        let came_to = runtime.block_on(attacker.attack(kind))?;
        let seen = watch.end()?;
        let disk = folder_size(folder.path())?;
        println!(
            "| {name} | {before} | {came_to}; {} → {} MiB, {} MiB on the disk; of {} questions from elsewhere {} failed, the slowest took {} ms |",
            mib(idle),
            mib(seen.memory),
            mib(disk),
            seen.asked,
            seen.failed,
            seen.slowest.as_millis(),
        );
    }
    Ok(())
}

fn mib(bytes: u64) -> u64 {
    (bytes + (1 << 19)) >> 20
}

fn start(natter: &Path, cores: Cores, folder: &Path) -> anyhow::Result<Server> {
    let port = free_port();
    let settings = [
        ("SERVER__PORT", port.to_string()),
        ("SERVER__DATA_DIR", folder.display().to_string()),
        ("METRICS__LISTEN", "none".to_owned()),
        ("AI__PROVIDERS__FAKE__KIND", "openai".to_owned()),
        ("AI__PROVIDERS__FAKE__BASE_URL", "http://127.0.0.1:9".to_owned()),
        ("AI__PROVIDERS__FAKE__KEYS", "key-one".to_owned()),
        ("AI__PROVIDERS__FAKE__MODELS", "small".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (format!("NATTER__{name}"), value));
    Server::start(cores.server, folder, port, natter, &["serve".to_owned()], &settings)
}

/// What all files in a folder take.
fn folder_size(folder: &Path) -> anyhow::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // What has gone meanwhile takes nothing.
        let Ok(about) = entry.metadata() else { continue };
        size += if about.is_dir() { folder_size(&entry.path())? } else { about.len() };
    }
    Ok(size)
}

/// Looks at a server while it is attacked.
struct Watch {
    is_over: Arc<AtomicBool>,
    watching: JoinHandle<anyhow::Result<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// The most that it took, in bytes.
    memory: u64,
    asked: usize,
    failed: usize,
    slowest: Duration,
}

impl Watch {
    fn begin(server: &Server) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (process, address, ends) = (server.process(), server.address, Arc::clone(&is_over));
        let watching = thread::spawn(move || {
            let mut seen = Seen::default();
            while !ends.load(Ordering::Relaxed) {
                seen.memory = seen.memory.max(machine::memory(process)?);
                let begun = Instant::now();
                seen.failed += usize::from(!is_well(address));
                seen.asked += 1;
                seen.slowest = seen.slowest.max(begun.elapsed());
                thread::sleep(PAUSE);
            }
            Ok(seen)
        });
        Self { is_over, watching }
    }

    fn end(self) -> anyhow::Result<Seen> {
        self.is_over.store(true, Ordering::Relaxed);
        self.watching.join().map_err(|_| anyhow!("whoever watched has stopped"))?
    }
}

/// Whether the server says so to somebody elsewhere.
fn is_well(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((ELSEWHERE, 0)).into())?;
        socket.connect(&address.into())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut stream = std::net::TcpStream::from(socket);
        stream.write_all(b"GET /health/simple HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// Somebody with an account and a key of the gateway.
struct Attacker {
    address: SocketAddr,
    token: String,
    key: String,
}

impl Attacker {
    async fn sign_up(address: SocketAddr) -> anyhow::Result<Self> {
        let base = format!("http://{address}");
        let made =
            Anonymous(Caller::anonymous(&base)).sign_up("anna@example.org", PASSWORD, "Anna").await.data_with(201);
        let token = made["access_token"].as_str().context("no access token")?.to_owned();
        let caller = Caller::new(&base, Credentials::Bearer(token.clone()));
        let made =
            caller.post("/r1/api_keys", json!({ "name": "A program", "scopes": ["gateway"] })).await.data_with(201);
        let key = made["key"].as_str().context("no key")?.to_owned();
        Ok(Self { address, token, key })
    }

    /// What it came to, in words.
    async fn attack(&self, kind: Kind) -> anyhow::Result<String> {
        let token = &self.token;
        match kind {
            Kind::Calls => {
                let head = self.head("POST /v1/chat/completions", &self.key, "application/json", 32 * MIB);
                self.hold(60, &head, 31 * MIB).await
            }
            Kind::Webhooks => {
                let length = 256 * KIB;
                let head = self.head("POST /r1/payments/webhooks/stripe", "", "application/json", length);
                self.hold(1_000, &head, length - 1).await
            }
            Kind::Chunked => {
                let head = format!(
                    "POST /r1/uploads HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nX-Filename: a.bin\r\n\
                     Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
                    self.address
                );
                let piece = [format!("{PIECE:x}\r\n").as_bytes(), &vec![0_u8; PIECE], b"\r\n"].concat();
                self.ask(30, &head, &piece, 60 * MIB / PIECE, b"0\r\n\r\n").await
            }
            Kind::Announced => {
                let head = format!(
                    "POST /r1/uploads/tus HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nTus-Resumable: 1.0.0\r\n\
                     Upload-Length: 100000000\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    self.address
                );
                self.ask(30, &head, b"", 0, b"").await
            }
            Kind::Pictures => {
                let picture = picture(SIDE);
                let head = self.head("POST /r1/uploads", token, "image/png", picture.len());
                self.ask(20, &head, &picture, 1, b"").await
            }
        }
    }

    fn head(&self, target: &str, token: &str, kind: &str, length: usize) -> String {
        let credentials = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        format!(
            "{target} HTTP/1.1\r\nHost: {}\r\n{credentials}Content-Type: {kind}\r\nX-Filename: a\r\nContent-Length: {length}\r\n\r\n",
            self.address
        )
    }

    /// So many requests of which so much comes and the end does not.
    async fn hold(&self, count: usize, head: &str, length: usize) -> anyhow::Result<String> {
        let body = vec![b' '; length];
        let body = body.as_slice();
        let begin = || async move {
            let mut stream = TcpStream::connect(self.address).await?;
            let pieces = std::iter::once(head.as_bytes()).chain(body.chunks(PIECE));
            let answer = send(&mut stream, pieces).await;
            Ok::<_, std::io::Error>((stream, answer))
        };
        let begun = join_all((0..count).map(|_| begin())).await;
        tokio::time::sleep(HELD_FOR).await;
        let (mut held, mut answers) = (0, Answers::default());
        for one in begun {
            let Ok((mut stream, answer)) = one else {
                answers.add(None);
                continue;
            };
            // Some are answered after all has come.
            let late = tokio::time::timeout(Duration::from_millis(1), status_of(&mut stream));
            match (answer, late.await) {
                (Sending::Done, Err(_)) => held += 1,
                (Sending::Done, Ok(status)) => answers.add(status),
                (Sending::Answered(status), _) => answers.add(status),
            }
        }
        Ok(format!("{held} held, {}", answers.in_words()))
    }

    /// So many requests with a body of so many pieces, each to its end.
    async fn ask(&self, count: usize, head: &str, piece: &[u8], pieces: usize, end: &[u8]) -> anyhow::Result<String> {
        let ask = || async move {
            let mut stream = TcpStream::connect(self.address).await.ok()?;
            let body = std::iter::repeat_n(piece, pieces);
            match send(&mut stream, std::iter::once(head.as_bytes()).chain(body).chain([end])).await {
                Sending::Done => status_of(&mut stream).await,
                Sending::Answered(status) => status,
            }
        };
        let mut answers = Answers::default();
        for status in join_all((0..count).map(|_| ask())).await {
            answers.add(status);
        }
        Ok(answers.in_words())
    }
}

/// How sending a request ended.
enum Sending {
    /// All of it was taken.
    Done,
    /// An answer came first; none: the connection was closed.
    Answered(Option<u16>),
}

async fn send<'a>(stream: &mut TcpStream, pieces: impl Iterator<Item = &'a [u8]>) -> Sending {
    let (mut reader, mut writer) = stream.split();
    let sending = async {
        for piece in pieces {
            writer.write_all(piece).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    tokio::select! {
        status = status_of(&mut reader) => Sending::Answered(status),
        sent = sending => match sent {
            Ok(()) => Sending::Done,
            Err(_) => Sending::Answered(None),
        },
    }
}

/// The status of an answer; none: it is none.
async fn status_of(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<u16> {
    let mut line = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut line)).await.ok()?.ok()?;
    std::str::from_utf8(line.get(9..)?).ok()?.parse().ok()
}

/// How often each status was answered.
#[derive(Default)]
struct Answers(BTreeMap<Option<u16>, usize>);

impl Answers {
    fn add(&mut self, status: Option<u16>) {
        *self.0.entry(status).or_default() += 1;
    }

    fn in_words(&self) -> String {
        let one = |(status, count): (&Option<u16>, &usize)| match status {
            Some(status) => format!("{count} × {status}"),
            None => format!("{count} closed"),
        };
        let all: Vec<String> = self.0.iter().map(one).collect();
        if all.is_empty() { "none answered".to_owned() } else { all.join(", ") }
    }
}

/// A PNG of a bit for each pixel, all the same, which becomes three bytes each when it is decoded.
fn picture(side: u32) -> Vec<u8> {
    // A byte before each row says how it is written.
    let row = usize::try_from(side.div_ceil(8)).unwrap_or_default() + 1;
    let raw = vec![0_u8; row * usize::try_from(side).unwrap_or_default()];
    // Not compressed.
    let mut packed = vec![0x78_u8, 0x01];
    let mut blocks = raw.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        packed.push(u8::from(blocks.peek().is_none()));
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(block);
    }
    // Adler-32 of so many zeros.
    let sum = u32::try_from(raw.len() % 65_521).unwrap_or_default();
    packed.extend(((sum << 16) | 1).to_be_bytes());
    let mut header = [side.to_be_bytes(), side.to_be_bytes()].concat();
    header.extend([1, 3, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let (palette, nothing): (&[u8], &[u8]) = (&[0, 0, 0, 255, 255, 255], &[]);
    for (name, data) in
        [(b"IHDR", header.as_slice()), (b"PLTE", palette), (b"IDAT", packed.as_slice()), (b"IEND", nothing)]
    {
        file.extend(u32::try_from(data.len()).unwrap_or_default().to_be_bytes());
        let named = [name.as_slice(), data].concat();
        file.extend(&named);
        file.extend(crc32(&named).to_be_bytes());
    }
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_png() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926, "the check value of CRC-32");
        let file = picture(100);
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
        // https://www.w3.org/TR/png/: the last chunk of every file.
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        assert_eq!(&file[16..26], [0, 0, 0, 100, 0, 0, 0, 100, 1, 3]);
    }

    #[test]
    fn answers_are_counted() {
        let mut answers = Answers::default();
        [Some(429), None, Some(201), Some(429)].into_iter().for_each(|status| answers.add(status));
        assert_eq!(answers.in_words(), "1 closed, 1 × 201, 2 × 429");
    }
}
