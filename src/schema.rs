//! Database schema: applies, reverts and lists migrations. Only one process at a time changes the
//! schema.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, ensure};
use appcore::config::{Config, Pooler};
use dbcontext::Database;
use migration::{Migrator, MigratorTrait as _, is_unreleased};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, TransactionTrait as _};
use serde::Serialize;

/// Maximum number of attempts at a migration whose table is locked.
const MAX_ATTEMPTS: u32 = 30;
const RETRY_DELAY: Duration = Duration::from_secs(1);
const UNREADABLE: &str = "Failed to read the schema history";
/// Error message for a database or an archive whose schema is that of an unreleased build.
pub const UNRELEASED: &str = "An unreleased build of Natter created this database, and its schema can't be upgraded. Export the conversations to keep \
    with the build that created it, then start with an empty database.";
/// Statement that acquires an advisory lock, by which instances that start at the same time take
/// turns. The number is arbitrary but not used for any other lock.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7246010417523)";

/// State of a database's schema, compared with this program.
pub struct SchemaState {
    /// Number of pending migrations.
    pub pending: usize,
    /// Applied migrations that only a newer program has, oldest first.
    pub newer: Vec<String>,
}

impl SchemaState {
    pub async fn of(database: &Database) -> anyhow::Result<Self> {
        let applied = applied(database).await?;
        let newer: Vec<String> = unknown(&applied).into_iter().cloned().collect();
        let known = applied.len() - newer.len();
        Ok(Self { pending: Migrator::migrations().len().saturating_sub(known), newer })
    }

    /// Returns a warning if a newer program has migrated the database.
    pub fn newer_warning(&self) -> Option<String> {
        let newest = self.newer.last()?;
        Some(format!(
            "the schema is {} steps ahead of this version ({newest}), as during a rolling upgrade; this version ignores what the newer one added",
            self.newer.len()
        ))
    }
}

/// Applies the pending migrations to the database at `url`. `database` is a connection to it.
pub async fn migrate(url: &str, pooler: Pooler, database: &Database) -> anyhow::Result<()> {
    let Some(patient) = Database::connect_for_schema(url, pooler).await? else {
        return migrate_up(database).await;
    };
    let done = migrate_up(&patient).await;
    patient.close().await?;
    done
}

/// Applies the pending migrations to a database that no other process uses, such as a copy. Logs
/// nothing.
pub async fn upgrade_copy(database: &Database) -> anyhow::Result<()> {
    Migrator::up(database.schema(), None).await.context("Failed to upgrade the schema of a copy")
}

/// Applies the pending migrations. If a newer program has migrated the database, this program can
/// nevertheless run with it, because migrations only add to the schema.
async fn migrate_up(database: &Database) -> anyhow::Result<()> {
    let turn = acquire_lock(database).await?;
    let standing = SchemaState::of(database).await?;
    if standing.newer.is_empty() {
        apply(database).await.context("Failed to upgrade the schema")?;
        log_steps(standing.pending);
    } else {
        require_usable(&standing)?;
    }
    release_lock(turn).await
}

/// Logs one line about all applied migrations. The migrator logs each of them at debug level.
fn log_steps(applied: usize) {
    if applied == Migrator::migrations().len() {
        tracing::info!(steps = applied, "database schema created");
    } else if applied > 0 {
        tracing::info!(steps = applied, "database schema updated");
    }
}

/// Applies migrations one by one, each in its own transaction. If a migration times out while it
/// waits for a table that is in use, it is retried later, so that other queries don't queue behind
/// it.
async fn apply(database: &Database) -> anyhow::Result<()> {
    let mut tries = 0;
    loop {
        let Err(error) = Migrator::up(database.schema(), None).await else { return Ok(()) };
        tries += 1;
        if tries == MAX_ATTEMPTS || !error.to_string().contains("lock timeout") {
            return Err(error.into());
        }
        tracing::warn!(%error, "migration blocked by a table in use, retrying");
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

/// Reverts the newest migrations, with the same retries as [`apply`].
pub async fn revert(config: &Config, database: &Database, steps: u32) -> anyhow::Result<()> {
    let Some(patient) = Database::connect_for_schema(config.database.url.expose(), config.database.pooler).await?
    else {
        return migrate_down(database, steps).await;
    };
    let done = migrate_down(&patient, steps).await;
    patient.close().await?;
    done
}

/// Reverts the newest migrations.
async fn migrate_down(database: &Database, steps: u32) -> anyhow::Result<()> {
    let turn = acquire_lock(database).await?;
    let standing = SchemaState::of(database).await?;
    ensure!(
        standing.newer.is_empty(),
        "{} steps were applied by a newer version ({}). Revert them first with natter migrate down of that version.",
        standing.newer.len(),
        standing.newer.join(", ")
    );
    Migrator::down(database.schema(), Some(steps)).await.context("Failed to revert the schema")?;
    release_lock(turn).await
}

/// Migration, with its status in a database.
#[derive(Serialize)]
pub struct Step {
    pub name: String,
    pub status: StepStatus,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    Applied,
    Pending,
    /// Applied by a newer program.
    Newer,
}

impl StepStatus {
    pub const fn title(self) -> &'static str {
        match self {
            Self::Applied => "Applied",
            Self::Pending => "Pending",
            Self::Newer => "Newer",
        }
    }
}

/// Lists the migrations with their status, oldest first.
pub async fn describe(database: &Database) -> anyhow::Result<Vec<Step>> {
    let applied = applied(database).await?;
    let known = Migrator::migrations();
    let known = known.iter().map(|step| {
        let is_applied = applied.iter().any(|name| name == step.name());
        Step {
            name: step.name().to_owned(),
            status: if is_applied { StepStatus::Applied } else { StepStatus::Pending },
        }
    });
    let newer = unknown(&applied).into_iter().map(|name| Step { name: name.clone(), status: StepStatus::Newer });
    Ok(known.chain(newer).collect())
}

/// Returns the names of the newest applied migrations, the newest first.
pub async fn newest(database: &Database, count: u32) -> anyhow::Result<Vec<String>> {
    Ok(applied(database).await?.into_iter().rev().take(count as usize).collect())
}

/// Returns the names of the applied migrations, oldest first. Doesn't create the table, so that it
/// also works on a replica. Fails for the database of an unreleased build.
async fn applied(database: &Database) -> anyhow::Result<Vec<String>> {
    let applied = Migrator::applied(database.schema()).await.context(UNREADABLE)?;
    ensure!(!is_unreleased(&applied), UNRELEASED);
    Ok(applied)
}

/// Returns those of the applied migrations that only a newer program has.
pub fn unknown(applied: &[String]) -> Vec<&String> {
    let known: BTreeSet<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    applied.iter().filter(|step| !known.contains(*step)).collect()
}

/// Fails if the database has pending migrations, because then nothing would work.
pub async fn require_current(database: &Database) -> anyhow::Result<()> {
    require_usable(&SchemaState::of(database).await?)
}

fn require_usable(standing: &SchemaState) -> anyhow::Result<()> {
    let pending = standing.pending;
    ensure!(
        pending == 0 || !standing.newer.is_empty(),
        "The database schema is {pending} steps behind. Run natter migrate up."
    );
    ensure!(
        pending == 0,
        "The database schema was changed by another version ({}) and lacks {pending} steps of this one. Run natter migrate up of the newer version.",
        standing.newer.join(", ")
    );
    if let Some(says) = standing.newer_warning() {
        tracing::warn!("{says}");
    }
    Ok(())
}

/// Acquires the lock for migrations. On PostgreSQL, the returned transaction holds it. On SQLite no
/// lock is needed, because there is only one writer.
async fn acquire_lock(database: &Database) -> anyhow::Result<Option<DatabaseTransaction>> {
    if database.is_sqlite() {
        return Ok(None);
    }
    // Removes the limit on waiting for locks, because the migrations of another instance may take
    // any time.
    let turn = database.schema().begin().await?;
    turn.execute_unprepared("SET LOCAL lock_timeout = 0").await?;
    turn.execute_unprepared(LOCK).await.context("Failed to acquire the schema lock")?;
    Ok(Some(turn))
}

async fn release_lock(turn: Option<DatabaseTransaction>) -> anyhow::Result<()> {
    if let Some(turn) = turn {
        turn.commit().await?;
    }
    Ok(())
}
