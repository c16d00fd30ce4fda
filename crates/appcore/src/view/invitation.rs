//! Invitations to a workspace.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OfferedWorkspace, WorkspaceReference, WorkspaceRole};
use crate::{InvitationId, Timestamp, UserId};

/// Invitation. Its token is returned only at its creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    pub id: InvitationId,
    /// E-mail address; null if anyone with the link may accept.
    pub email: Option<String>,
    pub role: WorkspaceRole,
    /// Number of acceptances.
    pub uses: i64,
    pub max_uses: i64,
    pub expires_at: Timestamp,
    pub created_by: UserId,
    pub created_at: Timestamp,
}

/// Invitation with its workspace, for administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminInvitation {
    #[serde(flatten)]
    pub invitation: Invitation,
    pub workspace: WorkspaceReference,
}

/// Details of an invitation, for the invited person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = InvitedTo)]
pub struct InvitationDetails {
    pub workspace: OfferedWorkspace,
    pub role: WorkspaceRole,
    /// Member who sent it; null if the account was deleted.
    pub inviter: Option<String>,
}
