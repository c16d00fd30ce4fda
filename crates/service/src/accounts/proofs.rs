//! Access tokens whose signature has been checked before.
//!
//! A token is shown with every request, and checking its signature is most of what letting a request in costs. What was
//! signed once stays signed: only its time and its session are looked at again.

use appcore::{
    Timestamp,
    auth::token::{Claims, Keyring, Rejection, fingerprint},
};
use moka::future::Cache;

const MAX_TOKENS: u64 = 20_000;

pub(super) struct Proofs(Cache<Vec<u8>, Claims>);

impl Proofs {
    pub(super) fn new() -> Self {
        Self(Cache::new(MAX_TOKENS))
    }

    pub(super) async fn check(&self, keyring: &Keyring, token: &str, now: Timestamp) -> Result<Claims, Rejection> {
        // The whole token is the key, its signature too: a changed one is another one.
        let key = fingerprint(token);
        if let Some(claims) = self.0.get(&key).await {
            return claims.in_time(now);
        }
        let claims = keyring.verify(token, now)?;
        self.0.insert(key, claims.clone()).await;
        Ok(claims)
    }
}
