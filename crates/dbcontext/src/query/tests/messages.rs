//! Reactions, reports and files of messages.

use appcore::{MessageId, UploadId, UserId, WorkspaceId, page::PageRequest};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::Planned;
use crate::query::{moderation, reactions, uploads};

/// This sum is computed for each message with a file if the workspace has a storage quota.
#[tokio::test]
async fn sums_bytes_of_a_workspace_from_an_index() {
    let db = Planned::new().await;
    uploads::bytes_in_workspace(&db, WorkspaceId::new()).await.unwrap();
    db.has("SEARCH message_uploads USING COVERING INDEX message_uploads_space (workspace_id=?)");
}

#[tokio::test]
async fn finds_reports_of_a_message_by_index() {
    let db = Planned::new().await;
    let all = moderation::Filter::default();
    moderation::list(&db, UserId::new(), all, PageRequest::new(None, None)).await.unwrap();
    db.has("SEARCH s USING COVERING INDEX message_reports_message (message_id=?)");
    uploads::find_readable(&db, UserId::new(), UploadId::new()).await.unwrap();
    let steps = db.take();
    assert!(!steps.contains("SCAN r"), "{steps}");
}

#[tokio::test]
async fn reads_only_the_first_users_per_reaction() {
    let db = Planned::new().await;
    let message = MessageId(Uuid::from_u128(1));
    for (emoji, user, seq) in [("a", 11, 3), ("a", 12, 1), ("a", 13, 2), ("b", 11, 5), ("c", 12, 4)] {
        let sql = format!(
            "INSERT INTO reactions (message_id, emoji, user_id, seq) VALUES (x'{:032}', '{emoji}', x'{user:032x}', {seq})",
            1
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    let asked = vec![(message, "a".to_owned()), (message, "b".to_owned())];
    let found = reactions::first_users(&db, asked, 2).await.unwrap();
    let found: Vec<_> = found.iter().map(|one| (one.emoji.as_str(), one.user_id.0.as_u128())).collect();
    assert_eq!(found, [("a", 12), ("a", 13), ("b", 11)]);
    db.has("SEARCH r USING INDEX reactions_shown (message_id=? AND emoji=?)");
}
