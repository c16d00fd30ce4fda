//! Who may call an endpoint, as far as that follows from who they are.

use appcore::{AppError, Code, auth::Principal};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever is signed in.
    User,
    /// Admins of the installation.
    Admin,
}

impl Access {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

pub fn check(access: Access, principal: Option<&Principal>) -> Result<(), AppError> {
    match (access, principal) {
        (Access::Public, _) | (Access::User, Some(_)) => Ok(()),
        (Access::Admin, Some(principal)) if principal.is_admin() => Ok(()),
        (Access::Admin, Some(_)) => Err(Code::Forbidden.into()),
        (Access::User | Access::Admin, None) => Err(Code::Unauthenticated.into()),
    }
}
