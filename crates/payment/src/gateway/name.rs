//! Registry of the payment gateways.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use appcore::config::{GatewaySettings, Setting};

use super::{BuildResult, GatewayKind, PaymentContext};
use crate::gateways::{self, GATEWAYS};

/// Name of a registered gateway.
#[derive(Clone, Copy)]
pub struct GatewayName(&'static GatewayKind);

impl GatewayName {
    /// The demo gateway, without real money.
    pub const DEMO: Self = Self(&gateways::demo::KIND);

    /// All gateways, in display order.
    pub fn all() -> impl Iterator<Item = Self> {
        GATEWAYS.into_iter().map(Self)
    }

    pub(crate) const fn of(kind: &'static GatewayKind) -> Self {
        Self(kind)
    }

    /// Name in paths, settings and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }

    /// Display name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.0.label
    }

    /// Builds the gateway from its settings.
    pub fn build(self, settings: &GatewaySettings, around: &PaymentContext) -> BuildResult {
        (self.0.build)(settings, around)
    }

    /// Position in the display order.
    fn position(self) -> Option<usize> {
        Self::all().position(|one| one == self)
    }
}

/// Settings of all gateways.
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
        self.position().cmp(&other.position())
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

/// Error for an unknown gateway name.
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
