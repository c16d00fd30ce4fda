//! Banned networks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BanId, Timestamp, UserId};

/// Network that is banned for a limited time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    pub id: BanId,
    /// Network in CIDR notation.
    pub address: String,
    pub reason: String,
    /// Administrator; null for an automatic ban.
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}
