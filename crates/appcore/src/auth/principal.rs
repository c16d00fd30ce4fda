//! The caller of a request or the owner of a connection, once their credentials were checked.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Scope, Scopes};
use crate::{ApiKeyId, AppError, Code, SessionId, Timestamp, UserId, view::UserRole};

/// A person: signed in on a device, or represented by a program that holds a key of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub user_id: UserId,
    pub credential: Credential,
    pub role: UserRole,
    /// When the credentials that were shown run out.
    pub expires_at: Timestamp,
    /// Where they call from, as far as that matters: for the audit log.
    pub address: Option<IpAddr>,
}

/// What was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// An access token of this sign-in.
    Session(SessionId),
    ApiKey {
        id: ApiKeyId,
        scopes: Scopes,
    },
}

/// Which credential it is, without what it allows: whatever can be ended at a moment's notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CredentialId {
    Session(SessionId),
    ApiKey(ApiKeyId),
}

impl Credential {
    #[must_use]
    pub const fn id(self) -> CredentialId {
        match self {
            Self::Session(id) => CredentialId::Session(id),
            Self::ApiKey { id, .. } => CredentialId::ApiKey(id),
        }
    }
}

impl Principal {
    /// This principal, calling from there.
    #[must_use]
    pub const fn calling_from(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == UserRole::Admin
    }

    /// Whether this is an administrator who is signed in, or a key of theirs with the scope `admin`.
    #[must_use]
    pub fn may_administer(&self) -> bool {
        self.is_admin() && self.require_scope(Scope::Admin).is_ok()
    }

    /// The sign-in of a person who is here themselves; none for a program with a key.
    #[must_use]
    pub const fn session_id(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(id) => Some(id),
            Credential::ApiKey { .. } => None,
        }
    }

    /// The sign-in, for what no key reaches.
    pub fn require_session(&self) -> Result<SessionId, AppError> {
        self.session_id().ok_or_else(|| Code::ScopeMissing.into())
    }

    /// Refuses a key that may not be used for this; a signed-in person may do everything that they may do.
    pub fn require_scope(&self, scope: Scope) -> Result<(), AppError> {
        match self.credential {
            Credential::Session(_) => Ok(()),
            Credential::ApiKey { scopes, .. } if scopes.contains(scope) => Ok(()),
            Credential::ApiKey { .. } => Err(Code::ScopeMissing.into()),
        }
    }
}
