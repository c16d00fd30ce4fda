//! Cookies with the tokens of a browser.
//!
//! On https the access cookie is bound to the host (`__Host-`). The refresh cookie is restricted to
//! the path of the endpoints that need it. Browsers allow `__Host-` only for the path `/`, so its
//! prefix is `__Secure-`. Under a base path, all cookies are `__Secure-` and restricted to that
//! path.
//!
//! A browser may be signing in at identity providers in several tabs. Each sign-in has its own
//! cookie with a prefix of its `state` in the name, so that a returning tab finds and removes only
//! its own.

use std::borrow::Cow;

use actix_web::{
    cookie::{Cookie, SameSite, time},
    http::header::{COOKIE, HeaderMap},
};
use appcore::{Timestamp, config::Server};

pub const ACCESS: &str = "natter_access";
pub const REFRESH: &str = "natter_refresh";
const SECURE_ACCESS: &str = "__Host-natter_access";
const SUBPATH_ACCESS: &str = "__Secure-natter_access";
const SECURE_REFRESH: &str = "__Secure-natter_refresh";
/// Path of cookies for the whole server.
const ROOT_PATH: &str = "/";
/// Path of the endpoints that read the refresh token.
const REFRESH_PATH: &str = "/r1/auth";

/// Prefix of the names of cookies for sign-ins at identity providers. The start of the `state`
/// follows.
const OAUTH_PREFIX: &str = "natter_oauth_";
const SECURE_OAUTH_PREFIX: &str = "__Host-natter_oauth_";
const SUBPATH_OAUTH_PREFIX: &str = "__Secure-natter_oauth_";
/// Number of bytes of the `state` that the cookie's name contains.
const STATE_BYTES: usize = 8;
/// Maximum number of concurrent provider sign-ins per browser.
const MAX_OAUTH_COOKIES: usize = 5;

fn oauth_prefix(server: &Server) -> &'static str {
    match (server.is_https(), server.base_path().is_empty()) {
        (true, true) => SECURE_OAUTH_PREFIX,
        (true, false) => SUBPATH_OAUTH_PREFIX,
        (false, _) => OAUTH_PREFIX,
    }
}

/// Name of the sign-in cookie for a `state`; `None` if the `state` is not in Natter's format.
#[must_use]
pub fn oauth_name(state: &str, server: &Server) -> Option<String> {
    let piece = state.get(..STATE_BYTES).filter(|piece| is_state_prefix(piece))?;
    Some(format!("{}{piece}", oauth_prefix(server)))
}

fn is_state_prefix(piece: &str) -> bool {
    piece.len() == STATE_BYTES && piece.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[must_use]
pub fn access_name(server: &Server) -> &'static str {
    match (server.is_https(), server.base_path().is_empty()) {
        (true, true) => SECURE_ACCESS,
        (true, false) => SUBPATH_ACCESS,
        (false, _) => ACCESS,
    }
}

#[must_use]
pub fn refresh_name(server: &Server) -> &'static str {
    if server.is_https() { SECURE_REFRESH } else { REFRESH }
}

/// Value of the cookie `name`, if the client sent it.
#[must_use]
pub fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    pairs(headers).find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// Names and values of all cookies that are not empty.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(_, value)| !value.is_empty())
}

/// Cookies with the access token and the refresh token. Scripts can't read them.
#[must_use]
pub fn session(
    access: (String, Timestamp),
    refresh: (String, Timestamp),
    now: Timestamp,
    server: &Server,
) -> [Cookie<'static>; 2] {
    let lasting = |until: Timestamp| time::Duration::milliseconds(until.millis().saturating_sub(now.millis()).max(0));
    [
        cookie(access_name(server), access.0, ROOT_PATH, lasting(access.1), server),
        cookie(refresh_name(server), refresh.0, REFRESH_PATH, lasting(refresh.1), server),
    ]
}

/// Cookie for a sign-in at an identity provider. With `by_form`, the provider returns the user by a
/// form post, which is a cross-site request. Browsers add the cookie to it only with
/// `SameSite=None`, which they allow only on https.
#[must_use]
pub fn oauth(
    name: String,
    handle: (String, Timestamp),
    now: Timestamp,
    server: &Server,
    by_form: bool,
) -> Cookie<'static> {
    let lasting = time::Duration::milliseconds(handle.1.millis().saturating_sub(now.millis()).max(0));
    let mut cookie = cookie(name, handle.0, ROOT_PATH, lasting, server);
    if by_form && server.is_https() {
        cookie.set_same_site(SameSite::None);
    }
    cookie
}

/// Cookie that makes the browser delete a provider sign-in cookie.
#[must_use]
pub fn expired_oauth(name: String, server: &Server) -> Cookie<'static> {
    cookie(name, String::new(), ROOT_PATH, time::Duration::ZERO, server)
}

/// Cookies that make the browser delete its oldest provider sign-in cookies, so that there is room
/// for another one. They belong to abandoned sign-ins. Browsers send the oldest cookie first.
#[must_use]
pub fn expire_oldest_oauth(headers: &HeaderMap, server: &Server) -> Vec<Cookie<'static>> {
    let is_one = |name: &str| name.strip_prefix(oauth_prefix(server)).is_some_and(is_state_prefix);
    let there: Vec<&str> = pairs(headers).map(|(name, _)| name).filter(|name| is_one(name)).collect();
    let too_many = (there.len() + 1).saturating_sub(MAX_OAUTH_COOKIES);
    there.into_iter().take(too_many).map(|name| expired_oauth(name.to_owned(), server)).collect()
}

/// Cookies that make the browser delete the token cookies.
#[must_use]
pub fn expired_session(server: &Server) -> [Cookie<'static>; 2] {
    [
        cookie(access_name(server), String::new(), ROOT_PATH, time::Duration::ZERO, server),
        cookie(refresh_name(server), String::new(), REFRESH_PATH, time::Duration::ZERO, server),
    ]
}

/// Builds a cookie with a path under the server's base path.
fn cookie(
    name: impl Into<Cow<'static, str>>,
    value: String,
    path: &str,
    max_age: time::Duration,
    server: &Server,
) -> Cookie<'static> {
    Cookie::build(name, value)
        .path(format!("{}{path}", server.base_path()))
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(server.is_https())
        .max_age(max_age)
        .finish()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    /// Server settings with this public URL; an empty one means plain HTTP.
    fn server(public_url: &str) -> Server {
        let url = ("NATTER__SERVER__PUBLIC_URL".into(), public_url.into());
        let settings = if public_url.is_empty() { vec![] } else { vec![url] };
        appcore::config::load_core(None, settings).unwrap().config.server
    }

    #[test]
    fn cookies_are_http_only_and_host_bound_on_https() {
        let (plain, secure) = (server(""), server("https://chat.example"));
        let both = |server: &Server| {
            session(("a".into(), Timestamp(90_000)), ("r".into(), Timestamp(3_600_000)), Timestamp(30_000), server)
        };
        let [access, refresh] = both(&secure);
        assert_eq!(access.to_string(), "__Host-natter_access=a; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60");
        assert_eq!(
            refresh.to_string(),
            "__Secure-natter_refresh=r; HttpOnly; SameSite=Lax; Secure; Path=/r1/auth; Max-Age=3570"
        );
        let kept = |server: &Server, by_form| {
            let name = oauth_name("aB-_1234rest", server).unwrap();
            oauth(name, ("h".into(), Timestamp(90_000)), Timestamp(30_000), server, by_form).to_string()
        };
        let expected = |same_site: &str| {
            format!("__Host-natter_oauth_aB-_1234=h; HttpOnly; SameSite={same_site}; Secure; Path=/; Max-Age=60")
        };
        assert_eq!(kept(&secure, false), expected("Lax"));
        assert_eq!(kept(&secure, true), expected("None"));
        assert_eq!(kept(&plain, true), "natter_oauth_aB-_1234=h; HttpOnly; SameSite=Lax; Path=/; Max-Age=60");
        assert_eq!(expired_session(&plain)[0].to_string(), "natter_access=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0");

        let below = server("https://example.org/chat");
        let [access, refresh] = both(&below);
        assert_eq!(
            access.to_string(),
            "__Secure-natter_access=a; HttpOnly; SameSite=Lax; Secure; Path=/chat/; Max-Age=60"
        );
        assert_eq!(
            refresh.to_string(),
            "__Secure-natter_refresh=r; HttpOnly; SameSite=Lax; Secure; Path=/chat/r1/auth; Max-Age=3570"
        );
        assert_eq!(
            kept(&below, false),
            "__Secure-natter_oauth_aB-_1234=h; HttpOnly; SameSite=Lax; Secure; Path=/chat/; Max-Age=60"
        );
        let plain_below = expired_session(&server("http://example.org/chat"));
        assert_eq!(plain_below[0].to_string(), "natter_access=; HttpOnly; SameSite=Lax; Path=/chat/; Max-Age=0");
    }

    #[test]
    fn limits_provider_sign_ins_per_browser() {
        for none in ["", "short", "a=b;cdef", "äöüäöüäö", "abcdefg\n", "1234567é"] {
            assert_eq!(oauth_name(none, &server("https://chat.example")), None, "{none}");
        }
        let plain = server("");
        let gone = |there: &str| {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_str(there).unwrap());
            let names = expire_oldest_oauth(&headers, &plain).into_iter().map(|cookie| cookie.name().to_owned());
            names.collect::<Vec<_>>()
        };
        let kept = |count: usize| {
            let cookies: Vec<String> = (1..=count).map(|at| format!("natter_oauth_0000000{at}=h")).collect();
            format!("natter_oauth_other=h; natter_access=a; {}", cookies.join("; "))
        };
        assert_eq!((gone("a=b"), gone(&kept(4))), (vec![], Vec::<String>::new()));
        assert_eq!(gone(&kept(5)), ["natter_oauth_00000001"]);
        assert_eq!(gone(&kept(7)), ["natter_oauth_00000001", "natter_oauth_00000002", "natter_oauth_00000003"]);
    }

    #[test]
    fn finds_cookies_by_exact_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("xnatter_access=no; natter_access=; a"));
        headers.append(COOKIE, HeaderValue::from_static("b=1; natter_access=yes=="));
        assert_eq!(find(&headers, ACCESS).as_deref(), Some("yes=="));
        assert_eq!(find(&headers, REFRESH), None);
    }
}
