//! Access tokens whose signature has been checked before.
//!
//! A token is shown with every request, and checking its signature is most of what letting a request in costs. What was
//! signed once stays signed: only its time and its session are looked at again.

use appcore::{
    SessionId, Timestamp, UserId,
    auth::token::{Claims, AccessTokenError, hash_token},
};
use moka::{policy::EvictionPolicy, sync::Cache};

use super::keys::SigningKeys;

const MAX_TOKENS: u64 = 40_000;

/// What a token proves.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifiedToken {
    pub(super) user_id: UserId,
    pub(super) session_id: SessionId,
    /// In seconds.
    pub(super) expires_at: i64,
}

pub(super) struct VerifiedTokenCache(Cache<Fingerprint, VerifiedToken>);

/// Half of a token's SHA-256: too long as well to find another text for.
type Fingerprint = [u8; 16];

impl VerifiedTokenCache {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_TOKENS).eviction_policy(EvictionPolicy::lru()).build())
    }

    pub(super) async fn check(&self, keys: &SigningKeys, token: &str, now: Timestamp) -> Result<VerifiedToken, AccessTokenError> {
        // The whole token is the key, its signature too: a changed one is another one.
        let key = hash_token(token).first_chunk().copied().unwrap_or_default();
        if let Some(proof) = self.0.get(&key) {
            return if Claims::is_unexpired(proof.expires_at, now) { Ok(proof) } else { Err(AccessTokenError::Expired) };
        }
        let claims = keys.verify(token, now).await?;
        let proof = VerifiedToken { user_id: claims.sub, session_id: claims.sid, expires_at: claims.exp };
        self.0.insert(key, proof);
        Ok(proof)
    }
}
