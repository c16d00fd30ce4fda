//! Reactions, pins and saved messages.

use appcore::{
    AppError, ConversationId, MessageId,
    page::{Page, PageRequest},
    view::{Message, SavedMessage, SavedState},
};
use conversations::messages::{reactions, saved};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<AddReaction>(),
    EndpointDef::of::<RemoveReaction>(),
    EndpointDef::of::<PinMessage>(),
    EndpointDef::of::<UnpinMessage>(),
    EndpointDef::of::<ListPins>(),
    EndpointDef::of::<SaveMessage>(),
    EndpointDef::of::<UnsaveMessage>(),
    EndpointDef::of::<GetSavedState>(),
    EndpointDef::of::<ListSaved>(),
];

#[dto(request)]
pub struct ReactionRequest {
    #[from(path)]
    pub id: MessageId,
    /// Emoji, or `:name:` of a custom one; percent-encoded.
    #[from(path)]
    pub emoji: String,
}

/// Add a reaction to a message
///
/// Idempotent. At most 50 different reactions per message.
#[endpoint(PUT "/r1/messages/{id}/reactions/{emoji}", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived, TooMany))]
impl Endpoint for AddReaction {
    type Request = ReactionRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: ReactionRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(reactions::react(ctx.conversations(), ctx.user()?, request.id, &request.emoji, true).await?))
    }
}

/// Remove your reaction from a message
#[endpoint(DELETE "/r1/messages/{id}/reactions/{emoji}", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived))]
impl Endpoint for RemoveReaction {
    type Request = ReactionRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: ReactionRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(reactions::react(ctx.conversations(), ctx.user()?, request.id, &request.emoji, false).await?))
    }
}

#[dto(request)]
pub struct MarkRequest {
    #[from(path)]
    pub id: MessageId,
}

/// Pin a message
///
/// Allowed to members who may send messages. At most 100 pinned messages per conversation.
#[endpoint(PUT "/r1/messages/{id}/pin", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived, TooMany))]
impl Endpoint for PinMessage {
    type Request = MarkRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: MarkRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(reactions::pin(ctx.conversations(), ctx.user()?, request.id, true).await?))
    }
}

/// Unpin a message
#[endpoint(DELETE "/r1/messages/{id}/pin", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived))]
impl Endpoint for UnpinMessage {
    type Request = MarkRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: MarkRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(reactions::pin(ctx.conversations(), ctx.user()?, request.id, false).await?))
    }
}

#[dto(request)]
pub struct ListPinsRequest {
    #[from(path)]
    pub id: ConversationId,
    #[from(page)]
    pub page: PageRequest,
}

/// List the pinned messages of a conversation
///
/// Last pinned first.
#[endpoint(GET "/r1/conversations/{id}/pins", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListPins {
    type Request = ListPinsRequest;
    type Response = Page<Message>;

    async fn handle(ctx: &Ctx, request: ListPinsRequest) -> Result<Reply<Page<Message>>, AppError> {
        Ok(Reply::of(reactions::pins(ctx.conversations(), ctx.user()?, request.id, request.page).await?))
    }
}

/// Save a message
///
/// Private to the caller. At most 10,000 saved messages.
#[endpoint(PUT "/r1/messages/{id}/saved", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(TooMany))]
impl Endpoint for SaveMessage {
    type Request = MarkRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: MarkRequest) -> Result<Reply<NoData>, AppError> {
        saved::set(ctx.conversations(), ctx.user()?, request.id, true).await?;
        Ok(Reply::of(NoData))
    }
}

/// Remove a message from your saved messages
#[endpoint(DELETE "/r1/messages/{id}/saved", tag = "messages", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for UnsaveMessage {
    type Request = MarkRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: MarkRequest) -> Result<Reply<NoData>, AppError> {
        saved::set(ctx.conversations(), ctx.user()?, request.id, false).await?;
        Ok(Reply::of(NoData))
    }
}

/// Show whether you have saved a message
#[endpoint(GET "/r1/messages/{id}/saved", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for GetSavedState {
    type Request = MarkRequest;
    type Response = SavedState;

    async fn handle(ctx: &Ctx, request: MarkRequest) -> Result<Reply<SavedState>, AppError> {
        Ok(Reply::of(saved::state(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ListSavedRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List your saved messages
///
/// Last saved first, without messages that the caller can no longer read.
#[endpoint(GET "/r1/saved", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListSaved {
    type Request = ListSavedRequest;
    type Response = Page<SavedMessage>;

    async fn handle(ctx: &Ctx, request: ListSavedRequest) -> Result<Reply<Page<SavedMessage>>, AppError> {
        Ok(Reply::of(saved::list(ctx.conversations(), ctx.user()?, request.page).await?))
    }
}
