//! Credentials of a request: bearer token, otherwise cookie.

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HeaderMap, HeaderName, USER_AGENT},
};
use appcore::{AppError, Code, auth::Principal, config::Config};
use identity::accounts::{self, Device, api_keys::KEY_PREFIX};

use crate::{RequestServices, address::source, cookies};

/// Headers in which the libraries of Anthropic, Azure and Google send the key.
static KEY_HEADERS: [HeaderName; 3] =
    [HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key"), GOOGLE_API_KEY];
/// Header in which Google's libraries send the key.
pub const GOOGLE_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Access token or API key of a request.
pub struct Credentials {
    pub token: String,
    /// True if the token comes from a cookie, which browsers also add to cross-site requests. A
    /// bearer token is always set by the caller.
    pub by_cookie: bool,
}

impl Credentials {
    /// Finds the token. Other schemes than `Bearer` are ignored, since they may be meant for a proxy.
    #[must_use]
    pub fn find(headers: &HeaderMap, config: &Config) -> Option<Self> {
        match Self::bearer(headers) {
            Some(token) => Some(Self { token, by_cookie: false }),
            None => cookies::find(headers, cookies::access_name(&config.server))
                .map(|token| Self { token, by_cookie: true }),
        }
    }

    fn bearer(headers: &HeaderMap) -> Option<String> {
        let text = headers.get(AUTHORIZATION).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let (scheme, token) = text?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    }
}

/// Finds the gateway API key of a request, in `Authorization: Bearer` or in the headers that the
/// libraries of Anthropic, Azure and Google send. If several are present, the one in Natter's format
/// wins, since the others may be keys of a provider.
#[must_use]
pub fn find_key(headers: &HeaderMap) -> Option<Credentials> {
    let own = KEY_HEADERS.iter().filter_map(|name| headers.get(name)?.to_str().ok()).map(str::trim);
    // Gemini CLI sends an empty key if it uses another header.
    let own = own.filter(|key| !key.is_empty()).map(str::to_owned);
    let found: Vec<String> = own.chain(Credentials::bearer(headers)).collect();
    let ours = found.iter().find(|token| token.starts_with(KEY_PREFIX));
    let token = ours.or(found.first())?.clone();
    Some(Credentials { token, by_cookie: false })
}

/// Authenticates the credentials.
pub async fn authenticate(
    services: &RequestServices,
    credentials: Option<&Credentials>,
) -> Result<Principal, AppError> {
    match credentials {
        Some(credentials) => accounts::authenticate(&services.identity, &credentials.token).await,
        None => Err(Code::Unauthenticated.into()),
    }
}

/// Refresh token from the cookie.
#[must_use]
pub fn refresh_cookie(headers: &HeaderMap, config: &Config) -> Option<String> {
    cookies::find(headers, cookies::refresh_name(&config.server))
}

/// Client device, for the list of sessions.
#[must_use]
pub fn device(http: &HttpRequest, config: &Config) -> Device {
    let user_agent = http.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    let source = source(http, config);
    Device::new(user_agent, source.address).sent_by(source).in_country(source.country)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn prefers_the_key_in_natters_format() {
        let found = |own: Option<&'static str>, bearer: Option<&'static str>, name: HeaderName| {
            let mut headers = HeaderMap::new();
            if let Some(own) = own {
                headers.insert(name, HeaderValue::from_static(own));
            }
            if let Some(bearer) = bearer {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(bearer));
            }
            find_key(&headers).map(|key| key.token)
        };
        for (own, bearer, token) in [
            (Some("nk_a"), None, Some("nk_a")),
            (None, Some("bearer nk_b"), Some("nk_b")),
            (Some("sk-ant-api03-cached"), Some("Bearer nk_b"), Some("nk_b")),
            (Some("nk_a"), Some("Bearer a session"), Some("nk_a")),
            (Some("nk_a"), Some("Bearer nk_b"), Some("nk_a")),
            (Some("sk-dummy"), Some("Basic x"), Some("sk-dummy")),
            (None, None, None),
        ] {
            for name in &KEY_HEADERS {
                assert_eq!(found(own, bearer, name.clone()).as_deref(), token);
            }
        }
    }
}
