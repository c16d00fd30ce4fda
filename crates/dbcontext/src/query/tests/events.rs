//! Event log of conversations.

use appcore::{ConversationId, MessageId, Timestamp, UserId};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::Planned;
use crate::{
    entity::conversation_event,
    query::{account_erasure, events},
};

#[tokio::test]
async fn finds_the_position_at_a_time_by_scanning_backwards() {
    let db = Planned::new().await;
    events::positions_at(&db, UserId::new(), Timestamp(5)).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("SEARCH m USING INDEX conversation_members_user (user_id=?)"), "{steps}");
    assert!(
        steps.contains("SEARCH e USING INDEX sqlite_autoindex_conversation_events_1 (conversation_id=?)"),
        "{steps}"
    );
    assert!(!steps.contains("B-TREE"), "{steps}");
}

#[tokio::test]
async fn resumes_a_log_before_the_first_event_after_a_time() {
    let db = Planned::new().await;
    let (user, conversation) = (UserId::new(), ConversationId::new());
    let literal = |id: Uuid| format!("x'{}'", id.simple());
    let (user_id, id, nobody) = (literal(user.0), literal(conversation.0), literal(Uuid::nil()));
    let mut sql = format!(
        "PRAGMA foreign_keys = OFF; \
         INSERT INTO conversations (id, workspace_id, kind, last_seq, last_activity_at, created_by, created_at) \
           VALUES ({id}, {nobody}, 'group', 14, 140, {nobody}, 0); \
         INSERT INTO conversation_members (conversation_id, user_id, role, joined_at) VALUES ({id}, {user_id}, 'member', 0);"
    );
    // The log starts at the 11th event: earlier events are trimmed.
    for seq in 11..=14 {
        sql.push_str(&format!(
            "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) VALUES ({id}, {seq}, 'x', '', {seq}0);"
        ));
    }
    db.execute_unprepared(&sql).await.unwrap();
    for (moment, position) in [(5, Some(10)), (110, Some(11)), (125, Some(12)), (139, Some(13)), (140, None)] {
        let found = events::positions_at(&db, user, Timestamp(moment)).await.unwrap();
        assert_eq!(found, Vec::from_iter(position.map(|seq| (conversation, seq))), "at {moment}");
    }
    db.execute_unprepared(
        "UPDATE conversations SET history = 'from_join'; UPDATE conversation_members SET from_seq = 13",
    )
    .await
    .unwrap();
    assert_eq!(events::positions_at(&db, user, Timestamp(5)).await.unwrap(), [(conversation, 13)]);
}

#[tokio::test]
async fn finds_conversations_changed_since_a_time_by_the_log() {
    let db = Planned::new().await;
    let literal = |id: Uuid| format!("x'{}'", id.simple());
    let nobody = literal(Uuid::nil());
    let mut sql = "PRAGMA foreign_keys = OFF;".to_owned();
    let conversations = [(ConversationId::new(), 10), (ConversationId::new(), 20)];
    for (conversation, moment) in conversations {
        let id = literal(conversation.0);
        sql.push_str(&format!(
            "INSERT INTO conversations (id, workspace_id, kind, last_seq, last_activity_at, created_by, created_at) \
               VALUES ({id}, {nobody}, 'group', 3, {moment}, {nobody}, 0);"
        ));
        for seq in 1..=3 {
            sql.push_str(&format!(
                "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) \
                   VALUES ({id}, {seq}, 'x', '', {moment});"
            ));
        }
    }
    db.execute_unprepared(&sql).await.unwrap();
    assert_eq!(events::heads_since(&db, Timestamp(20)).await.unwrap(), [(conversations[1].0, 3)]);
    let steps = db.take();
    assert!(steps.contains("SEARCH e USING INDEX conversation_events_created (created_at>?)"), "{steps}");
    assert!(!steps.contains("SCAN"), "{steps}");
    assert_eq!(events::heads_since(&db, Timestamp(10)).await.unwrap().len(), 2);
    assert!(events::heads_since(&db, Timestamp(21)).await.unwrap().is_empty());
}

#[tokio::test]
async fn finds_events_about_a_user_log_by_log() {
    let db = Planned::new().await;
    let (user, other) = (UserId::new(), UserId::new());
    let id = ConversationId::new();
    for (seq, of) in [(1, user), (2, other), (3, user), (4, user)] {
        let sql = format!(
            "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) VALUES (x'{}', {seq}, 'x', '{of}', 0)",
            id.0.simple()
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    let found = account_erasure::events_about(&db, user, id, (0, 3)).await.unwrap();
    assert_eq!(found.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 3]);
    let steps = db.take();
    let bounded = "USING INDEX sqlite_autoindex_conversation_events_1 (conversation_id=? AND seq>? AND seq<?)";
    assert!(steps.contains(bounded) && !steps.contains("B-TREE"), "{steps}");
}

#[tokio::test]
async fn log_consumers_skip_an_unreadable_event() {
    let db = Planned::new().await;
    let (id, whole) = (ConversationId(Uuid::from_u128(1)), ConversationId(Uuid::from_u128(2)));
    let message = |seq: u128| MessageId(Uuid::from_u128(seq));
    for seq in 1..=9 {
        let payload = if seq == 4 || seq == 5 { "CAST(x'ff' AS TEXT)" } else { "'{}'" };
        // The fifth event is a later event about the message that the first event created.
        let about = if seq == 5 { format!("x'{:032}'", 1) } else { "NULL".to_owned() };
        let sql = format!(
            "INSERT INTO messages (id, conversation_id, seq, sender_kind, content, status, created_at) \
             SELECT x'{seq:032}', x'{0:032}', {seq}, 'user', '', 'sent', 0 WHERE {seq} <> 5; \
             INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at, message_id) VALUES \
               (x'{0:032}', {seq}, 'message.created', {payload}, 0, {about}), (x'{1:032}', {seq}, 'message.created', '{{}}', 0, NULL)",
            1, 2
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    // If several conversations are requested, the unreadable event can't be attributed to one of
    // them.
    assert!(events::next_readable_of_each(&db, &[(id, 0), (whole, 0)], 500).await.is_err());
    assert_eq!(events::next_readable_of_each(&db, &[(whole, 0)], 500).await.unwrap().len(), 9);
    let (mut seen, mut found) = (0, Vec::new());
    while seen < 9 {
        db.take();
        let next = events::next_readable_of_each(&db, &[(id, seen)], 500).await.unwrap();
        assert_eq!(
            next.iter().map(|row| row.seq).collect::<Vec<_>>(),
            (seen + 1..).take(next.len()).collect::<Vec<_>>()
        );
        seen = next.last().unwrap().seq;
        found.extend(next);
        if found.len() == 4 {
            let steps = db.take();
            let bounded = "SEARCH e USING INDEX sqlite_autoindex_conversation_events_1 (conversation_id=? AND seq=?)";
            assert!(
                steps.contains(bounded)
                    && steps.contains("SEARCH m USING INDEX messages_seq (conversation_id=? AND seq=?)"),
                "{steps}"
            );
        }
    }
    let place = |row: &conversation_event::Model| (row.kind.clone(), row.payload.clone());
    let changed = |seq| ("message.updated".to_owned(), format!("{{\"message_id\":\"{}\"}}", message(seq)));
    assert_eq!(found.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    assert_eq!([place(&found[3]), place(&found[4])], [changed(4), changed(1)]);
    assert_eq!(found.iter().filter(|row| row.kind == "message.created").count(), 7);
}

#[tokio::test]
async fn reads_event_subjects_without_payloads() {
    let db = Planned::new().await;
    let (id, other) = (ConversationId(Uuid::from_u128(1)), ConversationId(Uuid::from_u128(2)));
    let message = |id: u128| Some(MessageId(Uuid::from_u128(id)));
    let bytes = |id: u128| format!("x'{id:032x}'");
    let mut sql = format!(
        "INSERT INTO messages (id, conversation_id, seq, sender_kind, content, status, created_at) \
         VALUES ({}, {}, 1, 'user', '', 'sent', 0);",
        bytes(7),
        bytes(1)
    );
    let (no_text, none) = ("CAST(x'ff' AS TEXT)", "NULL".to_owned());
    for (chat, seq, kind, payload, about) in [
        (1, 1, "message.created", no_text, &none),
        (1, 2, "message.updated", no_text, &bytes(8)),
        (1, 3, "message.deleted", "'{\"message_id\":3}'", &none),
        (1, 4, "message.deleted", no_text, &none),
        (1, 5, "member.added", no_text, &none),
        (2, 1, "message.deleted", "'{}'", &none),
    ] {
        sql.push_str(&format!(
            "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at, message_id) \
             VALUES ({}, {seq}, '{kind}', {payload}, 0, {about});",
            bytes(chat)
        ));
    }
    db.execute_unprepared(&sql).await.unwrap();
    let about = async |positions: &[(ConversationId, i64)], limit| {
        let found = events::subjects_by_conversation(&db, positions, limit).await.unwrap();
        found
            .into_iter()
            .map(|event| (event.conversation_id, event.seq, event.message_id, event.payload))
            .collect::<Vec<_>>()
    };
    let expected = [
        (id, 1, message(7), None),
        (id, 2, message(8), None),
        (id, 3, None, Some(br#"{"message_id":3}"#.to_vec())),
        (id, 4, None, Some(vec![0xff])),
        (id, 5, None, None),
    ];
    assert_eq!(about(&[(id, 0)], 500).await, expected);
    let steps = db.take();
    let bounded = "USING COVERING INDEX sqlite_autoindex_conversation_events_1 (conversation_id=? AND seq>? AND seq<?)";
    assert!(steps.contains(bounded), "{steps}");
    // The page is shared between the conversations and limited in total.
    let shared = [expected[0].clone(), expected[1].clone(), (other, 1, None, Some(b"{}".to_vec()))];
    assert_eq!(about(&[(id, 0), (other, 0)], 3).await, shared);
}
