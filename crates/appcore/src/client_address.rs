//! Source of a request: the client's address and how the request came about.

use std::{net::IpAddr, sync::OnceLock};

use crate::Country;

/// Client address of a request, and whether a page of another site sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestSource {
    /// Client address; `None` only for requests of the program itself.
    pub address: Option<IpAddr>,
    /// True if a page of another site made the browser send the request. Then the user at this
    /// address did not send it on purpose.
    pub is_cross_site: bool,
    /// True if the request comes from this machine and is addressed to a local name.
    pub is_local: bool,
    /// Country of the address, as reported by a trusted proxy.
    pub country: Option<Country>,
}

impl RequestSource {
    /// Source of a request that was sent by an API client or by a page of this server.
    #[must_use]
    pub const fn direct(address: Option<IpAddr>) -> Self {
        Self { address, is_cross_site: false, is_local: false, country: None }
    }

    /// Address to which violations are attributed; `None` if a page of another site sent the
    /// request.
    #[must_use]
    pub const fn attributable_address(&self) -> Option<IpAddr> {
        if self.is_cross_site { None } else { self.address }
    }
}

/// Peers that have sent forwarding headers, although they are not in `server.trusted_proxies`: the
/// first one in a local network, and the first one with a public address.
///
/// They are separate because any client on the Internet may send such headers, and must not hide
/// the proxy.
#[derive(Debug)]
pub struct UntrustedProxies {
    local: OnceLock<IpAddr>,
    public: OnceLock<IpAddr>,
}

/// Untrusted proxies that this process has seen.
pub static UNTRUSTED_PROXIES: UntrustedProxies = UntrustedProxies::new();

impl UntrustedProxies {
    const fn new() -> Self {
        Self { local: OnceLock::new(), public: OnceLock::new() }
    }

    /// Records a peer, if `forwards` is true and it is the first of its kind. Returns true if it was
    /// recorded. Takes no lock once there is one.
    pub fn record(&self, peer: IpAddr, forwards: impl FnOnce() -> bool) -> bool {
        let slot = if is_local_network(peer) { &self.local } else { &self.public };
        slot.get().is_none() && forwards() && slot.set(peer).is_ok()
    }

    #[must_use]
    pub fn peers(&self) -> Vec<IpAddr> {
        [&self.local, &self.public].into_iter().filter_map(|slot| slot.get().copied()).collect()
    }
}

/// True for an address of this machine or of a private network.
#[must_use]
pub const fn is_local_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_the_first_untrusted_proxy_of_each_kind() {
        let proxies = UntrustedProxies::new();
        let record = |peer: &str, forwards: bool| proxies.record(peer.parse().unwrap(), || forwards);
        assert!(!record("127.0.0.1", false));
        assert!(record("203.0.113.9", true) && record("127.0.0.1", true));
        assert!(!record("10.0.0.1", true) && !record("198.51.100.1", true));
        assert_eq!(proxies.peers().len(), 2);
        assert!(is_local_network("fd00::1".parse().unwrap()) && !is_local_network("2001:db8::1".parse().unwrap()));
    }
}
