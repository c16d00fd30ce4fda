//! The load generator. It starts Natter and its peers in turn, gives all of them the same work, and writes down what each reached.
//! `bench/run` builds what is needed and calls it.

mod attacks;
mod beside;
mod broadcast;
mod channel;
mod crowd;
mod dialect;
mod durable;
mod frame;
mod gateway;
mod machine;
mod picture;
mod pipeline;
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
use work::{Outcome, Part, Timing};
use world::World;

// As in the program that is measured: the bare handler is to differ by what it leaves out, and by nothing else.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The share of the two cores that others may have during a measurement, the host's other guests included.
const TRIFLE: f64 = 0.03;
/// How often a measurement is made at most until it was quiet enough.
const TRIES: usize = 3;

#[derive(Parser)]
struct Arguments {
    /// The work: all of it, unless some is named.
    #[arg(long, value_delimiter = ',')]
    parts: Vec<Part>,
    /// The servers: all of them, unless some are named.
    #[arg(long, value_delimiter = ',')]
    subjects: Vec<Subject>,
    /// Where messages are kept in the measurement of the durable path: everywhere, unless it is named, and nowhere when only parts are.
    #[arg(long, value_delimiter = ',')]
    durable: Vec<Persistence>,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only the reconnect storm.
    #[arg(long)]
    storm: bool,
    #[command(flatten)]
    storm_size: storm::Size,
    /// Only the channel of ten thousand people.
    #[arg(long)]
    channel: bool,
    /// Only what an announcement to ten thousand connected people costs.
    #[arg(long)]
    broadcast: bool,
    /// Only the AI gateway beside others.
    #[arg(long)]
    gateway: bool,
    /// Only whether the AI gateway stays as it is for so many minutes of calls.
    #[arg(long)]
    steady: Option<u32>,
    /// Only what it costs to pay for calls from credits.
    #[arg(long)]
    credits: bool,
    /// Only files that are uploaded, beside nginx.
    #[arg(long)]
    uploads: bool,
    /// Only attacks, and what they cost others.
    #[arg(long)]
    attacks: bool,
    /// Some of the attacks: all of them, unless some are named.
    #[arg(long, value_delimiter = ',', requires = "attacks")]
    only: Vec<attacks::Attack>,
    /// Only what grows beside the chat: boards, files, threads, notes.
    #[arg(long)]
    beside: bool,
    /// Only searching a million messages.
    #[arg(long)]
    search: bool,
    #[command(flatten)]
    search_size: search::SearchSize,
    /// Only what stands around a request, and what it costs.
    #[arg(long)]
    pipeline: bool,
    /// Its rounds, of two seconds each.
    #[arg(long, default_value_t = 60)]
    pipeline_rounds: usize,
    /// Short measurements, to see whether everything works.
    #[arg(long)]
    quick: bool,
    /// Measures again what is there already.
    #[arg(long)]
    again: bool,
    /// Begins nothing new after so many seconds; what is left is measured by the next run.
    #[arg(long = "for")]
    seconds: Option<u64>,
    /// Only writes the report of what has been measured.
    #[arg(long)]
    only_report: bool,
    /// What was measured, kept from run to run.
    #[arg(long, env = "BENCH_RESULTS")]
    results: PathBuf,
    /// Where the peers were built.
    #[arg(long, env = "BENCH_PEERS")]
    peers: PathBuf,
    /// The server's release binary.
    #[arg(long, env = "NATTER_BIN")]
    natter: PathBuf,
    /// Lets perf look at the server meanwhile, and keeps in this folder what it saw instead of the results.
    #[arg(long)]
    profile: Option<PathBuf>,
    /// The folder that the report goes to.
    #[arg(long, default_value = "docs")]
    docs: PathBuf,
}

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(pipeline::bare::FLAG) {
        return pipeline::bare::serve();
    }
    let mut arguments = Arguments::parse();
    if arguments.pipeline {
        return pipeline::measure(&arguments.natter, arguments.pipeline_rounds);
    }
    if arguments.gateway {
        return gateway::measure(&arguments.natter, &arguments.peers, arguments.rounds);
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
    if arguments.beside {
        return beside::measure(arguments.quick);
    }
    if arguments.broadcast {
        return broadcast::measure(&arguments.natter, &arguments.peers, &arguments.results);
    }
    if arguments.search {
        return search::measure(&arguments.search_size, &arguments.docs);
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
        // Before this thread is bound to one core.
        let durable = measure_durable(&arguments, &results, end);
        measure_parts(&arguments, &results, end)?;
        durable?;
    }
    report::write(&results, &arguments.docs, &arguments.peers, &arguments.natter)?;
    eprintln!("{} is written", arguments.docs.join(report::REPORT).display());
    Ok(())
}

fn measure_durable(arguments: &Arguments, results: &Results, end: Option<Instant>) -> anyhow::Result<()> {
    let (warm_up, duration) = if arguments.quick { (1, 3) } else { (3, 10) };
    for round in 1..=arguments.rounds {
        for persistence in &arguments.durable {
            let name = format!("durable-{}-{round}", persistence.name());
            if is_done(arguments, results, &name, end) {
                continue;
            }
            eprintln!("{name}");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let measured =
                durable::measure(*persistence, round, Duration::from_secs(warm_up), Duration::from_secs(duration));
            let outcome = runtime.block_on(measured)?;
            outcome.values.iter().for_each(|(measure, value)| eprintln!("  {measure:?}: {value:.2}"));
            results.keep(&name, &outcome)?;
        }
    }
    Ok(())
}

fn measure_parts(arguments: &Arguments, results: &Results, end: Option<Instant>) -> anyhow::Result<()> {
    let timing = if arguments.quick {
        Timing {
            warm_up: Duration::from_millis(500),
            duration: Duration::from_secs(2),
            settling: Duration::from_millis(500),
        }
    } else {
        Timing { warm_up: Duration::from_secs(1), duration: Duration::from_secs(4), settling: Duration::from_secs(1) }
    };
    let cores = Cores::choose()?;
    let programs = Programs {
        peers: std::path::absolute(&arguments.peers)?,
        natter: std::path::absolute(&arguments.natter)?,
        world: arguments.results.join("world"),
    };
    let needs_world = arguments.subjects.iter().any(|subject| subject.is_natter()) && !arguments.parts.is_empty();
    let world = if needs_world { Some(World::open(&programs.world)?) } else { None };
    cores.pin_generator()?;
    for round in 1..=arguments.rounds {
        for part in &arguments.parts {
            let mut subjects: Vec<Subject> =
                arguments.subjects.iter().copied().filter(|subject| subject.takes_part(*part)).collect();
            // Another order in each round: what one leaves behind in the machine does not always meet the same one.
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
                    tell(&work::measure(&running, cores, *part, round, timing, Some(&file))?);
                    continue;
                }
                match measure_quietly(&programs, cores, world.as_ref(), subject, *part, round, timing) {
                    Ok(outcome) => results.keep(&name, &outcome)?,
                    Err(error) => eprintln!("{name}: {error:#}"),
                }
            }
        }
    }
    Ok(())
}

/// Measures again when others had more than a trifle of the two cores, and takes the quietest.
fn measure_quietly(
    programs: &Programs,
    cores: Cores,
    world: Option<&(World, PathBuf)>,
    subject: Subject,
    part: Part,
    round: usize,
    timing: Timing,
) -> anyhow::Result<Outcome> {
    let mut best: Option<Outcome> = None;
    for _ in 0..TRIES {
        let running = programs.start(subject, cores, world)?;
        let outcome = work::measure(&running, cores, part, round, timing, None)?;
        tell(&outcome);
        if best.as_ref().is_none_or(|best| outcome.disturbance < best.disturbance) {
            best = Some(outcome);
        }
        if best.as_ref().is_some_and(|best| best.disturbance <= TRIFLE) {
            break;
        }
    }
    best.context("nothing was measured")
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
    eprintln!(", others had {:.1} %", disturbance * 100.0);
}
