//! The cookies that carry a browser's tokens.
//!
//! On https the access cookie is bound to this host (`__Host-`). The refresh cookie goes only to the calls that need it; with a
//! path it can be no more than `__Secure-`.

use actix_web::{
    cookie::{Cookie, SameSite, time},
    http::header::{COOKIE, HeaderMap},
};
use appcore::Timestamp;

pub const ACCESS: &str = "natter_access";
pub const REFRESH: &str = "natter_refresh";
const SECURE_ACCESS: &str = "__Host-natter_access";
const SECURE_REFRESH: &str = "__Secure-natter_refresh";
/// The only calls that read the refresh token.
const REFRESH_PATH: &str = "/r1/auth";

/// What a browser keeps while it is at a provider of identities.
const OAUTH: &str = "natter_oauth";
const SECURE_OAUTH: &str = "__Host-natter_oauth";

#[must_use]
pub const fn oauth_name(https: bool) -> &'static str {
    if https { SECURE_OAUTH } else { OAUTH }
}

#[must_use]
pub const fn access_name(https: bool) -> &'static str {
    if https { SECURE_ACCESS } else { ACCESS }
}

#[must_use]
pub const fn refresh_name(https: bool) -> &'static str {
    if https { SECURE_REFRESH } else { REFRESH }
}

/// The value of the cookie `name`, where the caller sent one.
#[must_use]
pub fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

/// A pair of tokens, as cookies that scripts can't read.
#[must_use]
pub fn session(
    access: (String, Timestamp),
    refresh: (String, Timestamp),
    now: Timestamp,
    https: bool,
) -> [Cookie<'static>; 2] {
    let lasting = |until: Timestamp| time::Duration::milliseconds(until.millis().saturating_sub(now.millis()).max(0));
    [
        cookie(access_name(https), access.0, "/", lasting(access.1), https),
        cookie(refresh_name(https), refresh.0, REFRESH_PATH, lasting(refresh.1), https),
    ]
}

/// What a browser keeps while it is at a provider. Where it comes back with a form that the provider's page sends, it must be sent
/// along from another site, which browsers allow on https alone.
#[must_use]
pub fn oauth(handle: (String, Timestamp), now: Timestamp, https: bool, by_form: bool) -> Cookie<'static> {
    let lasting = time::Duration::milliseconds(handle.1.millis().saturating_sub(now.millis()).max(0));
    let mut cookie = cookie(oauth_name(https), handle.0, "/", lasting, https);
    if by_form && https {
        cookie.set_same_site(SameSite::None);
    }
    cookie
}

/// Takes it away again.
#[must_use]
pub fn no_oauth(https: bool) -> Cookie<'static> {
    cookie(oauth_name(https), String::new(), "/", time::Duration::ZERO, https)
}

/// Takes the tokens away again.
#[must_use]
pub fn none(https: bool) -> [Cookie<'static>; 2] {
    [
        cookie(access_name(https), String::new(), "/", time::Duration::ZERO, https),
        cookie(refresh_name(https), String::new(), REFRESH_PATH, time::Duration::ZERO, https),
    ]
}

fn cookie(
    name: &'static str,
    value: String,
    path: &'static str,
    max_age: time::Duration,
    https: bool,
) -> Cookie<'static> {
    Cookie::build(name, value)
        .path(path)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(https)
        .max_age(max_age)
        .finish()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn cookies_are_out_of_reach_of_scripts_and_bound_to_the_host_on_https() {
        let [access, refresh] =
            session(("a".into(), Timestamp(90_000)), ("r".into(), Timestamp(3_600_000)), Timestamp(30_000), true);
        assert_eq!(access.to_string(), "__Host-natter_access=a; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60");
        assert_eq!(
            refresh.to_string(),
            "__Secure-natter_refresh=r; HttpOnly; SameSite=Lax; Secure; Path=/r1/auth; Max-Age=3570"
        );
        let kept =
            |https, by_form| oauth(("h".into(), Timestamp(90_000)), Timestamp(30_000), https, by_form).to_string();
        assert_eq!(kept(true, false), "__Host-natter_oauth=h; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60");
        assert_eq!(kept(true, true), "__Host-natter_oauth=h; HttpOnly; SameSite=None; Secure; Path=/; Max-Age=60");
        assert_eq!(kept(false, true), "natter_oauth=h; HttpOnly; SameSite=Lax; Path=/; Max-Age=60");
        assert_eq!(none(false)[0].to_string(), "natter_access=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0");
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("xnatter_access=no; natter_access=; a"));
        headers.append(COOKIE, HeaderValue::from_static("b=1; natter_access=yes=="));
        assert_eq!(find(&headers, ACCESS).as_deref(), Some("yes=="));
        assert_eq!(find(&headers, REFRESH), None);
    }
}
