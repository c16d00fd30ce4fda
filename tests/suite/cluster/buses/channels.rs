//! Subscriptions of instances to the channels of the bus: readers come and go on all instances while users write and the
//! bus loses its server. Nobody misses an event, and an instance without readers receives none.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use support::{Application, Bus, BusServer, Engine, Follower, Member, MeteredApplication, Setup, wait_until};
use tokio::task::JoinHandle;

use crate::cluster::{check, write};
use crate::search::found;

/// Number of conversations in which users write.
const CONVERSATIONS: usize = 4;
/// Number of messages in each conversation for which each reader stays.
const ROUND: i64 = 15;

/// Instances on a bus.
struct Cluster(MeteredApplication);

impl Cluster {
    async fn start(bus: &BusServer, instances: usize) -> Self {
        let setup = Setup::new().on(Engine::Postgres).set("redis.url", "").set("bus.url", bus.url());
        Self(MeteredApplication::start(setup, instances).await)
    }

    /// Number of channels that an instance is subscribed to.
    async fn channels(&self, instance: usize) -> u64 {
        self.0.metric(instance, "natter_bus_channels").await
    }

    /// Waits until an instance receives messages on the control channel again.
    async fn wait_for_bus(&self, instance: usize) {
        let series = "natter_bus_messages_received_total{channel=\"control\"}";
        let before = self.0.metric(instance, series).await;
        wait_until("the bus works", async || self.0.metric(instance, series).await > before).await;
    }

    /// Number of messages about conversations that the bus has sent to an instance.
    async fn received(&self, instance: usize) -> u64 {
        self.0.metric(instance, "natter_bus_messages_received_total{channel=\"conversation\"}").await
    }
}

/// Users who write in some conversations until they are stopped.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<(String, JoinHandle<HashSet<String>>)>,
}

impl Writers {
    fn start(app: &Application, writer: &Member, conversations: &[String]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = conversations.iter().zip([0, 1].into_iter().cycle()).map(|(id, instance)| {
            let there = writer.at(&app.instances[instance].url());
            (id.clone(), write(there, id.clone(), Arc::clone(&stop)))
        });
        Self { tasks: tasks.collect(), stop }
    }

    /// Stops writing, and checks that all followers have received everything in order.
    async fn finish(self, member: &Member, followers: &[Follower]) {
        self.stop.store(true, Ordering::SeqCst);
        for (id, task) in self.tasks {
            check(member, &id, &task.await.unwrap(), followers).await;
        }
    }
}

/// Waits until a follower has received this number of further messages in each conversation.
async fn follow(follower: &Follower, conversations: &[String], messages: i64) {
    for id in conversations {
        let now = follower.seen(id).last().map_or(0, |(seq, _)| *seq);
        follower.wait_for(id, now + messages).await;
    }
}

/// Opens groups with a connected user whose instance has not opened their channels. All messages must arrive live.
async fn join_and_read(app: &Application, anna: &Member, [carl, dora]: [&Member; 2]) {
    let mut socket = carl.at(&app.instances[1].url()).connect().await;
    for n in 0..5 {
        let group = anna.open_group(&format!("Group {n}"), &[carl, dora]).await;
        for n in 0..5 {
            anna.send_message(&group, &format!("{n}")).await;
        }
        let frames = socket.read_until_seq(&group, 5).await;
        let seqs: Vec<i64> = frames.iter().map(|frame| frame.payload["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5]);
    }
}

/// Runs the test on a bus whose server is killed, and either started again or replaced by another one.
async fn readers_come_and_go(mut bus: BusServer, is_replaced: bool) {
    let cluster = Cluster::start(&bus, 3).await;
    let app = &cluster.0.app;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let dora = app.sign_up("Dora").await;
    let mut conversations = Vec::new();
    for n in 0..CONVERSATIONS {
        conversations.push(anna.open_group(&format!("Conversation {n}"), &[&ben, &dora]).await);
    }
    assert_eq!(cluster.channels(0).await, 0, "nobody is connected");
    let writers = Writers::start(app, &anna, &conversations);
    let mut followers = Vec::new();
    for round in 0..4 {
        let reader = Follower::start(&ben.at(&app.instances[round % 2].url())).await;
        if round < 2 {
            assert!(cluster.channels(round % 2).await > 0, "connections wait for their channels");
        }
        follow(&reader, &conversations, ROUND).await;
        match round {
            1 => bus.kill().await,
            2 if !is_replaced => bus.start_again().await,
            _ => {}
        }
        follow(&reader, &conversations, ROUND).await;
        if round == 0 || round == 3 && !is_replaced {
            cluster.wait_for_bus(0).await;
            cluster.wait_for_bus(1).await;
            join_and_read(app, &anna, [&carl, &dora]).await;
        }
        // Every second reader leaves.
        if round % 2 == 0 {
            followers.push(reader);
        }
    }
    let late = Follower::start(&ben.at(&app.instances[1].url())).await;
    followers.push(late);
    writers.finish(&anna, &followers).await;

    // The third instance has had no reader. Its search index contains the messages all the same.
    assert_eq!((cluster.channels(2).await, cluster.received(2).await), (0, 0));
    let received = [cluster.received(0).await, cluster.received(1).await];
    assert!(received.iter().all(|received| *received > 100), "{received:?}");
    let sent = anna.at(&app.instances[0].url()).send_message(&conversations[0], "a solitary heron").await;
    assert!(sent["id"].is_string());
    let there = ben.at(&app.instances[2].url());
    wait_until("the third instance finds the message", async || {
        found(&there, "solitary heron").await == ["a solitary heron"]
    })
    .await;
    let reader = Follower::start(&there).await;
    let head = sent["seq"].as_i64().unwrap();
    reader.wait_for(&conversations[0], head).await;
    assert!(cluster.channels(2).await > 0);
    anna.send_message(&conversations[0], "live").await;
    reader.wait_for(&conversations[0], head + 1).await;
}

#[tokio::test]
async fn readers_come_and_go_on_redis() {
    readers_come_and_go(BusServer::redis().await, false).await;
}

#[tokio::test]
async fn readers_come_and_go_on_sentinel() {
    readers_come_and_go(BusServer::sentinel().await, true).await;
}

#[tokio::test]
async fn readers_come_and_go_on_a_redis_cluster() {
    readers_come_and_go(BusServer::cluster().await, true).await;
}

#[tokio::test]
async fn readers_come_and_go_on_nats() {
    let Some(bus) = BusServer::nats().await else { return };
    readers_come_and_go(bus, false).await;
}

/// An instance of an earlier release announces new members on the conversation's channel only.
#[tokio::test]
async fn instances_subscribe_to_all_channels_beside_an_earlier_release() {
    let bus = BusServer::redis().await;
    let cluster = Cluster::start(&bus, 2).await;
    assert_eq!(cluster.channels(1).await, 0);
    let earlier = Bus::imitate_earlier_release(bus.url()).await;
    wait_until("all channels are subscribed", async || cluster.channels(1).await == 64).await;
    let anna = cluster.0.app.sign_up("Anna").await;
    let channel = anna.open_channel("private_channel", "Notes").await;
    anna.send_message(&channel, "to nobody").await;
    wait_until("the other instance receives the event", async || cluster.received(1).await > 0).await;
    earlier.abort();
    wait_until("no channel is subscribed", async || cluster.channels(1).await == 0).await;
}
