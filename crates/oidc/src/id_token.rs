//! Verification of ID tokens.

use std::time::Duration;

use appcore::{
    Timestamp,
    auth::{Email, token},
    config::OauthKind,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::{
    OidcError,
    claims::{self, PersonClaims, TokenClaims},
    keys::{KeySet, SignatureAlgorithm},
    quirks,
};

/// Maximum size of a token. Most have one or two kilobytes; some list every group of the user.
const MAX_BYTES: usize = 64 * 1024;
const MAX_SUBJECT_BYTES: usize = 255;
/// Maximum difference between the clocks of the provider and this server.
const LEEWAY: Duration = Duration::from_secs(60);
/// Maximum age of a token that comes directly from the provider.
const MAX_AGE: Duration = Duration::from_secs(600);

/// A user's identity at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub issuer: String,
    /// Id of the user at the issuer, which never reassigns it to another user.
    pub subject: String,
    pub email: Option<String>,
    /// True if the provider confirms the address and is trusted to do so.
    pub email_verified: bool,
    pub name: Option<String>,
    /// Names of the provider's claims, for the log.
    #[serde(skip)]
    pub claim_names: Vec<String>,
    /// Hash of the token's signed part, by which each token is accepted only once. The signature is not hashed, because
    /// it can be encoded in several ways.
    pub token_hash: Vec<u8>,
    /// Time after which the token is rejected as too old.
    pub usable_until: Timestamp,
}

/// Expected properties of a token.
pub(crate) struct Expectation<'a> {
    pub kind: OauthKind,
    /// Issuer in the discovery document; Microsoft's is a template.
    pub issuer: &'a str,
    pub client_id: &'a str,
    /// Expected nonce; if `None`, the token must not have one.
    pub nonce: Option<&'a str>,
    pub trusts_email: bool,
    /// Claim with the address.
    pub email_claim: &'a str,
    pub now: Timestamp,
}

/// JOSE header (RFC 7515).
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    cty: Option<String>,
    crit: Option<IgnoredAny>,
}

/// Reason for rejecting a token. If the key is unknown, the token may become valid after newer keys are fetched.
pub(crate) enum TokenError {
    UnknownKey,
    Final(OidcError),
}

pub(crate) fn verify_token(text: &str, keys: &KeySet, expected: &Expectation<'_>) -> Result<Identity, TokenError> {
    if text.len() > MAX_BYTES {
        return Err(invalid("the token is too long"));
    }
    let parts =
        text.rsplit_once('.').and_then(|(signed, signature)| Some((signed, signed.split_once('.')?, signature)));
    let (signed, (header, claims), signature) = parts.ok_or_else(|| invalid("the token does not have three parts"))?;
    let header: Header = serde_json::from_slice(&decoded(header)?).map_err(invalid)?;
    let algorithm = header.algorithm()?;
    let said = decoded(claims)?;
    let claims: TokenClaims = serde_json::from_slice(&said).map_err(invalid)?;
    // OpenID Connect Core 3.1.3.7: if there are several audiences, `azp` must be Natter's client id.
    let is_for_us = claims.audiences.iter().any(|audience| audience == expected.client_id);
    if !is_for_us || claims.audiences.len() > 1 && claims.authorized_party.as_deref() != Some(expected.client_id) {
        return Err(invalid("the token is for another audience"));
    }
    // The signature is decoded before the key is looked up, so that a malformed one doesn't trigger a fetch of newer
    // keys.
    decoded(signature)?;
    verify(header.kid.as_deref(), algorithm, signed, signature, keys)?;
    check_time(&claims, expected.now)?;
    check_nonce(claims.nonce.as_deref(), expected.nonce)?;
    let issuer = quirks::token_issuer(expected.kind, expected.issuer, claims.tenant.as_deref());
    let issuer = issuer.map_err(TokenError::Final)?;
    if claims.issuer != issuer {
        return Err(invalid("the token is from another issuer"));
    }
    let person = PersonClaims::parse(&said, expected.email_claim).map_err(invalid)?;
    let subject = &person.subject;
    // OpenID Connect Core 2 allows at most 255 ASCII characters. Control characters are rejected because PostgreSQL
    // can't store NUL.
    if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES || subject.chars().any(char::is_control) {
        return Err(invalid("the token's subject is empty, too long or holds control characters"));
    }
    let address = TrustedEmail::of(&person, expected.trusts_email);
    Ok(Identity {
        issuer,
        email_verified: address.is_verified,
        email: address.email,
        name: person.name(),
        claim_names: claims::names(&said),
        subject: person.subject,
        token_hash: token::hash_token(signed),
        usable_until: claims.issued_at.plus(MAX_AGE).plus(LEEWAY),
    })
}

impl Header {
    /// Returns the signature algorithm, if it is accepted and the header has no unsupported parameters.
    fn algorithm(&self) -> Result<SignatureAlgorithm, TokenError> {
        let kind = self.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
        if !matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "jose") {
            return Err(invalid("the token is of another kind"));
        }
        if self.cty.is_some() || self.crit.is_some() {
            return Err(invalid("the token is wrapped, or has critical extensions"));
        }
        SignatureAlgorithm::parse(&self.alg)
            .ok_or_else(|| invalid("the token is not signed, or in another way than RS256 and ES256"))
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(invalid)
}

/// Verifies the signature with the key named by the token, or with any suitable key if it names none.
fn verify(
    key_id: Option<&str>,
    algorithm: SignatureAlgorithm,
    signed: &str,
    signature: &str,
    keys: &KeySet,
) -> Result<(), TokenError> {
    let candidates = keys.candidates(key_id, algorithm);
    if candidates.is_empty() {
        return Err(TokenError::UnknownKey);
    }
    if candidates.iter().any(|key| key.verifies(algorithm, signed, signature)) {
        return Ok(());
    }
    if candidates.iter().all(|key| key.is_too_short()) {
        return Err(invalid("the token's key is an RSA key of fewer than 2048 bits"));
    }
    Err(invalid("invalid signature"))
}

fn check_time(claims: &TokenClaims, now: Timestamp) -> Result<(), TokenError> {
    match claims.issued_at {
        _ if claims.expires_at <= now.minus(LEEWAY) => Err(invalid("the token has expired")),
        issued if issued < now.minus(MAX_AGE) => Err(invalid("the token is too old")),
        issued if issued > now.plus(LEEWAY) => Err(invalid("the token is from the future")),
        _ => Ok(()),
    }
}

fn check_nonce(said: Option<&str>, expected: Option<&str>) -> Result<(), TokenError> {
    match (expected, said) {
        (None, None) => Ok(()),
        (Some(nonce), Some(said)) if is_same(said, nonce) => Ok(()),
        // A nonce binds the token to one request; without checking it, a stolen token would be accepted.
        (None, Some(_)) => Err(invalid("unexpected nonce")),
        (Some(_), _) => Err(invalid("nonce mismatch")),
    }
}

fn is_same(one: &str, other: &str) -> bool {
    token::hash_token(one) == token::hash_token(other)
}

/// Address of a user, and whether it is trusted.
pub(crate) struct TrustedEmail {
    pub email: Option<String>,
    pub is_verified: bool,
}

impl TrustedEmail {
    pub(crate) fn of(person: &PersonClaims, is_trusted: bool) -> Self {
        let email = person.email.as_deref().and_then(|email| Email::parse(email).ok());
        let is_verified = email.is_some() && is_trusted && person.email_verified;
        Self { email: email.map(|email| email.as_str().to_owned()), is_verified }
    }
}

fn invalid(reason: impl ToString) -> TokenError {
    TokenError::Final(OidcError::invalid(reason))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use jsonwebtoken::{Algorithm, EncodingKey};
    use serde_json::{Value, json};

    use super::*;

    const CLIENT: &str = "natter";
    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    /// Key pair of a provider, with the published JWK.
    struct Key {
        signing: EncodingKey,
        public: Value,
    }

    impl Key {
        fn new(id: &str) -> Self {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let point: &[u8] = pair.public_key().as_ref();
            let [x, y] = [&point[1..33], &point[33..]].map(|half| BASE64_URL_SAFE_NO_PAD.encode(half));
            Self {
                signing: EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()),
                public: json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": x, "y": y }),
            }
        }

        fn sign(&self, id: Option<&str>, claims: &Value) -> String {
            let mut header = jsonwebtoken::Header::new(Algorithm::ES256);
            header.kid = id.map(str::to_owned);
            jsonwebtoken::encode(&header, claims, &self.signing).unwrap()
        }
    }

    fn published(keys: &[&Key]) -> KeySet {
        let keys: Vec<&Value> = keys.iter().map(|key| &key.public).collect();
        serde_json::from_value(json!({ "keys": keys })).unwrap()
    }

    /// Verifies a token of this issuer with the default claims changed by `changed`.
    fn read_from(issuer: &str, changed: &Value) -> Result<Identity, String> {
        let key = Key::new("1");
        let seconds = NOW.seconds();
        let mut claims = json!({ "iss": issuer, "aud": CLIENT, "iat": seconds, "exp": seconds + 36_000, "nonce": "n" });
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let token = key.sign(Some("1"), &claims);
        outcome(verify_token(&token, &published(&[&key]), &expected(issuer)))
    }

    fn expected(issuer: &str) -> Expectation<'_> {
        let (client_id, nonce, email_claim) = (CLIENT, Some("n"), claims::EMAIL);
        Expectation { kind: OauthKind::Oidc, issuer, client_id, nonce, trusts_email: true, email_claim, now: NOW }
    }

    fn outcome(read: Result<Identity, TokenError>) -> Result<Identity, String> {
        read.map_err(|refusal| match refusal {
            TokenError::UnknownKey => "unknown key".to_owned(),
            TokenError::Final(error) => error.to_string(),
        })
    }

    #[test]
    fn accepts_tokens_of_auth0_keycloak_and_authentik() {
        let auth0 = json!({
            "nickname": "ada", "name": "Ada Lovelace", "picture": "https://s.gravatar.com/avatar/1.png?s=480&r=pg",
            "updated_at": "2026-11-20T08:15:30.123Z", "email": "ada@example.com", "email_verified": true,
            "sub": "auth0|65a1b2c3d4e5f60718293a4b", "sid": "kR3-x_9", "https://chat.example/roles": ["admin", "staff"],
            "locale": null,
        });
        let keycloak = json!({
            "auth_time": 1_789_999_990, "jti": "d0a5c1c2-6a3e-4a55-8a8b-1d6f0d7d1c01", "typ": "ID", "azp": CLIENT,
            "sub": "f2a0a1d4-0c53-4a0e-9d0b-6d3b3e4a5f6c", "at_hash": "xQ0", "acr": "1", "sid": "9b1c", "address": {},
            "email_verified": true, "name": "Ada Lovelace", "preferred_username": "ada", "given_name": "Ada",
            "family_name": "Lovelace", "email": "ada@example.com", "updated_at": 1_789_000_000_123_i64,
            "realm_access": { "roles": ["offline_access"] }, "locale": "not a language", "birthdate": 1815,
        });
        let groups: Vec<String> = (0..1_000).map(|at| format!("/departments/engineering/{at}")).collect();
        let authentik = json!({
            "sub": "6f1c0f1a9d3e4b", "acr": "goauthentik.io/providers/oauth2/default", "amr": ["pwd", 7], "auth_time": 1_789_999_990.5,
            "sid": "77", "email": "ada@example.com", "email_verified": "true", "name": "", "given_name": "Ada Lovelace",
            "preferred_username": "ada", "nickname": ["ada"], "groups": groups, "updated_at": { "seconds": 1 },
            "phone_number_verified": "no", "picture": 1, "gender": ["f"], "zoneinfo": false,
        });
        let issuers = [
            "https://natter.eu.auth0.com/",
            "https://id.example/realms/natter",
            "https://id.example/application/o/natter/",
        ];
        for (issuer, claims) in issuers.into_iter().zip([auth0, keycloak, authentik]) {
            let identity = read_from(issuer, &claims).unwrap();
            assert_eq!(identity.subject, claims["sub"], "{issuer}");
            assert_eq!((identity.name.as_deref(), identity.issuer.as_str()), (Some("Ada Lovelace"), issuer));
            assert_eq!(
                (identity.email.as_deref(), identity.email_verified),
                (Some("ada@example.com"), true),
                "{issuer}"
            );
        }
    }

    #[test]
    fn rejects_tokens_with_a_wrong_claim() {
        let seconds = NOW.seconds();
        for (wrong, why) in [
            (json!({ "aud": "another" }), "another audience"),
            (json!({ "aud": [] }), "another audience"),
            (json!({ "aud": [CLIENT, "another"] }), "another audience"),
            (json!({ "aud": [CLIENT, "another"], "azp": "another" }), "another audience"),
            (json!({ "iss": "https://evil.example" }), "another issuer"),
            (json!({ "nonce": "m" }), "nonce"),
            (json!({ "nonce": null }), "nonce"),
            (json!({ "exp": seconds - 61 }), "expired"),
            (json!({ "iat": seconds - 601 }), "too old"),
            (json!({ "iat": seconds + 61 }), "future"),
            (json!({ "sub": "" }), "subject"),
            (json!({ "sub": "a\u{0}" }), "subject"),
            (json!({ "sub": "a".repeat(256) }), "subject"),
            (json!({ "sub": null }), "invalid type"),
            (json!({ "groups": "x".repeat(MAX_BYTES) }), "too long"),
        ] {
            let mut claims = json!({ "sub": "1" });
            claims.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            let refusal = read_from("https://id.example", &claims).unwrap_err();
            assert!(refusal.contains(why), "{refusal}");
        }
        assert!(read_from("https://id.example", &json!({ "sub": "1", "aud": [CLIENT, "b"], "azp": CLIENT })).is_ok());
        assert!(
            read_from("https://id.example", &json!({ "sub": "1", "exp": seconds - 59, "iat": seconds - 500 })).is_ok()
        );
    }

    #[test]
    fn accepts_only_published_keys() {
        let [one, other, stranger] = ["1", "2", "1"].map(Key::new);
        let issuer = "https://id.example";
        let seconds = NOW.seconds();
        let claims =
            json!({ "iss": issuer, "aud": CLIENT, "sub": "1", "iat": seconds, "exp": seconds + 60, "nonce": "n" });
        let keys = published(&[&one, &other]);
        let read = |token: &str| outcome(verify_token(token, &keys, &expected(issuer)));
        for (key, id) in [(&one, Some("1")), (&other, Some("2")), (&one, None), (&other, None)] {
            assert!(read(&key.sign(id, &claims)).is_ok(), "{id:?}");
        }
        assert_eq!(read(&one.sign(Some("3"), &claims)).unwrap_err(), "unknown key");
        for (key, id) in [(&one, Some("2")), (&stranger, Some("1")), (&stranger, None)] {
            assert_eq!(read(&key.sign(id, &claims)).unwrap_err(), "invalid signature", "{id:?}");
        }
        let token = one.sign(Some("1"), &claims);
        let (_, rest) = token.split_once('.').unwrap();
        for (header, why) in [
            (json!({ "alg": "none" }), "not signed"),
            (json!({ "alg": "None", "kid": "1" }), "not signed"),
            (json!({ "alg": "", "kid": "1" }), "not signed"),
            (json!({ "alg": "HS256", "kid": "1" }), "not signed"),
            (json!({ "alg": "es256", "kid": "1" }), "not signed"),
            (json!({ "alg": "ES384", "kid": "1" }), "not signed"),
            (json!({ "alg": "PS256", "kid": "1" }), "not signed"),
            (json!({ "kid": "1" }), "missing field"),
            (json!({ "alg": ["ES256"], "kid": "1" }), "invalid type"),
            (json!({ "alg": "ES256", "kid": "1", "typ": "at+jwt" }), "another kind"),
            (json!({ "alg": "ES256", "kid": "1", "cty": "JWT" }), "wrapped"),
            (json!({ "alg": "ES256", "kid": "1", "crit": ["exp"] }), "wrapped"),
            (json!({ "alg": "ES256", "kid": "1", "typ": "application/JWT" }), "invalid signature"),
            (json!({ "alg": "RS256", "kid": "1" }), "unknown key"),
        ] {
            let token = format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()));
            let refusal = read(&token).unwrap_err();
            assert!(refusal.contains(why), "{header}: {refusal}");
        }
        // A malformed signature is rejected before the key look-up, so that no newer keys are fetched for it.
        let unknown = one.sign(Some("3"), &claims);
        let (signed, _) = unknown.rsplit_once('.').unwrap();
        assert_ne!(read(&format!("{signed}.not base64")).unwrap_err(), "unknown key");
        let (signed, _) = token.rsplit_once('.').unwrap();
        for wrong in ["", "AA", &BASE64_URL_SAFE_NO_PAD.encode([0; 64]), &BASE64_URL_SAFE_NO_PAD.encode([1; 65])] {
            assert_eq!(read(&format!("{signed}.{wrong}")).unwrap_err(), "invalid signature", "{wrong}");
        }
        for nothing in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d"] {
            assert!(read(nothing).is_err(), "{nothing}");
        }
    }
    #[test]
    fn error_names_a_short_key() {
        let short = "A".repeat(170) + "Q";
        let key = json!({ "kty": "RSA", "kid": "1", "n": short, "e": "AQAB" });
        let keys: KeySet = serde_json::from_value(json!({ "keys": [key] })).unwrap();
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({ "iss": "https://id.example", "aud": CLIENT, "iat": 1, "exp": 2 });
        let token = format!("{}.{}.AAAA", part(json!({ "alg": "RS256", "kid": "1" })), part(claims));
        let refusal = outcome(verify_token(&token, &keys, &expected("https://id.example"))).unwrap_err();
        assert!(refusal.contains("2048 bits"), "{refusal}");
    }
}
