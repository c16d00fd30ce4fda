//! Discovery of a server's authorization: its resource metadata (RFC 9728) names an authorization
//! server, whose metadata (RFC 8414, or OpenID Connect) contains the endpoints.

use std::time::Duration;

use appcore::{AppError, Code};
use bytes::Bytes;
use outgoing::{FetchLimits, OutgoingError, OutgoingRequest};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use url::Url;

use crate::AssistantsService;

/// Limits for fetching metadata documents, which have a few kilobytes.
pub(super) const DOCUMENT: FetchLimits =
    FetchLimits { max_bytes: 256 * 1024, timeout: Duration::from_secs(10), redirects: 3, truncates: false };
const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
/// Name of the authentication method of clients without a secret.
pub(super) const NO_SECRET: &str = "none";
pub(super) const SECRET_IN_FORM: &str = "client_secret_post";
pub(super) const SECRET_IN_HEADER: &str = "client_secret_basic";
const OFFLINE: &str = "offline_access";

/// Result of the discovery.
pub(super) struct AuthDiscovery {
    /// Resource that the tokens are for (RFC 8707).
    pub resource: String,
    /// Scope to request; `None` for the default of the authorization server.
    pub scope: Option<String>,
    pub server: Metadata,
}

/// Metadata of an authorization server.
#[derive(Clone, Deserialize)]
pub(super) struct Metadata {
    pub issuer: String,
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub registration_endpoint: Option<Url>,
    pub revocation_endpoint: Option<Url>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    /// True if the server supports Client ID Metadata Documents.
    #[serde(default)]
    pub client_id_metadata_document_supported: bool,
    /// True if the server adds the `iss` parameter to the redirect (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Supported client authentication methods of the token endpoint.
    pub fn auth_methods(&self) -> impl Iterator<Item = &str> {
        let told = self.token_endpoint_auth_methods_supported.as_deref();
        // RFC 8414 defines this default for metadata without a list.
        let untold = told.is_none().then_some(SECRET_IN_HEADER);
        told.unwrap_or_default().iter().map(String::as_str).chain(untold)
    }
}

#[derive(Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// Challenge of a server to a request without a token.
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    metadata: Option<String>,
    scope: Option<String>,
}

/// Discovers the authorization server of a tool server.
pub(super) async fn discover(service: &AssistantsService, url: &Url) -> Result<AuthDiscovery, AppError> {
    let challenge = challenge(service, url).await?;
    let told = challenge.metadata.as_deref().and_then(|told| url.join(told).ok());
    let candidates = told.map_or_else(|| resource_places(url), |told| vec![told]);
    let resource: Option<Resource> = first_document(service, candidates).await;
    let (resource, issuer, scopes) = match resource {
        Some(found) => {
            if !covers(&found.resource, url) {
                return Err(unusable_server_error("Its metadata belongs to another address."));
            }
            let issuer = found.authorization_servers.into_iter().next();
            (
                found.resource,
                issuer.ok_or_else(|| unusable_server_error("It doesn't name an authorization server."))?,
                found.scopes_supported,
            )
        }
        // Servers without resource metadata are their own authorization server, as in earlier
        // versions of the protocol.
        None => (url.to_string(), url.origin().ascii_serialization(), Vec::new()),
    };
    let named = Url::parse(&issuer).map_err(|_| unusable_server_error("It doesn't name an authorization server."))?;
    let server: Metadata = first_document(service, server_places(&named)).await.ok_or_else(|| {
        unusable_server_error(
            "Its authorization server publishes no metadata. Use a secret header instead, if it supports one.",
        )
    })?;
    check(service, &server, &issuer)?;
    let scope = scope(challenge.scope, scopes, &server);
    Ok(AuthDiscovery { resource, scope, server })
}

fn check(service: &AssistantsService, server: &Metadata, issuer: &str) -> Result<(), AppError> {
    if server.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
        return Err(unusable_server_error("Its authorization server reports a different issuer."));
    }
    if !server.code_challenge_methods_supported.iter().any(|method| method == "S256") {
        return Err(unusable_server_error("Its authorization server doesn't offer PKCE (S256)."));
    }
    let endpoints = [Some(&server.authorization_endpoint), Some(&server.token_endpoint)];
    let others = [server.registration_endpoint.as_ref(), server.revocation_endpoint.as_ref()];
    if endpoints.into_iter().chain(others).flatten().any(|url| service.outgoing.check(url).is_err()) {
        return Err(unusable_server_error(
            "Its authorization server names an address that this server isn't allowed to connect to.",
        ));
    }
    Ok(())
}

/// Returns the scope to request: that of the challenge or, if it has none, that of the metadata,
/// plus `offline_access` if it is supported.
fn scope(asked: Option<String>, known: Vec<String>, server: &Metadata) -> Option<String> {
    let scope = asked.or_else(|| (!known.is_empty()).then(|| known.join(" ")))?;
    let is_offered = server.scopes_supported.iter().any(|one| one == OFFLINE);
    Some(if is_offered { union_scopes(scope, OFFLINE) } else { scope })
}

/// Union of two scopes without duplicates.
pub(super) fn union_scopes(mut scope: String, more: &str) -> String {
    for one in more.split_whitespace() {
        if !scope.split(' ').any(|known| known == one) {
            scope.push_str(if scope.is_empty() { "" } else { " " });
            scope.push_str(one);
        }
    }
    scope
}

/// Scope demanded by a challenge.
pub(super) fn scope_of(challenge: &str) -> Option<String> {
    read_challenge(challenge).scope
}

pub(super) fn unusable_server_error(why: &str) -> AppError {
    AppError::refused(Code::WrongState, format!("This server can't be signed in to. {why}"))
}

/// Returns the first of the documents at these URLs that is available and valid.
async fn first_document<T: DeserializeOwned>(service: &AssistantsService, places: Vec<Url>) -> Option<T> {
    for place in places {
        let mut request = OutgoingRequest::get(place);
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let Ok(fetched) = service.outgoing.send(request, DOCUMENT).await else { continue };
        if fetched.status.is_success()
            && let Ok(found) = serde_json::from_slice(&fetched.body)
        {
            return Some(found);
        }
    }
    None
}

/// Sends a request without a token to obtain the challenge.
async fn challenge(service: &AssistantsService, url: &Url) -> Result<Challenge, AppError> {
    let introduction = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "natter", "version": env!("CARGO_PKG_VERSION") },
        },
    });
    let headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json, text/event-stream")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ]);
    let body = Bytes::from(introduction.to_string());
    let request = OutgoingRequest { method: Method::POST, url: url.clone(), headers, body };
    let limits = FetchLimits { truncates: true, max_bytes: 4 * 1024, ..DOCUMENT };
    let answer = match service.outgoing.send(request, limits).await {
        Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => answer,
        Err(error @ (OutgoingError::Forbidden | OutgoingError::Unreachable)) => {
            return Err(unusable_server_error(&format!("Reason: {error}.")));
        }
        // The server answered without a challenge; it may require a token later.
        Ok(_) | Err(_) => return Ok(Challenge::default()),
    };
    let told = answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    Ok(told.map(read_challenge).find(|challenge| *challenge != Challenge::default()).unwrap_or_default())
}

fn read_challenge(header: &str) -> Challenge {
    let scope = parameter(header, "scope").filter(|scope| !scope.trim().is_empty());
    Challenge { metadata: parameter(header, "resource_metadata"), scope }
}

/// Returns a parameter of a challenge, which may be quoted.
fn parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header;
    while let Some(at) = rest.find(name) {
        let is_begun = rest[..at].chars().next_back().is_none_or(|before| before == ' ' || before == ',');
        rest = &rest[at + name.len()..];
        let Some(value) = rest.trim_start().strip_prefix('=').filter(|_| is_begun) else { continue };
        let value = value.trim_start();
        return match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map(|(value, _)| value.to_owned()),
            None => value.split([',', ' ']).next().map(str::to_owned),
        };
    }
    None
}

/// True if the resource identifier is this URL or a parent of it.
fn covers(resource: &str, url: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else { return false };
    let whole = resource.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(whole);
    resource.origin() == url.origin() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn resource_places(url: &Url) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let paths = [(!path.is_empty()).then(|| format!("{RESOURCE}{path}")), Some(RESOURCE.to_owned())];
    paths.into_iter().flatten().filter_map(|path| with_path(url, &path)).collect()
}

fn server_places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let paths = if path.is_empty() {
        vec![SERVER.to_owned(), OPENID.to_owned()]
    } else {
        vec![format!("{SERVER}{path}"), format!("{OPENID}{path}"), format!("{path}{OPENID}")]
    };
    paths.iter().filter_map(|path| with_path(issuer, path)).collect()
}

/// Returns the URL of a path on the same origin.
fn with_path(place: &Url, path: &str) -> Option<Url> {
    let mut url = place.join("/").ok()?;
    url.set_path(path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_challenges() {
        let header =
            r#"Bearer realm="x", resource_metadata="https://a.example/.well-known/r", scope="files:read files:write""#;
        let challenge = read_challenge(header);
        assert_eq!(challenge.metadata.as_deref(), Some("https://a.example/.well-known/r"));
        assert_eq!(challenge.scope.as_deref(), Some("files:read files:write"));
        assert_eq!(parameter("Bearer my_scope=\"a\", scope=b, error=c", "scope").as_deref(), Some("b"));
        for nothing in ["Bearer", "Bearer scope", "Basic realm=\"scope\"", "Bearer scope=\"", ""] {
            assert_eq!(read_challenge(nothing), Challenge::default(), "{nothing:?}");
        }
    }

    #[test]
    fn adds_missing_scopes() {
        let challenge = r#"Bearer error="insufficient_scope", scope="files:read files:write""#;
        let wanted = scope_of(challenge).unwrap();
        assert_eq!(
            union_scopes("files:read offline_access".to_owned(), &wanted),
            "files:read offline_access files:write"
        );
        assert_eq!(union_scopes(String::new(), &wanted), "files:read files:write");
        assert_eq!(scope_of(r#"Bearer error="insufficient_scope""#), None);
    }

    #[test]
    fn lists_metadata_urls() {
        let url = |text: &str| Url::parse(text).unwrap();
        let texts = |urls: Vec<Url>| urls.into_iter().map(String::from).collect::<Vec<_>>();
        assert_eq!(
            texts(resource_places(&url("https://a.example/public/mcp?x=1"))),
            [
                "https://a.example/.well-known/oauth-protected-resource/public/mcp",
                "https://a.example/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(
            texts(resource_places(&url("https://a.example"))),
            ["https://a.example/.well-known/oauth-protected-resource"]
        );
        assert_eq!(
            texts(server_places(&url("https://b.example/one/"))),
            [
                "https://b.example/.well-known/oauth-authorization-server/one",
                "https://b.example/.well-known/openid-configuration/one",
                "https://b.example/one/.well-known/openid-configuration"
            ]
        );
    }

    #[test]
    fn resource_matches_the_url_or_a_parent() {
        let url = Url::parse("https://a.example/public/mcp").unwrap();
        for right in ["https://a.example/public/mcp", "https://a.example", "https://a.example/public/"] {
            assert!(covers(right, &url), "{right}");
        }
        for wrong in ["https://b.example/public/mcp", "http://a.example", "https://a.example/pub", "public/mcp", ""] {
            assert!(!covers(wrong, &url), "{wrong}");
        }
    }
}
