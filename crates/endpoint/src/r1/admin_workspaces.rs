//! Workspaces, for the administrators of the installation: who owns them and how much is in them, never what.

use appcore::{
    AppError, UserId, WorkspaceId,
    page::{Page, PageRequest},
    view::{AdminWorkspace, AdminWorkspaceMember, WorkspaceKind},
};
use conversations::workspaces::oversight::{self, Filter};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListAllWorkspaces>(),
    EndpointDef::of::<ShowAnyWorkspace>(),
    EndpointDef::of::<ListAnyMembers>(),
    EndpointDef::of::<ChangeOwner>(),
    EndpointDef::of::<DeleteAnyWorkspace>(),
];

#[dto(request)]
pub struct ListAllWorkspacesRequest {
    /// A part of the name, or the whole id.
    #[from(query)]
    pub q: Option<String>,
    /// All but personal ones, where it is left out.
    #[from(query)]
    pub kind: Option<WorkspaceKind>,
    #[from(page)]
    pub page: PageRequest,
}

/// List all workspaces
///
/// The newest first, with how much is in them.
#[endpoint(GET "/r1/admin/workspaces", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAllWorkspaces {
    type Request = ListAllWorkspacesRequest;
    type Response = Page<AdminWorkspace>;

    async fn handle(ctx: &Ctx, request: ListAllWorkspacesRequest) -> Result<Reply<Page<AdminWorkspace>>, AppError> {
        let filter = Filter { text: request.q.unwrap_or_default(), kind: request.kind };
        Ok(Reply::of(oversight::list(ctx.conversations(), filter, request.page).await?))
    }
}

#[dto(request)]
pub struct AnyWorkspaceRequest {
    #[from(path)]
    pub id: WorkspaceId,
}

/// Show any workspace
///
/// How much is in it.
#[endpoint(GET "/r1/admin/workspaces/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ShowAnyWorkspace {
    type Request = AnyWorkspaceRequest;
    type Response = AdminWorkspace;

    async fn handle(ctx: &Ctx, request: AnyWorkspaceRequest) -> Result<Reply<AdminWorkspace>, AppError> {
        Ok(Reply::of(oversight::find(ctx.conversations(), request.id).await?))
    }
}

#[dto(request)]
pub struct ListAnyMembersRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// A part of the name or of the address.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the members of any workspace
///
/// By name.
#[endpoint(GET "/r1/admin/workspaces/{id}/members", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAnyMembers {
    type Request = ListAnyMembersRequest;
    type Response = Page<AdminWorkspaceMember>;

    async fn handle(ctx: &Ctx, request: ListAnyMembersRequest) -> Result<Reply<Page<AdminWorkspaceMember>>, AppError> {
        let text = request.q.unwrap_or_default();
        Ok(Reply::of(oversight::members(ctx.conversations(), request.id, &text, request.page).await?))
    }
}

#[dto(request)]
pub struct ChangeOwnerRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// A member who is no guest.
    pub owner_id: UserId,
}

/// Give a workspace another owner
///
/// The former one becomes an administrator of it. It needs a fresh sign-in.
#[endpoint(PATCH "/r1/admin/workspaces/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for ChangeOwner {
    type Request = ChangeOwnerRequest;
    type Response = AdminWorkspace;

    async fn handle(ctx: &Ctx, request: ChangeOwnerRequest, by: &Confirmed) -> Result<Reply<AdminWorkspace>, AppError> {
        Ok(Reply::of(oversight::set_owner(ctx.conversations(), by, request.id, request.owner_id).await?))
    }
}

#[dto(request)]
pub struct DeleteAnyWorkspaceRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// Its name, exactly as it is: so that it is no other one.
    pub name: String,
}

/// Delete any workspace
///
/// With all its conversations, for everybody. It needs a fresh sign-in.
#[endpoint(DELETE "/r1/admin/workspaces/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for DeleteAnyWorkspace {
    type Request = DeleteAnyWorkspaceRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: DeleteAnyWorkspaceRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        oversight::delete(ctx.conversations(), by, request.id, &request.name).await?;
        Ok(Reply::of(NoData))
    }
}
