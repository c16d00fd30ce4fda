//! Keeping something where others may read it: AES-256-GCM with a key that is derived from a secret.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};

/// The secret is another, or the sealed bytes were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was sealed can't be opened with this secret")]
pub struct Unopened;

/// Seals `plain`. What it is for (`purpose`) and what it belongs to (`context`) must be the same when it is opened.
pub fn seal(secret: &[u8], purpose: &[u8], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Unopened> {
    let mut body = plain.to_vec();
    let nonce = key(secret, purpose)?.seal_in_place_append_tag(Aad::from(context), &mut body).map_err(|_| Unopened)?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut body);
    Ok(sealed)
}

/// Opens what [`seal`] made.
pub fn open(secret: &[u8], purpose: &[u8], context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(Unopened)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopened)?;
    let mut body = body.to_vec();
    let plain = key(secret, purpose)?.open_in_place(nonce, Aad::from(context), &mut body).map_err(|_| Unopened)?;
    Ok(plain.to_vec())
}

fn key(secret: &[u8], purpose: &[u8]) -> Result<RandomizedNonceKey, Unopened> {
    let mut bytes = [0; 32];
    let prk = Salt::new(HKDF_SHA256, b"natter").extract(secret);
    prk.expand(&[purpose], &AES_256_GCM).and_then(|okm| okm.fill(&mut bytes)).map_err(|_| Unopened)?;
    RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| Unopened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_with_the_same_secret_purpose_and_context_only() {
        let sealed = seal(b"secret", b"purpose", b"context", b"plain").unwrap();
        assert_ne!(sealed, seal(b"secret", b"purpose", b"context", b"plain").unwrap(), "each has its own nonce");
        assert!(!sealed.windows(5).any(|window| window == b"plain"));
        assert_eq!(open(b"secret", b"purpose", b"context", &sealed).unwrap(), b"plain");
        assert_eq!(open(b"secreT", b"purpose", b"context", &sealed), Err(Unopened));
        assert_eq!(open(b"secret", b"purposE", b"context", &sealed), Err(Unopened));
        assert_eq!(open(b"secret", b"purpose", b"contexT", &sealed), Err(Unopened));
        let mut changed = sealed;
        changed[20] ^= 1;
        assert_eq!(open(b"secret", b"purpose", b"context", &changed), Err(Unopened));
        assert_eq!(open(b"secret", b"purpose", b"context", b"short"), Err(Unopened));
    }
}
