//! Compressed working day of a company of 300 people on one instance, with which the capacity table
//! of `docs/scaling.md` is checked.
//!
//! The work of 24 hours is done within minutes. CPU time is therefore given for the work, without
//! that of an idle server, and the work of the peak hour is related to a real hour. Messages are
//! closer to each other than in reality, so more of them share a commit, and updates of which only
//! the latest counts are sent less often: a longer run has costs closer to those of a real day.

mod connection;
mod measuring;
mod people;
mod plan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use support::{Application, Setup};
use tokio::time::sleep;

use self::{
    measuring::{CpuTimes, Stored, Tally},
    people::Company,
    plan::{Action, PEAK_HOUR, PEOPLE, Plan, online},
};
use crate::durable::costs::wait_until_idle;
use crate::machine::{self, mebibytes};
use crate::search::Database;

/// Time between connecting and measuring an idle server, and duration of that measurement.
const SETTLING: Duration = Duration::from_secs(12);
const IDLE: Duration = Duration::from_secs(20);
const MINUTES_PER_DAY: u32 = 24 * 60;

/// Measured figures. Memory is in bytes, CPU time in seconds.
struct Outcome {
    /// Resident memory after the set-up, with the connections of the peak hour, at most during the
    /// day, and at its end.
    memory: [u64; 4],
    /// CPU time per second with the connections of the peak hour.
    idle: f64,
    /// CPU time of the day, and that of its peak hour, without that of an idle server.
    work: CpuTimes,
    peak: CpuTimes,
    messages: i64,
    /// Growth of the database, the search index and the uploaded files, in bytes.
    growth: [i64; 3],
}

/// Prints the figures of a day that is compressed into this number of minutes.
pub fn measure(database: Database, minutes: u32) -> anyhow::Result<()> {
    println!("{}\n", machine::describe());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(database, minutes))
}

async fn run(database: Database, minutes: u32) -> anyhow::Result<()> {
    let plan = Plan::new();
    let tally = Arc::new(Tally::start());
    // The limits hold for real time.
    let app = Setup::new()
        .on(database.engine())
        .set("realtime.max_frames_per_second", 1_000_000)
        .set("rate_limit.enabled", false)
        .start()
        .await;
    eprintln!("{PEOPLE} people sign up");
    let mut company = Company::found(&app, &plan.conversations, &tally).await?;
    let outcome = live_through(&app, &plan, &mut company, &tally, minutes).await?;

    let unfinished = app.database.number("SELECT COUNT(*) FROM messages WHERE status <> 'complete'").await;
    if unfinished > 0 {
        tally.fail(format_args!("{unfinished} answers are not complete"));
    }
    let (acknowledged, _) = tally.acknowledgements();
    if acknowledged != plan.frames() {
        tally.fail(format_args!("{acknowledged} of {} messages were acknowledged", plan.frames()));
    }
    print(database, minutes, &outcome, &tally);
    ensure!(tally.errors() == 0, "{} errors", tally.errors());
    Ok(())
}

async fn live_through(
    app: &Application,
    plan: &Plan,
    company: &mut Company,
    tally: &Tally,
    minutes: u32,
) -> anyhow::Result<Outcome> {
    let instance = &app.instances[0];
    let process = instance.process_id();
    wait_until_idle(app).await?;
    let empty = machine::memory(process)?;
    for person in 0..online(PEAK_HOUR) {
        company.perform(person, Action::Arrive, 0);
    }
    sleep(SETTLING).await;
    let (connected, before) = (machine::memory(process)?, CpuTimes::read(process)?);
    sleep(IDLE).await;
    let idle = CpuTimes::read(process)?.since(before).scaled(1.0 / IDLE.as_secs_f64());
    for person in online(0)..online(PEAK_HOUR) {
        company.perform(person, Action::Leave, 0);
    }
    sleep(SETTLING).await;

    eprintln!("a day in {minutes} minutes");
    let stored = Stored::read(app).await?;
    instance.reset_peak_memory();
    let (start, started, before) = (tally.watch.nanoseconds(), Instant::now(), CpuTimes::read(process)?);
    let compressed = |time: Duration| time * minutes / MINUTES_PER_DAY;
    let peak = tokio::spawn({
        let [begin, end] = plan::peak().map(|time| started + compressed(time));
        async move {
            tokio::time::sleep_until(begin.into()).await;
            let before = CpuTimes::read(process)?;
            tokio::time::sleep_until(end.into()).await;
            CpuTimes::read(process).map(|after| after.since(before))
        }
    });
    for step in &plan.steps {
        let at = compressed(step.at);
        tokio::time::sleep_until((started + at).into()).await;
        company.perform(step.person, step.action, start + u64::try_from(at.as_nanos())?);
    }
    company.finish_calls().await;
    wait_until_idle(app).await?;
    let (work, elapsed) = (CpuTimes::read(process)?.since(before), started.elapsed());
    let idle_for = |time: Duration| idle.scaled(time.as_secs_f64());
    let now = Stored::read(app).await?;
    Ok(Outcome {
        memory: [empty, connected, instance.peak_memory(), machine::memory(process)?],
        idle: idle.natter,
        work: work.since(idle_for(elapsed)),
        peak: peak.await??.since(idle_for(compressed(plan::HOUR))),
        messages: now.messages - stored.messages,
        growth: std::array::from_fn(|kind| now.bytes[kind] - stored.bytes[kind]),
    })
}

fn print(database: Database, minutes: u32, outcome: &Outcome, tally: &Tally) {
    let Outcome { memory, idle, work, peak, messages, growth } = outcome;
    let (_, acknowledgement) = tally.acknowledgements();
    let (deliveries, delivery) = tally.deliveries();
    let [empty, connected, most, end] = memory.map(|bytes| format!("{:.0} MiB", mebibytes(bytes)));
    #[expect(clippy::cast_precision_loss, reason = "figures to look at")]
    let (messages, grown) = (*messages as f64, growth.map(|bytes| bytes as f64));
    let share = |seconds: f64| format!("{:.2} %", seconds / plan::HOUR.as_secs_f64() * 100.0);
    let size = |bytes: f64| format!("{:.1} MB a day, {:.1} GB a year", bytes / 1e6, bytes * 365.0 / 1e9);
    let mut rows = vec![
        ("stored messages", format!("{messages:.0}")),
        ("deliveries to connections", deliveries.to_string()),
        ("processor time of Natter for the day", format!("{:.1} s", work.natter)),
        ("… per message, with everything that people do beside it", format!("{:.2} ms", work.natter * 1e3 / messages)),
        ("… of the work of the peak hour, share of a core over a real hour", share(peak.natter)),
        ("… idle, with the connections of the peak hour, share of a core", format!("{:.2} %", idle * 100.0)),
    ];
    if database == Database::Postgres {
        rows.extend([
            ("processor time of PostgreSQL and Redis for the day", format!("{:.1} s", work.database)),
            ("… of the work of the peak hour, share of a core over a real hour", share(peak.database)),
        ]);
    }
    rows.extend([
        ("memory without connections", empty),
        ("memory with the connections of the peak hour", connected),
        ("memory at most during the day", most),
        ("memory at the end of the day", end),
        ("growth of the database", size(grown[0])),
        ("growth of the search index", size(grown[1])),
        ("growth of the uploaded files", size(grown[2])),
        ("from sending to acknowledgement, p50 / p95 / p99", acknowledgement),
        ("from sending to delivery, p50 / p95 / p99", delivery),
        ("errors", tally.errors().to_string()),
    ]);
    println!("| {PEOPLE} people, a day in {minutes} minutes, {} | |\n|---|--:|", database.name());
    for (name, value) in rows {
        println!("| {name} | {value} |");
    }
}
