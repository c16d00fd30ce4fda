//! GatewayComparison of AI gateways: the same calls are made through each of them to an upstream that
//! answers at once. Measures the CPU time per thousand calls. For each call, Natter checks a key,
//! counts limits, reserves a budget and writes a usage row; the other gateways do what they do by
//! default.
//!
//! The load generator and the upstream share one core; the gateway has the other.

pub mod credits;
mod load;
mod peer;
pub mod steady;
mod upstream;

use std::{path::Path, time::Duration};

use anyhow::Context;
use tokio::runtime::Runtime;

use self::{
    load::{Call, Load},
    peer::{Peer, Running},
};
use crate::machine::{self, Cores, Cpu, Quiet, mebibytes, memory};

const PARALLEL: usize = 32;
const SLICE: Duration = Duration::from_secs(2);
const LONE_CALLS: usize = 500;

/// Result of one gateway in one round.
struct Outcome {
    peer: Peer,
    /// CPU time per thousand calls, in seconds.
    plain: f64,
    streamed: f64,
    /// Latency that the gateway adds to a single call, in milliseconds.
    added_p50: f64,
    added_p99: f64,
    /// Time to the first frame, in milliseconds.
    first_frame: f64,
    /// Resident memory of the gateway after the calls, in bytes.
    memory: u64,
}

pub fn measure(natter: &Path, peers: &Path, rounds: usize) -> anyhow::Result<()> {
    let cores = Cores::choose()?;
    println!("{}", machine::describe());
    cores.pin_generator()?;
    let upstream = upstream::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut outcomes = Vec::new();
    for round in 0..rounds {
        let mut order = Peer::ALL;
        order.rotate_left(round % Peer::ALL.len());
        for peer in order {
            match measure_one(&runtime, cores, peer, natter, peers, upstream.port) {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => eprintln!("{}: {error:#}", peer.name()),
            }
        }
    }
    println!(
        "\n| | 1,000 calls, CPU s | 1,000 streams of {} frames, CPU s | added p50, ms | added p99, ms | first frame, ms | memory, MiB |",
        upstream::FRAMES
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for peer in Peer::ALL {
        let of_peer = |value: fn(&Outcome) -> f64| {
            let mut values: Vec<f64> = outcomes.iter().filter(|outcome| outcome.peer == peer).map(value).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let Some(plain) = of_peer(|outcome| outcome.plain) else { continue };
        let shown = |value: fn(&Outcome) -> f64| of_peer(value).unwrap_or(f64::NAN);
        println!(
            "| {} | {plain:.3} | {:.3} | {:.2} | {:.2} | {:.2} | {:.0} |",
            peer.name(),
            shown(|outcome| outcome.streamed),
            shown(|outcome| outcome.added_p50),
            shown(|outcome| outcome.added_p99),
            shown(|outcome| outcome.first_frame),
            shown(|outcome| mebibytes(outcome.memory)),
        );
    }
    Ok(())
}

/// Plain calls through Natter, compared with those through another gateway.
pub struct GatewayComparison {
    /// CPU time of Natter for a thousand calls, in seconds.
    pub plain: f64,
    /// Name of the other gateway.
    pub other: &'static str,
    /// CPU time of Natter, as a multiple of that of the other gateway.
    pub ratio: f64,
    /// Resident memory of Natter after the calls, in bytes.
    pub memory: u64,
    /// Share of both cores that other processes used.
    pub disturbance: f64,
}

/// Compares Natter with sglang-router, or with nginx if sglang-router is not installed. Their calls
/// alternate, so that disturbances affect both.
pub fn compare(cores: Cores, natter: &Path, peers: &Path, rounds: u32) -> anyhow::Result<GatewayComparison> {
    let other = if peers.join("python/bin/python").exists() { Peer::SglangRouter } else { Peer::Nginx };
    let upstream = upstream::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let gateways =
        [Peer::Natter.start(cores, natter, peers, upstream.port)?, other.start(cores, natter, peers, upstream.port)?];
    for gateway in &gateways {
        runtime.block_on(Load::of(gateway).all(Call::Plain, PARALLEL, SLICE)).context("the first calls")?;
    }
    let quiet = Quiet::begin(cores)?;
    let mut costs = [0.0; 2];
    for _ in 0..rounds {
        for (sum, gateway) in costs.iter_mut().zip(&gateways) {
            *sum += cost(&runtime, gateway, Call::Plain)?;
        }
    }
    let [plain, others] = costs;
    Ok(GatewayComparison {
        plain: plain / f64::from(rounds),
        other: other.name(),
        ratio: plain / others,
        memory: memory(gateways[0].server.process())?,
        disturbance: quiet.disturbance()?,
    })
}

/// Returns the CPU time of a gateway for a thousand calls, in seconds.
fn cost(runtime: &Runtime, running: &Running, call: Call) -> anyhow::Result<f64> {
    let (load, process) = (Load::of(running), running.server.process());
    let before = Cpu::of(process)?;
    let answered = runtime.block_on(load.all(call, PARALLEL, SLICE))?;
    Ok(Cpu::of(process)?.since(before).total() / answered * 1_000.0)
}

fn measure_one(
    runtime: &Runtime,
    cores: Cores,
    peer: Peer,
    natter: &Path,
    peers: &Path,
    upstream: u16,
) -> anyhow::Result<Outcome> {
    let running = peer.start(cores, natter, peers, upstream)?;
    let load = Load::of(&running);
    let direct = Load { address: (std::net::Ipv4Addr::LOCALHOST, upstream).into(), ..load.clone() };
    runtime.block_on(load.all(Call::Plain, PARALLEL, SLICE)).context("the first calls")?;
    let quiet = Quiet::begin(cores)?;
    let (plain, streamed) = (cost(runtime, &running, Call::Plain)?, cost(runtime, &running, Call::Streamed)?);
    let mut lone = runtime.block_on(load.one_by_one(Call::Plain, LONE_CALLS))?;
    let mut floor = runtime.block_on(direct.one_by_one(Call::Plain, LONE_CALLS))?;
    let mut first = runtime.block_on(load.one_by_one(Call::Streamed, LONE_CALLS / 5))?;
    let at = |times: &mut Vec<Duration>, share: f64| {
        times.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        let place = ((times.len() - 1) as f64 * share) as usize;
        times[place].as_secs_f64() * 1e3
    };
    let outcome = Outcome {
        peer,
        plain,
        streamed,
        added_p50: at(&mut lone, 0.5) - at(&mut floor, 0.5),
        added_p99: at(&mut lone, 0.99) - at(&mut floor, 0.99),
        first_frame: at(&mut first, 0.5),
        memory: memory(running.server.process())?,
    };
    eprintln!(
        "{}: {plain:.3} and {streamed:.3} CPU seconds, p50 +{:.2} ms, others had {:.1} %",
        peer.name(),
        outcome.added_p50,
        quiet.disturbance()? * 100.0
    );
    Ok(outcome)
}
