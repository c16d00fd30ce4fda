//! Keeps banned addresses out, and notes what only scanners ask for. The rules are the service's ([`service::firewall`]).

use actix_web::{HttpRequest, dev::ServiceRequest, web::Data};
use appcore::{AppError, Code, limit::Violation};
use service::App;

use crate::{address, auth::Credentials};

/// Lets a request in, unless its address is kept out. Nothing is done for a request before, but writing its log line.
pub async fn admit(request: &ServiceRequest) -> Result<(), AppError> {
    let Some(app) = request.app_data::<Data<App>>() else { return Ok(()) };
    let source = || address::source(request.request(), &app.config);
    app.firewall.check(|| source().address)?;
    if is_probe(request.path()) {
        Box::pin(app.firewall.note(source(), Violation::Probe)).await;
    }
    Ok(())
}

/// Notes credentials that were refused, where nobody of us has made them.
pub async fn note_refused(app: &App, http: &HttpRequest, credentials: Option<&Credentials>, refusal: &AppError) {
    if let Some(credentials) = credentials
        && refusal.code() == Code::Unauthenticated
    {
        app.note_refused_token(address::source(http, &app.config), &credentials.token).await;
    }
}

/// Nothing of ours is at these addresses, and nobody who uses the app asks for them.
fn is_probe(path: &str) -> bool {
    let ends_in_php = path.len() >= 4 && path.as_bytes()[path.len() - 4..].eq_ignore_ascii_case(b".php");
    path == "/.env" || path.starts_with("/.git/") || path.starts_with("/wp-") || ends_in_php
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scanners_ask_for_these() {
        for probe in ["/.env", "/.git/config", "/.git/", "/wp-login.php", "/wp-admin/", "/a/b/xmlrpc.PHP", "/.php"] {
            assert!(is_probe(probe), "{probe}");
        }
        for ours in ["/", "/c/wp-login", "/.environment", "/.gitignore", "/r1/users/me", "/php", "/a.phps", "/ä"] {
            assert!(!is_probe(ours), "{ours}");
        }
    }
}
