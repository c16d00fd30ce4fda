//! `natter doctor`: checks everything that an installation depends on, and states the problem and its
//! remedy. The checks of a running server ([`ops::checks`]) are run here without a server.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::Duration,
};

use appcore::{
    config::{Config, LoadedConfig},
    view::{Check, CheckAbout, Verdict},
};
use dbcontext::{Database, connection, query::figures};
use gateway::{self, Ai};
use ops::checks::{failure, local, remote, with_timeout};
use serde_json::Value;
use tracing::{instrument::WithSubscriber as _, subscriber::NoSubscriber};

use crate::{
    alive, data_dir_lock, keys, probe,
    program::{backups, configuration, schema},
    tls,
};

/// Maximum time for closing the database.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for asking the program that listens at `server.port`.
const PORT_TIMEOUT: Duration = Duration::from_secs(2);
/// Permissions of folders, and of files with secrets: for their owner only.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Formats checks, one line each, even if their texts have line breaks.
pub fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Fault => "FAULT",
        };
        let says: Vec<&str> = check.says.split_whitespace().collect();
        // Writing to a `String` can't fail.
        let _ = writeln!(text, "{verdict:<8} {}: {}", check.about.title(), says.join(" "));
    }
    text
}

/// Runs all checks and returns their results, grouped by subject.
pub async fn examine(loaded: LoadedConfig) -> Vec<Check> {
    // Log messages of libraries would repeat what the checks report.
    let mut checks = run(loaded).with_subscriber(NoSubscriber::default()).await;
    checks.sort_by_key(|check| check.about as u8);
    checks
}

async fn run(loaded: LoadedConfig) -> Vec<Check> {
    let mut checks = configuration(&loaded.warnings);
    let (config, key_failure) = match loaded.config.clone().with_key_file() {
        Ok(config) => (config, None),
        Err(error) => (loaded.config, Some(error)),
    };
    let disk = local::disk(&config);
    let is_usable = !disk.iter().any(Check::is_fault);
    checks.extend(disk);
    let ai = gateway::connect(&config);
    let mut is_running = config.is_embedded() && data_dir_lock::holder(&config).is_some();
    match database(&config, is_usable).await {
        Ok(Some(database)) => {
            is_running = alive::is_any(&config, &database).await.unwrap_or(false);
            let found = in_database(&config, &database, is_running).await;
            // If the key file can't be read, all encrypted values would count as unreadable.
            if key_failure.is_none() && !found.iter().any(is_database_fault) {
                checks.extend(encrypted_values(&config, &database, ai.as_ref().ok()).await);
            }
            checks.extend(found);
            // The timeout is harmless: nothing was written that could be lost.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, database.close()).await;
        }
        Ok(None) => {}
        Err(check) => checks.push(check),
    }
    match key_failure {
        Some(error) => checks.push(unusable_key_file(&config, &error)),
        // A key that doesn't open the database is reported already.
        None if checks.iter().any(|check| check.about == CheckAbout::Key) => {}
        None => checks.push(local::key(&config)),
    }
    checks.push(remote::redis(&config).await);
    checks.extend(remote::bus(&config, realtime::bus::probe).await);
    checks.push(remote::mail(&config).await);
    checks.extend(match ai {
        Ok(ai) => remote::ai(&ai).await,
        Err(error) => vec![Check::fault(CheckAbout::Ai, failure::summarize(&error))],
    });
    checks.extend(remote::public_address(&config, is_running).await);
    checks.extend(backups(&config).await);
    checks.extend(local::network_database(&config));
    checks.extend(local::push_contact(&config));
    checks.push(local::open_file_limit());
    checks
}

/// Connects to the database. Returns `None` if it can't be used for a reason that was reported
/// already.
async fn database(config: &Config, is_usable: bool) -> Result<Option<Database>, Check> {
    const ABOUT: CheckAbout = CheckAbout::Database;
    let url = config.database.url.expose();
    let fault = |error: &anyhow::Error| {
        let advice = tls::advice(error).map_or_else(String::new, |advice| format!(". {advice}"));
        Check::fault(ABOUT, format!("{}{advice}", failure::summarize(error)))
    };
    if config.is_embedded() {
        let file = dbcontext::sqlite_file(url).map_err(|error| fault(&error))?;
        // Opened for writing, because SQLite can't use a file that it can only read.
        match OpenOptions::new().read(true).append(true).open(&file) {
            // SQLite can't open a database on a full disk, or in a folder that it can't write to.
            Ok(_) if !is_usable => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let says = format!("{} does not exist yet; the first start creates it", file.display());
                return Err(Check::warning(ABOUT, says));
            }
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied && !is_usable => return Ok(None),
            Err(error) => return Err(Check::fault(ABOUT, failure::not_readable(&file, &error))),
        }
    } else {
        with_timeout(connection::try_postgres(url)).await.map_err(|error| fault(&error))?;
    }
    let opened = with_timeout(async {
        let database = Database::open(&config.database, 2).await?.with_replica(&config.database).await?;
        database.ping().await?;
        Ok(database)
    });
    match opened.await {
        Ok((database, _)) => Ok(Some(database)),
        Err(error) => Err(fault(&error)),
    }
}

/// Reports a key file that can't be read, or that is empty.
fn unusable_key_file(config: &Config, error: &anyhow::Error) -> Check {
    let says = match error.downcast_ref::<io::Error>() {
        Some(error) => failure::not_readable(&config.key_file(), error),
        None => failure::summarize(error),
    };
    Check::fault(CheckAbout::Key, says)
}

fn is_database_fault(check: &Check) -> bool {
    check.about == CheckAbout::Database && check.is_fault()
}

/// Runs the checks that need the database, but not the key.
async fn in_database(config: &Config, database: &Database, is_running: bool) -> Vec<Check> {
    const ABOUT: CheckAbout = CheckAbout::Database;
    let mut checks = vec![match (schema(config, database).await, with_timeout(ping(database)).await) {
        (Check { verdict: Verdict::Ok, says, .. }, Ok(((), took))) => {
            let kind = if database.is_sqlite() { "SQLite" } else { "PostgreSQL" };
            Check::ok(ABOUT, format!("{kind} answers within {took} ms, {says}"))
        }
        (Check { verdict: Verdict::Ok, .. }, Err(error)) => Check::fault(ABOUT, failure::summarize(&error)),
        (wrong, _) => wrong,
    }];
    if database.is_sqlite() {
        checks.extend(remote::clock_by_figures(database).await);
    } else {
        checks.push(remote::clock(database).await);
    }
    checks.extend(remote::replica(database).await);
    checks.extend(port(config, database, is_running).await);
    if checks.iter().any(is_database_fault) {
        return checks;
    }
    checks.extend(remote::untrusted_proxies(database).await);
    checks.push(remote::search(config, database).await);
    checks.push(remote::jobs(database).await);
    checks.extend(remote::partitions(config, database).await);
    checks
}

/// Checks that the key decrypts the values in the database, and loads the AI providers that are
/// stored there in addition to those of the configuration.
async fn encrypted_values(config: &Config, database: &Database, ai: Option<&Ai>) -> Vec<Check> {
    let mut checks = Vec::new();
    let verified = with_timeout(keys::verify(config, database)).await;
    checks.extend(verified.err().map(|error| Check::fault(CheckAbout::Key, failure::summarize(&error))));
    if let Some(ai) = ai {
        let key = config.auth.key_encryption_secret.as_ref();
        let loading = with_timeout(async { Ok(gateway::custom_providers::load(database, ai, key).await?) });
        if let Err(error) = loading.await {
            let says = format!("failed to read the providers of the console: {}", failure::summarize(&error));
            checks.push(Check::fault(CheckAbout::Ai, says));
        }
    }
    checks
}

async fn ping(database: &Database) -> anyhow::Result<()> {
    Ok(database.ping().await?)
}

/// Checks that no other program listens at `server.port`.
async fn port(config: &Config, database: &Database, is_running: bool) -> Option<Check> {
    let address = probe::address(config).ok().filter(|address| address.port() != 0)?;
    let connecting = tokio::net::TcpStream::connect(address);
    tokio::time::timeout(PORT_TIMEOUT, connecting).await.ok()?.ok()?;
    let answer: Option<Value> = async {
        let client = reqwest::Client::builder().no_proxy().timeout(PORT_TIMEOUT).build().ok()?;
        let answer = client.get(format!("http://{address}/health")).send().await.ok()?;
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()
    }
    .await;
    let id = answer.as_ref().and_then(|answer| answer["instance_id"].as_str());
    let known = figures::instances(database.reader()).await.ok()?;
    let is_own = id.is_some_and(|id| known.iter().any(|row| row.id.to_string() == id));
    // An instance that has just started is not in the list yet.
    if is_own || (id.is_some() && is_running) {
        return None;
    }
    let what = if id.is_some() { "Another installation of Natter" } else { "Another program" };
    let says = format!("{what} listens at {address}. Stop it, or choose another server.port");
    Some(Check::fault(CheckAbout::Configuration, says))
}

/// Repairs what can be repaired without a decision: the permissions of the data folder and of the
/// files with secrets, and a search index that can't be read. Returns what was done, as sentences.
pub async fn fix(config: &Config) -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    let folder = &config.server.data_dir;
    restrict(folder, FOLDER_MODE, &mut done)?;
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            restrict(&path, FOLDER_MODE, &mut done)?;
        }
    }
    restrict(&config.key_file(), FILE_MODE, &mut done)?;
    if config.is_embedded() {
        let file = dbcontext::sqlite_file(config.database.url.expose())?;
        restrict(&file, FILE_MODE, &mut done)?;
        if !file.exists() {
            return Ok(done);
        }
    }
    let database = Database::open(&config.database, 2).await.map_err(tls::advised)?;
    if message_search::status(config, &database).await.is_err() {
        message_search::remove_unused(folder)?;
        message_search::rebuild(&database).await?;
        done.push("The search index was removed, because it can't be read. The server builds it again.".to_owned());
    }
    database.close().await?;
    Ok(done)
}

/// Removes permissions that others than the owner have.
fn restrict(path: &Path, mode: u32, done: &mut Vec<String>) -> anyhow::Result<()> {
    let found = match fs::metadata(path) {
        Ok(found) => found.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => anyhow::bail!(failure::not_readable(path, &error)),
    };
    if found & !mode != 0 {
        let changed = fs::set_permissions(path, Permissions::from_mode(found & mode));
        changed.map_err(|error| anyhow::anyhow!(failure::not_writable(path, &error)))?;
        done.push(format!("{} had the permissions {found:o}; they are {:o} now.", path.display(), found & mode));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restricts_permissions_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("encryption-key");
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let mut done = Vec::new();
        for _ in 0..2 {
            restrict(&file, FILE_MODE, &mut done).unwrap();
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(done.len() == 1 && done[0].contains("644"), "{done:?}");
        restrict(&folder.path().join("missing"), FILE_MODE, &mut done).unwrap();
        assert_eq!(done.len(), 1);
    }

    #[test]
    fn formats_one_line_per_check() {
        let checks = [Check::fault(CheckAbout::Disk, "a\nb"), Check::ok(CheckAbout::PublicAddress, "c")];
        assert_eq!(text(&checks), "FAULT    disk: a b\nok       public address: c\n");
    }
}
