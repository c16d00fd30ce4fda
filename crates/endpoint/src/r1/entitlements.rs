//! Entitlements and the credit ledger.

use appcore::{
    AppError, WorkspaceId,
    page::{Page, PageRequest},
    view::{Entitlements, LedgerEntry, WorkspaceEntitlements},
};
use billing::{credits, entitlements, payments::subscriptions::Payer};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ReadEntitlements>(),
    EndpointDef::of::<ReadWorkspaceEntitlements>(),
    EndpointDef::of::<ListLedgerEntries>(),
];

/// Show your entitlements
///
/// Plan, credits in micro-credits (null if billing is disabled), and remaining quotas, as in the
/// frame `quota.updated`.
#[endpoint(GET "/r1/entitlements/me", tag = "payments", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ReadEntitlements {
    type Request = NoInput;
    type Response = Entitlements;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Entitlements>, AppError> {
        Ok(Reply::of(entitlements::read(ctx.billing(), ctx.user()?.user_id).await?))
    }
}

#[dto(request)]
pub struct ReadWorkspaceEntitlementsRequest {
    #[from(path)]
    pub id: WorkspaceId,
}

/// Show the entitlements of a workspace
///
/// Allowed to members; only the owner and admins see the balance.
#[endpoint(GET "/r1/entitlements/workspaces/{id}", tag = "payments", access = Access::User, rate = RateGroup::Read, errors(NotFound))]
impl Endpoint for ReadWorkspaceEntitlements {
    type Request = ReadWorkspaceEntitlementsRequest;
    type Response = WorkspaceEntitlements;

    async fn handle(
        ctx: &Ctx,
        request: ReadWorkspaceEntitlementsRequest,
    ) -> Result<Reply<WorkspaceEntitlements>, AppError> {
        Ok(Reply::of(entitlements::read_workspace(ctx.billing(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ListLedgerEntriesRequest {
    /// Workspace owned or administered by the caller; by default the caller's account.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the ledger entries of a credit account
///
/// Entries of the caller or a workspace, newest first. All amounts, except of kind `hold` and
/// `release`, add up to the balance.
#[endpoint(GET "/r1/ledger", tag = "payments", access = Access::User, rate = RateGroup::Read, requires = Payer(workspace_id))]
impl Endpoint for ListLedgerEntries {
    type Request = ListLedgerEntriesRequest;
    type Response = Page<LedgerEntry>;

    async fn handle(
        ctx: &Ctx,
        request: ListLedgerEntriesRequest,
        payer: &Payer,
    ) -> Result<Reply<Page<LedgerEntry>>, AppError> {
        Ok(Reply::of(credits::list(ctx.billing(), *payer, request.page).await?))
    }
}
