//! The database's schema: up, down and what is applied, one process at a time.

use anyhow::{Context as _, ensure};
use dbcontext::{Database, Transaction};
use migration::Migrator;
use sea_orm::ConnectionTrait as _;
use sea_orm_migration::{MigrationStatus, MigratorTrait as _};

/// Any number that nothing else locks: instances that start together take turns.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7246010417523)";

/// Applies what is missing.
pub async fn migrate_up(database: &Database) -> anyhow::Result<()> {
    let turn = take_turn(database).await?;
    Migrator::up(database.schema(), None).await.context("The schema could not be brought up to date")?;
    end_turn(turn).await
}

/// Takes back the newest steps.
pub async fn migrate_down(database: &Database, steps: u32) -> anyhow::Result<()> {
    let turn = take_turn(database).await?;
    Migrator::down(database.schema(), Some(steps)).await.context("The schema could not be taken back")?;
    end_turn(turn).await
}

/// One line per step, the oldest first.
pub async fn describe(database: &Database) -> anyhow::Result<String> {
    let steps = Migrator::get_migration_with_status(database.schema())
        .await
        .context("The schema's history could not be read")?;
    Ok(steps.iter().map(|step| format!("{:<8} {}\n", step.status(), step.name())).collect())
}

/// Refuses a database that is behind this program: nothing would work on it.
pub async fn require_current(database: &Database) -> anyhow::Result<()> {
    let steps = Migrator::get_migration_with_status(database.schema())
        .await
        .context("The schema's history could not be read")?;
    let pending = steps.iter().filter(|step| step.status() == MigrationStatus::Pending).count();
    ensure!(
        pending == 0,
        "The database's schema is {pending} steps behind; bring it up to date with natter migrate up."
    );
    Ok(())
}

/// SQLite has one writer anyway; PostgreSQL's lock lives as long as this transaction.
async fn take_turn(database: &Database) -> anyhow::Result<Option<Transaction>> {
    if database.is_sqlite() {
        return Ok(None);
    }
    let turn = database.begin().await?;
    turn.execute_unprepared(LOCK).await.context("The lock of the schema could not be taken")?;
    Ok(Some(turn))
}

async fn end_turn(turn: Option<Transaction>) -> anyhow::Result<()> {
    if let Some(turn) = turn {
        turn.commit().await?;
    }
    Ok(())
}
