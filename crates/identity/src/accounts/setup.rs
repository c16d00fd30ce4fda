//! Setup token. In embedded mode the first account is an administrator's. If the server is
//! reachable from other machines, creating that account requires the token, which is in the log and
//! in a file that only the operator can read.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;
use appcore::{AppError, RequestSource, Secret, auth::token, config::Config, private_folder};
use dbcontext::{Database, query::users};

/// Name of the token's file in `server.data_dir`.
const FILE: &str = "setup-token";

/// Setup token of an instance, if one is required.
pub(super) struct SetupToken {
    /// Token; `None` if there is an account already, or if the server isn't reachable from other
    /// machines.
    token: Option<Secret>,
    /// File with the token; `None` if the token is from the settings.
    file: Option<PathBuf>,
    /// True if requests from this machine need the token as well. In a container, requests through
    /// a published port seem to come from the machine itself.
    requires_locally: bool,
    is_over: AtomicBool,
}

impl SetupToken {
    /// Creates a token if one is needed. It is reused at later starts until there is an account.
    pub(super) async fn load(db: &Database, config: &Config) -> anyhow::Result<Self> {
        let file = config.server.data_dir.join(FILE);
        let is_needed = config.is_embedded()
            && (config.is_reachable_by_others() || config.auth.setup_token.is_some())
            && users::is_empty(db.reader()).await?;
        if !is_needed {
            remove(&file);
            return Ok(Self { token: None, file: None, requires_locally: false, is_over: AtomicBool::new(true) });
        }
        let asks_everybody = !config.server.is_on_loopback() || config.auth.setup_token.is_some();
        let page = format!("{}/sign-up", config.server.public_url());
        if let Some(token) = &config.auth.setup_token {
            tracing::warn!(page, "no account yet: the first one is the administrator's, made with auth.setup_token");
            return Ok(Self {
                token: Some(token.clone()),
                file: None,
                requires_locally: asks_everybody,
                is_over: AtomicBool::new(false),
            });
        }
        let token = match fs::read_to_string(&file) {
            Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
            _ => make(&file).with_context(|| format!("failed to write setup token to {}", file.display()))?,
        };
        // The token may be logged, because it is useless once there is an account.
        tracing::warn!(
            page,
            setup_token = token,
            file = %file.display(),
            "no account yet: the first one is the administrator's, made with the setup token"
        );
        Ok(Self {
            token: Some(token.into()),
            file: Some(file),
            requires_locally: asks_everybody,
            is_over: AtomicBool::new(false),
        })
    }

    /// True if the next account requires the token when it is created from this source.
    pub(super) async fn is_required(&self, db: &Database, source: RequestSource) -> Result<bool, AppError> {
        if self.is_over.load(Ordering::Relaxed) || self.is_exempt(source) {
            return Ok(false);
        }
        let is_required = users::is_empty(db.reader()).await?;
        if !is_required {
            self.complete();
        }
        Ok(is_required)
    }

    const fn is_exempt(&self, source: RequestSource) -> bool {
        source.is_local && !self.requires_locally
    }

    /// Rejects the creation of the first account if the required token is missing or wrong.
    pub(super) fn check(&self, shown: Option<&str>, source: RequestSource) -> Result<(), AppError> {
        let Some(token) = self.token.as_ref().filter(|_| !self.is_exempt(source)) else { return Ok(()) };
        match shown.map(str::trim).filter(|shown| !shown.is_empty()) {
            Some(shown) if token::hash_token(shown) == token::hash_token(token.expose()) => Ok(()),
            Some(_) => Err(AppError::field("setup_token", "invalid", "That's not the setup token.")),
            None => {
                let message = "Enter the setup token from the server's log to create the first account.";
                Err(AppError::field("setup_token", "required", message))
            }
        }
    }

    /// Ends the requirement and removes the file, once there is an account.
    pub(super) fn complete(&self) {
        if !self.is_over.swap(true, Ordering::Relaxed)
            && let Some(file) = &self.file
        {
            remove(file);
        }
    }
}

fn make(file: &Path) -> anyhow::Result<String> {
    let token = token::random_token()?;
    if let Some(folder) = file.parent() {
        private_folder::create(folder)?;
    }
    let mut written = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(file)?;
    writeln!(written, "{token}")?;
    Ok(token)
}

fn remove(file: &Path) {
    if let Err(error) = fs::remove_file(file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %file.display(), "failed to remove expired setup token");
    }
}
