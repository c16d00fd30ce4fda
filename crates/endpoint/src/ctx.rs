//! Context of a request: caller, client and application state.

use std::{cell::RefCell, net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, cookie::Cookie};
use app::App;
use appcore::{AppError, Code, RequestSource, auth::Principal};
use assistants::AssistantsService;
use batches::BatchesService;
use billing::BillingService;
use conversations::ConversationsService;
use files::FilesService;
use gateway::GatewayService;
use identity::{IdentityService, accounts::Device};
use message_search::SearchService;
use middleware::{address, auth, cookies, origin};
use ops::OpsService;
use platform::{
    audit::{self, Action, NewAuditEntry},
    rate_limits::ConcurrencyPermit,
};

pub struct Ctx {
    pub(crate) app: Arc<App>,
    pub(crate) http: HttpRequest,
    pub(crate) principal: Option<Principal>,
    pub(crate) cookies: RefCell<Vec<Cookie<'static>>>,
    /// Permit of the concurrency limit, held until the response is sent.
    pub(crate) lease: Option<ConcurrencyPermit>,
}

impl Ctx {
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Accounts, memberships and presence.
    #[must_use]
    pub fn identity(&self) -> &IdentityService {
        &self.app.identity
    }

    /// Credits, payments and subscriptions.
    #[must_use]
    pub fn billing(&self) -> &Arc<BillingService> {
        &self.app.billing
    }

    /// Uploads.
    #[must_use]
    pub fn files(&self) -> &FilesService {
        &self.app.files
    }

    /// Models, budgets and usage.
    #[must_use]
    pub fn gateway(&self) -> &Arc<GatewayService> {
        &self.app.gateway
    }

    /// Files and batches of the gateway.
    #[must_use]
    pub fn batches(&self) -> &BatchesService {
        &self.app.batches
    }

    /// Search.
    #[must_use]
    pub fn search(&self) -> &SearchService {
        &self.app.search
    }

    /// Assistants.
    #[must_use]
    pub fn assistants(&self) -> &AssistantsService {
        &self.app.assistants
    }

    /// Conversations and workspaces.
    #[must_use]
    pub fn conversations(&self) -> &Arc<ConversationsService> {
        &self.app.conversations
    }

    /// Operations and administration of the installation.
    #[must_use]
    pub fn ops(&self) -> &Arc<OpsService> {
        &self.app.ops
    }

    /// Shared application, for work that continues after the response.
    #[must_use]
    pub fn shared_app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    #[must_use]
    pub fn http(&self) -> &HttpRequest {
        &self.http
    }

    /// Caller of an endpoint that requires authentication. Returns `Unauthenticated` only at
    /// endpoints with `Access::Public`.
    pub fn user(&self) -> Result<&Principal, AppError> {
        self.principal.as_ref().ok_or_else(|| Code::Unauthenticated.into())
    }

    /// Authenticates the caller of a public endpoint. Refuses requests from other sites that rely
    /// on cookies.
    pub async fn authenticate_same_origin(&self) -> Result<Principal, AppError> {
        let credentials = auth::Credentials::find(self.http.headers(), &self.app.config);
        if credentials.as_ref().is_some_and(|credentials| credentials.by_cookie) {
            origin::check(self.http.headers(), &self.app.config)?;
        }
        Ok(auth::authenticate(&self.app.requests, credentials.as_ref()).await?.with_address(self.address()))
    }

    /// Records an action of the caller in the audit log. Called from `handle_after`, outside of a
    /// transaction. A failure is only logged.
    pub async fn record_audit(&self, action: Action, target: Option<String>) {
        if let Some(by) = &self.principal {
            audit::record_detached(&self.app, NewAuditEntry::by_principal(by, action, target)).await;
        }
    }

    /// Caller of a public endpoint, if the request has valid credentials.
    pub async fn optional_user(&self) -> Option<Principal> {
        let credentials = auth::Credentials::find(self.http.headers(), &self.app.config);
        auth::authenticate(&self.app.requests, credentials.as_ref()).await.ok()
    }

    /// Client device, for the list of sessions.
    #[must_use]
    pub fn device(&self) -> Device {
        middleware::auth::device(&self.http, &self.app.config)
    }

    /// Client IP address.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.source().address
    }

    /// Client address and origin of the request.
    #[must_use]
    pub fn source(&self) -> RequestSource {
        address::source(&self.http, &self.app.config)
    }

    /// Base URL by which the client reached this server, for links in responses.
    #[must_use]
    pub fn base_url(&self) -> String {
        origin::base_url(self.http.headers(), &self.app.config)
    }

    /// Refresh token from the cookie.
    #[must_use]
    pub fn refresh_cookie(&self) -> Option<String> {
        middleware::auth::refresh_cookie(self.http.headers(), &self.app.config)
    }

    /// Sets cookies on the response, whether it succeeds or fails.
    pub fn set_cookies(&self, cookies: impl IntoIterator<Item = Cookie<'static>>) {
        self.cookies.borrow_mut().extend(cookies);
    }

    /// Removes the token cookies, if the browser has sent any.
    pub fn clear_cookies(&self) {
        let server = &self.app.config.server;
        if [cookies::access_name(server), cookies::refresh_name(server)]
            .iter()
            .any(|name| cookies::find(self.http.headers(), name).is_some())
        {
            self.set_cookies(cookies::expired_session(server));
        }
    }
}
