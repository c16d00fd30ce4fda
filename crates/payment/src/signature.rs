//! Signatures by a shared secret, compared in constant time.

use aws_lc_rs::hmac;

#[derive(Clone, Copy)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn key(self, secret: &[u8]) -> hmac::Key {
        let algorithm = match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::Key::new(algorithm, secret)
    }

    /// In hexadecimal digits.
    pub fn sign(self, secret: &str, message: &[u8]) -> String {
        hex::encode(hmac::sign(&self.key(secret.as_bytes()), message))
    }

    /// Whether hexadecimal digits, small or capital, are the signature.
    pub fn is_signed(self, secret: &str, message: &[u8], signature: &str) -> bool {
        // Whoever knows no secret has signed nothing.
        !secret.is_empty()
            && hex::decode(signature)
                .is_ok_and(|signature| hmac::verify(&self.key(secret.as_bytes()), message, &signature).is_ok())
    }
}

/// Fields as `name=value`, joined by `&` in the order given, not encoded.
pub(crate) fn joined(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}
