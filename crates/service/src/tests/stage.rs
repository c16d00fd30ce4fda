//! Instances of the services on a database of their own, without HTTP.

use std::{collections::BTreeMap, ffi::OsString, sync::Arc, time::Duration};

use appcore::{
    AppError, Clock, InstanceId, Language, RequestSource, Timestamp,
    auth::Principal,
    config::{self, Config},
    event::{EventBus, MemoryBus},
};
use dbcontext::Database;
use identity::accounts::{self, Device, SignUp, SignedIn, TokenPair};
use migration::{Migrator, MigratorTrait};
use sea_orm::ConnectionTrait;
use tempfile::TempDir;

use crate::App;

/// Somebody at this machine.
const HERE: RequestSource = RequestSource { address: None, is_foreign_page: false, is_local: true, country: None };

pub(crate) const PASSWORD: &str = "Tr1ckyHorse";

/// A database, and what instances on it have in common.
pub(crate) struct Stage {
    pub(crate) clock: Clock,
    url: String,
    bus: Arc<MemoryBus>,
    folder: TempDir,
}

/// SQLite, and PostgreSQL where `NATTER_TEST_POSTGRES` names a server. A full run must not do without.
pub(crate) async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    stages.push(Stage::on(format!("sqlite://{}", folder.path().join("natter.db").display()), folder).await);
    match std::env::var("NATTER_TEST_POSTGRES") {
        Ok(maintenance) => {
            let name = format!("service_{}", uuid::Uuid::new_v4().simple());
            let server = sea_orm::Database::connect(&maintenance).await.unwrap();
            server.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
            let url = format!("{}/{name}", maintenance.rsplit_once('/').unwrap().0);
            stages.push(Stage::on(url, tempfile::tempdir().unwrap()).await);
        }
        Err(_) => {
            assert_ne!(
                std::env::var("NATTER_TEST_REQUIRE_SERVICES").as_deref(),
                Ok("1"),
                "NATTER_TEST_POSTGRES is not set"
            );
        }
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

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// As the tests need it, and then as `settings` say.
    pub(crate) fn config(&self, settings: &[(&str, &str)]) -> Config {
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
        let table = config::Table::with(crate::payments::settings());
        config::load_with(&table, None, environment).unwrap().config
    }

    /// One more instance on the same database and bus.
    pub(crate) async fn try_instance(&self, settings: &[(&str, &str)]) -> anyhow::Result<Arc<App>> {
        self.build(settings, Arc::clone(&self.bus) as _).await
    }

    async fn build(&self, settings: &[(&str, &str)], bus: Arc<dyn EventBus>) -> anyhow::Result<Arc<App>> {
        let config = Arc::new(self.config(settings));
        let database = Database::connect(&self.url, 4).await.unwrap();
        App::build(config, InstanceId::new(), self.clock.clone(), database, bus, None).await
    }

    /// An instance with a bus of its own.
    pub(crate) async fn instance_on(&self, bus: Arc<dyn EventBus>) -> Arc<App> {
        self.build(&[], bus).await.unwrap()
    }

    pub(crate) async fn instance(&self) -> Arc<App> {
        self.try_instance(&[]).await.unwrap()
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Signs somebody up by name.
pub(crate) async fn sign_up(app: &App, name: &str) -> TokenPair {
    accounts::signup(&app.identity, newcomer(name), Device::default().sent_by(HERE)).await.unwrap()
}

/// Signs somebody in who has no second factor.
pub(crate) async fn sign_in(app: &App, email: &str, password: &str, device: Device) -> Result<TokenPair, AppError> {
    match accounts::signin(&app.identity, email, password, device).await? {
        SignedIn::Tokens(pair) => Ok(*pair),
        SignedIn::SecondFactor(challenge) => panic!("a second factor is asked for: {:?}", challenge.methods),
    }
}

pub(crate) fn newcomer(name: &str) -> SignUp {
    SignUp {
        email: email(name),
        password: PASSWORD.to_owned(),
        display_name: name.to_owned(),
        invitation: None,
        setup_token: None,
        language: Language::En,
    }
}

pub(crate) fn email(name: &str) -> String {
    format!("{}@example.com", name.to_lowercase())
}

/// Who shows these tokens.
pub(crate) async fn principal(app: &App, pair: &TokenPair) -> Principal {
    accounts::authenticate(&app.identity, pair.access_token.expose()).await.unwrap()
}

/// Gives other tasks their turn until something has come true.
pub(crate) async fn until(mut come_true: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !come_true().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it did not come true");
}
