//! The keys that sign access tokens, shared by all instances through the database.

use anyhow::Context;
use appcore::{
    Clock, Secret,
    auth::{
        seal,
        token::{Keyring, SigningKey},
    },
    config::Config,
};
use dbcontext::{Database, entity::signing_key, query::signing_keys};

const PURPOSE: &[u8] = b"signing key";
/// The issuer of an installation that has not been told its address. Instances on different ports are still one issuer.
const USUAL_ISSUER: &str = "natter";

/// Reads the keys. The first instance of all makes one; of several first ones, the quickest.
pub(super) async fn load(db: &Database, config: &Config, clock: &Clock) -> anyhow::Result<Keyring> {
    let issuer = config.server.public_url.as_ref().map_or(USUAL_ISSUER.to_owned(), |_| config.server.public_url());
    let secret = config.auth.key_encryption_secret.as_ref();
    let mut stored = read(db, secret).await?;
    if let Some(file) = &config.auth.private_key_file {
        let pem = std::fs::read_to_string(file).with_context(|| {
            format!("the file of the setting auth.private_key_file can't be read: {}", file.display())
        })?;
        let key = SigningKey::from_pem(&pem).with_context(|| {
            format!("the file of the setting auth.private_key_file can't be used: {}", file.display())
        })?;
        // What the database's keys have signed stays good until it runs out.
        return Keyring::new(issuer, key, stored);
    }
    if stored.is_empty() {
        let key = tokio::task::spawn_blocking(SigningKey::generate).await??;
        let sealed = secret.map(|secret| sealed(secret, key.kid(), key.pkcs8())).transpose()?;
        let is_sealed = sealed.is_some();
        let bytes = sealed.unwrap_or_else(|| key.pkcs8().to_vec());
        signing_keys::insert(db.writer(), key.kid(), bytes, is_sealed, clock.now()).await?;
        // Ours, or that of an instance that started at the same time.
        stored = read(db, secret).await?;
    }
    anyhow::ensure!(!stored.is_empty(), "the database has no signing key");
    let signing = stored.remove(0);
    Keyring::new(issuer, signing, stored)
}

/// All stored keys, the one that signs first. What lies in clear is sealed where a secret is set.
async fn read(db: &Database, secret: Option<&Secret>) -> anyhow::Result<Vec<SigningKey>> {
    let mut keys = Vec::new();
    for row in signing_keys::all(db.writer()).await? {
        let bytes = opened(&row, secret)?;
        if let Some(secret) = secret.filter(|_| !row.is_sealed) {
            signing_keys::seal(db.writer(), &row.kid, sealed(secret, &row.kid, &bytes)?).await?;
        }
        let key = SigningKey::from_pkcs8(&bytes).with_context(|| format!("the signing key {} is damaged", row.kid))?;
        keys.push(key);
    }
    Ok(keys)
}

fn opened(row: &signing_key::Model, secret: Option<&Secret>) -> anyhow::Result<Vec<u8>> {
    if !row.is_sealed {
        return Ok(row.private_key.clone());
    }
    let secret = secret
        .context("the signing keys in the database are encrypted: the setting auth.key_encryption_secret is missing")?;
    seal::open(secret.expose().as_bytes(), PURPOSE, row.kid.as_bytes(), &row.private_key)
        .context("the setting auth.key_encryption_secret is not the one that the signing keys were encrypted with")
}

fn sealed(secret: &Secret, kid: &str, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok(seal::seal(secret.expose().as_bytes(), PURPOSE, kid.as_bytes(), bytes)?)
}
