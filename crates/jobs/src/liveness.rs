//! Liveness: detects dead workers of the cluster, so that their jobs don't have to wait for the
//! leases to expire.
//!
//! Each instance that runs jobs holds a [lock](Sign) in PostgreSQL, which is released with the
//! instance's connections. If the lock of another instance is absent for a moment, its leases are
//! expired. A broken connection of a live instance does no harm: the instance reacquires its lock
//! at once, and an instance that has just lost its own lock judges no other.

use std::{collections::HashMap, sync::Arc, time::Duration};

use appcore::InstanceId;
use dbcontext::{LivenessLock, query};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Host, wake};

/// Interval for renewing the own lock and checking those of others.
const CHECK_INTERVAL: Duration = Duration::from_millis(400);
/// Time for which a lock must be absent before its instance counts as dead.
const GRACE_PERIOD: Duration = Duration::from_millis(1_000);
/// Time for which the own lock must have been held before others are judged: after an outage of
/// PostgreSQL all instances have to reconnect first.
const MIN_OWN_LOCK_AGE: Duration = Duration::from_secs(3);

/// Acquires the own lock before anything is claimed. On failure only the leases count until it is
/// acquired.
pub(super) async fn acquire_lock(host: &impl Host) -> LivenessLock {
    let mut sign = LivenessLock::for_instance(host.instance_id());
    if let Err(error) = sign.renew(host.db()).await {
        tracing::warn!(%error, "failed to acquire liveness lock");
    }
    sign
}

/// Renews the own lock and expires the leases of dead instances.
pub(super) async fn monitor(host: Arc<impl Host>, mut sign: LivenessLock) {
    let mut looks = interval(CHECK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown_since = None;
    let mut missing: HashMap<InstanceId, Instant> = HashMap::new();
    loop {
        looks.tick().await;
        if let Err(error) = sign.renew(host.db()).await {
            tracing::debug!(%error, "failed to renew liveness lock");
            shown_since = None;
            missing.clear();
            continue;
        }
        let now = Instant::now();
        if now - *shown_since.get_or_insert(now) < MIN_OWN_LOCK_AGE || !host.db().is_available() {
            missing.clear();
            continue;
        }
        match query::jobs::workers_without_liveness_lock(host.db().writer(), host.instance_id()).await {
            Ok(gone) => {
                missing.retain(|instance, _| gone.contains(instance));
                for instance in gone {
                    if now - *missing.entry(instance).or_insert(now) >= GRACE_PERIOD {
                        expire_dead_instance(&*host, instance).await;
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "liveness check failed");
                missing.clear();
            }
        }
    }
}

/// Expires the leases of a dead instance.
async fn expire_dead_instance(host: &impl Host, instance: InstanceId) {
    match query::jobs::expire_leases(host.db().writer(), instance).await {
        Ok(true) => {
            tracing::warn!(%instance, "dead instance detected, its leases expired");
            wake(host.bus());
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "failed to expire leases of dead instance"),
    }
}
