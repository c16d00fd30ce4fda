//! Reading what is new where some of it can't be read.

use ::search::{Atom, Candidate, Plan, Term};
use async_trait::async_trait;
use dbcontext::Database;
use sea_orm::ConnectionTrait as _;

use super::*;
use crate::accounts::tests::stage::{Stage, stages, until};

/// An index that has read all conversations, and panics where it is asked about this one.
struct Broken(Uuid);

fn unused<T>() -> Result<T, AppError> {
    Err(AppError::internal(anyhow::anyhow!("nobody asks this")))
}

#[async_trait]
impl SearchIndex for Broken {
    async fn candidates(&self, _: Plan) -> Result<Vec<Candidate>, AppError> {
        unused()
    }

    async fn terms_after(&self, _: i64) -> Result<Vec<Term>, AppError> {
        unused()
    }

    async fn fill(&self) -> Result<Option<Fill>, AppError> {
        unused()
    }

    async fn messages(&self) -> Result<u64, AppError> {
        unused()
    }

    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError> {
        assert!(!ids.contains(&self.0), "it is a test");
        Ok(ids.into_iter().map(|id| (id, 1)).collect())
    }

    async fn waiting(&self, _: &Database) -> Result<Vec<(Uuid, i64)>, AppError> {
        unused()
    }

    async fn begin(&self) -> Result<Option<Box<dyn Writing>>, AppError> {
        unused()
    }

    async fn clear(&self) -> Result<(), AppError> {
        unused()
    }
}

#[tokio::test]
async fn a_conversation_that_can_not_be_read_keeps_no_other_out() {
    for stage in stages().await {
        let app = stage.instance().await;
        let news = News::default();
        let head = Head { seq: 1, since: Instant::now() };
        let all: Vec<(Uuid, Head)> = (0..500).map(|_| (Uuid::now_v7(), head)).collect();
        let (broken, _) = all[250];
        let failed = read_all(&app, &Broken(broken), &news, &all).await.unwrap();
        assert!(failed.is_some_and(|error| error.to_string().contains("it is a test")));
        let left: Vec<Uuid> = news.take().into_iter().map(|(id, _)| id).collect();
        assert_eq!(left, [broken]);
    }
}

#[tokio::test]
async fn a_message_that_can_not_be_read_is_set_aside_whether_it_is_old_or_new() {
    // PostgreSQL takes no text that can't be read.
    let stage = stages().await.into_iter().find(Stage::is_sqlite).unwrap();
    let app = stage.instance().await;
    let conversation = Uuid::from_u128(1);
    let ids: Vec<Uuid> = (0..8).map(|_| Uuid::now_v7()).collect();
    let put = |at: usize| {
        let content = if at == 2 || at == 6 { "CAST(x'ff' AS TEXT)" } else { "'a heron'" };
        let (id, of, seq) = (ids[at], conversation.simple(), at + 1);
        format!(
            "INSERT INTO messages (id, conversation_id, seq, sender_kind, content, status, created_at) \
             VALUES (x'{}', x'{of}', {seq}, 'user', {content}, 'sent', {seq}); \
             INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) \
             VALUES (x'{of}', {seq}, 'message.created', '{{\"message\":{{\"id\":\"{id}\"}}}}', {seq});",
            id.simple()
        )
    };
    let mut old = format!(
        "PRAGMA foreign_keys = OFF; \
         INSERT INTO conversations (id, workspace_id, kind, last_seq, last_activity_at, created_by, created_at) \
         VALUES (x'{0}', x'{0}', 'group', 5, 0, x'{0}', 0);",
        conversation.simple()
    );
    (0..5).for_each(|at| old.push_str(&put(at)));
    app.db.writer().execute_unprepared(&old).await.unwrap();
    app.search.index.clear().await.unwrap();

    // It fills the index as soon as it starts.
    let app = stage.instance().await;
    let index = app.search.index.as_ref();
    let found = async || {
        let all = vec![vec![Atom::Word("heron".to_owned())]];
        let plan = Plan { all, conversations: vec![conversation], limit: 10, ..Plan::default() };
        let found = index.candidates(plan).await.unwrap();
        found.into_iter().map(|candidate| candidate.message).collect::<Vec<Uuid>>()
    };
    until(async || index.fill().await.unwrap().is_some_and(|fill| fill.is_done)).await;
    assert_eq!(found().await, [4, 3, 1, 0].map(|at| ids[at]));

    let mut new = (5..8).map(put).collect::<String>();
    new.push_str("UPDATE conversations SET last_seq = 8;");
    app.db.writer().execute_unprepared(&new).await.unwrap();
    let head = Head { seq: 8, since: Instant::now() };
    read(&app, index, &News::default(), vec![(conversation, head)]).await.unwrap();
    assert_eq!(found().await, [7, 5, 4, 3, 1, 0].map(|at| ids[at]));
}
