//! Change of the caller's e-mail address.

use appcore::{AppError, Timestamp};
use identity::accounts::{self, ChangeAddress, Confirmed};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ShowEmailChange>(),
    EndpointDef::of::<RequestEmailChange>(),
    EndpointDef::of::<CancelEmailChange>(),
    EndpointDef::of::<ConfirmEmailChange>(),
];

/// E-mail address of a change.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmailChangeAddress {
    Current,
    New,
}

/// Change of an e-mail address.
#[dto(response)]
pub struct EmailChange {
    /// New address.
    pub email: String,
    /// Addresses that haven't confirmed yet. Once it is empty, the change has taken effect.
    pub awaiting: Vec<EmailChangeAddress>,
    /// Time at which the change and its links expire.
    pub expires_at: Timestamp,
}

impl From<accounts::EmailChange> for EmailChange {
    fn from(change: accounts::EmailChange) -> Self {
        let awaiting = change.awaiting.into_iter().map(|address| match address {
            ChangeAddress::Current => EmailChangeAddress::Current,
            ChangeAddress::New => EmailChangeAddress::New,
        });
        Self { email: change.email.as_str().to_owned(), awaiting: awaiting.collect(), expires_at: change.expires_at }
    }
}

/// Show the change of your e-mail address that waits for confirmation
///
/// 404 if there is none.
#[endpoint(GET "/r1/users/me/email_change", tag = "users", access = Access::User, rate = RateGroup::Read, errors(NotFound))]
impl Endpoint for ShowEmailChange {
    type Request = NoInput;
    type Response = EmailChange;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<EmailChange>, AppError> {
        Ok(Reply::of(accounts::email_change(ctx.identity(), ctx.user()?.user_id).await?.into()))
    }
}

#[dto(request)]
pub struct RequestEmailChangeRequest {
    /// New address.
    #[schema(format = Email)]
    pub email: String,
}

/// Request a change of your e-mail address
///
/// E-mails a link to the new address and, if it is verified, to the current one. The change takes
/// effect when all of them have confirmed it, within 24 hours; then the previous address gets a
/// notice. Replaces an earlier change that waits. A new password cancels it.
#[endpoint(PUT "/r1/users/me/email_change", tag = "users", access = Access::User, rate = RateGroup::Write, requires = Confirmed, status = 202, errors(EmailTaken, ScopeMissing))]
impl Endpoint for RequestEmailChange {
    type Request = RequestEmailChangeRequest;
    type Response = EmailChange;

    async fn handle(
        ctx: &Ctx,
        request: RequestEmailChangeRequest,
        by: &Confirmed,
    ) -> Result<Reply<EmailChange>, AppError> {
        let change = accounts::request_email_change(ctx.identity(), by, &request.email).await?;
        Ok(Reply::accepted(change.into()))
    }
}

/// Cancel the change of your e-mail address
#[endpoint(DELETE "/r1/users/me/email_change", tag = "users", access = Access::User, rate = RateGroup::Write, errors(NotFound))]
impl Endpoint for CancelEmailChange {
    type Request = NoInput;
    type Response = NoData;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<NoData>, AppError> {
        accounts::cancel_email_change(ctx.identity(), ctx.user()?.user_id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ConfirmEmailChangeRequest {
    /// Token from the e-mailed link, valid once, for 24 hours.
    pub token: String,
}

/// Confirm a change of an e-mail address
///
/// The token of the link is sufficient; no session is required.
#[endpoint(POST "/r1/auth/confirm_email_change", tag = "auth", access = Access::Public, rate = RateGroup::Auth, errors(TokenInvalid, EmailTaken))]
impl Endpoint for ConfirmEmailChange {
    type Request = ConfirmEmailChangeRequest;
    type Response = EmailChange;

    async fn handle(ctx: &Ctx, request: ConfirmEmailChangeRequest) -> Result<Reply<EmailChange>, AppError> {
        let change = accounts::confirm_email_change(ctx.identity(), &request.token, ctx.address()).await?;
        Ok(Reply::of(change.into()))
    }
}
