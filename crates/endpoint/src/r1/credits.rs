//! Credit settings (low-balance warning, auto top-up), ledger exports and revenue figures.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use std::sync::Arc;

use appcore::{
    AppError, PaymentMethodId, PlanId, Timestamp, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{CreditSettings, Revenue, RevenueGrouping},
};
use billing::{
    credits::{self, AccountHolder, Period},
    payments::{
        self,
        auto_top_up::{self, TopUpRequest},
        subscriptions::Payer,
    },
};
use bytes::Bytes;
use futures_util::Stream;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ExportLedger>(),
    EndpointDef::of::<ReadCreditSettings>(),
    EndpointDef::of::<SetLowBalance>(),
    EndpointDef::of::<SetTopUp>(),
    EndpointDef::of::<RemoveTopUp>(),
    EndpointDef::of::<ExportAnyLedger>(),
    EndpointDef::of::<ReadRevenue>(),
];

fn csv_reply(pieces: impl Stream<Item = Result<Bytes, AppError>> + 'static) -> Reply<Raw> {
    Reply::stream("text/csv", pieces)
        .header(CACHE_CONTROL, HeaderValue::from_static("private, no-store"))
        .header(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"ledger.csv\""))
}

#[dto(request)]
pub struct ExportLedgerRequest {
    #[from(query)]
    pub from: Option<Timestamp>,
    /// End of the period, exclusive.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// Workspace owned or administered by the caller; by default the caller's account.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Export the ledger of a credit account as CSV
///
/// Oldest first. Columns: `time`, `account`, `kind`, `credits` (negative for debits), `balance`
/// (after the entry), `source`, `note` and `id`.
#[endpoint(GET "/r1/ledger/export", tag = "payments", access = Access::User, rate = RateGroup::Read, requires = Payer(workspace_id), content("text/csv"))]
impl Endpoint for ExportLedger {
    type Request = ExportLedgerRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ExportLedgerRequest, payer: &Payer) -> Result<Reply<Raw>, AppError> {
        let ExportLedgerRequest { from, to, workspace_id: _ } = request;
        let pieces = credits::export(Arc::clone(ctx.billing()), *payer, Period { from, to })?;
        Ok(csv_reply(pieces))
    }
}

#[dto(request)]
pub struct ReadCreditSettingsRequest {
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Show your credit settings
#[endpoint(GET "/r1/credit_settings", tag = "payments", access = Access::User, rate = RateGroup::Read, requires = Payer(workspace_id))]
impl Endpoint for ReadCreditSettings {
    type Request = ReadCreditSettingsRequest;
    type Response = CreditSettings;

    async fn handle(
        ctx: &Ctx,
        _request: ReadCreditSettingsRequest,
        payer: &Payer,
    ) -> Result<Reply<CreditSettings>, AppError> {
        Ok(Reply::of(auto_top_up::settings(ctx.billing(), *payer).await?))
    }
}

#[dto(request)]
pub struct SetLowBalanceRequest {
    /// Balance in micro-credits below which the user is warned once, by a frame and an e-mail. Null
    /// for a tenth of the last purchase or grant, 0 for no warning.
    pub threshold: Option<MicroCredits>,
    pub workspace_id: Option<WorkspaceId>,
}

/// Set the threshold of the low-balance warning
#[endpoint(PUT "/r1/credit_settings/low_balance", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id))]
impl Endpoint for SetLowBalance {
    type Request = SetLowBalanceRequest;
    type Response = CreditSettings;

    async fn handle(
        ctx: &Ctx,
        request: SetLowBalanceRequest,
        payer: &Payer,
    ) -> Result<Reply<CreditSettings>, AppError> {
        Ok(Reply::of(auto_top_up::set_low_balance(ctx.billing(), *payer, request.threshold).await?))
    }
}

#[dto(request)]
pub struct SetTopUpRequest {
    /// Plan of kind `credits`.
    pub plan_id: PlanId,
    /// Payment method saved for this account.
    pub method_id: PaymentMethodId,
    /// Currency. Defaults to the plan's first one that the payment method supports.
    pub currency: Option<String>,
    /// Balance in micro-credits below which credits are bought.
    pub threshold: MicroCredits,
    /// Maximum charges per UTC month, in minor units.
    pub monthly_limit: i64,
    pub workspace_id: Option<WorkspaceId>,
}

/// Enable auto top-up
///
/// At most one purchase is in progress. Auto top-up is suspended, with an e-mail, if a charge is
/// declined, the plan or payment method is gone, or the monthly limit is reached. This request
/// enables it again.
#[endpoint(PUT "/r1/credit_settings/top_up", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id), errors(NotFound))]
impl Endpoint for SetTopUp {
    type Request = SetTopUpRequest;
    type Response = CreditSettings;

    async fn handle(ctx: &Ctx, request: SetTopUpRequest, payer: &Payer) -> Result<Reply<CreditSettings>, AppError> {
        let SetTopUpRequest { plan_id, method_id, currency, threshold, monthly_limit, workspace_id: _ } = request;
        let unknown = || AppError::field("currency", "invalid", "This currency isn't available on this server.");
        let currency = currency.map(|code| code.parse().map_err(|_| unknown())).transpose()?;
        let order = TopUpRequest { plan_id, method_id, currency, threshold, monthly_limit };
        Ok(Reply::of(auto_top_up::set_top_up(ctx.billing(), *payer, order).await?))
    }
}

#[dto(request)]
pub struct RemoveTopUpRequest {
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Disable auto top-up
#[endpoint(DELETE "/r1/credit_settings/top_up", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id))]
impl Endpoint for RemoveTopUp {
    type Request = RemoveTopUpRequest;
    type Response = CreditSettings;

    async fn handle(ctx: &Ctx, _request: RemoveTopUpRequest, payer: &Payer) -> Result<Reply<CreditSettings>, AppError> {
        Ok(Reply::of(auto_top_up::remove_top_up(ctx.billing(), *payer).await?))
    }
}

#[dto(request)]
pub struct ExportAnyLedgerRequest {
    #[from(query)]
    pub from: Option<Timestamp>,
    /// End of the period, exclusive.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// Only entries of this user.
    #[from(query)]
    pub user_id: Option<UserId>,
    /// Only entries of this workspace.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Export the ledgers of all credit accounts as CSV
///
/// Of all accounts, or of one user or workspace.
#[endpoint(GET "/r1/admin/ledger/export", tag = "admin", access = Access::Admin, rate = RateGroup::Read, content("text/csv"))]
impl Endpoint for ExportAnyLedger {
    type Request = ExportAnyLedgerRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ExportAnyLedgerRequest) -> Result<Reply<Raw>, AppError> {
        let ExportAnyLedgerRequest { from, to, user_id, workspace_id } = request;
        let holder = match (user_id, workspace_id) {
            (None, None) => None,
            (person, workspace) => Some(AccountHolder::from_request(person, workspace)?),
        };
        Ok(csv_reply(credits::export_for_holder(Arc::clone(ctx.billing()), holder, Period { from, to })?))
    }
}

#[dto(request)]
pub struct ReadRevenueRequest {
    /// Start, rounded down to the day or month.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// End, exclusive.
    #[from(query)]
    pub to: Option<Timestamp>,
    #[from(query)]
    pub group: Option<RevenueGrouping>,
}

/// Show the revenue
///
/// Amounts by currency, and credits, by UTC day (30 by default, at most 366) or month (12 by
/// default, at most 60). Includes the active subscriptions, the monthly recurring revenue, and the
/// total credits.
#[endpoint(GET "/r1/admin/revenue", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ReadRevenue {
    type Request = ReadRevenueRequest;
    type Response = Revenue;

    async fn handle(ctx: &Ctx, request: ReadRevenueRequest) -> Result<Reply<Revenue>, AppError> {
        let ReadRevenueRequest { from, to, group } = request;
        Ok(Reply::of(payments::revenue(ctx.billing(), from, to, group.unwrap_or_default()).await?))
    }
}
