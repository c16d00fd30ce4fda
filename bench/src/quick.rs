//! Few figures, measured in at most three minutes, by which commits can be compared. Each run adds
//! them to the history of the benchmark.
//!
//! CPU times are given in multiples of a `write(2)` as well, so that hosts can be compared. Its CPU
//! time is that of a delivery by the bare loop of writes, on the same host in the same run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::durable::{self, MessageCost, Persistence};
use crate::machine::{self, Cores, mebibytes};
use crate::report::figure;
use crate::subject::{Programs, Subject};
use crate::work::{self, FanOut, Part, count};
use crate::world::World;
use crate::{gateway, search};

/// File of the history in the documentation folder.
const HISTORY: &str = "benchmark-history.md";
const WARM_UP: Duration = Duration::from_secs(2);
/// Time in which messages are sent at full speed.
const DURATION: Duration = Duration::from_secs(6);
/// Number of searched messages, of messages written per second meanwhile, and of searches per class
/// and user.
const MESSAGES: u64 = 50_000;
const WRITTEN: u64 = 100;
const SEARCHES: usize = 25;
const FAN_OUT_ROUNDS: usize = 2;
const GATEWAY_ROUNDS: u32 = 3;

pub fn measure(natter: &Path, peers: &Path, results: &Path, docs: &Path, commit: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    let finished = |part: &str| eprintln!("{:.0} s: {part} measured", begun.elapsed().as_secs_f64());
    println!("{}", machine::describe());
    let core_count = machine::allowed_cores()?.len();
    let (programs, cores) = (Programs::new(natter, peers)?, Cores::choose()?);
    // These parts use all cores, so they run before this thread is pinned to one.
    let sqlite = message_cost(Persistence::Sqlite)?;
    finished("messages on SQLite");
    let postgres = message_cost(Persistence::PostgresPair)?;
    finished("messages on PostgreSQL");
    let latency = search::measure_latency(MESSAGES, WRITTEN, SEARCHES)?;
    finished("searches");
    let world = World::open_hall(results)?;
    finished("users of the fan-out");
    cores.pin_generator()?;
    let fan_out = measure_fan_out(&programs, cores, &world)?;
    finished("fan-out");
    let calls = gateway::compare(cores, &programs.natter, &programs.peers, GATEWAY_ROUNDS)?;
    finished("gateway");

    let in_writes = |cost: &MessageCost| format!("{} ({:.1} ×)", figure(cost.cpu), cost.cpu / fan_out.write);
    let memory = [sqlite.memory, postgres.memory, latency.memory, fan_out.memory, calls.memory];
    let memory = memory.map(|bytes| format!("{:.0}", mebibytes(bytes))).join(" / ");
    let disturbance = fan_out.disturbance.max(calls.disturbance);
    let cells = [
        ("date", today()),
        ("commit", commit.to_owned()),
        ("cores", core_count.to_string()),
        ("write(2), CPU µs", figure(fan_out.write)),
        ("message on SQLite, CPU µs (× write(2))", in_writes(&sqlite)),
        ("message on PostgreSQL, 2 instances, CPU µs (× write(2))", in_writes(&postgres)),
        ("fan-out, deliveries per CPU second × bare loop", figure(fan_out.ratio)),
        ("1,000 plain gateway calls, CPU s", format!("{:.3} ({:.2} × {})", calls.plain, calls.ratio, calls.other)),
        ("search p50 / p95, ms", format!("{:.1} / {:.1}", latency.p50, latency.p95)),
        ("memory after SQLite / PostgreSQL / search / fan-out / gateway, MiB", memory),
        ("CPU used by others, %", format!("{:.0}", disturbance * 100.0)),
    ];
    for (name, value) in &cells {
        println!("{name}: {value}");
    }
    let file = docs.join(HISTORY);
    add_row(&file, &cells)?;
    eprintln!("{} written after {:.0} s", file.display(), begun.elapsed().as_secs_f64());
    Ok(())
}

fn message_cost(persistence: Persistence) -> anyhow::Result<MessageCost> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(durable::measure_cost(persistence, WARM_UP, DURATION))
}

/// Deliveries to 1,000 readers of one channel.
struct FanOutCost {
    /// CPU time of a delivery by the bare loop of writes, in microseconds.
    write: f64,
    /// Deliveries of Natter per CPU second, as a multiple of those of the loop.
    ratio: f64,
    /// Resident memory of Natter after the deliveries, in bytes.
    memory: u64,
    /// Maximum share of both cores that other processes used.
    disturbance: f64,
}

/// Measures the bare loop of writes and Natter in turn, so that disturbances affect both.
fn measure_fan_out(programs: &Programs, cores: Cores, world: &(World, PathBuf)) -> anyhow::Result<FanOutCost> {
    let mut measured: [Vec<FanOut>; 2] = Default::default();
    let (mut memory, mut disturbance) = (0, 0.0_f64);
    for round in 1..=FAN_OUT_ROUNDS {
        for (rounds, subject) in measured.iter_mut().zip([Subject::Floor, Subject::NatterJson]) {
            let running = programs.start(subject, cores, Some(world))?;
            let outcome = work::measure(&running, cores, Part::Fan1000, round, None)?;
            crate::tell(&outcome);
            memory = machine::memory(running.server.process())?;
            disturbance = disturbance.max(outcome.disturbance);
            let fan_out = outcome.fan_out.context("no deliveries")?;
            ensure!(fan_out.lost == 0 && fan_out.ended == 0, "{} lost deliveries", subject.title());
            rounds.push(fan_out);
        }
    }
    let [write, natter] = measured.map(|rounds| delivery_cost(&rounds));
    Ok(FanOutCost { write: write * 1e6, ratio: write / natter, memory, disturbance })
}

/// CPU time of a delivery, in seconds.
fn delivery_cost(rounds: &[FanOut]) -> f64 {
    let cpu: f64 = rounds.iter().map(|round| round.cpu.total()).sum();
    let deliveries: u64 = rounds.iter().map(|round| round.deliveries).sum();
    cpu / count(deliveries)
}

/// Current date in UTC, as `2026-11-30`.
fn today() -> String {
    appcore::Clock::system().now().to_string().chars().take(10).collect()
}

/// Appends a row of named cells to the last table of the file. Starts a new table if that has other
/// columns.
fn add_row(file: &Path, cells: &[(&str, String)]) -> anyhow::Result<()> {
    let mut text = if file.exists() { fs::read_to_string(file)? } else { String::new() };
    let names: Vec<&str> = cells.iter().map(|(name, _)| *name).collect();
    let heading = format!("| {} |", names.join(" | "));
    let has_heading = text.lines().rfind(|line| line.starts_with("| date |")).is_some_and(|line| line == heading);
    if !has_heading {
        let _ = write!(text, "\n{heading}\n|{}\n", "---|".repeat(cells.len()));
    }
    let values: Vec<&str> = cells.iter().map(|(_, value)| value.as_str()).collect();
    let _ = writeln!(text, "| {} |", values.join(" | "));
    fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_rows_and_starts_a_table_when_columns_change() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join(HISTORY);
        fs::write(&file, "# History\n").expect("writable");
        let add = |name: &str, value: &str| {
            add_row(&file, &[("date", value.to_owned()), (name, value.to_owned())]).expect("writable");
        };
        add("a", "1");
        add("a", "2");
        add("b", "3");
        let text = fs::read_to_string(&file).expect("readable");
        let expected =
            "# History\n\n| date | a |\n|---|---|\n| 1 | 1 |\n| 2 | 2 |\n\n| date | b |\n|---|---|\n| 3 | 3 |\n";
        assert_eq!(text, expected);
    }
}
