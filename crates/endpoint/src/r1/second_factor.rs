//! Second factor: enrolment and verification of an authenticator app.

use appcore::AppError;
use identity::accounts::second_factor::{self, SecondFactor};
use natter_macro::{dto, endpoint};

use super::auth::Tokens;
use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<AnswerChallenge>(),
    EndpointDef::of::<EnrolAuthenticator>(),
    EndpointDef::of::<ConfirmAuthenticator>(),
    EndpointDef::of::<RemoveAuthenticator>(),
];

#[dto(request)]
pub struct AnswerChallengeRequest {
    /// With `cookie`, the tokens are only in cookies, which scripts can't read.
    #[from(header)]
    pub x_natter_transport: Option<String>,
    /// Value of `challenge` in the response to the sign-in.
    pub challenge: String,
    /// Code of the authenticator app.
    pub code: Option<String>,
    /// Recovery code, instead of `code`.
    pub recovery_code: Option<String>,
}

/// Answer a second-factor challenge
///
/// Five wrong answers invalidate a challenge. Each code works once.
#[endpoint(POST "/r1/auth/signin/challenge", tag = "auth", access = Access::Public, rate = RateGroup::Auth, errors(MfaInvalid, TooManySignins))]
impl Endpoint for AnswerChallenge {
    type Request = AnswerChallengeRequest;
    type Response = Tokens;

    async fn handle(ctx: &Ctx, request: AnswerChallengeRequest) -> Result<Reply<Tokens>, AppError> {
        let answer = match (request.code, request.recovery_code) {
            (Some(code), None) => SecondFactor::Code(code),
            (None, Some(code)) => SecondFactor::RecoveryCode(code),
            (None, None) => {
                return Err(AppError::field("code", "required", "Enter the code from your authenticator app."));
            }
            (Some(_), Some(_)) => {
                return Err(AppError::field("recovery_code", "invalid", "Send either a code or a recovery code."));
            }
        };
        let pair = second_factor::answer_challenge(ctx.identity(), &request.challenge, answer, ctx.device()).await?;
        Ok(Tokens::reply(ctx, pair, request.x_natter_transport.as_deref()))
    }
}

#[dto(request)]
pub struct EnrolAuthenticatorRequest {
    /// Current password. An account without one needs a fresh sign-in instead.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// Data for setting up an authenticator app.
#[dto(response)]
pub struct Authenticator {
    /// Secret in base32, for typing it in.
    pub secret: String,
    /// `otpauth:` URI for a QR code.
    pub uri: String,
}

/// Enrol an authenticator app
///
/// Becomes active by `POST /r1/auth/totp/confirm`.
#[endpoint(POST "/r1/auth/totp", tag = "auth", access = Access::User, rate = RateGroup::Write, status = 201, errors(PasswordWrong, FreshSignInRequired, WrongState))]
impl Endpoint for EnrolAuthenticator {
    type Request = EnrolAuthenticatorRequest;
    type Response = Authenticator;

    async fn handle(ctx: &Ctx, request: EnrolAuthenticatorRequest) -> Result<Reply<Authenticator>, AppError> {
        let enrolment = second_factor::enrol(ctx.identity(), ctx.user()?, request.password).await?;
        Ok(Reply::of(Authenticator {
            secret: enrolment.secret.expose().to_owned(),
            uri: enrolment.uri.expose().to_owned(),
        }))
    }
}

#[dto(request)]
pub struct AuthenticatorCodeRequest {
    /// Code of the authenticator app.
    pub code: String,
}

/// Recovery codes for a lost authenticator, each valid once.
#[dto(response)]
pub struct RecoveryCodes {
    pub recovery_codes: Vec<String>,
}

/// Enable the second factor
///
/// The recovery codes are shown only once.
#[endpoint(POST "/r1/auth/totp/confirm", tag = "auth", access = Access::User, rate = RateGroup::Write, errors(MfaInvalid, WrongState, TooManySignins))]
impl Endpoint for ConfirmAuthenticator {
    type Request = AuthenticatorCodeRequest;
    type Response = RecoveryCodes;

    async fn handle(ctx: &Ctx, request: AuthenticatorCodeRequest) -> Result<Reply<RecoveryCodes>, AppError> {
        let codes = second_factor::confirm(ctx.identity(), ctx.user()?, &request.code).await?;
        Ok(Reply::of(RecoveryCodes { recovery_codes: codes.iter().map(|code| code.expose().to_owned()).collect() }))
    }
}

#[dto(request)]
pub struct RemoveAuthenticatorRequest {
    /// Code of the authenticator app, or a recovery code.
    pub code: String,
}

/// Disable the second factor
#[endpoint(DELETE "/r1/auth/totp", tag = "auth", access = Access::User, rate = RateGroup::Write, errors(MfaInvalid, WrongState, TooManySignins))]
impl Endpoint for RemoveAuthenticator {
    type Request = RemoveAuthenticatorRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemoveAuthenticatorRequest) -> Result<Reply<NoData>, AppError> {
        second_factor::remove(ctx.identity(), ctx.user()?, &request.code).await?;
        Ok(Reply::of(NoData))
    }
}
