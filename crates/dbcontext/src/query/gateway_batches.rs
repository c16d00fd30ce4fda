//! Batches of gateway calls, and the results of running ones.
//!
//! The status of a batch is changed only from the states that a statement names, so that a
//! cancellation and the end of the batch can't overwrite each other.

use appcore::{
    AppError, BatchId, GatewayFileId, Timestamp, UserId,
    view::{BatchExecution, BatchFormat, BatchOutcome, BatchStatus},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select, Set,
};

use super::{gateway_files::GatewayOwner, raw, single};
pub use crate::entity::{gateway_batch::Model as BatchRow, gateway_batch_line::Model as BatchLineRow};
use crate::{
    constraint::app_error,
    entity::{
        gateway_batch::{ActiveModel, Column, Entity},
        gateway_batch_line as line,
    },
};

const FINAL: [BatchStatus; 4] =
    [BatchStatus::Failed, BatchStatus::Completed, BatchStatus::Expired, BatchStatus::Cancelled];

/// Position in a list of batches, which is sorted from new to old.
#[derive(Clone, Copy, Debug)]
pub enum BatchCursor {
    /// The page begins after this batch.
    After(BatchId),
    /// The page ends before this batch.
    Before(BatchId),
}

/// Number of requests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    pub succeeded: i64,
    pub errored: i64,
    pub canceled: i64,
    pub expired: i64,
}

impl BatchCounts {
    pub fn add(&mut self, outcome: BatchOutcome, count: i64) {
        *match outcome {
            BatchOutcome::Succeeded => &mut self.succeeded,
            BatchOutcome::Errored => &mut self.errored,
            BatchOutcome::Canceled => &mut self.canceled,
            BatchOutcome::Expired => &mut self.expired,
        } += count;
    }

    #[must_use]
    pub const fn total(&self) -> i64 {
        self.succeeded + self.errored + self.canceled + self.expired
    }
}

/// Result of a batch.
#[derive(Clone, Copy, Debug)]
pub struct EndedBatch {
    pub status: BatchStatus,
    pub counts: BatchCounts,
    pub output_file_id: Option<GatewayFileId>,
    pub error_file_id: Option<GatewayFileId>,
}

pub async fn insert<C: ConnectionTrait>(db: &C, row: BatchRow) -> Result<(), AppError> {
    single::insert(db, row.into_active_model()).await
}

pub async fn get<C: ConnectionTrait>(db: &C, id: BatchId) -> Result<Option<BatchRow>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

pub async fn find<C: ConnectionTrait>(
    db: &C,
    owner: GatewayOwner,
    format: BatchFormat,
    id: BatchId,
) -> Result<Option<BatchRow>, AppError> {
    owned(owner, format).filter(Column::Id.eq(id)).one(db).await.map_err(app_error)
}

/// Lists at most `limit` batches, newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    owner: GatewayOwner,
    format: BatchFormat,
    cursor: Option<BatchCursor>,
    limit: u64,
) -> Result<Vec<BatchRow>, AppError> {
    let query = owned(owner, format).limit(limit);
    let query = match cursor {
        Some(BatchCursor::Before(id)) => query.filter(Column::Id.gt(id)).order_by_asc(Column::Id),
        Some(BatchCursor::After(id)) => query.filter(Column::Id.lt(id)).order_by_desc(Column::Id),
        None => query.order_by_desc(Column::Id),
    };
    let mut found = query.all(db).await.map_err(app_error)?;
    if matches!(cursor, Some(BatchCursor::Before(_))) {
        found.reverse();
    }
    Ok(found)
}

/// Number of a user's batches that have not ended.
pub async fn count_active<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<u64, AppError> {
    let query = Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::Status.is_not_in(FINAL));
    query.count(db).await.map_err(app_error)
}

/// True if a batch that has not ended reads this file.
pub async fn is_active_input<C: ConnectionTrait>(db: &C, file: GatewayFileId) -> Result<bool, AppError> {
    let query = Entity::find().filter(Column::InputFileId.eq(file)).filter(Column::Status.is_not_in(FINAL));
    Ok(query.count(db).await.map_err(app_error)? > 0)
}

/// Starts a validated batch; returns `false` if it is no longer being validated.
pub async fn start<C: ConnectionTrait>(db: &C, id: BatchId, total: i64, now: Timestamp) -> Result<bool, AppError> {
    let started = ActiveModel {
        status: Set(BatchStatus::InProgress),
        total: Set(total),
        started_at: Set(Some(now)),
        ..Default::default()
    };
    change(db, id, &[BatchStatus::Validating], started).await
}

/// Records where the requests of a batch are executed.
pub async fn set_execution<C: ConnectionTrait>(db: &C, id: BatchId, execution: BatchExecution) -> Result<(), AppError> {
    let decided = ActiveModel { execution: Set(Some(execution)), ..Default::default() };
    Entity::update_many().set(decided).filter(Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Records the errors of an invalid batch, which ends it.
pub async fn fail<C: ConnectionTrait>(db: &C, id: BatchId, errors: String, now: Timestamp) -> Result<bool, AppError> {
    let failed = ActiveModel {
        status: Set(BatchStatus::Failed),
        errors: Set(Some(errors)),
        ended_at: Set(Some(now)),
        ..Default::default()
    };
    change(db, id, &[BatchStatus::Validating, BatchStatus::Cancelling], failed).await
}

/// Requests the cancellation of a batch; returns `false` if it has ended or is being finalised.
pub async fn cancel<C: ConnectionTrait>(db: &C, id: BatchId, now: Timestamp) -> Result<bool, AppError> {
    let cancelled =
        ActiveModel { status: Set(BatchStatus::Cancelling), cancelled_at: Set(Some(now)), ..Default::default() };
    change(db, id, &[BatchStatus::Validating, BatchStatus::InProgress], cancelled).await
}

/// Records that the results are being written; returns `false` if the batch was cancelled.
pub async fn finalize<C: ConnectionTrait>(db: &C, id: BatchId, now: Timestamp) -> Result<bool, AppError> {
    let finalizing =
        ActiveModel { status: Set(BatchStatus::Finalizing), finalizing_at: Set(Some(now)), ..Default::default() };
    change(db, id, &[BatchStatus::InProgress, BatchStatus::Finalizing], finalizing).await
}

/// Ends a batch; returns `false` if it has ended already.
pub async fn complete<C: ConnectionTrait>(
    db: &C,
    id: BatchId,
    result: EndedBatch,
    now: Timestamp,
) -> Result<bool, AppError> {
    let EndedBatch { status, counts, output_file_id, error_file_id } = result;
    let ended = ActiveModel {
        status: Set(status),
        total: Set(counts.total()),
        succeeded: Set(counts.succeeded),
        errored: Set(counts.errored),
        canceled: Set(counts.canceled),
        expired: Set(counts.expired),
        output_file_id: Set(output_file_id),
        error_file_id: Set(error_file_id),
        ended_at: Set(Some(now)),
        ..Default::default()
    };
    change(db, id, &[BatchStatus::Finalizing, BatchStatus::InProgress, BatchStatus::Cancelling], ended).await
}

/// Deletes a batch with its results.
pub async fn delete<C: ConnectionTrait>(db: &C, id: BatchId) -> Result<(), AppError> {
    Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes all batches of a user.
pub async fn delete_of_user<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    Entity::delete_many().filter(Column::UserId.eq(user_id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Records the result of a request; returns `false` if it has one already.
pub async fn record_result<C: ConnectionTrait>(db: &C, row: BatchLineRow) -> Result<bool, AppError> {
    single::insert_if_absent(db, row.into_active_model()).await
}

/// Numbers of the lines that have a result.
pub async fn finished_lines<C: ConnectionTrait>(db: &C, id: BatchId) -> Result<Vec<i64>, AppError> {
    results_query(id).select_only().column(line::Column::Line).into_tuple().all(db).await.map_err(app_error)
}

/// Results after the line `after`, in the order of their lines.
pub async fn results<C: ConnectionTrait>(
    db: &C,
    id: BatchId,
    after: i64,
    limit: u64,
) -> Result<Vec<BatchLineRow>, AppError> {
    let query = results_query(id).filter(line::Column::Line.gt(after)).order_by_asc(line::Column::Line);
    query.limit(limit).all(db).await.map_err(app_error)
}

pub async fn delete_results<C: ConnectionTrait>(db: &C, id: BatchId) -> Result<(), AppError> {
    line::Entity::delete_many().filter(line::Column::BatchId.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Number of results by outcome, of a batch that has not ended.
pub async fn counts<C: ConnectionTrait>(db: &C, id: BatchId) -> Result<BatchCounts, AppError> {
    #[derive(FromQueryResult)]
    struct Counted {
        outcome: BatchOutcome,
        count: i64,
    }
    let sql = "SELECT outcome, COUNT(*) AS count FROM gateway_batch_lines WHERE batch_id = $1 GROUP BY outcome";
    let mut counts = BatchCounts::default();
    for row in raw::find::<_, Counted>(db, sql, [id.into()]).await? {
        counts.add(row.outcome, row.count);
    }
    Ok(counts)
}

/// Total length of the results, in characters.
pub async fn result_length<C: ConnectionTrait>(db: &C, id: BatchId) -> Result<i64, AppError> {
    let sql =
        "SELECT CAST(COALESCE(SUM(LENGTH(result)), 0) AS BIGINT) AS total FROM gateway_batch_lines WHERE batch_id = $1";
    Ok(raw::find_value(db, sql, [id.into()]).await?.unwrap_or(0))
}

async fn change<C: ConnectionTrait>(
    db: &C,
    id: BatchId,
    from: &[BatchStatus],
    changed: ActiveModel,
) -> Result<bool, AppError> {
    let done = Entity::update_many()
        .set(changed)
        .filter(Column::Id.eq(id))
        .filter(Column::Status.is_in(from.iter().copied()))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

fn owned(owner: GatewayOwner, format: BatchFormat) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(owner.user_id))
        .filter(match owner.workspace_id {
            Some(workspace) => Column::WorkspaceId.eq(workspace),
            None => Column::WorkspaceId.is_null(),
        })
        .filter(Column::Format.eq(format))
}

fn results_query(id: BatchId) -> Select<line::Entity> {
    line::Entity::find().filter(line::Column::BatchId.eq(id))
}
