//! Where a request comes from.

use std::net::IpAddr;

use crate::Country;

/// The address of a request, and whose page sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestSource {
    /// `None` only where the program calls itself.
    pub address: Option<IpAddr>,
    /// A page of another site made the browser send it: the person at this address did not choose to.
    pub is_foreign_page: bool,
    /// It comes from this machine, under a name of this machine: nobody else sent it.
    pub is_local: bool,
    /// Its country, where a trusted proxy tells it.
    pub country: Option<Country>,
}

impl RequestSource {
    /// A program, or a page of ours, at this address.
    #[must_use]
    pub const fn own(address: Option<IpAddr>) -> Self {
        Self { address, is_foreign_page: false, is_local: false, country: None }
    }

    /// Who answers for what the request does wrong: nobody, where a page of another site sent it.
    #[must_use]
    pub const fn accountable(&self) -> Option<IpAddr> {
        if self.is_foreign_page { None } else { self.address }
    }
}
