//! Latency from sending to receipt at a given rate.
//!
//! Messages are sent on a fixed schedule, whether or not earlier ones have arrived. Latencies are
//! measured from the scheduled time, so that they show when a server falls behind.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use support::new_id;

use super::stage::{Pair, Stopwatch, percentile};
use super::wire::{Incoming, Reader, Writer, connect};

pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

pub async fn measure(pairs: &[Pair], rate: u32, warm_up: Duration, duration: Duration) -> anyhow::Result<Latency> {
    let watch = Stopwatch::start();
    let all: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
    let mut tasks = Vec::new();
    let mut writers = Vec::new();
    for pair in pairs {
        let (reader, writer) = connect(pair.receiver.base(), pair.receiver.access_token()).await?;
        tasks.push(tokio::spawn(receive(reader, writer, watch, Arc::clone(&all))));
        let (reader, writer) = connect(pair.sender.base(), pair.sender.access_token()).await?;
        tasks.push(tokio::spawn(read_away(reader)));
        writers.push((writer, pair.conversation.clone()));
    }
    let filler = "x".repeat(230);
    let gap = 1_000_000_000 / u64::from(rate);
    let start = watch.nanoseconds() + 50_000_000;
    let warm = start + u64::try_from(warm_up.as_nanos())?;
    let end = warm + u64::try_from(duration.as_nanos())?;
    let mut next = start;
    let mut turn = 0;
    while next < end {
        let now = watch.nanoseconds();
        if now < next {
            tokio::time::sleep(Duration::from_nanos(next - now)).await;
        }
        // Sends all messages that are due by now, because the timer is coarser than the schedule.
        while next <= watch.nanoseconds() && next < end {
            let place = turn % writers.len();
            let (writer, conversation) = &mut writers[place];
            writer.push_message(conversation, &new_id(), &format!("{next} {filler}"));
            writer.flush().await?;
            turn += 1;
            next += gap;
        }
    }
    // Waits, because the last messages are still in flight.
    tokio::time::sleep(Duration::from_secs(2)).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken: Vec<u64> = all.iter().filter(|(sent, _)| *sent >= warm).map(|(_, taken)| *taken).collect();
    taken.sort_unstable();
    let planned = duration.as_nanos() / u128::from(gap);
    anyhow::ensure!(
        taken.len() as u128 * 1000 >= planned * 999,
        "only {} of {planned} messages were received",
        taken.len()
    );
    Ok(Latency { p50: percentile(&taken, 0.5), p99: percentile(&taken, 0.99), p999: percentile(&taken, 0.999) })
}

async fn receive(
    mut reader: Reader,
    mut writer: Writer,
    watch: Stopwatch,
    all: Arc<Mutex<Vec<(u64, u64)>>>,
) -> anyhow::Result<()> {
    loop {
        match reader.next().await? {
            Incoming::Message(sent) if sent > 0 => {
                let taken = watch.nanoseconds().saturating_sub(sent);
                all.lock().unwrap_or_else(PoisonError::into_inner).push((sent, taken));
            }
            Incoming::Ping => {
                writer.push_pong();
                writer.flush().await?;
            }
            _ => {}
        }
    }
}

/// Reads and ignores the frames of the sender's connection. Otherwise the server would disconnect
/// it as too slow.
async fn read_away(mut reader: Reader) -> anyhow::Result<()> {
    loop {
        reader.next().await?;
    }
}
