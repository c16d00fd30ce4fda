//! Signing in by a provider of identities, and one's own identities.

use appcore::{
    AppError, Code, IdentityId, Language, Timestamp,
    config::OauthKind,
    page::{Page, PageRequest},
};
use identity::accounts::{
    Confirmed, SignedIn,
    identities::{self, Arrival, Returned},
};
use middleware::cookies;
use natter_macro::{dto, endpoint};
use url::form_urlencoded::Serializer;

use super::auth::{SignInResult, keep_tokens};
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

/// Where a browser signs in.
const LOGIN: &str = "/login";
/// The longest form of a provider, in bytes.
const MAX_FORM: usize = 64 * 1024;

/// A provider of identities.
#[dto(response)]
pub struct OauthProvider {
    /// For the address of `start`.
    pub name: String,
    /// Which button to show.
    pub kind: OauthKind,
}

/// List the providers that one can sign in by
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
    /// The provider's name.
    #[from(path)]
    pub p: String,
    /// A path on this server to come back to; `/` where it is anything else.
    #[from(query)]
    pub next: Option<String>,
    /// `true`: link the identity to the account that one is signed in to.
    #[from(query)]
    pub link: Option<bool>,
}

/// Send a browser to a provider
///
/// Or to `/login?error=`, where that can't be: `unavailable`, or with `link`, where the sign-in is not fresh (see
/// `POST /r1/auth/confirm`), `fresh_sign_in_required`.
#[endpoint(GET "/r1/auth/oauth/{p}/start", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status = 302, errors(Unauthenticated, CrossSite))]
impl Endpoint for StartOauth {
    type Request = StartOauthRequest;
    type Response = Redirect;

    async fn handle(ctx: &Ctx, request: StartOauthRequest) -> Result<Reply<Redirect>, AppError> {
        // No other site may send somebody off to have their account linked.
        let by = if request.link == Some(true) { Some(ctx.identify_own_page().await?) } else { None };
        let begun = identities::depart(ctx.identity(), &request.p, request.next.as_deref(), by.as_ref()).await;
        let departure = match begun {
            Ok(departure) => departure,
            Err(error) => return back_to_login(ctx, error),
        };
        let (now, server) = (ctx.app().clock.now(), &ctx.app().config.server);
        let kept = (departure.handle, departure.expires_at);
        if let Some(name) = cookies::oauth_name(&departure.state, server) {
            ctx.set_cookies(cookies::no_older_oauth(ctx.http().headers(), server));
            ctx.set_cookies([cookies::oauth(name, kept, now, server, departure.by_form)]);
        }
        Ok(Reply::to(departure.location))
    }
}

#[dto(request)]
pub struct FinishOauthRequest {
    /// The provider's name.
    #[from(path)]
    pub p: String,
    #[from(query)]
    pub state: Option<String>,
    #[from(query)]
    pub code: Option<String>,
    #[from(query)]
    pub error: Option<String>,
    /// Who sends the browser back (RFC 9207).
    #[from(query)]
    pub iss: Option<String>,
    /// Apple: the name, once.
    #[from(query)]
    pub user: Option<String>,
    /// Mail to somebody new is written in the one of these languages that there are texts in.
    #[from(header)]
    pub accept_language: Option<String>,
}

/// Take a browser in that comes back from a provider
///
/// It goes on to where it wanted to, with its tokens as cookies; or to `/login?error=` with `oauth_state`, `oauth_denied`,
/// `oauth_invalid`, `link_required`, `signup_closed` or `unavailable`; or to `/login?challenge=`, where a second factor is asked for.
#[endpoint(GET "/r1/auth/oauth/{p}/callback", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status = 303)]
impl Endpoint for FinishOauth {
    type Request = FinishOauthRequest;
    type Response = Redirect;

    async fn handle(ctx: &Ctx, request: FinishOauthRequest) -> Result<Reply<Redirect>, AppError> {
        arrive(ctx, request).await
    }
}

/// Take a browser in that comes back from a provider with a form
///
/// As Apple does it. The fields may stand in an `application/x-www-form-urlencoded` body.
#[endpoint(POST "/r1/auth/oauth/{p}/callback", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status = 303, max_body = Bound::Fixed(MAX_FORM))]
impl Endpoint for FinishOauthByForm {
    type Request = FinishOauthRequest;
    type Response = Redirect;

    /// The provider's page sends it; that it was asked for is said by `state`.
    const FORM_OF_ANOTHER_SITE: bool = true;

    async fn handle(ctx: &Ctx, request: FinishOauthRequest) -> Result<Reply<Redirect>, AppError> {
        arrive(ctx, request).await
    }
}

async fn arrive(ctx: &Ctx, request: FinishOauthRequest) -> Result<Reply<Redirect>, AppError> {
    let server = &ctx.app().config.server;
    let name = request.state.as_deref().and_then(|state| cookies::oauth_name(state, server));
    // The sign-in that this state belongs to: others may be under way in other tabs.
    let kept = name.and_then(|name| Some((cookies::find(ctx.http().headers(), &name)?, name)));
    let handle = kept.as_ref().map(|(handle, _)| handle.as_str());
    let returned = Returned {
        state: request.state,
        code: request.code,
        error: request.error,
        issuer: request.iss,
        user: request.user,
        language: Language::accepted(request.accept_language.as_deref().unwrap_or_default()),
    };
    let arrived = identities::arrive(ctx.identity(), &request.p, handle, returned, ctx.device()).await;
    if let Some((_, name)) = kept {
        ctx.set_cookies([cookies::no_oauth(name, server)]);
    }
    let Arrival { signed_in, next } = match arrived {
        Ok(arrival) => arrival,
        Err(error) => return back_to_login(ctx, error),
    };
    match signed_in {
        Some(SignedIn::SecondFactor(challenge)) => {
            let methods: Vec<&str> = challenge.methods.iter().map(|method| method.as_str()).collect();
            let mut query = Serializer::new(String::new());
            query.append_pair("challenge", &challenge.handle).append_pair("methods", &methods.join(","));
            if next != "/" {
                query.append_pair("next", &next);
            }
            Ok(Reply::to(format!("{LOGIN}?{}", query.finish())))
        }
        Some(SignedIn::Tokens(pair)) => {
            keep_tokens(ctx, &pair);
            Ok(Reply::to(next))
        }
        None => Ok(Reply::to(next)),
    }
}

/// A person in a browser is told by the page, not by JSON. What is our own fault is logged all the same.
fn back_to_login(ctx: &Ctx, error: AppError) -> Result<Reply<Redirect>, AppError> {
    match &error {
        AppError::Internal(_) => return Err(error),
        AppError::Refused { code: Code::NotFound, .. } => return Err(error),
        AppError::Unavailable(cause) => tracing::warn!(
            request_id = middleware::tracing::request_id(ctx.http()),
            error = format!("{cause:#}"),
            "a sign-in by a provider had to be broken off"
        ),
        AppError::Refused { .. } | AppError::Detailed { .. } | AppError::Invalid(_) => {}
    }
    Ok(Reply::to(format!("{LOGIN}?error={}", error.code())))
}

#[dto(request)]
pub struct SignInByIdTokenRequest {
    /// `cookie`: the tokens come as cookies that scripts can't read, and not in the body.
    #[from(header)]
    pub x_natter_transport: Option<String>,
    /// Mail to somebody new is written in the one of these languages that there are texts in.
    #[from(header)]
    pub accept_language: Option<String>,
    /// The provider's name.
    #[from(path)]
    pub p: String,
    /// Made for this server, not more than ten minutes ago, and not shown before.
    pub id_token: String,
    /// The token's nonce. A token that holds one is refused without it.
    pub nonce: Option<String>,
}

/// Sign in with an ID token that one has already
///
/// For programs on telephones, whose system asks the provider itself.
#[endpoint(POST "/r1/auth/oauth/{p}/token", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status(200, 202), errors(OauthInvalid, LinkRequired, SignupClosed))]
impl Endpoint for SignInByIdToken {
    type Request = SignInByIdTokenRequest;
    type Response = SignInResult;

    async fn handle(ctx: &Ctx, request: SignInByIdTokenRequest) -> Result<Reply<SignInResult>, AppError> {
        let (token, nonce) = (&request.id_token, request.nonce.as_deref());
        let language = Language::accepted(request.accept_language.as_deref().unwrap_or_default());
        let signed_in =
            identities::by_id_token(ctx.identity(), &request.p, token, nonce, language, ctx.device()).await?;
        Ok(SignInResult::reply(ctx, signed_in, request.x_natter_transport.as_deref()))
    }
}

/// Who one is at a provider.
#[dto(response)]
pub struct Identity {
    pub id: IdentityId,
    /// Its name in the settings.
    pub provider: String,
    /// Null: the settings don't name it any more.
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

/// List one's identities at providers
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
