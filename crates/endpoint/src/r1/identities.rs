//! Sign-in by OAuth and OpenID Connect providers, and linked identities.

use appcore::{
    AppError, Code, IdentityId, Language, Timestamp,
    config::OauthKind,
    page::{Page, PageRequest},
};
use identity::accounts::{
    Confirmed, SignedIn,
    identities::{self, OauthCallback, OauthSignIn},
};
use middleware::cookies;
use natter_macro::{dto, endpoint};
use url::form_urlencoded::Serializer;

use super::auth::{SignInResult, set_token_cookies};
use crate::{Access, Bound, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Redirect, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListOauthProviders>(),
    EndpointDef::of::<StartOauth>(),
    EndpointDef::of::<FinishOauth>(),
    EndpointDef::of::<FinishOauthByForm>(),
    EndpointDef::of::<SignInByIdToken>(),
    EndpointDef::of::<ListIdentities>(),
    EndpointDef::of::<UnlinkIdentity>(),
];

/// Path of the sign-in page.
const LOGIN: &str = "/login";
/// Maximum size of a form posted by a provider, in bytes.
const MAX_FORM: usize = 64 * 1024;

/// Identity provider.
#[dto(response)]
pub struct OauthProvider {
    /// Name of the provider, as in the path of `start`.
    pub name: String,
    /// Kind, which determines the look of the button.
    pub kind: OauthKind,
}

/// List the identity providers
#[endpoint(GET "/r1/auth/oauth/providers", tag = "auth", access = Access::Public, rate = RateGroup::Read)]
impl Endpoint for ListOauthProviders {
    type Request = NoInput;
    type Response = Vec<OauthProvider>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Vec<OauthProvider>>, AppError> {
        let providers = identities::available(ctx.identity()).into_iter();
        Ok(Reply::of(providers.map(|provider| OauthProvider { name: provider.name, kind: provider.kind }).collect()))
    }
}

#[dto(request)]
pub struct StartOauthRequest {
    /// Name of the provider.
    #[from(path)]
    pub p: String,
    /// Path on this server to return to; others become `/`.
    #[from(query)]
    pub next: Option<String>,
    /// True to link the identity to the signed-in account.
    #[from(query)]
    pub link: Option<bool>,
}

/// Start an OAuth sign-in
///
/// Redirects to the provider or, on failure, to `/login?error=unavailable`. `link` without a fresh
/// sign-in redirects to `/login?error=fresh_sign_in_required`.
#[endpoint(GET "/r1/auth/oauth/{p}/start", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status = 302, errors(Unauthenticated, CrossSite))]
impl Endpoint for StartOauth {
    type Request = StartOauthRequest;
    type Response = Redirect;

    async fn handle(ctx: &Ctx, request: StartOauthRequest) -> Result<Reply<Redirect>, AppError> {
        // Another site must not be able to start linking an identity to the user's account.
        let by = if request.link == Some(true) { Some(ctx.authenticate_same_origin().await?) } else { None };
        let begun = identities::start_oauth(ctx.identity(), &request.p, request.next.as_deref(), by.as_ref()).await;
        let departure = match begun {
            Ok(departure) => departure,
            Err(error) => return redirect_to_login(ctx, error),
        };
        let (now, server) = (ctx.app().clock.now(), &ctx.app().config.server);
        let kept = (departure.handle, departure.expires_at);
        if let Some(name) = cookies::oauth_name(&departure.state, server) {
            ctx.set_cookies(cookies::expire_oldest_oauth(ctx.http().headers(), server));
            ctx.set_cookies([cookies::oauth(name, kept, now, server, departure.by_form)]);
        }
        Ok(Reply::redirect(departure.location))
    }
}

#[dto(request)]
pub struct FinishOauthRequest {
    /// Name of the provider.
    #[from(path)]
    pub p: String,
    #[from(query)]
    pub state: Option<String>,
    #[from(query)]
    pub code: Option<String>,
    #[from(query)]
    pub error: Option<String>,
    /// Issuer of the provider's response (RFC 9207).
    #[from(query)]
    pub iss: Option<String>,
    /// Name of the user, sent only by Apple at the first sign-in.
    #[from(query)]
    pub user: Option<String>,
    /// Preferred languages, for e-mails to a new account.
    #[from(header)]
    pub accept_language: Option<String>,
}

/// Finish an OAuth sign-in
///
/// Sets the tokens as cookies and redirects to the requested page. If a second factor is required,
/// redirects to `/login?challenge=`. On failure, redirects to `/login?error=` with `oauth_state`,
/// `oauth_denied`, `oauth_invalid`, `link_required`, `signup_closed` or `unavailable`.
#[endpoint(GET "/r1/auth/oauth/{p}/callback", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status = 303)]
impl Endpoint for FinishOauth {
    type Request = FinishOauthRequest;
    type Response = Redirect;

    async fn handle(ctx: &Ctx, request: FinishOauthRequest) -> Result<Reply<Redirect>, AppError> {
        finish_sign_in(ctx, request).await
    }
}

/// Finish an OAuth sign-in by form
///
/// For providers that post their response, such as Apple, also as
/// `application/x-www-form-urlencoded`.
#[endpoint(POST "/r1/auth/oauth/{p}/callback", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status = 303, max_body = Bound::Fixed(MAX_FORM))]
impl Endpoint for FinishOauthByForm {
    type Request = FinishOauthRequest;
    type Response = Redirect;

    /// The form comes from the provider's page. `state` proves that this browser started the
    /// sign-in.
    const ACCEPTS_CROSS_SITE_FORM: bool = true;

    async fn handle(ctx: &Ctx, request: FinishOauthRequest) -> Result<Reply<Redirect>, AppError> {
        finish_sign_in(ctx, request).await
    }
}

async fn finish_sign_in(ctx: &Ctx, request: FinishOauthRequest) -> Result<Reply<Redirect>, AppError> {
    let server = &ctx.app().config.server;
    let name = request.state.as_deref().and_then(|state| cookies::oauth_name(state, server));
    // Finds the cookie of the sign-in that this state belongs to. Other tabs may have sign-ins in
    // progress as well.
    let kept = name.and_then(|name| Some((cookies::find(ctx.http().headers(), &name)?, name)));
    let handle = kept.as_ref().map(|(handle, _)| handle.as_str());
    let returned = OauthCallback {
        state: request.state,
        code: request.code,
        error: request.error,
        issuer: request.iss,
        user: request.user,
        language: Language::from_accept_language(request.accept_language.as_deref().unwrap_or_default()),
    };
    let arrived = identities::finish_oauth(ctx.identity(), &request.p, handle, returned, ctx.device()).await;
    if let Some((_, name)) = kept {
        ctx.set_cookies([cookies::expired_oauth(name, server)]);
    }
    let OauthSignIn { signed_in, next } = match arrived {
        Ok(arrival) => arrival,
        Err(error) => return redirect_to_login(ctx, error),
    };
    match signed_in {
        Some(SignedIn::SecondFactor(challenge)) => {
            let methods: Vec<&str> = challenge.methods.iter().map(|method| method.as_str()).collect();
            let mut query = Serializer::new(String::new());
            query.append_pair("challenge", &challenge.handle).append_pair("methods", &methods.join(","));
            if next != "/" {
                query.append_pair("next", &next);
            }
            Ok(Reply::redirect(format!("{LOGIN}?{}", query.finish())))
        }
        Some(SignedIn::Tokens(pair)) => {
            set_token_cookies(ctx, &pair);
            Ok(Reply::redirect(next))
        }
        None => Ok(Reply::redirect(next)),
    }
}

/// Redirects to the sign-in page with the error, because the user would otherwise see a JSON
/// response. Internal errors are logged nevertheless.
fn redirect_to_login(ctx: &Ctx, error: AppError) -> Result<Reply<Redirect>, AppError> {
    match &error {
        AppError::Internal(_) => return Err(error),
        AppError::Refused { code: Code::NotFound, .. } => return Err(error),
        AppError::Unavailable(cause) => tracing::warn!(
            request_id = middleware::tracing::request_id(ctx.http()),
            error = format!("{cause:#}"),
            "failed to sign in by identity provider"
        ),
        AppError::Refused { .. } | AppError::Detailed { .. } | AppError::Invalid(_) => {}
    }
    Ok(Reply::redirect(format!("{LOGIN}?error={}", error.code())))
}

#[dto(request)]
pub struct SignInByIdTokenRequest {
    /// With `cookie`, the tokens are only in cookies, which scripts can't read.
    #[from(header)]
    pub x_natter_transport: Option<String>,
    /// Preferred languages, for e-mails to a new account.
    #[from(header)]
    pub accept_language: Option<String>,
    /// Name of the provider.
    #[from(path)]
    pub p: String,
    /// Unused ID token for this server, at most ten minutes old.
    pub id_token: String,
    /// Nonce; required if the token contains one.
    pub nonce: Option<String>,
}

/// Sign in with an ID token
///
/// For mobile apps that get the token from the operating system.
#[endpoint(POST "/r1/auth/oauth/{p}/token", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status(200, 202), errors(OauthInvalid, LinkRequired, SignupClosed))]
impl Endpoint for SignInByIdToken {
    type Request = SignInByIdTokenRequest;
    type Response = SignInResult;

    async fn handle(ctx: &Ctx, request: SignInByIdTokenRequest) -> Result<Reply<SignInResult>, AppError> {
        let (token, nonce) = (&request.id_token, request.nonce.as_deref());
        let language = Language::from_accept_language(request.accept_language.as_deref().unwrap_or_default());
        let signed_in =
            identities::sign_in_by_id_token(ctx.identity(), &request.p, token, nonce, language, ctx.device()).await?;
        Ok(SignInResult::reply(ctx, signed_in, request.x_natter_transport.as_deref()))
    }
}

/// Identity of a user at a provider.
#[dto(response)]
pub struct Identity {
    pub id: IdentityId,
    /// Name of the provider in the configuration.
    pub provider: String,
    /// Kind of the provider; null if it is no longer configured.
    pub kind: Option<OauthKind>,
    pub email: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

#[dto(request)]
pub struct ListIdentitiesRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List your linked identities
#[endpoint(GET "/r1/auth/identities", tag = "auth", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListIdentities {
    type Request = ListIdentitiesRequest;
    type Response = Page<Identity>;

    async fn handle(ctx: &Ctx, request: ListIdentitiesRequest) -> Result<Reply<Page<Identity>>, AppError> {
        let page = identities::list(ctx.identity(), ctx.user()?, request.page).await?;
        Ok(Reply::of(page.map(|own| Identity {
            id: own.id,
            provider: own.provider,
            kind: own.kind,
            email: own.email,
            created_at: own.created_at,
            last_used_at: own.last_used_at,
        })))
    }
}

#[dto(request)]
pub struct UnlinkIdentityRequest {
    #[from(path)]
    pub id: IdentityId,
}

/// Unlink an identity
#[endpoint(DELETE "/r1/auth/identities/{id}", tag = "auth", access = Access::User, rate = RateGroup::Write, requires = Confirmed, errors(LastMethod))]
impl Endpoint for UnlinkIdentity {
    type Request = UnlinkIdentityRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: UnlinkIdentityRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        identities::unlink(ctx.identity(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
