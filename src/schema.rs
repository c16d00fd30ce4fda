//! The database's schema: up, down and what is applied, one process at a time.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, ensure};
use appcore::config::Config;
use dbcontext::Database;
use migration::{Migrator, MigratorTrait as _, is_unreleased};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, TransactionTrait as _};

/// How often a step is tried that finds its table in use.
const TRIES: u32 = 30;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
const UNREADABLE: &str = "The schema's history could not be read";
/// Refusal of a database or an archive with the schema of an unreleased build.
pub const UNRELEASED: &str = "An unreleased build of Natter created this database, and its schema can't be upgraded. Export the conversations to keep \
    with the build that created it, then start with an empty database.";
/// Any number that nothing else locks: instances that start together take turns.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7246010417523)";

/// Where a database stands beside this program.
pub struct Standing {
    /// Steps that it lacks.
    pub pending: usize,
    /// Steps that only a newer program knows, the oldest first.
    pub newer: Vec<String>,
}

impl Standing {
    pub async fn of(database: &Database) -> anyhow::Result<Self> {
        let applied = applied(database).await?;
        let newer: Vec<String> = unknown(&applied).into_iter().cloned().collect();
        let known = applied.len() - newer.len();
        Ok(Self { pending: Migrator::migrations().len().saturating_sub(known), newer })
    }

    /// What is to be said of a database that a newer program has migrated.
    pub fn says_newer(&self) -> Option<String> {
        let newest = self.newer.last()?;
        Some(format!(
            "the schema is {} steps ahead of this version ({newest}), as while a newer one is being rolled out: it works, and what only the newer one knows is left alone",
            self.newer.len()
        ))
    }
}

/// Applies what is missing to the database of the settings, which `database` is a connection to.
pub async fn bring_up(config: &Config, database: &Database) -> anyhow::Result<()> {
    let Some(patient) = Database::connect_for_schema(config.database.url.expose()).await? else {
        return migrate_up(database).await;
    };
    let done = migrate_up(&patient).await;
    patient.close().await?;
    done
}

/// Applies what is missing. A newer program's steps only add, so this one serves beside it on what is there.
async fn migrate_up(database: &Database) -> anyhow::Result<()> {
    let turn = take_turn(database).await?;
    let standing = Standing::of(database).await?;
    if standing.newer.is_empty() {
        apply(database).await.context("The schema could not be brought up to date")?;
        log_steps(standing.pending);
    } else {
        accept(&standing)?;
    }
    end_turn(turn).await
}

/// Logs one line for all steps. The migrator logs each step at debug level.
fn log_steps(applied: usize) {
    if applied == Migrator::migrations().len() {
        tracing::info!(steps = applied, "database schema created");
    } else if applied > 0 {
        tracing::info!(steps = applied, "database schema updated");
    }
}

/// Step by step, each in a transaction: one that waited too long for a table that is in use is tried again, and nobody waits behind it meanwhile.
async fn apply(database: &Database) -> anyhow::Result<()> {
    let mut tries = 0;
    loop {
        let Err(error) = Migrator::up(database.schema(), None).await else { return Ok(()) };
        tries += 1;
        if tries == TRIES || !error.to_string().contains("lock timeout") {
            return Err(error.into());
        }
        tracing::warn!(%error, "a step of the schema waits for a table that is in use, and is tried again");
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

/// Takes back the newest steps, in the same way.
pub async fn take_down(config: &Config, database: &Database, steps: u32) -> anyhow::Result<()> {
    let Some(patient) = Database::connect_for_schema(config.database.url.expose()).await? else {
        return migrate_down(database, steps).await;
    };
    let done = migrate_down(&patient, steps).await;
    patient.close().await?;
    done
}

/// Takes back the newest steps.
async fn migrate_down(database: &Database, steps: u32) -> anyhow::Result<()> {
    let turn = take_turn(database).await?;
    let standing = Standing::of(database).await?;
    ensure!(
        standing.newer.is_empty(),
        "{} steps were applied by a newer version ({}). Take those back first, with that version's natter migrate down.",
        standing.newer.len(),
        standing.newer.join(", ")
    );
    Migrator::down(database.schema(), Some(steps)).await.context("The schema could not be taken back")?;
    end_turn(turn).await
}

/// One line per step, the oldest first.
pub async fn describe(database: &Database) -> anyhow::Result<String> {
    let applied = applied(database).await?;
    let status = |name: &str| if applied.iter().any(|step| step == name) { "Applied" } else { "Pending" };
    let known = Migrator::migrations();
    let known = known.iter().map(|step| format!("{:<8} {}\n", status(step.name()), step.name()));
    Ok(known.chain(unknown(&applied).into_iter().map(|step| format!("{:<8} {step}\n", "Newer"))).collect())
}

/// Names of the applied steps, the oldest first. Creates no table, because a replica is asked as well. Fails for an unreleased build's database.
async fn applied(database: &Database) -> anyhow::Result<Vec<String>> {
    let applied = Migrator::applied(database.schema()).await.context(UNREADABLE)?;
    ensure!(!is_unreleased(&applied), UNRELEASED);
    Ok(applied)
}

/// Those of these steps that only a newer program knows.
pub fn unknown(applied: &[String]) -> Vec<&String> {
    let known: BTreeSet<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    applied.iter().filter(|step| !known.contains(*step)).collect()
}

/// Refuses a database that is behind this program: nothing would work on it.
pub async fn require_current(database: &Database) -> anyhow::Result<()> {
    accept(&Standing::of(database).await?)
}

fn accept(standing: &Standing) -> anyhow::Result<()> {
    let pending = standing.pending;
    ensure!(
        pending == 0 || !standing.newer.is_empty(),
        "The database's schema is {pending} steps behind; bring it up to date with natter migrate up."
    );
    ensure!(
        pending == 0,
        "The database's schema was changed by another version ({}) and lacks {pending} steps of this one; bring it up to date with the newest of the two.",
        standing.newer.join(", ")
    );
    if let Some(says) = standing.says_newer() {
        tracing::warn!("{says}");
    }
    Ok(())
}

/// SQLite has one writer anyway; PostgreSQL's lock lives as long as this transaction.
async fn take_turn(database: &Database) -> anyhow::Result<Option<DatabaseTransaction>> {
    if database.is_sqlite() {
        return Ok(None);
    }
    // Without the limits of a request's transaction: whoever goes first takes as long as it takes.
    let turn = database.schema().begin().await?;
    turn.execute_unprepared("SET LOCAL lock_timeout = 0").await?;
    turn.execute_unprepared(LOCK).await.context("The lock of the schema could not be taken")?;
    Ok(Some(turn))
}

async fn end_turn(turn: Option<DatabaseTransaction>) -> anyhow::Result<()> {
    if let Some(turn) = turn {
        turn.commit().await?;
    }
    Ok(())
}
