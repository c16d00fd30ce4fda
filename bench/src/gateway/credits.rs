//! Cost of reserving and capturing credits. Compares paid calls with the same calls under a budget,
//! and measures many calls per second that one account pays for, on PostgreSQL.

use std::{path::Path, time::Duration};

use anyhow::Context;
use support::Engine;

use super::{
    PARALLEL, SLICE, cost,
    load::{Call, Load},
    peer::Peer,
    upstream,
};
use crate::machine::{self, Cores, Cpu, Quiet};

/// Calls per second that one account pays for.
const PACE: u32 = 500;
const PACED_FOR: Duration = Duration::from_secs(20);

pub fn measure(natter: &Path, peers: &Path, rounds: usize) -> anyhow::Result<()> {
    let cores = Cores::choose()?;
    println!("{}", machine::describe());
    cores.pin_generator()?;
    let upstream = upstream::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kinds = [Peer::Natter, Peer::NatterPaid];
    let mut costs: [Vec<f64>; 2] = Default::default();
    for round in 0..rounds {
        for at in [round % 2, (round + 1) % 2] {
            let running = kinds[at].start(cores, natter, peers, upstream.port)?;
            let load = Load::of(&running);
            runtime.block_on(load.all(Call::Plain, PARALLEL, SLICE)).context("the first calls")?;
            let quiet = Quiet::begin(cores)?;
            // Seconds for a thousand calls are milliseconds for one.
            let cost = cost(&runtime, &running, Call::Plain)?;
            eprintln!("{}: {cost:.4} ms, others had {:.1} %", kinds[at].name(), quiet.disturbance()? * 100.0);
            costs[at].push(cost);
        }
    }
    println!("\n| SQLite, {PARALLEL} calls at a time | CPU of a call, ms |\n|---|--:|");
    for (kind, costs) in kinds.iter().zip(&mut costs) {
        costs.sort_by(f64::total_cmp);
        println!("| {} | {:.4} |", kind.name(), costs[costs.len() / 2]);
    }

    let running = Peer::NatterPaid.start_on(Some(Engine::Postgres), cores, natter, peers, upstream.port)?;
    let load = Load::of(&running);
    runtime.block_on(load.paced(Call::Plain, PACE, Duration::from_secs(2))).context("the first calls")?;
    let (quiet, before) = (Quiet::begin(cores)?, Cpu::of(running.server.process())?);
    let mut took = runtime.block_on(load.paced(Call::Plain, PACE, PACED_FOR))?;
    let cpu = Cpu::of(running.server.process())?.since(before).total();
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!("\n| PostgreSQL, {PACE} calls a second of one account | |\n|---|--:|");
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let each = cpu / took.len() as f64 * 1e3;
    println!("| CPU of a call, ms | {each:.4} |\n| p50, ms | {:.2} |\n| p99, ms | {:.2} |", at(50), at(99));
    eprintln!("other processes used {:.1} %", quiet.disturbance()? * 100.0);
    Ok(())
}
