//! Circuit breaker of each dependency (PostgreSQL, Redis, each AI provider).
//!
//! Closed, it lets every call through and counts consecutive failures. At [`Policy::failures`] it
//! opens, and calls are refused at once instead of each one waiting for its own timeout. After a
//! pause it is half-open: one call goes through as a probe. If the probe succeeds, the breaker
//! closes; if it fails, the breaker opens again, for twice as long up to [`Policy::longest_pause`].

use std::{
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::watch, time::Instant};

/// Policy of a breaker: when it opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Consecutive failures that open the breaker.
    pub failures: u32,
    /// Time from opening to the first probe.
    pub pause: Duration,
    /// Upper bound of the pause, which doubles after each failed probe.
    pub longest_pause: Duration,
}

/// State of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// Every call goes through.
    Closed,
    /// Calls are refused at once.
    Open,
    /// A single call is in progress as a probe; all others are refused.
    HalfOpen,
}

/// Error of a call that was refused because the breaker is open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is unavailable; the next attempt is in {} ms", retry_after.as_millis())]
pub struct CircuitOpen {
    name: String,
    /// Time until the next probe is admitted.
    pub retry_after: Duration,
}

#[derive(Debug)]
pub struct Breaker {
    /// Name of the dependency, for the log.
    name: String,
    policy: Policy,
    state: Mutex<State>,
    is_open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    opened: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    since: Instant,
    probe_at: Instant,
    pause: Duration,
    is_probing: bool,
}

impl Breaker {
    #[must_use]
    pub fn new(name: impl Into<String>, policy: Policy) -> Self {
        Self { name: name.into(), policy, state: Mutex::default(), is_open: watch::Sender::new(false) }
    }

    /// Lets a call through, or refuses it. The caller reports the outcome to the guard. A guard
    /// that is dropped reports no outcome.
    pub fn admit(&self) -> Result<Admitted<'_>, CircuitOpen> {
        let now = Instant::now();
        let mut state = self.state();
        let is_probe = match &mut state.opened {
            None => false,
            Some(opened) if !opened.is_probing && opened.probe_at <= now => {
                opened.is_probing = true;
                true
            }
            Some(opened) => {
                let retry_after = opened.probe_at.saturating_duration_since(now);
                return Err(CircuitOpen { name: self.name.clone(), retry_after });
            }
        };
        Ok(Admitted { breaker: self, is_probe, has_ended: false })
    }

    #[must_use]
    pub fn circuit(&self) -> Circuit {
        match &self.state().opened {
            None => Circuit::Closed,
            Some(opened) if opened.is_probing => Circuit::HalfOpen,
            Some(_) => Circuit::Open,
        }
    }

    /// True if calls are refused. Probes are still admitted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.is_open.borrow()
    }

    /// Resolves once the breaker is open.
    pub async fn wait_until_open(&self) {
        // The sender lives as long as `self`.
        let _ = self.is_open.subscribe().wait_for(|is_open| *is_open).await;
    }

    fn succeed(&self, is_probe: bool) {
        let mut state = self.state();
        match (&state.opened, is_probe) {
            (None, _) => state.failures = 0,
            (Some(opened), true) => {
                let away_ms = u64::try_from(opened.since.elapsed().as_millis()).unwrap_or(u64::MAX);
                *state = State::default();
                self.is_open.send_replace(false);
                tracing::info!(dependency = self.name, away_ms, "circuit breaker closed");
            }
            // The call started before the breaker opened, so its outcome is out of date.
            (Some(_), false) => {}
        }
    }

    fn fail(&self, is_probe: bool, error: &dyn Display) {
        let now = Instant::now();
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let failures = state.failures;
        match &mut state.opened {
            Some(opened) if is_probe => {
                let pause = opened.pause.saturating_mul(2).min(self.policy.longest_pause);
                *opened = Opened { since: opened.since, probe_at: now + pause, pause, is_probing: false };
            }
            Some(_) => {}
            None if failures >= self.policy.failures => {
                let pause = self.policy.pause;
                state.opened = Some(Opened { since: now, probe_at: now + pause, pause, is_probing: false });
                self.is_open.send_replace(true);
                tracing::warn!(dependency = self.name, %error, "circuit breaker open, refusing calls until a probe succeeds");
            }
            None => {}
        }
    }

    // A panic can't leave the state inconsistent, so a poisoned lock is still usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guard of a call that was let through.
#[derive(Debug)]
#[must_use = "report how the call ended"]
pub struct Admitted<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    has_ended: bool,
}

impl Admitted<'_> {
    pub fn record_success(mut self) {
        self.has_ended = true;
        self.breaker.succeed(self.is_probe);
    }

    /// Records a failed call; `error` is logged if it opens the breaker.
    pub fn record_failure(mut self, error: &dyn Display) {
        self.has_ended = true;
        self.breaker.fail(self.is_probe, error);
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.is_probe
            && !self.has_ended
            && let Some(opened) = &mut self.breaker.state().opened
        {
            opened.is_probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy =
        Policy { failures: 2, pause: Duration::from_millis(100), longest_pause: Duration::from_millis(250) };

    fn fail(breaker: &Breaker) {
        breaker.admit().unwrap().record_failure(&"refused");
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_consecutive_failures_only() {
        let breaker = Breaker::new("test", POLICY);
        fail(&breaker);
        breaker.admit().unwrap().record_success();
        fail(&breaker);
        assert_eq!(breaker.circuit(), Circuit::Closed);
        fail(&breaker);
        assert_eq!(breaker.circuit(), Circuit::Open);
        assert_eq!(breaker.admit().unwrap_err().retry_after, POLICY.pause);
        breaker.wait_until_open().await;
    }

    #[tokio::test(start_paused = true)]
    async fn admits_one_probe_at_a_time_and_closes_on_success() {
        let breaker = Breaker::new("test", POLICY);
        fail(&breaker);
        fail(&breaker);
        tokio::time::advance(POLICY.pause).await;
        let probe = breaker.admit().unwrap();
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        assert!(breaker.admit().is_err());
        // After a probe is dropped, the next one is admitted.
        drop(probe);
        let probe = breaker.admit().unwrap();
        probe.record_success();
        assert_eq!(breaker.circuit(), Circuit::Closed);
        assert!(!breaker.is_open());
        fail(&breaker);
        assert_eq!(breaker.circuit(), Circuit::Closed, "the failure count restarts");
    }

    #[tokio::test(start_paused = true)]
    async fn pause_doubles_per_failed_probe_up_to_the_maximum() {
        let breaker = Breaker::new("test", POLICY);
        fail(&breaker);
        fail(&breaker);
        for pause in [100, 200, 250, 250].map(Duration::from_millis) {
            assert_eq!(breaker.admit().unwrap_err().retry_after, pause);
            tokio::time::advance(pause).await;
            fail(&breaker);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_started_before_opening_neither_close_it_nor_prolong_the_pause() {
        let breaker = Breaker::new("test", POLICY);
        let (slow, slower) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        fail(&breaker);
        fail(&breaker);
        slow.record_success();
        assert!(breaker.is_open());
        tokio::time::advance(POLICY.pause / 2).await;
        slower.record_failure(&"late");
        assert_eq!(breaker.admit().unwrap_err().retry_after, POLICY.pause / 2);
    }
}
