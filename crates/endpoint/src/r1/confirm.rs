//! Showing once more that it is oneself, before something is changed that would let a thief stay.

use appcore::{AppError, Timestamp};
use identity::accounts::{self, Means, Proof, second_factor::SecondFactor};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ShowFreshness>(), EndpointDef::of::<ConfirmSignIn>()];

/// By what one can show it.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationMethod {
    Password,
    Totp,
    RecoveryCode,
    Passkey,
}

impl From<Means> for ConfirmationMethod {
    fn from(means: Means) -> Self {
        match means {
            Means::Password => Self::Password,
            Means::Totp => Self::Totp,
            Means::RecoveryCode => Self::RecoveryCode,
            Means::Passkey => Self::Passkey,
        }
    }
}

/// Whether one's sign-in is fresh.
#[dto(response)]
pub struct Freshness {
    /// Null: it is not, and what asks for it is refused with `fresh_sign_in_required`.
    pub fresh_until: Option<Timestamp>,
    /// What `POST /r1/auth/confirm` takes from this account; where it is empty, only a new sign-in helps.
    pub methods: Vec<ConfirmationMethod>,
}

impl From<accounts::Freshness> for Freshness {
    fn from(freshness: accounts::Freshness) -> Self {
        let methods = freshness.means.into_iter().map(ConfirmationMethod::from).collect();
        Self { fresh_until: freshness.fresh_until, methods }
    }
}

/// See whether one's sign-in is fresh
///
/// As it must be to add or remove what one signs in with, and to make API keys. It is for a time after the sign-in, and again after
/// `POST /r1/auth/confirm`.
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
    /// What the authenticator shows.
    pub code: Option<String>,
    pub recovery_code: Option<String>,
    /// Of a passkey, with `credential`: what `POST /r1/auth/passkeys/signin/start` gave.
    pub challenge_id: Option<String>,
    /// `PublicKeyCredential.toJSON()` of what the authenticator has signed.
    #[schema(value_type = Option<Object>)]
    pub credential: Option<Value>,
}

impl ConfirmSignInRequest {
    fn proof(self) -> Result<Proof, AppError> {
        let Self { password, code, recovery_code, challenge_id, credential } = self;
        match (password, code, recovery_code, challenge_id, credential) {
            (Some(password), None, None, None, None) => Ok(Proof::Password(password)),
            (None, Some(code), None, None, None) => Ok(Proof::SecondFactor(SecondFactor::Code(code))),
            (None, None, Some(code), None, None) => Ok(Proof::SecondFactor(SecondFactor::RecoveryCode(code))),
            (None, None, None, Some(ceremony), Some(credential)) => Ok(Proof::Passkey { ceremony, credential }),
            _ => Err(AppError::field(
                "password",
                "required",
                "Send exactly one of password, code, recovery_code or passkey.",
            )),
        }
    }
}

/// Show once more that it is oneself
///
/// By one proof: the password, a code, a recovery code or a passkey. What is wrong counts like a failed sign-in.
#[endpoint(POST "/r1/auth/confirm", tag = "auth", access = Access::User, rate = RateGroup::Write, errors(PasswordWrong, MfaInvalid, InvalidCredentials, TooManySignins, WrongState))]
impl Endpoint for ConfirmSignIn {
    type Request = ConfirmSignInRequest;
    type Response = Freshness;

    async fn handle(ctx: &Ctx, request: ConfirmSignInRequest) -> Result<Reply<Freshness>, AppError> {
        let proof = request.proof()?;
        Ok(Reply::of(accounts::confirm(ctx.identity(), ctx.user()?, proof, &ctx.device()).await?.into()))
    }
}
