//! Servers that keep messages: Natter, XMPP and Matrix servers with an archive in PostgreSQL, and JetStream. They get
//! the same rooms, people and messages.
//!
//! A message counts when the server has confirmed that it is stored, and a delivery when another member of the room has
//! received it. The processor time is that of the server and of PostgreSQL.

mod matrix;
mod nats;
mod natter;
mod peer;
mod person;
mod xmpp;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use crate::machine;
pub use peer::Peer;
use peer::Running;
use person::{Person, Tally};

/// File of the report.
const REPORT: &str = "benchmark-chat.md";
/// Time after the start of the load before it is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// Duration of each measurement.
const DURATION: Duration = Duration::from_secs(10);
/// Maximum time until all messages are delivered.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval at which counts are compared.
const INTERVAL: Duration = Duration::from_millis(100);

/// Rooms, their members, and the load.
#[derive(Clone, Copy)]
pub struct Scenario {
    name: &'static str,
    rooms: usize,
    members: usize,
    people: usize,
    /// Number of people who send as fast as their messages are confirmed, and the number of unconfirmed messages of each.
    senders: usize,
    window: usize,
    /// Messages per second at which the latency is measured.
    rate: u32,
}

const MANY: Scenario = Scenario {
    name: "1,000 rooms of 10",
    rooms: 1_000,
    members: 10,
    people: 1_000,
    senders: 100,
    window: 8,
    rate: 100,
};
const ONE: Scenario =
    Scenario { name: "one room of 1,000", rooms: 1, members: 1_000, people: 1_000, senders: 8, window: 1, rate: 5 };

impl Scenario {
    /// Returns the size for this server. Synapse takes 40 ms for each member of a room, so that it has fewer of them.
    const fn of(self, peer: Peer) -> Self {
        match (peer, self.rooms) {
            (Peer::Synapse, 1) => {
                Self { name: "one room of 100", members: 100, people: 100, senders: 8, rate: 2, ..self }
            }
            (Peer::Synapse, _) => {
                Self { name: "100 rooms of 10", rooms: 100, people: 100, senders: 10, window: 1, rate: 5, ..self }
            }
            _ => self,
        }
    }

    /// Rooms of a person. Each person is in the same number of rooms.
    fn rooms_of(self, person: usize) -> Vec<usize> {
        let each = self.rooms * self.members / self.people;
        (0..each).map(|number| (person / self.members + number * self.rooms / each) % self.rooms).collect()
    }
}

struct Outcome {
    peer: Peer,
    scenario: Scenario,
    kept: f64,
    server_cpu: f64,
    database_cpu: f64,
    kept_per_second: f64,
    delivered: f64,
    p50: f64,
    p99: f64,
    bytes_per_connection: f64,
}

impl Outcome {
    fn kept_per_cpu_second(&self) -> f64 {
        self.kept / (self.server_cpu + self.database_cpu)
    }
}

pub fn measure(peers: &Path, docs: &Path, chosen: &[Peer]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let chosen = if chosen.is_empty() { &Peer::ALL } else { chosen };
    let mut outcomes = Vec::new();
    for scenario in [MANY, ONE] {
        for peer in chosen {
            let outcome = runtime.block_on(run(*peer, scenario.of(*peer), peers));
            let outcome = outcome.with_context(|| format!("{}, {}", peer.name(), scenario.name))?;
            eprintln!(
                "{}, {}: {:.0} kept/s, {:.0} kept and {:.0} delivered per CPU second ({:.1} s server, {:.1} s database), \
                 p50 {:.1} p99 {:.1} ms, {:.0} bytes per connection",
                peer.name(),
                outcome.scenario.name,
                outcome.kept_per_second,
                outcome.kept_per_cpu_second(),
                outcome.delivered / (outcome.server_cpu + outcome.database_cpu),
                outcome.server_cpu,
                outcome.database_cpu,
                outcome.p50,
                outcome.p99,
                outcome.bytes_per_connection,
            );
            outcomes.push(outcome);
        }
    }
    let report = report(&outcomes)?;
    print!("{report}");
    if chosen.len() == Peer::ALL.len() {
        fs::write(docs.join(REPORT), report)?;
    }
    Ok(())
}

async fn run(peer: Peer, scenario: Scenario, peers: &Path) -> anyhow::Result<Outcome> {
    let running = peer.start(peers).await?;
    let empty = machine::memory(running.process())?;
    let tally = Tally::start();
    let mut people = running.connect(scenario, &tally).await?;
    // Memory that was used for joining is released after some seconds.
    tokio::time::sleep(WARM_UP * 2).await;
    let joined = machine::memory(running.process())?;
    pace(&mut people, scenario, &tally).await?;
    let (p50, p99) = tally.percentiles();
    let outcome = saturate(&running, &mut people, scenario, &tally).await?;
    #[expect(clippy::cast_precision_loss)]
    let bytes_per_connection = joined.saturating_sub(empty) as f64 / scenario.people as f64;
    Ok(Outcome { p50, p99, bytes_per_connection, ..outcome })
}

/// Sends messages at a fixed rate, each to another room, and waits until all are delivered.
async fn pace(people: &mut [Person], scenario: Scenario, tally: &Tally) -> anyhow::Result<()> {
    let total = u64::from(scenario.rate) * DURATION.as_secs();
    let before = tally.delivered.load(Ordering::Relaxed);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / scenario.rate);
    tally.recording.store(true, Ordering::Relaxed);
    for number in 0..usize::try_from(total)? {
        ticks.tick().await;
        let person = number * 37 % scenario.people;
        people[person].send(scenario.rooms_of(person)[0]);
    }
    wait_for(tally, before + total * (scenario.members as u64 - 1)).await?;
    for number in 0..usize::try_from(total)? {
        people[number * 37 % scenario.people].confirmed().await?;
    }
    tally.recording.store(false, Ordering::Relaxed);
    Ok(())
}

/// Sends as fast as messages are confirmed.
async fn saturate(
    running: &Running,
    people: &mut Vec<Person>,
    scenario: Scenario,
    tally: &Tally,
) -> anyhow::Result<Outcome> {
    let (stored, delivered) = (running.stored().await?, tally.delivered.load(Ordering::Relaxed));
    let cpu = running.cpu()?;
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    // One person of each of the first rooms sends.
    let step = if scenario.rooms == 1 { 1 } else { scenario.members };
    let mut senders: Vec<Person> = Vec::new();
    for number in (0..scenario.senders).rev() {
        senders.push(people.swap_remove(number * step));
    }
    for (number, mut sender) in senders.into_iter().rev().enumerate() {
        let room = scenario.rooms_of(number * step)[0];
        tasks.spawn(async move {
            let mut sent = 0_u64;
            let mut confirmed = 0_u64;
            for _ in 0..scenario.window {
                sender.send(room);
                sent += 1;
            }
            while confirmed < sent {
                sender.confirmed().await?;
                confirmed += 1;
                if begun.elapsed() < DURATION {
                    sender.send(room);
                    sent += 1;
                }
            }
            anyhow::Ok((sender, confirmed))
        });
    }
    let mut kept = 0;
    while let Some(ended) = tasks.join_next().await {
        let (sender, confirmed) = ended??;
        kept += confirmed;
        people.push(sender);
    }
    wait_for(tally, delivered + kept * (scenario.members as u64 - 1)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let [server_cpu, database_cpu] = running.cpu()?;
    let found = running.stored().await? - stored;
    ensure!(u64::try_from(found)? == kept, "{kept} messages were confirmed, and {found} are stored");
    #[expect(clippy::cast_precision_loss)]
    Ok(Outcome {
        peer: running.peer,
        scenario,
        kept: kept as f64,
        delivered: (tally.delivered.load(Ordering::Relaxed) - delivered) as f64,
        kept_per_second: kept as f64 / seconds,
        server_cpu: server_cpu - cpu[0],
        database_cpu: database_cpu - cpu[1],
        p50: 0.0,
        p99: 0.0,
        bytes_per_connection: 0.0,
    })
}

async fn wait_for(tally: &Tally, deliveries: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let delivered = tally.delivered.load(Ordering::Relaxed);
        tally.check()?;
        if delivered >= deliveries {
            ensure!(delivered == deliveries, "{delivered} deliveries in place of {deliveries}");
            return Ok(());
        }
        ensure!(begun.elapsed() < DELIVERY_TIMEOUT, "only {delivered} of {deliveries} messages were delivered");
        tokio::time::sleep(INTERVAL).await;
    }
}

fn report(outcomes: &[Outcome]) -> anyhow::Result<String> {
    let mut text = format!(
        "# Chat servers that keep messages\n\n`bench/run --chat` has measured these figures on {}.\n",
        machine::describe()
    );
    for scenario in [MANY, ONE] {
        write!(
            text,
            "\n## {}\n\n| | messages kept per second | kept per CPU second | delivered per CPU second | CPU time per message: server, database | p50, p99 at {} messages/s | memory per connection |\n|---|--:|--:|--:|--:|--:|--:|\n",
            scenario.name, scenario.rate
        )?;
        for outcome in outcomes.iter().filter(|outcome| (outcome.scenario.rooms == 1) == (scenario.rooms == 1)) {
            let size = if outcome.scenario.name == scenario.name {
                String::new()
            } else {
                format!(", {} at {} messages/s", outcome.scenario.name, outcome.scenario.rate)
            };
            writeln!(
                text,
                "| {}{size} | {:.0} | {:.0} | {:.0} | {:.0} µs, {:.0} µs | {:.1} ms, {:.1} ms | {:.1} KB |",
                outcome.peer.name(),
                outcome.kept_per_second,
                outcome.kept_per_cpu_second(),
                outcome.delivered / (outcome.server_cpu + outcome.database_cpu),
                outcome.server_cpu * 1e6 / outcome.kept,
                outcome.database_cpu * 1e6 / outcome.kept,
                outcome.p50,
                outcome.p99,
                outcome.bytes_per_connection / 1e3,
            )?;
        }
    }
    Ok(text)
}
