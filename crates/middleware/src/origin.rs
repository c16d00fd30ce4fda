//! Protection against cross-site request forgery.
//!
//! Browsers add cookies to cross-site requests, so a state-changing request that may rely on cookies must come from a
//! page of this server. Browsers state the origin themselves (`Sec-Fetch-Site`, `Origin`); no form tokens are needed.

use actix_web::http::{
    Method,
    header::{HOST, HeaderMap, ORIGIN, REFERER},
};
use appcore::{AppError, Code, config::Config};
use url::Url;

use crate::cookies;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// True if requests with this method may change state.
#[must_use]
pub fn changes_state(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses cross-site requests. Called for state-changing requests without a bearer token.
pub fn check(headers: &HeaderMap, config: &Config) -> Result<(), AppError> {
    let origin = header(headers, ORIGIN.as_str());
    if origin.is_some_and(|origin| is_trusted(origin, config)) {
        return Ok(());
    }
    let own = match (header(headers, SEC_FETCH_SITE), origin) {
        // With a configured public URL, only it and the listed origins are trusted.
        (_, Some(_)) if config.server.public_url.is_some() => false,
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => matches_host(origin, headers, config),
        // The client sends no such header, so it is not a current browser. A program that uses
        // cookies must send an `Origin`.
        (None, None) => [cookies::access_name(&config.server), cookies::refresh_name(&config.server)]
            .iter()
            .all(|name| cookies::find(headers, name).is_none()),
    };
    if own { Ok(()) } else { Err(Code::CrossSite.into()) }
}

/// Base URL by which the client reached this server: `server.public_url`, or the URL of the request if it is not set.
/// The URL may be shown only to the caller, who controls the `Host` header.
#[must_use]
pub fn base_url(headers: &HeaderMap, config: &Config) -> String {
    if config.server.public_url.is_none() {
        // TLS may end at a proxy. The scheme in a browser's `Origin` is the one before the proxy.
        let origin =
            header(headers, ORIGIN.as_str()).filter(|origin| matches_host(origin, headers, config)).map(str::to_owned);
        let host = || header(headers, HOST.as_str()).map(|host| format!("http://{host}"));
        let url = origin.or_else(host).and_then(|text| Url::parse(&text).ok()).map(|url| url.origin());
        if let Some(origin) = url.filter(url::Origin::is_tuple) {
            return origin.ascii_serialization();
        }
    }
    config.server.public_url()
}

/// True if a page of another site sent the request. Programs send none of these headers. Browsers send `Sec-Fetch-Site`
/// over HTTPS or on this machine, `Origin` for real-time connections and state-changing requests, and otherwise usually
/// `Referer`.
#[must_use]
pub fn is_foreign_page(headers: &HeaderMap, config: &Config) -> bool {
    // An origin that is not valid text is foreign.
    let origin = headers.get(ORIGIN).map(|value| value.to_str().unwrap_or("null"));
    if let Some(origin) = origin {
        return !(is_trusted(origin, config) || matches_host(origin, headers, config));
    }
    let referrer = header(headers, REFERER.as_str()).and_then(origin_of);
    if referrer.is_some_and(|origin| is_trusted(origin, config)) {
        return false;
    }
    match header(headers, SEC_FETCH_SITE) {
        Some(site) => !matches!(site, "same-origin" | "none"),
        None => referrer.is_some_and(|origin| !matches_host(origin, headers, config)),
    }
}

/// True for the server's own origin and those added by the operator.
pub(crate) fn is_trusted(origin: &str, config: &Config) -> bool {
    let public = config.server.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    public.is_some_and(|public| public == origin) || is_listed(origin, config)
}

/// True for origins added by the operator.
pub(crate) fn is_listed(origin: &str, config: &Config) -> bool {
    config.server.cors_origins.iter().any(|listed| listed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

/// True if the host of the origin is the one in the `Host` header. Used only without a configured
/// public URL.
fn matches_host(origin: &str, headers: &HeaderMap, config: &Config) -> bool {
    let place = origin.split_once("://").map(|(_, place)| place);
    config.server.public_url.is_none()
        && matches!((place, header(headers, HOST.as_str())), (Some(place), Some(host)) if place.eq_ignore_ascii_case(host))
}

/// Origin of a URL.
fn origin_of(address: &str) -> Option<&str> {
    let start = address.find("://")? + 3;
    let end = address[start..].find(['/', '?', '#']).map_or(address.len(), |length| start + length);
    Some(&address[..end])
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const PUBLIC_URL: (&str, &str) = ("NATTER__SERVER__PUBLIC_URL", "https://chat.example");
    const CORS_ORIGINS: (&str, &str) = ("NATTER__SERVER__CORS_ORIGINS", "https://app.example");

    fn config(settings: &[(&str, &str)]) -> Config {
        let settings = settings.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        appcore::config::load_core(None, settings).unwrap().config
    }

    fn request(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn refuses_cross_site_requests() {
        let (public, config) = (config(&[PUBLIC_URL, CORS_ORIGINS]), config(&[CORS_ORIGINS]));
        let passes_in =
            |config: &Config, pairs: &[(&'static str, &'static str)]| check(&request(pairs), config).is_ok();
        let passes = |pairs: &[(&'static str, &'static str)]| passes_in(&config, pairs);
        // Both cookie names: the one used with TLS and the one used without.
        let cookie = ("cookie", "__Host-natter_access=x; natter_access=x");
        assert!(passes(&[cookie, ("sec-fetch-site", "same-origin")]));
        assert!(passes(&[cookie, ("sec-fetch-site", "cross-site"), ("origin", "https://app.example")]));
        assert!(passes(&[cookie, ("origin", "http://localhost:8080"), ("host", "localhost:8080")]));
        assert!(passes(&[("host", "localhost:8080")]));
        assert!(!passes(&[cookie]));
        assert!(!passes(&[cookie, ("sec-fetch-site", "same-site")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]));
        assert!(!passes(&[("origin", "https://evil.example"), ("host", "chat.example")]));
        assert!(!passes(&[("origin", "null"), ("host", "chat.example")]));

        // With a public URL, the requested host is not trusted.
        let chat = ("origin", "https://chat.example");
        assert!(passes_in(&public, &[cookie, chat, ("host", "10.0.0.1:8080")]));
        assert!(passes_in(&public, &[cookie, ("origin", "https://app.example"), ("sec-fetch-site", "cross-site")]));
        assert!(passes_in(&public, &[cookie, ("sec-fetch-site", "same-origin")]));
        for foreign in ["http://evil.example", "http://localhost:8080", "http://chat.example"] {
            let host = ("host", foreign.trim_start_matches("http://"));
            assert!(!passes_in(&public, &[cookie, ("origin", foreign), host]), "{foreign}");
            assert!(!passes_in(&public, &[("origin", foreign), host, ("sec-fetch-site", "same-origin")]), "{foreign}");
        }
    }

    #[test]
    fn links_use_the_callers_base_url() {
        let told = config(&[PUBLIC_URL, CORS_ORIGINS]);
        let untold = appcore::config::load_core(None, []).unwrap().config;
        let host = ("host", "chat.local:8080");
        for (pairs, expected) in [
            (vec![host], "http://chat.local:8080"),
            (vec![host, ("origin", "https://chat.local:8080")], "https://chat.local:8080"),
            (vec![host, ("origin", "https://evil.example")], "http://chat.local:8080"),
            (vec![("host", "x/?#@")], "http://x"),
            (vec![("host", ":::")], "http://127.0.0.1:8080"),
            (vec![], "http://127.0.0.1:8080"),
        ] {
            assert_eq!(base_url(&request(&pairs), &untold), expected, "{pairs:?}");
            assert_eq!(base_url(&request(&pairs), &told), "https://chat.example");
        }
    }

    #[test]
    fn detects_foreign_pages_by_browser_headers() {
        let (public, config) = (config(&[PUBLIC_URL, CORS_ORIGINS]), config(&[CORS_ORIGINS]));
        let is_foreign = |pairs: &[(&'static str, &'static str)]| is_foreign_page(&request(pairs), &config);
        let host = ("host", "chat.example");
        for own in [
            &[host][..],
            &[host, ("origin", "https://chat.example")],
            &[host, ("origin", "https://app.example"), ("sec-fetch-site", "cross-site")],
            &[host, ("referer", "https://app.example/c/1"), ("sec-fetch-site", "cross-site")],
            &[("origin", "http://localhost:1"), ("host", "localhost:1")],
            &[host, ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none")],
            &[("host", "chat.lan"), ("referer", "http://chat.lan/c/1?q")],
            &[host, ("referer", "no address")],
        ] {
            assert!(!is_foreign(own), "{own:?}");
        }
        let rebound = [("host", "evil.example"), ("origin", "http://evil.example")];
        assert!(is_foreign_page(&request(&rebound), &public));
        assert!(!is_foreign_page(&request(&[("host", "10.0.0.1"), ("origin", "https://chat.example")]), &public));
        for foreign in [
            &[host, ("origin", "https://chat.example.evil")][..],
            &[host, ("origin", "https://evil.example")],
            &[host, ("origin", "null")],
            &[host, ("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-site")],
            &[host, ("sec-fetch-site", "cross-site"), ("referer", "https://evil.example/")],
            // On plain HTTP, browsers send only `Referer`.
            &[("host", "chat.lan"), ("referer", "http://evil.example/page")],
        ] {
            assert!(is_foreign(foreign), "{foreign:?}");
        }
    }
}
