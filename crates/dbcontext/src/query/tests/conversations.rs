//! Conversations and their members.

use appcore::{AssistantId, ConversationId, UserId, WorkspaceId, page::PageRequest, view::ConversationKind};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::Planned;
use crate::query::{account_erasure, conversations, knowledge, search};

/// Most conversations of a workspace are direct ones.
#[tokio::test]
async fn finds_open_conversations_of_a_workspace_by_index() {
    let db = Planned::new().await;
    let (user, workspace) = (UserId::new(), WorkspaceId::new());
    search::readable_conversations(&db, user).await.unwrap();
    db.has("SEARCH ac USING INDEX conversations_open (workspace_id=? AND kind=?)");
    let filter = conversations::Filter { workspace_id: Some(workspace), ..Default::default() };
    conversations::list_open(&db, user, &filter, PageRequest::new(None, None)).await.unwrap();
    db.has("SEARCH c USING INDEX conversations_open (workspace_id=? AND kind=?)");
    conversations::is_title_taken(&db, workspace, "Plans", ConversationId::new()).await.unwrap();
    db.has("INDEX conversations_title (workspace_id=? AND search_title=?)");
}

#[tokio::test]
async fn selects_the_page_of_own_conversations_before_reading_columns() {
    let db = Planned::new().await;
    let (user, workspace) = (UserId::new(), WorkspaceId::new());
    let kind = Some(ConversationKind::Group);
    for filter in [
        conversations::Filter::default(),
        conversations::Filter { workspace_id: Some(workspace), ..Default::default() },
        conversations::Filter { workspace_id: Some(workspace), kind, ..Default::default() },
    ] {
        conversations::list(&db, user, &filter, PageRequest::new(None, None)).await.unwrap();
        let steps = db.take();
        // One search for the page and one for the total count.
        assert_eq!(steps.matches("SEARCH m USING INDEX conversation_members_user (user_id=?)").count(), 2, "{steps}");
        assert!(steps.contains("LIST SUBQUERY"), "{steps}");
    }
}

#[tokio::test]
async fn pages_through_conversations_of_a_workspace_by_index() {
    let db = Planned::new().await;
    let (user, workspace) = (UserId::new(), WorkspaceId::new());
    for last in [None, Some(ConversationId::new())] {
        conversations::of_workspace(&db, workspace, None, last, 10).await.unwrap();
        db.has("SEARCH c USING INDEX conversations_of_workspace (workspace_id=? AND id>?)");
        conversations::of_workspace(&db, workspace, Some(user), last, 10).await.unwrap();
        db.has("SEARCH m USING INDEX conversation_members_user (user_id=?)");
    }
}

/// A dozen statements use this condition under the writer's lock.
#[tokio::test]
async fn finds_chats_of_a_deleted_account_by_index() {
    let db = Planned::new().await;
    account_erasure::purge_chats(&db, UserId::new()).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("conversations USING INDEX conversations_ended_chats (created_by=?)"), "{steps}");
    assert!(!steps.contains("SCAN"), "{steps}");
}

#[tokio::test]
async fn finds_people_by_workspace_membership() {
    let db = Planned::new().await;
    let [me, colleague, guest, stranger] = [1, 2, 3, 4].map(|n| UserId(Uuid::from_u128(n)));
    let mut sql = "PRAGMA foreign_keys = OFF;".to_owned();
    for n in 1..=4 {
        sql.push_str(&format!(
            "INSERT INTO users (id, email, display_name, search_name, role, created_at, updated_at) \
             VALUES (x'{n:032}', '{n}@example.org', 'n{n}', 'n{n}', 'user', 0, 0);"
        ));
    }
    // The first two users are in one workspace and its channel. The others are in another
    // workspace, one of them as a guest. A direct conversation has members from both workspaces.
    for (workspace, user, role) in [(8, 1, "member"), (8, 2, "member"), (9, 3, "guest"), (9, 4, "member")] {
        sql.push_str(&format!(
            "INSERT INTO workspace_members (workspace_id, user_id, role, created_at, updated_at) \
             VALUES (x'{workspace:032}', x'{user:032}', '{role}', 0, 0);"
        ));
    }
    for (id, workspace, kind) in [(81, 8, "private_channel"), (92, 9, "private_channel"), (83, 8, "single")] {
        sql.push_str(&format!(
            "INSERT INTO conversations (id, workspace_id, kind, last_seq, last_activity_at, created_by, created_at) \
             VALUES (x'{id:032}', x'{workspace:032}', '{kind}', 0, 0, x'{:032}', 0);",
            1
        ));
    }
    for (id, user) in [(81, 1), (81, 2), (92, 3), (92, 4), (83, 1), (83, 4)] {
        sql.push_str(&format!(
            "INSERT INTO conversation_members (conversation_id, user_id, role, joined_at) VALUES (x'{id:032}', x'{user:032}', 'member', 0);"
        ));
    }
    db.execute_unprepared(&sql).await.unwrap();
    let known = async |user| {
        let mut found = search::acquaintances(&db, user, 10).await.unwrap();
        found.sort_by_key(|one| one.id);
        found.into_iter().map(|one| UserId(one.id)).collect::<Vec<_>>()
    };
    assert_eq!(known(me).await, [me, colleague, stranger]);
    assert_eq!(known(guest).await, [guest, stranger]);
    assert_eq!(known(stranger).await, [me, guest, stranger]);
    let steps = db.take();
    assert!(
        steps.contains("SEARCH gw USING INDEX sqlite_autoindex_workspace_members_1 (workspace_id=? AND user_id=?)")
    );
}

/// Each answer of an assistant runs this query.
#[tokio::test]
async fn detects_guests_without_reading_all_members() {
    let db = Planned::new().await;
    knowledge::of_answer(&db, AssistantId::new(), ConversationId::new(), None).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("INDEX workspace_members_guests (workspace_id=? AND role=?)"), "{steps}");
    let by_key = "SEARCH g USING INDEX sqlite_autoindex_conversation_members_1 (conversation_id=? AND user_id=?)";
    assert!(steps.contains(by_key), "{steps}");
}
