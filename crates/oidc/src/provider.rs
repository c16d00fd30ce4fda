//! One provider, as the settings name it.

use appcore::{
    Secret, Timestamp,
    config::{OauthKind, OauthProvider},
};
use jsonwebtoken::EncodingKey;
use openidconnect::{
    AuthType, AuthUrl, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenUrl,
    core::{CoreClient, CoreJsonWebKeySet, CoreResponseType},
};
use serde::{Deserialize, Serialize};

use crate::{
    Identity, OidcError,
    discovery::{self, Discovery},
    http::{Http, HttpError},
    id_token::{self, Expectation, TokenError},
    kept::Kept,
    quirks::{self, AppleKey},
    tokens::TokenClient,
    user_info,
};

/// Of state and nonce: 256 bits.
const RANDOM_BYTES: u32 = 32;

/// A provider that people can sign in by.
pub struct Provider {
    name: String,
    kind: OauthKind,
    issuer: String,
    client_id: String,
    credential: Credential,
    scopes: Vec<String>,
    trusts_email: bool,
    http: Http,
    discovery: Kept<Discovery>,
    keys: Kept<CoreJsonWebKeySet>,
}

/// What we show for being ourselves.
enum Credential {
    /// PKCE alone protects the code.
    None,
    Secret(Secret),
    Apple(AppleKey),
}

/// A browser on its way to the provider.
pub struct Departure {
    /// Where it is sent.
    pub url: String,
    /// What it will be known by when it comes back.
    pub trip: Return,
}

/// What must be known when a browser comes back.
#[derive(Clone, Serialize, Deserialize)]
pub struct Return {
    /// What the browser brings back, so that nobody can be made to come back who never left.
    pub state: String,
    nonce: String,
    verifier: String,
    redirect_uri: String,
}

impl Provider {
    pub fn build(settings: &OauthProvider) -> Result<Self, OidcError> {
        let missing =
            |what: &str| OidcError::Settings(format!("the setting auth.oauth.{}.{what} is missing", settings.name));
        let issuer = settings.issuer.as_deref().or_else(|| quirks::usual_issuer(settings.kind));
        let scopes = match &settings.scopes {
            Some(scopes) => scopes.iter().flat_map(|scope| scope.split_whitespace()).map(str::to_owned).collect(),
            None => quirks::usual_scopes(settings.kind).iter().map(|scope| (*scope).to_owned()).collect(),
        };
        Ok(Self {
            name: settings.name.clone(),
            kind: settings.kind,
            issuer: issuer.ok_or_else(|| missing("issuer"))?.to_owned(),
            client_id: settings.client_id.clone(),
            credential: credential(settings)?,
            scopes,
            trusts_email: settings.trust_email.unwrap_or(quirks::knows_addresses(settings.kind)),
            http: Http::new()?,
            discovery: Kept::new(),
            keys: Kept::new(),
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub const fn kind(&self) -> OauthKind {
        self.kind
    }

    /// Whether the browser comes back with a form that the provider's page sends.
    #[must_use]
    pub const fn answers_by_form(&self) -> bool {
        quirks::answers_by_form(self.kind)
    }

    /// Where a browser goes to sign in, to come back at `redirect_uri`.
    pub async fn begin(&self, redirect_uri: &str) -> Result<Departure, OidcError> {
        let discovery = self.discovery().await?;
        let client = CoreClient::new(self.client(), issuer_url(&discovery)?, CoreJsonWebKeySet::new(Vec::new()))
            .set_auth_uri(AuthUrl::from_url(discovery.authorization_endpoint.clone()))
            .set_redirect_uri(redirect_url(redirect_uri)?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                || CsrfToken::new_random_len(RANDOM_BYTES),
                || Nonce::new_random_len(RANDOM_BYTES),
            )
            .set_pkce_challenge(challenge);
        // The library adds `openid` itself.
        for scope in self.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        if self.answers_by_form() {
            request = request.add_extra_param("response_mode", "form_post");
        }
        let (url, state, nonce) = request.url();
        let trip = Return {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            redirect_uri: redirect_uri.to_owned(),
        };
        Ok(Departure { url: url.into(), trip })
    }

    /// Whom the code stands for that a browser came back with. `issuer` is the answer's own parameter (RFC 9207).
    pub async fn finish(
        &self,
        trip: &Return,
        code: &str,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<Identity, OidcError> {
        let discovery = self.discovery().await?;
        let is_named = discovery.authorization_response_iss_parameter_supported;
        let is_other = |issuer| issuer != discovery.issuer && !quirks::is_template(self.kind, &discovery.issuer);
        if issuer.is_some_and(is_other) || is_named && issuer.is_none() {
            return Err(OidcError::invalid("the answer is another issuer's"));
        }
        let mut client = TokenClient::new(self.client(), issuer_url(&discovery)?, CoreJsonWebKeySet::new(Vec::new()))
            .set_token_uri(TokenUrl::from_url(discovery.token_endpoint.clone()))
            .set_redirect_uri(redirect_url(&trip.redirect_uri)?);
        if let Some(secret) = self.secret(now)? {
            client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
            // Apple's document says so; other servers that play Apple may not.
            if discovery.wants_secret_in_body() || self.kind == OauthKind::Apple {
                client = client.set_auth_type(AuthType::RequestBody);
            }
        }
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(trip.verifier.clone()))
            .request_async(&self.http)
            .await
            .map_err(exchange_failed)?;
        let token = tokens.id_token.ok_or_else(|| OidcError::invalid("the provider gave no ID token"))?;
        let identity = self.verify(&token, Some(&trip.nonce), now).await?;
        let Some(place) = &discovery.userinfo_endpoint else { return Ok(identity) };
        if identity.email.is_some() && identity.name.is_some() {
            return Ok(identity);
        }
        let known = identity.clone();
        let filled = user_info::fill_in(&self.http, place, &tokens.access_token, identity, self.trusts_email).await;
        // Nobody is kept out for a name.
        if known.email.is_some() { Ok(filled.unwrap_or(known)) } else { filled }
    }

    /// Whom an ID token is about.
    pub async fn verify(&self, id_token: &str, nonce: Option<&str>, now: Timestamp) -> Result<Identity, OidcError> {
        // Nobody is asked for what can't be one.
        if id_token.split('.').count() != 3 {
            return Err(OidcError::invalid("this is no ID token"));
        }
        let discovery = self.discovery().await?;
        let expected = Expectation {
            kind: self.kind,
            issuer: &discovery.issuer,
            client_id: &self.client_id,
            nonce,
            trusts_email: self.trusts_email,
            now,
        };
        let fetch = async || discovery::fetch_keys(&self.http, &discovery.jwks_uri).await;
        let keys = self.keys.get(fetch).await?;
        let unknown = match id_token::read(id_token, &keys, &expected) {
            Ok(identity) => return Ok(identity),
            Err(TokenError::Final(error)) => return Err(error),
            Err(TokenError::UnknownKey) => || OidcError::invalid("the token's key is not known"),
        };
        let newer = self.keys.newer(&keys, fetch).await.ok_or_else(unknown)?;
        id_token::read(id_token, &newer, &expected).map_err(|refusal| match refusal {
            TokenError::UnknownKey => unknown(),
            TokenError::Final(error) => error,
        })
    }

    async fn discovery(&self) -> Result<std::sync::Arc<Discovery>, OidcError> {
        self.discovery.get(async || Discovery::fetch(&self.http, self.kind, &self.issuer).await).await
    }

    fn client(&self) -> ClientId {
        ClientId::new(self.client_id.clone())
    }

    fn secret(&self, now: Timestamp) -> Result<Option<Secret>, OidcError> {
        match &self.credential {
            Credential::None => Ok(None),
            Credential::Secret(secret) => Ok(Some(secret.clone())),
            Credential::Apple(key) => key.secret(&self.client_id, now).map(Some),
        }
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

/// Only a name for the library here: what a token must say is compared by ourselves, since Microsoft's is a template.
fn issuer_url(discovery: &Discovery) -> Result<IssuerUrl, OidcError> {
    IssuerUrl::new(discovery.issuer.clone()).map_err(OidcError::invalid)
}

fn redirect_url(text: &str) -> Result<RedirectUrl, OidcError> {
    RedirectUrl::new(text.to_owned()).map_err(|error| OidcError::Settings(format!("server.public_url: {error}")))
}

fn exchange_failed<T: openidconnect::ErrorResponse>(error: RequestTokenError<HttpError, T>) -> OidcError {
    match error {
        RequestTokenError::ServerResponse(refusal) => OidcError::Invalid(format!("the code was refused: {refusal:?}")),
        RequestTokenError::Request(error) => OidcError::Away(error.to_string()),
        RequestTokenError::Parse(error, _) => OidcError::Invalid(format!("the tokens can't be read: {error}")),
        RequestTokenError::Other(reason) => OidcError::Invalid(reason),
    }
}
