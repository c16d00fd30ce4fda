//! What one may use, and the account of one's credits.

use appcore::{
    AppError,
    page::{Page, PageRequest},
    view::{Entitlements, LedgerEntry},
};
use natter_macro::{dto, endpoint};
use service::{entitlements, ledger};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ReadEntitlements>(), EndpointDef::of::<ListLedgerEntries>()];

/// Read what one may use
///
/// The plan, the credits in micro-credits, and what is left of quotas. `credits` is null where nothing is charged. The frame
/// `quota.updated` brings the same.
#[endpoint(GET "/r1/entitlements/me", tag = "payments", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ReadEntitlements {
    type Request = NoInput;
    type Response = Entitlements;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Entitlements>, AppError> {
        Ok(Reply::of(entitlements::read(ctx.app(), ctx.user()?.user_id).await?))
    }
}

#[dto(request)]
pub struct ListLedgerEntriesRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List the entries of one's account of credits
///
/// The newest first. Without those of kind `hold` and `release`, the amounts come to the balance.
#[endpoint(GET "/r1/ledger", tag = "payments", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListLedgerEntries {
    type Request = ListLedgerEntriesRequest;
    type Response = Page<LedgerEntry>;

    async fn handle(ctx: &Ctx, request: ListLedgerEntriesRequest) -> Result<Reply<Page<LedgerEntry>>, AppError> {
        Ok(Reply::of(ledger::list(ctx.app(), ctx.user()?, request.page).await?))
    }
}
