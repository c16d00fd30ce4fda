//! Invitations to a tenant.

use appcore::{InvitationId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: InvitationId,
    pub workspace_id: WorkspaceId,
    /// None: for whoever has the link.
    pub email: Option<String>,
    pub role: String,
    pub token_hash: Vec<u8>,
    pub uses: i64,
    pub max_uses: i64,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
