//! Parts of batches that are submitted to the batch APIs of providers.

use appcore::{
    BatchId, BatchSubmissionId, Timestamp,
    view::{BatchFormat, SubmissionState},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gateway_batch_submissions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BatchSubmissionId,
    pub batch_id: BatchId,
    /// First and last line of the input file.
    pub first_line: i64,
    pub last_line: i64,
    /// Number of requests.
    pub total: i64,
    /// Name of the provider.
    pub provider: String,
    /// Provider's name of the model; that of the first request if there are several.
    pub model: String,
    /// Form of the batch API.
    pub form: BatchFormat,
    /// Path of the requests at the provider.
    pub endpoint: String,
    /// Value of the `anthropic-beta` header.
    pub betas: Option<String>,
    /// Price in percent of the ordinary one.
    pub price_percent: i64,
    /// Index of the provider's key.
    pub key_index: i64,
    pub state: SubmissionState,
    /// Id of the input file at the provider.
    pub file_id: Option<String>,
    /// Id of the job at the provider.
    pub job_id: Option<String>,
    /// Number of failed attempts to submit it.
    pub attempts: i64,
    /// Time of the request that created the job.
    pub submitted_at: Option<Timestamp>,
    /// Time at which the cancellation was passed on.
    pub cancelled_at: Option<Timestamp>,
    /// Reservation of the maximum cost, if anything limits it.
    pub reservation_id: Option<Uuid>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
