//! What an endpoint asks before it does anything, and the proofs that come of it.
//!
//! A proof is a type of `service` that only asking makes. What needs the answer takes the proof in place of the caller, so that it can't be
//! called without having asked.

use std::future::Future;

use appcore::{AppError, AssistantId, Code, ConversationId, WorkspaceId, auth::Principal};
use assistants::definitions::EditableAssistant;
use billing::payments::subscriptions::Payer;
use conversations::exports::ExportableConversation;
use identity::accounts::{Confirmed, passkeys::Enrolling};

use crate::Ctx;

/// What must hold for `#[endpoint(…, requires = Proof(field))]`, beyond the shape of the request and the caller's role.
pub trait Requirement: Sized + 'static {
    /// The field of the request that it is asked about; `()` where it is about the caller alone.
    type About: 'static;
    /// What it may refuse, beyond what the access implies.
    const REFUSALS: &'static [Code];

    fn ask(ctx: &Ctx, by: &Principal, about: &Self::About) -> impl Future<Output = Result<Self, AppError>>;
}

impl Requirement for Confirmed {
    type About = ();
    const REFUSALS: &'static [Code] = &[Code::FreshSignInRequired];

    async fn ask(ctx: &Ctx, by: &Principal, _: &()) -> Result<Self, AppError> {
        Confirmed::ask(ctx.identity(), by).await
    }
}

impl Requirement for Enrolling {
    type About = ();
    const REFUSALS: &'static [Code] = &[Code::FreshSignInRequired, Code::WrongState];

    async fn ask(ctx: &Ctx, by: &Principal, _: &()) -> Result<Self, AppError> {
        Enrolling::ask(ctx.identity(), by).await
    }
}

/// For the workspace that is named, or for themselves.
impl Requirement for Payer {
    type About = Option<WorkspaceId>;
    const REFUSALS: &'static [Code] = &[Code::NotFound];

    async fn ask(ctx: &Ctx, by: &Principal, workspace_id: &Option<WorkspaceId>) -> Result<Self, AppError> {
        Payer::ask(ctx.billing(), by, *workspace_id).await
    }
}

impl Requirement for EditableAssistant {
    type About = AssistantId;
    const REFUSALS: &'static [Code] = &[Code::NotFound, Code::Forbidden];

    async fn ask(ctx: &Ctx, by: &Principal, id: &AssistantId) -> Result<Self, AppError> {
        EditableAssistant::ask(ctx.assistants(), by, *id).await
    }
}

impl Requirement for ExportableConversation {
    type About = ConversationId;
    const REFUSALS: &'static [Code] = &[Code::NotFound, Code::NotAMember, Code::Forbidden];

    async fn ask(ctx: &Ctx, by: &Principal, id: &ConversationId) -> Result<Self, AppError> {
        ExportableConversation::ask(ctx.conversations(), by, *id).await
    }
}
