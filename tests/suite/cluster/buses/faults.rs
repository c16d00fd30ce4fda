//! Buses that lose, repeat and reorder messages, and lose their server as well. Each reader gets each event once and in
//! order.

use std::time::{SystemTime, UNIX_EPOCH};

use support::{Balancer, BusServer, Setup};

use crate::cluster::Load;

/// Runs the load on a bus with faults whose server is killed, and either started again or replaced by another one. The
/// instances log the seed of the faults.
async fn faults_lose_nothing(mut bus: BusServer, is_replaced: bool) {
    let seed = u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
    let setup = Setup::new().instances(2).set("redis.url", "").set("bus.url", bus.url()).bus_faults(seed);
    let app = setup.start().await;
    let balancer = Balancer::start(&app.instances).await;
    let load = Load::start(&balancer.url()).await;
    load.go_on(200).await;
    bus.kill().await;
    load.go_on(50).await;
    if !is_replaced {
        bus.start_again().await;
    }
    load.go_on(200).await;
    for follower in &load.followers {
        assert_eq!(follower.repetitions(), 0, "an event was delivered twice");
    }
    load.finish().await;
    for instance in &app.instances {
        assert!(instance.log().iter().any(|line| line.contains("bus faults injected")), "the bus had no faults");
    }
}

#[tokio::test]
async fn faults_of_redis_lose_nothing() {
    faults_lose_nothing(BusServer::redis().await, false).await;
}

#[tokio::test]
async fn faults_of_sentinel_lose_nothing() {
    faults_lose_nothing(BusServer::sentinel().await, true).await;
}

#[tokio::test]
async fn faults_of_a_redis_cluster_lose_nothing() {
    faults_lose_nothing(BusServer::cluster().await, true).await;
}

#[tokio::test]
async fn faults_of_nats_lose_nothing() {
    let Some(bus) = BusServer::nats().await else { return };
    faults_lose_nothing(bus, false).await;
}
