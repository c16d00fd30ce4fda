//! Source of a request: the client's address and how the request came about.

use std::net::IpAddr;

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
