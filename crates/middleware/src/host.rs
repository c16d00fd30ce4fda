//! Host header check against DNS rebinding.
//!
//! A foreign page can resolve its own name to a server that only its visitor can reach; the browser then considers that
//! server as the page's own origin. Therefore requests with a foreign host name are refused. IP addresses and
//! `localhost` can't be rebound.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::{HOST, HeaderMap};
use appcore::{
    AppError, Code,
    config::{Config, Server},
};
use url::Url;

use crate::firewall;

/// Refuses a request with a foreign host name. A request without a host name is accepted, and so are
/// health checks: load balancers and containers request them by arbitrary names.
pub fn check(path: &str, headers: &HeaderMap, config: &Config) -> Result<(), AppError> {
    let Some(host) = headers.get(HOST) else { return Ok(()) };
    let is_ours = || host.to_str().is_ok_and(|host| is_own_name(host_name(host), &config.server));
    if firewall::is_health_check(path) || is_ours() { Ok(()) } else { Err(Code::WrongHost.into()) }
}

/// True if the `Host` header names this machine (`localhost` or a loopback address) or is missing.
/// A proxy on this machine forwards the public name instead.
pub fn is_loopback_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    host.to_str().ok().and_then(|host| literal_address(host_name(host))).is_some_and(|address| address.is_loopback())
}

/// Address of a host name that needs no DNS: an IP address or `localhost`.
fn literal_address(name: &str) -> Option<IpAddr> {
    if name.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    name.trim_matches(['[', ']']).parse().ok()
}

fn is_own_name(name: &str, server: &Server) -> bool {
    if literal_address(name).is_some() {
        return true;
    }
    let Some(public) = &server.public_url else {
        // A server on a network may have any name. A server on loopback has only the names accepted
        // above.
        return !server.is_on_loopback();
    };
    let listed = server.cors_origins.iter().filter_map(|origin| Url::parse(origin).ok());
    [Some(public), server.advertise_url.as_ref()]
        .into_iter()
        .flatten()
        .cloned()
        .chain(listed)
        .any(|url| url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(name)))
}

/// Host name without port and without trailing dot.
fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn answers(settings: &[(&str, &str)], host: &'static str, path: &str) -> bool {
        let variables = settings.iter().map(|(key, value)| (format!("NATTER__SERVER__{key}").into(), (*value).into()));
        let config = appcore::config::load_core(None, variables).unwrap().config;
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        match check(path, &headers, &config) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!((error.code(), error.code().status()), (Code::WrongHost, 421));
                false
            }
        }
    }

    const LOCAL: [&str; 7] =
        ["localhost", "LocalHost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]", "192.0.2.1", "localhost."];
    const FOREIGN: [&str; 6] = [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "chat.example.org.evil.example",
    ];

    #[test]
    fn public_url_restricts_the_host_name() {
        let settings = [
            ("PUBLIC_URL", "https://chat.example.org"),
            ("CORS_ORIGINS", "https://app.example.org"),
            ("ADVERTISE_URL", "http://natter-1:8080"),
            ("HOST", "0.0.0.0"),
        ];
        for own in ["chat.example.org", "Chat.Example.Org:443", "chat.example.org.", "app.example.org", "natter-1:8080"]
        {
            assert!(answers(&settings, own, "/"), "{own}");
        }
        for local in LOCAL {
            assert!(answers(&settings, local, "/"), "{local}");
        }
        for foreign in FOREIGN {
            assert!(!answers(&settings, foreign, "/"), "{foreign}");
            assert!(answers(&settings, foreign, "/health/simple") && answers(&settings, foreign, "/health"));
        }
    }

    #[test]
    fn loopback_refuses_rebindable_names() {
        for host in ["127.0.0.1", "::1", "localhost"] {
            for local in LOCAL {
                assert!(answers(&[("HOST", host)], local, "/"), "{local}");
            }
            for foreign in FOREIGN {
                assert!(!answers(&[("HOST", host)], foreign, "/"), "{foreign}");
            }
        }
        assert!(answers(&[("HOST", "0.0.0.0")], "nas.lan:8080", "/"), "the server's network names are unknown");
    }
}
