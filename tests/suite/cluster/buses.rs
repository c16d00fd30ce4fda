//! Buses between instances other than one Redis server: each loses its server under load, and then carries every event
//! again.

mod channels;
mod faults;

use std::time::Duration;

use support::{Application, Balancer, BusServer, Engine, PATIENCE, Setup, json, wait_until};

use super::Load;

/// Number of conversations of the test of channels. They are spread over the 64 channels of the bus.
const CONVERSATIONS: usize = 100;

async fn two_on(bus: &BusServer) -> Application {
    Setup::new().instances(2).set("redis.url", "").set("bus.url", bus.url()).start().await
}

#[tokio::test]
async fn failing_over_by_sentinel_under_load_loses_nothing() {
    let mut bus = BusServer::sentinel().await;
    // The pool of `redis.url` finds the new primary as well.
    let app = Setup::new().instances(2).set("redis.url", bus.url()).start().await;
    let balancer = Balancer::start(&app.instances).await;
    let load = Load::start(&balancer.url()).await;
    load.go_on(50).await;
    bus.kill().await;
    load.go_on(50).await;
    every_conversation_is_live(&app).await;
    load.go_on(50).await;
    load.finish().await;
    wait_until("Redis is up", async || {
        let health = reqwest::get(format!("{}/health", app.url())).await.unwrap().text().await.unwrap();
        health.contains(r#""redis":{"status":"up""#)
    })
    .await;
}

#[tokio::test]
async fn losing_a_node_of_a_redis_cluster_under_load_loses_nothing() {
    let mut bus = BusServer::cluster().await;
    let app = two_on(&bus).await;
    let balancer = Balancer::start(&app.instances).await;
    let load = Load::start(&balancer.url()).await;
    load.go_on(50).await;
    bus.kill().await;
    load.go_on(50).await;
    every_conversation_is_live(&app).await;
    load.finish().await;
}

#[tokio::test]
async fn restarting_nats_under_load_loses_nothing() {
    let Some(mut bus) = BusServer::nats().await else { return };
    let app = two_on(&bus).await;
    let balancer = Balancer::start(&app.instances).await;
    let load = Load::start(&balancer.url()).await;
    for _ in 0..2 {
        bus.kill().await;
        load.go_on(50).await;
        bus.start_again().await;
        load.go_on(50).await;
    }
    every_conversation_is_live(&app).await;
    load.finish().await;
}

#[tokio::test]
async fn an_instance_becomes_ready_when_its_bus_can_be_reached() {
    let Some(mut bus) = BusServer::nats().await else { return };
    bus.kill().await;
    let url = bus.url().replace("nats://", "nats://natter:hidden-word@");
    let app = Setup::new().instances(2).set("redis.url", "").set("bus.url", &url).start().await;
    let health = async || {
        let answer = reqwest::get(format!("{}/health", app.url())).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    wait_until("the instance isn't ready", async || health().await.0 == 503).await;
    let (_, reasons) = health().await;
    assert!(reasons.contains("Start it, or correct bus.url"), "{reasons}");
    let log = app.instances[0].log();
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("nats unavailable")).collect();
    assert_eq!(lines.len(), 1, "{log:?}");
    let address = url.rsplit_once('@').unwrap().1;
    assert!(lines[0].contains(address) && !log.iter().any(|line| line.contains("hidden-word")), "{log:?}");
    bus.start_again().await;
    wait_until("the instance is ready", async || health().await.0 == 200).await;
}

#[tokio::test]
async fn workers_are_ready_without_a_bus_and_web_instances_are_not() {
    let setup = |role: &str| {
        let setup = Setup::new().on(Engine::Postgres).set("redis.url", "").set("bus.url", "redis://127.0.0.1:1");
        setup.set("server.role", role)
    };
    let health = async |url: &str| {
        let answer = reqwest::get(format!("{url}/health")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (web, worker) = tokio::join!(setup("web").start(), setup("worker").start());
    let (status, reasons) = health(&web.url()).await;
    assert_eq!(status, 503, "{reasons}");
    assert!(reasons.contains("this instance isn't ready"), "{reasons}");
    let (status, reasons) = health(&worker.url()).await;
    assert_eq!(status, 200, "{reasons}");
    assert!(reasons.contains("updates between instances take up to a second"), "{reasons}");
}

/// Checks that ephemeral events, which only the bus carries, reach the other instance in every conversation.
async fn every_conversation_is_live(app: &Application) {
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let there = ben.at(&app.instances[1].url());
    let mut conversations = Vec::new();
    for n in 0..CONVERSATIONS {
        conversations.push(anna.open_group(&format!("Group {n}"), &[&ben, &carl]).await);
    }
    let (mut hers, mut his) = (anna.at(&app.instances[0].url()).connect().await, there.connect().await);
    let mut silent = conversations.clone();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !silent.is_empty() {
        let left = (silent.len(), conversations.len());
        assert!(tokio::time::Instant::now() < deadline, "{left:?} conversations are silent");
        for conversation in &silent {
            for active in [true, false] {
                hers.send("typing", json!({ "conversation_id": conversation, "active": active })).await;
            }
        }
        // Events that do not arrive within this time are sent again.
        let round = tokio::time::Instant::now() + Duration::from_secs(1);
        while let Ok(frame) = tokio::time::timeout_at(round, his.next()).await {
            if frame.kind == "typing" {
                silent.retain(|conversation| frame.payload["conversation_id"] != **conversation);
                if silent.is_empty() {
                    break;
                }
            }
        }
    }
}
