//! A key in use by one request; updates the key's state by the outcome.

use std::{sync::Arc, time::Duration};

use appcore::event::ProviderKeyChange;
use tokio::time::Instant;

use super::{Cooldown, DisabledKey, FIRST_PROBE_DELAY, KeyPool, MAX_PROBE_DELAY, MAX_RETRY_AFTER};
use crate::{AiError, Secret, provider_http::failure::MAX_TRUSTED_DELAY};

/// Maximum cooldown after a 429 without a delay; starts with the pool's backoff and doubles.
const MAX_COOLDOWN: Duration = Duration::from_secs(60);
/// Cooldown of a key with spent quota, if the provider doesn't say when the quota renews.
const QUOTA_COOLDOWN: Duration = Duration::from_secs(600);
/// First cooldown after a 429 with a delay if no other key is ready; doubles up to that delay.
const FIRST_LONE_COOLDOWN: Duration = Duration::from_secs(30);
/// Requests of more tokens count as large.
pub(super) const LARGE_REQUEST_TOKENS: u64 = 20_000;
/// Cooldown after [`FAILURES_BEFORE_COOLDOWN`] consecutive server errors.
pub(super) const FAILURE_COOLDOWN: Duration = Duration::from_secs(5);
pub(super) const FAILURES_BEFORE_COOLDOWN: u32 = 3;

/// A key in use by one request.
pub struct KeyLease {
    pub(super) pool: Arc<KeyPool>,
    pub(super) index: usize,
    pub(super) key: Option<Secret>,
    pub(super) model: String,
    /// Input tokens plus the maximum output.
    pub(super) size: u64,
}

fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

impl KeyLease {
    pub fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// Last characters of the key, for logs and statistics, if it is long enough to show them.
    pub fn tail(&self) -> Option<&str> {
        self.key.as_ref().and_then(|key| tail(key.expose()))
    }

    /// Index of the key in the pool, to exclude it from the next lending.
    pub fn index(&self) -> usize {
        self.index
    }

    pub fn record_success(&self) {
        let mut state = self.pool.state();
        let slot = &mut state.slots[self.index];
        slot.failures = 0;
        slot.cooldown_until = None;
        // The success of a small request says nothing about large ones.
        if slot.models.get(&self.model).is_some_and(|rest| self.size >= rest.from) {
            slot.models.remove(&self.model);
        }
        let was_off = slot.disabled.take().is_some();
        drop(state);
        if was_off {
            self.pool.publish_state(self.index, None, ProviderKeyChange::Enabled);
        }
    }

    /// Records a failure. Returns true if the request may succeed at once with another key.
    pub fn record_failure(&self, error: &AiError) -> bool {
        let now = Instant::now();
        let mut state = self.pool.state();
        let alone = state.slots.len() == 1;
        let slot = &mut state.slots[self.index];
        slot.failed += 1;
        match error {
            AiError::Busy { retry_after } => {
                let from = if self.size > LARGE_REQUEST_TOKENS { self.size / 2 } else { 0 };
                let before = slot.models.get(&self.model).filter(|rest| (rest.from > 0) == (from > 0)).copied();
                // Concurrent requests are refused together; they count as one failure.
                let in_a_row = before.map_or(0, |rest| rest.consecutive.saturating_sub(u32::from(rest.until > now)));
                let is_alone = !state.has_other(self.index, &self.model, self.size, now);
                let wait = match *retry_after {
                    None => self.pool.backoff.saturating_mul(1 << in_a_row.min(6)).min(MAX_COOLDOWN),
                    // Only the time until the renewal of a daily quota is that long, and it is
                    // exact.
                    Some(asked) if asked > MAX_TRUSTED_DELAY => asked.min(MAX_RETRY_AFTER),
                    Some(asked) if is_alone => asked.min(FIRST_LONE_COOLDOWN.saturating_mul(1 << in_a_row.min(7))),
                    Some(asked) => asked,
                };
                let rest = Cooldown { until: now + wait, consecutive: in_a_row.saturating_add(1), from };
                state.cool_down(self.index, Some(&self.model), rest, now);
                drop(state);
                if from == 0 {
                    self.pool.publish_state(
                        self.index,
                        Some(&self.model),
                        ProviderKeyChange::Paused(milliseconds(wait)),
                    );
                }
                true
            }
            AiError::Quota => {
                state.cool_down(
                    self.index,
                    None,
                    Cooldown { until: now + QUOTA_COOLDOWN, consecutive: 0, from: 0 },
                    now,
                );
                drop(state);
                self.pool.publish_state(self.index, None, ProviderKeyChange::Paused(milliseconds(QUOTA_COOLDOWN)));
                true
            }
            AiError::Credentials => {
                let wait = slot
                    .disabled
                    .as_ref()
                    .map_or(FIRST_PROBE_DELAY, |off| off.wait.saturating_mul(2).min(MAX_PROBE_DELAY));
                let since = slot.disabled.as_ref().map_or(now, |off| off.since);
                let was_on = slot.disabled.replace(DisabledKey { since, ..DisabledKey::new(now, wait) }).is_none();
                drop(state);
                if was_on {
                    self.pool.publish_state(self.index, None, ProviderKeyChange::Disabled);
                }
                true
            }
            AiError::Unavailable { .. } | AiError::Timeout | AiError::Truncated => {
                slot.failures = slot.failures.saturating_add(1);
                if slot.failures >= FAILURES_BEFORE_COOLDOWN && !alone {
                    slot.failures = 0;
                    slot.cooldown_until = Some(now + FAILURE_COOLDOWN);
                }
                false
            }
            _ => false,
        }
    }
}

/// Last four characters of a key; `None` if the key is too short to disclose any.
pub(super) fn tail(key: &str) -> Option<&str> {
    let start = key.char_indices().rev().nth(3).map_or(0, |(start, _)| start);
    (key.len() >= 12).then(|| &key[start..])
}

impl Drop for KeyLease {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        let slot = &mut state.slots[self.index];
        slot.in_flight = slot.in_flight.saturating_sub(1);
        if let Some(off) = &mut slot.disabled {
            off.probing = false;
        }
    }
}
