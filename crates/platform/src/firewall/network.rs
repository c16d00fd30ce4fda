//! Networks: whose violations are counted together, and what an administrator can ban.

use std::net::IpAddr;

use appcore::AppError;
use ipnet::IpNet;

/// Who has one IPv6 address has all of its /64.
const IPV6_PREFIX: u8 = 64;
/// The widest network that can be banned.
const WIDEST_IPV4: u8 = 8;
const WIDEST_IPV6: u8 = 16;

/// The network that an address is counted with and banned with.
pub(super) fn of(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => IpNet::from(IpAddr::V4(address)),
        address => cut(address, IPV6_PREFIX),
    }
}

/// The network of an address that has this length.
pub(super) fn cut(address: IpAddr, length: u8) -> IpNet {
    // No length is asked for that the address does not have.
    IpNet::new(address, length).unwrap_or_else(|_| IpNet::from(address)).trunc()
}

/// What an administrator writes: CIDR notation, or one address.
pub(super) fn parse(text: &str) -> Result<IpNet, AppError> {
    let text = text.trim();
    let network = match text.parse::<IpNet>() {
        Ok(network) => canonical(network),
        Err(_) => text.parse().ok().map(of),
    };
    let network = network.ok_or_else(|| {
        AppError::field("address", "invalid", "Enter an IP address or range, such as 203.0.113.0/24 or 2001:db8::/48.")
    })?;
    let widest = match network {
        IpNet::V4(_) => WIDEST_IPV4,
        IpNet::V6(_) => WIDEST_IPV6,
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

/// IPv4 addresses that are written as IPv6 ones are IPv4 addresses.
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
    fn an_address_stands_for_its_network() {
        let of = |text: &str| of(text.parse().unwrap()).to_string();
        assert_eq!(of("203.0.113.9"), "203.0.113.9/32");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9/32");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }

    #[test]
    fn what_is_written_is_read_or_named_as_wrong() {
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
