//! Applies and reverts migrations, and records the applied ones in the table `seaql_migrations`.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait as _, DatabaseBackend, DatabaseConnection, DatabaseExecutor, DbErr, Statement, StatementBuilder,
    TransactionTrait as _,
    sea_query::{
        Expr, ExprTrait as _, IndexCreateStatement, IndexDropStatement, Query, Table, TableAlterStatement,
        TableCreateStatement, TableDropStatement,
    },
};

use crate::schema::{big_integer, string};

/// Table with one row per applied migration: its name, and the time at which it was applied, in
/// seconds since 1970.
const TABLE: &str = "seaql_migrations";
const VERSION: &str = "version";
const APPLIED_AT: &str = "applied_at";

/// First migration of unreleased builds. The baseline has replaced their history.
const UNRELEASED: &str = "m0001_accounts";

/// True if an unreleased build has created the database, as these applied migrations show. No
/// migration leads from there to this schema.
#[must_use]
pub fn is_unreleased(applied: &[String]) -> bool {
    applied.iter().any(|name| name == UNRELEASED)
}

/// Change of the schema.
#[async_trait]
pub trait MigrationTrait: Send + Sync {
    /// Applies the change.
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr>;

    /// Reverts the change.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr>;

    /// Whether the change and its record share a transaction. `None` means that they do on
    /// PostgreSQL and don't on SQLite. Without a transaction, a change that fails halfway is not
    /// recorded, and the statements executed so far remain in effect.
    fn use_transaction(&self) -> Option<bool> {
        None
    }
}

/// Migration with the name under which it is recorded.
pub struct NamedMigration {
    name: &'static str,
    migration: Box<dyn MigrationTrait>,
}

impl NamedMigration {
    /// Names a migration. The name must be unique in the list of [`MigratorTrait::migrations`] and
    /// must never change after a release.
    pub fn new(name: &'static str, migration: impl MigrationTrait + 'static) -> Self {
        Self { name, migration: Box::new(migration) }
    }

    /// Name of the migration's file without its extension, such as `m0001_identity`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Applies or reverts the migration, and inserts or deletes its record.
    async fn run(&self, db: &DatabaseConnection, direction: Direction) -> Result<(), DbErr> {
        let is_postgres = db.get_database_backend() == DatabaseBackend::Postgres;
        if self.migration.use_transaction().unwrap_or(is_postgres) {
            let transaction = db.begin().await?;
            self.run_on(&SchemaManager::new(&transaction), direction).await?;
            transaction.commit().await?;
        } else {
            self.run_on(&SchemaManager::new(db), direction).await?;
        }
        tracing::debug!(migration = self.name, ?direction, "migration finished");
        Ok(())
    }

    async fn run_on(&self, manager: &SchemaManager<'_>, direction: Direction) -> Result<(), DbErr> {
        match direction {
            Direction::Up => {
                self.migration.up(manager).await?;
                let row = [self.name.into(), unix_seconds().into()];
                let mut insert = Query::insert();
                insert.into_table(TABLE).columns([VERSION, APPLIED_AT]).values_panic(row);
                manager.execute(insert).await
            }
            Direction::Down => {
                self.migration.down(manager).await?;
                let mut delete = Query::delete();
                delete.from_table(TABLE).and_where(Expr::col(VERSION).eq(self.name));
                manager.execute(delete).await
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    Up,
    Down,
}

/// List of migrations, and the operations on it. Callers must ensure that only one process at a
/// time runs `up` or `down`.
pub trait MigratorTrait {
    /// All migrations, in the order in which they are applied.
    fn migrations() -> Vec<NamedMigration>;

    /// Applies pending migrations in order: at most `steps` of them, or all if `None`.
    ///
    /// If the database has an applied migration that is not in the list, changes nothing and
    /// returns [`DbErr::Migration`]. Otherwise the first failure ends the run; the migrations
    /// before it stay applied.
    fn up(db: &DatabaseConnection, steps: Option<u32>) -> impl Future<Output = Result<(), DbErr>> + Send {
        up(db, Self::migrations(), steps)
    }

    /// Reverts applied migrations, newest first: at most `steps` of them, or all if `None`. Returns
    /// the same errors as [`Self::up`].
    fn down(db: &DatabaseConnection, steps: Option<u32>) -> impl Future<Output = Result<(), DbErr>> + Send {
        down(db, Self::migrations(), steps)
    }

    /// Returns the names of the applied migrations in ascending order, including those that are not
    /// in the list. Returns none if the table doesn't exist. Changes nothing, so it also works on a
    /// read-only replica.
    fn applied(db: &DatabaseConnection) -> impl Future<Output = Result<Vec<String>, DbErr>> + Send {
        applied(db)
    }
}

async fn up(db: &DatabaseConnection, migrations: Vec<NamedMigration>, steps: Option<u32>) -> Result<(), DbErr> {
    let mut table = Table::create();
    table.table(TABLE).if_not_exists().col(string(VERSION).primary_key()).col(big_integer(APPLIED_AT));
    db.execute(&table).await?;
    let applied = applied_known(db, &migrations).await?;
    let pending = migrations.iter().filter(|migration| !applied.contains(migration.name));
    for migration in pending.take(limit(steps)) {
        migration.run(db, Direction::Up).await?;
    }
    Ok(())
}

async fn down(db: &DatabaseConnection, migrations: Vec<NamedMigration>, steps: Option<u32>) -> Result<(), DbErr> {
    let applied = applied_known(db, &migrations).await?;
    let newest_first = migrations.iter().rev().filter(|migration| applied.contains(migration.name));
    for migration in newest_first.take(limit(steps)) {
        migration.run(db, Direction::Down).await?;
    }
    Ok(())
}

async fn applied(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let backend = db.get_database_backend();
    let tables = if backend == DatabaseBackend::Postgres {
        "information_schema.tables WHERE table_schema = CURRENT_SCHEMA() AND table_type = 'BASE TABLE' AND table_name"
    } else {
        "sqlite_master WHERE type = 'table' AND name"
    };
    let exists = format!("SELECT 1 FROM {tables} = '{TABLE}'");
    if db.query_one_raw(Statement::from_string(backend, exists)).await?.is_none() {
        return Ok(Vec::new());
    }
    let select = format!("SELECT {VERSION} FROM {TABLE} ORDER BY {VERSION}");
    let rows = db.query_all_raw(Statement::from_string(backend, select)).await?;
    rows.iter().map(|row| row.try_get("", VERSION)).collect()
}

/// Returns the applied migrations. Fails with [`DbErr::Migration`] if one of them is not in the
/// list.
async fn applied_known(db: &DatabaseConnection, migrations: &[NamedMigration]) -> Result<BTreeSet<String>, DbErr> {
    let applied: BTreeSet<String> = applied(db).await?.into_iter().collect();
    let known: BTreeSet<&str> = migrations.iter().map(NamedMigration::name).collect();
    let unknown: Vec<&str> = applied.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    if unknown.is_empty() {
        Ok(applied)
    } else {
        Err(DbErr::Migration(format!("the database has migrations unknown to this program: {}", unknown.join(", "))))
    }
}

fn limit(steps: Option<u32>) -> usize {
    steps.map_or(usize::MAX, |steps| usize::try_from(steps).unwrap_or(usize::MAX))
}

fn unix_seconds() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    elapsed.as_secs().try_into().unwrap_or(i64::MAX)
}

/// Executes the statements of a migration, in the migration's transaction if it has one.
pub struct SchemaManager<'c> {
    connection: DatabaseExecutor<'c>,
}

impl<'c> SchemaManager<'c> {
    fn new(connection: impl Into<DatabaseExecutor<'c>>) -> Self {
        Self { connection: connection.into() }
    }

    /// Returns the connection, for queries and for statements given as text.
    #[must_use]
    pub const fn get_connection(&self) -> &DatabaseExecutor<'c> {
        &self.connection
    }

    #[must_use]
    pub fn get_database_backend(&self) -> DatabaseBackend {
        self.connection.get_database_backend()
    }

    pub async fn execute(&self, statement: impl StatementBuilder) -> Result<(), DbErr> {
        self.connection.execute(&statement).await.map(drop)
    }

    /// Executes statements given as text, in order.
    pub async fn execute_all(&self, statements: &[&str]) -> Result<(), DbErr> {
        for statement in statements {
            self.connection.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    pub async fn create_tables(&self, tables: Vec<TableCreateStatement>) -> Result<(), DbErr> {
        for table in tables {
            self.execute(table).await?;
        }
        Ok(())
    }

    /// Drops the tables that [`Self::create_tables`] created. The order is reversed, so that tables
    /// are dropped before those that they refer to.
    pub async fn drop_tables(&self, tables: Vec<TableCreateStatement>) -> Result<(), DbErr> {
        for table in tables.iter().rev().filter_map(TableCreateStatement::get_table_name) {
            self.execute(Table::drop().table(table.clone()).to_owned()).await?;
        }
        Ok(())
    }

    pub async fn create_table(&self, statement: TableCreateStatement) -> Result<(), DbErr> {
        self.execute(statement).await
    }

    pub async fn alter_table(&self, statement: TableAlterStatement) -> Result<(), DbErr> {
        self.execute(statement).await
    }

    pub async fn drop_table(&self, statement: TableDropStatement) -> Result<(), DbErr> {
        self.execute(statement).await
    }

    pub async fn create_index(&self, statement: IndexCreateStatement) -> Result<(), DbErr> {
        self.execute(statement).await
    }

    pub async fn drop_index(&self, statement: IndexDropStatement) -> Result<(), DbErr> {
        self.execute(statement).await
    }
}
