//! Destinations outside the public Internet that the server may connect to.

use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use url::Host;

use super::kind::parse_network;

/// Entry of `outgoing.allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Host name. It is allowed whatever address it resolves to.
    Host(String),
    Network(IpNet),
}

/// Error for text that is neither a host nor a network.
#[derive(Debug, thiserror::Error)]
#[error("neither a host nor an address nor a network")]
pub struct InvalidDestination;

impl FromStr for Destination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        let text = text.trim_start_matches('[').trim_end_matches(']');
        if let Some(network) = parse_network(text) {
            return Ok(Self::Network(network));
        }
        match Host::parse(text).map_err(|_| InvalidDestination)? {
            Host::Domain(name) => Ok(Self::Host(name.trim_end_matches('.').to_owned())),
            Host::Ipv4(address) => Ok(Self::Network(IpNet::new_assert(address.into(), 32))),
            Host::Ipv6(address) => Ok(Self::Network(IpNet::new_assert(address.into(), 128))),
        }
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_hosts_addresses_and_networks() {
        let host = |name: &str| Destination::Host(name.to_owned());
        let network = |text: &str| Destination::Network(text.parse().unwrap());
        for (text, destination) in [
            ("files.example.org", host("files.example.org")),
            ("Files.Example.ORG.", host("files.example.org")),
            ("localhost", host("localhost")),
            ("10.1.2.3", network("10.1.2.3/32")),
            ("10.1.0.0/16", network("10.1.0.0/16")),
            ("fd00::1", network("fd00::1/128")),
            ("[fd00::1]", network("fd00::1/128")),
            ("fd00::/8", network("fd00::/8")),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap(), destination, "{text}");
        }
        for text in ["", "a b", "http://example.org", "example.org/x", "example.org:80", "10.0.0.0/99"] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
