//! Signing keys of access tokens, shared by all instances through the database.
//!
//! After a rotation, the old key still verifies tokens until the last one that it signed has
//! expired. Instances poll for changed keys every few seconds, and reload at once when a token
//! names an unknown key, so no caller is rejected because an instance hasn't seen a new key yet.

use std::{
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use anyhow::Context;
use appcore::{
    AppError, Clock, Code, Secret, Timestamp,
    auth::{
        seal::StoredSecret,
        token::{AccessTokenError, Claims, Keyring, SigningKey},
    },
    config::Config,
};
use dbcontext::{Database, constraint::app_error, entity::signing_key, query::signing_keys};
use tokio::{sync::Mutex, time::Instant};

/// Issuer of tokens if no public URL is configured. It is the same for instances on different
/// ports.
const DEFAULT_ISSUER: &str = "natter";
/// Interval at which an instance polls for changed keys.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Minimum interval between reloads. It is needed because anybody can send tokens with unknown
/// keys.
const MIN_RELOAD_INTERVAL: Duration = Duration::from_millis(100);
/// Additional time for which an old key is kept, so that all instances have noticed the rotation.
const ROTATION_MARGIN: Duration = Duration::from_secs(60);

/// Signing keys known to this instance.
pub(super) struct SigningKeys {
    db: Database,
    config: Arc<Config>,
    clock: Clock,
    ring: RwLock<Arc<Keyring>>,
    /// Names of the loaded keys, and the time of the last reload.
    loaded: Mutex<(Vec<String>, Instant)>,
}

impl SigningKeys {
    /// Loads the keys, and creates one if there is none. If several instances start at once, the
    /// first to store its key wins.
    pub async fn load(db: &Database, config: &Arc<Config>, clock: &Clock) -> anyhow::Result<Arc<Self>> {
        let mut rows = signing_keys::all(db.writer()).await?;
        if rows.is_empty() && config.auth.private_key_file.is_none() {
            store_new(db.writer(), config, clock.now()).await?;
            // The stored key is ours or that of an instance that started at the same time.
            rows = signing_keys::all(db.writer()).await?;
        }
        let ring = ring(db, config, clock.now(), &rows).await?;
        let keys = Arc::new(Self {
            db: db.clone(),
            config: Arc::clone(config),
            clock: clock.clone(),
            ring: RwLock::new(Arc::new(ring)),
            loaded: Mutex::new((names(&rows), Instant::now())),
        });
        tokio::spawn(poll(Arc::downgrade(&keys)));
        Ok(keys)
    }

    pub fn ring(&self) -> Arc<Keyring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Verifies a token. If its key is unknown, the keys are reloaded first, because the key may
    /// have just been created.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, AccessTokenError> {
        match self.ring().verify(token, now) {
            Err(AccessTokenError::UnknownKey) => {
                self.reload_if_changed().await;
                self.ring().verify(token, now)
            }
            verified => verified,
        }
    }

    /// Reloads the stored keys if they have changed. Concurrent callers share one reload.
    async fn reload_if_changed(&self) {
        let asked = Instant::now();
        let mut looked = self.loaded.lock().await;
        if looked.1 > asked {
            return;
        }
        tokio::time::sleep_until(looked.1 + MIN_RELOAD_INTERVAL).await;
        looked.1 = Instant::now();
        let read = async {
            let rows = signing_keys::all(self.db.reader()).await?;
            let names = names(&rows);
            let now = self.clock.now();
            anyhow::Ok((names != looked.0).then_some((ring(&self.db, &self.config, now, &rows).await?, names)))
        };
        match read.await {
            Ok(Some((ring, names))) => {
                tracing::info!(kid = names.first(), "signing key changed");
                *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
                looked.0 = names;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(error = format!("{error:#}"), "failed to reload signing keys"),
        }
    }
}

async fn poll(keys: Weak<SigningKeys>) {
    let mut tick = tokio::time::interval(POLL_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(keys) = keys.upgrade() else { return };
        keys.reload_if_changed().await;
    }
}

/// Replaces the signing key, and removes keys whose tokens have all expired. Returns the new key's
/// id.
pub async fn rotate(db: &Database, config: &Config, clock: &Clock) -> Result<String, AppError> {
    if let Some(file) = &config.auth.private_key_file {
        return Err(AppError::internal(anyhow::anyhow!(
            "Access tokens are signed with the key of auth.private_key_file. Replace the key in {} and restart.",
            file.display()
        )));
    }
    let now = clock.now();
    let tx = db.begin().await.map_err(app_error)?;
    signing_keys::retire(&tx, now).await?;
    signing_keys::remove_retired_before(&tx, now.minus(config.auth.access_ttl).minus(ROTATION_MARGIN)).await?;
    let (kid, is_ours) = store_new(&tx, config, now).await.map_err(AppError::internal)?;
    if !is_ours {
        return Err(AppError::refused(Code::Conflict, "The keys are already being rotated. Try again in a moment."));
    }
    tx.commit().await.map_err(app_error)?;
    Ok(kid)
}

async fn store_new<C: sea_orm::ConnectionTrait>(
    db: &C,
    config: &Config,
    now: Timestamp,
) -> anyhow::Result<(String, bool)> {
    let key = tokio::task::spawn_blocking(SigningKey::generate).await??;
    let secret = config.auth.key_encryption_secret.as_ref();
    let sealed = secret.map(|secret| encrypt(secret, key.kid(), key.pkcs8())).transpose()?;
    let is_sealed = sealed.is_some();
    let bytes = sealed.unwrap_or_else(|| key.pkcs8().to_vec());
    let is_ours = signing_keys::insert(db, key.kid(), bytes, is_sealed, now).await?;
    Ok((key.kid().to_owned(), is_ours))
}

fn names(rows: &[signing_key::Model]) -> Vec<String> {
    rows.iter().map(|row| row.kid.clone()).collect()
}

/// Builds the keyring that signs and verifies tokens.
pub(super) async fn ring(
    db: &Database,
    config: &Config,
    now: Timestamp,
    rows: &[signing_key::Model],
) -> anyhow::Result<Keyring> {
    let issuer = config.server.public_url.as_ref().map_or(DEFAULT_ISSUER.to_owned(), |_| config.server.public_url());
    let good_since = now.minus(config.auth.access_ttl).minus(ROTATION_MARGIN);
    let mut stored = Vec::new();
    for row in rows.iter().filter(|row| row.retired_at.is_none_or(|at| at > good_since)) {
        stored.push(read(db, config.auth.key_encryption_secret.as_ref(), row).await?);
    }
    if let Some(file) = &config.auth.private_key_file {
        let pem = std::fs::read_to_string(file)
            .with_context(|| format!("failed to read auth.private_key_file: {}", file.display()))?;
        let key = SigningKey::from_pem(&pem)
            .with_context(|| format!("failed to parse auth.private_key_file: {}", file.display()))?;
        // The configured key signs. Tokens signed with the keys in the database stay valid until
        // they expire.
        return Keyring::new(issuer, key, stored);
    }
    anyhow::ensure!(!stored.is_empty(), "the database has no signing key");
    let signing = stored.remove(0);
    Keyring::new(issuer, signing, stored)
}

/// Decrypts a stored key. If it is stored in plaintext and a secret is configured, it is encrypted.
async fn read(db: &Database, secret: Option<&Secret>, row: &signing_key::Model) -> anyhow::Result<SigningKey> {
    let bytes = decrypt(row, secret)?;
    if let Some(secret) = secret.filter(|_| !row.is_sealed) {
        signing_keys::seal(db.writer(), &row.kid, encrypt(secret, &row.kid, &bytes)?).await?;
    }
    SigningKey::from_pkcs8(&bytes).with_context(|| format!("the signing key {} is damaged", row.kid))
}
fn decrypt(row: &signing_key::Model, secret: Option<&Secret>) -> anyhow::Result<Vec<u8>> {
    if !row.is_sealed {
        return Ok(row.private_key.clone());
    }
    let secret = secret
        .context("the signing keys in the database are encrypted: the setting auth.key_encryption_secret is missing")?;
    StoredSecret::SigningKey(row.kid.clone()).unseal(secret, &row.private_key)
        .context(
            "wrong key for the signing keys in the database. Put back the encryption-key of this database, or the former value of \
             auth.key_encryption_secret",
        )
}

fn encrypt(secret: &Secret, kid: &str, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok(StoredSecret::SigningKey(kid.to_owned()).seal(secret, bytes)?)
}
