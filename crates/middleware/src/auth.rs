//! Who is calling: by bearer token, else by cookie.

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HeaderMap, USER_AGENT},
};
use appcore::{AppError, Code, auth::Principal, config::Config};
use service::{
    App,
    accounts::{self, Device},
};

use crate::{address::source, cookies};

/// The access token that came with a request.
pub struct Credentials {
    pub token: String,
    /// A browser adds a cookie to whatever any site makes it ask for; a bearer token is put there by the caller.
    pub by_cookie: bool,
}

impl Credentials {
    /// Other schemes than `Bearer` are meant for somebody on the way here.
    #[must_use]
    pub fn find(headers: &HeaderMap, config: &Config) -> Option<Self> {
        let text = headers.get(AUTHORIZATION).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let bearer = text.and_then(|text| text.split_once(' '));
        match bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
            Some((_, token)) => Some(Self { token: token.trim().to_owned(), by_cookie: false }),
            None => cookies::find(headers, cookies::access_name(config.server.is_https()))
                .map(|token| Self { token, by_cookie: true }),
        }
    }
}

/// Whose credentials these are.
pub async fn authenticate(app: &App, credentials: Option<&Credentials>) -> Result<Principal, AppError> {
    match credentials {
        Some(credentials) => accounts::authenticate(app, &credentials.token).await,
        None => Err(Code::Unauthenticated.into()),
    }
}

/// The refresh token of a browser.
#[must_use]
pub fn refresh_cookie(headers: &HeaderMap, config: &Config) -> Option<String> {
    cookies::find(headers, cookies::refresh_name(config.server.is_https()))
}

/// What the caller calls from, for the list of signed-in devices.
#[must_use]
pub fn device(http: &HttpRequest, config: &Config) -> Device {
    let user_agent = http.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    let source = source(http, config);
    Device::new(user_agent, source.address).sent_by(source).in_country(source.country)
}
