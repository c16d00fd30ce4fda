//! Re-authentication before security-sensitive changes, so that a stolen session can't be used to gain permanent
//! access.

use appcore::{AppError, Timestamp};
use identity::accounts::{self, ConfirmMethod, Confirmation, second_factor::SecondFactor};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ShowFreshness>(), EndpointDef::of::<ConfirmSignIn>()];

/// Method by which users confirm their identity.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationMethod {
    Password,
    Totp,
    RecoveryCode,
    Passkey,
}

impl From<ConfirmMethod> for ConfirmationMethod {
    fn from(means: ConfirmMethod) -> Self {
        match means {
            ConfirmMethod::Password => Self::Password,
            ConfirmMethod::Totp => Self::Totp,
            ConfirmMethod::RecoveryCode => Self::RecoveryCode,
            ConfirmMethod::Passkey => Self::Passkey,
        }
    }
}

/// Freshness of a sign-in.
#[dto(response)]
pub struct Freshness {
    /// Time until which the sign-in is fresh; null if operations are refused with
    /// `fresh_sign_in_required`.
    pub fresh_until: Option<Timestamp>,
    /// Methods for `POST /r1/auth/confirm`; if empty, the user must sign in again.
    pub methods: Vec<ConfirmationMethod>,
}

impl From<accounts::Freshness> for Freshness {
    fn from(freshness: accounts::Freshness) -> Self {
        let methods = freshness.methods.into_iter().map(ConfirmationMethod::from).collect();
        Self { fresh_until: freshness.fresh_until, methods }
    }
}

/// Show whether your sign-in is fresh
///
/// A fresh sign-in is required to add or remove sign-in methods and to create API keys. A sign-in
/// is fresh for a limited time, also after `POST /r1/auth/confirm`.
#[endpoint(GET "/r1/auth/confirm", tag = "auth", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowFreshness {
    type Request = NoInput;
    type Response = Freshness;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Freshness>, AppError> {
        Ok(Reply::of(accounts::freshness(ctx.identity(), ctx.user()?).await?.into()))
    }
}

#[dto(request)]
pub struct ConfirmSignInRequest {
    #[schema(format = Password)]
    pub password: Option<String>,
    /// Code of the authenticator app.
    pub code: Option<String>,
    pub recovery_code: Option<String>,
    /// Id from `POST /r1/auth/passkeys/signin/start`, together with `credential`.
    pub challenge_id: Option<String>,
    /// Answer of the authenticator: `PublicKeyCredential.toJSON()`.
    #[schema(value_type = Option<Object>)]
    pub credential: Option<Value>,
}

impl ConfirmSignInRequest {
    fn proof(self) -> Result<Confirmation, AppError> {
        let Self { password, code, recovery_code, challenge_id, credential } = self;
        match (password, code, recovery_code, challenge_id, credential) {
            (Some(password), None, None, None, None) => Ok(Confirmation::Password(password)),
            (None, Some(code), None, None, None) => Ok(Confirmation::SecondFactor(SecondFactor::Code(code))),
            (None, None, Some(code), None, None) => Ok(Confirmation::SecondFactor(SecondFactor::RecoveryCode(code))),
            (None, None, None, Some(ceremony), Some(credential)) => Ok(Confirmation::Passkey { ceremony, credential }),
            _ => Err(AppError::field(
                "password",
                "required",
                "Send exactly one of password, code, recovery_code or passkey.",
            )),
        }
    }
}

/// Confirm your identity
///
/// Requires exactly one: password, authenticator code, recovery code or passkey. A wrong one counts
/// as a failed sign-in.
#[endpoint(POST "/r1/auth/confirm", tag = "auth", access = Access::User, rate = RateGroup::Write, errors(PasswordWrong, MfaInvalid, InvalidCredentials, TooManySignins, WrongState))]
impl Endpoint for ConfirmSignIn {
    type Request = ConfirmSignInRequest;
    type Response = Freshness;

    async fn handle(ctx: &Ctx, request: ConfirmSignInRequest) -> Result<Reply<Freshness>, AppError> {
        let proof = request.proof()?;
        Ok(Reply::of(accounts::confirm(ctx.identity(), ctx.user()?, proof, &ctx.device()).await?.into()))
    }
}
