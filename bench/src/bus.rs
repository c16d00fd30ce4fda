//! Traffic of the bus: messages and bytes that each instance receives while users write in conversations whose readers are
//! on one or two instances. Measured with subscriptions to all channels, as beside an instance of an earlier release, and
//! with those that have readers.

use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt as _, stream};
use support::{Bus, BusServer, Engine, Follower, Member, MeteredApplication, Setup};

/// Number of conversations. Every second one has its two readers on different instances.
const CONVERSATIONS: usize = 64;
const MESSAGES: usize = 2_000;
/// Number of messages that are sent at the same time.
const CONCURRENT: usize = 8;
/// Time for the announcements after the last message.
const SETTLING: Duration = Duration::from_secs(2);
/// Kinds of channels of the bus.
const KINDS: [&str; 3] = ["conversation", "control", "heartbeat"];

/// Messages and bytes that an instance has received, by kind of channel.
type Traffic = [[u64; 2]; KINDS.len()];

pub fn measure(instances: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{instances} instances, {CONVERSATIONS} conversations, {MESSAGES} messages");
    println!("| received by an instance | channels | messages | bytes | of them on the control channel |");
    println!("|---|--:|--:|--:|--:|");
    for (name, is_earlier) in [("all channels", true), ("channels with readers", false)] {
        runtime.block_on(run(name, instances, is_earlier))?;
    }
    Ok(())
}

async fn run(name: &str, instances: usize, beside_earlier_release: bool) -> anyhow::Result<()> {
    let bus = BusServer::redis().await;
    let setup = Setup::new()
        .on(Engine::Postgres)
        .set("redis.url", "")
        .set("bus.url", bus.url())
        .set("server.workers", 1)
        .set("database.max_connections", 4);
    let cluster = MeteredApplication::start(setup, instances).await;
    let app = &cluster.app;
    let earlier = if beside_earlier_release { Some(Bus::imitate_earlier_release(bus.url()).await) } else { None };
    eprintln!("{} people sign up", 2 * CONVERSATIONS);
    let people = app.crowd(2 * CONVERSATIONS).await;
    let (mut conversations, mut followers) = (Vec::new(), Vec::new());
    for (n, pair) in people.chunks(2).enumerate() {
        let [writer, reader] = pair else { continue };
        let here = n % instances;
        let there = if n % 2 == 0 { here } else { (n * 7 + 3) % instances };
        let (writer, reader) = (writer.at(&app.instances[here].url()), reader.at(&app.instances[there].url()));
        let id = writer.open_single(&reader).await;
        followers.push([Follower::start(&writer).await, Follower::start(&reader).await]);
        conversations.push((id, writer));
    }
    tokio::time::sleep(SETTLING * 3).await;
    let before = all_traffic(&cluster, instances).await;
    let sending = (0..MESSAGES).map(|n| {
        let (id, writer): &(String, Member) = &conversations[n % CONVERSATIONS];
        async move { writer.send_message(id, &format!("message {n} of the measurement, with some more words")).await }
    });
    stream::iter(sending).buffered(CONCURRENT).for_each(|_| async {}).await;
    for (n, ((id, _), readers)) in conversations.iter().zip(&followers).enumerate() {
        let last = i64::try_from((MESSAGES - n).div_ceil(CONVERSATIONS))?;
        for reader in readers {
            reader.wait_for(id, last).await;
        }
    }
    tokio::time::sleep(SETTLING).await;
    let after = all_traffic(&cluster, instances).await;
    let mut channels = Vec::new();
    for instance in 0..instances {
        channels.push(cluster.metric(instance, "natter_bus_channels").await);
    }
    if let Some(earlier) = earlier {
        earlier.abort();
    }
    let received: Vec<Traffic> = before.iter().zip(&after).map(|(before, after)| difference(before, after)).collect();
    let total =
        |part: usize| -> Vec<u64> { received.iter().map(|one| one.iter().map(|kind| kind[part]).sum()).collect() };
    let control: Vec<u64> = received.iter().map(|one| one[1][0]).collect();
    println!(
        "| {name} | {} | {} | {} | {} |",
        range(&channels)?,
        range(&total(0))?,
        range(&total(1))?,
        range(&control)?
    );
    Ok(())
}

async fn all_traffic(cluster: &MeteredApplication, instances: usize) -> Vec<Traffic> {
    let mut all = Vec::new();
    for instance in 0..instances {
        let mut traffic = Traffic::default();
        for (kind, counts) in KINDS.iter().zip(&mut traffic) {
            for (unit, count) in ["messages", "bytes"].iter().zip(counts) {
                let series = format!("natter_bus_{unit}_received_total{{channel=\"{kind}\"}}");
                *count = cluster.metric(instance, &series).await;
            }
        }
        all.push(traffic);
    }
    all
}

fn difference(before: &Traffic, after: &Traffic) -> Traffic {
    let mut result = *after;
    for (kind, earlier) in result.iter_mut().zip(before) {
        for (count, earlier) in kind.iter_mut().zip(earlier) {
            *count -= earlier;
        }
    }
    result
}

/// Average with the minimum and the maximum.
fn range(values: &[u64]) -> anyhow::Result<String> {
    let (least, most) = (values.iter().min().context("no instances")?, values.iter().max().context("no instances")?);
    let average = values.iter().sum::<u64>() / u64::try_from(values.len())?;
    Ok(format!("{average} ({least}–{most})"))
}
