//! Networks that violations are counted by, and networks that administrators can ban.

use std::net::IpAddr;

use appcore::AppError;
use ipnet::IpNet;

/// Prefix length by which IPv6 addresses are counted: a client with one address usually has its
/// whole /64.
const IPV6_PREFIX: u8 = 64;
/// Shortest prefix that an administrator can ban, so that a typing error doesn't ban half of the
/// internet.
const MIN_PREFIX_IPV4: u8 = 8;
const MIN_PREFIX_IPV6: u8 = 16;

/// Network by which the violations of an address are counted and by which it is banned.
pub(super) fn counted_network(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => IpNet::from(IpAddr::V4(address)),
        address => network_of_len(address, IPV6_PREFIX),
    }
}

/// Network of an address with the given prefix length.
pub(super) fn network_of_len(address: IpAddr, length: u8) -> IpNet {
    // Callers pass only lengths that the address family has.
    IpNet::new(address, length).unwrap_or_else(|_| IpNet::from(address)).trunc()
}

/// Parses the input of an administrator: CIDR notation, or a single address.
pub(super) fn parse(text: &str) -> Result<IpNet, AppError> {
    let text = text.trim();
    let network = match text.parse::<IpNet>() {
        Ok(network) => canonical(network),
        Err(_) => text.parse().ok().map(counted_network),
    };
    let network = network.ok_or_else(|| {
        AppError::field("address", "invalid", "Enter an IP address or range, such as 203.0.113.0/24 or 2001:db8::/48.")
    })?;
    let widest = match network {
        IpNet::V4(_) => MIN_PREFIX_IPV4,
        IpNet::V6(_) => MIN_PREFIX_IPV6,
    };
    if network.prefix_len() < widest {
        return Err(AppError::field(
            "address",
            "too_wide",
            format!("This range is too large to ban. Use ranges of /{widest} or smaller."),
        ));
    }
    Ok(network.trunc())
}

/// Converts IPv4-mapped IPv6 networks to IPv4.
fn canonical(network: IpNet) -> Option<IpNet> {
    match network {
        IpNet::V6(mapped) if mapped.prefix_len() >= 96 => match IpAddr::V6(mapped.addr()).to_canonical() {
            IpAddr::V4(address) => IpNet::new(address.into(), mapped.prefix_len() - 96).ok(),
            IpAddr::V6(_) => Some(network),
        },
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_map_to_their_network() {
        let of = |text: &str| counted_network(text.parse().unwrap()).to_string();
        assert_eq!(of("203.0.113.9"), "203.0.113.9/32");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9/32");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }

    #[test]
    fn parses_networks_and_rejects_invalid_ones() {
        let parse = |text: &str| parse(text).map(|network| network.to_string()).map_err(|error| error.code());
        assert_eq!(parse(" 203.0.113.9 ").unwrap(), "203.0.113.9/32");
        assert_eq!(parse("203.0.113.9/24").unwrap(), "203.0.113.0/24");
        assert_eq!(parse("2001:db8::1").unwrap(), "2001:db8::/64");
        assert_eq!(parse("2001:db8::1/128").unwrap(), "2001:db8::1/128");
        assert_eq!(parse("::ffff:203.0.113.9/120").unwrap(), "203.0.113.0/24");
        for wrong in ["", "home", "203.0.113.9/33", "0.0.0.0/0", "::/0", "::ffff:0:0/96", "1.2.3", "203.0.113.9/-1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
