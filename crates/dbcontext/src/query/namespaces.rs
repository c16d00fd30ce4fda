//! Namespaces of a PostgreSQL database, which SQL calls schemas. A restore fills a new namespace, whose
//! tables then replace those of the current one in a single transaction.

use anyhow::Context as _;
use appcore::AppError;
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, TransactionTrait as _, Value};

use super::raw;
use crate::Database;

/// Key of the advisory lock of the instance that creates a scheduled backup.
const BACKUP_LOCK: i64 = 0x6e61_7474_6572_0003;

/// Functions of a namespace that triggers of its tables call.
const TRIGGER_FUNCTIONS: &str = "SELECT DISTINCT CAST(p.proname AS text) AS name FROM pg_trigger t \
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_proc p ON p.oid = t.tgfoid AND p.pronamespace = n.oid WHERE n.nspname = $1 AND NOT t.tgisinternal ORDER BY 1";
/// Sequences of a namespace that belong to no column.
const SEQUENCES: &str = "SELECT CAST(c.relname AS text) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relkind = 'S' AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid \
    AND d.classid = CAST('pg_class' AS regclass) AND d.refclassid = CAST('pg_class' AS regclass) \
    AND d.deptype IN ('a', 'i')) ORDER BY 1";

/// Returns the namespace that unqualified names refer to.
pub async fn current(database: &Database) -> anyhow::Result<String> {
    let found = names(database.schema(), "SELECT CAST(CURRENT_SCHEMA() AS text) AS name", Vec::new()).await?;
    found.into_iter().next().context("The database has no schema in which tables can be created.")
}

/// Lists the tables of a namespace.
pub async fn tables(database: &Database, namespace: &str) -> anyhow::Result<Vec<String>> {
    Ok(list(database.schema(), namespace).await?)
}

/// Creates an empty namespace. Drops one of the same name, with everything in it.
pub async fn create(database: &Database, namespace: &str) -> anyhow::Result<()> {
    drop_with_tables(database, namespace).await?;
    execute(database.schema(), &format!("CREATE SCHEMA \"{namespace}\""))
        .await
        .context("The user of database.url must be allowed to create schemas in the database")
}

/// Drops a namespace with everything in it, if it exists.
pub async fn drop_with_tables(database: &Database, namespace: &str) -> anyhow::Result<()> {
    execute(database.schema(), &format!("DROP SCHEMA IF EXISTS \"{namespace}\" CASCADE")).await
}

/// Moves the tables of `from` to `to`, and drops `from`. Tables that are in `to` already are moved
/// to the new namespace `set_aside`, which is created only if there are any. Returns whether it was.
pub async fn replace_tables(database: &Database, from: &str, to: &str, set_aside: &str) -> anyhow::Result<bool> {
    let moving = database.schema().begin().await?;
    let replaced = list(&moving, to).await?;
    if !replaced.is_empty() {
        execute(&moving, &format!("CREATE SCHEMA \"{set_aside}\"")).await?;
        move_objects(&moving, &replaced, to, set_aside).await?;
    }
    move_objects(&moving, &list(&moving, from).await?, from, to).await?;
    // Fails if anything is left in it.
    execute(&moving, &format!("DROP SCHEMA \"{from}\"")).await?;
    moving.commit().await?;
    Ok(!replaced.is_empty())
}

/// Transaction that holds the lock for scheduled backups; `None` if another instance holds it.
pub async fn lock_backups(database: &Database) -> anyhow::Result<Option<DatabaseTransaction>> {
    let holding = database.schema().begin().await?;
    let sql = format!("SELECT pg_try_advisory_xact_lock({BACKUP_LOCK}) AS is_locked");
    let is_locked: Option<bool> = raw::find_value(&holding, sql, []).await?;
    Ok(is_locked.unwrap_or(false).then_some(holding))
}

/// Moves the tables, the functions of their triggers, and the sequences that belong to no table.
async fn move_objects<C: ConnectionTrait>(db: &C, tables: &[String], from: &str, to: &str) -> anyhow::Result<()> {
    let functions = names(db, TRIGGER_FUNCTIONS, vec![from.into()]).await?;
    for (kind, moved) in [("FUNCTION", functions), ("SEQUENCE", names(db, SEQUENCES, vec![from.into()]).await?)] {
        for name in moved {
            execute(db, &format!("ALTER {kind} \"{from}\".\"{name}\" SET SCHEMA \"{to}\"")).await?;
        }
    }
    for table in tables {
        // Indexes, constraints and triggers are moved with their table.
        execute(db, &format!("ALTER TABLE \"{from}\".\"{table}\" SET SCHEMA \"{to}\"")).await?;
    }
    Ok(())
}

async fn list<C: ConnectionTrait>(db: &C, namespace: &str) -> Result<Vec<String>, AppError> {
    let sql = "SELECT CAST(tablename AS text) AS name FROM pg_tables WHERE schemaname = $1 ORDER BY 1";
    names(db, sql, vec![namespace.into()]).await
}

async fn names<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<Vec<String>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        name: Option<String>,
    }
    let rows = raw::find::<_, Row>(db, sql, values).await?;
    Ok(rows.into_iter().filter_map(|row| row.name).collect())
}

async fn execute<C: ConnectionTrait>(db: &C, sql: &str) -> anyhow::Result<()> {
    db.execute_unprepared(sql).await?;
    Ok(())
}
