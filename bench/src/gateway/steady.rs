//! Stability of the gateway over time: its memory and latency in each minute, at a constant rate of
//! calls.

use std::{path::Path, time::Duration};

use anyhow::Context;

use super::{
    load::{Call, Load},
    peer::Peer,
    upstream,
};
use crate::machine::{self, Cores, Cpu, Quiet, mebibytes, memory};

/// Calls per second: not streamed, and streamed.
const PLAIN: u32 = 400;
const STREAMED: u32 = 100;
const MINUTE: Duration = Duration::from_secs(60);

pub fn measure(natter: &Path, peers: &Path, minutes: u32) -> anyhow::Result<()> {
    let cores = Cores::choose()?;
    println!("{}", machine::describe());
    cores.pin_generator()?;
    let upstream = upstream::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let running = Peer::Natter.start(cores, natter, peers, upstream.port)?;
    let (process, load) = (running.server.process(), Load::of(&running));
    let calls = async |duration| {
        tokio::try_join!(load.paced(Call::Plain, PLAIN, duration), load.paced(Call::Streamed, STREAMED, duration))
    };
    runtime.block_on(calls(Duration::from_secs(2))).context("the first calls")?;
    println!(
        "\n| after minutes of {PLAIN} calls and {STREAMED} streams a second | p50, ms | p99, ms | CPU s | memory, MiB |"
    );
    println!("|--:|--:|--:|--:|--:|");
    println!("| 0 | | | | {:.1} |", mebibytes(memory(process)?));
    for minute in 1..=minutes {
        let (quiet, before) = (Quiet::begin(cores)?, Cpu::of(process)?);
        let (mut took, _) = runtime.block_on(calls(MINUTE))?;
        let cpu = Cpu::of(process)?.since(before).total();
        took.sort_unstable();
        let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!("| {minute} | {:.2} | {:.2} | {cpu:.1} | {:.1} |", at(50), at(99), mebibytes(memory(process)?));
        eprintln!("other processes used {:.1} %", quiet.disturbance()? * 100.0);
    }
    Ok(())
}
