//! Backup and restore of SQLite's files.

use std::{
    fs::File,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use anyhow::{Context as _, ensure};
use sea_orm::{DatabaseConnection, SqlxSqliteConnector};
use sqlx::{
    ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions},
};

/// Returns the path of the file that a `sqlite://` URL names.
pub fn sqlite_file(url: &str) -> anyhow::Result<PathBuf> {
    let options = SqliteConnectOptions::from_str(url).context("database.url is not a valid SQLite address")?;
    Ok(options.get_filename().to_owned())
}

/// Returns the `sqlite://` URL of a file.
pub fn sqlite_url(file: &Path) -> anyhow::Result<String> {
    let path = file.to_str().context("path of the database is not UTF-8")?;
    Ok(format!("sqlite://{}", path.replace('%', "%25").replace('?', "%3F")))
}

/// Writes a consistent snapshot of the database to a new file and returns the migrations that are
/// applied in it. Doesn't block writers; the write-ahead log grows until the copy is done.
pub async fn copy_sqlite(from: &Path, to: &Path) -> anyhow::Result<Vec<String>> {
    let mut connection = open(from).await?;
    let target = to.to_str().context("path of the copy is not UTF-8")?;
    sqlx::query("VACUUM INTO ?").bind(target).execute(&mut connection).await.context("failed to copy database")?;
    connection.close().await?;
    finish_snapshot(to).await
}

/// Moves everything that a closed database has in its write-ahead log to the file, syncs the file,
/// and returns the migrations that are applied in it.
pub async fn finish_snapshot(file: &Path) -> anyhow::Result<Vec<String>> {
    let mut connection = open(file).await?;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode = DELETE").fetch_one(&mut connection).await?;
    ensure!(mode == "delete", "{} is still in use", file.display());
    let steps =
        sqlx::query_scalar("SELECT version FROM seaql_migrations ORDER BY version").fetch_all(&mut connection).await;
    connection.close().await?;
    let written = file.to_owned();
    tokio::task::spawn_blocking(move || File::open(written)?.sync_all()).await??;
    steps.context("not a Natter database")
}

/// Checks the integrity of a database and its foreign keys.
pub async fn check_sqlite(file: &Path) -> anyhow::Result<()> {
    let mut connection = open(file).await?;
    let said: Vec<(String,)> = sqlx::query_as("PRAGMA integrity_check(3)").fetch_all(&mut connection).await?;
    let said: Vec<&str> = said.iter().map(|(line,)| line.as_str()).collect();
    ensure!(said == ["ok"], "{}", said.join("; "));
    let lost = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await?.len();
    ensure!(lost == 0, "{lost} rows violate foreign keys");
    connection.close().await?;
    Ok(())
}

/// Opens a snapshot for reading, without changing anything on the disk.
pub async fn open_snapshot(file: &Path) -> anyhow::Result<DatabaseConnection> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
    let pool = pool.with_context(|| format!("failed to open {}", file.display()))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

async fn open(file: &Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(false);
    options.connect().await.with_context(|| format!("failed to open {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_file_names_the_file() {
        for file in ["/var/lib/natter/natter.db", "/tmp/100%/what?/ö.db"] {
            assert_eq!(sqlite_file(&sqlite_url(Path::new(file)).unwrap()).unwrap(), Path::new(file));
        }
    }
}
