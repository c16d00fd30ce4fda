//! What is done by the links that come by mail.

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
    /// From the link in the mail: good once, for 24 hours.
    pub token: String,
    /// Of the account that the mail is about: needed where the caller is not signed in to it.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// Confirm one's e-mail address
///
/// Signed in to the account, or with its password (403 `password_required` without). Nobody is signed out by it.
#[endpoint(POST "/r1/auth/verify-email", tag = "auth", access = Access::Public, rate = RateGroup::Auth, errors(TokenInvalid, Forbidden, PasswordRequired, PasswordWrong, TooManySignins))]
impl Endpoint for VerifyEmail {
    type Request = VerifyEmailRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: VerifyEmailRequest) -> Result<Reply<NoData>, AppError> {
        let by = ctx.caller().await;
        accounts::verify_email(ctx.identity(), &request.token, request.password, by.as_ref(), &ctx.device()).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ResendVerificationRequest {
    #[schema(format = Email)]
    pub email: String,
}

/// Ask for the mail that confirms one's address again
///
/// The answer is the same whether there is such an account or not.
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

/// Ask for a mail to choose another password
///
/// The answer is the same whether there is such an account or not.
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
    /// From the link in the mail: good once, for an hour.
    pub token: String,
    #[schema(format = Password, min_length = 8)]
    pub password: String,
}

/// Choose another password
///
/// All devices are signed out.
#[endpoint(POST "/r1/auth/reset-password", tag = "auth", access = Access::Public, rate = RateGroup::Auth, errors(TokenInvalid))]
impl Endpoint for ResetPassword {
    type Request = ResetPasswordRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ResetPasswordRequest) -> Result<Reply<NoData>, AppError> {
        accounts::redeem_reset(ctx.identity(), &request.token, &request.password, ctx.address()).await?;
        Ok(Reply::of(NoData))
    }
}
