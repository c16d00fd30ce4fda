//! HMAC signatures with a shared secret, compared in constant time.

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

    /// Returns the signature of a message in hexadecimal digits.
    pub fn sign(self, secret: &str, message: &[u8]) -> String {
        hex::encode(hmac::sign(&self.key(secret.as_bytes()), message))
    }

    /// True if the hexadecimal digits, in any case, are the signature.
    pub fn is_signed(self, secret: &str, message: &[u8], signature: &str) -> bool {
        // An empty secret counts as not configured, so no signature is valid.
        !secret.is_empty()
            && hex::decode(signature)
                .is_ok_and(|signature| hmac::verify(&self.key(secret.as_bytes()), message, &signature).is_ok())
    }
}

/// Joins fields as `name=value` with `&`, in the given order and without encoding.
pub(crate) fn joined(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}
