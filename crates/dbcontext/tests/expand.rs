//! Expand and contract: an older release must run on the schema of a newer one, so no migration may
//! remove, rename or tighten anything. Columns that are no longer read are removed one release
//! later, by a migration listed in [`CONTRACTING`].

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use dbcontext::Database;
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

/// Last migration of the baseline.
const FIRST_RELEASE: &str = "m0008_ops";
/// Migrations that remove something, each with the release that stopped reading it.
const CONTRACTING: &[(&str, &str)] = &[];

/// For each column: its type, and whether inserts must set a value for it.
type Columns = BTreeMap<(String, String), (String, bool)>;

async fn columns(db: &Database) -> Columns {
    let sql = "SELECT t.name AS t, c.name AS c, c.type AS kind, c.\"notnull\" AND c.dflt_value IS NULL AND NOT c.pk AS needed \
               FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'";
    let rows = db.schema().query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    let text = |row: &sea_orm::QueryResult, name: &str| row.try_get::<String>("", name).unwrap();
    rows.iter()
        .map(|row| ((text(row, "t"), text(row, "c")), (text(row, "kind"), row.try_get::<bool>("", "needed").unwrap())))
        .collect()
}

/// Returns the changes that would break a release that knows only the schema `before`.
fn taken_away(before: &Columns, after: &Columns) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((table, column), (kind, _)) in before {
        match after.get(&(table.clone(), column.clone())) {
            None => wrong.push(format!("{table}.{column} is gone")),
            Some((now, _)) if now != kind => wrong.push(format!("{table}.{column} was {kind} and is {now}")),
            Some(_) => {}
        }
    }
    for ((table, column), (_, is_needed)) in after {
        let is_known =
            before.get(&(table.clone(), column.clone())).is_some_and(|(_, was_needed)| was_needed == is_needed);
        let is_old_table = before.keys().any(|(known, _)| known == table);
        if *is_needed && is_old_table && !is_known {
            wrong.push(format!("{table}.{column} must be given, which an older release does not"));
        }
    }
    wrong
}

#[tokio::test]
async fn migrations_only_add() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
    let steps: Vec<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    let released = steps.iter().position(|step| step == FIRST_RELEASE).unwrap() + 1;
    Migrator::up(db.schema(), u32::try_from(released).ok()).await.unwrap();
    for step in &steps[released..] {
        let before = columns(&db).await;
        Migrator::up(db.schema(), Some(1)).await.unwrap();
        let wrong = taken_away(&before, &columns(&db).await);
        let is_meant = CONTRACTING.iter().any(|(name, _)| name == step);
        assert!(wrong.is_empty() || is_meant, "{step}: {wrong:#?}");
    }
    assert!(CONTRACTING.iter().all(|(name, _)| steps.iter().any(|step| step == name)));
}

#[tokio::test]
async fn detects_removed_and_tightened_columns() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
    let run = async |sql: &str| db.schema().execute_unprepared(sql).await.map(drop).unwrap();
    run("CREATE TABLE a (id INTEGER PRIMARY KEY, old TEXT, kept TEXT NOT NULL)").await;
    let before = columns(&db).await;
    for sql in [
        "ALTER TABLE a ADD COLUMN new TEXT",
        "ALTER TABLE a ADD COLUMN counted INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE b (x TEXT NOT NULL)",
    ] {
        run(sql).await;
    }
    assert_eq!(taken_away(&before, &columns(&db).await), Vec::<String>::new());
    run("ALTER TABLE a RENAME COLUMN old TO newer").await;
    run("DROP TABLE b").await;
    assert_eq!(taken_away(&before, &columns(&db).await), ["a.old is gone"]);
    run("DROP TABLE a").await;
    run("CREATE TABLE a (id INTEGER PRIMARY KEY, old INTEGER, kept TEXT NOT NULL, more TEXT NOT NULL)").await;
    let wrong = taken_away(&before, &columns(&db).await);
    assert_eq!(wrong, ["a.old was TEXT and is INTEGER", "a.more must be given, which an older release does not"]);
}
