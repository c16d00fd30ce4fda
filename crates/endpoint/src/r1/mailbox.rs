//! Actions of the links in e-mails: address verification and password reset.

use appcore::AppError;
use identity::accounts;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<VerifyEmail>(),
    EndpointDef::of::<ResendVerification>(),
    EndpointDef::of::<ForgotPassword>(),
    EndpointDef::of::<ResetPassword>(),
];

#[dto(request)]
pub struct VerifyEmailRequest {
    /// Token from the e-mailed link, valid once, for 24 hours.
    pub token: String,
    /// Password; required if not signed in to the account.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// Verify your e-mail address
///
/// Requires a session or the password of the account (otherwise 403 `password_required`). Existing
/// sessions stay.
#[endpoint(POST "/r1/auth/verify-email", tag = "auth", access = Access::Public, rate = RateGroup::Auth, errors(TokenInvalid, Forbidden, PasswordRequired, PasswordWrong, TooManySignins))]
impl Endpoint for VerifyEmail {
    type Request = VerifyEmailRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: VerifyEmailRequest) -> Result<Reply<NoData>, AppError> {
        let by = ctx.optional_user().await;
        accounts::verify_email(ctx.identity(), &request.token, request.password, by.as_ref(), &ctx.device()).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ResendVerificationRequest {
    #[schema(format = Email)]
    pub email: String,
}

/// Resend the verification e-mail
///
/// The response doesn't reveal whether the account exists.
#[endpoint(POST "/r1/auth/resend-verification", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status = 202)]
impl Endpoint for ResendVerification {
    type Request = ResendVerificationRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ResendVerificationRequest) -> Result<Reply<NoData>, AppError> {
        accounts::resend_verification(ctx.identity(), &request.email).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ForgotPasswordRequest {
    #[schema(format = Email)]
    pub email: String,
}

/// Request a password reset e-mail
///
/// The response doesn't reveal whether the account exists.
#[endpoint(POST "/r1/auth/forgot-password", tag = "auth", access = Access::Public, rate = RateGroup::Auth, status = 202)]
impl Endpoint for ForgotPassword {
    type Request = ForgotPasswordRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ForgotPasswordRequest) -> Result<Reply<NoData>, AppError> {
        accounts::forgot_password(ctx.identity(), &request.email).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ResetPasswordRequest {
    /// Token from the e-mailed link, valid once, for one hour.
    pub token: String,
    #[schema(format = Password, min_length = 8)]
    pub password: String,
}

/// Reset a password
///
/// Signs out all devices.
#[endpoint(POST "/r1/auth/reset-password", tag = "auth", access = Access::Public, rate = RateGroup::Auth, errors(TokenInvalid))]
impl Endpoint for ResetPassword {
    type Request = ResetPasswordRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ResetPasswordRequest) -> Result<Reply<NoData>, AppError> {
        accounts::reset_password_by_token(ctx.identity(), &request.token, &request.password, ctx.address()).await?;
        Ok(Reply::of(NoData))
    }
}
