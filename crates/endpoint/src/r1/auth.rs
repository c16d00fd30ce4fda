//! Sign-up, sign-in and sign-out.

use appcore::{AppError, Code, Language, SessionId, Timestamp, view::User};
use identity::accounts::{
    self, PasswordChange, ProfileChange, SecondFactorMethod, SignUp as NewAccount, SignedIn, TokenPair,
};
use middleware::{cookies, rate_limit};
use natter_macro::{dto, endpoint};
use serde::Serialize;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<SignUp>(),
    EndpointDef::of::<SignIn>(),
    EndpointDef::of::<Refresh>(),
    EndpointDef::of::<LogOut>(),
    EndpointDef::of::<ChangePassword>(),
];

/// Access and refresh token; with `X-Natter-Transport: cookie` only as cookies.
#[dto(response)]
pub struct Tokens {
    pub user: User,
    pub session_id: SessionId,
    pub access_token: Option<String>,
    pub access_expires_at: Timestamp,
    pub refresh_token: Option<String>,
    pub refresh_expires_at: Timestamp,
}

impl Tokens {
    /// Builds the reply with the tokens. They are in the body or, with `X-Natter-Transport:
    /// cookie`, in cookies.
    pub(super) fn reply(ctx: &Ctx, pair: TokenPair, transport: Option<&str>) -> Reply<Self> {
        Reply::of(Self::issue(ctx, pair, transport))
    }

    fn issue(ctx: &Ctx, pair: TokenPair, transport: Option<&str>) -> Self {
        let (access, refresh) = (pair.access_token.expose().to_owned(), pair.refresh_token.expose().to_owned());
        let tokens = |access_token, refresh_token| Self {
            user: pair.user,
            session_id: pair.session_id,
            access_token,
            access_expires_at: pair.access_expires_at,
            refresh_token,
            refresh_expires_at: pair.refresh_expires_at,
        };
        if transport.is_some_and(|transport| transport.eq_ignore_ascii_case("cookie")) {
            set_cookies(ctx, (access, pair.access_expires_at), (refresh, pair.refresh_expires_at));
            tokens(None, None)
        } else {
            tokens(Some(access), Some(refresh))
        }
    }
}

/// Sends the tokens to a browser as cookies.
pub(super) fn set_token_cookies(ctx: &Ctx, pair: &TokenPair) {
    let (access, refresh) = (pair.access_token.expose().to_owned(), pair.refresh_token.expose().to_owned());
    set_cookies(ctx, (access, pair.access_expires_at), (refresh, pair.refresh_expires_at));
}

fn set_cookies(ctx: &Ctx, access: (String, Timestamp), refresh: (String, Timestamp)) {
    ctx.set_cookies(cookies::session(access, refresh, ctx.app().clock.now(), &ctx.app().config.server));
}

/// Second-factor challenge to answer before tokens are issued.
#[dto(response)]
pub struct SecondFactorChallenge {
    /// Handle for `POST /r1/auth/signin/challenge`, as secret as a token.
    pub challenge: String,
    /// Methods to answer it. With `passkey`, the user can sign in by passkey instead.
    pub methods: Vec<ChallengeMethod>,
    pub expires_at: Timestamp,
}

/// Method by which a challenge can be answered.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChallengeMethod {
    Totp,
    RecoveryCode,
    Passkey,
}

impl From<SecondFactorMethod> for ChallengeMethod {
    fn from(method: SecondFactorMethod) -> Self {
        match method {
            SecondFactorMethod::Totp => Self::Totp,
            SecondFactorMethod::RecoveryCode => Self::RecoveryCode,
            SecondFactorMethod::Passkey => Self::Passkey,
        }
    }
}

/// Result of a sign-in: tokens or, with status 202, a second-factor challenge.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum SignInResult {
    Tokens(Box<Tokens>),
    SecondFactor(SecondFactorChallenge),
}

impl SignInResult {
    pub(super) fn reply(ctx: &Ctx, signed_in: SignedIn, transport: Option<&str>) -> Reply<Self> {
        match signed_in {
            SignedIn::Tokens(pair) => Reply::of(Self::Tokens(Box::new(Tokens::issue(ctx, *pair, transport)))),
            SignedIn::SecondFactor(challenge) => Reply::accepted(Self::SecondFactor(SecondFactorChallenge {
                challenge: challenge.handle,
                methods: challenge.methods.into_iter().map(ChallengeMethod::from).collect(),
                expires_at: challenge.expires_at,
            })),
        }
    }
}

#[dto(request)]
pub struct SignUpRequest {
    /// With `cookie`, the tokens are only in cookies, which scripts can't read.
    #[from(header)]
    pub x_natter_transport: Option<String>,
    /// Preferred languages, for e-mails.
    #[from(header)]
    pub accept_language: Option<String>,
    #[schema(format = Email)]
    pub email: String,
    #[schema(format = Password, min_length = 8)]
    pub password: String,
    #[schema(min_length = 1)]
    pub display_name: String,
    /// Token of an invitation, for sign-up by invitation only.
    pub invitation: Option<String>,
    /// Setup token from the server's log, for the first account if `GET /r1/auth/policy` requires
    /// it.
    pub setup_token: Option<String>,
}

/// Create an account
///
/// Signs in. A weak password is refused with the reason.
#[endpoint(POST "/r1/auth/signup", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status = 201, errors(EmailTaken, SignupClosed, InvitationMismatch, InvitationExpired))]
impl Endpoint for SignUp {
    type Request = SignUpRequest;
    type Response = Tokens;

    async fn handle(ctx: &Ctx, request: SignUpRequest) -> Result<Reply<Tokens>, AppError> {
        let account = NewAccount {
            email: request.email,
            password: request.password,
            display_name: request.display_name,
            invitation: request.invitation,
            setup_token: request.setup_token,
            language: Language::from_accept_language(request.accept_language.as_deref().unwrap_or_default()),
        };
        let pair = accounts::signup(ctx.identity(), account, ctx.device()).await?;
        Ok(Tokens::reply(ctx, pair, request.x_natter_transport.as_deref()))
    }
}

#[dto(request)]
pub struct SignInRequest {
    /// With `cookie`, the tokens are only in cookies, which scripts can't read.
    #[from(header)]
    pub x_natter_transport: Option<String>,
    #[schema(format = Email)]
    pub email: String,
    #[schema(format = Password)]
    pub password: String,
}

/// Sign in
///
/// Returns 202 if a second factor is required; send it to `POST /r1/auth/signin/challenge`.
#[endpoint(POST "/r1/auth/signin", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status(200, 202), errors(InvalidCredentials, TooManySignins))]
impl Endpoint for SignIn {
    type Request = SignInRequest;
    type Response = SignInResult;

    async fn handle(ctx: &Ctx, request: SignInRequest) -> Result<Reply<SignInResult>, AppError> {
        let signed_in = accounts::signin(ctx.identity(), &request.email, &request.password, ctx.device()).await?;
        Ok(SignInResult::reply(ctx, signed_in, request.x_natter_transport.as_deref()))
    }
}

#[dto(request)]
pub struct RefreshRequest {
    /// With `cookie`, the tokens are only in cookies, which scripts can't read.
    #[from(header)]
    pub x_natter_transport: Option<String>,
    /// Idempotency key. A retry within a short time returns the same tokens.
    #[from(header)]
    pub idempotency_key: Option<String>,
    /// Refresh token; by default the cookie.
    pub refresh_token: Option<String>,
}

/// Exchange a refresh token for new tokens
///
/// The old refresh token becomes invalid. Its reuse ends the session, since it may have been
/// stolen.
#[endpoint(POST "/r1/auth/refresh", tag = "auth", access = Access::Public, rate = RateGroup::Refresh, errors(MalformedRequest, Unauthenticated, RefreshReused))]
impl Endpoint for Refresh {
    type Request = RefreshRequest;
    type Response = Tokens;

    async fn handle(ctx: &Ctx, request: RefreshRequest) -> Result<Reply<Tokens>, AppError> {
        let token = request.refresh_token.or_else(|| ctx.refresh_cookie()).ok_or(Code::Unauthenticated)?;
        let family = accounts::token_family(ctx.identity(), &token).await?;
        let _permit = rate_limit::count_refresh(&ctx.app().requests, ctx.http(), family).await?;
        if family.is_none() {
            ctx.app().firewall.check_automatic(|| ctx.address())?;
        }
        let pair = accounts::refresh(ctx.identity(), &token, request.idempotency_key.as_deref(), ctx.device())
            .await
            .inspect_err(|error| {
                if error.code().status() == 401 {
                    ctx.clear_cookies();
                }
            })?;
        Ok(Tokens::reply(ctx, pair, request.x_natter_transport.as_deref()))
    }
}

/// Sign out
///
/// The access token becomes invalid at once; its connections are closed.
#[endpoint(POST "/r1/auth/logout", tag = "auth", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for LogOut {
    type Request = NoInput;
    type Response = NoData;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<NoData>, AppError> {
        accounts::logout(ctx.identity(), ctx.user()?).await?;
        ctx.clear_cookies();
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ChangePasswordRequest {
    #[schema(format = Password)]
    pub current_password: String,
    #[schema(format = Password, min_length = 8)]
    pub password: String,
}

/// Change your password
///
/// Signs out all other devices.
#[endpoint(POST "/r1/auth/change-password", tag = "auth", access = Access::User, rate = RateGroup::Write, errors(PasswordWrong, TooManySignins))]
impl Endpoint for ChangePassword {
    type Request = ChangePasswordRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ChangePasswordRequest) -> Result<Reply<NoData>, AppError> {
        let password = PasswordChange {
            current: request.current_password,
            new: request.password,
            field: "password",
            device: ctx.device(),
        };
        let change = ProfileChange { password: Some(password), ..ProfileChange::default() };
        accounts::update_me(ctx.identity(), ctx.user()?, change).await?;
        Ok(Reply::of(NoData))
    }
}
