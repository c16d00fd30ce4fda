//! Invitations to a workspace.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OfferedWorkspace, WorkspaceRole};
use crate::{InvitationId, Timestamp, UserId};

/// Invitation, as shown to members who may invite. Its token is returned only once, when it is
/// created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    pub id: InvitationId,
    /// E-mail address of the invited person; null if anyone with the link may accept the
    /// invitation.
    pub email: Option<String>,
    pub role: WorkspaceRole,
    /// Number of times that the invitation was accepted.
    pub uses: i64,
    pub max_uses: i64,
    pub expires_at: Timestamp,
    pub created_by: UserId,
    pub created_at: Timestamp,
}

/// Details of an invitation, for the invited person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = InvitedTo)]
pub struct InvitationDetails {
    pub workspace: OfferedWorkspace,
    pub role: WorkspaceRole,
    /// Name of the member who sent the invitation. Null if the account was deleted.
    pub inviter: Option<String>,
}
