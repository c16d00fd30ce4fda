//! Secret that encrypts values in the database: the setting `auth.key_encryption_secret`, or the
//! file `encryption-key` in `server.data_dir`. Checks that it opens the database, removes what it
//! can't open, and replaces it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use appcore::{
    Clock, Secret,
    auth::seal::{SecretKind, StoredSecret},
    config::{Config, key_file},
};
use dbcontext::{
    Database,
    query::stored_secrets::{self, SealedSecret},
};
use sea_orm::ConnectionTrait;
use serde::Serialize;

use crate::{alive, schema, tls};

/// Number of secrets that are read and re-encrypted at once.
const BATCH_SIZE: u64 = 500;
/// Number of connections to the database.
const CONNECTIONS: u32 = 2;

/// Stored secrets of a kind.
#[derive(Clone, Debug, Serialize)]
pub struct SecretCount {
    pub kind: &'static str,
    /// Name of the kind, for display.
    #[serde(skip)]
    pub title: &'static str,
    pub count: u64,
    /// Number of secrets that the key doesn't decrypt.
    pub unreadable: u64,
}

/// Result of decrypting all stored secrets.
#[derive(Clone, Debug, Serialize)]
pub struct KeyReport {
    /// Place of the key; `None` if there is none.
    pub key: Option<String>,
    pub secrets: Vec<SecretCount>,
}

/// Result of a rotation.
#[derive(Clone, Debug, Serialize)]
pub struct Rotation {
    /// Number of stored secrets that are encrypted with the new key.
    pub count: u64,
    /// File with the new value of `auth.key_encryption_secret`; `None` if the key file was replaced.
    pub new_secret_file: Option<PathBuf>,
}

impl KeyReport {
    pub fn is_ok(&self) -> bool {
        self.secrets.iter().all(|secrets| secrets.unreadable == 0)
    }

    /// Formats the report for the operator.
    pub fn text(&self) -> String {
        let mut text = match &self.key {
            Some(place) => format!("Key: {place}\n"),
            None => "Key: none\n".to_owned(),
        };
        for SecretCount { title, count, unreadable, .. } in &self.secrets {
            // Writing to a `String` can't fail.
            let _ = match unreadable {
                0 => writeln!(text, "{title}: {count}"),
                _ => writeln!(text, "{title}: {count}, of which {unreadable} can't be decrypted with this key"),
            };
        }
        text
    }
}

impl Rotation {
    /// Formats the result for the operator.
    pub fn text(&self) -> String {
        let done = format!("{} stored secrets are encrypted with a new key.", self.count);
        match &self.new_secret_file {
            None => format!("{done} It is in the key file: copy that to a safe place.\n"),
            Some(file) => format!(
                "{done} Set auth.key_encryption_secret to the content of {}, on all instances. Then run natter keys check, and delete the file.\n",
                file.display()
            ),
        }
    }
}

/// Name of a kind in JSON, and for display.
const fn names(kind: SecretKind) -> (&'static str, &'static str) {
    match kind {
        SecretKind::SigningKey => ("signing_keys", "signing keys of access tokens"),
        SecretKind::Totp => ("authenticator_apps", "authenticator apps of users, with their recovery codes"),
        SecretKind::PushKey => ("push_key", "push key, with the devices registered for push messages"),
        SecretKind::ProviderKeys => ("ai_providers", "AI providers with API keys"),
        SecretKind::ToolServer => ("tool_servers", "tool servers with headers or environment variables"),
        SecretKind::ToolClient => ("tool_clients", "OAuth clients at tool servers"),
        SecretKind::ToolConnection => ("tool_connections", "accounts of users at tool servers"),
    }
}

/// Verifies that the key of the configuration decrypts the database, by one stored secret of each
/// kind.
pub async fn verify(config: &Config, database: &Database) -> anyhow::Result<()> {
    let key = config.auth.key_encryption_secret.as_ref();
    let unreadable = unreadable_kinds(database.reader(), key).await?;
    if unreadable.is_empty() {
        return Ok(());
    }
    let advice = "or run natter keys reset to remove what it encrypts";
    if key.is_some() && rotation_file(config).exists() {
        bail!("A rotation of the encryption key is unfinished. Run natter keys rotate encryption again.");
    }
    match (key, config.is_embedded()) {
        (None, true) => bail!(
            "The database's key file is missing. Put {} back from your copy, {advice}.",
            config.key_file().display()
        ),
        (None, false) => bail!(
            "The database is encrypted, but auth.key_encryption_secret is not set. Set it to its former value, {advice}."
        ),
        (Some(_), _) => bail!(
            "The key does not open the database ({}). Put back {}, {advice}.",
            unreadable.join(", "),
            if is_file_key(config) {
                format!("the file {} of this database", config.key_file().display())
            } else {
                "the former value of auth.key_encryption_secret".to_owned()
            }
        ),
    }
}

/// Verifies the key, and creates the key file of a new installation on SQLite.
pub async fn prepare(config: Config, database: &Database) -> anyhow::Result<Config> {
    verify(&config, database).await?;
    config.with_new_key_file()
}

/// Returns the kinds of which the key doesn't decrypt a stored secret. Reads one secret of each
/// kind.
pub async fn unreadable_kinds<C: ConnectionTrait>(
    connection: &C,
    key: Option<&Secret>,
) -> anyhow::Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for kind in SecretKind::ALL {
        let sample = stored_secrets::list(connection, kind, None, 1).await?;
        if sample.iter().any(|secret| decrypt(key, secret).is_none()) {
            found.push(names(kind).1);
        }
    }
    Ok(found)
}

/// `natter keys check`: decrypts all stored secrets.
pub async fn check(config: &Config) -> anyhow::Result<KeyReport> {
    let (config, database) = open(config).await?;
    let mut secrets = Vec::new();
    for kind in SecretKind::ALL {
        secrets.push(count(&database, kind, config.auth.key_encryption_secret.as_ref()).await?);
    }
    database.close().await?;
    let key = match &config.auth.key_encryption_secret {
        None => None,
        Some(_) if is_file_key(&config) => Some(config.key_file().display().to_string()),
        Some(_) => Some("auth.key_encryption_secret".to_owned()),
    };
    Ok(KeyReport { key, secrets })
}

/// Returns what [`reset`] would remove. Empty if the key decrypts everything.
pub async fn plan(config: &Config) -> anyhow::Result<Vec<SecretCount>> {
    Ok(check(config).await?.secrets.into_iter().filter(|secrets| secrets.unreadable > 0).collect())
}

/// `natter keys reset`: removes the stored secrets that the key doesn't decrypt, and creates a key
/// file if there is none. Returns what was removed. Fails while a server runs.
pub async fn reset(config: &Config) -> anyhow::Result<Vec<SecretCount>> {
    let (config, database) = open(config).await?;
    let _lock = alive::require_none(&config, &database).await?;
    let unfinished = rotation_file(&config);
    ensure!(
        !unfinished.exists(),
        "A rotation of the encryption key is unfinished. Run natter keys rotate encryption again, or delete {} if that fails.",
        unfinished.display()
    );
    let key = config.auth.key_encryption_secret.clone();
    let now = Clock::system().now();
    let removing = database.begin().await?;
    let mut removed = Vec::new();
    for kind in SecretKind::ALL {
        let mut found = Vec::new();
        for_each(&database, kind, |secret| {
            if decrypt(key.as_ref(), &secret).is_none() {
                found.push(secret.owner);
            }
        })
        .await?;
        for owner in &found {
            stored_secrets::remove(&removing, owner, now).await?;
        }
        if !found.is_empty() {
            let count = found.len() as u64;
            let (kind, title) = names(kind);
            removed.push(SecretCount { kind, title, count, unreadable: count });
        }
    }
    removing.commit().await?;
    config.with_new_key_file()?;
    database.close().await?;
    Ok(removed)
}

/// `natter keys rotate encryption`: encrypts all stored secrets with a new key, then replaces the
/// key file. If it was interrupted, the next call continues. Fails while a server runs.
///
/// Until the end, the new key is in `encryption-key.new`. If the key is a setting, the file stays,
/// and the operator sets its content.
pub async fn rotate_encryption(config: &Config) -> anyhow::Result<Rotation> {
    let (config, database) = open(config).await?;
    let _lock = alive::require_none(&config, &database).await?;
    let old = config.auth.key_encryption_secret.clone().context(
        "There is no key to replace: auth.key_encryption_secret is not set. Set it, and the next start encrypts the stored secrets.",
    )?;
    let file = rotation_file(&config);
    key_file::create(&file)?;
    let new = key_file::read(&file)?.context("The file with the new key has vanished.")?;
    ensure!(
        new.expose() != old.expose(),
        "auth.key_encryption_secret is already the key in {}. Delete that file to rotate again.",
        file.display()
    );
    let damaged = unreadable_by(&database, &[&new, &old]).await?;
    if damaged > 0 {
        remove_unused(&database, &new, &file).await?;
        bail!("{damaged} stored secrets can't be decrypted with the current key. Run natter keys check.");
    }
    let mut count = 0;
    for kind in SecretKind::ALL {
        count += re_encrypt(&database, kind, &old, &new).await?;
    }
    database.close().await?;
    if !is_file_key(&config) {
        return Ok(Rotation { count, new_secret_file: Some(file) });
    }
    fs::rename(&file, config.key_file()).context("Failed to replace the key file")?;
    fs::File::open(&config.server.data_dir)?.sync_all()?;
    Ok(Rotation { count, new_secret_file: None })
}

/// Encrypts the secrets of a kind with the new key, in one transaction per batch. Returns their
/// number.
async fn re_encrypt(database: &Database, kind: SecretKind, old: &Secret, new: &Secret) -> anyhow::Result<u64> {
    let (mut count, mut after) = (0, None);
    loop {
        let batch = stored_secrets::list(database.reader(), kind, after.as_ref(), BATCH_SIZE).await?;
        let Some(last) = batch.last() else { return Ok(count) };
        after = Some(last.owner.clone());
        count += batch.len() as u64;
        let writing = database.begin().await?;
        for secret in &batch {
            if decrypt(Some(new), secret).is_some() {
                continue;
            }
            let plain = decrypt(Some(old), secret).context("A stored secret was changed meanwhile. Run this again.")?;
            stored_secrets::replace(&writing, secret, secret.owner.seal(new, &plain)?).await?;
        }
        writing.commit().await?;
    }
}

/// Removes the file with the new key if nothing is encrypted with it.
async fn remove_unused(database: &Database, new: &Secret, file: &Path) -> anyhow::Result<()> {
    let mut used = 0;
    for kind in SecretKind::ALL {
        for_each(database, kind, |secret| used += u64::from(decrypt(Some(new), &secret).is_some())).await?;
    }
    if used == 0 {
        fs::remove_file(file)?;
    }
    Ok(())
}

/// Number of stored secrets that none of the keys decrypts.
async fn unreadable_by(database: &Database, keys: &[&Secret]) -> anyhow::Result<u64> {
    let mut count = 0;
    for kind in SecretKind::ALL {
        for_each(database, kind, |secret| {
            count += u64::from(!keys.iter().any(|key| decrypt(Some(key), &secret).is_some()));
        })
        .await?;
    }
    Ok(count)
}

async fn count(database: &Database, kind: SecretKind, key: Option<&Secret>) -> anyhow::Result<SecretCount> {
    let (mut count, mut unreadable) = (0, 0);
    for_each(database, kind, |secret| {
        count += 1;
        unreadable += u64::from(decrypt(key, &secret).is_none());
    })
    .await?;
    let (kind, title) = names(kind);
    Ok(SecretCount { kind, title, count, unreadable })
}

/// Calls `visit` with each stored secret of a kind.
async fn for_each(database: &Database, kind: SecretKind, mut visit: impl FnMut(SealedSecret)) -> anyhow::Result<()> {
    let mut after: Option<StoredSecret> = None;
    loop {
        let batch = stored_secrets::list(database.reader(), kind, after.as_ref(), BATCH_SIZE).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = Some(last.owner.clone());
        batch.into_iter().for_each(&mut visit);
    }
}

fn decrypt(key: Option<&Secret>, secret: &SealedSecret) -> Option<Vec<u8>> {
    secret.owner.unseal(key?, &secret.sealed).ok()
}

/// Connects to the existing database and loads the key. Creates neither.
async fn open(config: &Config) -> anyhow::Result<(Config, Database)> {
    require_database(config)?;
    let config = config.clone().with_key_file()?;
    let connecting = Database::open(&config.database, CONNECTIONS);
    let database = connecting.await.map_err(tls::advised)?;
    schema::require_current(&database).await?;
    Ok((config, database))
}

/// Fails if the database is an SQLite file that doesn't exist.
pub fn require_database(config: &Config) -> anyhow::Result<()> {
    if !config.is_embedded() {
        return Ok(());
    }
    let file = dbcontext::sqlite_file(config.database.url.expose())?;
    ensure!(
        file.exists(),
        "There is no database at {}. Check server.data_dir and database.url; the first start of the server creates it.",
        file.display()
    );
    Ok(())
}

/// True if the key is that of the key file, not a setting.
fn is_file_key(config: &Config) -> bool {
    let of_file = key_file::read(&config.key_file()).ok().flatten();
    let configured = config.auth.key_encryption_secret.as_ref();
    config.is_embedded() && of_file.zip(configured).is_some_and(|(file, key)| file.expose() == key.expose())
}

/// File with the new key while a rotation is in progress.
fn rotation_file(config: &Config) -> PathBuf {
    let mut name = config.key_file().into_os_string();
    name.push(".new");
    name.into()
}

#[cfg(test)]
mod tests {
    use appcore::{Timestamp, config};
    use dbcontext::query::{push, signing_keys};

    use super::*;

    struct Installation {
        _folder: tempfile::TempDir,
        config: Config,
    }

    impl Installation {
        /// Creates a database with a signing key and a push key that the key file encrypts.
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name).display().to_string();
            let settings = [
                ("NATTER__SERVER__DATA_DIR".into(), path("").into()),
                ("NATTER__DATABASE__URL".into(), format!("sqlite://{}", path("natter.db")).into()),
            ];
            let config = config::load_core(None, settings).unwrap().config;
            let database = Database::connect(config.database.url.expose(), CONNECTIONS).await.unwrap();
            schema::migrate(config.database.url.expose(), config.database.pooler, &database).await.unwrap();
            let key = prepare(config.clone(), &database).await.unwrap().auth.key_encryption_secret.unwrap();
            let sealed = |owner: StoredSecret| owner.seal(&key, b"plain").unwrap();
            let signing = sealed(StoredSecret::SigningKey("a".to_owned()));
            signing_keys::insert(database.writer(), "a", signing, true, Timestamp(1)).await.unwrap();
            let pushing = push::StoredKey { private_key: sealed(StoredSecret::PushKey), is_sealed: true };
            push::store_key(database.writer(), pushing, "public").await.unwrap();
            database.close().await.unwrap();
            Self { _folder: folder, config }
        }

        async fn verify(&self) -> anyhow::Result<()> {
            let (config, database) = open(&self.config).await.unwrap();
            let verified = verify(&config, &database).await;
            database.close().await.unwrap();
            verified
        }
    }

    #[tokio::test]
    async fn a_lost_key_is_reported_and_reset_removes_what_it_encrypts() {
        let installation = Installation::new().await;
        let config = &installation.config;
        assert!(check(config).await.unwrap().is_ok() && plan(config).await.unwrap().is_empty());
        fs::remove_file(config.key_file()).unwrap();
        let missing = installation.verify().await.unwrap_err().to_string();
        assert!(missing.contains("key file is missing") && missing.contains("encryption-key"), "{missing}");
        fs::write(config.key_file(), "another key").unwrap();
        let wrong = installation.verify().await.unwrap_err().to_string();
        assert!(wrong.contains("does not open the database (signing keys of access tokens, push key"), "{wrong}");
        fs::remove_file(config.key_file()).unwrap();
        assert!(!check(config).await.unwrap().is_ok());

        let kinds = |counts: Vec<SecretCount>| -> Vec<_> {
            counts.into_iter().map(|secrets| (secrets.kind, secrets.unreadable)).collect()
        };
        let expected = [("signing_keys", 1), ("push_key", 1)];
        assert_eq!(kinds(plan(config).await.unwrap()), expected);
        assert!(!config.key_file().exists(), "the plan changes nothing");
        assert_eq!(kinds(reset(config).await.unwrap()), expected);
        installation.verify().await.unwrap();
        assert!(config.key_file().exists() && plan(config).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_interrupted_rotation_continues() {
        let installation = Installation::new().await;
        let config = &installation.config;
        let old = key_file::read(&config.key_file()).unwrap().unwrap();
        // The process died after the first kind.
        key_file::create(&rotation_file(config)).unwrap();
        let new = key_file::read(&rotation_file(config)).unwrap().unwrap();
        let (_, database) = open(config).await.unwrap();
        assert_eq!(re_encrypt(&database, SecretKind::SigningKey, &old, &new).await.unwrap(), 1);
        database.close().await.unwrap();
        let unfinished = installation.verify().await.unwrap_err().to_string();
        assert!(unfinished.contains("unfinished"), "{unfinished}");
        assert!(reset(config).await.unwrap_err().to_string().contains("unfinished"));

        let done = rotate_encryption(config).await.unwrap();
        assert_eq!((done.count, done.new_secret_file), (2, None));
        assert_eq!(key_file::read(&config.key_file()).unwrap().unwrap().expose(), new.expose());
        installation.verify().await.unwrap();
        assert!(!rotation_file(config).exists());
        assert_ne!(rotate_encryption(config).await.unwrap().count, 0);
        assert_ne!(key_file::read(&config.key_file()).unwrap().unwrap().expose(), new.expose());
    }

    #[tokio::test]
    async fn a_configured_secret_is_replaced_by_the_operator() {
        let installation = Installation::new().await;
        let mut config = installation.config.clone();
        let key = key_file::read(&config.key_file()).unwrap().unwrap();
        config.auth.key_encryption_secret = Some(key);
        fs::remove_file(config.key_file()).unwrap();
        let done = rotate_encryption(&config).await.unwrap();
        let file = done.new_secret_file.clone().unwrap();
        assert!(done.text().contains(&file.display().to_string()));
        assert!(!check(&config).await.unwrap().is_ok(), "the former secret opens nothing");
        config.auth.key_encryption_secret = key_file::read(&file).unwrap();
        assert!(check(&config).await.unwrap().is_ok());
        assert!(rotate_encryption(&config).await.unwrap_err().to_string().contains("already"));
    }

    #[tokio::test]
    async fn refuses_beside_a_server_and_without_a_database() {
        let installation = Installation::new().await;
        let config = &installation.config;
        let lock = crate::data_dir_lock::acquire(config).unwrap();
        assert!(rotate_encryption(config).await.unwrap_err().to_string().contains("A server runs"));
        assert!(reset(config).await.unwrap_err().to_string().contains("A server runs"));
        check(config).await.unwrap();
        drop(lock);
        rotate_encryption(config).await.unwrap();

        let empty = tempfile::tempdir().unwrap();
        let mut config = config.clone();
        config.server.data_dir = empty.path().to_owned();
        config.database.url = format!("sqlite://{}", empty.path().join("natter.db").display()).into();
        assert!(check(&config).await.unwrap_err().to_string().contains("There is no database at"));
        assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
    }
}
