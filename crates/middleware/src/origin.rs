//! Which site a browser was on when it sent a request.
//!
//! Cookies come with whatever any site makes a browser ask for, so a request that changes something and may rest on them must come
//! from our own pages. Browsers say so themselves (`Sec-Fetch-Site`, `Origin`); no token in forms is needed.

use actix_web::http::{
    Method,
    header::{HOST, HeaderMap, ORIGIN},
};
use appcore::{AppError, Code, config::Config};

use crate::cookies;

/// Whether requests with this method may change something.
#[must_use]
pub fn changes_state(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses what another site made the browser send. For requests without a bearer token that change something.
pub fn check(headers: &HeaderMap, config: &Config) -> Result<(), AppError> {
    let origin = header(headers, ORIGIN.as_str());
    if origin.is_some_and(|origin| is_trusted(origin, config)) {
        return Ok(());
    }
    let own = match (header(headers, "sec-fetch-site"), origin) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => is_host(origin, headers),
        // No browser of today; a program that uses cookies all the same must say where it is.
        (None, None) => {
            let https = config.server.is_https();
            [cookies::access_name(https), cookies::refresh_name(https)]
                .iter()
                .all(|name| cookies::find(headers, name).is_none())
        }
    };
    if own { Ok(()) } else { Err(Code::CrossSite.into()) }
}

/// Whether a real-time connection may be opened from there. Programs send no `Origin`; browsers always do.
#[must_use]
pub fn allowed(headers: &HeaderMap, config: &Config) -> bool {
    match headers.get(ORIGIN).map(|value| value.to_str()) {
        None => true,
        Some(Ok(origin)) => is_trusted(origin, config) || is_host(origin, headers),
        Some(Err(_)) => false,
    }
}

/// The address that browsers use for us, and what the operator adds.
pub(crate) fn is_trusted(origin: &str, config: &Config) -> bool {
    let public = config.server.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    public.is_some_and(|public| public == origin) || is_listed(origin, config)
}

/// An origin that the operator adds to our own.
pub(crate) fn is_listed(origin: &str, config: &Config) -> bool {
    config.server.cors_origins.iter().any(|listed| listed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

fn is_host(origin: &str, headers: &HeaderMap) -> bool {
    let place = origin.split_once("://").map(|(_, place)| place);
    matches!((place, header(headers, HOST.as_str())), (Some(place), Some(host)) if place.eq_ignore_ascii_case(host))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn config() -> Config {
        let settings = [
            ("NATTER__SERVER__PUBLIC_URL", "https://chat.example"),
            ("NATTER__SERVER__CORS_ORIGINS", "https://app.example"),
        ];
        appcore::config::load_from(None, settings.map(|(key, value)| (key.into(), value.into()))).unwrap().config
    }

    fn request(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_another_site_sent_is_refused() {
        let config = config();
        let passes = |pairs: &[(&'static str, &'static str)]| check(&request(pairs), &config).is_ok();
        let cookie = ("cookie", "__Host-natter_access=x");
        assert!(passes(&[cookie, ("sec-fetch-site", "same-origin")]));
        assert!(passes(&[cookie, ("sec-fetch-site", "cross-site"), ("origin", "https://app.example")]));
        assert!(passes(&[cookie, ("origin", "https://chat.example"), ("host", "10.0.0.1:8080")]));
        assert!(passes(&[cookie, ("origin", "http://localhost:8080"), ("host", "localhost:8080")]));
        assert!(passes(&[("host", "localhost:8080")]));
        assert!(!passes(&[cookie]));
        assert!(!passes(&[cookie, ("sec-fetch-site", "same-site")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]));
        assert!(!passes(&[("origin", "https://evil.example"), ("host", "chat.example")]));
        assert!(!passes(&[("origin", "null"), ("host", "chat.example")]));
    }

    #[test]
    fn a_connection_is_opened_from_our_own_pages_or_by_a_program() {
        let config = config();
        let passes = |pairs: &[(&'static str, &'static str)]| allowed(&request(pairs), &config);
        assert!(passes(&[]));
        assert!(passes(&[("origin", "https://chat.example")]));
        assert!(passes(&[("origin", "http://localhost:1"), ("host", "localhost:1")]));
        assert!(!passes(&[("origin", "https://chat.example.evil"), ("host", "chat.example")]));
        assert!(!passes(&[("origin", "null")]));
    }
}
