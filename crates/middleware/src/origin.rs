//! Which site a browser was on when it sent a request.
//!
//! Cookies come with whatever any site makes a browser ask for, so a request that changes something and may rest on them must come
//! from our own pages. Browsers say so themselves (`Sec-Fetch-Site`, `Origin`); no token in forms is needed.

use actix_web::http::{
    Method,
    header::{HOST, HeaderMap, ORIGIN, REFERER},
};
use appcore::{AppError, Code, config::Config};
use url::Url;

use crate::cookies;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

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
    let own = match (header(headers, SEC_FETCH_SITE), origin) {
        // Where the operator has said which address is ours, it and what they have listed are all of ours.
        (_, Some(_)) if config.server.public_url.is_some() => false,
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => is_host(origin, headers, config),
        // No browser of today; a program that uses cookies all the same must say where it is.
        (None, None) => [cookies::access_name(&config.server), cookies::refresh_name(&config.server)]
            .iter()
            .all(|name| cookies::find(headers, name).is_none()),
    };
    if own { Ok(()) } else { Err(Code::CrossSite.into()) }
}

/// The address that the caller reaches this server by: `server.public_url`, or what the request itself says where that is not set.
/// Nobody but the caller may be shown it: whoever asks chooses what `Host` says.
#[must_use]
pub fn own_url(headers: &HeaderMap, config: &Config) -> String {
    if config.server.public_url.is_none() {
        // A browser's `Origin` knows of TLS that ends before us.
        let origin =
            header(headers, ORIGIN.as_str()).filter(|origin| is_host(origin, headers, config)).map(str::to_owned);
        let host = || header(headers, HOST.as_str()).map(|host| format!("http://{host}"));
        let url = origin.or_else(host).and_then(|text| Url::parse(&text).ok()).map(|url| url.origin());
        if let Some(origin) = url.filter(url::Origin::is_tuple) {
            return origin.ascii_serialization();
        }
    }
    config.server.public_url()
}

/// Whether a page of another site sent a request. Programs send none of what tells it; browsers say `Sec-Fetch-Site` where they came by
/// HTTPS or are on this machine, `Origin` for real-time connections and whatever changes something, else mostly `Referer`.
#[must_use]
pub fn is_foreign_page(headers: &HeaderMap, config: &Config) -> bool {
    // An origin that is no text is nobody's of ours.
    let origin = headers.get(ORIGIN).map(|value| value.to_str().unwrap_or("null"));
    if let Some(origin) = origin {
        return !(is_trusted(origin, config) || is_host(origin, headers, config));
    }
    let referrer = header(headers, REFERER.as_str()).and_then(origin_of);
    if referrer.is_some_and(|origin| is_trusted(origin, config)) {
        return false;
    }
    match header(headers, SEC_FETCH_SITE) {
        Some(site) => !matches!(site, "same-origin" | "none"),
        None => referrer.is_some_and(|origin| !is_host(origin, headers, config)),
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

/// Whether a page stands at the address that it was asked for by, where nobody has said which address is ours.
fn is_host(origin: &str, headers: &HeaderMap, config: &Config) -> bool {
    let place = origin.split_once("://").map(|(_, place)| place);
    config.server.public_url.is_none()
        && matches!((place, header(headers, HOST.as_str())), (Some(place), Some(host)) if place.eq_ignore_ascii_case(host))
}

/// The origin of an address, as it is written.
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
        appcore::config::load_from(None, settings).unwrap().config
    }

    fn request(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_another_site_sent_is_refused() {
        let (public, config) = (config(&[PUBLIC_URL, CORS_ORIGINS]), config(&[CORS_ORIGINS]));
        let passes_in =
            |config: &Config, pairs: &[(&'static str, &'static str)]| check(&request(pairs), config).is_ok();
        let passes = |pairs: &[(&'static str, &'static str)]| passes_in(&config, pairs);
        // As it is named with TLS, and without.
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

        // With a public address what a page is asked for by makes it none of ours.
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
    fn links_begin_with_where_the_caller_is() {
        let told = config(&[PUBLIC_URL, CORS_ORIGINS]);
        let untold = appcore::config::load_from(None, []).unwrap().config;
        let host = ("host", "chat.local:8080");
        for (pairs, expected) in [
            (vec![host], "http://chat.local:8080"),
            (vec![host, ("origin", "https://chat.local:8080")], "https://chat.local:8080"),
            (vec![host, ("origin", "https://evil.example")], "http://chat.local:8080"),
            (vec![("host", "x/?#@")], "http://x"),
            (vec![("host", ":::")], "http://127.0.0.1:8080"),
            (vec![], "http://127.0.0.1:8080"),
        ] {
            assert_eq!(own_url(&request(&pairs), &untold), expected, "{pairs:?}");
            assert_eq!(own_url(&request(&pairs), &told), "https://chat.example");
        }
    }

    #[test]
    fn a_page_of_another_site_is_known_by_what_its_browser_says() {
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
            // By plain HTTP browsers say no more than this.
            &[("host", "chat.lan"), ("referer", "http://evil.example/page")],
        ] {
            assert!(is_foreign(foreign), "{foreign:?}");
        }
    }
}
