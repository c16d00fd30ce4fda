//! Access control by role and scope.

use actix_web::{HttpRequest, http::Method};
use appcore::{
    AppError, Code,
    auth::{Permission, Principal, Scope},
};
use identity::membership;

use crate::RequestServices;

/// Group of callers that may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Signed-in users, and programs with their API keys.
    User,
    /// Members of the workspace with the id `{id}` in the path whose role has this permission. For
    /// everybody else the answer is that the workspace does not exist.
    Member(Permission),
    /// Administrators of the installation.
    Admin,
    /// Programs with an API key only.
    Key,
}

impl Access {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::User => "user",
            Self::Member(permission) => permission.as_str(),
            Self::Admin => "admin",
            Self::Key => "key",
        }
    }
}

/// Path prefixes that no API key can call: credentials, and irreversible actions. Prefixes protect endpoints added
/// later by default.
const NO_API_KEY_PREFIXES: [&str; 4] = ["/r1/auth", "/r1/api_keys", "/r1/usersessions", "/r1/users/me/export"];

/// Scope that an API key needs to call an endpoint; `None` if no key may call it.
#[must_use]
pub fn scope(access: Access, method: &Method, path: &str) -> Option<Scope> {
    let is_under = |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if NO_API_KEY_PREFIXES.iter().any(is_under) || (path == "/r1/users/me" && *method == Method::DELETE) {
        return None;
    }
    Some(if access == Access::Admin || is_under(&"/r1/admin") {
        Scope::Admin
    } else if access == Access::Key || is_under(&"/v1") || is_under(&"/v1beta") || is_under(&"/v2") {
        Scope::Gateway
    } else if matches!(*method, Method::GET | Method::HEAD) {
        Scope::Read
    } else {
        Scope::Write
    })
}

/// Checks whether the caller may call the endpoint. Permissions on the individual resource are checked by its service.
pub async fn check(
    services: &RequestServices,
    http: &HttpRequest,
    access: Access,
    path: &str,
    principal: Option<&Principal>,
) -> Result<(), AppError> {
    if access == Access::Public {
        return Ok(());
    }
    let principal = principal.ok_or(Code::Unauthenticated)?;
    if principal.session_id().is_none() {
        principal.require_scope(scope(access, http.method(), path).ok_or(Code::ScopeMissing)?)?;
    }
    match access {
        Access::Public | Access::User | Access::Key => Ok(()),
        Access::Member(permission) => {
            let id = http.match_info().get("id").and_then(|id| id.parse().ok()).ok_or(Code::NotFound)?;
            Box::pin(membership::authorize(&services.identity, principal, id, permission)).await
        }
        Access::Admin if principal.is_admin() => Ok(()),
        Access::Admin => Err(Code::Forbidden.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_need_the_scope_and_never_reach_credentials() {
        for (method, path, expected) in [
            (Method::GET, "/r1/users/me", Some(Scope::Read)),
            (Method::PATCH, "/r1/users/me", Some(Scope::Write)),
            (Method::DELETE, "/r1/users/me", None),
            (Method::GET, "/r1/users/me/export", None),
            (Method::POST, "/r1/auth/logout", None),
            (Method::GET, "/r1/auth/identities/{id}", None),
            (Method::GET, "/r1/api_keys", None),
            (Method::DELETE, "/r1/api_keys/{id}", None),
            (Method::GET, "/r1/usersessions", None),
            (Method::GET, "/r1/authors", Some(Scope::Read)),
            (Method::POST, "/v1/chat/completions", Some(Scope::Gateway)),
            (Method::GET, "/v1/models", Some(Scope::Gateway)),
            (Method::POST, "/v2/rerank", Some(Scope::Gateway)),
            (Method::GET, "/v1beta/models", Some(Scope::Gateway)),
            (Method::DELETE, "/r1/messages/{id}", Some(Scope::Write)),
        ] {
            assert_eq!(scope(Access::User, &method, path), expected, "{method} {path}");
        }
        for (access, method, path) in [
            (Access::Admin, Method::GET, "/r1/admin/users"),
            (Access::Admin, Method::DELETE, "/r1/admin/bans/{id}"),
            // Endpoints for administrators that are not under `/r1/admin`, and an endpoint under it
            // that is not for administrators.
            (Access::Admin, Method::GET, "/r1/broadcasts"),
            (Access::Admin, Method::POST, "/r1/broadcasts"),
            (Access::User, Method::GET, "/r1/admin/something"),
        ] {
            assert_eq!(scope(access, &method, path), Some(Scope::Admin), "{method} {path}");
        }
        for method in [Method::GET, Method::POST] {
            assert_eq!(scope(Access::Key, &method, "/api/tags"), Some(Scope::Gateway), "{method}");
        }
        assert_eq!(scope(Access::Admin, &Method::GET, "/r1/api_keys"), None);
    }
}
