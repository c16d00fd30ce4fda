//! Application that is tested: one or several instances, with a separate database.

use std::path::Path;

use futures_util::{StreamExt as _, stream};
use tempfile::TempDir;

use crate::caller::Caller;
use crate::database::{Engine, TestDatabase};
use crate::instance::Instance;
use crate::member::{Anonymous, Member};
use crate::redis::RedisServer;
use crate::upstream::Upstream;

/// Password of all test users.
pub const PASSWORD: &str = "Correct-Horse-9-Battery";
/// Email address of the administrator, who exists in every database.
pub const ADMIN_EMAIL: &str = "admin@example.test";

/// Running application.
pub struct Application {
    pub instances: Vec<Instance>,
    pub database: TestDatabase,
    /// Redis of the instances; `None` if they use SQLite.
    pub redis: Option<RedisServer>,
    settings: Vec<(String, String)>,
    folder: TempDir,
}

/// Configuration with which an application is started.
#[derive(Default)]
pub struct Setup {
    settings: Vec<(String, String)>,
    instances: usize,
    empty: bool,
    engine: Option<Engine>,
    database_url: Option<String>,
}

impl Setup {
    #[must_use]
    pub fn new() -> Self {
        Self { instances: 1, ..Self::default() }
    }

    /// Sets the setting `section.key`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    /// Sets `RUST_LOG`.
    #[must_use]
    pub fn log(self, filter: &str) -> Self {
        self.set(crate::instance::LOG, filter)
    }

    /// Hashes passwords as expensively as in production, for tests that measure the cost.
    #[must_use]
    pub fn full_hashes(self) -> Self {
        self.set(crate::instance::FULL_HASHES, true)
    }

    /// Makes the bus lose, repeat and reorder messages. Equal seeds give equal faults.
    #[must_use]
    pub fn bus_faults(self, seed: u64) -> Self {
        self.set(crate::instance::BUS_FAULTS, seed)
    }

    /// Starts several instances, which always use PostgreSQL and Redis. Such tests belong in a
    /// module `cluster`.
    #[must_use]
    pub fn instances(mut self, count: usize) -> Self {
        self.instances = count;
        self
    }

    /// Starts without tables and without the administrator, as at the very first start.
    #[must_use]
    pub fn from_nothing(mut self) -> Self {
        self.empty = true;
        self
    }

    /// Uses this database engine, whatever the engine of the run is.
    #[must_use]
    pub fn on(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Runs the program of another release. To be combined with [`Self::from_nothing`], so that
    /// this program creates its own tables.
    #[must_use]
    pub fn program(self, path: &Path) -> Self {
        self.set(crate::instance::PROGRAM, path.display())
    }

    /// Uses the database of a [`crate::PostgresServer`] that the test has started.
    #[must_use]
    pub fn database(mut self, url: &str) -> Self {
        self.database_url = Some(url.to_owned());
        self
    }

    /// Adds this AI provider under the name `fake`, with the default model `small`. The provider is
    /// used for answers only; titles of chats are derived without it.
    #[must_use]
    pub fn provider(self, upstream: &Upstream) -> Self {
        self.set("ai.titles", "words")
            .set("ai.providers.fake.kind", upstream.kind().as_str())
            .set("ai.providers.fake.base_url", upstream.url())
            .set("ai.providers.fake.keys", "key-one")
            .set("ai.providers.fake.models", "small,large")
    }

    pub async fn start(self) -> Application {
        let folder = tempfile::Builder::new().prefix("natter-test").tempdir().expect("a temporary folder");
        let usual = if self.instances > 1 { Engine::Postgres } else { Engine::of_this_run() };
        let engine = self.engine.unwrap_or(usual);
        let database = match self.database_url {
            Some(url) => TestDatabase::of_a_server(url),
            None if self.empty => TestDatabase::empty(engine, folder.path()).await,
            None => TestDatabase::copy(engine, folder.path()).await,
        };
        let redis = if database.engine == Engine::Postgres { Some(RedisServer::start().await) } else { None };
        // Default settings of all tests; the settings of the test override them.
        let mut settings = vec![
            ("database.url".to_owned(), database.url.clone()),
            ("database.migrate_on_start".to_owned(), "true".to_owned()),
            ("server.data_dir".to_owned(), folder.path().display().to_string()),
            ("workspaces.shared".to_owned(), "Home".to_owned()),
            ("uploads.url".to_owned(), folder.path().join("uploads").display().to_string()),
            ("rate_limit.enabled".to_owned(), "false".to_owned()),
        ];
        settings.extend(redis.iter().map(|redis| ("redis.url".to_owned(), redis.url())));
        for (key, value) in self.settings {
            settings.retain(|(known, _)| *known != key);
            settings.push((key, value));
        }
        let mut instances = Vec::new();
        // Starts the instances one after the other, because only the first one migrates the
        // database.
        for _ in 0..self.instances {
            instances.push(Instance::start(folder.path(), &settings).await);
        }
        Application { instances, database, redis, settings, folder }
    }
}

impl Application {
    /// Starts one instance with the default test settings.
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    /// Starts another instance with the same settings.
    pub async fn add_instance(&mut self) {
        self.instances.push(Instance::start(self.folder.path(), &self.settings).await);
    }

    /// Uses the program under test for commands and further instances. Instances that are running
    /// stay.
    pub fn upgrade(&mut self) {
        self.settings.retain(|(key, _)| key != crate::instance::PROGRAM);
    }

    /// Uses another program for commands and further instances.
    pub fn downgrade(&mut self, program: &Path) {
        self.settings.push((crate::instance::PROGRAM.to_owned(), program.display().to_string()));
    }

    /// Starts another instance that uses the same database but another Redis.
    pub async fn add_instance_on(&mut self, redis: &RedisServer) {
        self.add_instance_with(&[("redis.url", &redis.url())]).await;
    }

    /// Starts another instance that differs from the others in these settings.
    pub async fn add_instance_with(&mut self, different: &[(&str, &str)]) {
        let mut settings = self.settings.clone();
        settings.retain(|(key, _)| different.iter().all(|(other, _)| key != other));
        settings.extend(different.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        self.instances.push(Instance::start(self.folder.path(), &settings).await);
    }

    #[must_use]
    pub fn url(&self) -> String {
        self.instances[0].url()
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the source of the latest email to this address in the outbox that contains `text`.
    /// For tests without a mail server.
    pub async fn outbox(&self, address: &str, text: &str) -> String {
        let folder = self.folder.path().join("outbox");
        let find = || {
            let mut files: Vec<_> =
                std::fs::read_dir(&folder).ok()?.filter_map(|file| Some(file.ok()?.path())).collect();
            files.retain(|file| file.extension().is_some_and(|extension| extension == "eml"));
            files.sort();
            // Joins long lines, which quoted-printable encoding has split.
            let mails =
                files.iter().rev().filter_map(|file| Some(std::fs::read_to_string(file).ok()?.replace("=\r\n", "")));
            let to = format!("To: {address}\r\n");
            mails.into_iter().find(|mail| mail.contains(&to) && mail.contains(text))
        };
        let mut found = None;
        crate::wait_until(&format!("a mail with {text:?} to {address}"), || {
            found = find();
            std::future::ready(found.is_some())
        })
        .await;
        found.unwrap_or_default()
    }

    /// Returns the token from the latest email to this address that links to `page`.
    pub async fn mailed_token(&self, address: &str, page: &str) -> String {
        let mail = self.outbox(address, &format!("/{page}?token=")).await;
        crate::mail_server::token(&mail, page).unwrap_or_default()
    }

    /// Verifies the address of a member by the email in the outbox.
    pub async fn verify(&self, member: &Member) {
        let token = self.mailed_token(&member.email, "verify-email").await;
        member.post("/r1/auth/verify-email", serde_json::json!({ "token": token })).await.data_with(200);
    }

    /// Settings of the instances.
    #[must_use]
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Runs a `natter` command with the settings of the instances. Returns its output, whatever the
    /// exit status is.
    pub async fn command(&self, arguments: &[&str]) -> std::process::Output {
        crate::instance::command(self.folder.path(), &self.settings)
            .args(arguments)
            .output()
            .await
            .expect("natter starts")
    }

    /// Returns a caller without credentials.
    #[must_use]
    pub fn anonymous(&self) -> Anonymous {
        Anonymous(Caller::anonymous(&self.url()))
    }

    /// Signs up a user, who authenticates by a bearer token.
    pub async fn sign_up(&self, name: &str) -> Member {
        Member::sign_up(&self.url(), name).await
    }

    /// Signs up this number of users, a few at a time. Hashing passwords takes long, and requests
    /// time out after five seconds.
    pub async fn crowd(&self, count: usize) -> Vec<Member> {
        let people = (0..count).map(|n| async move { self.sign_up(&format!("Person {n}")).await });
        stream::iter(people).buffered(4).collect().await
    }

    /// Signs up a user, who authenticates by cookies as a browser does.
    pub async fn sign_up_browser(&self, name: &str) -> Member {
        Member::sign_up_browser(&self.url(), name).await
    }

    /// Signs in as the administrator.
    pub async fn admin(&self) -> Member {
        Member::sign_in(&self.url(), ADMIN_EMAIL, PASSWORD).await
    }
}
