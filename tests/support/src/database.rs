//! A database per test, made as a copy of one that was migrated once.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::sync::OnceCell;

use crate::application::{ADMIN_EMAIL, PASSWORD};
use crate::instance::{Instance, command};

/// What a run of the tests is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// As `NATTER_TEST_DATABASE` says.
    #[must_use]
    pub fn of_this_run() -> Self {
        match std::env::var("NATTER_TEST_DATABASE").as_deref() {
            Ok("postgres") => Self::Postgres,
            Ok("sqlite") | Err(_) => Self::Sqlite,
            Ok(other) => panic!("NATTER_TEST_DATABASE is sqlite or postgres, not {other}"),
        }
    }
}

/// The database of one test. One that was made for it is dropped with it, also when the test fails.
pub struct TestDatabase {
    pub engine: Engine,
    pub url: String,
    _own: Option<OwnDatabase>,
}

/// A PostgreSQL database that nobody needs once this is dropped. (A SQLite file goes with its folder.)
struct OwnDatabase {
    name: String,
}

/// Migrated, with an administrator and signing keys in it.
struct Template {
    /// A file, or the name of a database.
    name: String,
    /// Hold what the copies are made of. Statics are not dropped: `scripts/test` removes the folders of a run.
    _folder: TempDir,
    _database: TestDatabase,
}

/// The name of a SQLite database in its folder.
const FILE: &str = "natter.db";
/// What its secrets are sealed with.
const KEY_FILE: &str = "encryption-key";

static SQLITE: OnceCell<Template> = OnceCell::const_new();
static POSTGRES: OnceCell<Template> = OnceCell::const_new();

impl OwnDatabase {
    async fn create(from: &str) -> (Self, String) {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        administer(&format!("CREATE DATABASE {name} {from}")).await.expect("the database can be made");
        let url = postgres_url(&name);
        (Self { name }, url)
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // On a thread of its own: a runtime can't be started within the test's. Waited for, so that no database outlives the process.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(Err(error)) = runtime.map(|runtime| runtime.block_on(administer(&sql))) {
                eprintln!("{sql}: {error}");
            }
        });
        dropping.join().ok();
    }
}

impl TestDatabase {
    /// One that somebody else has made, and removes: a [`crate::PostgresServer`] of the test's own.
    #[must_use]
    pub fn of_a_server(url: String) -> Self {
        Self { engine: Engine::Postgres, url, _own: None }
    }

    fn file(folder: &Path) -> Self {
        Self { engine: Engine::Sqlite, url: sqlite_url(&folder.join(FILE)), _own: None }
    }

    async fn postgres(from: &str) -> Self {
        let (own, url) = OwnDatabase::create(from).await;
        Self { engine: Engine::Postgres, url, _own: Some(own) }
    }

    /// A copy of the template: migrated, with an administrator in it, so that everyone who signs up is an ordinary user.
    pub async fn copy(engine: Engine, folder: &Path) -> Self {
        match engine {
            Engine::Sqlite => {
                let template = SQLITE.get_or_init(|| Template::make(engine)).await;
                tokio::fs::copy(&template.name, folder.join(FILE)).await.expect("the template is there");
                let key = Path::new(&template.name).with_file_name(KEY_FILE);
                tokio::fs::copy(key, folder.join(KEY_FILE)).await.expect("the template has a key");
                Self::file(folder)
            }
            Engine::Postgres => {
                let template = POSTGRES.get_or_init(|| Template::make(engine)).await;
                Self::postgres(&format!("TEMPLATE {}", template.name)).await
            }
        }
    }

    /// Nothing in it: not even tables.
    pub async fn empty(engine: Engine, folder: &Path) -> Self {
        match engine {
            Engine::Sqlite => Self::file(folder),
            Engine::Postgres => Self::postgres("").await,
        }
    }

    /// What a query of one whole number answers.
    pub async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.expect("the database is there");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("the query is right").get(0)
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("the database is there");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("the query is right").get(0)
            }
        }
    }

    /// What a query of one text answers.
    pub async fn text(&self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql.to_owned());
        let found: Option<String> = match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.expect("the database is there");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("the query is right").get(0)
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("the database is there");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("the query is right").get(0)
            }
        };
        found.unwrap_or_default()
    }

    /// Runs a statement.
    pub async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.expect("the database is there");
                connection.execute(sql).await.expect("the statement is right");
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("the database is there");
                connection.execute(sql).await.expect("the statement is right");
            }
        }
    }
}

impl Template {
    async fn make(engine: Engine) -> Self {
        let folder = tempfile::Builder::new().prefix("natter-template").tempdir().expect("a temporary folder");
        let database = TestDatabase::empty(engine, folder.path()).await;
        let settings = vec![
            ("database.url".to_owned(), database.url.clone()),
            ("database.migrate_on_start".to_owned(), "true".to_owned()),
            ("workspaces.shared".to_owned(), "Home".to_owned()),
            ("server.data_dir".to_owned(), folder.path().display().to_string()),
        ];
        // Its first start makes the signing keys, which every copy then has.
        let mut instance = Instance::start(folder.path(), &settings).await;
        let ended = instance.terminate().await;
        assert!(ended.success(), "the template's server ended with {ended}");
        create_admin(folder.path(), &settings, ADMIN_EMAIL).await;
        let name = match engine {
            Engine::Sqlite => {
                // Into the file itself, so that it can be copied alone.
                database.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
                folder.path().join(FILE).display().to_string()
            }
            Engine::Postgres => database.url.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        Self { name, _folder: folder, _database: database }
    }
}

/// `natter admin create`, the password by its standard input.
pub(crate) async fn create_admin(folder: &Path, settings: &[(String, String)], email: &str) {
    let mut child = command(folder, settings)
        .args(["admin", "create", "--email", email, "--name", "Admin", "--password-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("natter starts");
    let mut input = child.stdin.take().expect("stdin is piped");
    input.write_all(PASSWORD.as_bytes()).await.expect("it reads");
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "natter admin create: {}", String::from_utf8_lossy(&output.stderr));
}

fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}", PathBuf::from(file).display())
}

fn maintenance_url() -> String {
    std::env::var("NATTER_TEST_POSTGRES")
        .expect("NATTER_TEST_POSTGRES names a PostgreSQL server; scripts/test starts one")
}

fn postgres_url(name: &str) -> String {
    let url = maintenance_url();
    let (server, _) = url.rsplit_once('/').expect("an address of a database");
    format!("{server}/{name}")
}

async fn administer(sql: &str) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(&maintenance_url()).await?;
    connection.execute(AssertSqlSafe(sql.to_owned())).await?;
    connection.close().await
}
