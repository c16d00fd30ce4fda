//! Passkeys: registration, sign-in and management.

use appcore::{
    AppError, PasskeyId, Timestamp,
    page::{Page, PageRequest},
};
use identity::accounts::{
    Confirmed,
    passkeys::{self, OwnPasskey, PasskeyEnrolment, WebauthnChallenge},
};
use natter_macro::{dto, endpoint};
use serde_json::Value;

use super::auth::Tokens;
use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<StartPasskeyRegistration>(),
    EndpointDef::of::<FinishPasskeyRegistration>(),
    EndpointDef::of::<StartPasskeySignIn>(),
    EndpointDef::of::<FinishPasskeySignIn>(),
    EndpointDef::of::<ListPasskeys>(),
    EndpointDef::of::<RenamePasskey>(),
    EndpointDef::of::<RemovePasskey>(),
];

/// WebAuthn challenge for the authenticator.
#[dto(response)]
pub struct PasskeyChallenge {
    /// Id for `finish`, valid once.
    pub challenge_id: String,
    /// Options for `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON` (WebAuthn Level
    /// 3).
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    pub public_key: Value,
}

impl PasskeyChallenge {
    fn reply(ceremony: WebauthnChallenge) -> Reply<Self> {
        Reply::of(Self { challenge_id: ceremony.id, public_key: ceremony.public_key })
    }
}

/// Passkey of the caller.
#[dto(response)]
pub struct Passkey {
    pub id: PasskeyId,
    pub name: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

impl From<OwnPasskey> for Passkey {
    fn from(own: OwnPasskey) -> Self {
        Self { id: own.id, name: own.name, created_at: own.created_at, last_used_at: own.last_used_at }
    }
}

/// Start registering a passkey
#[endpoint(POST "/r1/auth/passkeys/register/start", tag = "auth", access = Access::User, rate = RateGroup::Write, requires = PasskeyEnrolment, errors(Conflict))]
impl Endpoint for StartPasskeyRegistration {
    type Request = NoInput;
    type Response = PasskeyChallenge;

    async fn handle(ctx: &Ctx, _: NoInput, by: &PasskeyEnrolment) -> Result<Reply<PasskeyChallenge>, AppError> {
        Ok(PasskeyChallenge::reply(passkeys::start_registration(ctx.identity(), by).await?))
    }
}

#[dto(request)]
pub struct FinishPasskeyRegistrationRequest {
    pub challenge_id: String,
    /// Credential that the authenticator has created: `PublicKeyCredential.toJSON()`.
    #[schema(value_type = Object)]
    pub credential: Value,
    /// Label chosen by the user.
    #[schema(min_length = 1)]
    pub name: Option<String>,
}

/// Finish registering a passkey
#[endpoint(POST "/r1/auth/passkeys/register/finish", tag = "auth", access = Access::User, rate = RateGroup::Write, status = 201, errors(InvalidCredentials, WrongState, Conflict))]
impl Endpoint for FinishPasskeyRegistration {
    type Request = FinishPasskeyRegistrationRequest;
    type Response = Passkey;

    async fn handle(ctx: &Ctx, request: FinishPasskeyRegistrationRequest) -> Result<Reply<Passkey>, AppError> {
        let FinishPasskeyRegistrationRequest { challenge_id, credential, name } = request;
        let by = ctx.user()?;
        let made =
            passkeys::finish_registration(ctx.identity(), by, &challenge_id, credential, name.as_deref()).await?;
        Ok(Reply::of(made.into()))
    }
}

/// Start signing in by passkey
///
/// The authenticator selects the account, without an e-mail address.
#[endpoint(POST "/r1/auth/passkeys/signin/start", tag = "auth", access = Access::Public, rate = RateGroup::Auth, errors(WrongState))]
impl Endpoint for StartPasskeySignIn {
    type Request = NoInput;
    type Response = PasskeyChallenge;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<PasskeyChallenge>, AppError> {
        Ok(PasskeyChallenge::reply(passkeys::start_sign_in(ctx.identity()).await?))
    }
}

#[dto(request)]
pub struct FinishPasskeySignInRequest {
    /// With `cookie`, the tokens are only in cookies, which scripts can't read.
    #[from(header)]
    pub x_natter_transport: Option<String>,
    pub challenge_id: String,
    /// Answer of the authenticator: `PublicKeyCredential.toJSON()`.
    #[schema(value_type = Object)]
    pub credential: Value,
}

/// Sign in by passkey
///
/// No second factor is required.
#[endpoint(POST "/r1/auth/passkeys/signin/finish", tag = "auth", access = Access::Public, rate = RateGroup::Auth, errors(InvalidCredentials, WrongState))]
impl Endpoint for FinishPasskeySignIn {
    type Request = FinishPasskeySignInRequest;
    type Response = Tokens;

    async fn handle(ctx: &Ctx, request: FinishPasskeySignInRequest) -> Result<Reply<Tokens>, AppError> {
        let FinishPasskeySignInRequest { x_natter_transport, challenge_id, credential } = request;
        let pair = passkeys::finish_sign_in(ctx.identity(), &challenge_id, credential, ctx.device()).await?;
        Ok(Tokens::reply(ctx, pair, x_natter_transport.as_deref()))
    }
}

#[dto(request)]
pub struct ListPasskeysRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List your passkeys
#[endpoint(GET "/r1/auth/passkeys", tag = "auth", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListPasskeys {
    type Request = ListPasskeysRequest;
    type Response = Page<Passkey>;

    async fn handle(ctx: &Ctx, request: ListPasskeysRequest) -> Result<Reply<Page<Passkey>>, AppError> {
        Ok(Reply::of(passkeys::list(ctx.identity(), ctx.user()?, request.page).await?.map(Passkey::from)))
    }
}

#[dto(request)]
pub struct RenamePasskeyRequest {
    #[from(path)]
    pub id: PasskeyId,
    /// Label chosen by the user.
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
}

/// Rename a passkey
#[endpoint(PATCH "/r1/auth/passkeys/{id}", tag = "auth", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for RenamePasskey {
    type Request = RenamePasskeyRequest;
    type Response = Passkey;

    async fn handle(ctx: &Ctx, request: RenamePasskeyRequest) -> Result<Reply<Passkey>, AppError> {
        Ok(Reply::of(passkeys::rename(ctx.identity(), ctx.user()?, request.id, &request.name).await?.into()))
    }
}

#[dto(request)]
pub struct RemovePasskeyRequest {
    #[from(path)]
    pub id: PasskeyId,
}

/// Remove a passkey
#[endpoint(DELETE "/r1/auth/passkeys/{id}", tag = "auth", access = Access::User, rate = RateGroup::Write, requires = Confirmed, errors(LastMethod))]
impl Endpoint for RemovePasskey {
    type Request = RemovePasskeyRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemovePasskeyRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        passkeys::remove(ctx.identity(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
