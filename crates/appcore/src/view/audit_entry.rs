//! Entries of the audit log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AuditEntryId, GeoLocation, Timestamp, UserId, audit::Action};

/// Entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub id: AuditEntryId,
    /// Audited action, such as `auth.signin`.
    #[schema(value_type = Action)]
    pub action: String,
    /// User; null if not signed in, or for the server itself.
    pub actor: Option<UserId>,
    /// Current name; null if the account was deleted.
    pub actor_name: Option<String>,
    /// Object of the action: an id or a network.
    pub target: Option<String>,
    /// Address of the client.
    pub address: Option<String>,
    /// Location of the address, by the current database.
    pub place: Option<GeoLocation>,
    pub created_at: Timestamp,
}
