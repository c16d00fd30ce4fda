//! The second factor: setting an authenticator up, and being asked for it.

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
    /// `cookie`: the tokens come as cookies that scripts can't read, and not in the body.
    #[from(header)]
    pub x_natter_transport: Option<String>,
    /// From the sign-in.
    pub challenge: String,
    /// What the authenticator shows.
    pub code: Option<String>,
    /// In its place, one of the recovery codes.
    pub recovery_code: Option<String>,
}

/// Answer the question for a second factor
///
/// Five wrong answers end it. A code works once.
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
    /// Left out where the account has none; then the sign-in must be fresh: see `POST /r1/auth/confirm`.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// What an authenticator app is set up with.
#[dto(response)]
pub struct Authenticator {
    /// In base32, to be typed.
    pub secret: String,
    /// The secret as an `otpauth:` address, to be shown as a QR code.
    pub uri: String,
}

/// Set an authenticator app up
///
/// It counts once a code of it is confirmed.
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
    /// What the authenticator shows.
    pub code: String,
}

/// The codes that stand in for a lost authenticator, each once.
#[dto(response)]
pub struct RecoveryCodes {
    pub recovery_codes: Vec<String>,
}

/// Turn the second factor on
///
/// The recovery codes are shown this once.
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
    /// What the authenticator shows, or a recovery code.
    pub code: String,
}

/// Turn the second factor off
#[endpoint(DELETE "/r1/auth/totp", tag = "auth", access = Access::User, rate = RateGroup::Write, errors(MfaInvalid, WrongState, TooManySignins))]
impl Endpoint for RemoveAuthenticator {
    type Request = RemoveAuthenticatorRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemoveAuthenticatorRequest) -> Result<Reply<NoData>, AppError> {
        second_factor::remove(ctx.identity(), ctx.user()?, &request.code).await?;
        Ok(Reply::of(NoData))
    }
}
