//! Background responses of the AI gateway. Always on SQLite, and on PostgreSQL if `NATTER_TEST_POSTGRES` names a server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use appcore::{ApiKeyId, BackgroundResponseId, Timestamp, UserId, view::BackgroundResponseStatus as Status};
use dbcontext::{
    Database,
    query::gateway_responses::{self as responses, BackgroundResponseRow, BackgroundResponseState},
};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait, DatabaseBackend};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_000);

/// Creates databases without foreign key checks, so that the users may be missing.
async fn databases(folder: &std::path::Path) -> Vec<Database> {
    let mut urls = vec![format!("sqlite://{}/test.db", folder.display())];
    if let Ok(server) = std::env::var("NATTER_TEST_POSTGRES") {
        let name = format!("gateway_responses_{}", Uuid::now_v7().simple());
        let maintenance = Database::connect(&server, 1).await.unwrap();
        maintenance.writer().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (head, _) = server.rsplit_once('/').unwrap();
        urls.push(format!("{head}/{name}"));
    }
    let mut databases = Vec::new();
    for url in urls {
        let db = Database::connect(&url, 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        let is_postgres = db.schema().get_database_backend() == DatabaseBackend::Postgres;
        let sql = if is_postgres { "SET session_replication_role = replica" } else { "PRAGMA foreign_keys = OFF" };
        db.schema().execute_unprepared(sql).await.unwrap();
        databases.push(db);
    }
    databases
}

fn response(user_id: UserId, key_id: ApiKeyId) -> BackgroundResponseRow {
    BackgroundResponseRow {
        id: BackgroundResponseId::new(),
        user_id,
        workspace_id: None,
        key_id,
        status: Status::Queued,
        request: "{}".to_owned(),
        labels: None,
        response: "{}".to_owned(),
        bytes: 4,
        ended_at: None,
        expires_at: NOW,
        created_at: NOW,
    }
}

#[tokio::test]
async fn a_response_ends_once() {
    let folder = tempfile::tempdir().unwrap();
    for db in databases(folder.path()).await {
        let db = db.schema();
        let (user, key) = (UserId::new(), ApiKeyId::new());
        let (row, other) = (response(user, key), response(user, key));
        responses::insert(db, row.clone()).await.unwrap();
        responses::insert(db, other.clone()).await.unwrap();
        assert_eq!(responses::get(db, row.id).await.unwrap(), Some(row.clone()));
        assert!(responses::start(db, row.id).await.unwrap());
        assert_eq!(responses::status(db, row.id).await.unwrap(), Some(Status::InProgress));
        assert_eq!(responses::count_active(db, user).await.unwrap(), 2);
        let ended = BackgroundResponseState { status: Status::Completed, response: "{\"a\":1}".to_owned() };
        assert!(responses::complete(db, row.id, ended.clone(), NOW).await.unwrap());
        for late in [
            responses::complete(db, row.id, ended.clone(), NOW).await,
            responses::cancel(db, row.id, NOW).await,
            responses::start(db, row.id).await,
        ] {
            assert!(!late.unwrap());
        }
        assert_eq!(responses::find(db, key, row.id).await.unwrap(), Some(ended));
        assert_eq!(responses::stored_bytes(db, user).await.unwrap(), 4 + 7 + 4);
        assert!(responses::cancel(db, other.id, NOW).await.unwrap());
        assert_eq!(responses::count_active(db, user).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_response_belongs_to_its_key() {
    let folder = tempfile::tempdir().unwrap();
    for db in databases(folder.path()).await {
        let db = db.schema();
        let (user, key, other) = (UserId::new(), ApiKeyId::new(), ApiKeyId::new());
        let row = response(user, key);
        responses::insert(db, row.clone()).await.unwrap();
        assert_eq!(responses::find(db, other, row.id).await.unwrap(), None);
        assert_eq!(responses::find_row(db, other, row.id).await.unwrap(), None);
        assert!(!responses::delete(db, other, row.id).await.unwrap());
        assert_eq!(responses::find_row(db, key, row.id).await.unwrap(), Some(row.clone()));
        assert!(responses::delete(db, key, row.id).await.unwrap());
        assert_eq!(responses::status(db, row.id).await.unwrap(), None);
        responses::insert(db, row).await.unwrap();
        responses::delete_of_user(db, user).await.unwrap();
        assert_eq!(responses::stored_bytes(db, user).await.unwrap(), 0);
    }
}
