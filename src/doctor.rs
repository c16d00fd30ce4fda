//! `natter doctor`: checks everything that an installation depends on. Prints one line per check,
//! with the problem and its remedy. The checks of a running server ([`ops::checks`]) are run here
//! without a server.

use std::{fmt::Write as _, time::Duration};

use appcore::{
    Secret,
    config::{Config, LoadedConfig},
    view::{Check, CheckAbout, Verdict},
};
use dbcontext::Database;
use gateway::{self, Ai};
use ops::checks::{local, remote, with_timeout};

use crate::{
    program::{backups, configuration, schema},
    tls,
};

/// Maximum time for closing the database.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Formats a check as one line, even if its text has line breaks.
fn format_check(check: &Check) -> String {
    let verdict = match check.verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Fault => "FAULT",
    };
    let says: Vec<&str> = check.says.split_whitespace().collect();
    format!("{verdict:<8} {}: {}", check.about.title(), says.join(" "))
}

/// Runs all checks. Returns the text to print, and true if a check has failed.
pub async fn examine(loaded: LoadedConfig) -> (String, bool) {
    let mut checks = configuration(&loaded.warnings);
    let config = loaded.config;
    checks.extend(local::disk(&config));
    checks.push(local::key(&config));
    let ai = gateway::connect(&config.ai, &config.outgoing);
    checks.extend(database(&config, ai.as_ref().ok()).await);
    checks.push(remote::redis(&config).await);
    checks.push(remote::mail(&config).await);
    checks.extend(match ai {
        Ok(ai) => remote::ai(&ai).await,
        Err(error) => vec![Check::fault(CheckAbout::Ai, format!("{error:#}"))],
    });
    checks.extend(remote::public_address(&config).await);
    checks.extend(backups(&config).await);
    checks.push(local::open_file_limit());
    let mut text = String::new();
    for check in &checks {
        // Writing to a `String` can't fail.
        let _ = writeln!(text, "{}", format_check(check));
    }
    (text, checks.iter().any(Check::is_fault))
}

/// Returns the secret that encrypts values in the database, as a running server would load it. If
/// it is missing, it is not generated.
fn key_secret(config: &Config) -> Option<Secret> {
    let config = config.clone();
    let is_in_file = config.server.data_dir.join("encryption-key").exists();
    let config = if is_in_file { config.with_key_file().ok()? } else { config };
    config.auth.key_encryption_secret
}

/// Checks the database, and the AI providers that are stored in it in addition to those of the
/// configuration.
async fn database(config: &Config, ai: Option<&Ai>) -> Vec<Check> {
    const ABOUT: CheckAbout = CheckAbout::Database;
    let url = config.database.url.expose();
    if let Ok(path) = dbcontext::sqlite_file(url)
        && config.is_embedded()
        && !path.exists()
    {
        return vec![Check::warning(
            ABOUT,
            format!("{} does not exist yet; the first start creates it", path.display()),
        )];
    }
    let opened = with_timeout(async {
        let database = Database::connect(url, 2).await?;
        database.ping().await?;
        Ok(database)
    });
    let (database, took) = match opened.await {
        Ok(opened) => opened,
        Err(error) => {
            let advice = tls::advice(&error).unwrap_or("Start the database, or correct database.url");
            return vec![Check::fault(ABOUT, format!("{error:#}. {advice}"))];
        }
    };
    let mut checks = vec![match schema(config, &database).await {
        Check { verdict: Verdict::Ok, says, .. } => {
            let kind = if database.is_sqlite() { "SQLite" } else { "PostgreSQL" };
            Check::ok(ABOUT, format!("{kind} answers within {took} ms, {says}"))
        }
        wrong => wrong,
    }];
    if !database.is_sqlite() {
        checks.push(remote::clock(&database).await);
    }
    if !checks.iter().any(Check::is_fault) {
        checks.push(remote::search(config, &database).await);
        checks.push(remote::jobs(&database).await);
        if let Some(ai) = ai {
            let key = key_secret(config);
            let loading = with_timeout(async {
                gateway::custom_providers::load(&database, ai, key.as_ref()).await?;
                Ok(())
            });
            if let Err(error) = loading.await {
                checks.push(Check::fault(
                    CheckAbout::Ai,
                    format!("failed to read the providers of the console: {error:#}"),
                ));
            }
        }
    }
    // The timeout is harmless: nothing was written that could be lost.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, database.close()).await;
    checks
}
