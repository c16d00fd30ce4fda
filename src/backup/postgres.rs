//! Snapshot of a PostgreSQL database as an SQLite file, and the restore of such a file.
//!
//! Archives of both databases have the same format, so that each of them can be restored into the
//! other one. A restore fills a separate namespace of the database and verifies it, before its
//! tables replace the existing ones in one transaction.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use appcore::{Clock, config::Config};
use dbcontext::{Database, finish_snapshot, query::namespaces, sqlite_url};
use url::Url;

use crate::{alive, progress::Progress, schema, transfer};

/// Namespace that a restore fills.
const RESTORING: &str = "restoring_natter";
/// Table that every database of Natter has.
const SCHEMA_HISTORY: &str = "seaql_migrations";

/// Writes a consistent snapshot of the configured database to a new SQLite file, and returns the
/// migrations that are applied in it. The server may write meanwhile.
pub async fn write_snapshot(config: &Config, file: &Path, progress: Progress) -> anyhow::Result<Vec<String>> {
    let (url, file) = (config.database.url.expose().to_owned(), file.to_owned());
    on_separate_thread(move || async move {
        let source = transfer::open(&url).await?;
        schema::require_current(&source).await.context("The database can't be backed up")?;
        let target = Database::connect(&sqlite_url(&file)?, 1).await?;
        schema::upgrade_copy(&target).await?;
        let copied =
            dbcontext::transfer::copy_snapshot(&source, &target, |table, rows| progress.show_rows(table, rows)).await;
        // Closed in any case, because the caller removes the file.
        target.close().await?;
        source.close().await?;
        copied?;
        finish_snapshot(&file).await
    })
    .await
}

/// Runs work on a thread of its own, because digests of many rows would stall the event loop.
async fn on_separate_thread<T, F>(work: impl FnOnce() -> F + Send + 'static) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>>,
{
    let run = move || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work());
    tokio::task::spawn_blocking(run).await?
}

/// Database into which an archive is restored.
pub struct RestoreTarget {
    url: String,
    database: Database,
    /// Namespace of the tables of the server.
    namespace: String,
    /// True if tables are there already.
    pub has_tables: bool,
}

impl RestoreTarget {
    /// Connects to the configured database. Fails if a server uses it, or if another program has
    /// tables there.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let url = config.database.url.expose().to_owned();
        let database = transfer::open(&url).await?;
        let namespace = namespaces::current(&database).await?;
        let tables = namespaces::tables(&database, &namespace).await?;
        ensure!(
            tables.is_empty() || tables.iter().any(|table| table == SCHEMA_HISTORY),
            "{} has tables of another program. Name an empty database.",
            Self::title_of(&url)
        );
        let target = Self { url, database, namespace, has_tables: !tables.is_empty() };
        target.require_no_server(config).await?;
        Ok(target)
    }

    /// Name of the database for the operator, without its password.
    pub fn title(&self) -> String {
        Self::title_of(&self.url)
    }

    fn title_of(url: &str) -> String {
        let parsed = Url::parse(url).ok();
        let name = parsed.as_ref().map_or("", |url| url.path().trim_start_matches('/'));
        let host = parsed.as_ref().and_then(Url::host_str).unwrap_or("localhost");
        format!("The database {name} at {host}")
    }

    async fn require_no_server(&self, config: &Config) -> anyhow::Result<()> {
        if self.has_tables {
            alive::require_none(config, &self.database).await?;
        }
        Ok(())
    }

    /// Copies the database of an archive to a new namespace and verifies the copy. The server's
    /// tables are not changed. `origin` identifies the archive.
    pub async fn fill(&self, file: PathBuf, origin: &str, progress: &Progress) -> anyhow::Result<()> {
        let source = Database::connect(&sqlite_url(&file)?, 1).await?;
        // The archive may come from an older version.
        schema::upgrade_copy(&source).await?;
        namespaces::create(&self.database, RESTORING).await?;
        let target = transfer::open(&with_search_path(&self.url)).await?;
        schema::upgrade_copy(&target).await?;
        dbcontext::transfer::copy(&source, &target, origin, |table, rows| progress.show_rows(table, rows)).await?;
        progress.show(|| "Comparing the database with the archive".to_owned());
        transfer::compare(&source, &target).await?;
        target.close().await?;
        Ok(source.close().await?)
    }

    /// Replaces the tables of the server by the copy, in one transaction. Returns the namespace to
    /// which existing tables were moved.
    pub async fn replace_tables(&self, config: &Config) -> anyhow::Result<Option<String>> {
        // A server may have been started since.
        self.require_no_server(config).await?;
        let digits: String = Clock::system().now().to_string().chars().filter(char::is_ascii_digit).collect();
        let set_aside = format!("replaced_natter_{digits}");
        let is_replaced = namespaces::replace_tables(&self.database, RESTORING, &self.namespace, &set_aside).await?;
        Ok(is_replaced.then_some(set_aside))
    }

    /// Removes what [`fill`](Self::fill) has created.
    pub async fn discard(self) -> anyhow::Result<()> {
        namespaces::drop_with_tables(&self.database, RESTORING).await?;
        self.close().await
    }

    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.database.close().await?)
    }
}

/// Adds the parameter that makes [`RESTORING`] the current namespace.
fn with_search_path(url: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options%5Bsearch_path%5D={RESTORING}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_databases_without_passwords_and_adds_the_search_path() {
        let url = "postgres://natter:hunter22@db.example.org:5433/chat";
        assert_eq!(RestoreTarget::title_of(url), "The database chat at db.example.org");
        assert!(with_search_path(url).ends_with("/chat?options%5Bsearch_path%5D=restoring_natter"));
        assert!(with_search_path("postgres:///chat?host=/run").contains("?host=/run&options"));
    }
}
