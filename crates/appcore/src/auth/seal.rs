//! Encryption of stored secrets: AES-256-GCM with a key that is derived from a configured secret
//! (HKDF-SHA256).

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};

/// Error of decryption: the secret, purpose or context is wrong, or the encrypted bytes were
/// modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to open sealed data with this secret")]
pub struct UnsealError;

/// Encrypts `plain`. Decrypting requires the same `purpose` (use of the value) and `context` (owner
/// of the value).
pub fn seal(secret: &[u8], purpose: &[u8], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, UnsealError> {
    let mut body = plain.to_vec();
    let nonce =
        key(secret, purpose)?.seal_in_place_append_tag(Aad::from(context), &mut body).map_err(|_| UnsealError)?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut body);
    Ok(sealed)
}

/// Decrypts the output of [`seal`].
pub fn unseal(secret: &[u8], purpose: &[u8], context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(UnsealError)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| UnsealError)?;
    let mut body = body.to_vec();
    let plain = key(secret, purpose)?.open_in_place(nonce, Aad::from(context), &mut body).map_err(|_| UnsealError)?;
    Ok(plain.to_vec())
}

fn key(secret: &[u8], purpose: &[u8]) -> Result<RandomizedNonceKey, UnsealError> {
    let mut bytes = [0; 32];
    let prk = Salt::new(HKDF_SHA256, b"natter").extract(secret);
    prk.expand(&[purpose], &AES_256_GCM).and_then(|okm| okm.fill(&mut bytes)).map_err(|_| UnsealError)?;
    RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| UnsealError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_secret_purpose_and_context() {
        let sealed = seal(b"secret", b"purpose", b"context", b"plain").unwrap();
        assert_ne!(sealed, seal(b"secret", b"purpose", b"context", b"plain").unwrap(), "each call uses a new nonce");
        assert!(!sealed.windows(5).any(|window| window == b"plain"));
        assert_eq!(unseal(b"secret", b"purpose", b"context", &sealed).unwrap(), b"plain");
        assert_eq!(unseal(b"secreT", b"purpose", b"context", &sealed), Err(UnsealError));
        assert_eq!(unseal(b"secret", b"purposE", b"context", &sealed), Err(UnsealError));
        assert_eq!(unseal(b"secret", b"purpose", b"contexT", &sealed), Err(UnsealError));
        let mut changed = sealed;
        changed[20] ^= 1;
        assert_eq!(unseal(b"secret", b"purpose", b"context", &changed), Err(UnsealError));
        assert_eq!(unseal(b"secret", b"purpose", b"context", b"short"), Err(UnsealError));
    }
}
