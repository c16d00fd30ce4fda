//! What a provider gives for a code.

use std::time::Duration;

use openidconnect::{
    AccessToken, Client, EmptyAdditionalClaims, EndpointNotSet, OAuth2TokenResponse, RefreshToken, Scope,
    StandardErrorResponse, TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreIdToken, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken, CoreRevocationErrorResponse,
        CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};

static BEARER: CoreTokenType = CoreTokenType::Bearer;

/// The library's own type reads the ID token with all its claims at once, and fails where one of those has not the standard's form.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Tokens {
    pub access_token: AccessToken,
    /// As it came: [`crate::id_token`] reads it.
    pub id_token: Option<String>,
}

/// The library's client that takes [`Tokens`].
pub(crate) type TokenClient = Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
>;

impl OAuth2TokenResponse for Tokens {
    type TokenType = CoreTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &CoreTokenType {
        &BEARER
    }

    fn expires_in(&self) -> Option<Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

impl TokenResponse<EmptyAdditionalClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>
    for Tokens
{
    /// Never read by the library.
    fn id_token(&self) -> Option<&CoreIdToken> {
        None
    }
}
