//! Load generator: starts Natter and the servers with which it is compared in turn, gives each the
//! same work and records the results. `bench/run` builds everything and calls this program.

mod attacks;
mod beside;
mod broadcast;
mod bus;
mod channel;
mod chat;
mod crowd;
mod day;
mod dialect;
mod durable;
mod frame;
mod gateway;
mod log_size;
mod machine;
mod million;
mod picture;
mod pipeline;
mod quick;
mod report;
mod results;
mod search;
mod server;
mod storm;
mod subject;
mod targets;
mod uploads;
mod work;
mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;

use durable::Persistence;
use machine::Cores;
use results::Results;
use subject::{Programs, Subject};
use work::{Outcome, Part};
use world::World;

// Uses the same allocator as the measured program, so that the baseline handler differs only in
// what it leaves out.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Share of the two cores that other processes, including other guests of the host, may use during
/// a measurement without its being repeated.
const TRIFLE: f64 = 0.03;
/// Maximum number of attempts at a measurement without such disturbance.
const TRIES: usize = 3;

#[derive(Parser)]
struct Arguments {
    /// Kinds of work to measure; all of them by default.
    #[arg(long, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Servers to measure; all of them by default.
    #[arg(long, value_delimiter = ',')]
    subjects: Vec<Subject>,
    /// Storages for which to measure the durable path: all by default, none if only parts are
    /// named.
    #[arg(long, value_delimiter = ',')]
    durable: Vec<Persistence>,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measures only the reconnect storm.
    #[arg(long)]
    storm: bool,
    #[command(flatten)]
    storm_size: storm::Size,
    /// Measures only the channel of ten thousand members.
    #[arg(long)]
    channel: bool,
    /// Measures only the cost of an announcement to ten thousand connected users.
    #[arg(long)]
    broadcast: bool,
    /// Measures only the traffic of the bus with this number of instances.
    #[arg(long)]
    bus: Option<usize>,
    /// Measures only a compressed working day of a company of 300 people, on SQLite or on this database.
    #[arg(long, num_args = 0..=1, default_missing_value = "sqlite")]
    day: Option<search::Database>,
    /// Number of minutes into which this day is compressed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// Measures only chat servers that keep messages: all of them, or these.
    #[arg(long, value_delimiter = ',', num_args = 0..)]
    chat: Option<Vec<chat::Peer>>,
    /// Measures only idle connections, as many as the machine can hold.
    #[arg(long)]
    million: bool,
    #[command(flatten)]
    million_size: million::MillionSize,
    /// Measures only the AI gateway and its peers.
    #[arg(long)]
    gateway: bool,
    /// Measures only the stability of the AI gateway for this many minutes of calls.
    #[arg(long)]
    steady: Option<u32>,
    /// Measures only the cost of paying for calls from credits.
    #[arg(long)]
    credits: bool,
    /// Measures only file uploads, compared with nginx.
    #[arg(long)]
    uploads: bool,
    /// Measures only attacks and their effect on others.
    #[arg(long)]
    attacks: bool,
    /// Attacks to measure; all of them by default.
    #[arg(long, value_delimiter = ',', requires = "attacks")]
    only: Vec<attacks::Attack>,
    /// Measures only resources besides messages: boards, files, threads and notes.
    #[arg(long)]
    beside: bool,
    /// Measures only search in a million messages.
    #[arg(long)]
    search: bool,
    #[command(flatten)]
    search_size: search::SearchSize,
    /// Measures only reads of messages and events in partitioned tables of different sizes.
    #[arg(long)]
    log: bool,
    #[command(flatten)]
    log_size: log_size::LogSize,
    /// Measures only the cost of the middleware around a request.
    #[arg(long)]
    pipeline: bool,
    /// Number of rounds of this measurement, of two seconds each.
    #[arg(long, default_value_t = 60)]
    pipeline_rounds: usize,
    /// Measures only a few figures, in at most three minutes, and adds them to the history.
    #[arg(long)]
    quick: bool,
    /// Measured commit, for the history.
    #[arg(long, env = "BENCH_COMMIT", default_value = "unknown")]
    commit: String,
    /// Repeats measurements that already have results.
    #[arg(long)]
    again: bool,
    /// Time in seconds after which nothing new is started; the next run continues.
    #[arg(long = "for")]
    seconds: Option<u64>,
    /// Only writes the report, from existing results.
    #[arg(long)]
    only_report: bool,
    /// Folder of the results, which are kept between runs.
    #[arg(long, env = "BENCH_RESULTS")]
    results: PathBuf,
    /// Folder with the builds of the other servers.
    #[arg(long, env = "BENCH_PEERS")]
    peers: PathBuf,
    /// Release binary of the server.
    #[arg(long, env = "NATTER_BIN")]
    natter: PathBuf,
    /// Folder for perf profiles of the server. Results measured with profiling are not kept.
    #[arg(long)]
    profile: Option<PathBuf>,
    /// Folder of the report.
    #[arg(long, default_value = "docs")]
    docs: PathBuf,
}

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(pipeline::bare::FLAG) {
        return pipeline::bare::serve();
    }
    if std::env::args().nth(1).as_deref() == Some(million::CLIENTS) {
        return million::run_clients();
    }
    let mut arguments = Arguments::parse();
    if arguments.million {
        return million::measure(arguments.million_size);
    }
    if arguments.pipeline {
        return pipeline::measure(&arguments.natter, arguments.pipeline_rounds);
    }
    if let Some(chosen) = &arguments.chat {
        return chat::measure(&arguments.peers, &arguments.docs, chosen);
    }
    if arguments.gateway {
        return gateway::measure(&arguments.natter, &arguments.peers, arguments.rounds);
    }
    if let Some(instances) = arguments.bus {
        return bus::measure(instances);
    }
    if let Some(minutes) = arguments.steady {
        return gateway::steady::measure(&arguments.natter, &arguments.peers, minutes);
    }
    if arguments.credits {
        return gateway::credits::measure(&arguments.natter, &arguments.peers, arguments.rounds);
    }
    if arguments.uploads {
        return uploads::measure(&arguments.natter, arguments.rounds);
    }
    if arguments.attacks {
        return attacks::measure(&arguments.natter, &arguments.only);
    }
    if arguments.quick {
        let Arguments { natter, peers, results, docs, commit, .. } = &arguments;
        return quick::measure(natter, peers, results, docs, commit);
    }
    if arguments.beside {
        return beside::measure();
    }
    if arguments.broadcast {
        return broadcast::measure(&arguments.natter, &arguments.peers, &arguments.results);
    }
    if let Some(database) = arguments.day {
        return day::measure(database, arguments.minutes);
    }
    if arguments.search {
        return search::measure(&arguments.search_size, &arguments.docs);
    }
    if arguments.log {
        return log_size::measure(&arguments.log_size);
    }
    if arguments.channel {
        return channel::measure();
    }
    if arguments.storm {
        return storm::measure(arguments.storm_size);
    }
    let only_durable = !arguments.durable.is_empty() && arguments.parts.is_empty();
    let only_parts = arguments.durable.is_empty() && (!arguments.parts.is_empty() || !arguments.subjects.is_empty());
    if arguments.parts.is_empty() && !only_durable {
        arguments.parts = Part::ALL.to_vec();
    }
    if arguments.subjects.is_empty() {
        arguments.subjects = Subject::ALL.to_vec();
    }
    if arguments.durable.is_empty() && !only_parts {
        arguments.durable = Persistence::ALL.to_vec();
    }
    let results = Results::at(&arguments.results)?;
    if arguments.profile.is_some() {
        arguments.again = true;
        return measure_parts(&arguments, &results, None);
    }
    if !arguments.only_report {
        let end = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        // Runs before this thread is pinned to one core.
        let durable = measure_durable(&arguments, &results, end);
        measure_parts(&arguments, &results, end)?;
        durable?;
    }
    report::write(&results, &arguments.docs, &arguments.peers, &arguments.natter)?;
    eprintln!("{} written", arguments.docs.join(report::REPORT).display());
    Ok(())
}

fn measure_durable(arguments: &Arguments, results: &Results, end: Option<Instant>) -> anyhow::Result<()> {
    for round in 1..=arguments.rounds {
        for persistence in &arguments.durable {
            let name = format!("durable-{}-{round}", persistence.name());
            if is_done(arguments, results, &name, end) {
                continue;
            }
            eprintln!("{name}");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let outcome = runtime.block_on(durable::measure(*persistence, round))?;
            outcome.values.iter().for_each(|(measure, value)| eprintln!("  {measure:?}: {value:.2}"));
            results.keep(&name, &outcome)?;
        }
    }
    Ok(())
}

fn measure_parts(arguments: &Arguments, results: &Results, end: Option<Instant>) -> anyhow::Result<()> {
    let cores = Cores::choose()?;
    let programs = Programs::new(&arguments.natter, &arguments.peers)?;
    let needs_world = arguments.subjects.iter().any(|subject| subject.is_natter()) && !arguments.parts.is_empty();
    let world = if needs_world { Some(World::open(&arguments.results)?) } else { None };
    cores.pin_generator()?;
    for round in 1..=arguments.rounds {
        for part in &arguments.parts {
            let mut subjects: Vec<Subject> =
                arguments.subjects.iter().copied().filter(|subject| subject.takes_part(*part)).collect();
            // Changes the order in each round, so that after-effects of one server don't always
            // affect the same other server.
            let turn = (round - 1) * 5 % subjects.len().max(1);
            subjects.rotate_left(turn);
            for subject in subjects {
                let name = format!("work-{}-{}-{round}", part.name(), subject.name());
                if is_done(arguments, results, &name, end) {
                    continue;
                }
                if let Some(folder) = &arguments.profile {
                    std::fs::create_dir_all(folder)?;
                    let file = folder.join(format!("{name}.perf"));
                    let running = programs.start(subject, cores, world.as_ref())?;
                    tell(&work::measure(&running, cores, *part, round, Some(&file))?);
                    continue;
                }
                match measure_quietly(&programs, cores, world.as_ref(), subject, *part, round) {
                    Ok(outcome) => results.keep(&name, &outcome)?,
                    Err(error) => eprintln!("{name}: {error:#}"),
                }
            }
        }
    }
    Ok(())
}

/// Repeats the measurement if other processes used more than [`TRIFLE`] of the two cores. Returns
/// the attempt with the least disturbance.
fn measure_quietly(
    programs: &Programs,
    cores: Cores,
    world: Option<&(World, PathBuf)>,
    subject: Subject,
    part: Part,
    round: usize,
) -> anyhow::Result<Outcome> {
    let mut best: Option<Outcome> = None;
    for _ in 0..TRIES {
        let running = programs.start(subject, cores, world)?;
        let outcome = work::measure(&running, cores, part, round, None)?;
        tell(&outcome);
        if best.as_ref().is_none_or(|best| outcome.disturbance < best.disturbance) {
            best = Some(outcome);
        }
        if best.as_ref().is_some_and(|best| best.disturbance <= TRIFLE) {
            break;
        }
    }
    best.context("no measurements")
}

fn is_done(arguments: &Arguments, results: &Results, name: &str, end: Option<Instant>) -> bool {
    end.is_some_and(|end| Instant::now() > end) || (!arguments.again && results.has(name))
}

fn tell(outcome: &Outcome) {
    let Outcome { part, subject, round, fan_out, memory, disturbance } = outcome;
    eprint!("{} {} {round}: ", part.name(), subject.name());
    if let Some(out) = fan_out {
        eprint!(
            "{:.0} per CPU-second, user {:.2} µs, system {:.2} µs, p50 {:.2} p99 {:.2} p99.9 {:.2} ms, {} messages, {} lost, \
             {} in disorder, {} ended, frame {:.0}, generator busy {:.0} %, stalled {:.1} %",
            out.per_cpu_second(),
            out.user_microseconds(),
            out.system_microseconds(),
            out.p50,
            out.p99,
            out.p999,
            out.messages,
            out.lost,
            out.disorder,
            out.ended,
            out.frame,
            out.generator * 100.0,
            out.stalled * 100.0,
        );
    }
    if let Some(memory) = memory {
        eprint!("{memory:.0} bytes per connection");
    }
    eprintln!(", other processes used {:.1} %", disturbance * 100.0);
}
