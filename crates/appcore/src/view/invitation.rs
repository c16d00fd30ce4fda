//! Invitations to a workspace.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OfferedWorkspace, WorkspaceRole};
use crate::{InvitationId, Timestamp, UserId};

/// An invitation, as those who may invite see it. Its token is told once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    pub id: InvitationId,
    /// Whom it is for; none: for whoever has the link.
    pub email: Option<String>,
    pub role: WorkspaceRole,
    /// How often it was accepted.
    pub uses: i64,
    pub max_uses: i64,
    pub expires_at: Timestamp,
    pub created_by: UserId,
    pub created_at: Timestamp,
}

/// What an invitation leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvitedTo {
    pub workspace: OfferedWorkspace,
    pub role: WorkspaceRole,
    /// The name of whoever invites; none: their account was deleted.
    pub inviter: Option<String>,
}
