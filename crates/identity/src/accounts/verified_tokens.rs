//! Cache of verified access tokens.
//!
//! A token is sent with every request, and verifying its signature is most of the cost of
//! authentication. A signature that was verified once stays valid. Only the expiry and the session
//! have to be checked for each request.

use appcore::{
    SessionId, Timestamp, UserId,
    auth::token::{AccessTokenError, Claims, hash_token},
};
use moka::{policy::EvictionPolicy, sync::Cache};

use super::keys::SigningKeys;

const MAX_TOKENS: u64 = 40_000;

/// Claims of a verified token.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifiedToken {
    pub(super) user_id: UserId,
    pub(super) session_id: SessionId,
    /// Expiry, as Unix time in seconds.
    pub(super) expires_at: i64,
}

pub(super) struct VerifiedTokenCache(Cache<Fingerprint, VerifiedToken>);

/// First half of a token's SHA-256, which is still long enough to prevent collisions.
type Fingerprint = [u8; 16];

impl VerifiedTokenCache {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_TOKENS).eviction_policy(EvictionPolicy::lru()).build())
    }

    pub(super) async fn check(
        &self,
        keys: &SigningKeys,
        token: &str,
        now: Timestamp,
    ) -> Result<VerifiedToken, AccessTokenError> {
        // The key covers the whole token including its signature, so a modified token never matches.
        let key = hash_token(token).first_chunk().copied().unwrap_or_default();
        if let Some(proof) = self.0.get(&key) {
            return if Claims::is_unexpired(proof.expires_at, now) {
                Ok(proof)
            } else {
                Err(AccessTokenError::Expired)
            };
        }
        let claims = keys.verify(token, now).await?;
        let proof = VerifiedToken { user_id: claims.sub, session_id: claims.sid, expires_at: claims.exp };
        self.0.insert(key, proof);
        Ok(proof)
    }
}
