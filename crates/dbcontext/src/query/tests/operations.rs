//! Jobs and figures for operators.

use appcore::Timestamp;
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::Planned;
use crate::query::{figures, jobs};

/// Each reminder and each scheduled message waits as a job.
#[tokio::test]
async fn finds_jobs_of_a_subject_by_index() {
    let db = Planned::new().await;
    jobs::make_due(&db, "answer", Uuid::now_v7()).await.unwrap();
    db.has("jobs USING INDEX jobs_subject (subject=?)");
    jobs::count_unfinished(&db, "export").await.unwrap();
    db.has("jobs USING INDEX jobs_concurrency_key (concurrency_key=?)");
    jobs::remove_all(&db, "mail", Uuid::now_v7()).await.unwrap();
    let steps = db.take();
    assert!(!steps.contains("SCAN"), "{steps}");
}

/// Each instance runs these counts every ten seconds.
#[tokio::test]
async fn counts_metrics_from_recent_rows_only() {
    let db = Planned::new().await;
    let (from, to) = (Timestamp(1_800_000_000_000), Timestamp(1_800_000_060_000));
    let id = |at: i64| format!("x'{:012x}{}'", at, "70008000000000000000");
    for (at, created_at) in [(from.0 - 86_400_000, from.0), (from.0 - 500, from.0), (to.0, to.0 - 1)] {
        let sql = format!(
            "INSERT INTO messages (id, conversation_id, seq, sender_kind, content, status, created_at) \
             VALUES ({}, x'{:032}', {at}, 'user', '', 'sent', {created_at})",
            id(at),
            1
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    // A message whose id contains the time of the day before is not read.
    assert_eq!(figures::messages(&db, from, to).await.unwrap(), [(from.0, 2)]);
    db.has("INDEX sqlite_autoindex_messages_1 (id>? AND id<?)");
    figures::tokens(&db, from, to).await.unwrap();
    db.has("INDEX usage_requests_time (created_at>? AND created_at<?)");
    figures::audit_entries(&db, "auth.sign_in_failed", from, to).await.unwrap();
    db.has("INDEX audit_log_action (action=? AND created_at>? AND created_at<?)");
}
