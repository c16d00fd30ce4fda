//! Messages per second that are persisted and delivered. All users send as fast as their messages
//! are acknowledged.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::{Application, new_id};
use tokio::task::JoinSet;

use super::stage::{Pair, Stopwatch};
use super::wire::{CutOff, Incoming, Reader, Writer, connect};

/// Maximum number of unacknowledged messages per sender.
const WINDOW: usize = 16;
/// Maximum number of attempts; if a reader was disconnected in each of them, the measurement fails.
const TRIES: usize = 3;

pub struct Throughput {
    /// Messages per second that were acknowledged, and hence committed.
    pub persisted_per_second: f64,
    /// Messages per second that the receiving users got.
    pub delivered_per_second: f64,
}

#[derive(Default)]
struct Counts {
    acks: AtomicU64,
    deliveries: AtomicU64,
}

/// Measures the throughput. Repeats this if a reader was disconnected.
pub async fn measure(
    app: &Application,
    pairs: &[Pair],
    warm_up: Duration,
    duration: Duration,
) -> anyhow::Result<Throughput> {
    for _ in 1..TRIES {
        match measure_once(app, pairs, warm_up, duration).await {
            Err(error) if error.is::<CutOff>() => eprintln!("  {error}: measured again"),
            outcome => return outcome,
        }
    }
    measure_once(app, pairs, warm_up, duration).await
}

async fn measure_once(
    app: &Application,
    pairs: &[Pair],
    warm_up: Duration,
    duration: Duration,
) -> anyhow::Result<Throughput> {
    let counts = Arc::new(Counts::default());
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    let mut receivers = HashSet::new();
    for pair in pairs {
        // Opens one connection per receiver and conversation. A connection that also writes waits
        // for its own reads, and connections that only read are too slow whenever this program is.
        if receivers.insert((&pair.receiver.id, &pair.conversation)) {
            let (reader, writer) = connect(pair.receiver.base(), pair.receiver.access_token()).await?;
            tasks.spawn(receive(reader, writer, Arc::clone(&counts)));
        }
        let (reader, writer) = connect(pair.sender.base(), pair.sender.access_token()).await?;
        tasks.spawn(send(reader, writer, pair.conversation.clone(), watch, Arc::clone(&counts)));
    }
    tokio::time::sleep(warm_up).await;
    let read = || (counts.acks.load(Ordering::Relaxed), counts.deliveries.load(Ordering::Relaxed), Instant::now());
    let before = read();
    tokio::time::sleep(duration).await;
    let after = read();
    if let Some(ended) = tasks.try_join_next() {
        let Err(why) = ended?;
        if why.is::<CutOff>() {
            return Err(why);
        }
        return Err(
            why.context(format!("a connection ended during the measurement\n{}", app.instances[0].log().join("\n")))
        );
    }
    let seconds = (after.2 - before.2).as_secs_f64();
    #[expect(clippy::cast_precision_loss)]
    let rate = |from: u64, to: u64| (to - from) as f64 / seconds;
    Ok(Throughput { persisted_per_second: rate(before.0, after.0), delivered_per_second: rate(before.1, after.1) })
}

async fn receive(mut reader: Reader, mut writer: Writer, counts: Arc<Counts>) -> anyhow::Result<Infallible> {
    loop {
        match reader.next().await? {
            Incoming::Message(_) => {
                counts.deliveries.fetch_add(1, Ordering::Relaxed);
            }
            Incoming::Ping => {
                writer.push_pong();
                writer.flush().await?;
            }
            _ => {}
        }
    }
}

async fn send(
    mut reader: Reader,
    mut writer: Writer,
    conversation: String,
    watch: Stopwatch,
    counts: Arc<Counts>,
) -> anyhow::Result<Infallible> {
    let filler = "x".repeat(230);
    let push = |writer: &mut Writer| {
        writer.push_message(&conversation, &new_id(), &format!("{} {filler}", watch.nanoseconds()));
    };
    for _ in 0..WINDOW {
        push(&mut writer);
    }
    writer.flush().await?;
    loop {
        match reader.next().await? {
            Incoming::Ack => {
                counts.acks.fetch_add(1, Ordering::Relaxed);
                push(&mut writer);
            }
            Incoming::Refused(why) => anyhow::bail!("a message was refused: {why}"),
            Incoming::Ping => writer.push_pong(),
            _ => {}
        }
        if !reader.has_more() {
            writer.flush().await?;
        }
    }
}
