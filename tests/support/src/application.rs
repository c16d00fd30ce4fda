//! The application under test: one instance or several, with a database of their own.

use std::path::Path;

use futures_util::{StreamExt as _, stream};
use tempfile::TempDir;

use crate::caller::Caller;
use crate::database::{Engine, TestDatabase};
use crate::instance::Instance;
use crate::member::{Anonymous, Member};
use crate::redis::RedisServer;
use crate::upstream::Upstream;

/// The password of everybody in the tests.
pub const PASSWORD: &str = "Correct-Horse-9-Battery";
/// The administrator that is in every database.
pub const ADMIN_EMAIL: &str = "admin@example.test";

/// A running application.
pub struct Application {
    pub instances: Vec<Instance>,
    pub database: TestDatabase,
    /// What the instances are connected by; none on SQLite.
    pub redis: Option<RedisServer>,
    settings: Vec<(String, String)>,
    folder: TempDir,
}

/// What an application is to be like.
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

    /// Sets `section.key`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    /// Logs so much: what `RUST_LOG` says.
    #[must_use]
    pub fn log(self, filter: &str) -> Self {
        self.set(crate::instance::LOG, filter)
    }

    /// Hashes passwords as in production, for tests of what that costs.
    #[must_use]
    pub fn full_hashes(self) -> Self {
        self.set(crate::instance::FULL_HASHES, true)
    }

    /// More than one instance: always on PostgreSQL and Redis, so put such a test into the module `cluster`.
    #[must_use]
    pub fn instances(mut self, count: usize) -> Self {
        self.instances = count;
        self
    }

    /// Without the administrator and without tables: as it is at the very first start.
    #[must_use]
    pub fn from_nothing(mut self) -> Self {
        self.empty = true;
        self
    }

    /// On this engine, whatever the run is made on.
    #[must_use]
    pub fn on(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// As another release: its program, not the one that is tested. With [`Self::from_nothing`], so that it makes its own tables.
    #[must_use]
    pub fn program(self, path: &Path) -> Self {
        self.set(crate::instance::PROGRAM, path.display())
    }

    /// With a database that somebody else has made: a [`crate::PostgresServer`] of the test's own.
    #[must_use]
    pub fn database(mut self, url: &str) -> Self {
        self.database_url = Some(url.to_owned());
        self
    }

    /// With this AI provider, under the name `fake`, its model `small` the default. It is asked for answers only: chats are named by words.
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
        // What the tests want to be otherwise than the defaults; a test's own settings go over these.
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
        // One after the other: only the first finds a database to migrate.
        for _ in 0..self.instances {
            instances.push(Instance::start(folder.path(), &settings).await);
        }
        Application { instances, database, redis, settings, folder }
    }
}

impl Application {
    /// One instance with the settings of the tests.
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    /// One more instance with the same settings.
    pub async fn add_instance(&mut self) {
        self.instances.push(Instance::start(self.folder.path(), &self.settings).await);
    }

    /// From here on commands and new instances are of the program that is tested; those that run stay what they are.
    pub fn upgrade(&mut self) {
        self.settings.retain(|(key, _)| key != crate::instance::PROGRAM);
    }

    /// … and from here on of this other one.
    pub fn downgrade(&mut self, program: &Path) {
        self.settings.push((crate::instance::PROGRAM.to_owned(), program.display().to_string()));
    }

    /// One more instance on the same database, with another bus.
    pub async fn add_instance_on(&mut self, redis: &RedisServer) {
        let mut settings = self.settings.clone();
        settings.retain(|(key, _)| key != "redis.url");
        settings.push(("redis.url".to_owned(), redis.url()));
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

    /// The newest mail to this address in the outbox whose source has this in it: for tests without a mail server.
    pub async fn outbox(&self, address: &str, text: &str) -> String {
        let folder = self.folder.path().join("outbox");
        let find = || {
            let mut files: Vec<_> =
                std::fs::read_dir(&folder).ok()?.filter_map(|file| Some(file.ok()?.path())).collect();
            files.retain(|file| file.extension().is_some_and(|extension| extension == "eml"));
            files.sort();
            // Long lines are folded by quoted-printable.
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

    /// The token of the newest mail to this address that links to `page`.
    pub async fn mailed_token(&self, address: &str, page: &str) -> String {
        let mail = self.outbox(address, &format!("/{page}?token=")).await;
        crate::mail_server::token(&mail, page).unwrap_or_default()
    }

    /// Shows that somebody's address is theirs, by the mail in the outbox.
    pub async fn verify(&self, member: &Member) {
        let token = self.mailed_token(&member.email, "verify-email").await;
        member.post("/r1/auth/verify-email", serde_json::json!({ "token": token })).await.data_with(200);
    }

    /// What the instances were started with.
    #[must_use]
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// `natter …` with the settings of the instances: what it printed, whatever it ended with.
    pub async fn command(&self, arguments: &[&str]) -> std::process::Output {
        crate::instance::command(self.folder.path(), &self.settings)
            .args(arguments)
            .output()
            .await
            .expect("natter starts")
    }

    /// Nobody in particular.
    #[must_use]
    pub fn anonymous(&self) -> Anonymous {
        Anonymous(Caller::anonymous(&self.url()))
    }

    /// A new account, signed in with a bearer token.
    pub async fn sign_up(&self, name: &str) -> Member {
        Member::sign_up(&self.url(), name).await
    }

    /// So many new accounts. Few at a time: hashes of passwords take their turns, and nobody waits for longer than five seconds.
    pub async fn crowd(&self, count: usize) -> Vec<Member> {
        let people = (0..count).map(|n| async move { self.sign_up(&format!("Person {n}")).await });
        stream::iter(people).buffered(4).collect().await
    }

    /// A new account, signed in with cookies as a browser is.
    pub async fn sign_up_browser(&self, name: &str) -> Member {
        Member::sign_up_browser(&self.url(), name).await
    }

    /// The administrator.
    pub async fn admin(&self) -> Member {
        Member::sign_in(&self.url(), ADMIN_EMAIL, PASSWORD).await
    }
}
