//! What a handler knows about the request beside its input.

use std::{cell::RefCell, net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, cookie::Cookie};
use app::App;
use appcore::{AppError, Code, RequestSource, auth::Principal};
use assistants::AssistantsService;
use billing::BillingService;
use conversations::ConversationsService;
use files::FilesService;
use gateway::GatewayService;
use identity::{IdentityService, accounts::Device};
use message_search::SearchService;
use middleware::{address, auth, cookies, origin};
use ops::OpsService;
use platform::{
    audit::{self, Action, Entry},
    rate_limits::ConcurrencyPermit,
};

pub struct Ctx {
    pub(crate) app: Arc<App>,
    pub(crate) http: HttpRequest,
    pub(crate) principal: Option<Principal>,
    pub(crate) cookies: RefCell<Vec<Cookie<'static>>>,
    /// Where calls at the same time are counted: this one, until its answer is there.
    pub(crate) lease: Option<ConcurrencyPermit>,
}

impl Ctx {
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// State of accounts, memberships and presence.
    #[must_use]
    pub fn identity(&self) -> &IdentityService {
        &self.app.identity
    }

    /// State of credits, payments and subscriptions.
    #[must_use]
    pub fn billing(&self) -> &Arc<BillingService> {
        &self.app.billing
    }

    /// State of uploads.
    #[must_use]
    pub fn files(&self) -> &FilesService {
        &self.app.files
    }

    /// State of models, budgets and usage.
    #[must_use]
    pub fn gateway(&self) -> &Arc<GatewayService> {
        &self.app.gateway
    }

    /// State of the search.
    #[must_use]
    pub fn search(&self) -> &SearchService {
        &self.app.search
    }

    /// State of assistants.
    #[must_use]
    pub fn assistants(&self) -> &AssistantsService {
        &self.app.assistants
    }

    /// State of conversations and workspaces.
    #[must_use]
    pub fn conversations(&self) -> &Arc<ConversationsService> {
        &self.app.conversations
    }

    /// State of what operators look at.
    #[must_use]
    pub fn ops(&self) -> &OpsService {
        &self.app.ops
    }

    /// The app for what goes on after the handler has answered.
    #[must_use]
    pub fn shared_app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    #[must_use]
    pub fn http(&self) -> &HttpRequest {
        &self.http
    }

    /// The caller. Always there where the access is not `Public`.
    pub fn user(&self) -> Result<&Principal, AppError> {
        self.principal.as_ref().ok_or_else(|| Code::Unauthenticated.into())
    }

    /// The caller of an endpoint that is open to everybody, for what no other site may make a browser do.
    pub async fn identify_own_page(&self) -> Result<Principal, AppError> {
        let credentials = auth::Credentials::find(self.http.headers(), &self.app.config);
        if credentials.as_ref().is_some_and(|credentials| credentials.by_cookie) {
            origin::check(self.http.headers(), &self.app.config)?;
        }
        Ok(auth::authenticate(&self.app, credentials.as_ref()).await?.calling_from(self.address()))
    }

    /// Writes in the audit log what the caller has done: in `handle_after`, where no transaction changes anything. That it could not be written is
    /// only logged.
    pub async fn note(&self, action: Action, target: Option<String>) {
        if let Some(by) = &self.principal {
            audit::note(&self.app, Entry::by(by, action, target)).await;
        }
    }

    /// Whoever shows credentials where nobody has to.
    pub async fn caller(&self) -> Option<Principal> {
        let credentials = auth::Credentials::find(self.http.headers(), &self.app.config);
        auth::authenticate(&self.app, credentials.as_ref()).await.ok()
    }

    /// What the caller calls from, for the list of signed-in devices.
    #[must_use]
    pub fn device(&self) -> Device {
        middleware::auth::device(&self.http, &self.app.config)
    }

    /// Where the call comes from.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.source().address
    }

    /// Where the call comes from, and whose page made it.
    #[must_use]
    pub fn source(&self) -> RequestSource {
        address::source(&self.http, &self.app.config)
    }

    /// The address that the caller reaches this server by, for links that are shown to them.
    #[must_use]
    pub fn own_url(&self) -> String {
        origin::own_url(self.http.headers(), &self.app.config)
    }

    /// The refresh token of a browser.
    #[must_use]
    pub fn refresh_cookie(&self) -> Option<String> {
        middleware::auth::refresh_cookie(self.http.headers(), &self.app.config)
    }

    /// Sends cookies with the answer, whatever it will be.
    pub fn set_cookies(&self, cookies: impl IntoIterator<Item = Cookie<'static>>) {
        self.cookies.borrow_mut().extend(cookies);
    }

    /// Takes the tokens away from a browser that has any.
    pub fn clear_cookies(&self) {
        let server = &self.app.config.server;
        if [cookies::access_name(server), cookies::refresh_name(server)]
            .iter()
            .any(|name| cookies::find(self.http.headers(), name).is_some())
        {
            self.set_cookies(cookies::none(server));
        }
    }
}
