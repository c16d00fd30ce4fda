//! Learned settings of models. Always on SQLite, and on PostgreSQL if `NATTER_TEST_POSTGRES` names a server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use appcore::Timestamp;
use dbcontext::{
    Database,
    query::learned_model_settings::{self as settings, LearnedModelSettingRow},
};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

async fn databases(folder: &std::path::Path) -> Vec<Database> {
    let mut urls = vec![format!("sqlite://{}/test.db", folder.display())];
    if let Ok(server) = std::env::var("NATTER_TEST_POSTGRES") {
        let name = format!("learned_model_settings_{}", Uuid::now_v7().simple());
        let maintenance = Database::connect(&server, 1).await.unwrap();
        maintenance.writer().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (head, _) = server.rsplit_once('/').unwrap();
        urls.push(format!("{head}/{name}"));
    }
    let mut databases = Vec::new();
    for url in urls {
        let db = Database::connect(&url, 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        databases.push(db);
    }
    databases
}

fn row(model: &str, setting: &str, learned_at: i64) -> LearnedModelSettingRow {
    LearnedModelSettingRow {
        provider: "fake".to_owned(),
        base_url: "https://ai.example.org/v1".to_owned(),
        model: model.to_owned(),
        setting: setting.to_owned(),
        learned_at: Timestamp(learned_at),
    }
}

#[tokio::test]
async fn settings_are_stored_once_and_deleted_by_model_and_age() {
    let folder = tempfile::tempdir().unwrap();
    for db in databases(folder.path()).await {
        let db = db.schema();
        let (first, other, old) = (row("a", "images=no", 20), row("b", "images=no", 30), row("a", "drop=seed", 10));
        for row in [&other, &first, &old] {
            assert!(settings::insert(db, row.clone()).await.unwrap());
        }
        assert!(!settings::insert(db, row("a", "images=no", 40)).await.unwrap());
        assert_eq!(settings::all_since(db, Timestamp(20)).await.unwrap(), [first.clone(), other.clone()]);
        settings::delete_before(db, Timestamp(20)).await.unwrap();
        assert_eq!(settings::all_since(db, Timestamp(0)).await.unwrap(), [first, other.clone()]);
        assert_eq!(settings::delete_of_model(db, "fake", "a").await.unwrap(), 1);
        assert_eq!(settings::delete_of_model(db, "other", "b").await.unwrap(), 0);
        assert_eq!(settings::all_since(db, Timestamp(0)).await.unwrap(), [other]);
    }
}

#[tokio::test]
async fn values_and_the_oldest_settings_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    for db in databases(folder.path()).await {
        let db = db.schema();
        let own = ("fake", "https://ai.example.org/v1", "a");
        let other = row("b", "max_output=9", 1);
        for row in [row("a", "max_output=9", 1), row("a", "drop=x", 2), row("a", "drop=y", 3), other.clone()] {
            assert!(settings::insert(db, row).await.unwrap());
        }
        settings::delete_values(db, own, "max_output").await.unwrap();
        let left = [other.clone(), row("a", "drop=x", 2), row("a", "drop=y", 3)];
        assert_eq!(settings::all_since(db, Timestamp(0)).await.unwrap(), left);
        settings::delete_excess(db, own, 2).await.unwrap();
        assert_eq!(settings::all_since(db, Timestamp(0)).await.unwrap(), left);
        settings::delete_excess(db, own, 1).await.unwrap();
        assert_eq!(settings::all_since(db, Timestamp(0)).await.unwrap(), [other, row("a", "drop=y", 3)]);
    }
}
