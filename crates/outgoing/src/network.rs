//! Addresses that are not part of the public Internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not part of the public Internet: first address and prefix length.
const FORBIDDEN_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, and the reserved range above it.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// IPv6 networks that are not part of the public Internet: the first four groups of the address,
/// and the prefix length.
const FORBIDDEN_V6: [([u16; 4], u32); 11] = [
    // Local-use NAT64: the network decides where such addresses lead.
    ([0x0064, 0xff9b, 0x0001, 0], 48),
    // Discard-only addresses.
    ([0x0100, 0, 0, 0], 64),
    // Teredo, ORCHID and other special assignments of the IETF.
    ([0x2001, 0, 0, 0], 23),
    ([0x2001, 0x0db8, 0, 0], 32),
    ([0x3fff, 0, 0, 0], 20),
    // Segment routing identifiers.
    ([0x5f00, 0, 0, 0], 16),
    ([0xfc00, 0, 0, 0], 7),
    ([0xfe80, 0, 0, 0], 10),
    ([0xfec0, 0, 0, 0], 10),
    ([0xff00, 0, 0, 0], 8),
    // Loopback and embedded IPv4 addresses are handled before this table is used; nothing else is
    // assigned in this network.
    ([0x0000, 0, 0, 0], 8),
];

/// True if the address is part of the public Internet, in whatever notation.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match unwrap_embedded_ipv4(address) {
        IpAddr::V4(address) => !FORBIDDEN_V4.iter().any(|(network, prefix)| {
            let mask = u32::MAX << (32 - prefix);
            address.to_bits() & mask == Ipv4Addr::from(*network).to_bits()
        }),
        IpAddr::V6(address) => !FORBIDDEN_V6.iter().any(|([a, b, c, d], prefix)| {
            let mask = u128::MAX << (128 - prefix);
            address.to_bits() & mask == Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0).to_bits()
        }),
    }
}

/// Returns the IPv4 address that is embedded in an IPv6 address, or otherwise the address itself.
pub(crate) fn unwrap_embedded_ipv4(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let groups = v6.segments();
    let [.., high, low] = groups;
    let inner = match groups {
        // IPv4-mapped, IPv4-compatible, IPv4-translated and NAT64 addresses. `::` and `::1` have
        // the form of compatible addresses, but are themselves forbidden.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x0064, 0xff9b, 0, 0, 0, 0, ..] => {
            Some((high, low))
        }
        [0, 0, 0, 0, 0, 0, ..] if v6.to_bits() > 1 => Some((high, low)),
        // 6to4 addresses.
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    inner.map_or(address, |(high, low)| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_public_addresses() {
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:80b::200e",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for forbidden in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(forbidden.parse().unwrap()), "{forbidden}");
        }
    }
}
