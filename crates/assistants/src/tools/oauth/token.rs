//! Token endpoint: exchange of codes and refresh tokens, and revocation.

use std::time::Duration;

use appcore::{AppError, Secret, Timestamp, auth::seal::StoredSecret};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dbcontext::query::mcp_connections::{ConnectionRow, NewTokens};
use outgoing::{FetchedResponse, OutgoingError, OutgoingRequest};
use reqwest::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::discovery::DOCUMENT;
use crate::{AssistantsService, tools::secrets};

/// Maximum accepted lifetime of a token.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// Maximum length of a quoted error code, in characters.
const MAX_QUOTED_CHARS: usize = 100;

/// Client of Natter at an authorization server.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OauthClient {
    pub id: String,
    pub secret: Option<String>,
    /// True if the secret is sent in the form instead of a header.
    pub is_in_form: bool,
}

/// Tokens of a connection, with what is needed to renew and revoke them. Never shown, and sent only
/// to their authorization server and resource.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ConnectionTokens {
    pub access: String,
    pub refresh: Option<String>,
    pub client: OauthClient,
    pub resource: String,
    pub token_endpoint: Url,
    pub revocation_endpoint: Option<Url>,
}

/// Client, resource and endpoint of a token request.
pub(super) struct TokenTarget<'a> {
    pub client: &'a OauthClient,
    pub resource: &'a str,
    pub endpoint: &'a Url,
}

/// Token response.
pub(super) struct TokenGrant {
    pub access: String,
    pub refresh: Option<String>,
    pub expires_at: Option<Timestamp>,
}

/// Reason why no tokens were obtained.
#[derive(Debug)]
pub(super) enum TokenRequestError {
    /// Refused with this error code; the user has to sign in again.
    Refused(String),
    /// Temporary failure.
    Unavailable(String),
}

impl std::fmt::Display for TokenRequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Refused(why) | Self::Unavailable(why)) = self;
        f.write_str(why)
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    /// Lifetime in seconds: a number, or a text at some servers.
    expires_in: Option<Value>,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Encrypts tokens for storage.
pub(super) fn encrypt_tokens(
    service: &AssistantsService,
    owner: &StoredSecret,
    tokens: &ConnectionTokens,
    expires_at: Option<Timestamp>,
) -> Result<NewTokens, AppError> {
    let (tokens, is_sealed) =
        secrets::encode_secret(owner, tokens, service.config.auth.key_encryption_secret.as_ref())?;
    Ok(NewTokens { tokens, is_sealed, expires_at })
}

/// Decrypts the tokens of a connection.
pub(super) fn decrypt_tokens(row: &ConnectionRow, key: Option<&Secret>) -> Result<ConnectionTokens, AppError> {
    secrets::decode_secret(
        &StoredSecret::ToolConnection(row.user_id, row.server_id),
        (row.tokens.as_slice(), row.is_sealed),
        key,
    )
}

/// Requests tokens for a code or a refresh token.
pub(super) async fn request_tokens(
    service: &AssistantsService,
    place: TokenTarget<'_>,
    fields: &[(&str, &str)],
) -> Result<TokenGrant, TokenRequestError> {
    let mut fields = fields.to_vec();
    fields.push(("resource", place.resource));
    let sent = post(service, place.client, place.endpoint, &fields).await;
    let answer = sent.map_err(|error| TokenRequestError::Unavailable(error.to_string()))?;
    parse_response(&answer, service.clock.now())
}

fn parse_response(answer: &FetchedResponse, now: Timestamp) -> Result<TokenGrant, TokenRequestError> {
    // Refusals are recognised by the body, because some servers send them with a wrong status.
    if let Ok(Refusal { error }) = serde_json::from_slice(&answer.body) {
        let error: String = error.chars().filter(|char| !char.is_control()).take(MAX_QUOTED_CHARS).collect();
        let is_passing = answer.status.is_server_error() || error == "temporarily_unavailable" || error == "slow_down";
        return Err(if is_passing { TokenRequestError::Unavailable(error) } else { TokenRequestError::Refused(error) });
    }
    if !answer.status.is_success() {
        return Err(TokenRequestError::Unavailable(format!("it answered {}", answer.status)));
    }
    let unreadable = || TokenRequestError::Unavailable("its answer can't be read".to_owned());
    let given: Answer = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    if !given.token_type.eq_ignore_ascii_case("bearer") || HeaderValue::from_str(&given.access_token).is_err() {
        return Err(unreadable());
    }
    let seconds = given.expires_in.as_ref().and_then(|told| match told {
        Value::String(text) => text.parse().ok(),
        told => told.as_u64(),
    });
    Ok(TokenGrant {
        access: given.access_token,
        refresh: given.refresh_token.filter(|token| !token.is_empty()),
        expires_at: seconds.map(|seconds| now.plus(Duration::from_secs(seconds).min(MAX_LIFETIME))),
    })
}

/// Revokes the tokens at the authorization server, best effort (RFC 7009).
pub(super) async fn revoke(service: &AssistantsService, tokens: &ConnectionTokens) {
    let Some(endpoint) = &tokens.revocation_endpoint else { return };
    let (token, hint) = match &tokens.refresh {
        Some(refresh) => (refresh, "refresh_token"),
        None => (&tokens.access, "access_token"),
    };
    let fields = [("token", token.as_str()), ("token_type_hint", hint)];
    match post(service, &tokens.client, endpoint, &fields).await {
        Ok(answer) if answer.status.is_success() => {}
        Ok(answer) => tracing::info!(status = answer.status.as_u16(), "failed to revoke tokens"),
        Err(error) => tracing::info!(%error, "failed to revoke tokens"),
    }
}

async fn post(
    service: &AssistantsService,
    client: &OauthClient,
    endpoint: &Url,
    fields: &[(&str, &str)],
) -> Result<FetchedResponse, OutgoingError> {
    service.outgoing.send(request(client, endpoint, fields), DOCUMENT).await
}

fn request(client: &OauthClient, endpoint: &Url, fields: &[(&str, &str)]) -> OutgoingRequest {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    let mut headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
    ]);
    match &client.secret {
        Some(secret) if !client.is_in_form => {
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let basic = STANDARD.encode(format!("{}:{}", encoded(&client.id), encoded(secret)));
            if let Ok(mut value) = HeaderValue::from_str(&format!("Basic {basic}")) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        secret => {
            form.append_pair("client_id", &client.id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret);
            }
        }
    }
    let body = Bytes::from(form.finish());
    OutgoingRequest { method: Method::POST, url: endpoint.clone(), headers, body }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn answer(status: u16, body: &'static str) -> FetchedResponse {
        FetchedResponse {
            url: Url::parse("https://a.example/token").unwrap(),
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn classifies_token_responses() {
        let given = r#"{"access_token":"a","token_type":"bearer","expires_in":60,"refresh_token":"r"}"#;
        let given = parse_response(&answer(200, given), Timestamp(0)).ok().unwrap();
        assert_eq!((given.access.as_str(), given.refresh.as_deref()), ("a", Some("r")));
        assert_eq!(given.expires_at, Some(Timestamp(60_000)));
        let text = r#"{"access_token":"a","token_type":"Bearer","expires_in":"60"}"#;
        assert_eq!(parse_response(&answer(200, text), Timestamp(0)).ok().unwrap().expires_at, Some(Timestamp(60_000)));
        for status in [200, 400, 401] {
            let refused = parse_response(&answer(status, r#"{"error":"invalid_grant"}"#), Timestamp(0)).err().unwrap();
            assert!(
                matches!(&refused, TokenRequestError::Refused(why) if why == "invalid_grant"),
                "{status}: {refused}"
            );
        }
        for (status, body) in [
            (500, r#"{"error":"server_error"}"#),
            (502, "<html>"),
            (200, "<html>"),
            (200, r#"{"access_token":"a","token_type":"mac"}"#),
            (200, "{\"access_token\":\"a\\n\",\"token_type\":\"bearer\"}"),
        ] {
            let nothing = parse_response(&answer(status, body), Timestamp(0)).err().unwrap();
            assert!(matches!(nothing, TokenRequestError::Unavailable(_)), "{status} {body}: {nothing}");
        }
    }
}
