//! Default encryption secret of embedded mode: a file in the data directory, so that a copy of the
//! database alone reveals no secrets.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::{Context as _, ensure};

use super::Config;
use crate::{auth::token, secret::Secret};

/// File name in `server.data_dir`.
const KEY_FILE_NAME: &str = "encryption-key";

impl Config {
    /// In embedded mode, sets `auth.key_encryption_secret` from the key file if it is not
    /// configured. The key file is created on first use. Instances that share a PostgreSQL database
    /// have no common file, so they must configure the secret.
    pub fn with_key_file(mut self) -> anyhow::Result<Self> {
        if self.is_embedded() && self.auth.key_encryption_secret.is_none() {
            let file = self.server.data_dir.join(KEY_FILE_NAME);
            let secret = read_or_create(&file)
                .with_context(|| format!("failed to use the key file of the database: {}", file.display()))?;
            self.auth.key_encryption_secret = Some(secret);
        }
        Ok(self)
    }
}

fn read_or_create(file: &Path) -> anyhow::Result<Secret> {
    if let Some(folder) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // An existing file is never overwritten, because all data encrypted with it would be lost.
    match fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(file) {
        Ok(mut made) => {
            writeln!(made, "{}", token::random_token()?)?;
            made.sync_all()?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    let text = fs::read_to_string(file)?;
    let secret = text.trim();
    ensure!(!secret.is_empty(), "it is empty; restore it from a backup, or remove it if nothing was stored yet");
    Ok(secret.into())
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
        let secret = |settings: &[(&str, &str)]| {
            config(&folder, settings)
                .with_key_file()
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
        assert!(config(&folder, &[]).with_key_file().is_err(), "a lost key file must not be replaced silently");
        fs::remove_dir_all(folder).unwrap();
    }
}
