//! Chats with assistants that are shared with a workspace.

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

/// Sharing state of a chat.
#[dto(response)]
pub struct ConversationShare {
    /// Share of the chat; null if none.
    pub share: Option<Share>,
}

/// Show the share of a chat
#[endpoint(GET "/r1/conversations/{id}/share", tag = "conversations", access = Access::User, rate = RateGroup::Read, errors(NotAMember))]
impl Endpoint for ShowShare {
    type Request = ShareRequest;
    type Response = ConversationShare;

    async fn handle(ctx: &Ctx, request: ShareRequest) -> Result<Reply<ConversationShare>, AppError> {
        let share = share::find_own(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(ConversationShare { share }))
    }
}

/// Share a chat with an assistant
///
/// Creates a snapshot of at most the newest 1,000 messages. Members of the workspace except guests
/// can read it through a link. Sharing again updates it and keeps the link. Messages that are
/// deleted or hidden later disappear. Attachments are only named.
#[endpoint(PUT "/r1/conversations/{id}/share", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(NotAMember, WrongState))]
impl Endpoint for ShareConversation {
    type Request = ShareRequest;
    type Response = Share;

    async fn handle(ctx: &Ctx, request: ShareRequest) -> Result<Reply<Share>, AppError> {
        Ok(Reply::of(share::create(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

/// Stop sharing a chat
///
/// The link becomes invalid. A new share has another link.
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

/// Show a shared chat
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

/// List the messages of a shared chat
///
/// The oldest message is first.
#[endpoint(GET "/r1/shared/{id}/messages", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListSharedMessages {
    type Request = ListSharedMessagesRequest;
    type Response = Page<SharedMessage>;

    async fn handle(ctx: &Ctx, request: ListSharedMessagesRequest) -> Result<Reply<Page<SharedMessage>>, AppError> {
        Ok(Reply::of(share::messages(ctx.conversations(), ctx.user()?, request.id, request.page).await?))
    }
}
