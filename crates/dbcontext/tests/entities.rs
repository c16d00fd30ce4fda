//! Entities against the migrated schema: each reads a row of its table. On SQLite always, on PostgreSQL where `NATTER_TEST_POSTGRES` names a server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use dbcontext::{Database, entity};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, EntityName, EntityTrait, IdenStatic as _, Iterable, Statement,
};
use uuid::Uuid;

/// A connection without checks of foreign keys, so that each table can be filled alone.
async fn connect(url: &str) -> Database {
    let db = Database::connect(url, 1).await.unwrap();
    Migrator::up(db.schema(), None).await.unwrap();
    let is_postgres = db.schema().get_database_backend() == DatabaseBackend::Postgres;
    let sql = if is_postgres { "SET session_replication_role = replica" } else { "PRAGMA foreign_keys = OFF" };
    db.schema().execute_unprepared(sql).await.unwrap();
    db
}

/// Names and types of the columns of a table.
async fn columns(db: &DatabaseConnection, table: &str) -> Vec<(String, String)> {
    let backend = db.get_database_backend();
    let sql = if backend == DatabaseBackend::Postgres {
        format!(
            "SELECT CAST(column_name AS text) AS name, CAST(data_type AS text) AS kind FROM information_schema.columns \
             WHERE table_schema = CURRENT_SCHEMA() AND table_name = '{table}'"
        )
    } else {
        format!("SELECT name, type AS kind FROM pragma_table_info('{table}')")
    };
    let rows = db.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    rows.iter().map(|row| (row.try_get("", "name").unwrap(), row.try_get("", "kind").unwrap())).collect()
}

/// A value that a column of this type and every constraint takes.
fn literal(kind: &str) -> &'static str {
    match kind.to_lowercase().as_str() {
        "uuid" => "'01900000-0000-7000-8000-000000000001'",
        "uuid_text" => "x'01900000000070008000000000000001'",
        "bytea" => "'\\x01'",
        kind if kind.starts_with("blob") => "x'01'",
        "boolean" => "TRUE",
        "bigint" | "integer" | "smallint" => "1",
        _ => "'1'",
    }
}

async fn check<E: EntityTrait>(db: &DatabaseConnection, table: &str) {
    let columns = columns(db, table).await;
    let of_table: BTreeSet<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let of_entity: BTreeSet<&str> = E::Column::iter().map(|column| column.as_str()).collect();
    assert!(of_entity.is_subset(&of_table), "{table} lacks {:?}", of_entity.difference(&of_table));

    let names = of_table.iter().copied().collect::<Vec<_>>().join(", ");
    let mut sorted = columns.clone();
    sorted.sort();
    let values = sorted.iter().map(|(_, kind)| literal(kind)).collect::<Vec<_>>().join(", ");
    db.execute_unprepared(&format!("DELETE FROM {table}")).await.unwrap();
    db.execute_unprepared(&format!("INSERT INTO {table} ({names}) VALUES ({values})")).await.unwrap();
    assert!(E::find().one(db).await.unwrap_or_else(|error| panic!("{table}: {error}")).is_some());
}

macro_rules! check_all {
    ($db:expr, $($entity:ident),* $(,)?) => {
        $(check::<entity::$entity::Entity>($db, entity::$entity::Entity.table_name()).await;)*
    };
}

#[tokio::test]
async fn each_entity_reads_a_row_of_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec![connect(&format!("sqlite://{}/test.db", folder.path().display())).await];
    if let Ok(server) = std::env::var("NATTER_TEST_POSTGRES") {
        let name = format!("entities_{}", Uuid::now_v7().simple());
        let maintenance = Database::connect(&server, 1).await.unwrap();
        maintenance.writer().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (head, _) = server.rsplit_once('/').unwrap();
        all.push(connect(&format!("{head}/{name}")).await);
    }
    for db in &all {
        check_all!(
            db.schema(),
            api_key,
            assistant,
            audit_entry,
            ban,
            budget,
            conversation,
            conversation_assistant,
            conversation_event,
            conversation_member,
            credit_grant,
            credit_top_up,
            gateway_model,
            identity,
            invitation,
            job,
            known_device,
            ledger_account,
            ledger_entry,
            mail_token,
            message,
            model_list,
            passkey,
            payment,
            payment_credit,
            payment_difference,
            payment_dispute,
            payment_event,
            payment_method,
            payment_method_setup,
            payment_refund,
            pending_sign_in,
            pricing_plan,
            recovery_code,
            refresh_token,
            signing_key,
            subscription,
            totp,
            usage_request,
            used_id_token,
            user,
            user_session,
            workspace,
            workspace_domain,
            workspace_member
        );
    }
}
