//! Tokens: access tokens, which are signed and tell who they are for, and opaque ones, which are random and kept as a hash.
//!
//! Access tokens are JWTs as RFC 9068 describes them, signed with RS256. A [`Keyring`] has one key that signs and any number
//! that verify, found by the token's `kid`; nothing else in a token's header has a say.

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

/// Ours have some 700 bytes; nothing larger is looked at.
const MAX_TOKEN_BYTES: usize = 4096;
const TYPE: &str = "at+jwt";
/// How far the clocks of two instances may be apart.
const LEEWAY_SECONDS: i64 = 5;
/// Who access tokens are for.
const AUDIENCE: &str = "natter";

/// What an access token says.
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

/// Why an access token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is of another kind")]
    OtherKind,
    #[error("the token's key is not known")]
    UnknownKey,
    #[error("the token's signature, issuer or audience is wrong")]
    Forged,
    #[error("the token has expired")]
    Expired,
}

/// An RSA key that signs.
pub struct SigningKey {
    kid: String,
    pkcs8: Vec<u8>,
    encoding: EncodingKey,
    public: Jwk,
}

impl SigningKey {
    /// A new key of 2048 bits. Takes a good part of a second.
    pub fn generate() -> anyhow::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow::anyhow!("making an RSA key failed"))?;
        let der: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| anyhow::anyhow!("an RSA key can't be written"))?;
        Self::from_pkcs8(der.as_ref())
    }

    /// Reads a key as it is stored.
    pub fn from_pkcs8(der: &[u8]) -> anyhow::Result<Self> {
        // The library takes PKCS#8 as PEM only.
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines_of(&STANDARD.encode(der)));
        Self::from_pem(&pem).map(|key| Self { pkcs8: der.to_vec(), ..key })
    }

    /// Reads a key file (PKCS#8 or PKCS#1). Keys under 2048 bits are refused.
    pub fn from_pem(pem: &str) -> anyhow::Result<Self> {
        let encoding = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|error| anyhow::anyhow!("this is not an RSA private key in PEM: {error}"))?;
        let pair = KeyPair::from_der(encoding.as_bytes()).map_err(|error| anyhow::anyhow!("this RSA key can't be used: {error}"))?;
        if pair.public_modulus_len() < 256 {
            anyhow::bail!("this RSA key has less than 2048 bits");
        }
        let mut public = Jwk::from_encoding_key(&encoding, Algorithm::RS256)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { kid, pkcs8: Vec::new(), encoding, public })
    }

    /// The key's name: its RFC 7638 thumbprint, the same wherever it is computed.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key as it is to be stored; empty for one that was read from a file.
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

fn lines_of(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 64);
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines
}

/// The key that signs, and all that verify.
pub struct Keyring {
    issuer: String,
    header: Header,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    validation: Validation,
    published: Vec<Jwk>,
}

impl Keyring {
    /// `signing` signs; it and `others` verify.
    pub fn new(issuer: impl Into<String>, signing: SigningKey, others: Vec<SigningKey>) -> anyhow::Result<Self> {
        let issuer = issuer.into();
        let mut header = Header::new(Algorithm::RS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(signing.kid.clone());
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The time comes from the caller's clock.
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

    /// Signs a token for a person on a device.
    pub fn sign(&self, user_id: UserId, session_id: SessionId, role: UserRole, now: Timestamp, expires_at: Timestamp) -> anyhow::Result<String> {
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

    /// Reads a token that one of our keys has signed and that has not run out.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Rejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Rejection::Malformed)?;
        // RFC 9068 4: a token that was made for something else does not open this door.
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::RS256 || header.crit.is_some() {
            return Err(Rejection::OtherKind);
        }
        let key = header.kid.as_ref().and_then(|kid| self.verifying.get(kid)).ok_or(Rejection::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|_| Rejection::Forged)?.claims;
        if claims.exp.saturating_add(LEEWAY_SECONDS) < now.seconds() {
            return Err(Rejection::Expired);
        }
        Ok(claims)
    }

    /// The public keys, as `/.well-known/jwks.json` shows them.
    #[must_use]
    pub fn published(&self) -> serde_json::Value {
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

/// 256 random bits as text: a refresh token or a ticket.
pub fn random_text() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of an opaque token: SHA-256 is enough for something that can't be guessed.
#[must_use]
pub fn fingerprint(text: &str) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref().to_vec()
}
