//! Administration of conversations. Administrators see metadata and sizes, but no content.

use appcore::{
    AppError, ConversationId, UserId, WorkspaceId,
    page::{Page, PageRequest, Slice},
    view::{AdminConversation, AdminConversationMember, ConversationKind},
};
use conversations::admin::{self, Filter};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};

use super::conversations::DEFAULT_LIMIT;
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
    /// Text in the title of a channel or group, or the complete id.
    #[from(query)]
    pub q: Option<String>,
    #[from(query)]
    pub kind: Option<ConversationKind>,
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    /// True for archived conversations; false for the others.
    #[from(query)]
    pub archived: Option<bool>,
    /// Cursor: `id` of the last item; lists conversations created before it.
    #[from(query)]
    pub before: Option<ConversationId>,
    /// Page size, at most 200.
    #[from(query)]
    pub limit: Option<u64>,
}

/// List all conversations
///
/// Newest first, with sizes, without messages or authors. Chats with assistants have no title here.
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
        let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
        Ok(Reply::of(admin::list(ctx.conversations(), &filter, limit).await?))
    }
}

#[dto(request)]
pub struct AnyConversationRequest {
    #[from(path)]
    pub id: ConversationId,
}

/// Show any conversation
///
/// Metadata and sizes, without content.
#[endpoint(GET "/r1/admin/conversations/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ShowAnyConversation {
    type Request = AnyConversationRequest;
    type Response = AdminConversation;

    async fn handle(ctx: &Ctx, request: AnyConversationRequest) -> Result<Reply<AdminConversation>, AppError> {
        Ok(Reply::of(admin::find(ctx.conversations(), request.id).await?))
    }
}

#[dto(request)]
pub struct ListAnyConversationMembersRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Text in the name or e-mail address.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the members of any channel or group
///
/// By name. Members of direct messages and of chats with an assistant are not listed.
#[endpoint(GET "/r1/admin/conversations/{id}/members", tag = "admin", access = Access::Admin, rate = RateGroup::Read, errors(WrongState))]
impl Endpoint for ListAnyConversationMembers {
    type Request = ListAnyConversationMembersRequest;
    type Response = Page<AdminConversationMember>;

    async fn handle(
        ctx: &Ctx,
        request: ListAnyConversationMembersRequest,
    ) -> Result<Reply<Page<AdminConversationMember>>, AppError> {
        let text = request.q.unwrap_or_default();
        Ok(Reply::of(admin::members(ctx.conversations(), request.id, &text, request.page).await?))
    }
}

#[dto(request)]
pub struct ChangeConversationOwnerRequest {
    #[from(path)]
    pub id: ConversationId,
    /// New owner, a member of the conversation.
    pub owner_id: UserId,
}

/// Transfer the ownership of a channel or group
///
/// The previous owner becomes an admin. Requires a fresh sign-in.
#[endpoint(PATCH "/r1/admin/conversations/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for ChangeConversationOwner {
    type Request = ChangeConversationOwnerRequest;
    type Response = AdminConversation;

    async fn handle(
        ctx: &Ctx,
        request: ChangeConversationOwnerRequest,
        by: &Confirmed,
    ) -> Result<Reply<AdminConversation>, AppError> {
        Ok(Reply::of(admin::set_owner(ctx.conversations(), by, request.id, request.owner_id).await?))
    }
}

#[dto(request)]
pub struct DeleteAnyConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Exact title as listed, or the id if there is none, as a safeguard.
    pub name: String,
}

/// Delete any conversation
///
/// Deletes it for all members. Requires a fresh sign-in. A workspace's default channel can't be
/// deleted.
#[endpoint(DELETE "/r1/admin/conversations/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(DefaultChannel))]
impl Endpoint for DeleteAnyConversation {
    type Request = DeleteAnyConversationRequest;
    type Response = NoData;

    async fn handle(
        ctx: &Ctx,
        request: DeleteAnyConversationRequest,
        by: &Confirmed,
    ) -> Result<Reply<NoData>, AppError> {
        admin::delete(ctx.conversations(), by, request.id, &request.name).await?;
        Ok(Reply::of(NoData))
    }
}
