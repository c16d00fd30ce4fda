//! The device of a request, as shown to its owner.

use std::net::{IpAddr, Ipv6Addr};

use appcore::{Country, GeoLocation, RequestSource, Timestamp};
use dbcontext::query::sessions::DeviceInfo;
use platform::geoip::GeoIp;

/// Names of programs in user agents, with the name to show. A program's user agent also contains
/// the names of programs further down the list, so the first match counts.
const PROGRAMS: [(&str, &str); 10] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "Python"),
];
const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// Data about the device that sent a request.
#[derive(Clone, Debug, Default)]
pub struct Device {
    user_agent: Option<String>,
    address: Option<IpAddr>,
    /// Country reported by a trusted proxy.
    country: Option<Country>,
    /// True if a page of another site sent the request.
    is_foreign_page: bool,
    is_local: bool,
}

impl Device {
    const MAX_CHARS: usize = 256;

    /// Sanitises the user agent for display: no control characters, limited length.
    #[must_use]
    pub fn new(user_agent: Option<&str>, address: Option<IpAddr>) -> Self {
        let user_agent = user_agent
            .map(|text| {
                text.chars().filter(|character| !character.is_control()).take(Self::MAX_CHARS).collect::<String>()
            })
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        Self {
            user_agent,
            address: address.map(|address| address.to_canonical()),
            country: None,
            is_foreign_page: false,
            is_local: false,
        }
    }

    /// Adds the source of the request.
    #[must_use]
    pub const fn sent_by(mut self, source: RequestSource) -> Self {
        self.is_foreign_page = source.is_cross_site;
        self.is_local = source.is_local;
        self
    }

    /// Adds the country reported by a trusted proxy.
    #[must_use]
    pub const fn in_country(mut self, country: Option<Country>) -> Self {
        self.country = country;
        self
    }

    /// Approximate location, by the address or the proxy's country.
    pub(super) fn place(&self, places: &GeoIp) -> Option<GeoLocation> {
        places.locate(self.address, self.country)
    }

    /// Data of the device for the list of sessions.
    pub(super) fn session_data(&self, places: &GeoIp, at: Timestamp) -> DeviceInfo {
        DeviceInfo { user_agent: self.user_agent(), address: self.address(), location: self.place(places), at }
    }

    pub(super) fn user_agent(&self) -> Option<String> {
        self.user_agent.clone()
    }

    /// Name of the program and the system. It is taken from our own list, because a user agent may
    /// contain any text.
    pub(super) fn name(&self) -> Option<String> {
        let agent = self.user_agent.as_deref()?;
        let find =
            |names: &[(&str, &'static str)]| names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
        match (find(&PROGRAMS), find(&SYSTEMS)) {
            (Some(program), Some(system)) => Some(format!("{program}, {system}")),
            (program, system) => program.or(system).map(str::to_owned),
        }
    }

    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        self.address
    }

    /// Source of the request, for the firewall.
    pub(super) const fn source(&self) -> RequestSource {
        RequestSource {
            address: self.address,
            is_cross_site: self.is_foreign_page,
            is_local: self.is_local,
            country: self.country,
        }
    }

    /// Network by which an address is recognised again. For IPv6 this is the /64, which belongs to
    /// one subscriber.
    pub(super) fn network(&self) -> String {
        match self.address {
            Some(IpAddr::V6(address)) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                format!("{}/64", Ipv6Addr::from(network))
            }
            Some(address) => address.to_string(),
            None => String::new(),
        }
    }

    /// Network for fair queueing. For IPv6 this is the /48 that a provider typically assigns to a
    /// customer.
    pub(super) fn fairness_network(&self) -> String {
        match self.address {
            Some(IpAddr::V6(address)) => Ipv6Addr::from(u128::from(address) & (u128::MAX << 80)).to_string(),
            _ => self.network(),
        }
    }

    /// User agent without digits and dots, so that a program is recognised after an update.
    pub(super) fn agent(&self) -> String {
        let agent = self.user_agent.as_deref().unwrap_or_default();
        agent.chars().filter(|character| !character.is_numeric() && *character != '.').collect()
    }

    pub(super) fn address(&self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitises_user_agent() {
        let agent = format!(" Natter\r\nSet-Cookie: a=b\u{0}/1.0 {}", "ơ".repeat(5_000));
        let device = Device::new(Some(&agent), Some("::ffff:192.0.2.1".parse().unwrap()));
        let kept = device.user_agent().unwrap();
        assert!(kept.starts_with("NatterSet-Cookie: a=b/1.0 ơ"), "{kept}");
        assert!(kept.chars().count() <= Device::MAX_CHARS);
        assert_eq!(device.address().as_deref(), Some("192.0.2.1"));
        assert_eq!(Device::new(Some("\u{7}"), None).user_agent(), None);
    }

    #[test]
    fn name_comes_from_our_own_list() {
        let name = |agent: &str| Device::new(Some(agent), None).name();
        let edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0";
        assert_eq!(name(edge).as_deref(), Some("Edge, Windows"));
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1";
        assert_eq!(name(safari).as_deref(), Some("Safari, iOS"));
        assert_eq!(name("curl/8.5").as_deref(), Some("curl"));
        assert_eq!(name("Bank Support, call 0900-1234 or see https://evil.example"), None);
    }

    #[test]
    fn is_recognised_after_an_update_and_from_the_same_network() {
        let device = |agent, address: &str| Device::new(Some(agent), Some(address.parse().unwrap()));
        let (before, after) =
            (device("Firefox/131.0.2 (X11)", "2001:db8::1"), device("Firefox/140.1 (X11)", "2001:db8::ffff:2"));
        assert_eq!((before.agent(), before.network()), (after.agent(), after.network()));
        let other = device("Firefox/131.0 (Android)", "2001:db8:0:1::1");
        assert_ne!(before.agent(), other.agent());
        assert_ne!(before.network(), other.network());
        assert_eq!(device("x", "::ffff:192.0.2.1").network(), "192.0.2.1");
    }
}
