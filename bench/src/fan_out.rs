//! What a delivery costs the server: one conversation that many connections read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use support::{Application, Member, new_id};

use crate::stage::{Stopwatch, cpu_seconds, percentile};
use crate::wire::{Incoming, connect};

pub struct FanOut {
    pub readers: usize,
    pub per_cpu_second: f64,
    pub p99: f64,
}

pub async fn measure(app: &Application, readers: usize, rate: u32, duration: Duration) -> anyhow::Result<FanOut> {
    const PEOPLE: usize = 20;
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let instance = &app.instances[number % app.instances.len()];
        people.push(Member::sign_up(&instance.url(), &format!("Reader {number}")).await);
    }
    let others: Vec<&Member> = people[1..].iter().collect();
    let conversation = people[0].open_group("Everybody", &others).await;

    let watch = Stopwatch::start();
    let count = Arc::new(AtomicU64::new(0));
    let times: Arc<Mutex<Vec<u64>>> = Arc::default();
    let mut tasks = Vec::new();
    for number in 0..readers {
        let person = &people[number % PEOPLE];
        let (mut reader, mut writer) = connect(person.base(), person.access_token()).await?;
        let (count, times) = (Arc::clone(&count), Arc::clone(&times));
        tasks.push(tokio::spawn(async move {
            while let Ok(incoming) = reader.next().await {
                match incoming {
                    Incoming::Message(sent) => {
                        count.fetch_add(1, Ordering::Relaxed);
                        let taken = watch.nanoseconds().saturating_sub(sent);
                        times.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
                    }
                    Incoming::Ping => {
                        writer.push_pong();
                        let _ = writer.flush().await;
                    }
                    _ => {}
                }
            }
        }));
    }
    let (mut away, mut writer) = connect(people[0].base(), people[0].access_token()).await?;
    tasks.push(tokio::spawn(async move { while away.next().await.is_ok() {} }));

    let before = cpu_seconds(app)?;
    let filler = "x".repeat(230);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let messages = u64::from(rate) * duration.as_secs();
    for _ in 0..messages {
        ticks.tick().await;
        writer.push_message(&conversation, &new_id(), &format!("{} {filler}", watch.nanoseconds()));
        writer.flush().await?;
    }
    let wanted = messages * readers as u64;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while count.load(Ordering::Relaxed) < wanted && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let used = cpu_seconds(app)? - before;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let deliveries = count.load(Ordering::Relaxed);
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner).clone();
    times.sort_unstable();
    #[expect(clippy::cast_precision_loss)]
    let per_cpu_second = deliveries as f64 / used;
    Ok(FanOut { readers, per_cpu_second, p99: percentile(&times, 0.99) })
}
