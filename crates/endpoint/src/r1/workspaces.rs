//! Workspaces and their members.

use appcore::{
    AppError, UserId, WorkspaceId,
    page::{Page, PageRequest},
    view::{OfferedWorkspace, Workspace, WorkspaceMember, WorkspaceRole},
};
use conversations::workspaces::{self, MemberIdentifier, NewWorkspaceMember, WorkspaceUpdate};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, Permission, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListWorkspaces>(),
    EndpointDef::of::<CreateWorkspace>(),
    EndpointDef::of::<ListJoinableWorkspaces>(),
    EndpointDef::of::<ShowWorkspace>(),
    EndpointDef::of::<ChangeWorkspace>(),
    EndpointDef::of::<DeleteWorkspace>(),
    EndpointDef::of::<JoinWorkspace>(),
    EndpointDef::of::<LeaveWorkspace>(),
    EndpointDef::of::<ListWorkspaceMembers>(),
    EndpointDef::of::<AddWorkspaceMember>(),
    EndpointDef::of::<ChangeWorkspaceMember>(),
    EndpointDef::of::<RemoveWorkspaceMember>(),
];

#[dto(request)]
pub struct ListWorkspacesRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List your workspaces
#[endpoint(GET "/r1/workspaces", tag = "workspaces", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListWorkspaces {
    type Request = ListWorkspacesRequest;
    type Response = Page<Workspace>;

    async fn handle(ctx: &Ctx, request: ListWorkspacesRequest) -> Result<Reply<Page<Workspace>>, AppError> {
        Ok(Reply::of(workspaces::list(ctx.conversations(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateWorkspaceRequest {
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// E-mail domains whose verified users may join: only that of the caller's own verified
    /// address, and no public provider's.
    #[schema(max_items = 10)]
    pub join_domains: Option<Vec<String>>,
}

/// Create a workspace
#[endpoint(POST "/r1/workspaces", tag = "workspaces", access = Access::User, rate = RateGroup::Write, status = 201, errors(WrongState))]
impl Endpoint for CreateWorkspace {
    type Request = CreateWorkspaceRequest;
    type Response = Workspace;

    async fn handle(ctx: &Ctx, request: CreateWorkspaceRequest) -> Result<Reply<Workspace>, AppError> {
        let domains = request.join_domains.unwrap_or_default();
        let made = workspaces::create(ctx.conversations(), ctx.user()?, &request.name, &domains).await?;
        Ok(Reply::of(made))
    }
}

#[dto(request)]
pub struct ListJoinableWorkspacesRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List the workspaces that you may join
///
/// Those that allow the domain of the caller's verified address.
#[endpoint(GET "/r1/workspaces/joinable", tag = "workspaces", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListJoinableWorkspaces {
    type Request = ListJoinableWorkspacesRequest;
    type Response = Page<OfferedWorkspace>;

    async fn handle(
        ctx: &Ctx,
        request: ListJoinableWorkspacesRequest,
    ) -> Result<Reply<Page<OfferedWorkspace>>, AppError> {
        Ok(Reply::of(workspaces::joinable(ctx.conversations(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct WorkspaceRequest {
    #[from(path)]
    pub id: WorkspaceId,
}

/// Show a workspace
#[endpoint(GET "/r1/workspaces/{id}", tag = "workspaces", access = Access::Member(Permission::View), rate = RateGroup::Read)]
impl Endpoint for ShowWorkspace {
    type Request = WorkspaceRequest;
    type Response = Workspace;

    async fn handle(ctx: &Ctx, request: WorkspaceRequest) -> Result<Reply<Workspace>, AppError> {
        Ok(Reply::of(workspaces::find(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeWorkspaceRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    /// E-mail domains whose users may join; replaces the previous list. A new one must be that of
    /// the caller's verified address.
    #[schema(max_items = 10)]
    pub join_domains: Option<Vec<String>>,
}

/// Change the name or join domains of a workspace
#[endpoint(PATCH "/r1/workspaces/{id}", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for ChangeWorkspace {
    type Request = ChangeWorkspaceRequest;
    type Response = Workspace;

    async fn handle(ctx: &Ctx, request: ChangeWorkspaceRequest) -> Result<Reply<Workspace>, AppError> {
        let change = WorkspaceUpdate { name: request.name, join_domains: request.join_domains };
        let changed = workspaces::update(ctx.conversations(), ctx.user()?, request.id, change).await?;
        Ok(Reply::of(changed))
    }
}

/// Delete a workspace
///
/// Deletes all its conversations, for all members. Personal workspaces and the shared one can't be
/// deleted.
#[endpoint(DELETE "/r1/workspaces/{id}", tag = "workspaces", access = Access::Member(Permission::Delete), rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for DeleteWorkspace {
    type Request = WorkspaceRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: WorkspaceRequest) -> Result<Reply<NoData>, AppError> {
        workspaces::delete(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Join a workspace that is open to your e-mail domain
#[endpoint(POST "/r1/workspaces/{id}/join", tag = "workspaces", access = Access::User, rate = RateGroup::Write, errors(AlreadyMember))]
impl Endpoint for JoinWorkspace {
    type Request = WorkspaceRequest;
    type Response = Workspace;

    async fn handle(ctx: &Ctx, request: WorkspaceRequest) -> Result<Reply<Workspace>, AppError> {
        let joined = workspaces::join(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(joined))
    }
}

/// Leave a workspace
///
/// The caller leaves its conversations as well. The owner must transfer the ownership first.
#[endpoint(POST "/r1/workspaces/{id}/leave", tag = "workspaces", access = Access::Member(Permission::View), rate = RateGroup::Write, errors(OwnerMustTransfer, WrongState))]
impl Endpoint for LeaveWorkspace {
    type Request = WorkspaceRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: WorkspaceRequest) -> Result<Reply<NoData>, AppError> {
        workspaces::leave(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListWorkspaceMembersRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// Text in the name, or a complete e-mail address.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the members of a workspace
///
/// Guests see only members of their conversations.
#[endpoint(GET "/r1/workspaces/{id}/members", tag = "workspaces", access = Access::Member(Permission::View), rate = RateGroup::Read)]
impl Endpoint for ListWorkspaceMembers {
    type Request = ListWorkspaceMembersRequest;
    type Response = Page<WorkspaceMember>;

    async fn handle(ctx: &Ctx, request: ListWorkspaceMembersRequest) -> Result<Reply<Page<WorkspaceMember>>, AppError> {
        let text = request.q.unwrap_or_default();
        Ok(Reply::of(workspaces::members(ctx.conversations(), ctx.user()?, request.id, &text, request.page).await?))
    }
}

#[dto(request)]
pub struct AddWorkspaceMemberRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// Account to add; either this or `email`.
    pub user_id: Option<UserId>,
    /// Complete e-mail address of the account.
    #[schema(format = Email)]
    pub email: Option<String>,
    pub role: Option<WorkspaceRole>,
}

/// Add a user to a workspace
#[endpoint(POST "/r1/workspaces/{id}/members", tag = "workspaces", access = Access::Member(Permission::ManageMembers), rate = RateGroup::Conversation, status = 201, errors(AlreadyMember, WrongState))]
impl Endpoint for AddWorkspaceMember {
    type Request = AddWorkspaceMemberRequest;
    type Response = WorkspaceMember;

    async fn handle(ctx: &Ctx, request: AddWorkspaceMemberRequest) -> Result<Reply<WorkspaceMember>, AppError> {
        let who = match (request.user_id, request.email) {
            (Some(id), None) => MemberIdentifier::Id(id),
            (None, Some(email)) => MemberIdentifier::Email(email),
            _ => return Err(AppError::field("user_id", "required", "Provide either user_id or email.")),
        };
        let new = NewWorkspaceMember { who, role: request.role };
        let added = workspaces::add_member(ctx.conversations(), ctx.user()?, request.id, new).await?;
        Ok(Reply::of(added))
    }
}

#[dto(request)]
pub struct ChangeWorkspaceMemberRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[from(path)]
    pub user_id: UserId,
    /// New role; `owner` transfers the ownership.
    pub role: WorkspaceRole,
}

/// Change the role of a workspace member
#[endpoint(PATCH "/r1/workspaces/{id}/members/{user_id}", tag = "workspaces", access = Access::Member(Permission::ManageMembers), rate = RateGroup::Write, errors(OwnerMustTransfer))]
impl Endpoint for ChangeWorkspaceMember {
    type Request = ChangeWorkspaceMemberRequest;
    type Response = WorkspaceMember;

    async fn handle(ctx: &Ctx, request: ChangeWorkspaceMemberRequest) -> Result<Reply<WorkspaceMember>, AppError> {
        let changed =
            workspaces::set_role(ctx.conversations(), ctx.user()?, request.id, request.user_id, request.role).await?;
        Ok(Reply::of(changed))
    }
}

#[dto(request)]
pub struct RemoveWorkspaceMemberRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[from(path)]
    pub user_id: UserId,
}

/// Remove a member from a workspace
///
/// Also removes the member from its conversations.
#[endpoint(DELETE "/r1/workspaces/{id}/members/{user_id}", tag = "workspaces", access = Access::Member(Permission::ManageMembers), rate = RateGroup::Write, errors(OwnerMustTransfer))]
impl Endpoint for RemoveWorkspaceMember {
    type Request = RemoveWorkspaceMemberRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemoveWorkspaceMemberRequest) -> Result<Reply<NoData>, AppError> {
        workspaces::remove_member(ctx.conversations(), ctx.user()?, request.id, request.user_id).await?;
        Ok(Reply::of(NoData))
    }
}
