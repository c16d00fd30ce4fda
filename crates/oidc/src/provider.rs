//! A configured identity provider.

use appcore::{
    Secret, Timestamp,
    auth::token,
    config::{OauthKind, OauthProvider},
};
use jsonwebtoken::EncodingKey;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    Identity, OidcError,
    authorization::AuthorizationRequest,
    claims,
    discovery::{self, Discovery},
    document_cache::CachedDocument,
    http::Http,
    id_token::{self, Expectation, TokenError},
    keys::KeySet,
    quirks::{self, AppleKey},
    tokens::{ClientAuth, CodeExchange, Tokens},
    user_info,
};

pub struct Provider {
    name: String,
    kind: OauthKind,
    issuer: String,
    client_id: String,
    credential: Credential,
    scopes: Vec<String>,
    trusts_email: bool,
    email_claim: String,
    http: Http,
    discovery: CachedDocument<Discovery>,
    keys: CachedDocument<KeySet>,
}

/// Client credential.
enum Credential {
    /// Public client: PKCE alone protects the code.
    None,
    Secret(Secret),
    Apple(AppleKey),
}

/// Redirect of a browser to the provider.
pub struct AuthorizationRedirect {
    pub url: String,
    /// State that is kept until the callback.
    pub flow: FlowState,
}

/// State of a sign-in that is needed when the browser returns.
#[derive(Clone, Serialize, Deserialize)]
pub struct FlowState {
    /// Parameter `state`, which the browser returns; prevents forged callbacks.
    pub state: String,
    nonce: String,
    verifier: String,
    redirect_uri: String,
}

impl Provider {
    pub fn build(settings: &OauthProvider) -> Result<Self, OidcError> {
        let missing =
            |what: &str| OidcError::Settings(format!("the setting auth.oauth.{}.{what} is missing", settings.name));
        let issuer = settings.issuer.as_deref().or_else(|| quirks::default_issuer(settings.kind));
        let scopes = match &settings.scopes {
            Some(scopes) => scopes.iter().flat_map(|scope| scope.split_whitespace()).map(str::to_owned).collect(),
            None => quirks::default_scopes(settings.kind).iter().map(|scope| (*scope).to_owned()).collect(),
        };
        let email_claim = settings.email_claim.clone().unwrap_or_else(|| claims::EMAIL.to_owned());
        // The default is about the address that the provider verifies.
        let trusts_email = quirks::trusts_email(settings.kind) && email_claim == claims::EMAIL;
        Ok(Self {
            name: settings.name.clone(),
            kind: settings.kind,
            issuer: issuer.ok_or_else(|| missing("issuer"))?.to_owned(),
            client_id: settings.client_id.clone(),
            credential: credential(settings)?,
            scopes,
            trusts_email: settings.trust_email.unwrap_or(trusts_email),
            email_claim,
            http: Http::new()?,
            discovery: CachedDocument::new(),
            keys: CachedDocument::new(),
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Claim that holds the address.
    #[must_use]
    pub fn email_claim(&self) -> &str {
        &self.email_claim
    }

    #[must_use]
    pub const fn kind(&self) -> OauthKind {
        self.kind
    }

    /// True if the provider's page sends the browser back with a form POST.
    #[must_use]
    pub const fn answers_by_form(&self) -> bool {
        quirks::answers_by_form(self.kind)
    }

    /// Creates the authorization URL, with `redirect_uri` as callback.
    pub async fn start(&self, redirect_uri: &str) -> Result<AuthorizationRedirect, OidcError> {
        let discovery = self.discovery().await?;
        check_redirect_uri(redirect_uri)?;
        let (state, nonce, verifier) = (random_text()?, random_text()?, random_text()?);
        let request = AuthorizationRequest {
            client_id: &self.client_id,
            redirect_uri,
            scopes: &self.scopes,
            state: &state,
            nonce: &nonce,
            verifier: &verifier,
            answers_by_form: self.answers_by_form(),
        };
        let url = request.url(&discovery.authorization_endpoint);
        let trip = FlowState { state, nonce, verifier, redirect_uri: redirect_uri.to_owned() };
        Ok(AuthorizationRedirect { url: url.into(), flow: trip })
    }

    /// Exchanges the code of a callback for the user's identity. `issuer` is the callback's own parameter (RFC 9207).
    pub async fn finish(
        &self,
        trip: &FlowState,
        code: &str,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<Identity, OidcError> {
        let discovery = self.discovery().await?;
        let is_named = discovery.authorization_response_iss_parameter_supported;
        let is_other =
            |issuer| issuer != discovery.issuer && !quirks::has_tenant_placeholder(self.kind, &discovery.issuer);
        if issuer.is_some_and(is_other) || is_named && issuer.is_none() {
            return Err(OidcError::invalid("the callback is from another issuer"));
        }
        check_redirect_uri(&trip.redirect_uri)?;
        let exchange = CodeExchange {
            client_id: &self.client_id,
            code,
            verifier: &trip.verifier,
            redirect_uri: &trip.redirect_uri,
        };
        let auth = self.client_auth(&discovery, now)?;
        let request = exchange.request(&discovery.token_endpoint, &auth)?;
        let answer = self.http.send(request).await.map_err(|error| OidcError::Unavailable(error.to_string()))?;
        let tokens = Tokens::parse(&answer)?;
        let token = tokens.id_token.ok_or_else(|| OidcError::invalid("response without ID token"))?;
        let identity = self.verify(&token, Some(&trip.nonce), now).await?;
        let Some(place) = &discovery.userinfo_endpoint else { return Ok(identity) };
        if identity.email.is_some() && identity.name.is_some() {
            return Ok(identity);
        }
        let known = identity.clone();
        let email = (self.email_claim.as_str(), self.trusts_email);
        let filled = user_info::add_missing_claims(&self.http, place, &tokens.access_token, identity, email).await;
        // If only the name is missing, the sign-in doesn't fail.
        if known.email.is_some() { Ok(filled.unwrap_or(known)) } else { filled }
    }

    /// Verifies an ID token.
    pub async fn verify(&self, id_token: &str, nonce: Option<&str>, now: Timestamp) -> Result<Identity, OidcError> {
        // A malformed token is rejected before any request to the provider.
        if id_token.split('.').count() != 3 {
            return Err(OidcError::invalid("malformed ID token"));
        }
        let discovery = self.discovery().await?;
        let expected = Expectation {
            kind: self.kind,
            issuer: &discovery.issuer,
            client_id: &self.client_id,
            nonce,
            trusts_email: self.trusts_email,
            email_claim: &self.email_claim,
            now,
        };
        let fetch = async || discovery::fetch_keys(&self.http, &discovery.jwks_uri).await;
        let keys = self.keys.get(fetch).await?;
        let unknown = match id_token::verify_token(id_token, &keys, &expected) {
            Ok(identity) => return Ok(identity),
            Err(TokenError::Final(error)) => return Err(error),
            Err(TokenError::UnknownKey) => || OidcError::invalid("unknown signing key"),
        };
        let newer = self.keys.refresh(&keys, fetch).await.ok_or_else(unknown)?;
        id_token::verify_token(id_token, &newer, &expected).map_err(|refusal| match refusal {
            TokenError::UnknownKey => unknown(),
            TokenError::Final(error) => error,
        })
    }

    async fn discovery(&self) -> Result<std::sync::Arc<Discovery>, OidcError> {
        self.discovery.get(async || Discovery::fetch(&self.http, self.kind, &self.issuer).await).await
    }

    /// Client authentication for one token request.
    fn client_auth(&self, discovery: &Discovery, now: Timestamp) -> Result<ClientAuth, OidcError> {
        let secret = match &self.credential {
            Credential::None => return Ok(ClientAuth::None),
            Credential::Secret(secret) => secret.clone(),
            Credential::Apple(key) => key.secret(&self.client_id, now)?,
        };
        // Apple's discovery document says that the secret must be in the body; servers compatible with Apple's may not
        // say so.
        let is_in_body = discovery.wants_secret_in_body() || self.kind == OauthKind::Apple;
        Ok(if is_in_body { ClientAuth::Body(secret) } else { ClientAuth::Header(secret) })
    }
}

fn credential(settings: &OauthProvider) -> Result<Credential, OidcError> {
    if let Some(secret) = &settings.client_secret {
        return Ok(Credential::Secret(secret.clone()));
    }
    let (Some(team_id), Some(key_id), Some(file)) = (&settings.team_id, &settings.key_id, &settings.private_key_file)
    else {
        return Ok(Credential::None);
    };
    let wrong = |error: &dyn std::fmt::Display| {
        OidcError::Settings(format!(
            "the file of the setting auth.oauth.{}.private_key_file can't be used: {}: {error}",
            settings.name,
            file.display()
        ))
    };
    let pem = std::fs::read(file).map_err(|error| wrong(&error))?;
    let key = EncodingKey::from_ec_pem(&pem).map_err(|error| wrong(&error))?;
    Ok(Credential::Apple(AppleKey { team_id: team_id.clone(), key_id: key_id.clone(), key }))
}

fn check_redirect_uri(text: &str) -> Result<(), OidcError> {
    Url::parse(text).map(|_| ()).map_err(|error| OidcError::Settings(format!("server.public_url: {error}")))
}

/// Generates a text with 256 random bits, for `state`, `nonce` and the code verifier.
fn random_text() -> Result<String, OidcError> {
    token::random_token().map_err(|error| OidcError::Settings(error.to_string()))
}
