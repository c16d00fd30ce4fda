//! The caller of a request or the owner of a connection, once their credentials were checked.

use crate::{SessionId, Timestamp, UserId, view::UserRole};

/// A signed-in person on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub role: UserRole,
    /// When the credentials that were shown run out.
    pub expires_at: Timestamp,
}

impl Principal {
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == UserRole::Admin
    }
}
