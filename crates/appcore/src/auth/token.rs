//! Access tokens, which are signed JWTs, and opaque tokens, which are random and stored as a hash.
//!
//! Access tokens follow RFC 9068 and are signed with RS256. A [`Keyring`] has one signing key and
//! any number of verification keys. The token's `kid` selects the key that verifies it; no other
//! header field influences the verification.

use std::collections::HashMap;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    jwk::{AlgorithmParameters, Jwk, PublicKeyUse, ThumbprintHash},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{SessionId, Timestamp, UserId, view::UserRole};

/// Maximum size of a token that is decoded, in bytes. Our tokens have about 700 bytes.
const MAX_TOKEN_BYTES: usize = 4096;
const TOKEN_TYPE: &str = "at+jwt";
/// Tolerated difference between the clocks of two instances, in seconds.
const LEEWAY_SECONDS: i64 = 5;
/// Value of `aud` in access tokens.
const AUDIENCE: &str = "natter";

/// Claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: UserId,
    pub sid: SessionId,
    pub jti: Uuid,
    pub role: UserRole,
    pub iat: i64,
    pub exp: i64,
}

impl Claims {
    /// Returns these claims, or the error `Expired`.
    pub fn unless_expired(self, now: Timestamp) -> Result<Self, AccessTokenError> {
        if Self::is_unexpired(self.exp, now) { Ok(self) } else { Err(AccessTokenError::Expired) }
    }

    /// True if a token that expires at `exp`, in seconds since the Unix epoch, is still valid. A
    /// few seconds after the expiry are tolerated.
    #[must_use]
    pub fn is_unexpired(exp: i64, now: Timestamp) -> bool {
        exp.saturating_add(LEEWAY_SECONDS) >= now.seconds()
    }
}

/// Reason for which an access token was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is of another kind")]
    WrongType,
    #[error("the token's key is not known")]
    UnknownKey,
    #[error("the token's signature, issuer or audience is wrong")]
    Forged,
    #[error("the token has expired")]
    Expired,
}

/// RSA signing key.
pub struct SigningKey {
    kid: String,
    pkcs8: Vec<u8>,
    encoding: EncodingKey,
    public: Jwk,
}

impl SigningKey {
    /// Generates a key of 2048 bits. Takes up to a second of CPU time.
    pub fn generate() -> anyhow::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow::anyhow!("failed to generate an RSA key"))?;
        let der: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| anyhow::anyhow!("failed to encode an RSA key"))?;
        Self::from_pkcs8(der.as_ref())
    }

    /// Reads a key in its stored form.
    pub fn from_pkcs8(der: &[u8]) -> anyhow::Result<Self> {
        // The library reads PKCS#8 only in PEM form.
        Self::from_pem(&pkcs8_to_pem(der)).map(|key| Self { pkcs8: der.to_vec(), ..key })
    }

    /// Reads a key file (PKCS#8 or PKCS#1). Keys of less than 2048 bits are refused.
    pub fn from_pem(pem: &str) -> anyhow::Result<Self> {
        let encoding = EncodingKey::from_rsa_pem(pem.as_bytes())
            .map_err(|error| anyhow::anyhow!("this is not an RSA private key in PEM: {error}"))?;
        let pair = KeyPair::from_der(encoding.as_bytes())
            .map_err(|error| anyhow::anyhow!("this RSA key can't be used: {error}"))?;
        if pair.public_modulus_len() < 256 {
            anyhow::bail!("this RSA key has less than 2048 bits");
        }
        let mut public = Jwk::from_encoding_key(&encoding, Algorithm::RS256)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { kid, pkcs8: Vec::new(), encoding, public })
    }

    /// Id of the key. It is the thumbprint of RFC 7638, so every instance computes the same id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Stored form of the key (PKCS#8); empty for a key that was read from a file.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Converts PKCS#8 from its binary form to PEM.
#[must_use]
pub fn pkcs8_to_pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = String::with_capacity(text.len() + text.len() / 64);
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n")
}

/// Key that signs access tokens, and all keys that verify them.
pub struct Keyring {
    issuer: String,
    header: Header,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    validation: Validation,
    published: Vec<Jwk>,
}

impl Keyring {
    /// Creates a keyring that signs with `signing` and verifies with `signing` and `others`.
    pub fn new(issuer: impl Into<String>, signing: SigningKey, others: Vec<SigningKey>) -> anyhow::Result<Self> {
        let issuer = issuer.into();
        let mut header = Header::new(Algorithm::RS256);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(signing.kid.clone());
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library doesn't check the expiry, because `verify` checks it with the caller's clock.
        validation.validate_exp = false;
        let mut verifying = HashMap::new();
        let mut published = Vec::new();
        for key in std::iter::once(&signing).chain(&others) {
            if verifying.insert(key.kid.clone(), DecodingKey::from_jwk(&key.public)?).is_none() {
                published.push(key.public.clone());
            }
        }
        Ok(Self { issuer, header, signing: signing.encoding, verifying, validation, published })
    }

    /// Signs an access token for a session.
    pub fn sign(
        &self,
        user_id: UserId,
        session_id: SessionId,
        role: UserRole,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> anyhow::Result<String> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: user_id,
            sid: session_id,
            jti: Uuid::new_v4(),
            role,
            iat: now.seconds(),
            exp: expires_at.seconds(),
        };
        Ok(jsonwebtoken::encode(&self.header, &claims, &self.signing)?)
    }

    /// Verifies signature, issuer, audience and expiry of a token, and returns its claims.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, AccessTokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AccessTokenError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| AccessTokenError::Malformed)?;
        // Tokens of other types must not be accepted as access tokens (RFC 9068, section 4).
        if header.typ.as_deref() != Some(TOKEN_TYPE) || header.alg != Algorithm::RS256 || header.crit.is_some() {
            return Err(AccessTokenError::WrongType);
        }
        let key = header.kid.as_ref().and_then(|kid| self.verifying.get(kid)).ok_or(AccessTokenError::UnknownKey)?;
        let claims =
            jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|_| AccessTokenError::Forged)?.claims;
        claims.unless_expired(now)
    }

    /// Public keys as a JWK set, for `/.well-known/jwks.json`.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<serde_json::Value> = self
            .published
            .iter()
            .filter_map(|key| match &key.algorithm {
                AlgorithmParameters::RSA(rsa) => Some(serde_json::json!({
                    "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.common.key_id, "n": rsa.n, "e": rsa.e,
                })),
                _ => None,
            })
            .collect();
        serde_json::json!({ "keys": keys })
    }
}

/// Generates 256 random bits as text, for refresh tokens and tickets.
pub fn random_token() -> anyhow::Result<String> {
    random_bytes::<32>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

/// Generates cryptographically secure random bytes.
pub fn random_bytes<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("failed to read random bytes"))?;
    Ok(bytes)
}

/// Hash of an opaque token, which is stored instead of the token. SHA-256 is sufficient because the
/// token has 256 random bits.
#[must_use]
pub fn hash_token(text: &str) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    /// Key that all tests share, because generating one is slow.
    static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| SigningKey::generate().unwrap().pkcs8().to_vec());

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&KEY).unwrap()
    }

    fn ring(issuer: &str) -> Keyring {
        Keyring::new(issuer, key(), Vec::new()).unwrap()
    }

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const LATER: Timestamp = Timestamp(1_800_000_100_000);

    fn token(ring: &Keyring) -> String {
        ring.sign(UserId::new(), SessionId::new(), UserRole::User, NOW, LATER).unwrap()
    }

    fn with_header(change: impl FnOnce(&mut Header)) -> String {
        signed(change, |_| ())
    }

    fn with_claims(change: impl FnOnce(&mut serde_json::Value)) -> String {
        signed(|_| (), change)
    }

    fn signed(header: impl FnOnce(&mut Header), claims: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut said = serde_json::json!({
            "iss": "natter", "aud": "natter", "sub": UserId::new(), "sid": SessionId::new(), "jti": Uuid::new_v4(), "role": "user",
            "iat": NOW.seconds(), "exp": LATER.seconds(),
        });
        claims(&mut said);
        let mut head = Header::new(Algorithm::RS256);
        head.typ = Some(TOKEN_TYPE.to_owned());
        head.kid = Some(key().kid);
        header(&mut head);
        jsonwebtoken::encode(&head, &said, &key().encoding).unwrap()
    }

    #[test]
    fn verifies_the_signed_claims_until_expiry() {
        let ring = ring("natter");
        let (user_id, session_id) = (UserId::new(), SessionId::new());
        let token = ring.sign(user_id, session_id, UserRole::Admin, NOW, LATER).unwrap();
        let claims = ring.verify(&token, NOW).unwrap();
        assert_eq!(
            (claims.sub, claims.sid, claims.role, claims.exp),
            (user_id, session_id, UserRole::Admin, LATER.seconds())
        );
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!((header.typ.as_deref(), header.kid.as_deref()), (Some("at+jwt"), Some(key().kid())));
        let within = LATER.plus(std::time::Duration::from_secs(5));
        assert!(ring.verify(&token, within).is_ok());
        assert_eq!(ring.verify(&token, within.plus(std::time::Duration::from_secs(1))), Err(AccessTokenError::Expired));
    }

    #[test]
    fn rejects_foreign_keys_issuers_and_purposes() {
        let ring = ring("natter");
        assert!(ring.verify(&with_header(|_| ()), NOW).is_ok());
        assert_eq!(
            ring.verify(&with_header(|header| header.typ = Some("JWT".to_owned())), NOW),
            Err(AccessTokenError::WrongType)
        );
        assert_eq!(ring.verify(&with_header(|header| header.typ = None), NOW), Err(AccessTokenError::WrongType));
        assert_eq!(
            ring.verify(&with_header(|header| header.alg = Algorithm::RS512), NOW),
            Err(AccessTokenError::WrongType)
        );
        assert_eq!(
            ring.verify(&with_header(|header| header.alg = Algorithm::PS256), NOW),
            Err(AccessTokenError::WrongType)
        );
        assert_eq!(
            ring.verify(&with_header(|header| header.crit = Some(vec!["exp".to_owned()])), NOW),
            Err(AccessTokenError::WrongType)
        );
        assert_eq!(ring.verify(&with_header(|header| header.kid = None), NOW), Err(AccessTokenError::UnknownKey));
        assert_eq!(
            ring.verify(&with_header(|header| header.kid = Some("x".to_owned())), NOW),
            Err(AccessTokenError::UnknownKey)
        );
        // A key in the header of the token is ignored.
        assert!(ring.verify(&with_header(|header| header.jwk = Some(key().public)), NOW).is_ok());
        assert_eq!(ring.verify(&token(&self::ring("https://other.example")), NOW), Err(AccessTokenError::Forged));
        assert_eq!(ring.verify(&with_claims(|said| said["aud"] = "mails".into()), NOW), Err(AccessTokenError::Forged));
        for claim in ["aud", "exp", "iss", "sub"] {
            let without = with_claims(|said| drop(said.as_object_mut().unwrap().remove(claim)));
            assert!(ring.verify(&without, NOW).is_err(), "{claim}");
        }

        let stranger = Keyring::new("natter", SigningKey::generate().unwrap(), Vec::new()).unwrap();
        assert_eq!(ring.verify(&token(&stranger), NOW), Err(AccessTokenError::UnknownKey));
        let mut forged = stranger;
        forged.header.kid = Some(key().kid);
        assert_eq!(ring.verify(&token(&forged), NOW), Err(AccessTokenError::Forged));
    }

    #[test]
    fn rejects_algorithm_confusion_and_garbage() {
        let ring = ring("natter");
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let good = token(&ring);
        let parts: Vec<&str> = good.split('.').collect();
        let none = part(serde_json::json!({"alg": "none", "typ": TOKEN_TYPE, "kid": key().kid}));
        let symmetric = part(serde_json::json!({"alg": "HS256", "typ": TOKEN_TYPE, "kid": key().kid}));
        let other_subject =
            part(serde_json::json!({"iss": "natter", "aud": "natter", "sub": UserId::new(), "sid": SessionId::new(),
            "jti": Uuid::new_v4(), "role": "admin", "iat": NOW.seconds(), "exp": LATER.seconds()}));
        // The token is signed with the public key as an HMAC secret.
        let hmac = {
            let mut header = Header::new(Algorithm::HS256);
            header.typ = Some(TOKEN_TYPE.to_owned());
            header.kid = Some(key().kid);
            let claims = ring.verify(&good, NOW).unwrap();
            let public = serde_json::to_vec(&ring.jwks()).unwrap();
            jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&public)).unwrap()
        };
        for bad in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            good[..good.len() - 2].to_owned(),
            format!("{good}."),
            format!("{none}.{}.", parts[1]),
            format!("{symmetric}.{}.{}", parts[1], parts[2]),
            format!("{}.{other_subject}.{}", parts[0], parts[2]),
            hmac,
            "x".repeat(100_000),
            "\u{0}".to_owned(),
        ] {
            assert!(ring.verify(&bad, NOW).is_err(), "{bad:.80}");
        }
    }

    #[test]
    fn older_keys_verify_and_only_public_parts_are_published() {
        let old = ring("natter");
        let signed_before = token(&old);
        let rotated = Keyring::new("natter", SigningKey::generate().unwrap(), vec![key()]).unwrap();
        assert!(rotated.verify(&signed_before, NOW).is_ok());
        let published = rotated.jwks();
        let keys = published["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[1]["kid"], key().kid());
        for published in keys {
            let mut fields: Vec<&str> = published.as_object().unwrap().keys().map(String::as_str).collect();
            fields.sort_unstable();
            assert_eq!(fields, ["alg", "e", "kid", "kty", "n", "use"]);
        }
    }

    #[test]
    fn opaque_tokens_are_long_and_unique() {
        let (one, other) = (random_token().unwrap(), random_token().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert_eq!(hash_token(&one).len(), 32);
        assert_ne!(hash_token(&one), hash_token(&other));
    }

    #[test]
    fn rejects_small_and_non_rsa_keys() {
        assert!(SigningKey::from_pem("not a key").is_err());
        assert!(SigningKey::from_pkcs8(b"nor this").is_err());
    }
}
