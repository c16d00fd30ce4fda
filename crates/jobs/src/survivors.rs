//! Who of the cluster's workers is gone, so that their jobs need not wait for the leases to run out.
//!
//! Each instance that works on jobs shows a [`Sign`] of life, which PostgreSQL takes away with the instance's connections. Whoever sees for a
//! moment that another one has none lets its leases run out. A connection that breaks while its instance lives is no reason: the instance
//! shows its sign again at once, and nobody judges who has just lost their own.

use std::{collections::HashMap, sync::Arc, time::Duration};

use appcore::InstanceId;
use dbcontext::{LivenessLock, query};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Host, wake};

/// How often the own sign is renewed, and looked for those of others.
const LOOK: Duration = Duration::from_millis(400);
/// How long a sign must be missing.
const MISSING: Duration = Duration::from_millis(1_000);
/// How long the own sign must have been there for a judgement on others: after PostgreSQL was away, all have to come back first.
const STEADY: Duration = Duration::from_secs(3);

/// Shows the own sign for the first time, before anything is claimed. Where that fails, leases alone decide until it is there.
pub(super) async fn show(host: &impl Host) -> LivenessLock {
    let mut sign = LivenessLock::of(host.instance_id());
    if let Err(error) = sign.renew(host.db()).await {
        tracing::warn!(%error, "this instance's sign of life can't be shown yet");
    }
    sign
}

/// Keeps the sign, and lets go of what the dead held.
pub(super) async fn watch(host: Arc<impl Host>, mut sign: LivenessLock) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown_since = None;
    let mut missing: HashMap<InstanceId, Instant> = HashMap::new();
    loop {
        looks.tick().await;
        if let Err(error) = sign.renew(host.db()).await {
            tracing::debug!(%error, "this instance's sign of life is not there");
            shown_since = None;
            missing.clear();
            continue;
        }
        let now = Instant::now();
        if now - *shown_since.get_or_insert(now) < STEADY || !host.db().is_available() {
            missing.clear();
            continue;
        }
        match query::jobs::workers_without_sign(host.db().writer(), host.instance_id()).await {
            Ok(gone) => {
                missing.retain(|instance, _| gone.contains(instance));
                for instance in gone {
                    if now - *missing.entry(instance).or_insert(now) >= MISSING {
                        bury(&*host, instance).await;
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "nobody can be looked for");
                missing.clear();
            }
        }
    }
}

/// Gives the jobs of an instance that is gone to those who are there.
async fn bury(host: &impl Host, instance: InstanceId) {
    match query::jobs::expire_leases(host.db().writer(), instance).await {
        Ok(true) => {
            tracing::warn!(%instance, "an instance is gone; others take its jobs over");
            wake(host.bus());
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "the jobs of an instance that is gone wait until their leases run out"),
    }
}
