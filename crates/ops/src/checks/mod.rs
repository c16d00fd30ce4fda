//! Checks of an installation, shared by `natter doctor`, `/health` and the console.
//!
//! [`quick`] contains checks that are cheap enough to run every second; their texts are public in
//! `/health`. [`all`] also contacts the mail server, the AI providers and the public address.
//! `natter doctor` runs the same checks without a server ([`local`], [`remote`]).

pub mod failure;
pub mod local;
pub mod quick;
pub mod remote;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use appcore::{
    UNTRUSTED_PROXIES,
    view::{Check, CheckAbout, Checks},
};
use futures_util::{future::join_all, join};
use tokio::sync::Mutex;

use crate::OpsService;

/// Timeout of a single check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for which the results are cached, so that several console windows run the checks only once.
const CACHE_TTL: Duration = Duration::from_secs(10);

/// Results of the last run of the checks.
#[derive(Default)]
pub(crate) struct CheckCache(Mutex<Option<(Instant, Checks)>>);

/// Returns the results of all checks, which may be some seconds old. Concurrent callers wait for
/// the same run.
pub async fn all(service: &Arc<OpsService>) -> Checks {
    let mut last = service.checks.0.lock().await;
    if let Some((_, known)) = last.as_ref().filter(|(at, _)| at.elapsed() < CACHE_TTL) {
        return known.clone();
    }
    let found =
        Checks { instance_id: service.instance_id, checked_at: service.clock.now(), checks: run_all(service).await };
    *last = Some((Instant::now(), found.clone()));
    found
}

async fn run_all(service: &Arc<OpsService>) -> Vec<Check> {
    let config = &service.config;
    let program = async {
        match service.program.get() {
            Some(program) => with_timeout(async { Ok(program.checks(service).await) })
                .await
                .map_or_else(|_| Vec::new(), |(found, _)| found),
            None => Vec::new(),
        }
    };
    let is_there = service.db.is_available();
    let database = async {
        if is_there {
            let mut found = vec![remote::search(config, &service.db).await, remote::jobs(&service.db).await];
            found.extend(remote::partitions(config, &service.db).await);
            found
        } else {
            Vec::new()
        }
    };
    let clock =
        async { if is_there && !service.db.is_sqlite() { Some(remote::clock(&service.db).await) } else { None } };
    let (mut quick, program, database, clock, mail, ai, address) = join!(
        quick::run(service),
        program,
        database,
        clock,
        remote::mail(config),
        remote::ai(service.gateway.ai()),
        remote::public_address(config, true),
    );
    // The program has read the destination, so its result replaces the quick one.
    if program.iter().any(|check| check.about == CheckAbout::Backups) {
        quick.checks.retain(|check| check.about != CheckAbout::Backups);
    }
    let key = vec![local::key(config)];
    let proxies = local::untrusted_proxies(&UNTRUSTED_PROXIES.peers());
    let known = [quick.checks, program, proxies, key, database].into_iter().flatten();
    let known = known.chain(local::network_database(config)).chain(local::push_contact(config));
    let mut checks: Vec<Check> = known.chain(clock).chain([mail]).chain(ai).chain(address).collect();
    // The checks are grouped by subject, in the order in which `natter doctor` prints them.
    checks.sort_by_key(|check| check.about as u8);
    checks
}

/// Awaits a result with the timeout [`CHECK_TIMEOUT`]. Returns it with its duration in
/// milliseconds.
pub async fn with_timeout<T>(asked: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<(T, u128)> {
    let begun = Instant::now();
    match tokio::time::timeout(CHECK_TIMEOUT, asked).await {
        Ok(answer) => Ok((answer?, begun.elapsed().as_millis())),
        Err(_) => Err(anyhow::anyhow!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
    }
}

/// Runs checks of the same kind concurrently.
async fn run_concurrently<F: Future<Output = Option<Check>>>(asked: impl IntoIterator<Item = F>) -> Vec<Check> {
    join_all(asked).await.into_iter().flatten().collect()
}

/// Warning about something that doesn't exist yet and that the first start creates.
fn created_at_start(about: CheckAbout, what: impl std::fmt::Display) -> Check {
    Check::warning(about, format!("{what} doesn't exist yet. The first start creates it"))
}
