//! Invitations to workspaces.

use appcore::{
    AppError, InvitationId, Timestamp, WorkspaceId,
    page::{Page, PageRequest},
    view::{Invitation, InvitationDetails, WorkspaceRole},
};
use conversations::workspaces::invitations::{self, CreatedInvitation, NewInvitation as Wanted};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, Permission, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListInvitations>(),
    EndpointDef::of::<CreateInvitation>(),
    EndpointDef::of::<CreateInvitations>(),
    EndpointDef::of::<RevokeInvitation>(),
    EndpointDef::of::<PreviewInvitation>(),
    EndpointDef::of::<AcceptInvitation>(),
];

#[dto(request)]
pub struct ListInvitationsRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[from(page)]
    pub page: PageRequest,
}

/// List the invitations of a workspace
///
/// Valid invitations, without their tokens.
#[endpoint(GET "/r1/workspaces/{id}/invitations", tag = "invitations", access = Access::Member(Permission::ManageMembers), rate = RateGroup::Read)]
impl Endpoint for ListInvitations {
    type Request = ListInvitationsRequest;
    type Response = Page<Invitation>;

    async fn handle(ctx: &Ctx, request: ListInvitationsRequest) -> Result<Reply<Page<Invitation>>, AppError> {
        Ok(Reply::of(invitations::list(ctx.conversations(), ctx.user()?, request.id, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateInvitationRequest {
    #[from(path)]
    pub id: WorkspaceId,
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

/// New invitation with its token.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewInvitation {
    #[serde(flatten)]
    pub invitation: Invitation,
    /// Token; shown only once.
    pub token: String,
    /// Link for accepting the invitation.
    pub url: String,
}

impl From<CreatedInvitation> for NewInvitation {
    fn from(created: CreatedInvitation) -> Self {
        Self { invitation: created.invitation, token: created.token.expose().to_owned(), url: created.url }
    }
}

/// Create an invitation to a workspace
///
/// Sent by e-mail, or shared as a link.
#[endpoint(POST "/r1/workspaces/{id}/invitations", tag = "invitations", access = Access::Member(Permission::ManageMembers), rate = RateGroup::Write, status = 201, errors(AlreadyMember, WrongState))]
impl Endpoint for CreateInvitation {
    type Request = CreateInvitationRequest;
    type Response = NewInvitation;

    async fn handle(ctx: &Ctx, request: CreateInvitationRequest) -> Result<Reply<NewInvitation>, AppError> {
        let wanted = Wanted {
            email: request.email,
            max_uses: request.max_uses,
            role: request.role,
            expires_at: request.expires_at,
        };
        let made = invitations::create(ctx.conversations(), ctx.user()?, request.id, wanted, &ctx.base_url()).await?;
        Ok(Reply::of(made.into()))
    }
}

#[dto(request)]
pub struct CreateInvitationsRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// E-mail addresses. Repeated ones count once.
    #[validate(length(min = 1, max = 100))]
    pub emails: Vec<String>,
    /// Role; by default `member`.
    pub role: Option<WorkspaceRole>,
    /// Time of expiry, at most one year from now; by default in one week.
    pub expires_at: Option<Timestamp>,
}

/// Result of inviting several addresses.
#[dto(response)]
pub struct CreatedInvitations {
    pub invited: Vec<Invitation>,
    pub skipped: Vec<SkippedAddress>,
}

/// Address that was not invited.
#[derive(Debug, Serialize, ToSchema)]
pub struct SkippedAddress {
    pub email: String,
    /// `invalid` for an address that can't exist, `already_member`, `wrong_state` if an
    /// invitation is open already, or another error code of `POST /r1/workspaces/{id}/invitations`.
    pub code: String,
}

/// Invite several people by e-mail
///
/// Each address is invited on its own; those that can't be invited are in the response.
#[endpoint(POST "/r1/workspaces/{id}/invitations/batch", tag = "invitations", access = Access::Member(Permission::ManageMembers), rate = RateGroup::Write)]
impl Endpoint for CreateInvitations {
    type Request = CreateInvitationsRequest;
    type Response = CreatedInvitations;

    async fn handle(ctx: &Ctx, request: CreateInvitationsRequest) -> Result<Reply<CreatedInvitations>, AppError> {
        let CreateInvitationsRequest { id, emails, role, expires_at } = request;
        let wanted = invitations::NewInvitations { emails, role, expires_at };
        let made = invitations::create_many(ctx.conversations(), ctx.user()?, id, wanted, &ctx.base_url()).await?;
        let skipped = made.skipped.into_iter();
        let skipped = skipped.map(|(email, code)| SkippedAddress { email, code: code.as_str().to_owned() });
        Ok(Reply::of(CreatedInvitations { invited: made.invited, skipped: skipped.collect() }))
    }
}

#[dto(request)]
pub struct RevokeInvitationRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[from(path)]
    pub invitation_id: InvitationId,
}

/// Revoke an invitation
///
/// Members who joined with it stay.
#[endpoint(DELETE "/r1/workspaces/{id}/invitations/{invitation_id}", tag = "invitations", access = Access::Member(Permission::ManageMembers), rate = RateGroup::Write)]
impl Endpoint for RevokeInvitation {
    type Request = RevokeInvitationRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RevokeInvitationRequest) -> Result<Reply<NoData>, AppError> {
        invitations::revoke(ctx.conversations(), ctx.user()?, request.id, request.invitation_id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct InvitationTokenRequest {
    pub token: String,
}

/// Preview an invitation
#[endpoint(POST "/r1/invitations/preview", tag = "invitations", access = Access::Public, rate = RateGroup::Write, errors(NotFound, InvitationExpired))]
impl Endpoint for PreviewInvitation {
    type Request = InvitationTokenRequest;
    type Response = InvitationDetails;

    async fn handle(ctx: &Ctx, request: InvitationTokenRequest) -> Result<Reply<InvitationDetails>, AppError> {
        Ok(Reply::of(invitations::preview(ctx.conversations(), &request.token).await?))
    }
}

/// Accept an invitation
///
/// Members keep their role.
#[endpoint(POST "/r1/invitations/accept", tag = "invitations", access = Access::User, rate = RateGroup::Write, errors(NotFound, InvitationMismatch, InvitationExpired))]
impl Endpoint for AcceptInvitation {
    type Request = InvitationTokenRequest;
    type Response = InvitationDetails;

    async fn handle(ctx: &Ctx, request: InvitationTokenRequest) -> Result<Reply<InvitationDetails>, AppError> {
        let led_to = invitations::accept(ctx.conversations(), ctx.user()?, &request.token).await?;
        Ok(Reply::of(led_to))
    }
}
