//! Client address and country of a request. Headers are trusted only if a trusted proxy sent them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::{
    HttpMessage as _, HttpRequest,
    http::header::{self, HeaderMap, HeaderName},
};
use appcore::{Country, RequestSource, UNTRUSTED_PROXIES, config::Config};

use crate::{host, origin};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Stands for all clients whose address a trusted proxy reports in unreadable form. They share limits and bans: such a
/// client counts neither as the proxy, which is never banned, nor as another client.
const UNREADABLE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Source of a request, computed once and cached in the request's extensions.
#[must_use]
pub fn source(http: &HttpRequest, config: &Config) -> RequestSource {
    if let Some(known) = http.extensions().get::<RequestSource>() {
        return *known;
    }
    let source = source_of(http.peer_addr(), http.headers(), config);
    http.extensions_mut().insert(source);
    source
}

/// Source of a request, computed without the cache.
#[must_use]
pub fn source_of(peer: Option<SocketAddr>, headers: &HeaderMap, config: &Config) -> RequestSource {
    let address = client_address(peer, headers, config);
    RequestSource {
        address,
        is_cross_site: origin::is_foreign_page(headers, config),
        is_local: address.is_some_and(|address| address.is_loopback()) && host::is_loopback_host(headers),
        country: client_country(peer, headers, config),
    }
}

/// Client address: the peer's, unless the peer is a trusted proxy; then the last address in `X-Forwarded-For` that is
/// not a trusted proxy itself.
fn client_address(peer: Option<SocketAddr>, headers: &HeaderMap, config: &Config) -> Option<IpAddr> {
    if let Some(peer) = peer_address(peer).filter(|peer| !is_trusted(*peer, config)) {
        let forwards = || headers.contains_key(FORWARDED_FOR) || headers.contains_key(header::FORWARDED);
        if UNTRUSTED_PROXIES.record(peer, forwards) {
            tracing::warn!(%peer, "forwarding headers ignored: the peer is not in server.trusted_proxies");
        }
        return Some(peer);
    }
    last_untrusted(peer_address(peer), headers, |address| is_trusted(address, config))
}

/// Country of the client, if a trusted proxy reports it. The header of other peers is ignored.
fn client_country(peer: Option<SocketAddr>, headers: &HeaderMap, config: &Config) -> Option<Country> {
    let header = config.server.country_header()?;
    peer_address(peer).filter(|peer| is_trusted(*peer, config))?;
    // A proxy that appends to the header leaves a value forged by the client before its own. So
    // only the last value counts.
    let told = headers.get_all(header).next_back()?;
    Country::parse(told.to_str().ok()?)
}

fn peer_address(peer: Option<SocketAddr>) -> Option<IpAddr> {
    peer.map(|peer| peer.ip().to_canonical())
}

pub(crate) fn is_trusted(address: IpAddr, config: &Config) -> bool {
    config.server.trusted_proxies.iter().any(|network| network.contains(&address))
}

fn last_untrusted(peer: Option<IpAddr>, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut nearest = peer?;
    // Hops are parsed one by one, starting from the last, so that invalid text from the client can't hide what its
    // proxy appended.
    for hop in headers.get_all(FORWARDED_FOR).rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')) {
        if !trusted(nearest) {
            break;
        }
        let Some(address) = parse_hop(hop) else { return Some(UNREADABLE_ADDRESS) };
        nearest = address;
    }
    Some(nearest)
}

/// Parses an address with an optional port, which some proxies add.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let address = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn nearest_of(peer: &str, lines: &[&[u8]], trusted: impl Fn(IpAddr) -> bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        last_untrusted(peer.parse().ok(), &headers, trusted).map(|address| address.to_string())
    }

    #[test]
    fn trusts_only_configured_proxies() {
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        let from = |peer: &str, forwarded: &str| nearest_of(peer, &[forwarded.as_bytes()], trusted);
        assert_eq!(from("203.0.113.9", "198.51.100.1").as_deref(), Some("203.0.113.9"), "clients may send any value");
        assert_eq!(from("10.0.0.1", "198.51.100.1").as_deref(), Some("198.51.100.1"));
        assert_eq!(
            from("10.0.0.1", "1.2.3.4, 198.51.100.1:4711, 10.0.0.2").as_deref(),
            Some("198.51.100.1"),
            "the client's own values are further left"
        );
        assert_eq!(from("10.0.0.1", "[2001:db8::1]:443").as_deref(), Some("2001:db8::1"));
    }

    #[test]
    fn client_input_never_counts_as_the_proxy() {
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        let from = |lines: &[&[u8]]| nearest_of("10.0.0.1", lines, trusted);
        for hidden in [&b"\xff"[..], b"", b"nonsense", b"10.0.0.300", b"\xc3\x28, \xff"] {
            let joined = [hidden, b", 203.0.113.66"].concat();
            assert_eq!(from(&[&joined]).as_deref(), Some("203.0.113.66"), "{hidden:?}");
            assert_eq!(from(&[hidden, b"203.0.113.66"]).as_deref(), Some("203.0.113.66"), "{hidden:?}");
            let behind_another = [hidden, b", 203.0.113.66, 10.0.0.2"].concat();
            assert_eq!(from(&[&behind_another]).as_deref(), Some("203.0.113.66"), "{hidden:?}");
            // An unreadable last hop was appended by the proxy itself. It yields the unknown
            // client, never the proxy's address.
            assert_eq!(from(&[b"203.0.113.66", hidden]).as_deref(), Some("0.0.0.0"), "{hidden:?}");
        }
        assert_eq!(from(&[]).as_deref(), Some("10.0.0.1"), "a proxy's own request");
    }

    #[test]
    fn reads_the_country_from_the_last_header() {
        let trusting = [("NATTER__SERVER__TRUSTED_PROXIES".into(), "10.0.0.0/8".into())];
        let config = appcore::config::load_core(None, trusting).unwrap().config;
        let country = |peer: &str, lines: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HeaderName::from_static("cf-ipcountry"), HeaderValue::from_bytes(line).unwrap());
            }
            client_country(peer.parse().ok(), &headers, &config).map(|country| country.as_str().to_owned())
        };
        assert_eq!(country("10.0.0.1:80", &[b"\xff", b"VN"]).as_deref(), Some("VN"));
        assert_eq!(country("10.0.0.1:80", &[b"VN", b"\xff"]), None);
        assert_eq!(country("203.0.113.9:80", &[b"VN"]), None);
    }

    /// Value of a key that must occur exactly once in the compose file.
    fn of_compose<'a>(text: &'a str, key: &str) -> &'a str {
        let mut found =
            text.lines().filter_map(|line| line.split_once(key)).filter(|(before, _)| !before.contains('#'));
        let (_, value) = found.next().unwrap_or_else(|| panic!("no {key}"));
        assert!(found.next().is_none(), "{key} stands there twice");
        value.trim_matches([' ', '}'])
    }

    #[test]
    fn compose_file_trusts_only_haproxy() {
        let text = include_str!("../../../deploy/compose.yaml");
        let config = |networks: &str| {
            let setting = ("NATTER__SERVER__TRUSTED_PROXIES".into(), networks.into());
            appcore::config::load_core(None, [setting]).unwrap().config
        };
        let trusted = config(of_compose(text, "NATTER__SERVER__TRUSTED_PROXIES:"));
        let (haproxy, others) = text.split_once("\n  haproxy:\n").unwrap();
        assert!(!haproxy.contains("ipv4_address"));
        let (haproxy, _) = others.split_once("\n  postgres:\n").unwrap();
        let address: IpAddr = of_compose(haproxy, "ipv4_address:").parse().unwrap();
        assert!(is_trusted(address, &trusted));
        let networks = &trusted.server.trusted_proxies;
        assert!(networks.len() == 1 && networks[0].prefix_len() == networks[0].max_prefix_len(), "{networks:?}");
        assert!(!is_trusted(of_compose(text, "gateway:").parse().unwrap(), &trusted));
        // HAProxy's address must not be one that Docker assigns to other containers.
        let (subnet, range) = (config(of_compose(text, "subnet:")), config(of_compose(text, "ip_range:")));
        assert!(is_trusted(address, &subnet) && !is_trusted(address, &range));
    }
}
