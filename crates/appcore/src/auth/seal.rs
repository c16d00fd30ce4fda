//! Encryption of stored secrets: AES-256-GCM with a key that is derived from a configured secret
//! (HKDF-SHA256).

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};

use crate::{
    ids::{McpServerId, UserId},
    secret::Secret,
};

/// Kind of secret that is stored encrypted with `auth.key_encryption_secret`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// Keys that sign access tokens.
    SigningKey,
    /// Secrets of authenticator apps.
    Totp,
    /// VAPID key of the installation.
    PushKey,
    /// API keys of AI providers that were added in the console.
    ProviderKeys,
    /// Headers and environment variables of tool servers.
    ToolServer,
    /// OAuth client secrets at the authorization servers of tool servers.
    ToolClient,
    /// OAuth tokens of users for tool servers.
    ToolConnection,
}

/// Secret that is stored encrypted with `auth.key_encryption_secret`, identified by its owner.
/// Determines the purpose and the context of the encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredSecret {
    /// Key with this id.
    SigningKey(String),
    Totp(UserId),
    PushKey,
    /// Keys of the provider with this name.
    ProviderKeys(String),
    ToolServer(McpServerId),
    ToolClient(McpServerId),
    ToolConnection(UserId, McpServerId),
}

impl SecretKind {
    pub const ALL: [Self; 7] = [
        Self::SigningKey,
        Self::Totp,
        Self::PushKey,
        Self::ProviderKeys,
        Self::ToolServer,
        Self::ToolClient,
        Self::ToolConnection,
    ];

    const fn purpose(self) -> &'static [u8] {
        match self {
            Self::SigningKey => b"signing key",
            Self::Totp => b"totp",
            Self::PushKey => b"push key",
            Self::ProviderKeys => b"ai provider",
            Self::ToolServer | Self::ToolClient | Self::ToolConnection => b"mcp server",
        }
    }
}

impl StoredSecret {
    #[must_use]
    pub const fn kind(&self) -> SecretKind {
        match self {
            Self::SigningKey(_) => SecretKind::SigningKey,
            Self::Totp(_) => SecretKind::Totp,
            Self::PushKey => SecretKind::PushKey,
            Self::ProviderKeys(_) => SecretKind::ProviderKeys,
            Self::ToolServer(_) => SecretKind::ToolServer,
            Self::ToolClient(_) => SecretKind::ToolClient,
            Self::ToolConnection(..) => SecretKind::ToolConnection,
        }
    }

    /// Encrypts the secret for storage.
    pub fn seal(&self, key: &Secret, plain: &[u8]) -> Result<Vec<u8>, UnsealError> {
        seal(key.expose().as_bytes(), self.kind().purpose(), &self.context(), plain)
    }

    /// Decrypts the stored secret.
    pub fn unseal(&self, key: &Secret, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        unseal(key.expose().as_bytes(), self.kind().purpose(), &self.context(), sealed)
    }

    fn context(&self) -> Vec<u8> {
        match self {
            Self::SigningKey(id) => id.clone().into_bytes(),
            Self::Totp(user) => user.0.as_bytes().to_vec(),
            Self::PushKey => b"1".to_vec(),
            Self::ProviderKeys(name) => name.clone().into_bytes(),
            Self::ToolServer(server) => server.0.as_bytes().to_vec(),
            Self::ToolClient(server) => [b"client of ".as_slice(), server.0.as_bytes()].concat(),
            Self::ToolConnection(user, server) => [user.0.as_bytes().as_slice(), server.0.as_bytes()].concat(),
        }
    }
}

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

    #[test]
    fn binds_stored_secrets_to_their_owner() {
        let key = Secret::new("secret".to_owned());
        let (user, server) = (UserId::new(), McpServerId::new());
        let owners = [
            StoredSecret::SigningKey("a".to_owned()),
            StoredSecret::SigningKey("b".to_owned()),
            StoredSecret::Totp(user),
            StoredSecret::PushKey,
            StoredSecret::ProviderKeys("a".to_owned()),
            StoredSecret::ToolServer(server),
            StoredSecret::ToolClient(server),
            StoredSecret::ToolConnection(user, server),
        ];
        for owner in &owners {
            let sealed = owner.seal(&key, b"plain").unwrap();
            for other in &owners {
                assert_eq!(other.unseal(&key, &sealed).is_ok(), other == owner, "{owner:?} as {other:?}");
            }
        }
    }
}
