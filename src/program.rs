//! Checks that only the binary can run: of the schema, the configuration and the backups. Used by
//! `natter doctor` and the console.

use std::time::Duration;

use appcore::{
    Clock,
    config::Config,
    view::{Check, CheckAbout, ProfileKind},
};
use dbcontext::Database;
use futures_util::future::{BoxFuture, FutureExt as _};
use ops::checks::{failure, with_timeout};
use platform::Core;

use crate::{backup::Schedule, schema::SchemaState};

/// Interface of a running server to the operations domain.
pub struct Program {
    /// Warnings about parts of the configuration that are ignored.
    pub notes: Vec<String>,
}

impl ops::program::Program for Program {
    fn checks<'a>(&'a self, core: &'a Core) -> BoxFuture<'a, Vec<Check>> {
        async {
            let mut found = configuration(&self.notes);
            if core.db.is_available() {
                found.push(schema(&core.config, &core.db).await);
            }
            found.extend(backups(&core.config).await);
            found
        }
        .boxed()
    }

    #[cfg(feature = "profiling")]
    fn profile(&self, kind: ProfileKind, time: Duration) -> Option<BoxFuture<'static, anyhow::Result<Vec<u8>>>> {
        Some(crate::profile::record(kind, time).boxed())
    }

    #[cfg(not(feature = "profiling"))]
    fn profile(&self, _: ProfileKind, _: Duration) -> Option<BoxFuture<'static, anyhow::Result<Vec<u8>>>> {
        None
    }
}

pub fn configuration(notes: &[String]) -> Vec<Check> {
    const ABOUT: CheckAbout = CheckAbout::Configuration;
    if notes.is_empty() {
        return vec![Check::ok(ABOUT, "all settings are valid")];
    }
    notes.iter().map(|note| Check::warning(ABOUT, note)).collect()
}

/// Checks the database schema.
pub async fn schema(config: &Config, database: &Database) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Database;
    match with_timeout(SchemaState::of(database)).await {
        Ok((SchemaState { pending: 0, newer }, _)) if newer.is_empty() => Check::ok(ABOUT, "its schema is up to date"),
        Ok((standing @ SchemaState { pending: 0, .. }, _)) => {
            Check::warning(ABOUT, standing.newer_warning().unwrap_or_default())
        }
        Ok((SchemaState { pending, .. }, _)) if config.migrate_on_start() => {
            let says = format!("the schema is {pending} steps behind; the next start upgrades it");
            Check::warning(ABOUT, says)
        }
        Ok((SchemaState { pending, .. }, _)) => {
            Check::fault(ABOUT, format!("the schema is {pending} steps behind. Run natter migrate up"))
        }
        Err(error) => {
            let says = format!("{error:#}. Check that this is a Natter database of this version or an older one");
            Check::fault(ABOUT, says)
        }
    }
}

/// Checks the scheduled backups; `None` if none are configured on PostgreSQL, which has its own tools.
pub async fn backups(config: &Config) -> Option<Check> {
    const ABOUT: CheckAbout = CheckAbout::Backups;
    let schedule = match Schedule::of(config) {
        Ok(Some(schedule)) => schedule,
        Ok(None) => {
            let says = "No backups are made. Set backup.every_hours, or make them with natter backup and cron";
            return config.is_embedded().then(|| Check::warning(ABOUT, says));
        }
        Err(error) => return Some(Check::fault(ABOUT, failure::summarize(&error))),
    };
    let last = match with_timeout(schedule.last_backup_at()).await {
        Ok((last, _)) => last,
        Err(error) => {
            return Some(Check::fault(ABOUT, format!("{}. Check backup.url", failure::summarize(&error))));
        }
    };
    let said =
        last.map_or_else(|| "there is none yet".to_owned(), |last| format!("the last one was created at {last}"));
    Some(if schedule.is_overdue(last, Clock::system().now()) {
        Check::fault(ABOUT, format!("{said}. Start the server and search its log for \"backup\""))
    } else {
        Check::ok(ABOUT, said)
    })
}
