//! Responses of the gateway that are created in the background.

use appcore::{ApiKeyId, BackgroundResponseId, Timestamp, UserId, WorkspaceId, view::BackgroundResponseStatus};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gateway_responses")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BackgroundResponseId,
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    /// Key to which the response belongs, and by which it is authorised and billed.
    pub key_id: ApiKeyId,
    pub status: BackgroundResponseStatus,
    /// Body of the request as JSON, with the conversation that it continues.
    pub request: String,
    /// End user and tags of the request as JSON.
    pub labels: Option<String>,
    /// Response object as JSON; until the end without output.
    pub response: String,
    /// Length of the request and the response, in bytes.
    pub bytes: i64,
    pub ended_at: Option<Timestamp>,
    /// Time after which the response is not executed any more.
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
