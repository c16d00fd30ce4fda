//! Channel operations: join, archive, unarchive, and conversion of conversations into channels.

use appcore::{
    AppError, ConversationId,
    view::{Conversation, ConversationKind},
};
use natter_macro::{dto, endpoint};

use super::conversations::ConversationRequest;
use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<JoinConversation>(),
    EndpointDef::of::<ArchiveConversation>(),
    EndpointDef::of::<UnarchiveConversation>(),
    EndpointDef::of::<ConvertConversation>(),
];

/// Join a public channel
///
/// Returns 200 for members as well.
#[endpoint(POST "/r1/conversations/{id}/join", tag = "channels", access = Access::User, rate = RateGroup::Write, errors(Archived, Removed))]
impl Endpoint for JoinConversation {
    type Request = ConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: ConversationRequest) -> Result<Reply<Conversation>, AppError> {
        Ok(Reply::of(conversations::join(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

/// Archive a channel
///
/// An archived channel is read-only: changes are refused with `archived`. Allowed to users who
/// manage the channel.
#[endpoint(POST "/r1/conversations/{id}/archive", tag = "channels", access = Access::User, rate = RateGroup::Write, errors(Forbidden, DefaultChannel, WrongState))]
impl Endpoint for ArchiveConversation {
    type Request = ConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: ConversationRequest) -> Result<Reply<Conversation>, AppError> {
        Ok(Reply::of(conversations::archive(ctx.conversations(), ctx.user()?, request.id, true).await?))
    }
}

/// Unarchive a channel
#[endpoint(POST "/r1/conversations/{id}/unarchive", tag = "channels", access = Access::User, rate = RateGroup::Write, errors(Forbidden, DefaultChannel, WrongState))]
impl Endpoint for UnarchiveConversation {
    type Request = ConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: ConversationRequest) -> Result<Reply<Conversation>, AppError> {
        Ok(Reply::of(conversations::archive(ctx.conversations(), ctx.user()?, request.id, false).await?))
    }
}

#[dto(request)]
pub struct ConvertConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    pub kind: ConversationKind,
}

/// Convert a conversation
///
/// Turns a group into a private channel, and changes channels between private and public. Allowed
/// to the owner, and to admins of the workspace who can see it. Recorded by a system message.
#[endpoint(POST "/r1/conversations/{id}/convert", tag = "channels", access = Access::User, rate = RateGroup::Write, errors(Forbidden, DefaultChannel, NameTaken, Archived, WrongState))]
impl Endpoint for ConvertConversation {
    type Request = ConvertConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: ConvertConversationRequest) -> Result<Reply<Conversation>, AppError> {
        Ok(Reply::of(conversations::convert(ctx.conversations(), ctx.user()?, request.id, request.kind).await?))
    }
}
