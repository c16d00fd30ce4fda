//! Index in tables of PostgreSQL.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use ::search::{Batch, Candidate, FillState, Plan, Term};
use appcore::AppError;
use async_trait::async_trait;
use dbcontext::{Database, Transaction, constraint::app_error, query::search_index as rows};
use uuid::Uuid;

use super::{IndexWriter, SearchIndex};

pub(super) struct PostgresIndex {
    db: Database,
    /// Value of PostgreSQL's counter of deleted terms at the last purge.
    deleted_terms: AtomicI64,
}

impl PostgresIndex {
    pub const fn new(db: Database) -> Self {
        Self { db, deleted_terms: AtomicI64::new(0) }
    }
}

#[async_trait]
impl SearchIndex for PostgresIndex {
    async fn candidates(&self, plan: Plan) -> Result<Vec<Candidate>, AppError> {
        rows::candidates(self.db.reader(), &plan).await
    }

    async fn terms_after(&self, number: i64) -> Result<Vec<Term>, AppError> {
        rows::terms_after(self.db.reader(), number).await
    }

    async fn fill_state(&self) -> Result<Option<FillState>, AppError> {
        rows::fill(self.db.reader()).await
    }

    async fn messages(&self) -> Result<u64, AppError> {
        rows::messages(self.db.reader()).await
    }

    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError> {
        rows::positions(self.db.reader(), &ids).await
    }

    async fn incomplete_conversations(&self, db: &Database) -> Result<Vec<(Uuid, i64)>, AppError> {
        rows::waiting(db.reader()).await
    }

    async fn acquire_writer(&self) -> Result<Option<Box<dyn IndexWriter>>, AppError> {
        let held = begin_locked(&self.db).await?;
        Ok(held.map(|tx| Box::new(PostgresWriter(tx)) as Box<dyn IndexWriter>))
    }

    async fn clear(&self) -> Result<(), AppError> {
        let tx = self.db.begin().await.map_err(app_error)?;
        rows::clear(&tx).await?;
        tx.commit().await.map_err(app_error)
    }

    async fn purge(&self) -> Result<bool, AppError> {
        rows::vacuum(self.db.writer()).await?;
        let deleted = rows::deleted_terms(self.db.writer()).await?;
        Ok(self.deleted_terms.swap(deleted, Relaxed) != deleted)
    }
}

/// Begins a transaction with the writer's lock; returns `None` if another instance holds it.
pub(super) async fn begin_locked(db: &Database) -> Result<Option<Transaction>, AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    if rows::try_lock(&tx).await? {
        return Ok(Some(tx));
    }
    tx.rollback().await.map_err(app_error)?;
    Ok(None)
}

struct PostgresWriter(Transaction);

#[async_trait]
impl IndexWriter for PostgresWriter {
    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError> {
        rows::positions(&self.0, &ids).await
    }

    async fn fill_state(&self) -> Result<Option<FillState>, AppError> {
        rows::fill(&self.0).await
    }

    async fn abort(self: Box<Self>) -> Result<(), AppError> {
        self.0.rollback().await.map_err(app_error)
    }

    async fn commit(self: Box<Self>, batch: Batch) -> Result<(), AppError> {
        rows::apply(&self.0, &batch).await?;
        self.0.commit().await.map_err(app_error)
    }
}
