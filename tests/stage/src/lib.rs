//! Databases for the tests of domain crates. Tests control the clock of the instances on them.
//! There is neither HTTP nor another process.

mod people;
mod services;

use std::{collections::BTreeMap, ffi::OsString, sync::Arc, time::Duration};

use appcore::{
    Clock, InstanceId, Timestamp,
    config::{self, Config, SettingsTable},
    event::{EventBus, MemoryBus},
};
use dbcontext::Database;
use migration::{Migrator, MigratorTrait};
use platform::Core;
use tempfile::TempDir;

pub use people::{PASSWORD, create_workspace, email, newcomer, principal, sign_in, sign_up};
pub use services::{new_postgres_database, redis_pool, unreachable_redis};

/// Database, with the clock and the bus that all instances on it share.
pub struct Stage {
    pub clock: Clock,
    url: String,
    bus: Arc<MemoryBus>,
    folder: TempDir,
}

/// Returns a stage on SQLite, and one on PostgreSQL if `NATTER_TEST_POSTGRES` names a server.
pub async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    stages.push(Stage::on(format!("sqlite://{}", folder.path().join("natter.db").display()), folder).await);
    if let Some(url) = new_postgres_database().await {
        stages.push(Stage::on(url, tempfile::tempdir().unwrap()).await);
    }
    stages
}

impl Stage {
    async fn on(url: String, folder: TempDir) -> Self {
        let database = Database::connect(&url, 2).await.unwrap();
        Migrator::up(database.schema(), None).await.unwrap();
        database.close().await.unwrap();
        Self { clock: Clock::stopped_at(Timestamp(1_800_000_000_000)), url, bus: Arc::new(MemoryBus::new()), folder }
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Opens another connection to the database.
    pub async fn database(&self) -> Database {
        Database::connect(&self.url, 4).await.unwrap()
    }

    /// Returns the test configuration, in which `settings` override the defaults.
    pub fn config(&self, table: &SettingsTable, settings: &[(&str, &str)]) -> Config {
        let folder = self.folder.path().to_string_lossy();
        let usual = [
            ("database.url", self.url.as_str()),
            ("server.data_dir", &folder),
            ("workspaces.shared", "Home"),
            ("auth.failed_signins", "1000"),
            ("gateway.default_rpm", "0"),
        ];
        let merged: BTreeMap<&str, &str> = usual.into_iter().chain(settings.iter().copied()).collect();
        let environment = merged.into_iter().map(|(key, value)| {
            (OsString::from(format!("NATTER__{}", key.replace('.', "__").to_uppercase())), OsString::from(value))
        });
        config::load_table(table, None, environment).unwrap().config
    }

    /// Starts another instance on the same database and bus.
    pub async fn core(&self, config: Config) -> anyhow::Result<Arc<Core>> {
        self.core_on(config, Arc::clone(&self.bus) as _).await
    }

    /// Starts an instance that has a separate bus.
    pub async fn core_on(&self, config: Config, bus: Arc<dyn EventBus>) -> anyhow::Result<Arc<Core>> {
        let database = self.database().await;
        Core::build(Arc::new(config), InstanceId::new(), self.clock.clone(), database, bus, None).await
    }

    /// Advances the clock by this number of seconds.
    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Lets other tasks run until the condition holds.
pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("condition timed out");
}
