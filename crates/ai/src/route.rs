//! Attempts of one request: from deployment to deployment and from key to key until one answers.
//!
//! Deployments are tried by priority, and in weighted random order among equal priorities. A key's
//! failure is followed by the next key, a provider's failure by the next deployment. A caller's
//! mistake is reported at once and affects neither key nor provider. If all deployments have
//! failed, the fallbacks for the cause follow. One deadline covers all attempts. Nothing here runs
//! after the first byte of an answer.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use appcore::breaker::Admitted;
use tokio::time::{Instant, sleep};

use crate::{
    AiError, Deployment, Route,
    ai::{ProviderSnapshot, Upstream},
    keys::{KeyLease, NoKeyAvailable},
    params::ModelParamOverrides,
    provider_http::failure::Failure,
};

/// Retry policy after transient failures of all deployments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    pub times: usize,
    /// First delay; doubles with each retry.
    pub wait: Duration,
    /// Longest delay requested by a provider for which the gateway waits itself; a longer one is
    /// reported to the caller. With zero, every delay is reported.
    pub max_delay: Duration,
}

/// Attempts of one request.
pub(crate) struct RouteAttempts<'a> {
    upstreams: &'a ProviderSnapshot,
    route: &'a Route,
    /// Estimated input tokens plus the maximum output.
    size: u64,
    queue: VecDeque<&'a Deployment>,
    /// Keys that were already tried for the first deployment in the queue.
    tried: Vec<usize>,
    used_fallbacks: UsedFallbacks,
    last: Option<Failure>,
    retry_policy: RetryPolicy,
    pub deadline: Instant,
}

/// Groups of fallbacks that were already used.
#[derive(Default)]
struct UsedFallbacks {
    context_length: bool,
    content_policy: bool,
    failure: bool,
}

/// Attempt: a provider, its key, and the breaker's permission.
pub(crate) struct Attempt<'a> {
    pub upstream: &'a Upstream,
    pub model: &'a str,
    /// Configured model parameters, which override the built-in ones.
    pub param_overrides: Option<Arc<ModelParamOverrides>>,
    pub lease: KeyLease,
    admitted: Admitted<'a>,
}

impl<'a> RouteAttempts<'a> {
    pub fn new(
        upstreams: &'a ProviderSnapshot,
        route: &'a Route,
        size: u64,
        persistence: RetryPolicy,
        deadline: Instant,
    ) -> Self {
        let queue = weighted_order(&route.deployments);
        let (tried, spent, last) = (Vec::new(), UsedFallbacks::default(), None);
        Self { upstreams, route, size, queue, tried, used_fallbacks: spent, last, retry_policy: persistence, deadline }
    }

    /// Returns the next attempt, after a delay if one is due, or the failure to report if none is
    /// left.
    pub async fn next(&mut self) -> Result<Attempt<'a>, Failure> {
        loop {
            let Some(&deployment) = self.queue.front() else {
                self.start_next_round().await?;
                continue;
            };
            let Some(upstream) = self.upstreams.find(&deployment.provider) else {
                self.skip_deployment(AiError::UnknownModel);
                continue;
            };
            let lease = match upstream.keys.acquire(&deployment.model, self.size, &self.tried) {
                Ok(lease) => lease,
                Err(NoKeyAvailable::CoolingDown(wait)) => {
                    self.skip_deployment(AiError::Busy { retry_after: Some(wait) });
                    continue;
                }
                Err(NoKeyAvailable::Disabled) => {
                    self.skip_deployment(AiError::Credentials);
                    continue;
                }
            };
            match upstream.breaker.admit() {
                Ok(admitted) => {
                    self.tried.push(lease.index());
                    let takes = deployment.param_overrides.clone();
                    return Ok(Attempt { upstream, model: &deployment.model, param_overrides: takes, lease, admitted });
                }
                Err(open) => self.skip_deployment(AiError::Unavailable { retry_after: Some(open.retry_after) }),
            }
        }
    }

    /// Records a failed attempt. Returns the failure if no other attempt can help.
    pub fn record_failure(&mut self, attempt: Attempt<'a>, failure: Failure) -> Result<(), Failure> {
        let error = &failure.error;
        let another_key = attempt.record_failure(error);
        if Instant::now() >= self.deadline {
            return Err(failure);
        }
        let (fallbacks, spent) = match error {
            AiError::Rejected => return Err(failure),
            AiError::TooLong => (&self.route.fallbacks.context_length, &mut self.used_fallbacks.context_length),
            AiError::Declined => (&self.route.fallbacks.content_policy, &mut self.used_fallbacks.content_policy),
            _ => {
                if !another_key {
                    self.advance();
                }
                self.remember(failure);
                return Ok(());
            }
        };
        if std::mem::replace(spent, true) || fallbacks.is_empty() {
            return Err(failure);
        }
        self.queue = weighted_order(fallbacks);
        self.tried.clear();
        self.last = Some(failure);
        // Marks all fallbacks as used: none follow these, whatever caused the switch.
        self.used_fallbacks.failure = true;
        Ok(())
    }

    /// Moves on to the next deployment because the first is unavailable.
    fn skip_deployment(&mut self, error: AiError) {
        let is_wait = |error: &AiError| matches!(error, AiError::Busy { .. });
        if self.last.as_ref().is_none_or(|last| is_wait(&last.error) && is_wait(&error)) {
            self.remember(error.into());
        }
        self.advance();
    }

    fn advance(&mut self) {
        self.queue.pop_front();
        self.tried.clear();
    }

    /// Remembers the failure to report. Of two rate-limit failures with a delay, the one with the
    /// shorter delay is kept.
    fn remember(&mut self, failure: Failure) {
        if let (
            Some(Failure { error: AiError::Busy { retry_after: Some(before) }, .. }),
            AiError::Busy { retry_after: Some(now) },
        ) = (&self.last, &failure.error)
            && before <= now
        {
            return;
        }
        self.last = Some(failure);
    }

    /// Handles the failure of all deployments: uses the fallbacks, or starts another round after a
    /// delay.
    async fn start_next_round(&mut self) -> Result<(), Failure> {
        let failure = self.last.clone().unwrap_or_else(|| AiError::UnknownModel.into());
        if !std::mem::replace(&mut self.used_fallbacks.failure, true) && !self.route.fallbacks.failure.is_empty() {
            self.queue = weighted_order(&self.route.fallbacks.failure);
            return Ok(());
        }
        let error = &failure.error;
        let wait = error.retry_after().map_or(self.retry_policy.wait, |asked| asked.max(self.retry_policy.wait));
        let too_long = error.retry_after().is_some_and(|asked| asked > self.retry_policy.max_delay);
        let unasked_busy = self.retry_policy.max_delay.is_zero() && matches!(error, AiError::Busy { .. });
        let in_time = wait < self.deadline.saturating_duration_since(Instant::now());
        if self.retry_policy.times == 0 || !error.is_transient() || too_long || unasked_busy || !in_time {
            return Err(failure);
        }
        tracing::info!(code = error.code(), wait_ms = wait.as_millis(), "retrying provider request");
        sleep(wait).await;
        self.retry_policy.times -= 1;
        self.retry_policy.wait *= 2;
        self.last = None;
        self.queue = weighted_order(&self.route.deployments);
        Ok(())
    }
}

impl<'a> Attempt<'a> {
    /// Another request for an answer that has started. `None` while the provider's breaker is open.
    pub fn of_started_answer(
        upstream: &'a Upstream,
        model: &'a str,
        param_overrides: Option<Arc<ModelParamOverrides>>,
        lease: KeyLease,
    ) -> Option<Self> {
        Some(Self { upstream, model, param_overrides, lease, admitted: upstream.breaker.admit().ok()? })
    }

    /// Records a failure. Returns true if the request may succeed at once with another key.
    pub fn record_failure(self, error: &AiError) -> bool {
        let Self { upstream, lease, admitted, .. } = self;
        tracing::warn!(provider = upstream.name, key = lease.index(), code = error.code(), "provider request failed");
        match error {
            // A single slow request says nothing about a provider that answers others.
            AiError::Timeout if upstream.answered_recently() => drop(admitted),
            error if error.is_provider_failure() => admitted.record_failure(error),
            _ => {
                upstream.record_answer();
                admitted.record_success();
            }
        }
        lease.record_failure(error)
    }

    /// Records success. The returned lease is kept for as long as the answer lasts.
    pub fn record_success(self) -> KeyLease {
        self.upstream.record_answer();
        self.admitted.record_success();
        self.lease.record_success();
        self.lease
    }
}

/// Deployments by priority, in weighted random order among equals.
fn weighted_order(deployments: &[Deployment]) -> VecDeque<&Deployment> {
    let mut queue: VecDeque<&Deployment> = deployments.iter().collect();
    if queue.len() < 2 {
        return queue;
    }
    let all = queue.make_contiguous();
    all.sort_by_key(|deployment| deployment.priority);
    let mut start = 0;
    while start < all.len() {
        let priority = all[start].priority;
        let end = all[start..].iter().position(|one| one.priority != priority).map_or(all.len(), |at| start + at);
        let equals = &mut all[start..end];
        let total: u64 = equals.iter().map(|one| u64::from(one.weight)).sum();
        if total > 0 {
            let mut ticket = rand::random_range(0..total);
            let drawn = equals.iter().position(|one| {
                let weight = u64::from(one.weight);
                let is_drawn = ticket < weight;
                ticket = ticket.saturating_sub(weight);
                is_drawn
            });
            equals.swap(0, drawn.unwrap_or(0));
        }
        start += 1;
    }
    queue
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(model: &str, weight: u32, priority: u32) -> Deployment {
        Deployment { provider: "p".to_owned(), model: model.to_owned(), weight, priority, param_overrides: None }
    }

    #[test]
    fn orders_by_priority_then_by_weight() {
        let all = [
            deployment("late", 9, 2),
            deployment("often", 9, 1),
            deployment("seldom", 1, 1),
            deployment("never", 0, 1),
        ];
        let mut first = std::collections::HashMap::new();
        for _ in 0..2_000 {
            let queue = weighted_order(&all);
            assert_eq!(queue.len(), 4);
            assert_eq!(queue[3].model, "late");
            *first.entry(queue[0].model.clone()).or_insert(0) += 1;
        }
        assert!(first["often"] > 1_600 && first["seldom"] > 100, "{first:?}");
        assert_eq!(first.get("never"), None);
    }
}
