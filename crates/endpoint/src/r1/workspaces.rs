//! Workspaces, and who is in them.

use appcore::{
    AppError, UserId, WorkspaceId,
    page::{Page, PageRequest},
    view::{Workspace, WorkspaceMember, WorkspaceRole},
};
use natter_macro::{dto, endpoint};
use service::workspaces::{self, NewMember, Who};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListWorkspaces>(),
    EndpointDef::of::<CreateWorkspace>(),
    EndpointDef::of::<ShowWorkspace>(),
    EndpointDef::of::<ListWorkspaceMembers>(),
    EndpointDef::of::<AddWorkspaceMember>(),
    EndpointDef::of::<ChangeWorkspaceMember>(),
];

#[dto(request)]
pub struct ListWorkspacesRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List one's workspaces
#[endpoint(GET "/r1/workspaces", tag = "workspaces", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListWorkspaces {
    type Request = ListWorkspacesRequest;
    type Response = Page<Workspace>;

    async fn handle(ctx: &Ctx, request: ListWorkspacesRequest) -> Result<Reply<Page<Workspace>>, AppError> {
        Ok(Reply::of(workspaces::list(ctx.app(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateWorkspaceRequest {
    #[schema(min_length = 1)]
    pub name: String,
}

/// Create a workspace
#[endpoint(POST "/r1/workspaces", tag = "workspaces", access = Access::User, rate = RateGroup::Write, status = 201)]
impl Endpoint for CreateWorkspace {
    type Request = CreateWorkspaceRequest;
    type Response = Workspace;

    async fn handle(ctx: &Ctx, request: CreateWorkspaceRequest) -> Result<Reply<Workspace>, AppError> {
        Ok(Reply::of(workspaces::create(ctx.app(), ctx.user()?, &request.name).await?))
    }
}

#[dto(request)]
pub struct ShowWorkspaceRequest {
    #[from(path)]
    pub id: WorkspaceId,
}

/// Show a workspace
#[endpoint(GET "/r1/workspaces/{id}", tag = "workspaces", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowWorkspace {
    type Request = ShowWorkspaceRequest;
    type Response = Workspace;

    async fn handle(ctx: &Ctx, request: ShowWorkspaceRequest) -> Result<Reply<Workspace>, AppError> {
        Ok(Reply::of(workspaces::find(ctx.app(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ListWorkspaceMembersRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[from(page)]
    pub page: PageRequest,
}

/// List a workspace's members
#[endpoint(GET "/r1/workspaces/{id}/members", tag = "workspaces", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListWorkspaceMembers {
    type Request = ListWorkspaceMembersRequest;
    type Response = Page<WorkspaceMember>;

    async fn handle(ctx: &Ctx, request: ListWorkspaceMembersRequest) -> Result<Reply<Page<WorkspaceMember>>, AppError> {
        Ok(Reply::of(workspaces::members(ctx.app(), ctx.user()?, request.id, request.page).await?))
    }
}

#[dto(request)]
pub struct AddWorkspaceMemberRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// Either this or `email`.
    pub user_id: Option<UserId>,
    /// The whole address of an account.
    #[schema(format = Email)]
    pub email: Option<String>,
    pub role: Option<WorkspaceRole>,
}

/// Add somebody to a workspace
#[endpoint(POST "/r1/workspaces/{id}/members", tag = "workspaces", access = Access::User, rate = RateGroup::Write, status = 201, errors(Forbidden, AlreadyMember))]
impl Endpoint for AddWorkspaceMember {
    type Request = AddWorkspaceMemberRequest;
    type Response = WorkspaceMember;

    async fn handle(ctx: &Ctx, request: AddWorkspaceMemberRequest) -> Result<Reply<WorkspaceMember>, AppError> {
        let who = match (request.user_id, request.email) {
            (Some(id), None) => Who::Id(id),
            (None, Some(email)) => Who::Email(email),
            _ => return Err(AppError::field("user_id", "required", "Say who: either user_id or email.")),
        };
        Ok(Reply::of(
            workspaces::add_member(ctx.app(), ctx.user()?, request.id, NewMember { who, role: request.role }).await?,
        ))
    }
}

#[dto(request)]
pub struct ChangeWorkspaceMemberRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[from(path)]
    pub user_id: UserId,
    /// `owner` hands the ownership over.
    pub role: WorkspaceRole,
}

/// Give a member of a workspace another role
#[endpoint(PATCH "/r1/workspaces/{id}/members/{user_id}", tag = "workspaces", access = Access::User, rate = RateGroup::Write, errors(Forbidden, OwnerMustTransfer))]
impl Endpoint for ChangeWorkspaceMember {
    type Request = ChangeWorkspaceMemberRequest;
    type Response = WorkspaceMember;

    async fn handle(ctx: &Ctx, request: ChangeWorkspaceMemberRequest) -> Result<Reply<WorkspaceMember>, AppError> {
        Ok(Reply::of(workspaces::set_role(ctx.app(), ctx.user()?, request.id, request.user_id, request.role).await?))
    }
}
