//! Administration of workspaces. Administrators see metadata and sizes, but no content.

use appcore::{
    AppError, UserId, WorkspaceId,
    page::{Page, PageRequest},
    view::{AdminWorkspace, AdminWorkspaceMember, WorkspaceKind},
};
use conversations::workspaces::admin::{self, Filter};
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
    /// Text in the name, or the complete id.
    #[from(query)]
    pub q: Option<String>,
    /// Kind of workspaces; by default all but personal ones.
    #[from(query)]
    pub kind: Option<WorkspaceKind>,
    #[from(page)]
    pub page: PageRequest,
}

/// List all workspaces
///
/// Newest first, with sizes.
#[endpoint(GET "/r1/admin/workspaces", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAllWorkspaces {
    type Request = ListAllWorkspacesRequest;
    type Response = Page<AdminWorkspace>;

    async fn handle(ctx: &Ctx, request: ListAllWorkspacesRequest) -> Result<Reply<Page<AdminWorkspace>>, AppError> {
        let filter = Filter { text: request.q.unwrap_or_default(), kind: request.kind };
        Ok(Reply::of(admin::list(ctx.conversations(), filter, request.page).await?))
    }
}

#[dto(request)]
pub struct AnyWorkspaceRequest {
    #[from(path)]
    pub id: WorkspaceId,
}

/// Show any workspace
///
/// Metadata and sizes, without content.
#[endpoint(GET "/r1/admin/workspaces/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ShowAnyWorkspace {
    type Request = AnyWorkspaceRequest;
    type Response = AdminWorkspace;

    async fn handle(ctx: &Ctx, request: AnyWorkspaceRequest) -> Result<Reply<AdminWorkspace>, AppError> {
        Ok(Reply::of(admin::find(ctx.conversations(), request.id).await?))
    }
}

#[dto(request)]
pub struct ListAnyMembersRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// Text in the name or e-mail address.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the members of any workspace
///
/// Ordered by name.
#[endpoint(GET "/r1/admin/workspaces/{id}/members", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAnyMembers {
    type Request = ListAnyMembersRequest;
    type Response = Page<AdminWorkspaceMember>;

    async fn handle(ctx: &Ctx, request: ListAnyMembersRequest) -> Result<Reply<Page<AdminWorkspaceMember>>, AppError> {
        let text = request.q.unwrap_or_default();
        Ok(Reply::of(admin::members(ctx.conversations(), request.id, &text, request.page).await?))
    }
}

#[dto(request)]
pub struct ChangeOwnerRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// New owner, a member but not a guest.
    pub owner_id: UserId,
}

/// Transfer the ownership of a workspace
///
/// The previous owner becomes an admin. Requires a fresh sign-in.
#[endpoint(PATCH "/r1/admin/workspaces/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for ChangeOwner {
    type Request = ChangeOwnerRequest;
    type Response = AdminWorkspace;

    async fn handle(ctx: &Ctx, request: ChangeOwnerRequest, by: &Confirmed) -> Result<Reply<AdminWorkspace>, AppError> {
        Ok(Reply::of(admin::set_owner(ctx.conversations(), by, request.id, request.owner_id).await?))
    }
}

#[dto(request)]
pub struct DeleteAnyWorkspaceRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// Exact name, as a safeguard.
    pub name: String,
}

/// Delete any workspace
///
/// Deletes all its conversations, for all members. Requires a fresh sign-in.
#[endpoint(DELETE "/r1/admin/workspaces/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for DeleteAnyWorkspace {
    type Request = DeleteAnyWorkspaceRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: DeleteAnyWorkspaceRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        admin::delete(ctx.conversations(), by, request.id, &request.name).await?;
        Ok(Reply::of(NoData))
    }
}
