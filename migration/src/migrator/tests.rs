//! Tests of the migrator: on SQLite, and on PostgreSQL if `NATTER_TEST_POSTGRES` names a server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use sea_orm::{ConnectOptions, Database};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::Migrator;

/// Migration that creates a table; `down` drops it.
#[derive(Clone, Copy)]
struct Step {
    table: &'static str,
    /// True if `up` fails after it has created the table.
    fails: bool,
    use_transaction: Option<bool>,
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(Table::create().table(self.table).col(big_integer("id")).to_owned()).await?;
        if self.fails { Err(DbErr::Custom("failed on purpose".to_owned())) } else { Ok(()) }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(self.table).to_owned()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        self.use_transaction
    }
}

const ONE: Step = Step { table: "one", fails: false, use_transaction: None };
const TWO: Step = Step { table: "two", fails: false, use_transaction: None };
const THREE: Step = Step { table: "three", fails: false, use_transaction: None };

/// Lists the migrations, each named after its table.
fn list(steps: &[Step]) -> Vec<NamedMigration> {
    steps.iter().map(|step| NamedMigration::new(step.table, *step)).collect()
}

struct Fixture {
    db: DatabaseConnection,
    _folder: Option<TempDir>,
}

/// Creates an empty database of each kind.
async fn each() -> Vec<Fixture> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
    let mut all = vec![Fixture { db: connect(file).await, _folder: Some(folder) }];
    if let Ok(server) = std::env::var("NATTER_TEST_POSTGRES") {
        let name = format!("migrator_{}", Uuid::now_v7().simple());
        let maintenance = connect(server.clone()).await;
        maintenance.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (head, _) = server.rsplit_once('/').unwrap();
        all.push(Fixture { db: connect(format!("{head}/{name}")).await, _folder: None });
    }
    all
}

async fn connect(url: String) -> DatabaseConnection {
    Database::connect(ConnectOptions::new(url).max_connections(2).to_owned()).await.unwrap()
}

impl Fixture {
    async fn up(&self, steps: &[Step]) -> Result<(), DbErr> {
        up(&self.db, list(steps), None).await
    }

    async fn run(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    async fn applied(&self) -> Vec<String> {
        applied(&self.db).await.unwrap()
    }

    fn is_postgres(&self) -> bool {
        self.db.get_database_backend() == DatabaseBackend::Postgres
    }

    async fn count(&self, from: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) AS found FROM {from}");
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        self.db.query_one_raw(statement).await.unwrap().unwrap().try_get("", "found").unwrap()
    }

    async fn has_index(&self, name: &str) -> bool {
        let (catalog, column) =
            if self.is_postgres() { ("pg_indexes", "indexname") } else { ("sqlite_master", "name") };
        self.count(&format!("{catalog} WHERE {column} = '{name}'")).await == 1
    }

    /// Returns the names of all tables except the one with the records.
    async fn tables(&self) -> Vec<String> {
        let sql = if self.is_postgres() {
            "SELECT CAST(tablename AS text) AS name FROM pg_tables WHERE schemaname = CURRENT_SCHEMA() ORDER BY 1"
        } else {
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1"
        };
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        let rows = self.db.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get("", "name").unwrap()).filter(|name| name != TABLE).collect()
    }

    async fn has_table(&self, name: &str) -> bool {
        self.db.execute_unprepared(&format!("SELECT 1 FROM {name}")).await.is_ok()
    }

    /// Returns the records: names of the applied migrations with their times.
    async fn records(&self) -> Vec<(String, i64)> {
        let sql = format!("SELECT {VERSION}, {APPLIED_AT} FROM {TABLE} ORDER BY {VERSION}");
        let rows = self.db.query_all_raw(Statement::from_string(self.db.get_database_backend(), sql)).await.unwrap();
        rows.iter().map(|row| (row.try_get("", VERSION).unwrap(), row.try_get("", APPLIED_AT).unwrap())).collect()
    }
}

fn names(migrations: &[NamedMigration]) -> Vec<&str> {
    migrations.iter().map(NamedMigration::name).collect()
}

#[test]
fn migrations_are_listed_in_the_order_of_their_files_and_named_after_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut stems: Vec<String> = files.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned())).collect();
    stems.retain(|stem| stem.starts_with("m0"));
    stems.sort();
    assert!(!stems.is_empty(), "no files were found");
    assert_eq!(names(&Migrator::migrations()), stems);
}

#[tokio::test]
async fn a_database_of_the_baseline_is_upgraded_with_its_rows_and_back() {
    let baseline = Migrator::migrations().iter().position(|step| step.name() == "m0008_ops").unwrap() + 1;
    for fixture in each().await {
        Migrator::up(&fixture.db, u32::try_from(baseline).ok()).await.unwrap();
        let id = Uuid::nil();
        let id = if fixture.is_postgres() { format!("'{id}'") } else { format!("x'{}'", id.simple()) };
        fixture
            .run(&format!(
                "INSERT INTO jobs (id, kind, concurrency_key, subject, payload, status, due_at, created_at, updated_at) \
                 VALUES ({id}, 'answer', 'lane', {id}, '{{}}', 'waiting', 1, 1, 1)"
            ))
            .await;
        assert!(!fixture.has_index("jobs_awaiting_turn").await);

        Migrator::up(&fixture.db, None).await.unwrap();
        assert!(fixture.has_index("jobs_awaiting_turn").await);
        assert_eq!(fixture.count("jobs").await, 1);

        let added = Migrator::migrations().len() - baseline;
        Migrator::down(&fixture.db, u32::try_from(added).ok()).await.unwrap();
        assert!(!fixture.has_index("jobs_awaiting_turn").await);
        assert_eq!(fixture.count("jobs").await, 1);
    }
}

#[tokio::test]
async fn each_migration_is_applied_and_reverted_alone() {
    for fixture in each().await {
        let mut before = Vec::new();
        for _ in Migrator::migrations() {
            before.push(fixture.tables().await);
            Migrator::up(&fixture.db, Some(1)).await.unwrap();
        }
        while let Some(tables) = before.pop() {
            Migrator::down(&fixture.db, Some(1)).await.unwrap();
            assert_eq!(fixture.tables().await, tables);
        }
    }
}

#[tokio::test]
async fn a_database_of_an_unreleased_build_is_recognised() {
    for fixture in each().await {
        fixture.up(&[Step { table: "m0001_accounts", ..ONE }]).await.unwrap();
        assert!(is_unreleased(&fixture.applied().await));
        Migrator::up(&fixture.db, None).await.unwrap_err();
        assert!(!fixture.has_table("users").await);
    }
    let migrations = Migrator::migrations();
    assert!(!is_unreleased(&migrations.iter().map(|migration| migration.name().to_owned()).collect::<Vec<_>>()));
}

#[tokio::test]
async fn all_migrations_are_applied_once_and_reverted() {
    for fixture in each().await {
        let started = unix_seconds();
        Migrator::up(&fixture.db, None).await.unwrap();
        let records = fixture.records().await;
        assert_eq!(names(&Migrator::migrations()), records.iter().map(|(name, _)| name).collect::<Vec<_>>());
        assert!(records.iter().all(|(_, at)| (started..=unix_seconds()).contains(at)), "{records:?}");
        assert_eq!(fixture.applied().await, names(&Migrator::migrations()));

        fixture.run(&format!("UPDATE {TABLE} SET {APPLIED_AT} = 1")).await;
        Migrator::up(&fixture.db, None).await.unwrap();
        assert!(fixture.records().await.iter().all(|(_, at)| *at == 1), "a second run applies nothing");

        Migrator::down(&fixture.db, None).await.unwrap();
        assert!(fixture.applied().await.is_empty());
        assert!(!fixture.has_table("users").await);
    }
}

/// Each release must be able to read the table that an earlier release has created.
#[tokio::test]
async fn the_table_of_records_is_stable() {
    const SQLITE: &str =
        r#"CREATE TABLE "seaql_migrations" ( "version" varchar NOT NULL PRIMARY KEY, "applied_at" integer NOT NULL )"#;
    for fixture in each().await {
        fixture.up(&[]).await.unwrap();
        let backend = fixture.db.get_database_backend();
        let (sql, expected) = if backend == DatabaseBackend::Postgres {
            let columns = format!(
                "SELECT string_agg(concat_ws(' ', column_name, data_type, is_nullable), ', ' ORDER BY ordinal_position) AS found \
                 FROM information_schema.columns WHERE table_name = '{TABLE}'"
            );
            (columns, "version character varying NO, applied_at bigint NO")
        } else {
            (format!("SELECT sql AS found FROM sqlite_master WHERE type = 'table' AND name = '{TABLE}'"), SQLITE)
        };
        let row = fixture.db.query_one_raw(Statement::from_string(backend, sql)).await.unwrap().unwrap();
        assert_eq!(row.try_get::<String>("", "found").unwrap(), expected);
    }
}

#[tokio::test]
async fn steps_are_limited_in_both_directions() {
    for fixture in each().await {
        let all = [ONE, TWO, THREE];
        up(&fixture.db, list(&all), Some(1)).await.unwrap();
        assert_eq!(fixture.applied().await, ["one"]);
        up(&fixture.db, list(&all), Some(0)).await.unwrap();
        assert_eq!(fixture.applied().await, ["one"]);
        up(&fixture.db, list(&all), Some(9)).await.unwrap();
        assert_eq!(fixture.applied().await, ["one", "three", "two"]);
        down(&fixture.db, list(&all), Some(2)).await.unwrap();
        assert_eq!(fixture.applied().await, ["one"]);
        assert!(fixture.has_table("one").await && !fixture.has_table("two").await && !fixture.has_table("three").await);
    }
}

/// A migration that is merged later may have a lower number than an applied one; it is applied too.
#[tokio::test]
async fn a_migration_before_an_applied_one_is_applied() {
    for fixture in each().await {
        fixture.up(&[ONE, THREE]).await.unwrap();
        fixture.up(&[ONE, TWO, THREE]).await.unwrap();
        assert_eq!(fixture.applied().await, ["one", "three", "two"]);
    }
}

#[tokio::test]
async fn a_failed_migration_in_a_transaction_leaves_nothing() {
    for fixture in each().await {
        let is_postgres = fixture.is_postgres();
        for use_transaction in [Some(true), None].into_iter().filter(|wanted| wanted.is_some() || is_postgres) {
            let failing = Step { fails: true, use_transaction, ..TWO };
            let error = fixture.up(&[ONE, failing, THREE]).await.unwrap_err();
            assert!(error.to_string().contains("failed on purpose"), "{error}");
            assert_eq!(fixture.applied().await, ["one"]);
            assert!(!fixture.has_table("two").await && !fixture.has_table("three").await);
        }
        fixture.up(&[ONE, TWO, THREE]).await.unwrap();
        assert_eq!(fixture.applied().await, ["one", "three", "two"]);
    }
}

#[tokio::test]
async fn a_failed_migration_without_a_transaction_is_not_recorded() {
    for fixture in each().await {
        let is_postgres = fixture.is_postgres();
        let failing = Step { fails: true, use_transaction: is_postgres.then_some(false), ..TWO };
        fixture.up(&[ONE, failing]).await.unwrap_err();
        assert_eq!(fixture.applied().await, ["one"]);
        assert!(fixture.has_table("two").await);
    }
}

#[tokio::test]
async fn a_database_with_an_unknown_migration_is_left_alone() {
    for fixture in each().await {
        fixture.up(&[ONE, THREE]).await.unwrap();
        for error in [
            fixture.up(&[ONE, TWO]).await.unwrap_err(),
            down(&fixture.db, list(&[ONE, TWO]), Some(1)).await.unwrap_err(),
        ] {
            assert!(matches!(&error, DbErr::Migration(text) if text.ends_with(": three")), "{error:?}");
        }
        assert_eq!(fixture.applied().await, ["one", "three"]);
        assert!(fixture.has_table("one").await && !fixture.has_table("two").await);
    }
}

#[tokio::test]
async fn the_applied_migrations_of_an_empty_database_are_read_without_a_table() {
    for fixture in each().await {
        assert!(fixture.applied().await.is_empty());
        down(&fixture.db, list(&[ONE]), None).await.unwrap();
        assert!(!fixture.has_table(TABLE).await);
    }
}
