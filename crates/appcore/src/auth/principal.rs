//! Principal: the authenticated caller of a request or owner of a connection.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Scope, Scopes};
use crate::{ApiKeyId, AppError, Code, SessionId, Timestamp, UserId, view::UserRole};

/// Authenticated user, signed in on a device or represented by an API key; or the operator, who has
/// no account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub user_id: UserId,
    pub credential: Credential,
    pub role: UserRole,
    /// Expiry of the credential.
    pub expires_at: Timestamp,
    /// Client address, for the audit log.
    pub address: Option<IpAddr>,
}

/// Credential that authenticated the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// Access token of this session.
    Session(SessionId),
    ApiKey {
        id: ApiKeyId,
        scopes: Scopes,
    },
    /// Token that a command of this program has signed with the installation's key.
    Operator,
}

/// Identifies a credential without its scopes. Used as the key of the revocation checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CredentialId {
    Session(SessionId),
    ApiKey(ApiKeyId),
    Operator,
}

impl Credential {
    #[must_use]
    pub const fn id(self) -> CredentialId {
        match self {
            Self::Session(id) => CredentialId::Session(id),
            Self::ApiKey { id, .. } => CredentialId::ApiKey(id),
            Self::Operator => CredentialId::Operator,
        }
    }
}

impl Principal {
    /// User id in the operator's tokens. No account has it.
    pub const OPERATOR: UserId = UserId(Uuid::nil());

    /// Operator at the command line. May call the endpoints of administrators, but no others.
    #[must_use]
    pub const fn operator(expires_at: Timestamp) -> Self {
        Self {
            user_id: Self::OPERATOR,
            credential: Credential::Operator,
            role: UserRole::Admin,
            expires_at,
            address: None,
        }
    }

    /// Account of the caller; `None` for the operator.
    #[must_use]
    pub fn account_id(&self) -> Option<UserId> {
        (self.credential != Credential::Operator).then_some(self.user_id)
    }

    /// Returns the principal with its client address set.
    #[must_use]
    pub const fn with_address(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == UserRole::Admin
    }

    /// True for a signed-in administrator, for an administrator's API key with the scope `admin`,
    /// and for the operator.
    #[must_use]
    pub fn may_administer(&self) -> bool {
        self.is_admin() && self.require_scope(Scope::Admin).is_ok()
    }

    /// Session id of an interactive sign-in; `None` for API keys and the operator.
    #[must_use]
    pub const fn session_id(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(id) => Some(id),
            Credential::ApiKey { .. } | Credential::Operator => None,
        }
    }

    /// Session id of an interactive sign-in. Fails with `ScopeMissing` for other credentials.
    pub fn require_session(&self) -> Result<SessionId, AppError> {
        self.session_id().ok_or_else(|| Code::ScopeMissing.into())
    }

    /// Checks the scopes of an API key. Fails with `ScopeMissing` if `scope` is not among them.
    /// Sessions have all scopes, and the operator has only `admin`.
    pub fn require_scope(&self, scope: Scope) -> Result<(), AppError> {
        match self.credential {
            Credential::Session(_) => Ok(()),
            Credential::ApiKey { scopes, .. } if scopes.contains(scope) => Ok(()),
            Credential::Operator if scope == Scope::Admin => Ok(()),
            Credential::ApiKey { .. } | Credential::Operator => Err(Code::ScopeMissing.into()),
        }
    }
}
