//! Fault injection. The order is derived from the seed; every kind of fault occurs once before any
//! is repeated.

use std::time::Duration;

use support::Way;
use tokio::sync::watch;

use crate::client::Orders;
use crate::cluster::{Cluster, INSTANCES};
use crate::dice::Dice;
use crate::evidence::{Fault, Kind, now};
use crate::rest::Requester;

/// Pause before a rolling restart, so that the effects of earlier faults are over.
const QUIET: Duration = Duration::from_millis(4_500);

const KINDS: [Kind; 18] = [
    Kind::KillInstance,
    Kind::KillUntold,
    Kind::KillBoth,
    Kind::Blackout,
    Kind::FreezeInstance,
    Kind::RollingRestart,
    Kind::EndBackends,
    Kind::StopDatabase,
    Kind::CutDatabase,
    Kind::SlowDatabase,
    Kind::DeadDatabase,
    Kind::KillRedis,
    Kind::CutRedis,
    Kind::SlowRedis,
    Kind::DeadRedis,
    Kind::CutClients,
    Kind::SlowClients,
    Kind::DropClients,
];

pub struct Schedule {
    dice: Dice,
    deck: Vec<Kind>,
    /// Kinds of faults to inject.
    only: Vec<Kind>,
}

impl Schedule {
    /// Creates the injector. `only` lists kinds of faults, separated by commas; if it is empty, all
    /// kinds are injected.
    pub fn new(dice: Dice, only: &str) -> Self {
        let named = |kind: &Kind| only.split(',').any(|name| name == format!("{kind:?}"));
        let only = KINDS.into_iter().filter(|kind| only.is_empty() || named(kind)).collect();
        Self { dice, deck: Vec::new(), only }
    }

    /// Draws the pause until the next fault.
    pub fn pause(&mut self) -> Duration {
        self.dice.between(300, 2_000)
    }

    fn draw(&mut self) -> Kind {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.only);
            // Faults that nothing reports occur twice as often, because the guarantees are about
            // them.
            self.deck.extend(self.only.iter().filter(|kind| matches!(kind, Kind::KillUntold | Kind::KillRedis)));
            self.dice.shuffle(&mut self.deck);
        }
        self.deck.pop().unwrap_or(Kind::KillInstance)
    }

    /// Injects the next fault and repairs it afterwards.
    pub async fn strike(
        &mut self,
        cluster: &mut Cluster,
        orders: &watch::Sender<Orders>,
        whisperer: &mut Requester,
    ) -> (Fault, Vec<String>) {
        let kind = self.draw();
        let dice = &mut self.dice;
        let (place, short, long) = (dice.below(INSTANCES), dice.between(150, 1_500), dice.between(800, 5_000));
        let delay = dice.between(20, 250);
        let mut surprises = Vec::new();
        if kind == Kind::RollingRestart {
            tokio::time::sleep(QUIET).await;
        }
        let from = now();
        let what = match kind {
            Kind::KillInstance => {
                cluster.instances[place].kill().await;
                tokio::time::sleep(short).await;
                cluster.start_again(place).await;
                cluster.balancer.wait_until_all_are_up().await;
                format!("instance {place} is killed, and starts again after {short:?}")
            }
            Kind::KillUntold => {
                // The instance's commits are acknowledged while its publications are lost; then it
                // is killed.
                cluster.to_redis[place].set(Way::Dead);
                tokio::time::sleep(short / 2).await;
                whisperer.whisper(&cluster.instances[place].url()).await;
                cluster.instances[place].kill().await;
                cluster.to_redis[place].set(Way::Open);
                cluster.to_redis[place].cut();
                tokio::time::sleep(short).await;
                cluster.start_again(place).await;
                cluster.balancer.wait_until_all_are_up().await;
                format!("instance {place} is killed before it could tell what it committed in {:?}", short / 2)
            }
            Kind::KillBoth => {
                cluster.redis.stop().await;
                tokio::time::sleep(short / 2).await;
                cluster.instances[place].kill().await;
                tokio::time::sleep(short).await;
                cluster.start_again(place).await;
                cluster.redis.start_again().await;
                cluster.balancer.wait_until_all_are_up().await;
                format!("Redis is killed, and {:?} later instance {place}; it starts again without Redis", short / 2)
            }
            Kind::Blackout => {
                for place in 0..INSTANCES {
                    cluster.instances[place].kill().await;
                }
                cluster.redis.stop().await;
                tokio::task::block_in_place(|| cluster.postgres.stop());
                tokio::time::sleep(short).await;
                tokio::task::block_in_place(|| cluster.postgres.start_again());
                cluster.redis.start_again().await;
                for place in 0..INSTANCES {
                    cluster.start_again(place).await;
                }
                cluster.balancer.wait_until_all_are_up().await;
                format!("everything is killed at once, and starts again after {short:?}")
            }
            Kind::FreezeInstance => {
                // Sometimes the pause is longer than the time for which a transaction may block
                // others.
                let length = if dice.percent(30) { long + Duration::from_secs(5) } else { long };
                cluster.instances[place].pause();
                tokio::time::sleep(length).await;
                cluster.instances[place].resume();
                format!("instance {place} stands still for {length:?}")
            }
            Kind::RollingRestart => {
                for place in 0..INSTANCES {
                    let ended = cluster.instances[place].terminate().await;
                    if !ended.success() {
                        surprises.push(format!("instance {place} ended with {ended} after SIGTERM"));
                    }
                    cluster.start_again(place).await;
                    cluster.balancer.wait_until_all_are_up().await;
                }
                "all instances are restarted in turn".into()
            }
            Kind::EndBackends => {
                cluster.end_backends().await;
                "all backends of PostgreSQL are terminated".into()
            }
            Kind::StopDatabase => {
                tokio::task::block_in_place(|| cluster.postgres.stop());
                tokio::time::sleep(short).await;
                tokio::task::block_in_place(|| cluster.postgres.start_again());
                format!("PostgreSQL is away for {short:?}")
            }
            Kind::CutDatabase => {
                cluster.to_database[place].cut();
                format!("instance {place} loses its connections to PostgreSQL")
            }
            Kind::SlowDatabase => {
                cluster.to_database[place].set(Way::Slow(delay / 2));
                tokio::time::sleep(long).await;
                cluster.to_database[place].set(Way::Open);
                format!("PostgreSQL is {:?} late for instance {place}, for {long:?}", delay / 2)
            }
            Kind::DeadDatabase => {
                cluster.to_database[place].set(Way::Dead);
                tokio::time::sleep(long).await;
                cluster.to_database[place].set(Way::Open);
                format!("instance {place} gets nothing from PostgreSQL for {long:?}")
            }
            Kind::KillRedis => {
                cluster.redis.stop().await;
                tokio::time::sleep(long).await;
                cluster.redis.start_again().await;
                format!("Redis is killed, and starts again after {long:?}")
            }
            Kind::CutRedis => {
                cluster.to_redis[place].cut();
                format!("instance {place} loses its connections to Redis")
            }
            Kind::SlowRedis => {
                cluster.to_redis[place].set(Way::Slow(delay));
                tokio::time::sleep(long).await;
                cluster.to_redis[place].set(Way::Open);
                format!("Redis is {delay:?} late for instance {place}, for {long:?}")
            }
            Kind::DeadRedis => {
                cluster.to_redis[place].set(Way::Dead);
                tokio::time::sleep(long).await;
                cluster.to_redis[place].set(Way::Open);
                format!("instance {place} gets nothing from Redis for {long:?}")
            }
            Kind::CutClients => {
                cluster.door.cut();
                "half of the clients lose their connections".into()
            }
            Kind::SlowClients => {
                cluster.door.set(Way::Slow(delay));
                tokio::time::sleep(long).await;
                cluster.door.set(Way::Open);
                format!("half of the clients are {delay:?} away, for {long:?}")
            }
            Kind::DropClients => {
                orders.send_modify(|orders| orders.drop_number += 1);
                "some clients drop off and come back".into()
            }
        };
        (Fault { kind, what, from, to: now() }, surprises)
    }
}
