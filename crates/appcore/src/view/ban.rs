//! Banned networks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BanId, Timestamp, UserId};

/// A network that is kept out for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    pub id: BanId,
    /// In CIDR notation.
    pub address: String,
    pub reason: String,
    /// Who made it; none: the firewall itself.
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}
