//! Metrics of requests that rate limits or the firewall have refused.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Counters of refusals by rate limits and of bans.
pub struct Refusals {
    limited: Family<Group, Counter>,
    violations: Family<Kind, Counter>,
    bans: Counter,
    banned: Counter,
    floods: Counter,
    bodies: Family<By, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Group {
    group: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    by: &'static str,
}

impl Refusals {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let gates = Self {
            limited: Family::default(),
            violations: Family::default(),
            bans: Counter::default(),
            banned: Counter::default(),
            floods: Counter::default(),
            bodies: Family::default(),
        };
        registry.register("rate_limited", "Calls above a rate limit, by limit group", gates.limited.clone());
        registry.register("violations", "Violations that count towards a ban, by kind", gates.violations.clone());
        registry.register("bans", "Addresses banned by this instance", gates.bans.clone());
        registry.register("banned_requests", "Requests and handshakes from banned addresses", gates.banned.clone());
        registry.register(
            "flood_refusals",
            "Requests and handshakes rejected by the flood guard",
            gates.floods.clone(),
        );
        registry.register(
            "body_refusals",
            "Request bodies rejected for lack of memory, by exhausted budget",
            gates.bodies.clone(),
        );
        gates
    }

    /// Creates the series of these limit groups and kinds of violations, so that the first refusal
    /// is an increase.
    pub fn create_series(
        &self,
        groups: impl IntoIterator<Item = &'static str>,
        violations: impl IntoIterator<Item = &'static str>,
    ) {
        for group in groups {
            drop(self.limited.get_or_create(&Group { group }));
        }
        for kind in violations {
            drop(self.violations.get_or_create(&Kind { kind }));
        }
        for by in ["caller", "instance"] {
            drop(self.bodies.get_or_create(&By { by }));
        }
    }

    pub fn rate_limited(&self, group: &'static str) {
        self.limited.get_or_create(&Group { group }).inc();
    }

    pub fn violation(&self, kind: &'static str) {
        self.violations.get_or_create(&Kind { kind }).inc();
    }

    pub fn ban_added(&self) {
        self.bans.inc();
    }

    pub fn banned_request(&self) {
        self.banned.inc();
    }

    pub fn flood_refused(&self) {
        self.floods.inc();
    }

    pub fn body_refused(&self, by: &'static str) {
        self.bodies.get_or_create(&By { by }).inc();
    }
}
