//! The gateways that there are, by their names.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use appcore::config::{GatewaySettings, Setting};

use super::{BuildResult, GatewayKind, PaymentContext};
use crate::gateways::{self, GATEWAYS};

/// A gateway that there is a file for.
#[derive(Clone, Copy)]
pub struct GatewayName(&'static GatewayKind);

impl GatewayName {
    /// No real money: it shows how buying works.
    pub const DEMO: Self = Self(&gateways::demo::KIND);

    /// All of them, in the order in which they are offered.
    pub fn all() -> impl Iterator<Item = Self> {
        GATEWAYS.into_iter().map(Self)
    }

    pub(crate) const fn of(kind: &'static GatewayKind) -> Self {
        Self(kind)
    }

    /// As it stands in paths, settings and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }

    /// As it calls itself.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.0.label
    }

    /// By what is set of it.
    pub fn build(self, settings: &GatewaySettings, around: &PaymentContext) -> BuildResult {
        (self.0.build)(settings, around)
    }

    /// Its place among all.
    fn place(self) -> Option<usize> {
        Self::all().position(|one| one == self)
    }
}

/// What can be set of all gateways.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    GATEWAYS.into_iter().flat_map(|kind| kind.settings)
}

impl PartialEq for GatewayName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for GatewayName {}

impl PartialOrd for GatewayName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GatewayName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Hash for GatewayName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no gateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such gateway")]
pub struct UnknownGateway;

impl std::str::FromStr for GatewayName {
    type Err = UnknownGateway;

    fn from_str(text: &str) -> Result<Self, UnknownGateway> {
        Self::all().find(|one| one.as_str() == text).ok_or(UnknownGateway)
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
