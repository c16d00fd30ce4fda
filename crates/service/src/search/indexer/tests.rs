//! Reading what is new where some of it can't be read.

use ::search::{Candidate, Plan, Term};
use async_trait::async_trait;
use dbcontext::Database;

use super::*;
use crate::accounts::tests::stage::stages;

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
