//! Public channel with ten thousand members, of whom a tenth are connected and some are viewing it.
//! For comparison, there is a group of the connected members; a message to it costs only the
//! fan-out to the same number of sockets.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use memchr::memmem;
use serde_json::{Value, json};
use support::{Application, Engine, Member, Setup, new_id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::frame;
use crate::machine::Cpu;

const MEMBERS: i64 = 10_000;
const CONNECTED: usize = 1_000;
const LOOKING: usize = 50;
/// Number of users who join during the measurement: once when the channel has a tenth of its
/// members, and once when it has all of them.
const JOINING: usize = 100;
/// Maximum number of users whose presence one connection may watch.
const WATCHED: usize = 500;
const MESSAGES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);
const CALLS: usize = 200;
/// Time within which all clients reconnect after a deployment.
const DEPLOY: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

pub fn measure() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let setup = Setup::new().on(Engine::Postgres).set("workspaces.shared", "Home");
    let app = setup.set("realtime.max_connections_per_user", 0).set("auth.access_ttl", 86_400).start().await;
    eprintln!("{CONNECTED} people sign up");
    let people = sign_up(&app).await?;
    let workspace = shared_workspace(&people[0]).await?;
    let channel = json!({ "kind": "public_channel", "title": "hall", "workspace_id": workspace });
    let channel = text(&people[0].post("/r1/conversations", channel).await.data_with(201), "id")?;

    println!("| | |");
    println!("|---|---|");
    fill(&app, &workspace, &channel, MEMBERS / 10 - 1).await;
    let few = join(&app, &people[1..=JOINING], &channel).await?;
    let rest = &people[1 + 2 * JOINING..];
    let members = people[1 + JOINING..=2 * JOINING].iter().chain(rest);
    println!("| joining beside {} members | {few} |", MEMBERS / 10);
    add(&app, &channel, rest).await;
    let there = i64::try_from(1 + JOINING + rest.len())? + MEMBERS / 10 - 1;
    fill(&app, &workspace, &channel, MEMBERS - there - i64::try_from(JOINING)?).await;
    let many = join(&app, &people[1 + JOINING..=2 * JOINING], &channel).await?;
    println!("| joining beside {MEMBERS} members | {many} |");
    let count = people[0].conversation(&channel).await["member_count"].as_i64();
    ensure!(count == Some(MEMBERS), "the channel has {count:?} members");
    ensure!(members.count() + JOINING + 1 == CONNECTED, "not all users are members");

    let others: Vec<&Member> = people[1..].iter().collect();
    let group = people[0].open_group("Hall", &others).await;
    let small = people[0].open_group("Twenty", &others[..19]).await;

    let process = app.instances[0].process_id();
    let mut crowd = Vec::with_capacity(CONNECTED);
    for person in &people {
        crowd.push(Reader::connect(person).await?);
    }
    let hellos = times(crowd.iter().map(|reader| reader.greeted).collect());
    println!("| connection to `hello` | {hellos} |");
    for reader in &crowd[..LOOKING] {
        reader.say("view", &json!({ "conversation_ids": [channel] }));
    }

    for (path, what) in [("/r1/conversations?page_size=200", "the list of conversations")] {
        let mut took = Vec::new();
        for person in &people[..CALLS] {
            let begun = Instant::now();
            person.get(path).await.data_with(200);
            took.push(begun.elapsed());
        }
        println!("| {what} | {} |", times(took));
    }
    let mut took = Vec::new();
    for person in &people[..CALLS] {
        let begun = Instant::now();
        let base = format!("/r1/conversations/{channel}");
        let [messages, page] = [format!("{base}/messages?limit=50"), format!("{base}/members?page=1&page_size=50")];
        let answers = tokio::join!(person.get(&base), person.get(&messages), person.get(&page));
        for answer in [answers.0, answers.1, answers.2] {
            answer.data_with(200);
        }
        took.push(begun.elapsed());
    }
    println!("| opening it (itself, messages, members) | {} |", times(took));

    let mut costs = Vec::new();
    // Measures the conversations in turn, twice, so that disturbances affect all of them.
    for _ in 0..2 {
        for (id, followers) in [(&group, CONNECTED), (&channel, CONNECTED), (&small, 20)] {
            let cost = fan_out(process, &people[0], id, &crowd, followers).await?;
            eprintln!("{followers} followers: {:.2} ms of processor time for each message", cost * 1e3);
            costs.push(cost);
        }
    }
    let mean = |at: usize| f64::midpoint(costs[at], costs[at + 3]);
    println!("| processor time of a message: group of {CONNECTED}, all connected | {:.2} ms |", mean(0) * 1e3);
    println!("| … channel of {MEMBERS}, {CONNECTED} connected, {LOOKING} looking | {:.2} ms |", mean(1) * 1e3);
    println!("| … ratio | {:.2} |", mean(1) / mean(0));
    println!("| … group of 20 | {:.2} ms |", mean(2) * 1e3);
    mention_all(&app, &people[..2], &channel, &small).await?;
    deploy(&people, &mut crowd).await
}

async fn sign_up(app: &Application) -> anyhow::Result<Vec<Member>> {
    let base = app.url();
    let mut people = Vec::with_capacity(CONNECTED);
    while people.len() < CONNECTED {
        let crowd = (0..4).map(|_| {
            let base = base.clone();
            tokio::spawn(async move { Member::sign_up(&base, "Member").await })
        });
        for person in crowd.collect::<Vec<_>>() {
            people.push(person.await?);
        }
    }
    Ok(people)
}

async fn shared_workspace(person: &Member) -> anyhow::Result<String> {
    let workspaces = person.get("/r1/workspaces").await.data_with(200);
    let items = workspaces["items"].as_array().context("no workspaces")?;
    let shared = items.iter().find(|workspace| workspace["personal"] == false).context("no shared workspace")?;
    text(shared, "id")
}

/// Creates users by SQL, as copies of a user's rows, and adds them to the workspace and the
/// channel.
async fn fill(app: &Application, workspace: &str, channel: &str, count: i64) {
    let copies = format!(
        "CREATE TEMP TABLE crowd AS SELECT u.* FROM users u, generate_series(1, {count}) \
           WHERE u.id = (SELECT user_id FROM conversation_members WHERE conversation_id = '{channel}' LIMIT 1); \
         UPDATE crowd SET id = gen_random_uuid(); UPDATE crowd SET email = id || '@crowd.test'; \
         INSERT INTO users SELECT * FROM crowd; \
         CREATE TEMP TABLE places AS SELECT w.* FROM workspace_members w, generate_series(1, {count}) \
           WHERE w.workspace_id = '{workspace}' AND w.user_id = (SELECT user_id FROM conversation_members WHERE conversation_id = '{channel}' LIMIT 1); \
         WITH numbered AS (SELECT ctid, ROW_NUMBER() OVER () AS n FROM places), ids AS (SELECT id, ROW_NUMBER() OVER () AS n FROM crowd) \
           UPDATE places SET user_id = ids.id FROM numbered, ids WHERE places.ctid = numbered.ctid AND numbered.n = ids.n; \
         INSERT INTO workspace_members SELECT * FROM places; \
         {}",
        membership(channel, "SELECT id FROM crowd", count)
    );
    app.database.run(&copies).await;
    // With so many members, the database would have updated its statistics.
    app.database.run("ANALYZE").await;
}

/// Adds users to the channel by SQL.
async fn add(app: &Application, channel: &str, people: &[Member]) {
    let ids: Vec<String> = people.iter().map(|person| format!("('{}'::uuid)", person.id)).collect();
    let source = format!("SELECT * FROM (VALUES {}) AS v (id)", ids.join(","));
    let count = i64::try_from(people.len()).unwrap_or(i64::MAX);
    app.database.run(&membership(channel, &source, count)).await;
}

fn membership(channel: &str, source: &str, count: i64) -> String {
    format!(
        "CREATE TEMP TABLE seats AS SELECT m.*, p.id AS who FROM (SELECT * FROM conversation_members WHERE conversation_id = '{channel}' LIMIT 1) m, ({source}) p; \
         UPDATE seats SET user_id = who, role = 'member'; ALTER TABLE seats DROP COLUMN who; \
         INSERT INTO conversation_members SELECT * FROM seats; \
         UPDATE conversation_counts SET members = members + {count} WHERE conversation_id = '{channel}'"
    )
}

/// Lets the users join one after the other.
async fn join(app: &Application, people: &[Member], channel: &str) -> anyhow::Result<String> {
    let process = app.instances[0].process_id();
    let (cpu, mut took) = (Cpu::of(process)?, Vec::new());
    for person in people {
        let begun = Instant::now();
        person.post(&format!("/r1/conversations/{channel}/join"), json!({})).await.data_with(200);
        took.push(begun.elapsed());
    }
    #[expect(clippy::cast_precision_loss)]
    let cpu = Cpu::of(process)?.since(cpu).total() / people.len() as f64;
    Ok(format!("{}; {:.2} ms of processor time", times(took), cpu * 1e3))
}

/// Measures the CPU time of the server, in seconds, for sending a message to these readers.
async fn fan_out(process: u32, sender: &Member, id: &str, crowd: &[Reader], followers: usize) -> anyhow::Result<f64> {
    let got = |crowd: &[Reader]| crowd.iter().map(|reader| reader.told.messages.load(Ordering::Relaxed)).sum::<u64>();
    let (before, cpu) = (got(crowd), Cpu::of(process)?);
    let mut ticks = tokio::time::interval(PAUSE);
    for number in 0..MESSAGES {
        ticks.tick().await;
        sender.send_message(id, &format!("a message of some length, number {number}")).await;
    }
    let begun = Instant::now();
    let expected = before + u64::from(MESSAGES) * followers as u64;
    while got(crowd) < expected {
        ensure!(begun.elapsed() < PATIENCE, "received {} of {expected}", got(crowd));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let cpu = Cpu::of(process)?.since(cpu).total();
    ensure!(got(crowd) == expected, "more messages received than sent");
    Ok(cpu / f64::from(MESSAGES))
}

/// Sends a message that mentions everyone. Measures the cost until the last member has the
/// notification, and the latency of other messages meanwhile.
async fn mention_all(app: &Application, people: &[Member], channel: &str, elsewhere: &str) -> anyhow::Result<()> {
    let (process, [sender, other]) = (app.instances[0].process_id(), people) else { bail!("two users are needed") };
    let send = async || {
        let begun = Instant::now();
        other.send_message(elsewhere, "a message of some length, meanwhile").await;
        begun.elapsed()
    };
    let mut alone = Vec::new();
    for _ in 0..CALLS {
        alone.push(send().await);
    }
    let count = "SELECT COUNT(*) FROM notifications WHERE kind = 'mention'";
    let before = app.database.number(count).await;
    let body = json!({ "client_id": new_id(), "content": "all of you, please", "mentions": [{ "kind": "all" }], "confirm": true });
    let (cpu, begun) = (Cpu::of(process)?, Instant::now());
    sender.post(&format!("/r1/conversations/{channel}/messages"), body).await.data_with(201);
    let answered = begun.elapsed();
    let mut beside = Vec::new();
    loop {
        beside.push(send().await);
        if app.database.number(count).await - before >= MEMBERS - 1 {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "not all users were notified");
    }
    let (all, cpu) = (begun.elapsed(), Cpu::of(process)?.since(cpu).total());
    println!("| one @all to {MEMBERS} members: its sender waits | {:.1} ms |", answered.as_secs_f64() * 1e3);
    println!(
        "| … until the last one has it in their list | {:.2} s; {cpu:.2} s of processor time |",
        all.as_secs_f64()
    );
    println!("| … messages elsewhere before it | {} |", times(alone));
    println!("| … messages elsewhere meanwhile ({}) | {} |", beside.len(), times(beside));
    Ok(())
}

/// Disconnects and reconnects all users except viewers. Measures the presence updates that watchers
/// receive.
async fn deploy(people: &[Member], crowd: &mut Vec<Reader>) -> anyhow::Result<()> {
    let watched: Vec<&str> = people[LOOKING..LOOKING + WATCHED].iter().map(|person| person.id.as_str()).collect();
    for reader in &crowd[..LOOKING] {
        reader.say("presence.watch", &json!({ "user_ids": watched }));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = |crowd: &[Reader]| -> Vec<u64> {
        crowd[..LOOKING].iter().map(|reader| reader.told.presence.load(Ordering::Relaxed)).collect()
    };
    let first = told(crowd);
    crowd.truncate(LOOKING);
    let mut pause = tokio::time::interval(DEPLOY / u32::try_from(CONNECTED - LOOKING)?);
    let (mut second, mut before, mut most) = (Instant::now(), first.clone(), 0);
    let mut look = |crowd: &[Reader], is_last: bool| {
        if second.elapsed() >= Duration::from_secs(1) || is_last {
            let now = told(crowd);
            most = most.max(now.iter().zip(&before).map(|(now, before)| now - before).max().unwrap_or(0));
            (before, second) = (now, Instant::now());
        }
        most
    };
    for person in &people[LOOKING..] {
        pause.tick().await;
        crowd.push(Reader::connect(person).await?);
        look(crowd, false);
    }
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        look(crowd, false);
    }
    let most = look(crowd, true);
    let all: u64 = told(crowd).iter().zip(&first).map(|(now, first)| now - first).sum();
    println!(
        "| presence of {WATCHED} people, {} leave and come in {DEPLOY:?}: frames to a watcher | {} in all, at most {most} in a second |",
        CONNECTED - LOOKING,
        all / LOOKING as u64
    );
    ensure!(all > 0, "no notification received");
    Ok(())
}

/// Connection that counts the events it receives.
struct Reader {
    told: Arc<Told>,
    greeted: Duration,
    out: mpsc::UnboundedSender<Vec<u8>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Told {
    messages: AtomicU64,
    presence: AtomicU64,
    is_greeted: AtomicBool,
    last_words: Mutex<String>,
}

impl Reader {
    async fn connect(person: &Member) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let address = person.base().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /r1/websocket HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {}\r\n\r\n",
            person.access_token()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = Vec::new();
        while memmem::find(&buffer, b"\r\n\r\n").is_none() {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the connection was refused");
        }
        ensure!(buffer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&buffer));
        let end = memmem::find(&buffer, b"\r\n\r\n").context("unterminated response")? + 4;
        buffer.drain(..end);
        let told: Arc<Told> = Arc::default();
        let (out, orders) = mpsc::unbounded_channel();
        let task = tokio::spawn({
            let told = Arc::clone(&told);
            async move {
                if let Err(error) = read(stream, buffer, &told, orders).await {
                    *told.last_words.lock().unwrap_or_else(PoisonError::into_inner) = format!("{error:#}");
                }
            }
        });
        while !told.is_greeted.load(Ordering::Relaxed) {
            if begun.elapsed() > PATIENCE {
                bail!("expected hello, got: {}", told.last_words.lock().unwrap_or_else(PoisonError::into_inner));
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Ok(Self { told, greeted: begun.elapsed(), out, task })
    }

    fn say(&self, kind: &str, payload: &Value) {
        let frame = json!({ "id": new_id(), "type": kind, "timestamp": "2026-01-01T00:00:00Z", "payload": payload });
        let _ = self.out.send(frame::masked(frame::TEXT, frame.to_string().as_bytes()));
    }
}

impl Drop for Reader {
    /// Disconnects without sending a close frame.
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(
    mut stream: TcpStream,
    mut buffer: Vec<u8>,
    told: &Told,
    mut orders: mpsc::UnboundedReceiver<Vec<u8>>,
) -> anyhow::Result<()> {
    loop {
        while let Some((opcode, start, stop)) = frame::first(&buffer) {
            match opcode {
                frame::TEXT => {
                    // Searches for the type only at the start of the frame; parsing the whole frame
                    // would cost more than the server's send.
                    let head = &buffer[start..stop.min(start + 160)];
                    let is = |kind: &str| memmem::find(head, kind.as_bytes()).is_some();
                    if is("\"message.created\"") {
                        told.messages.fetch_add(1, Ordering::Relaxed);
                    } else if is("\"presence") {
                        told.presence.fetch_add(1, Ordering::Relaxed);
                    } else if is("\"hello\"") {
                        told.is_greeted.store(true, Ordering::Relaxed);
                    } else if is("\"error\"") {
                        bail!("{}", String::from_utf8_lossy(&buffer[start..stop]));
                    }
                }
                frame::PING => stream.write_all(&frame::masked(frame::PONG, &buffer[start..stop])).await?,
                frame::CLOSE => bail!("connection closed by the server"),
                _ => {}
            }
            buffer.drain(..stop);
        }
        tokio::select! {
            read = stream.read_buf(&mut buffer) => if read? == 0 { bail!("connection ended by the server") },
            order = orders.recv() => match order {
                Some(order) => stream.write_all(&order).await?,
                None => return Ok(()),
            },
        }
    }
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {value}"))
}

/// Median, 95th percentile and maximum.
fn times(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1_000.0;
    format!("p50 {:.1}, p95 {:.1}, longest {:.1} ms", at(50), at(95), at(100))
}
