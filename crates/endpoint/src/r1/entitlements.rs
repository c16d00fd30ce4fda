//! What one may use, and the account of one's credits.

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

/// Read what one may use
///
/// The plan, the credits in micro-credits, and what is left of quotas. `credits` is null where nothing is charged. The frame
/// `quota.updated` brings the same.
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

/// Read what a workspace has
///
/// For its members. What is on its account is shown to its owner and administrators.
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
    /// That of a workspace whose owner or administrator one is. Left out: one's own.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the entries of an account of credits
///
/// One's own, or a workspace's; the newest first. Without those of kind `hold` and `release`, the amounts come to the balance.
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
