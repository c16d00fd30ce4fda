//! Liveness: detects dead workers of the cluster, so that their jobs don't have to wait for the
//! leases to expire.
//!
//! Each instance that runs jobs holds a [lock](LivenessLock) in PostgreSQL, which is released when
//! the instance's connections end. If the lock of another instance is absent for longer than
//! [`GRACE_PERIOD`], the leases of that instance are expired. A broken connection does no harm to a
//! live instance, because it acquires its lock again at once. An instance that has itself just lost
//! its lock doesn't check the others.

use std::{collections::HashMap, sync::Arc, time::Duration};

use appcore::InstanceId;
use dbcontext::{LivenessLock, query};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Host, wake_workers};

/// Interval at which an instance renews its own lock and checks those of others.
const CHECK_INTERVAL: Duration = Duration::from_millis(400);
/// Time for which a lock must be absent before its instance counts as dead.
const GRACE_PERIOD: Duration = Duration::from_millis(1_000);
/// Time for which an instance must have held its own lock before it checks others. Needed because
/// all instances have to reconnect after an outage of PostgreSQL.
const MIN_OWN_LOCK_AGE: Duration = Duration::from_secs(3);

/// Acquires this instance's lock before it claims any job. If that fails, other instances rely on
/// the leases only until the lock is acquired.
pub(super) async fn acquire_lock(host: &impl Host) -> LivenessLock {
    let mut sign = LivenessLock::for_instance(host.instance_id());
    if !host.db().has_session_locks() {
        return sign;
    }
    if let Err(error) = sign.renew(host.db()).await {
        tracing::warn!(%error, "failed to acquire liveness lock");
    }
    sign
}

/// Renews this instance's lock, and expires the leases of instances that have died.
pub(super) async fn monitor(host: Arc<impl Host>, mut sign: LivenessLock) {
    if !host.db().has_session_locks() {
        // Without locks, jobs of a dead instance wait until their leases expire.
        return;
    }
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
            wake_workers(host.bus());
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "failed to expire leases of dead instance"),
    }
}
