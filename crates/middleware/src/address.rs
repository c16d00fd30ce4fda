//! Where a request really comes from. Only what a trusted proxy says about it counts.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderMap;
use appcore::{Country, config::Config};

/// The address of the caller: the peer's own, unless the peer is a trusted proxy; then the last one in `X-Forwarded-For` that is
/// no trusted proxy itself.
#[must_use]
pub fn client_address(peer: Option<SocketAddr>, headers: &HeaderMap, config: &Config) -> Option<IpAddr> {
    nearest(own_address(peer), headers, |address| is_trusted(address, config))
}

/// The country of the caller, where a trusted proxy tells it. Everybody else's word for it is not heard.
#[must_use]
pub fn client_country(peer: Option<SocketAddr>, headers: &HeaderMap, config: &Config) -> Option<Country> {
    let header = config.server.country_header()?;
    own_address(peer).filter(|peer| is_trusted(*peer, config))?;
    // A proxy that adds its own beside the client's leaves the client's standing first.
    let told = headers.get_all(header).next_back()?;
    Country::parse(told.to_str().ok()?)
}

fn own_address(peer: Option<SocketAddr>) -> Option<IpAddr> {
    peer.map(|peer| peer.ip().to_canonical())
}

fn is_trusted(address: IpAddr, config: &Config) -> bool {
    config.server.trusted_proxies.iter().any(|network| network.contains(&address))
}

fn nearest(peer: Option<IpAddr>, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut nearest = peer?;
    let chain: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for hop in chain.into_iter().rev() {
        if !trusted(nearest) {
            break;
        }
        // What can't be read ends the chain of what can be believed.
        let Some(address) = parse(hop.trim()) else { break };
        nearest = address;
    }
    Some(nearest)
}

/// Some proxies add the port.
fn parse(hop: &str) -> Option<IpAddr> {
    let address = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        let from = |peer: &str, forwarded: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static(forwarded));
            nearest(peer.parse().ok(), &headers, trusted).map(|address| address.to_string())
        };
        assert_eq!(
            from("203.0.113.9", "198.51.100.1").as_deref(),
            Some("203.0.113.9"),
            "a stranger says what he likes"
        );
        assert_eq!(from("10.0.0.1", "198.51.100.1").as_deref(), Some("198.51.100.1"));
        assert_eq!(
            from("10.0.0.1", "1.2.3.4, 198.51.100.1:4711, 10.0.0.2").as_deref(),
            Some("198.51.100.1"),
            "what he said himself stands further left"
        );
        assert_eq!(from("10.0.0.1", "198.51.100.1, nonsense").as_deref(), Some("10.0.0.1"));
        assert_eq!(from("10.0.0.1", "[2001:db8::1]:443").as_deref(), Some("2001:db8::1"));
    }
}
