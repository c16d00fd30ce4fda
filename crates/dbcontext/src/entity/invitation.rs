//! Invitations to workspaces.

use appcore::{InvitationId, Timestamp, UserId, WorkspaceId, view::WorkspaceRole};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: InvitationId,
    pub workspace_id: WorkspaceId,
    /// Invited email address; `None` if anyone who has the link may join.
    pub email: Option<String>,
    pub role: WorkspaceRole,
    /// Hash of the token in the link that is shown to the inviter. The hash of the emailed token is
    /// in `mail_tokens`.
    pub token_hash: Vec<u8>,
    pub uses: i64,
    pub max_uses: i64,
    pub created_by: UserId,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
