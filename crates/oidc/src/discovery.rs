//! Discovery document (OpenID Connect Discovery) and key set of a provider.

use std::time::Duration;

use appcore::config::OauthKind;
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use crate::{
    OidcError, document_cache,
    http::{Http, is_safe},
    keys::KeySet,
    quirks,
};

/// Members of the discovery document that are needed. The issuer is not parsed as a URL, because Microsoft's is a
/// template.
#[derive(Debug, Deserialize)]
pub(crate) struct Discovery {
    pub issuer: String,
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    pub userinfo_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// True if the authorization response contains the issuer (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Discovery {
    pub(crate) async fn fetch(http: &Http, kind: OauthKind, issuer: &str) -> Result<(Self, Duration), OidcError> {
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let place = Url::parse(&place).map_err(|error| OidcError::Settings(format!("invalid issuer URL: {error}")))?;
        let (document, lasts): (Self, _) = fetch(http, &place).await?;
        if !quirks::matches_issuer(kind, issuer, &document.issuer) {
            return Err(OidcError::Unavailable("discovery document of another issuer".to_owned()));
        }
        let places = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri];
        if !places.into_iter().chain(&document.userinfo_endpoint).all(is_safe) {
            return Err(OidcError::Unavailable("discovery document with a URL that is not https".to_owned()));
        }
        Ok((document, lasts))
    }

    /// True if the client secret must be sent in the body instead of the usual header.
    pub(crate) fn wants_secret_in_body(&self) -> bool {
        let takes = |method: &str| self.token_endpoint_auth_methods_supported.iter().any(|known| known == method);
        takes("client_secret_post") && !takes("client_secret_basic")
    }
}

pub(crate) async fn fetch_keys(http: &Http, place: &Url) -> Result<(KeySet, Duration), OidcError> {
    fetch(http, place).await
}

async fn fetch<T: DeserializeOwned>(http: &Http, place: &Url) -> Result<(T, Duration), OidcError> {
    let answer = http.get(place).await.map_err(|error| OidcError::Unavailable(error.to_string()))?;
    if !answer.status.is_success() {
        return Err(OidcError::Unavailable(format!("{place} answered {}", answer.status)));
    }
    let value = serde_json::from_slice(&answer.body);
    let value = value.map_err(|error| OidcError::Unavailable(format!("malformed response of {place}: {error}")))?;
    Ok((value, document_cache::max_age(&answer.headers)))
}
