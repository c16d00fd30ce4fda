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
    /// User who performed the action. Null if the caller was not signed in, or if the server itself
    /// acted.
    pub actor: Option<UserId>,
    /// Current name of the user. Null if the account was deleted.
    pub actor_name: Option<String>,
    /// Object of the action: an id or a network.
    pub target: Option<String>,
    /// Address of the client.
    pub address: Option<String>,
    /// Location of the address according to the current geolocation database.
    pub place: Option<GeoLocation>,
    pub created_at: Timestamp,
}
