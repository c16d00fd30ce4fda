//! Databases of the tests. Each test has a copy of a template that was migrated once.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use tokio::io::AsyncWriteExt;

use crate::application::{ADMIN_EMAIL, PASSWORD};
use crate::instance::{Instance, command};
use crate::place::{natter, wait_until};

/// Database engine that a test run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// Returns the engine that `NATTER_TEST_DATABASE` selects.
    #[must_use]
    pub fn of_this_run() -> Self {
        match std::env::var("NATTER_TEST_DATABASE").as_deref() {
            Ok("postgres") => Self::Postgres,
            Ok("sqlite") | Err(_) => Self::Sqlite,
            Ok(other) => panic!("NATTER_TEST_DATABASE is sqlite or postgres, not {other}"),
        }
    }
}

/// Database of a test. If it was created for the test, it is dropped with this value, even if the
/// test fails.
pub struct TestDatabase {
    pub engine: Engine,
    pub url: String,
    _own: Option<OwnDatabase>,
}

/// Point at which a transaction is made to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Before the commit. If the program is killed meanwhile, nothing of the transaction remains.
    BeforeCommit,
    /// During the commit. PostgreSQL completes a commit that has started, even if the program is
    /// killed.
    InCommit,
}

/// Transactions that [wait](TestDatabase::stop) until this is ended.
pub struct Stopped {
    database: TestDatabase,
    /// Connection that holds the lock for which the transactions wait.
    holder: PgConnection,
    table: String,
}

/// Key of the advisory lock. No other lock uses it.
const STOPPED: i64 = 20_261_126;

/// PostgreSQL database that is dropped with this value. (A SQLite file is deleted with its folder.)
struct OwnDatabase {
    name: String,
}

/// Template: a migrated database with an administrator and signing keys. Each test is a separate
/// process, so the template is in the temporary folder. The first test creates it, and all others
/// use it. At the end of a run, `scripts/test` deletes that folder, and PostgreSQL.
struct Template {
    engine: Engine,
    folder: PathBuf,
    /// Name of the PostgreSQL database.
    name: String,
}

/// File name of a SQLite database.
const FILE: &str = "natter.db";
/// File name of the encryption key.
const KEY_FILE: &str = "encryption-key";

impl OwnDatabase {
    async fn create(from: &str) -> (Self, String) {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        administer(&format!("CREATE DATABASE {name} {from}")).await.expect("database created");
        let url = postgres_url(&name);
        (Self { name }, url)
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // Runs on a separate thread, because no runtime can be started within that of the test. The
        // thread is joined, so that no database remains after the process.
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
    /// Uses the database of a [`crate::PostgresServer`] that the test has started.
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

    /// Copies the template. It is migrated and has an administrator, so that all users who sign up
    /// are ordinary users.
    pub async fn copy(engine: Engine, folder: &Path) -> Self {
        let template = Template::find(engine).await;
        match engine {
            Engine::Sqlite => {
                for file in [FILE, KEY_FILE] {
                    tokio::fs::copy(template.folder.join(file), folder.join(file)).await.expect("template exists");
                }
                Self::file(folder)
            }
            Engine::Postgres => Self::postgres(&format!("TEMPLATE {}", template.name)).await,
        }
    }

    /// Creates a database without tables.
    pub async fn empty(engine: Engine, folder: &Path) -> Self {
        match engine {
            Engine::Sqlite => Self::file(folder),
            Engine::Postgres => Self::postgres("").await,
        }
    }

    /// Executes a query whose result is one integer.
    pub async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.expect("database reachable");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("valid query").get(0)
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("database reachable");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("valid query").get(0)
            }
        }
    }

    /// Executes a query whose result is one text.
    pub async fn text(&self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql.to_owned());
        let found: Option<String> = match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.expect("database reachable");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("valid query").get(0)
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("database reachable");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("valid query").get(0)
            }
        };
        found.unwrap_or_default()
    }

    /// Executes a statement.
    pub async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.expect("database reachable");
                connection.execute(sql).await.expect("valid statement");
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("database reachable");
                connection.execute(sql).await.expect("valid statement");
            }
        }
    }
}

/// Reader that a change of the schema waits for, such as a long dump. It ends with this value.
pub struct TableReader {
    _connection: PgConnection,
}

impl TestDatabase {
    /// Starts a transaction that reads this table. PostgreSQL only.
    pub async fn read_table(&self, table: &str) -> TableReader {
        let mut connection = PgConnection::connect(&self.url).await.expect("database reachable");
        for sql in ["BEGIN".to_owned(), format!("LOCK TABLE {table} IN ACCESS SHARE MODE")] {
            connection.execute(AssertSqlSafe(sql)).await.expect("valid statement");
        }
        TableReader { _connection: connection }
    }

    /// Makes those transactions wait that perform this operation (`INSERT`, `UPDATE`) on rows of
    /// the table that match the condition. PostgreSQL only.
    pub async fn stop(&self, deed: &str, table: &str, row: &str, at: Stop) -> Stopped {
        assert_eq!(self.engine, Engine::Postgres, "transactions can be blocked on PostgreSQL only");
        let mut holder = PgConnection::connect(&self.url).await.expect("database reachable");
        let (kind, when) = match at {
            Stop::BeforeCommit => ("", ""),
            Stop::InCommit => ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED"),
        };
        for sql in [
            format!("SELECT pg_advisory_lock({STOPPED})"),
            format!(
                "CREATE OR REPLACE FUNCTION stand_still() RETURNS trigger AS $$ BEGIN \
                 PERFORM pg_advisory_xact_lock_shared({STOPPED}); RETURN NULL; END $$ LANGUAGE plpgsql"
            ),
            format!(
                "CREATE {kind} TRIGGER stand_still AFTER {deed} ON {table} {when} FOR EACH ROW WHEN ({row}) \
                 EXECUTE FUNCTION stand_still()"
            ),
        ] {
            holder.execute(AssertSqlSafe(sql)).await.expect("valid statement");
        }
        Stopped { database: Self::of_a_server(self.url.clone()), holder, table: table.to_owned() }
    }
}

impl Stopped {
    /// Waits until a transaction is waiting.
    pub async fn reached(&self) {
        let waiting = format!(
            "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {STOPPED} AND NOT granted \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        let database = &self.database;
        wait_until(&format!("a write to {}", self.table), || async { database.number(&waiting).await > 0 }).await;
    }

    /// Waits until another transaction is waiting for a row that a blocked transaction has locked.
    pub async fn waited_for(&self) {
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event_type = 'Lock' AND wait_event IN ('transactionid', 'tuple')";
        let database = &self.database;
        wait_until("one transaction waits for the other", || async { database.number(waiting).await > 0 }).await;
    }

    /// Lets the transactions continue, and waits until they have ended.
    pub async fn end(mut self) {
        for sql in [
            format!("SELECT pg_advisory_unlock({STOPPED})"),
            // Dropping the trigger waits for the transactions that have written to the table.
            format!("DROP TRIGGER stand_still ON {}", self.table),
        ] {
            self.holder.execute(AssertSqlSafe(sql)).await.expect("valid statement");
        }
    }
}

impl Template {
    /// Finds the template for this program on this database server; creates it if there is none.
    async fn find(engine: Engine) -> Self {
        let program = natter();
        let built = program.metadata().and_then(|file| file.modified()).expect("program found");
        let mut hasher = DefaultHasher::new();
        (&program, built, (engine == Engine::Postgres).then(maintenance_url)).hash(&mut hasher);
        let name = format!("template_{:016x}", hasher.finish());
        let folder = std::env::temp_dir().join(format!("natter-{name}"));
        let template = Self { engine, folder, name };
        tokio::fs::create_dir_all(&template.folder).await.expect("a temporary folder");
        let lock = File::create(template.folder.join("made.lock")).expect("a temporary file");
        // The lock is held until it is dropped.
        let _lock =
            tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.expect("a thread").expect("a lock");
        let made = template.folder.join("made");
        if !made.exists() {
            template.make().await;
            File::create(made).expect("a temporary file");
        }
        template
    }

    async fn make(&self) {
        let url = match self.engine {
            // If a template exists at this point, it is incomplete.
            Engine::Sqlite => {
                for left in [FILE, "natter.db-wal", "natter.db-shm", KEY_FILE] {
                    std::fs::remove_file(self.folder.join(left)).ok();
                }
                TestDatabase::file(&self.folder).url
            }
            Engine::Postgres => {
                administer(&format!("DROP DATABASE IF EXISTS {}", self.name)).await.expect("no connection");
                administer(&format!("CREATE DATABASE {}", self.name)).await.expect("database created");
                postgres_url(&self.name)
            }
        };
        let settings = vec![
            ("database.url".to_owned(), url),
            ("database.migrate_on_start".to_owned(), "true".to_owned()),
            ("workspaces.shared".to_owned(), "Home".to_owned()),
            ("server.data_dir".to_owned(), self.folder.display().to_string()),
        ];
        // The first start creates the signing keys, which are the same in all copies.
        let mut instance = Instance::start(&self.folder, &settings).await;
        let ended = instance.terminate().await;
        assert!(ended.success(), "the template's server ended with {ended}");
        create_admin(&self.folder, &settings, ADMIN_EMAIL).await;
        if self.engine == Engine::Sqlite {
            // Moves everything to the main file, so that this can be copied alone.
            TestDatabase::file(&self.folder).run("PRAGMA wal_checkpoint(TRUNCATE)").await;
        }
    }
}

/// Runs `natter admin create` with the password on standard input.
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
