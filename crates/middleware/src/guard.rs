//! Who may call an endpoint, as far as that follows from who they are and what they have shown.

use actix_web::{HttpRequest, http::Method};
use app::App;
use appcore::{
    AppError, Code,
    auth::{Permission, Principal, Scope},
};
use identity::membership;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever is signed in, and programs with a key of theirs.
    User,
    /// Members of the workspace whose id stands as `{id}` in the path, where their role has this permission. For everybody else
    /// it is not there.
    Member(Permission),
    /// Admins of the installation.
    Admin,
    /// Programs with a key, and nobody else.
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

/// What no API key reaches: credentials themselves, and what can't be undone. It goes by the path, so that an endpoint that
/// is added there is out of their reach without anybody having to think of it.
const OUT_OF_REACH: [&str; 4] = ["/r1/auth", "/r1/api_keys", "/r1/usersessions", "/r1/users/me/export"];

/// Scope that an API key needs to call an endpoint; `None`: no key may call it.
#[must_use]
pub fn scope(access: Access, method: &Method, path: &str) -> Option<Scope> {
    let is_under = |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if OUT_OF_REACH.iter().any(is_under) || (path == "/r1/users/me" && *method == Method::DELETE) {
        return None;
    }
    Some(if access == Access::Admin || is_under(&"/r1/admin") {
        Scope::Admin
    } else if is_under(&"/v1") {
        Scope::Gateway
    } else if matches!(*method, Method::GET | Method::HEAD) {
        Scope::Read
    } else {
        Scope::Write
    })
}

/// Lets a caller in who may call. What they may do to the thing in question, its service decides.
pub async fn check(
    app: &App,
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
            Box::pin(membership::admit(&app.identity, principal, id, permission)).await
        }
        Access::Admin if principal.is_admin() => Ok(()),
        Access::Admin => Err(Code::Forbidden.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_writes_uses_the_gateway_or_administers_and_never_touches_credentials() {
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
            (Method::DELETE, "/r1/messages/{id}", Some(Scope::Write)),
        ] {
            assert_eq!(scope(Access::User, &method, path), expected, "{method} {path}");
        }
        for (access, method, path) in [
            (Access::Admin, Method::GET, "/r1/admin/users"),
            (Access::Admin, Method::DELETE, "/r1/admin/bans/{id}"),
            // Administration elsewhere, and whatever else is below the path of the console.
            (Access::Admin, Method::GET, "/r1/broadcasts"),
            (Access::Admin, Method::POST, "/r1/broadcasts"),
            (Access::User, Method::GET, "/r1/admin/something"),
        ] {
            assert_eq!(scope(access, &method, path), Some(Scope::Admin), "{method} {path}");
        }
        assert_eq!(scope(Access::Admin, &Method::GET, "/r1/api_keys"), None);
    }
}
