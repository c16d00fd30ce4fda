//! Natter as OAuth client: entered by an administrator, or registered dynamically (RFC 7591), or
//! identified by the URL of its [metadata document](document) (OAuth Client ID Metadata Document).

use appcore::{AppError, McpServerId, Timestamp, auth::seal::StoredSecret};
use bytes::Bytes;
use dbcontext::query::mcp_connections::{self as rows, ClientRow};
use outgoing::OutgoingRequest;
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    discovery::{DOCUMENT, Metadata, NO_SECRET, SECRET_IN_FORM, SECRET_IN_HEADER, unusable_server_error},
    redirect_uri,
    token::OauthClient,
};
use crate::{AssistantsService, tools::secrets};

const MAX_ID: usize = 500;
const MAX_SECRET: usize = 2_000;
/// Path of the metadata document, without its file extension.
const PAGE: &str = "/.well-known/oauth-client";

/// Client entered by an administrator. `None` leaves a field unchanged; an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct ClientFields {
    pub id: Option<Option<String>>,
    pub secret: Option<Option<String>>,
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
    /// Expiry as a Unix time in seconds; 0 means never.
    #[serde(default)]
    client_secret_expires_at: i64,
}

/// Stores the client that an administrator has entered for a server.
pub(in crate::tools) async fn store_entered<C: ConnectionTrait>(
    service: &AssistantsService,
    db: &C,
    server: McpServerId,
    fields: ClientFields,
) -> Result<(), AppError> {
    let ClientFields { id, secret } = fields;
    let filled = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let before = rows::client(db, server).await?.filter(|row| row.issuer.is_none());
    let id = match id {
        Some(id) => filled(id),
        None if secret.is_none() => return Ok(()),
        None => before.as_ref().map(|row| row.client_id.clone()),
    };
    let Some(id) = id else {
        if secret.is_some_and(|secret| filled(secret).is_some()) {
            return Err(AppError::field("client_id", "missing", "A client secret belongs to a client ID."));
        }
        // A client that was registered dynamically stays; only one entered by an administrator is
        // removed.
        return if before.is_some() { rows::remove_client(db, server).await } else { Ok(()) };
    };
    if id.len() > MAX_ID || id.chars().any(char::is_control) {
        return Err(AppError::field("client_id", "invalid", "This client ID isn't valid."));
    }
    let (secret, is_sealed) = match (secret, before) {
        (None, Some(before)) if before.client_id == id => (before.secret, before.is_sealed),
        (None, _) => (None, false),
        (Some(secret), _) => match filled(secret) {
            Some(secret) if secret.len() > MAX_SECRET || secret.chars().any(char::is_control) => {
                return Err(AppError::field("client_secret", "invalid", "This client secret isn't valid."));
            }
            Some(secret) => {
                encode_client_secret(service, server, &secret).map(|(secret, is_sealed)| (Some(secret), is_sealed))?
            }
            None => (None, false),
        },
    };
    let row = ClientRow {
        server_id: server,
        issuer: None,
        redirect_uri: None,
        client_id: id,
        secret,
        is_sealed,
        expires_at: None,
    };
    rows::put_client(db, row).await
}

/// Returns Natter's client at the authorization server of a tool server, with its redirect URI.
/// Registers the client if there is none yet.
pub(super) async fn client(
    service: &AssistantsService,
    server: McpServerId,
    metadata: &Metadata,
) -> Result<(OauthClient, String), AppError> {
    let redirect_uri = redirect_uri(service, Some(server));
    let now = service.clock.now();
    let is_in_form = metadata.auth_methods().any(|method| method == SECRET_IN_FORM);
    if let Some(row) = rows::client(service.db.writer(), server).await? {
        let is_of_here = row.issuer.as_ref().is_none_or(|issuer| {
            *issuer == metadata.issuer
                && row.redirect_uri.as_ref() == Some(&redirect_uri)
                && row.expires_at.is_none_or(|at| at > now)
        });
        if is_of_here {
            let key = service.config.auth.key_encryption_secret.as_ref();
            let secret = row
                .secret
                .as_deref()
                .map(|kept| secrets::decode_secret(&StoredSecret::ToolClient(server), (kept, row.is_sealed), key));
            let by_hand = row.issuer.is_none();
            let redirect_uri = if by_hand { super::redirect_uri(service, None) } else { redirect_uri };
            return Ok((OauthClient { id: row.client_id, secret: secret.transpose()?, is_in_form }, redirect_uri));
        }
    }
    // Dynamic registration is tried before the metadata document. The protocol has the opposite
    // order, but an authorization server often can't fetch the document from an instance in a
    // private network.
    let Some(endpoint) = &metadata.registration_endpoint else {
        let address = address(service, Some(server));
        if metadata.client_id_metadata_document_supported && address.starts_with("https://") {
            return Ok((OauthClient { id: address, secret: None, is_in_form: true }, redirect_uri));
        }
        return Err(unusable_server_error(&format!(
            "Its authorization server doesn't register clients automatically. Register Natter there with the redirect address {}, and enter the client ID.",
            super::redirect_uri(service, None)
        )));
    };
    let given = register(service, endpoint, metadata, &redirect_uri).await?;
    let (secret, is_sealed) = match &given.client_secret {
        Some(secret) => {
            encode_client_secret(service, server, secret).map(|(secret, is_sealed)| (Some(secret), is_sealed))?
        }
        None => (None, false),
    };
    let ends = given.client_secret.is_some() && given.client_secret_expires_at > 0;
    let row = ClientRow {
        server_id: server,
        issuer: Some(metadata.issuer.clone()),
        redirect_uri: Some(redirect_uri.clone()),
        client_id: given.client_id.clone(),
        secret,
        is_sealed,
        expires_at: ends.then(|| Timestamp(given.client_secret_expires_at.saturating_mul(1_000))),
    };
    rows::put_client(service.db.writer(), row).await?;
    Ok((OauthClient { id: given.client_id, secret: given.client_secret, is_in_form }, redirect_uri))
}

async fn register(
    service: &AssistantsService,
    endpoint: &Url,
    metadata: &Metadata,
    redirect_uri: &str,
) -> Result<Registered, AppError> {
    let is_known = |method: &&str| metadata.auth_methods().any(|known| known == *method);
    // A public client is preferred, because it has no secret that could leak; PKCE protects the
    // code.
    let method = [NO_SECRET, SECRET_IN_FORM, SECRET_IN_HEADER].into_iter().find(is_known).unwrap_or(NO_SECRET);
    let natter = client_metadata(service, redirect_uri, method);
    let headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ]);
    let body = Bytes::from(natter.to_string());
    let request = OutgoingRequest { method: Method::POST, url: endpoint.clone(), headers, body };
    let refused =
        |why: String| unusable_server_error(&format!("Its authorization server rejected Natter as a client: {why}."));
    let answer = service.outgoing.send(request, DOCUMENT).await.map_err(|error| refused(error.to_string()))?;
    if !answer.status.is_success() {
        return Err(refused(format!("it answered {}", answer.status)));
    }
    let given: Registered =
        serde_json::from_slice(&answer.body).map_err(|_| refused("its answer can't be read".to_owned()))?;
    let is_too_long = given.client_secret.as_ref().is_some_and(|secret| secret.len() > MAX_SECRET);
    if given.client_id.is_empty() || given.client_id.len() > MAX_ID || is_too_long {
        return Err(refused("its answer can't be used".to_owned()));
    }
    Ok(given)
}

/// Returns Natter's Client ID Metadata Document for one server, with that server's redirect URI.
/// With `None`, it has the shared redirect URI that earlier sign-ins used.
#[must_use]
pub fn document(service: &AssistantsService, server: Option<McpServerId>) -> Value {
    let mut natter = client_metadata(service, &redirect_uri(service, server), NO_SECRET);
    natter["client_id"] = Value::from(address(service, server));
    natter
}

fn address(service: &AssistantsService, server: Option<McpServerId>) -> String {
    let public_url = service.config.server.public_url();
    server.map_or_else(|| format!("{public_url}{PAGE}.json"), |id| format!("{public_url}{PAGE}/{id}.json"))
}

fn client_metadata(service: &AssistantsService, redirect_uri: &str, method: &str) -> Value {
    json!({
        "client_name": "Natter",
        "client_uri": service.config.server.public_url(),
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    })
}

fn encode_client_secret(
    service: &AssistantsService,
    server: McpServerId,
    secret: &str,
) -> Result<(Vec<u8>, bool), AppError> {
    secrets::encode_secret(
        &StoredSecret::ToolClient(server),
        &secret,
        service.config.auth.key_encryption_secret.as_ref(),
    )
}
