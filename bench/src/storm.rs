//! Reconnect storm: thousands of clients lose their connection at once and return within seconds
//! while messages continue.
//!
//! Every client checks that it receives each event of its conversations once and in order. Database
//! statements are counted, once when the clients have missed no events and once when they have.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use memchr::memmem;
use serde::Deserialize;
use support::{Application, Engine, Member, Setup, new_id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::frame;
use crate::machine::{Cpu, memory};

/// Number of members per conversation.
const GROUP: usize = 10;
/// Number of conversations per user.
const GROUPS_EACH: usize = 3;
/// Messages sent per second while the clients reconnect.
const TALK: u64 = 20;
/// Time to wait until PostgreSQL's processes have reported their statistics, which takes up to ten
/// seconds.
const COUNTED: Duration = Duration::from_secs(11);
const PATIENCE: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Args, Clone, Copy)]
pub struct Size {
    /// Number of clients that lose their connection.
    #[arg(long, default_value_t = 10_000)]
    pub clients: usize,
    /// Number of users to whom these clients belong.
    #[arg(long, default_value_t = 1_000)]
    pub people: usize,
    /// Time within which the clients reconnect, in seconds.
    #[arg(long, default_value_t = 10)]
    pub within: u64,
}

/// Phase in which the clients are at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Away,
    Online { within: Duration },
}

#[derive(Default)]
struct Tally {
    /// Number of clients that have received everything they had missed.
    ready: AtomicUsize,
    refused: AtomicU64,
    broken: AtomicU64,
    doubled: AtomicU64,
    gaps: AtomicU64,
    events: AtomicU64,
    /// Times from the start of a connection to its first frame (`greeted`) and to the last missed
    /// event (`synced`).
    greeted: Mutex<Vec<Duration>>,
    synced: Mutex<Vec<Duration>>,
    last_words: Mutex<String>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    payload: Payload<'a>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    conversation_id: Option<&'a str>,
    seq: Option<i64>,
    #[serde(borrow, default)]
    conversations: Vec<Position<'a>>,
}

#[derive(Deserialize)]
struct Position<'a> {
    id: &'a str,
    last_seq: i64,
}

pub fn measure(size: Size) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(size))
}

async fn run(size: Size) -> anyhow::Result<()> {
    let app = Setup::new().on(Engine::Postgres).set("realtime.max_connections_per_user", 0).start().await;
    eprintln!("{} people sign up", size.people);
    let (people, groups) = populate(&app, size.people).await?;
    let (phase, phases) = watch::channel(Phase::Away);
    let tally: Arc<Tally> = Arc::default();
    for number in 0..size.clients {
        let person = &people[number % people.len()];
        let client = Client {
            address: person.base().trim_start_matches("http://").to_owned(),
            token: person.access_token().to_owned(),
            cursors: HashMap::new(),
            early: BTreeSet::new(),
            tally: Arc::clone(&tally),
        };
        tokio::spawn(client.live(phases.clone()));
    }
    let process = app.instances[0].process_id();
    let (empty, within) = (memory(process)?, Duration::from_secs(size.within));
    phase.send_replace(Phase::Online { within });
    wait(&tally, size.clients).await?;
    // Waits, because memory that was used for connecting is released only after some seconds.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let before = memory(process)?;
    eprintln!("{} clients are ready, {} bytes each", size.clients, before.saturating_sub(empty) / size.clients as u64);
    println!("| | nobody missed anything | a tenth of the conversations went on |");
    println!("|---|---|---|");
    let mut columns = Vec::new();
    for busy in [0, groups.len() / 10] {
        columns.push(storm(&app, size, &phase, &tally, &people, &groups, busy).await?);
    }
    for ((label, quiet), (_, busy)) in columns[0].iter().zip(&columns[1]) {
        println!("| {label} | {quiet} | {busy} |");
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = memory(process)?;
    println!("| memory before the storms, and 20 s after both | {} MB | {} MB |", before >> 20, after >> 20);
    let wrong = [&tally.broken, &tally.doubled, &tally.gaps].map(|count| count.load(Ordering::Relaxed));
    if wrong != [0, 0, 0] {
        bail!(
            "{wrong:?} broken, duplicate, missing: {}",
            tally.last_words.lock().unwrap_or_else(PoisonError::into_inner)
        );
    }
    Ok(())
}

type Rows = Vec<(&'static str, String)>;

async fn storm(
    app: &Application,
    size: Size,
    phase: &watch::Sender<Phase>,
    tally: &Arc<Tally>,
    people: &[Member],
    groups: &[(usize, String)],
    busy: usize,
) -> anyhow::Result<Rows> {
    let process = app.instances[0].process_id();
    phase.send_replace(Phase::Away);
    tally.ready.store(0, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    for (owner, group) in &groups[..busy] {
        for number in 0..20 {
            people[*owner].send_message(group, &format!("missed {number}")).await;
        }
    }
    tokio::time::sleep(COUNTED).await;
    let (statements, cpu) = (statements(app).await, Cpu::of(process)?);
    let refused = tally.refused.load(Ordering::Relaxed);
    let events = tally.events.load(Ordering::Relaxed);
    for times in [&tally.greeted, &tally.synced] {
        times.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
    let begun = Instant::now();
    phase.send_replace(Phase::Online { within: Duration::from_secs(size.within) });
    let talking = tokio::spawn(talk(people.to_vec(), groups.to_vec(), Duration::from_secs(size.within)));
    let peak = tokio::spawn(peak(process, Duration::from_secs(size.within + 2)));
    wait(tally, size.clients).await?;
    let (took, cpu) = (begun.elapsed(), Cpu::of(process)?.since(cpu));
    let sent = talking.await??;
    let peak = peak.await??;
    tokio::time::sleep(COUNTED).await;
    #[expect(clippy::cast_precision_loss)]
    let per_client = (self::statements(app).await - statements - sent) as f64 / size.clients as f64;
    let milliseconds = |times: &Mutex<Vec<Duration>>| {
        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 1_000].as_secs_f64() * 1_000.0;
        format!("{:.1} / {:.1} / {:.1} ms", at(500), at(990), at(1_000))
    };
    Ok(vec![
        ("all are back after", format!("{:.1} s", took.as_secs_f64())),
        ("connection to `hello`, p50 / p99 / longest", milliseconds(&tally.greeted)),
        ("connection to the last missed event, p50 / p99 / longest", milliseconds(&tally.synced)),
        ("events that the clients checked", (tally.events.load(Ordering::Relaxed) - events).to_string()),
        ("connections that were refused", (tally.refused.load(Ordering::Relaxed) - refused).to_string()),
        (
            "events lost / doubled",
            format!("{} / {}", tally.gaps.load(Ordering::Relaxed), tally.doubled.load(Ordering::Relaxed)),
        ),
        ("transactions of the database for each client", format!("{per_client:.2}")),
        ("processor time of the server for each client", format!("{:.0} µs", cpu.total() * 1e6 / size.clients as f64)),
        ("memory at its peak", format!("{} MB", peak >> 20)),
    ])
}

/// Creates users and conversations. For each conversation, returns the index of a member and the
/// id.
async fn populate(app: &Application, count: usize) -> anyhow::Result<(Vec<Member>, Vec<(usize, String)>)> {
    let base = app.url();
    let mut people = Vec::with_capacity(count);
    while people.len() < count {
        let crowd = (0..4).map(|_| {
            let base = base.clone();
            tokio::spawn(async move { Member::sign_up(&base, "Client").await })
        });
        for person in crowd.collect::<Vec<_>>() {
            people.push(person.await?);
        }
    }
    let mut groups = Vec::new();
    for round in 0..GROUPS_EACH {
        // The conversations consist of different users in each round.
        let step = [1, 7, 31][round % 3];
        let order: Vec<usize> = (0..step).flat_map(|first| (first..people.len()).step_by(step)).collect();
        for group in order.chunks(GROUP).filter(|group| group.len() > 2) {
            let others: Vec<&Member> = group[1..].iter().map(|number| &people[*number]).collect();
            groups.push((group[0], people[group[0]].open_group("Storm", &others).await));
        }
    }
    Ok((people, groups))
}

/// Sends messages while the clients reconnect; returns the number of messages.
async fn talk(people: Vec<Member>, groups: Vec<(usize, String)>, how_long: Duration) -> anyhow::Result<i64> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(TALK)?);
    let mut sent = 0;
    for (owner, group) in groups.iter().cycle().take(usize::try_from(TALK * how_long.as_secs())?) {
        ticks.tick().await;
        people[*owner].send_message(group, "live").await;
        sent += 1;
    }
    Ok(sent)
}

async fn peak(process: u32, how_long: Duration) -> anyhow::Result<u64> {
    let (begun, mut peak) = (Instant::now(), 0);
    while begun.elapsed() < how_long {
        peak = peak.max(memory(process)?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(peak)
}

/// Number of transactions that the database has committed. A single statement counts as one.
async fn statements(app: &Application) -> i64 {
    app.database.number("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").await
}

async fn wait(tally: &Tally, clients: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    while tally.ready.load(Ordering::Relaxed) < clients {
        let ready = tally.ready.load(Ordering::Relaxed);
        if begun.elapsed() > PATIENCE {
            bail!(
                "only {ready} clients are ready; {}",
                tally.last_words.lock().unwrap_or_else(PoisonError::into_inner)
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

struct Client {
    address: String,
    token: String,
    cursors: HashMap<String, i64>,
    /// Live events that arrived before events that the client has missed; they are processed after
    /// these.
    early: BTreeSet<(String, i64)>,
    tally: Arc<Tally>,
}

impl Client {
    async fn live(mut self, mut phases: watch::Receiver<Phase>) {
        loop {
            let within = match *phases.borrow_and_update() {
                Phase::Online { within } => Some(within),
                Phase::Away => None,
            };
            if let Some(within) = within {
                tokio::time::sleep(within.mul_f64(chance())).await;
                while let Err(error) = self.stay(&mut phases).await {
                    let count = if error.is::<Refused>() { &self.tally.refused } else { &self.tally.broken };
                    count.fetch_add(1, Ordering::Relaxed);
                    *self.tally.last_words.lock().unwrap_or_else(PoisonError::into_inner) = format!("{error:#}");
                    tokio::time::sleep(AGAIN).await;
                }
            } else if phases.changed().await.is_err() {
                return;
            }
        }
    }

    /// Runs one connection, until all clients are disconnected.
    async fn stay(&mut self, phases: &mut watch::Receiver<Phase>) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(&self.address).await.context(Refused)?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /r1/websocket HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {}\r\n\r\n",
            self.address, self.token
        );
        stream.write_all(request.as_bytes()).await.context(Refused)?;
        let mut buffer = Vec::new();
        let end = loop {
            if let Some(end) = memmem::find(&buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await.context(Refused)? == 0 {
                bail!(Refused);
            }
        };
        if !buffer.starts_with(b"HTTP/1.1 101") {
            return Err(anyhow::Error::new(Refused).context(String::from_utf8_lossy(&buffer).into_owned()));
        }
        buffer.drain(..end);
        let mut is_ready = false;
        self.early.clear();
        loop {
            while let Some((opcode, start, stop)) = frame::first(&buffer) {
                let answer = match opcode {
                    frame::TEXT => self.take(&buffer[start..stop], begun, &mut is_ready)?,
                    frame::PING => Some(frame::masked(frame::PONG, &buffer[start..stop])),
                    frame::CLOSE => bail!("connection closed by the server"),
                    _ => None,
                };
                buffer.drain(..stop);
                if let Some(answer) = answer {
                    stream.write_all(&answer).await?;
                }
            }
            if buffer.is_empty() {
                buffer = Vec::new();
            }
            tokio::select! {
                read = stream.read_buf(&mut buffer) => if read? == 0 { bail!("connection ended by the server") },
                _ = phases.wait_for(|phase| *phase == Phase::Away) => {
                    // Resets the connection without a close frame, as a network failure does.
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                    return Ok(());
                }
            }
        }
    }

    /// Processes a frame; returns the frame to send in reply, if any.
    fn take(&mut self, text: &[u8], begun: Instant, is_ready: &mut bool) -> anyhow::Result<Option<Vec<u8>>> {
        let frame: Frame<'_> = serde_json::from_slice(text)?;
        let note = |times: &Mutex<Vec<Duration>>| {
            times.lock().unwrap_or_else(PoisonError::into_inner).push(begun.elapsed());
        };
        match (frame.kind, frame.payload.conversation_id, frame.payload.seq) {
            ("hello", ..) => {
                note(&self.tally.greeted);
                let mut missed = serde_json::Map::new();
                for Position { id, last_seq } in frame.payload.conversations {
                    let cursor = *self.cursors.entry(id.to_owned()).or_insert(last_seq);
                    if last_seq > cursor {
                        missed.insert(id.to_owned(), cursor.into());
                    }
                }
                if !missed.is_empty() {
                    let sync = serde_json::json!({ "id": new_id(), "type": "sync", "timestamp": "", "payload": { "cursors": missed } });
                    return Ok(Some(frame::masked(frame::TEXT, sync.to_string().as_bytes())));
                }
                self.be_ready(begun, is_ready);
            }
            ("sync.done", ..) => {
                self.be_ready(begun, is_ready);
                self.tell_gaps();
            }
            ("error", ..) => bail!("{}", String::from_utf8_lossy(text)),
            ("receipt", ..) => {}
            (_, Some(id), Some(seq)) => {
                self.tally.events.fetch_add(1, Ordering::Relaxed);
                let cursor = self.cursors.entry(id.to_owned()).or_insert(seq - 1);
                if seq <= *cursor {
                    // While the client is catching up, early events may be repeated without
                    // counting as duplicates.
                    self.tally.doubled.fetch_add(u64::from(*is_ready), Ordering::Relaxed);
                } else {
                    self.early.insert((id.to_owned(), seq));
                }
                while self.early.remove(&(id.to_owned(), *cursor + 1)) {
                    *cursor += 1;
                }
                if *is_ready {
                    self.tell_gaps();
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// Counts the events that are still waiting for earlier ones as gaps.
    fn tell_gaps(&mut self) {
        self.tally.gaps.fetch_add(self.early.len() as u64, Ordering::Relaxed);
        for (id, seq) in std::mem::take(&mut self.early) {
            self.cursors.insert(id, seq);
        }
    }

    fn be_ready(&self, begun: Instant, is_ready: &mut bool) {
        if !std::mem::replace(is_ready, true) {
            self.tally.synced.lock().unwrap_or_else(PoisonError::into_inner).push(begun.elapsed());
            self.tally.ready.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Error if the server refused the client.
#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was refused")
    }
}

impl std::error::Error for Refused {}

/// Returns a random number between 0 and 1.
fn chance() -> f64 {
    #[expect(clippy::cast_precision_loss)]
    let share = (uuid::Uuid::new_v4().as_u128() >> 96) as f64 / f64::from(u32::MAX);
    share
}
