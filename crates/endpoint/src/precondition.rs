//! Preconditions of endpoints, and the witnesses that they produce.
//!
//! A witness is a type of a service crate that can be created only by checking the condition. Functions that depend on
//! the condition take the witness instead of the caller, so that they can't be called without the check.

use std::future::Future;

use appcore::{AppError, AssistantId, Code, ConversationId, WorkspaceId, auth::Principal};
use assistants::definitions::EditableAssistant;
use billing::payments::subscriptions::Payer;
use conversations::exports::ExportableConversation;
use identity::accounts::{Confirmed, passkeys::PasskeyEnrolment};

use crate::Ctx;

/// Precondition for `#[endpoint(…, requires = Witness(field))]`, beyond the shape of the request and the caller's role.
pub trait Precondition: Sized + 'static {
    /// Field of the request that the condition is about; `()` if it is about the caller only.
    type About: 'static;
    /// Error codes of the check, other than those implied by the access.
    const REFUSALS: &'static [Code];

    fn ask(ctx: &Ctx, by: &Principal, about: &Self::About) -> impl Future<Output = Result<Self, AppError>>;
}

impl Precondition for Confirmed {
    type About = ();
    const REFUSALS: &'static [Code] = &[Code::FreshSignInRequired];

    async fn ask(ctx: &Ctx, by: &Principal, _: &()) -> Result<Self, AppError> {
        Confirmed::authorize(ctx.identity(), by).await
    }
}

impl Precondition for PasskeyEnrolment {
    type About = ();
    const REFUSALS: &'static [Code] = &[Code::FreshSignInRequired, Code::WrongState];

    async fn ask(ctx: &Ctx, by: &Principal, _: &()) -> Result<Self, AppError> {
        PasskeyEnrolment::authorize(ctx.identity(), by).await
    }
}

/// Witness for the given workspace, or for the caller if there is none.
impl Precondition for Payer {
    type About = Option<WorkspaceId>;
    const REFUSALS: &'static [Code] = &[Code::NotFound];

    async fn ask(ctx: &Ctx, by: &Principal, workspace_id: &Option<WorkspaceId>) -> Result<Self, AppError> {
        Payer::ask(ctx.billing(), by, *workspace_id).await
    }
}

impl Precondition for EditableAssistant {
    type About = AssistantId;
    const REFUSALS: &'static [Code] = &[Code::NotFound, Code::Forbidden];

    async fn ask(ctx: &Ctx, by: &Principal, id: &AssistantId) -> Result<Self, AppError> {
        EditableAssistant::authorize(ctx.assistants(), by, *id).await
    }
}

impl Precondition for ExportableConversation {
    type About = ConversationId;
    const REFUSALS: &'static [Code] = &[Code::NotFound, Code::NotAMember, Code::Forbidden];

    async fn ask(ctx: &Ctx, by: &Principal, id: &ConversationId) -> Result<Self, AppError> {
        ExportableConversation::authorize(ctx.conversations(), by, *id).await
    }
}
