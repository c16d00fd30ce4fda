//! Notifications and their recipients.

use appcore::{ConversationId, MessageId, Timestamp, UserId, page::PageRequest};

use super::Planned;
use crate::query::{notifications, notifier};

/// The notifier runs this query for each conversation with new events.
#[tokio::test]
async fn finds_members_notified_of_everything_without_reading_all_members() {
    let db = Planned::new().await;
    notifier::notified_of_everything(&db, &[ConversationId::new()]).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("SEARCH m USING INDEX conversation_members_all (conversation_id=?)"), "{steps}");
    assert!(steps.contains("INDEX notification_settings_all"), "{steps}");
    let last = steps.rsplit("; ").next().unwrap_or_default();
    let by_key = "SEARCH m USING INDEX sqlite_autoindex_conversation_members_1 (conversation_id=? AND user_id=?)";
    assert_eq!(last, by_key, "{steps}");
}

#[tokio::test]
async fn deletes_notifications_by_index() {
    let db = Planned::new().await;
    notifications::older_than(&db, Timestamp(5), 1_000).await.unwrap();
    db.has("INDEX notifications_created (created_at<?)");
    notifications::withdraw_conversations(&db, &[ConversationId::new()]).await.unwrap();
    db.has("INDEX notifications_conversation (conversation_id=?)");
    // The other kinds of read positions use the same index.
    let read = |scope| notifications::NotificationReadPosition { user_id: UserId::new(), scope, seq: 5 };
    notifications::unread_before_positions(&db, &[read(notifications::ReadScope::MainLine(ConversationId::new()))])
        .await
        .unwrap();
    db.has("INDEX notifications_unread (user_id=? AND conversation_id=? AND seq<?)");
    let all = notifications::Filter { is_unread: false, kind: None };
    notifications::list(&db, UserId::new(), all, PageRequest::new(None, None)).await.unwrap();
    db.has("SEARCH n USING INDEX notifications_listed (user_id=?)");
}

#[tokio::test]
async fn finds_the_message_before_a_deleted_one_in_its_thread() {
    let db = Planned::new().await;
    notifications::withdraw_messages(&db, &[MessageId::new()]).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("SEARCH m USING INDEX messages_thread (thread_id=?)"), "{steps}");
    assert!(steps.contains("SEARCH m USING INDEX messages_seq (conversation_id=?)"), "{steps}");
    assert!(!steps.contains("B-TREE"), "{steps}");
}

/// The app requests the unread notifications on every start.
#[tokio::test]
async fn finds_unread_notifications_by_index() {
    let db = Planned::new().await;
    let unread = notifications::Filter { is_unread: true, kind: None };
    notifications::list(&db, UserId::new(), unread, PageRequest::new(None, None)).await.unwrap();
    let steps = db.take();
    // One search for the page and one for the total count.
    assert_eq!(steps.matches("SEARCH n USING INDEX notifications_unread (user_id=?)").count(), 2, "{steps}");
}
