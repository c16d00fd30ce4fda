//! What a handler knows about the request beside its input.

use std::sync::Arc;

use actix_web::HttpRequest;
use appcore::{AppError, Code, auth::Principal};
use middleware::tracing::request_id;
use service::{App, accounts::Device};

pub struct Ctx {
    pub(crate) app: Arc<App>,
    pub(crate) http: HttpRequest,
    pub(crate) principal: Option<Principal>,
}

impl Ctx {
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    #[must_use]
    pub fn http(&self) -> &HttpRequest {
        &self.http
    }

    /// The caller. Always there where the access is not `Public`.
    pub fn user(&self) -> Result<&Principal, AppError> {
        self.principal.as_ref().ok_or_else(|| Code::Unauthenticated.into())
    }

    /// The name under which this request stands in the log.
    #[must_use]
    pub fn request_id(&self) -> String {
        request_id(&self.http)
    }

    /// What the caller calls from, for the list of signed-in devices.
    #[must_use]
    pub fn device(&self) -> Device {
        middleware::auth::device(&self.http, &self.app.config)
    }

    /// The refresh token of a browser.
    #[must_use]
    pub fn refresh_cookie(&self) -> Option<String> {
        middleware::auth::refresh_cookie(self.http.headers(), &self.app.config)
    }
}
