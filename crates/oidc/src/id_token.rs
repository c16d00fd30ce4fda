//! Reading an ID token: who it is about, once everything about it was right.

use std::time::Duration;

use appcore::{
    Timestamp,
    auth::{Email, token},
    config::OauthKind,
};
use chrono::{DateTime, Utc};
use openidconnect::{
    AdditionalClaims, ClaimsVerificationError, ClientId, EndUserEmail, EndUserFamilyName, EndUserGivenName,
    EndUserName, IdToken, IdTokenClaims, IdTokenVerifier, IssuerUrl, LocalizedClaim, Nonce, SignatureVerificationError,
    core::{
        CoreGenderClaim, CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    },
};
use serde::{Deserialize, Serialize};

use crate::{OidcError, quirks};

/// Those of providers have one or two kilobytes.
const MAX_BYTES: usize = 16 * 1024;
const MAX_SUBJECT_BYTES: usize = 255;
/// How far the provider's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);
/// How old a token may be that comes straight from the provider.
const MAX_AGE: Duration = Duration::from_secs(600);
const ALGORITHMS: [CoreJwsSigningAlgorithm; 2] =
    [CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, CoreJwsSigningAlgorithm::EcdsaP256Sha256];

/// Who somebody is at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub issuer: String,
    /// Never given to anybody else by this issuer.
    pub subject: String,
    pub email: Option<String>,
    /// Whether the provider says that the address is theirs, and is one to be believed in that.
    pub email_verified: bool,
    pub name: Option<String>,
    /// By what the token is known again, to open the door once: what is signed, because a signature can be written in several ways.
    pub token_hash: Vec<u8>,
    /// From then on it is refused for its age.
    pub usable_until: Timestamp,
}

/// What a token must fit.
pub(crate) struct Expectation<'a> {
    pub kind: OauthKind,
    /// As the provider's document says; Microsoft's is a template.
    pub issuer: &'a str,
    pub client_id: &'a str,
    /// What the token must hold; none: it must hold none.
    pub nonce: Option<&'a str>,
    pub trusts_email: bool,
    pub now: Timestamp,
}

/// Claims beyond the standard's.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Extra {
    /// Microsoft: the tenant.
    tid: Option<String>,
}

impl AdditionalClaims for Extra {}

type Token = IdToken<Extra, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Claims = IdTokenClaims<Extra, CoreGenderClaim>;

/// Why a token was refused; newer keys may help.
pub(crate) enum TokenError {
    UnknownKey,
    Final(OidcError),
}

pub(crate) fn read(text: &str, keys: &CoreJsonWebKeySet, expected: &Expectation<'_>) -> Result<Identity, TokenError> {
    if text.len() > MAX_BYTES {
        return Err(invalid("the token is too long"));
    }
    let token: Token = text.parse().map_err(invalid)?;
    let claims = verified(&token, keys, expected)?;
    let tenant = claims.additional_claims().tid.as_deref();
    let issuer = quirks::token_issuer(expected.kind, expected.issuer, tenant).map_err(TokenError::Final)?;
    if claims.issuer().as_str() != issuer {
        return Err(invalid("the token is another issuer's"));
    }
    // OpenID Connect Core 3.1.3.7: of several it must say which one it was made for.
    let made_for = claims.authorized_party().map(|client| client.as_str());
    if claims.audiences().len() > 1 && made_for != Some(expected.client_id) {
        return Err(invalid("the token was made for somebody else"));
    }
    let subject = claims.subject().as_str();
    // OpenID Connect Core 2: at most 255 characters of ASCII. PostgreSQL stores no NUL.
    if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES || subject.chars().any(char::is_control) {
        return Err(invalid("the token's subject is empty, too long or holds control characters"));
    }
    let address = Address::of(claims.email(), claims.email_verified(), expected.trusts_email);
    let signed = text.rsplit_once('.').map_or(text, |(signed, _)| signed);
    Ok(Identity {
        issuer,
        subject: subject.to_owned(),
        email_verified: address.is_verified,
        email: address.email,
        name: name_of(claims.name(), claims.given_name(), claims.family_name()),
        token_hash: token::fingerprint(signed),
        usable_until: Timestamp(claims.issue_time().timestamp_millis()).plus(MAX_AGE).plus(LEEWAY),
    })
}

fn verified<'a>(
    token: &'a Token,
    keys: &CoreJsonWebKeySet,
    expected: &Expectation<'_>,
) -> Result<&'a Claims, TokenError> {
    let at = |moment: Timestamp| DateTime::<Utc>::from_timestamp_millis(moment.millis()).unwrap_or_default();
    let (earliest, latest) = (at(expected.now.minus(MAX_AGE)), at(expected.now.plus(LEEWAY)));
    let with_leeway = at(expected.now.minus(LEEWAY));
    let issuer = IssuerUrl::new(expected.issuer.to_owned()).map_err(invalid)?;
    let verifier = IdTokenVerifier::<CoreJsonWebKey>::new_public_client(
        ClientId::new(expected.client_id.to_owned()),
        issuer,
        keys.clone(),
    )
    .set_allowed_algs(ALGORITHMS)
    // Compared by the caller of this, because Microsoft's is a template.
    .require_issuer_match(false)
    .set_other_audience_verifier_fn(|_| true)
    .set_time_fn(move || with_leeway)
    .set_issue_time_verifier_fn(move |issued: DateTime<Utc>| match issued {
        issued if issued < earliest => Err("the token is too old".to_owned()),
        issued if issued > latest => Err("the token is from the future".to_owned()),
        _ => Ok(()),
    });
    let nonce = expected.nonce.map(|nonce| Nonce::new(nonce.to_owned()));
    let same = |said: Option<&Nonce>| match (&nonce, said) {
        (None, None) => Ok(()),
        (Some(nonce), Some(said)) if is_same(said.secret(), nonce.secret()) => Ok(()),
        // A token with a nonce was asked for by somebody in particular: without it anyone may have found the token.
        (None, Some(_)) => Err("the token's nonce was not given".to_owned()),
        (Some(_), _) => Err("the nonce is another one".to_owned()),
    };
    token.claims(&verifier, same).map_err(|error| match error {
        ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
            TokenError::UnknownKey
        }
        error => invalid(error),
    })
}

fn is_same(one: &str, other: &str) -> bool {
    token::fingerprint(one) == token::fingerprint(other)
}

/// Somebody's address, as far as it is to be believed.
pub(crate) struct Address {
    pub email: Option<String>,
    pub is_verified: bool,
}

impl Address {
    pub(crate) fn of(email: Option<&EndUserEmail>, is_verified: Option<bool>, is_trusted: bool) -> Self {
        let email = email.and_then(|email| Email::parse(email.as_str()).ok());
        let is_verified = email.is_some() && is_trusted && is_verified == Some(true);
        Self { email: email.map(|email| email.as_str().to_owned()), is_verified }
    }
}

/// The whole name, or what it is made of.
pub(crate) fn name_of(
    whole: Option<&LocalizedClaim<EndUserName>>,
    given: Option<&LocalizedClaim<EndUserGivenName>>,
    family: Option<&LocalizedClaim<EndUserFamilyName>>,
) -> Option<String> {
    fn text<T: std::ops::Deref<Target = String>>(claim: Option<&LocalizedClaim<T>>) -> Option<String> {
        claim.and_then(|claim| claim.get(None)).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
    }
    let parts = || {
        let parts = [text(given), text(family)].into_iter().flatten();
        Some(parts.collect::<Vec<_>>().join(" ")).filter(|name| !name.is_empty())
    };
    text(whole).or_else(parts)
}

fn invalid(reason: impl ToString) -> TokenError {
    TokenError::Final(OidcError::invalid(reason))
}
