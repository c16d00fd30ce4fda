//! How accounts of credits are watched and filled, their entries as tables, and what an installation earns.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use std::sync::Arc;

use appcore::{
    AppError, PaymentMethodId, PlanId, Timestamp, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{CreditSettings, Revenue, RevenueGrouping},
};
use billing::{
    credits::{self, Holder, Period},
    payments::{
        self,
        subscriptions::Payer,
        topups::{self, TopUpOrder},
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

fn table(pieces: impl Stream<Item = Result<Bytes, AppError>> + 'static) -> Reply<Raw> {
    Reply::stream("text/csv", pieces)
        .header(CACHE_CONTROL, HeaderValue::from_static("private, no-store"))
        .header(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"ledger.csv\""))
}

#[dto(request)]
pub struct ExportLedgerRequest {
    #[from(query)]
    pub from: Option<Timestamp>,
    /// Not included.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// That of a workspace whose owner or administrator one is. Left out: one's own.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Read an account of credits as a table
///
/// CSV, the earliest entries first: `time`, `account`, `kind`, `credits` (less than nothing where the account loses them), `balance` after it,
/// `source`, `note` and `id`.
#[endpoint(GET "/r1/ledger/export", tag = "payments", access = Access::User, rate = RateGroup::Read, requires = Payer(workspace_id), content("text/csv"))]
impl Endpoint for ExportLedger {
    type Request = ExportLedgerRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ExportLedgerRequest, payer: &Payer) -> Result<Reply<Raw>, AppError> {
        let ExportLedgerRequest { from, to, workspace_id: _ } = request;
        let pieces = credits::export(Arc::clone(ctx.billing()), *payer, Period { from, to })?;
        Ok(table(pieces))
    }
}

#[dto(request)]
pub struct ReadCreditSettingsRequest {
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Read how one's credits are watched and filled
#[endpoint(GET "/r1/credit_settings", tag = "payments", access = Access::User, rate = RateGroup::Read, requires = Payer(workspace_id))]
impl Endpoint for ReadCreditSettings {
    type Request = ReadCreditSettingsRequest;
    type Response = CreditSettings;

    async fn handle(
        ctx: &Ctx,
        _request: ReadCreditSettingsRequest,
        payer: &Payer,
    ) -> Result<Reply<CreditSettings>, AppError> {
        Ok(Reply::of(topups::settings(ctx.billing(), *payer).await?))
    }
}

#[dto(request)]
pub struct SetLowBalanceRequest {
    /// Below which balance one is warned: once for each fall, by a frame and a mail. Null: a tenth of what was bought or given last. 0: never.
    pub threshold: Option<MicroCredits>,
    pub workspace_id: Option<WorkspaceId>,
}

/// Choose when one's credits are low
#[endpoint(PUT "/r1/credit_settings/low_balance", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id))]
impl Endpoint for SetLowBalance {
    type Request = SetLowBalanceRequest;
    type Response = CreditSettings;

    async fn handle(
        ctx: &Ctx,
        request: SetLowBalanceRequest,
        payer: &Payer,
    ) -> Result<Reply<CreditSettings>, AppError> {
        Ok(Reply::of(topups::set_low_balance(ctx.billing(), *payer, request.threshold).await?))
    }
}

#[dto(request)]
pub struct SetTopUpRequest {
    /// Of kind `credits`.
    pub plan_id: PlanId,
    /// What was saved for this account.
    pub method_id: PaymentMethodId,
    /// The plan's first that can be paid so, where it is left out.
    pub currency: Option<String>,
    /// Below which balance they are bought.
    pub threshold: MicroCredits,
    /// The most that is charged in a month of UTC, in the currency's smallest unit.
    pub monthly_limit: i64,
    pub workspace_id: Option<WorkspaceId>,
}

/// Have credits bought when they are low
///
/// One purchase at a time. It stops, with a mail, where the charge is declined, what was chosen isn't there any more, or the month's limit is reached;
/// this begins it again.
#[endpoint(PUT "/r1/credit_settings/top_up", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id), errors(NotFound))]
impl Endpoint for SetTopUp {
    type Request = SetTopUpRequest;
    type Response = CreditSettings;

    async fn handle(ctx: &Ctx, request: SetTopUpRequest, payer: &Payer) -> Result<Reply<CreditSettings>, AppError> {
        let SetTopUpRequest { plan_id, method_id, currency, threshold, monthly_limit, workspace_id: _ } = request;
        let unknown = || AppError::field("currency", "invalid", "This currency isn't known here.");
        let currency = currency.map(|code| code.parse().map_err(|_| unknown())).transpose()?;
        let order = TopUpOrder { plan_id, method_id, currency, threshold, monthly_limit };
        Ok(Reply::of(topups::set_top_up(ctx.billing(), *payer, order).await?))
    }
}

#[dto(request)]
pub struct RemoveTopUpRequest {
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Have no credits bought any more
#[endpoint(DELETE "/r1/credit_settings/top_up", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id))]
impl Endpoint for RemoveTopUp {
    type Request = RemoveTopUpRequest;
    type Response = CreditSettings;

    async fn handle(ctx: &Ctx, _request: RemoveTopUpRequest, payer: &Payer) -> Result<Reply<CreditSettings>, AppError> {
        Ok(Reply::of(topups::remove_top_up(ctx.billing(), *payer).await?))
    }
}

#[dto(request)]
pub struct ExportAnyLedgerRequest {
    #[from(query)]
    pub from: Option<Timestamp>,
    /// Not included.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// Only this person's.
    #[from(query)]
    pub user_id: Option<UserId>,
    /// Only this workspace's.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Read accounts of credits as a table
///
/// CSV: everybody's entries, a person's or a workspace's.
#[endpoint(GET "/r1/admin/ledger/export", tag = "admin", access = Access::Admin, rate = RateGroup::Read, content("text/csv"))]
impl Endpoint for ExportAnyLedger {
    type Request = ExportAnyLedgerRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ExportAnyLedgerRequest) -> Result<Reply<Raw>, AppError> {
        let ExportAnyLedgerRequest { from, to, user_id, workspace_id } = request;
        let holder = match (user_id, workspace_id) {
            (None, None) => None,
            (person, workspace) => Some(Holder::named(person, workspace)?),
        };
        Ok(table(credits::export_of(Arc::clone(ctx.billing()), holder, Period { from, to })?))
    }
}

#[dto(request)]
pub struct ReadRevenueRequest {
    /// A day or month that was begun counts as a whole.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// Not included.
    #[from(query)]
    pub to: Option<Timestamp>,
    #[from(query)]
    pub group: Option<RevenueGrouping>,
}

/// Read what was earned
///
/// By days (30 where nothing is said, at most 366) or by months (12, at most 60) of UTC: money by currency, and credits. With the subscriptions that
/// hold now, what they come to in a month, and the credits that people and workspaces have.
#[endpoint(GET "/r1/admin/revenue", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ReadRevenue {
    type Request = ReadRevenueRequest;
    type Response = Revenue;

    async fn handle(ctx: &Ctx, request: ReadRevenueRequest) -> Result<Reply<Revenue>, AppError> {
        let ReadRevenueRequest { from, to, group } = request;
        Ok(Reply::of(payments::revenue(ctx.billing(), from, to, group.unwrap_or_default()).await?))
    }
}
