//! Parts of batches that are submitted to the batch APIs of providers.
//!
//! Only the worker that holds the lease of a batch's job changes its submissions.

use appcore::{
    AppError, BatchId, BatchSubmissionId, UserId,
    view::{BatchStatus, SubmissionState},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Set};

use super::single;
pub use crate::entity::gateway_batch_submission::Model as SubmissionRow;
use crate::{
    constraint::app_error,
    entity::{
        gateway_batch,
        gateway_batch_submission::{ActiveModel, Column, Entity},
    },
};

/// Maximum number of jobs whose ids are listed.
const MAX_JOBS: u64 = 1_000;

pub async fn insert<C: ConnectionTrait>(db: &C, row: SubmissionRow) -> Result<(), AppError> {
    single::insert(db, row.into_active_model()).await
}

/// Submissions of a batch, in the order of their lines.
pub async fn of_batch<C: ConnectionTrait>(db: &C, id: BatchId) -> Result<Vec<SubmissionRow>, AppError> {
    let query = Entity::find().filter(Column::BatchId.eq(id)).order_by_asc(Column::FirstLine);
    query.all(db).await.map_err(app_error)
}

/// Updates the state of a submission.
pub async fn update<C: ConnectionTrait>(db: &C, row: &SubmissionRow) -> Result<(), AppError> {
    let row = row.clone();
    let changed = ActiveModel {
        total: Set(row.total),
        key_index: Set(row.key_index),
        state: Set(row.state),
        file_id: Set(row.file_id),
        job_id: Set(row.job_id),
        attempts: Set(row.attempts),
        submitted_at: Set(row.submitted_at),
        cancelled_at: Set(row.cancelled_at),
        reservation_id: Set(row.reservation_id),
        ..Default::default()
    };
    Entity::update_many().set(changed).filter(Column::Id.eq(row.id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Ids of the newest jobs at a provider, but for that of the submission `except`.
pub async fn job_ids<C: ConnectionTrait>(
    db: &C,
    provider: &str,
    except: BatchSubmissionId,
) -> Result<Vec<String>, AppError> {
    let query = Entity::find()
        .select_only()
        .column(Column::JobId)
        .filter(Column::Provider.eq(provider))
        .filter(Column::Id.ne(except))
        .filter(Column::JobId.is_not_null())
        .order_by_desc(Column::Id)
        .limit(MAX_JOBS);
    query.into_tuple().all(db).await.map_err(app_error)
}

/// Jobs at providers that have not ended, of all batches of a user.
pub async fn running_of_user<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<Vec<SubmissionRow>, AppError> {
    let batches = gateway_batch::Entity::find()
        .select_only()
        .column(gateway_batch::Column::Id)
        .filter(gateway_batch::Column::UserId.eq(user_id))
        .filter(gateway_batch::Column::Status.is_in([BatchStatus::InProgress, BatchStatus::Cancelling]));
    let batches: Vec<BatchId> = batches.into_tuple().all(db).await.map_err(app_error)?;
    let query =
        Entity::find().filter(Column::BatchId.is_in(batches)).filter(Column::State.eq(SubmissionState::Submitted));
    query.all(db).await.map_err(app_error)
}
