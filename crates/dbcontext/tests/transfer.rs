//! A transfer between databases goes on after an interruption.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicBool, Ordering};

use appcore::{AuditEntryId, Timestamp, view::FigureName};
use dbcontext::{
    Database,
    entity::{audit_entry, figure},
    transfer,
};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{EntityTrait as _, IntoActiveModel as _};
use tempfile::TempDir;

/// Number of rows; more than a transfer reads at once.
const ROWS: i64 = 4_500;

async fn migrated(folder: &TempDir, name: &str) -> Database {
    let url = format!("sqlite://{}", folder.path().join(name).display());
    let db = Database::connect(&url, 1).await.unwrap();
    Migrator::up(db.schema(), None).await.unwrap();
    db
}

async fn fill(db: &Database) {
    let entries = (0..ROWS).map(|number| {
        audit_entry::Model {
            id: AuditEntryId::new(),
            action: "auth.signin".to_owned(),
            actor: None,
            target: Some(format!("row {number}")),
            address: None,
            created_at: Timestamp(number),
        }
        .into_active_model()
    });
    let figures = (0..ROWS).map(|number| {
        figure::Model { step: "minute".to_owned(), at: Timestamp(number), name: FigureName::Messages, value: number }
            .into_active_model()
    });
    for chunk in entries.collect::<Vec<_>>().chunks(1_000) {
        audit_entry::Entity::insert_many(chunk.to_vec()).exec(db.schema()).await.unwrap();
    }
    for chunk in figures.collect::<Vec<_>>().chunks(1_000) {
        figure::Entity::insert_many(chunk.to_vec()).exec(db.schema()).await.unwrap();
    }
}

#[tokio::test]
async fn goes_on_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (migrated(&folder, "source.db").await, migrated(&folder, "target.db").await);
    fill(&source).await;
    // The key of the one table has texts, and that of the other has none: they are continued in different ways.
    for table in ["audit_log", "figures"] {
        let is_interrupted = AtomicBool::new(false);
        let copying = transfer::copy(&source, &target, "a", |name, rows| {
            if name == table && rows > 0 && !is_interrupted.swap(true, Ordering::SeqCst) {
                panic!("interrupted");
            }
        });
        let ended = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(copying)).await;
        assert!(ended.is_err() && is_interrupted.load(Ordering::SeqCst), "{table}");
    }
    let refused = transfer::copy(&source, &target, "b", |_, _| {}).await.unwrap_err().to_string();
    assert!(refused.contains("Another installation"), "{refused}");
    transfer::copy(&source, &target, "a", |_, _| {}).await.unwrap();
    for (before, after) in transfer::digests(&source, &target).await.unwrap() {
        assert_eq!(before, after);
        if ["audit_log", "figures"].contains(&before.table.as_str()) {
            assert_eq!(i64::try_from(before.rows).unwrap(), ROWS);
        }
    }
}
