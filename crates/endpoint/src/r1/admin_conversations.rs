//! Conversations, for the administrators of the installation: where they are and how much is in them, never what.

use appcore::{
    AppError, ConversationId, UserId, WorkspaceId,
    page::{Page, PageRequest, Slice},
    view::{AdminConversation, AdminConversationMember, ConversationKind},
};
use conversations::oversight::{self, Filter};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};

use super::conversations::USUAL_LIMIT;
use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListAllConversations>(),
    EndpointDef::of::<ShowAnyConversation>(),
    EndpointDef::of::<ListAnyConversationMembers>(),
    EndpointDef::of::<ChangeConversationOwner>(),
    EndpointDef::of::<DeleteAnyConversation>(),
];

#[dto(request)]
pub struct ListAllConversationsRequest {
    /// A part of the title of a channel or group, or the whole id.
    #[from(query)]
    pub q: Option<String>,
    #[from(query)]
    pub kind: Option<ConversationKind>,
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    /// Only those that are archived, or only those that are not.
    #[from(query)]
    pub archived: Option<bool>,
    /// Only those that were made before this one: the `id` of the last item.
    #[from(query)]
    pub before: Option<ConversationId>,
    /// So many, at most 200.
    #[from(query)]
    pub limit: Option<u64>,
}

/// List all conversations
///
/// The newest first, with how much is in them. What is said in them is shown to nobody, nor who says it; chats with assistants have no title here, since it
/// tells what was asked.
#[endpoint(GET "/r1/admin/conversations", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAllConversations {
    type Request = ListAllConversationsRequest;
    type Response = Slice<AdminConversation>;

    async fn handle(
        ctx: &Ctx,
        request: ListAllConversationsRequest,
    ) -> Result<Reply<Slice<AdminConversation>>, AppError> {
        let filter = Filter {
            text: request.q.unwrap_or_default(),
            kind: request.kind,
            workspace: request.workspace_id,
            is_archived: request.archived,
            before: request.before,
        };
        let limit = request.limit.unwrap_or(USUAL_LIMIT);
        Ok(Reply::of(oversight::list(ctx.conversations(), &filter, limit).await?))
    }
}

#[dto(request)]
pub struct AnyConversationRequest {
    #[from(path)]
    pub id: ConversationId,
}

/// Show any conversation
///
/// How much is in it.
#[endpoint(GET "/r1/admin/conversations/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ShowAnyConversation {
    type Request = AnyConversationRequest;
    type Response = AdminConversation;

    async fn handle(ctx: &Ctx, request: AnyConversationRequest) -> Result<Reply<AdminConversation>, AppError> {
        Ok(Reply::of(oversight::find(ctx.conversations(), request.id).await?))
    }
}

#[dto(request)]
pub struct ListAnyConversationMembersRequest {
    #[from(path)]
    pub id: ConversationId,
    /// A part of the name or of the address.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the members of any channel or group
///
/// By name. Who is in a direct message or a chat with an assistant is not shown.
#[endpoint(GET "/r1/admin/conversations/{id}/members", tag = "admin", access = Access::Admin, rate = RateGroup::Read, errors(WrongState))]
impl Endpoint for ListAnyConversationMembers {
    type Request = ListAnyConversationMembersRequest;
    type Response = Page<AdminConversationMember>;

    async fn handle(
        ctx: &Ctx,
        request: ListAnyConversationMembersRequest,
    ) -> Result<Reply<Page<AdminConversationMember>>, AppError> {
        let text = request.q.unwrap_or_default();
        Ok(Reply::of(oversight::members(ctx.conversations(), request.id, &text, request.page).await?))
    }
}

#[dto(request)]
pub struct ChangeConversationOwnerRequest {
    #[from(path)]
    pub id: ConversationId,
    /// A member of it.
    pub owner_id: UserId,
}

/// Give a channel or group another owner
///
/// The former one becomes an administrator of it. It needs a fresh sign-in.
#[endpoint(PATCH "/r1/admin/conversations/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for ChangeConversationOwner {
    type Request = ChangeConversationOwnerRequest;
    type Response = AdminConversation;

    async fn handle(
        ctx: &Ctx,
        request: ChangeConversationOwnerRequest,
        by: &Confirmed,
    ) -> Result<Reply<AdminConversation>, AppError> {
        Ok(Reply::of(oversight::set_owner(ctx.conversations(), by, request.id, request.owner_id).await?))
    }
}

#[dto(request)]
pub struct DeleteAnyConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Its title as it is listed here, exactly as it is, or its id where it has none: so that it is no other one.
    pub name: String,
}

/// Delete any conversation
///
/// For everybody in it. It needs a fresh sign-in. A workspace's default channel can't be deleted.
#[endpoint(DELETE "/r1/admin/conversations/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(DefaultChannel))]
impl Endpoint for DeleteAnyConversation {
    type Request = DeleteAnyConversationRequest;
    type Response = NoData;

    async fn handle(
        ctx: &Ctx,
        request: DeleteAnyConversationRequest,
        by: &Confirmed,
    ) -> Result<Reply<NoData>, AppError> {
        oversight::delete(ctx.conversations(), by, request.id, &request.name).await?;
        Ok(Reply::of(NoData))
    }
}
