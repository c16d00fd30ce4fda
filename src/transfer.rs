//! `natter move`: copies an installation to another database, between SQLite and PostgreSQL.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use appcore::config::{Config, Pooler};
use billing::credits;
use dbcontext::{Database, transfer};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{alive, progress::Progress, schema, tls};

/// Result of a transfer or of a comparison.
#[derive(Debug, Serialize)]
pub struct Transferred {
    /// Number of rows of each table.
    pub tables: BTreeMap<String, u64>,
    pub rows: u64,
}

/// Copies the configured database to the one at `url`, and compares both. With `compares_only`,
/// nothing is copied. The source is not changed. Fails while a server runs.
pub async fn run(config: &Config, url: &str, compares_only: bool, progress: Progress) -> anyhow::Result<Transferred> {
    ensure!(
        ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme)),
        "--to must be an address such as postgres://user:password@host/database or sqlite:///FILE."
    );
    let own = config.database.url.expose();
    ensure!(own != url, "--to is the database of the configuration. Name another one.");
    let source = open(own).await?;
    let _lock = alive::require_none(config, &source).await?;
    schema::require_current(&source).await.context("The database of the configuration can't be moved")?;
    let target = open(url).await.context("The target can't be used")?;
    if !compares_only {
        schema::migrate(url, Pooler::None, &target).await?;
    }
    schema::require_current(&target).await?;
    if !compares_only {
        let origin = hex::encode(Sha256::digest(own));
        transfer::copy(&source, &target, &origin, |table, rows| progress.show_rows(table, rows)).await?;
    }
    progress.show(|| "Comparing both databases".to_owned());
    let transferred = compare(&source, &target).await?;
    target.close().await?;
    source.close().await?;
    Ok(transferred)
}

/// Compares both databases by digests, and verifies the ledger of the target.
pub async fn compare(source: &Database, target: &Database) -> anyhow::Result<Transferred> {
    let compared = transfer::digests(source, target).await?;
    for (before, after) in &compared {
        ensure!(
            before == after,
            "The table {} differs: {} rows in the source, {} in the target.",
            before.table,
            before.rows,
            after.rows
        );
    }
    let (_, differences) = credits::verify(target).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    ensure!(differences.is_empty(), "The credit ledger of the target is inconsistent.");
    let tables: BTreeMap<String, u64> = compared.into_iter().map(|(_, after)| (after.table, after.rows)).collect();
    Ok(Transferred { rows: tables.values().sum(), tables })
}

impl Transferred {
    /// Message for the operator, with the steps that remain.
    pub fn text(&self, config: &Config, url: &str) -> String {
        let key = match &config.auth.key_encryption_secret {
            Some(_) => "keep auth.key_encryption_secret".to_owned(),
            None => format!(
                "set auth.key_encryption_secret to the content of {}",
                config.server.data_dir.join("encryption-key").display()
            ),
        };
        let next = if url.starts_with("sqlite:") {
            "set database.url to the new file, and keep the encryption key"
        } else {
            "set database.url and redis.url, and uploads.url to a store that all instances reach (copy the files there)"
        };
        format!(
            "{} rows of {} tables are the same in both databases, and the ledger is consistent. Next: {next}; {key}; then start the server, which rebuilds the search index.\n",
            self.rows,
            self.tables.len()
        )
    }
}

/// Opens a database without time limits for statements.
pub async fn open(url: &str) -> anyhow::Result<Database> {
    match Database::connect_for_schema(url, Pooler::None).await.map_err(tls::advised)? {
        Some(database) => Ok(database),
        None => Database::connect(url, 1).await.map_err(tls::advised),
    }
}
