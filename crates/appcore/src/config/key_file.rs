//! Default encryption secret of embedded mode: a file in the data directory, so that a copy of the
//! database alone reveals no secrets.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use super::Config;
use crate::{auth::token, secret::Secret};

/// File name in `server.data_dir`.
const KEY_FILE_NAME: &str = "encryption-key";

impl Config {
    /// Path of the key file.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.server.data_dir.join(KEY_FILE_NAME)
    }

    /// In embedded mode, sets `auth.key_encryption_secret` from the key file if it is not
    /// configured. If there is no file, the secret stays unset. Instances that share a PostgreSQL
    /// database have no common file, so they must configure the secret.
    pub fn with_key_file(mut self) -> anyhow::Result<Self> {
        if self.is_embedded() && self.auth.key_encryption_secret.is_none() {
            self.auth.key_encryption_secret = read(&self.key_file())?;
        }
        Ok(self)
    }

    /// Like [`with_key_file`](Self::with_key_file), but creates the file with a random secret if
    /// there is none. Must not be used for a database that has encrypted secrets already.
    pub fn with_new_key_file(self) -> anyhow::Result<Self> {
        let config = self.with_key_file()?;
        if config.is_embedded() && config.auth.key_encryption_secret.is_none() {
            create(&config.key_file())?;
        }
        config.with_key_file()
    }
}

/// Reads the secret in a key file; `None` if there is no such file.
pub fn read(file: &Path) -> anyhow::Result<Option<Secret>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("failed to read the key file {}", file.display())),
    };
    let secret = text.trim();
    ensure!(!secret.is_empty(), "the key file {} is empty. Put it back from your copy", file.display());
    Ok(Some(secret.into()))
}

/// Creates a key file with a random secret. An existing file is never overwritten, because all data
/// that is encrypted with it would be lost.
pub fn create(file: &Path) -> anyhow::Result<()> {
    let written = || -> anyhow::Result<()> {
        if let Some(folder) = file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let secret = token::random_token()?;
        match fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(file) {
            Ok(mut made) => {
                writeln!(made, "{secret}")?;
                made.sync_all()?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    };
    written().with_context(|| format!("failed to create the key file {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config;

    fn config(folder: &Path, settings: &[(&str, &str)]) -> Config {
        let folder = ("NATTER__SERVER__DATA_DIR", folder.to_str().unwrap());
        let settings = settings.iter().copied().chain([folder]).map(|(key, value)| (key.into(), value.into()));
        config::load_core(None, settings).unwrap().config
    }

    #[test]
    fn creates_the_secret_once_with_private_permissions() {
        let folder = std::env::temp_dir().join(format!("natter-key-file-{}", uuid::Uuid::now_v7()));
        assert!(config(&folder, &[]).with_key_file().unwrap().auth.key_encryption_secret.is_none());
        assert!(!folder.exists(), "reading the key creates nothing");
        let secret = |settings: &[(&str, &str)]| {
            config(&folder, settings)
                .with_new_key_file()
                .unwrap()
                .auth
                .key_encryption_secret
                .map(|it| it.expose().to_owned())
        };
        let made = secret(&[]).unwrap();
        assert!(made.len() >= 43, "{made} can be guessed");
        assert_eq!(secret(&[]), Some(made));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(KEY_FILE_NAME))), (0o700, 0o600));
        assert_eq!(secret(&[("NATTER__AUTH__KEY_ENCRYPTION_SECRET", "another one")]).as_deref(), Some("another one"));
        assert_eq!(secret(&[("NATTER__DATABASE__URL", "postgres://localhost/natter")]), None);
        fs::write(folder.join(KEY_FILE_NAME), "\n").unwrap();
        assert!(config(&folder, &[]).with_new_key_file().is_err(), "a lost key file must not be replaced silently");
        fs::remove_dir_all(folder).unwrap();
    }
}
