//! Indexing of events while some of them are unreadable.

use ::search::Atom;
use appcore::Timestamp;
use sea_orm::ConnectionTrait as _;
use stage::{Stage, stages, until};

use super::*;
use crate::{
    index::{IndexState, Plan, SearchIndex},
    instances_for_tests::instance,
};

/// Inserts a group with this number of events, bypassing the writer.
fn group(id: Uuid, events: usize) -> String {
    format!(
        "PRAGMA foreign_keys = OFF; \
         INSERT INTO conversations (id, workspace_id, kind, last_seq, last_activity_at, created_by, created_at) \
         VALUES (x'{0}', x'{0}', 'group', {events}, 0, x'{0}', 0);",
        id.simple()
    )
}

/// SQL expression for a text of invalid UTF-8, which SQLite accepts and PostgreSQL doesn't.
const DAMAGED: &str = "CAST(x'ff' AS TEXT)";

/// Inserts a message with this content, and its event; both may be [`DAMAGED`].
fn put_message(id: Uuid, of: Uuid, seq: usize, content: &str, payload: Option<&str>, now: Timestamp) -> String {
    let now = now.millis();
    let whole = format!("'{{\"message\":{{\"id\":\"{id}\"}}}}'");
    let (id, of, payload) = (id.simple(), of.simple(), payload.unwrap_or(&whole));
    format!(
        "INSERT INTO messages (id, conversation_id, seq, sender_kind, content, status, created_at) \
         VALUES (x'{id}', x'{of}', {seq}, 'user', {content}, 'complete', {now}); \
         INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) \
         VALUES (x'{of}', {seq}, 'message.created', {payload}, {now});"
    )
}

async fn is_filled(index: &dyn SearchIndex) -> bool {
    index.state().await.unwrap().is_some_and(|state: IndexState| !state.is_filling())
}

/// Messages of a conversation that contain "heron", newest first.
async fn herons(index: &dyn SearchIndex, conversation: Uuid) -> Vec<Uuid> {
    let all = vec![vec![Atom::Word("heron".to_owned())]];
    let plan = Plan { all, conversations: vec![conversation], limit: 10, ..Plan::default() };
    let found = index.candidates(plan).await.unwrap();
    found.into_iter().map(|candidate| candidate.message).collect()
}

#[tokio::test]
async fn skips_unreadable_messages_old_and_new() {
    let stage = stages().await.into_iter().find(Stage::is_sqlite).unwrap();
    let service = instance(&stage).await;
    let conversation = Uuid::from_u128(1);
    let ids: Vec<Uuid> = (0..8).map(|_| Uuid::now_v7()).collect();
    let put = |at: usize| {
        let content = if at == 2 || at == 6 { DAMAGED } else { "'a heron'" };
        put_message(ids[at], conversation, at + 1, content, None, stage.clock.now())
    };
    let mut old = group(conversation, 5);
    (0..5).for_each(|at| old.push_str(&put(at)));
    service.db.writer().execute_unprepared(&old).await.unwrap();

    // The new instance has no index, and fills it.
    let service = instance(&stage).await;
    let index = service.index.as_ref();
    until(async || is_filled(index).await).await;
    assert_eq!(herons(index, conversation).await, [4, 3, 1, 0].map(|at| ids[at]));

    let mut new = (5..8).map(put).collect::<String>();
    new.push_str("UPDATE conversations SET last_seq = 8;");
    service.db.writer().execute_unprepared(&new).await.unwrap();
    let events = PendingConversation::until(8);
    let mut progress = Progress::resume(&service).await.unwrap();
    progress.advance([(conversation, 5)]);
    index_some(&service, &mut progress, &PendingWork::default(), vec![(conversation, events)]).await.unwrap();
    assert_eq!(herons(index, conversation).await, [7, 5, 4, 3, 1, 0].map(|at| ids[at]));
}

#[tokio::test]
async fn unreadable_event_does_not_block_others() {
    let stage = stages().await.into_iter().find(Stage::is_sqlite).unwrap();
    let service = instance(&stage).await;
    let index = service.index.as_ref();
    until(async || is_filled(index).await).await;
    let mut progress = Progress::resume(&service).await.unwrap();
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::now_v7()).collect();
    let mut all = group(one, 4) + &group(other, 1);
    for (at, id) in ids[..4].iter().enumerate() {
        all.push_str(&put_message(*id, one, at + 1, "'a heron'", Some(DAMAGED).filter(|_| at == 2), stage.clock.now()));
    }
    all.push_str(&put_message(ids[4], other, 1, "'a heron'", None, stage.clock.now()));
    service.db.writer().execute_unprepared(&all).await.unwrap();
    let news = PendingWork::default();
    news.announce(one, 4, None);
    news.announce(other, 1, None);
    until(async || {
        let (_, failed) = index_conversations(&service, &mut progress, &news, &news.start_batch()).await.unwrap();
        assert!(failed.is_none(), "{failed:?}");
        news.is_empty()
    })
    .await;
    assert_eq!(herons(index, one).await, [3, 2, 1, 0].map(|at| ids[at]));
    assert_eq!(herons(index, other).await, [ids[4]]);
}

#[test]
fn a_large_batch_that_waits_is_indexed_without_a_pause() {
    let large = usize::try_from(LARGE_BATCH).unwrap();
    assert_eq!(pause_after(LARGE_BATCH, large), Duration::ZERO);
    assert_eq!(pause_after(LARGE_BATCH, large - 1), MAX_PAUSE);
    assert_eq!(pause_after(0, 0), MIN_PAUSE);
}
