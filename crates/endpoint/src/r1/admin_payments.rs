//! Administration of payments.

use appcore::{
    AppError, Code, PaymentDifferenceId, PaymentId, PaymentRefundId, UserId, WorkspaceId,
    credits::MicroCredits,
    page::{Page, PageRequest},
    view::{
        AdminPayment, AdminPaymentDetails, AdminPaymentGateway, AdminSubscription, Credits, DifferenceState,
        LedgerEntry, Payment, PaymentDifference, PaymentGateway, PaymentStatus, ProviderTest, RefundDecision,
        RefundFilter, ReleaseAs, SubscriptionStatus,
    },
};
use billing::{
    credits::{self, AccountHolder},
    payments::{self, PaymentFilter},
};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};
use payment::GatewayName;

use super::plans::single_page;
use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListAllPayments>(),
    EndpointDef::of::<ListSubscriptions>(),
    EndpointDef::of::<ReadAnyPayment>(),
    EndpointDef::of::<ReleasePayment>(),
    EndpointDef::of::<RefundPayment>(),
    EndpointDef::of::<DecideRefund>(),
    EndpointDef::of::<ReconcilePayment>(),
    EndpointDef::of::<ListPaymentDifferences>(),
    EndpointDef::of::<ClosePaymentDifference>(),
    EndpointDef::of::<ListAdminGateways>(),
    EndpointDef::of::<SwitchGateway>(),
    EndpointDef::of::<TestGateway>(),
    EndpointDef::of::<ListLedgerOf>(),
    EndpointDef::of::<GiveCredits>(),
];

#[dto(request)]
pub struct ListAllPaymentsRequest {
    /// Only payments with this status, such as `quarantined`.
    #[from(query)]
    pub status: Option<PaymentStatus>,
    /// Only payments through this gateway.
    #[from(query)]
    pub gateway: Option<String>,
    /// Only payments by this user.
    #[from(query)]
    pub user_id: Option<UserId>,
    /// Only payments with a refund in this state; `stuck` refunds wait for an administrator.
    #[from(query)]
    pub refund: Option<RefundFilter>,
    #[from(page)]
    pub page: PageRequest,
}

/// List all payments
///
/// Newest first.
#[endpoint(GET "/r1/admin/payments", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAllPayments {
    type Request = ListAllPaymentsRequest;
    type Response = Page<AdminPayment>;

    async fn handle(ctx: &Ctx, request: ListAllPaymentsRequest) -> Result<Reply<Page<AdminPayment>>, AppError> {
        let ListAllPaymentsRequest { status, gateway, user_id, refund, page } = request;
        let unknown = || AppError::field("gateway", "invalid", "This value isn't available on this server.");
        let gateway = gateway.map(|name| name.parse::<GatewayName>()).transpose().map_err(|_| unknown())?;
        Ok(Reply::of(
            payments::list_all(ctx.billing(), PaymentFilter { status, gateway, user_id, refund }, page).await?,
        ))
    }
}

#[dto(request)]
pub struct ListSubscriptionsRequest {
    #[from(query)]
    pub status: Option<SubscriptionStatus>,
    #[from(page)]
    pub page: PageRequest,
}

/// List all subscriptions
///
/// Most recently changed first.
#[endpoint(GET "/r1/admin/subscriptions", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListSubscriptions {
    type Request = ListSubscriptionsRequest;
    type Response = Page<AdminSubscription>;

    async fn handle(ctx: &Ctx, request: ListSubscriptionsRequest) -> Result<Reply<Page<AdminSubscription>>, AppError> {
        Ok(Reply::of(payments::subscriptions::list_all(ctx.billing(), request.status, request.page).await?))
    }
}

#[dto(request)]
pub struct ReadAnyPaymentRequest {
    #[from(path)]
    pub id: PaymentId,
}

/// Show a payment, with the events received from its gateway
#[endpoint(GET "/r1/admin/payments/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ReadAnyPayment {
    type Request = ReadAnyPaymentRequest;
    type Response = AdminPaymentDetails;

    async fn handle(ctx: &Ctx, request: ReadAnyPaymentRequest) -> Result<Reply<AdminPaymentDetails>, AppError> {
        Ok(Reply::of(payments::details(ctx.billing(), request.id.0).await?))
    }
}

#[dto(request)]
pub struct ReleasePaymentRequest {
    #[from(path)]
    pub id: PaymentId,
    pub decision: ReleaseAs,
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// Release a payment from quarantine
///
/// Accepts the payment as requested, accepts the paid amount, or rejects and refunds it. Requires a
/// fresh sign-in.
#[endpoint(POST "/r1/admin/payments/{id}/release", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for ReleasePayment {
    type Request = ReleasePaymentRequest;
    type Response = Payment;

    async fn handle(ctx: &Ctx, request: ReleasePaymentRequest, by: &Confirmed) -> Result<Reply<Payment>, AppError> {
        let ReleasePaymentRequest { id, decision, reason } = request;
        Ok(Reply::of(payments::release(ctx.billing(), by, id.0, decision, reason).await?))
    }
}

#[dto(request)]
pub struct RefundPaymentRequest {
    #[from(path)]
    pub id: PaymentId,
    /// Amount in minor units; by default all that remains.
    pub amount: Option<i64>,
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// Refund a payment
///
/// The credits are taken back: unspent ones at once, and the rest becomes debt. If the outcome is
/// uncertain, the gateway is polled for a week, and then an administrator has to decide.
#[endpoint(POST "/r1/admin/payments/{id}/refund", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for RefundPayment {
    type Request = RefundPaymentRequest;
    type Response = Payment;

    async fn handle(ctx: &Ctx, request: RefundPaymentRequest, by: &Confirmed) -> Result<Reply<Payment>, AppError> {
        let RefundPaymentRequest { id, amount, reason } = request;
        Ok(Reply::of(payments::refund(ctx.billing(), by, id.0, amount, reason).await?))
    }
}

#[dto(request)]
pub struct DecideRefundRequest {
    #[from(path)]
    pub id: PaymentId,
    #[from(path)]
    pub refund_id: PaymentRefundId,
    pub decision: RefundDecision,
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// Resolve a pending refund
///
/// Polls the gateway again, or records the outcome from its dashboard. A later report of the
/// gateway takes precedence. Requires a fresh sign-in.
#[endpoint(POST "/r1/admin/payments/{id}/refunds/{refund_id}/decide", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for DecideRefund {
    type Request = DecideRefundRequest;
    type Response = AdminPaymentDetails;

    async fn handle(
        ctx: &Ctx,
        request: DecideRefundRequest,
        by: &Confirmed,
    ) -> Result<Reply<AdminPaymentDetails>, AppError> {
        let DecideRefundRequest { id, refund_id, decision, reason } = request;
        let decided = payments::decide_refund(ctx.billing(), by, id.0, refund_id, decision, reason);
        Ok(Reply::of(decided.await?))
    }
}

#[dto(request)]
pub struct ReconcilePaymentRequest {
    #[from(path)]
    pub id: PaymentId,
}

/// Reconcile a payment with its gateway
#[endpoint(POST "/r1/admin/payments/{id}/reconcile", tag = "admin", access = Access::Admin, rate = RateGroup::Write, errors(GatewayOff, WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for ReconcilePayment {
    type Request = ReconcilePaymentRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ReconcilePaymentRequest) -> Result<Reply<NoData>, AppError> {
        payments::reconcile(ctx.billing(), request.id.0).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListPaymentDifferencesRequest {
    #[from(query)]
    pub state: Option<DifferenceState>,
    #[from(page)]
    pub page: PageRequest,
}

/// List differences between gateways and the ledger
///
/// Newest first. The payments of the last two days are compared once a day.
#[endpoint(GET "/r1/admin/payment_differences", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListPaymentDifferences {
    type Request = ListPaymentDifferencesRequest;
    type Response = Page<PaymentDifference>;

    async fn handle(
        ctx: &Ctx,
        request: ListPaymentDifferencesRequest,
    ) -> Result<Reply<Page<PaymentDifference>>, AppError> {
        Ok(Reply::of(payments::differences(ctx.billing(), request.state, request.page).await?))
    }
}

#[dto(request)]
pub struct ClosePaymentDifferenceRequest {
    #[from(path)]
    pub id: PaymentDifferenceId,
    #[validate(length(min = 1, max = 500))]
    pub note: String,
}

/// Close a payment difference
#[endpoint(POST "/r1/admin/payment_differences/{id}/close", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for ClosePaymentDifference {
    type Request = ClosePaymentDifferenceRequest;
    type Response = PaymentDifference;

    async fn handle(
        ctx: &Ctx,
        request: ClosePaymentDifferenceRequest,
        by: &Confirmed,
    ) -> Result<Reply<PaymentDifference>, AppError> {
        let ClosePaymentDifferenceRequest { id, note } = request;
        Ok(Reply::of(payments::close_difference(ctx.billing(), by, id, note).await?))
    }
}

/// List the payment gateways with their health
#[endpoint(GET "/r1/admin/gateways", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAdminGateways {
    type Request = NoInput;
    type Response = Page<AdminPaymentGateway>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Page<AdminPaymentGateway>>, AppError> {
        Ok(Reply::of(single_page(payments::health(ctx.billing()).await?)))
    }
}

#[dto(request)]
pub struct TestGatewayRequest {
    #[from(path)]
    pub name: String,
}

/// Test a payment gateway
///
/// Sends a request without side effects.
#[endpoint(POST "/r1/admin/gateways/{name}/test", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for TestGateway {
    type Request = TestGatewayRequest;
    type Response = ProviderTest;

    async fn handle(ctx: &Ctx, request: TestGatewayRequest) -> Result<Reply<ProviderTest>, AppError> {
        let name: GatewayName = request.name.parse().map_err(|_| AppError::from(Code::NotFound))?;
        Ok(Reply::of(payments::test(ctx.billing(), name).await?))
    }
}

#[dto(request)]
pub struct SwitchGatewayRequest {
    #[from(path)]
    pub name: String,
    pub enabled: bool,
}

/// Enable or disable a payment gateway
///
/// Applies to new payments at once. Payments in progress are completed.
#[endpoint(PATCH "/r1/admin/gateways/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for SwitchGateway {
    type Request = SwitchGatewayRequest;
    type Response = PaymentGateway;

    async fn handle(
        ctx: &Ctx,
        request: SwitchGatewayRequest,
        by: &Confirmed,
    ) -> Result<Reply<PaymentGateway>, AppError> {
        let name: GatewayName = request.name.parse().map_err(|_| AppError::from(Code::NotFound))?;
        Ok(Reply::of(payments::set_enabled(ctx.billing(), by, name, request.enabled).await?))
    }
}

#[dto(request)]
pub struct ListLedgerOfRequest {
    #[from(query)]
    pub user_id: Option<UserId>,
    /// Workspace instead of a user.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the ledger entries of any credit account
///
/// The account is that of a user or of a workspace.
#[endpoint(GET "/r1/admin/ledger", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListLedgerOf {
    type Request = ListLedgerOfRequest;
    type Response = Page<LedgerEntry>;

    async fn handle(ctx: &Ctx, request: ListLedgerOfRequest) -> Result<Reply<Page<LedgerEntry>>, AppError> {
        let holder = AccountHolder::from_request(request.user_id, request.workspace_id)?;
        Ok(Reply::of(credits::list_for_holder(ctx.billing(), holder, request.page).await?))
    }
}

#[dto(request)]
pub struct GiveCreditsRequest {
    pub user_id: Option<UserId>,
    /// Workspace instead of a user.
    pub workspace_id: Option<WorkspaceId>,
    /// Amount in micro-credits; a negative amount removes credits.
    pub amount: MicroCredits,
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// Adjust the credits of a user or workspace
///
/// The reason is in the ledger. If more is removed than available, the rest becomes debt.
#[endpoint(POST "/r1/admin/credits", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(NotFound, WrongState))]
impl Endpoint for GiveCredits {
    type Request = GiveCreditsRequest;
    type Response = Credits;

    async fn handle(ctx: &Ctx, request: GiveCreditsRequest, by: &Confirmed) -> Result<Reply<Credits>, AppError> {
        let GiveCreditsRequest { user_id, workspace_id, amount, reason } = request;
        let holder = AccountHolder::from_request(user_id, workspace_id)?;
        Ok(Reply::of(credits::adjust_balance(ctx.billing(), by, holder, amount, reason).await?))
    }
}
