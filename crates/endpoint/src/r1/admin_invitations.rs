//! Administration of invitations to workspaces.

use appcore::{
    AppError, InvitationId, Timestamp, WorkspaceId,
    page::{Page, PageRequest},
    view::{AdminInvitation, WorkspaceRole},
};
use conversations::workspaces::{admin, invitations::NewInvitation as Wanted};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};

use super::invitations::NewInvitation;
use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListAllInvitations>(),
    EndpointDef::of::<InviteToAnyWorkspace>(),
    EndpointDef::of::<RevokeAnyInvitation>(),
];

#[dto(request)]
pub struct ListAllInvitationsRequest {
    /// Workspace; by default all.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the invitations to all workspaces
///
/// Valid invitations, newest first, without their tokens.
#[endpoint(GET "/r1/admin/invitations", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAllInvitations {
    type Request = ListAllInvitationsRequest;
    type Response = Page<AdminInvitation>;

    async fn handle(ctx: &Ctx, request: ListAllInvitationsRequest) -> Result<Reply<Page<AdminInvitation>>, AppError> {
        Ok(Reply::of(admin::invitations_of(ctx.conversations(), request.workspace_id, request.page).await?))
    }
}

#[dto(request)]
pub struct InviteToAnyWorkspaceRequest {
    pub workspace_id: WorkspaceId,
    /// E-mail address, the only one that can use the invitation; either this or `max_uses`.
    #[schema(format = Email)]
    pub email: Option<String>,
    /// Maximum number of uses of the link.
    #[schema(minimum = 1, maximum = 10000)]
    pub max_uses: Option<i64>,
    /// Role; by default `member`.
    pub role: Option<WorkspaceRole>,
    /// Time of expiry, at most one year from now; by default in one week.
    pub expires_at: Option<Timestamp>,
}

/// Create an invitation to any workspace
///
/// Sent by e-mail, or shared as a link. The caller need not be a member. Requires a fresh sign-in.
#[endpoint(POST "/r1/admin/invitations", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201, requires = Confirmed, errors(AlreadyMember, WrongState))]
impl Endpoint for InviteToAnyWorkspace {
    type Request = InviteToAnyWorkspaceRequest;
    type Response = NewInvitation;

    async fn handle(
        ctx: &Ctx,
        request: InviteToAnyWorkspaceRequest,
        by: &Confirmed,
    ) -> Result<Reply<NewInvitation>, AppError> {
        let InviteToAnyWorkspaceRequest { workspace_id, email, max_uses, role, expires_at } = request;
        let wanted = Wanted { email, max_uses, role, expires_at };
        let made = admin::invite(ctx.conversations(), by, workspace_id, wanted, &ctx.base_url()).await?;
        Ok(Reply::of(made.into()))
    }
}

#[dto(request)]
pub struct RevokeAnyInvitationRequest {
    #[from(path)]
    pub id: InvitationId,
}

/// Revoke an invitation to any workspace
///
/// Members who joined with it stay. Requires a fresh sign-in.
#[endpoint(DELETE "/r1/admin/invitations/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for RevokeAnyInvitation {
    type Request = RevokeAnyInvitationRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RevokeAnyInvitationRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        admin::revoke_invitation(ctx.conversations(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
