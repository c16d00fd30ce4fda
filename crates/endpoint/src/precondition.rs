//! Preconditions of endpoints, and the witnesses that they yield.
//!
//! A witness is a type of a service crate that can only be created by checking the condition. A
//! function that relies on the condition takes the witness instead of the caller, so that it can't
//! be called without the check.

use std::future::Future;

use appcore::{AppError, AssistantId, Code, ConversationId, WorkspaceId, auth::Principal};
use assistants::definitions::EditableAssistant;
use billing::payments::subscriptions::Payer;
use conversations::exports::ExportableConversation;
use identity::accounts::{Confirmed, passkeys::PasskeyEnrolment};

use crate::Ctx;

/// Condition that an endpoint declares with `#[endpoint(…, requires = Witness(field))]`. It goes
/// beyond the form of the request and the caller's role.
pub trait Precondition: Sized + 'static {
    /// Type of the request's field that the condition is about; `()` if it is only about the
    /// caller.
    type About: 'static;
    /// Error codes of the check, in addition to those that follow from the access.
    const REFUSALS: &'static [Code];

    fn check(ctx: &Ctx, by: &Principal, about: &Self::About) -> impl Future<Output = Result<Self, AppError>>;
}

impl Precondition for Confirmed {
    type About = ();
    const REFUSALS: &'static [Code] = &[Code::FreshSignInRequired];

    async fn check(ctx: &Ctx, by: &Principal, _: &()) -> Result<Self, AppError> {
        Confirmed::authorize(ctx.identity(), by).await
    }
}

impl Precondition for PasskeyEnrolment {
    type About = ();
    const REFUSALS: &'static [Code] = &[Code::FreshSignInRequired, Code::WrongState];

    async fn check(ctx: &Ctx, by: &Principal, _: &()) -> Result<Self, AppError> {
        PasskeyEnrolment::authorize(ctx.identity(), by).await
    }
}

/// Witness for the given workspace. If none is given, for the caller.
impl Precondition for Payer {
    type About = Option<WorkspaceId>;
    const REFUSALS: &'static [Code] = &[Code::NotFound];

    async fn check(ctx: &Ctx, by: &Principal, workspace_id: &Option<WorkspaceId>) -> Result<Self, AppError> {
        Payer::authorize(ctx.billing(), by, *workspace_id).await
    }
}

impl Precondition for EditableAssistant {
    type About = AssistantId;
    const REFUSALS: &'static [Code] = &[Code::NotFound, Code::Forbidden];

    async fn check(ctx: &Ctx, by: &Principal, id: &AssistantId) -> Result<Self, AppError> {
        EditableAssistant::authorize(ctx.assistants(), by, *id).await
    }
}

impl Precondition for ExportableConversation {
    type About = ConversationId;
    const REFUSALS: &'static [Code] = &[Code::NotFound, Code::NotAMember, Code::Forbidden];

    async fn check(ctx: &Ctx, by: &Principal, id: &ConversationId) -> Result<Self, AppError> {
        ExportableConversation::authorize(ctx.conversations(), by, *id).await
    }
}
