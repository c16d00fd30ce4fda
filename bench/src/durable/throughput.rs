//! How many messages a second are persisted and delivered when everybody sends as fast as they are answered.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::{Application, new_id};

use super::stage::{Pair, Stopwatch};
use super::wire::{Incoming, Reader, Writer, connect};

/// Messages that each sender has outstanding.
const WINDOW: usize = 16;

pub struct Throughput {
    /// Acknowledged, so committed.
    pub persisted_per_second: f64,
    /// Received by the other side.
    pub delivered_per_second: f64,
}

#[derive(Default)]
struct Counts {
    acks: AtomicU64,
    deliveries: AtomicU64,
    over: AtomicBool,
}

pub async fn measure(
    app: &Application,
    pairs: &[Pair],
    warm_up: Duration,
    duration: Duration,
) -> anyhow::Result<Throughput> {
    let counts = Arc::new(Counts::default());
    let watch = Stopwatch::start();
    let mut tasks = Vec::new();
    let mut receivers = HashSet::new();
    for pair in pairs {
        // One connection for each: who writes waits for what they read, who only reads is too slow as soon as this program is.
        if receivers.insert((&pair.receiver.id, &pair.conversation)) {
            let (reader, writer) = connect(pair.receiver.base(), pair.receiver.access_token()).await?;
            tasks.push(tokio::spawn(receive(reader, writer, Arc::clone(&counts))));
        }
        let (reader, writer) = connect(pair.sender.base(), pair.sender.access_token()).await?;
        tasks.push(tokio::spawn(send(reader, writer, pair.conversation.clone(), watch, Arc::clone(&counts))));
    }
    tokio::time::sleep(warm_up).await;
    let read = || (counts.acks.load(Ordering::Relaxed), counts.deliveries.load(Ordering::Relaxed), Instant::now());
    let before = read();
    tokio::time::sleep(duration).await;
    let after = read();
    // Before they are told to end: whoever is quick would have ended by the time that it is looked at.
    if let Some(ended) = tasks.iter_mut().find(|task| task.is_finished()) {
        let why = ended.await?;
        anyhow::bail!("a connection ended during the measurement: {why:?}\n{}", app.instances[0].log().join("\n"));
    }
    counts.over.store(true, Ordering::Relaxed);
    for task in &tasks {
        task.abort();
    }
    let seconds = (after.2 - before.2).as_secs_f64();
    #[expect(clippy::cast_precision_loss)]
    let rate = |from: u64, to: u64| (to - from) as f64 / seconds;
    Ok(Throughput { persisted_per_second: rate(before.0, after.0), delivered_per_second: rate(before.1, after.1) })
}

async fn receive(mut reader: Reader, mut writer: Writer, counts: Arc<Counts>) -> anyhow::Result<()> {
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
) -> anyhow::Result<()> {
    let filler = "x".repeat(230);
    let push = |writer: &mut Writer| {
        writer.push_message(&conversation, &new_id(), &format!("{} {filler}", watch.nanoseconds()));
    };
    for _ in 0..WINDOW {
        push(&mut writer);
    }
    writer.flush().await?;
    while !counts.over.load(Ordering::Relaxed) {
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
    Ok(())
}
