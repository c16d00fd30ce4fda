//! Metrics of calls to AI providers, from chats and from the API.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::{BoundedNames, Durations};

pub struct Ai {
    calls: Family<Outcome, Counter>,
    tokens: Family<Tokens, Counter>,
    cost: Family<Model, Counter>,
    first_token: Durations<Provider>,
    durations: Durations<Provider>,
    providers: BoundedNames,
    models: BoundedNames,
    failed: AtomicU64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    provider: &'static str,
    model: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tokens {
    provider: &'static str,
    model: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Provider {
    provider: &'static str,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct ProviderCall<'a> {
    pub provider: &'a str,
    /// Public name of the model.
    pub model: &'a str,
    /// HTTP status; 499 if the caller has disconnected.
    pub status: i64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    /// Cost in micro-credits.
    pub cost: u64,
    pub first_token: Option<Duration>,
    pub duration: Duration,
}

impl Ai {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let durations = || Histogram::new([0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0]);
        let ai = Self {
            calls: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            first_token: Family::new_with_constructor(durations),
            durations: Family::new_with_constructor(durations),
            providers: BoundedNames::default(),
            models: BoundedNames::default(),
            failed: AtomicU64::default(),
        };
        registry.register("ai_requests", "Finished calls of AI providers, by outcome", ai.calls.clone());
        registry.register(
            "ai_tokens",
            "Tokens of requests (input, of which cached) and responses (output)",
            ai.tokens.clone(),
        );
        registry.register("ai_cost_microcredits", "Cost of calls", ai.cost.clone());
        registry.register("ai_first_token_seconds", "Time to the first token of a response", ai.first_token.clone());
        registry.register("ai_request_duration_seconds", "Duration of a call", ai.durations.clone());
        ai
    }

    /// Records a finished call.
    pub fn record(&self, call: &ProviderCall<'_>) {
        let (provider, model) = (self.providers.label_for(call.provider), self.models.label_for(call.model));
        let outcome = match call.status {
            200..=299 => "ok",
            499 => "left",
            429 => "refused",
            400..=498 => "wrong",
            _ => "failed",
        };
        self.calls.get_or_create(&Outcome { provider, model, outcome }).inc();
        if outcome == "failed" {
            self.failed.fetch_add(1, Relaxed);
        }
        let tokens = [("input", call.input_tokens), ("cached", call.cached_tokens), ("output", call.output_tokens)];
        for (kind, count) in tokens {
            if count > 0 {
                self.tokens.get_or_create(&Tokens { provider, model, kind }).inc_by(count);
            }
        }
        self.cost.get_or_create(&Model { model }).inc_by(call.cost);
        if let Some(first_token) = call.first_token {
            self.first_token.get_or_create(&Provider { provider }).observe(first_token.as_secs_f64());
        }
        self.durations.get_or_create(&Provider { provider }).observe(call.duration.as_secs_f64());
    }

    /// Number of failed calls so far.
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }
}
