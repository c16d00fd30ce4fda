//! Chats with assistants that are shown to others of their workspace.

use appcore::{
    AppError, ConversationId, ShareId,
    page::{Page, PageRequest},
    view::{Share, SharedChat, SharedMessage},
};
use conversations::share;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ShowShare>(),
    EndpointDef::of::<ShareConversation>(),
    EndpointDef::of::<UnshareConversation>(),
    EndpointDef::of::<ShowSharedChat>(),
    EndpointDef::of::<ListSharedMessages>(),
];

#[dto(request)]
pub struct ShareRequest {
    #[from(path)]
    pub id: ConversationId,
}

/// Whether a chat is shared.
#[dto(response)]
pub struct ConversationShare {
    /// Null: it isn't.
    pub share: Option<Share>,
}

/// Show how a chat is shared
#[endpoint(GET "/r1/conversations/{id}/share", tag = "conversations", access = Access::User, rate = RateGroup::Read, errors(NotAMember))]
impl Endpoint for ShowShare {
    type Request = ShareRequest;
    type Response = ConversationShare;

    async fn handle(ctx: &Ctx, request: ShareRequest) -> Result<Reply<ConversationShare>, AppError> {
        let share = share::own(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(ConversationShare { share }))
    }
}

/// Share a chat with an assistant
///
/// As it is now, by a link that members of its workspace can read it with, no guests. Once more: as it is then, by the same link. At most its newest 1,000
/// messages. What is deleted or hidden later is shown no longer; files are named, not shared.
#[endpoint(PUT "/r1/conversations/{id}/share", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(NotAMember, WrongState))]
impl Endpoint for ShareConversation {
    type Request = ShareRequest;
    type Response = Share;

    async fn handle(ctx: &Ctx, request: ShareRequest) -> Result<Reply<Share>, AppError> {
        Ok(Reply::of(share::put(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

/// Stop sharing a chat
///
/// Its link leads nowhere from then on; shared again it has another one.
#[endpoint(DELETE "/r1/conversations/{id}/share", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(NotAMember))]
impl Endpoint for UnshareConversation {
    type Request = ShareRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ShareRequest) -> Result<Reply<NoData>, AppError> {
        share::revoke(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ShowSharedChatRequest {
    #[from(path)]
    pub id: ShareId,
}

/// Show a chat that is shared
#[endpoint(GET "/r1/shared/{id}", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowSharedChat {
    type Request = ShowSharedChatRequest;
    type Response = SharedChat;

    async fn handle(ctx: &Ctx, request: ShowSharedChatRequest) -> Result<Reply<SharedChat>, AppError> {
        Ok(Reply::of(share::find(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ListSharedMessagesRequest {
    #[from(path)]
    pub id: ShareId,
    #[from(page)]
    pub page: PageRequest,
}

/// List the messages of a chat that is shared
///
/// The oldest first.
#[endpoint(GET "/r1/shared/{id}/messages", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListSharedMessages {
    type Request = ListSharedMessagesRequest;
    type Response = Page<SharedMessage>;

    async fn handle(ctx: &Ctx, request: ListSharedMessagesRequest) -> Result<Reply<Page<SharedMessage>>, AppError> {
        Ok(Reply::of(share::messages(ctx.conversations(), ctx.user()?, request.id, request.page).await?))
    }
}
