//! Rules for the URLs and addresses that may be reached.

use std::net::IpAddr;

use appcore::config::Destination;
use url::{Host, Url};

use crate::network::{is_public, unwrap_embedded_ipv4};

/// Destinations that are allowed in addition to the public Internet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    allowed: Vec<Destination>,
}

/// Addresses that a connection may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReachScope {
    /// The public Internet and the allowed destinations.
    Public,
    /// Only the destinations that are allowed by name or address. Applies if the request is not
    /// encrypted or uses an unusual port.
    Allowed,
}

impl Rules {
    pub fn new(allowed: &[Destination]) -> Self {
        Self { allowed: allowed.to_vec() }
    }

    /// Returns the addresses that a request for this URL may use; `None` if the URL is refused.
    pub fn reach(&self, url: &Url) -> Option<ReachScope> {
        let is_usual = url.scheme() == "https" && url.port().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let reach = if is_usual { ReachScope::Public } else { ReachScope::Allowed };
        let address: IpAddr = match url.host()? {
            Host::Domain(_) => return Some(reach),
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
        };
        self.may_reach(address, reach).then_some(reach)
    }

    /// True if the host name is allowed.
    pub fn allows_host(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        self.allowed.iter().any(|allowed| matches!(allowed, Destination::Host(host) if host.eq_ignore_ascii_case(name)))
    }

    pub fn may_reach(&self, address: IpAddr, reach: ReachScope) -> bool {
        reach == ReachScope::Public && is_public(address) || self.allows_address(address)
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        let address = unwrap_embedded_ipv4(address);
        self.allowed
            .iter()
            .any(|allowed| matches!(allowed, Destination::Network(network) if network.contains(&address)))
    }
}
