//! Batches of gateway calls.

use appcore::{
    ApiKeyId, BatchId, GatewayFileId, Timestamp, UserId, WorkspaceId,
    view::{BatchExecution, BatchFormat, BatchStatus, GatewayEndpoint},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gateway_batches")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BatchId,
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    /// Key by which the requests are authorised and billed.
    pub key_id: ApiKeyId,
    pub format: BatchFormat,
    pub endpoint: GatewayEndpoint,
    pub status: BatchStatus,
    pub input_file_id: GatewayFileId,
    pub output_file_id: Option<GatewayFileId>,
    pub error_file_id: Option<GatewayFileId>,
    /// Metadata of the caller as JSON.
    pub metadata: Option<String>,
    /// Lifetime of the result files, in seconds.
    pub output_lifetime: Option<i64>,
    /// Errors in the input file as JSON.
    pub errors: Option<String>,
    /// Beta features of Anthropic's API, comma-separated.
    pub betas: Option<String>,
    pub total: i64,
    /// Number of requests with this outcome; set when the batch has ended.
    pub succeeded: i64,
    pub errored: i64,
    pub canceled: i64,
    pub expired: i64,
    pub started_at: Option<Timestamp>,
    pub finalizing_at: Option<Timestamp>,
    /// Time at which the caller cancelled the batch.
    pub cancelled_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// End of the completion window.
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    /// Place where the requests are executed; `None` until that is decided.
    pub execution: Option<BatchExecution>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
