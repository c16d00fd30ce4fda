//! Tests of SQLite's query plans for statements on tables that may be large. SQLite has no
//! statistics about these tables, so it chooses the same plans here, where they are empty.

mod billing;
mod conversations;
mod events;
mod messages;
mod notifications;
mod operations;

use std::sync::Mutex;

use appcore::Timestamp;
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DbErr, EntityTrait, ExecResult, QueryResult, QueryTrait as _, Select, Statement,
    prelude::async_trait::async_trait,
};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::Database;

/// Database that records the query plan of each statement.
struct Planned {
    db: Database,
    steps: Mutex<Vec<String>>,
    _folder: TempDir,
}

impl Planned {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        Self { db, steps: Mutex::default(), _folder: folder }
    }

    async fn explain(&self, statement: &Statement) -> Result<(), DbErr> {
        let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {}", statement.sql), ..statement.clone() };
        let rows = self.db.writer().query_all_raw(explain).await?;
        let steps = rows.iter().map(|row| row.try_get("", "detail")).collect::<Result<Vec<String>, DbErr>>()?;
        self.steps.lock().unwrap().extend(steps);
        Ok(())
    }

    /// Returns the plan steps of the statements since the last call.
    fn take(&self) -> String {
        std::mem::take(&mut *self.steps.lock().unwrap()).join("; ")
    }

    /// Asserts that the plans since the last call contain this step.
    fn has(&self, step: &str) {
        let steps = self.take();
        assert!(steps.contains(step), "{steps}");
    }
}

#[async_trait]
impl ConnectionTrait for Planned {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.db.writer().get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.explain(&statement).await?;
        self.db.writer().execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.db.writer().execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.explain(&statement).await?;
        self.db.writer().query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.explain(&statement).await?;
        self.db.writer().query_all_raw(statement).await
    }
}

async fn plan<E: EntityTrait>(db: &Database, select: Select<E>) -> String {
    let Statement { sql, values, .. } = select.build(DatabaseBackend::Sqlite);
    let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {sql}"), values, db_backend: DatabaseBackend::Sqlite };
    let rows = db.writer().query_all_raw(explain).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn partial_indexes_are_used_with_bound_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 2).await.unwrap();
    Migrator::up(db.schema(), None).await.unwrap();
    let by_email = plan(&db, users::find_by_email("anna@example.org")).await;
    assert!(by_email.contains("USING INDEX users_email"), "{by_email}");
    let shared = plan(&db, workspaces::find_shared()).await;
    assert!(shared.contains("USING INDEX workspaces_shared"), "{shared}");
}

/// Depends on SQLite's build options in `.cargo/config.toml`. Without them, SQLite plans a
/// statement again whenever its parameters change.
#[tokio::test]
async fn plans_a_statement_once() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
    let is_on: Option<i32> =
        raw::find_value(db.writer(), "SELECT sqlite_compileoption_used('ENABLE_QPSG') AS is_on", []).await.unwrap();
    assert_eq!(is_on, Some(1));
}

#[tokio::test]
async fn json_aggregation_preserves_rows() {
    type GatheredRow = (Uuid, String, Option<String>, bool, bool, i64);
    let db = Planned::new().await;
    let columns = [
        rows::Column::Uuid("id"),
        rows::Column::Text("said"),
        rows::Column::Text("missing"),
        rows::Column::Bool("is_so"),
        rows::Column::Bool("is_not"),
        rows::Column::Int("number"),
    ];
    let select = "SELECT $1 AS id, $2 AS said, NULL AS missing, 1 AS is_so, 0 AS is_not, -9007199254740993 AS number";
    let (id, text) = (Uuid::now_v7(), "[\"a\", null]\n\\ \u{0} \u{2028} Đặng 🦦");
    let twice = format!("{select} UNION ALL {select}");
    let found: Vec<GatheredRow> =
        raw::find_as_json(&db, &columns, &twice, [id.into(), text.into()]).await.unwrap().rows().unwrap();
    let row = (id, text.to_owned(), None, true, false, -9_007_199_254_740_993);
    assert_eq!(found, [row.clone(), row]);
    let none = format!("SELECT * FROM ({select}) WHERE 1 = 0");
    let found: Vec<GatheredRow> =
        raw::find_as_json(&db, &columns, &none, [id.into(), text.into()]).await.unwrap().rows().unwrap();
    assert!(found.is_empty());
}

#[tokio::test]
async fn deletes_by_key() {
    let db = Planned::new().await;
    let id = Uuid::now_v7();
    ledger::remove_expired(&db, &[id], Timestamp(5)).await.unwrap();
    db.has("SEARCH credit_holds USING INDEX sqlite_autoindex_credit_holds_1 (id=?)");
    budgets::remove_expired(&db, &[id], Timestamp(5)).await.unwrap();
    db.has("SEARCH budget_holds USING INDEX sqlite_autoindex_budget_holds_1 (id=?)");
    super::search::trim_reindex_queue(&db, Timestamp(5)).await.unwrap();
    db.has("SEARCH search_reindex_queue USING INDEX search_reindex_queue_revision (revision<?)");
    mail_tokens::remove(&db, id).await.unwrap();
    db.has("SEARCH mail_tokens USING INDEX mail_tokens_subject (purpose=? AND subject=?)");
}
