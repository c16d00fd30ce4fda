//! The audit log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AuditEntryId, Place, Timestamp, UserId, audit::Action};

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub id: AuditEntryId,
    /// What was done, such as `auth.signin`.
    #[schema(value_type = Action)]
    pub action: String,
    /// Who did it; none: somebody who was not signed in, or the program itself.
    pub actor: Option<UserId>,
    /// Their name today; none once the account is gone.
    pub actor_name: Option<String>,
    /// What it was done to: an id or a network.
    pub target: Option<String>,
    /// Where it came from.
    pub address: Option<String>,
    /// Where that is, as the database of places has it now.
    pub place: Option<Place>,
    pub created_at: Timestamp,
}
