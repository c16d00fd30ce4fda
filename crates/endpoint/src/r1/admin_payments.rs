//! Payments, for the administrators of the installation.

use appcore::{
    AppError, Code, PaymentId, UserId,
    credits::MicroCredits,
    page::{Page, PageRequest},
    view::{AdminPayment, Credits, Payment, PaymentGateway, PaymentStatus},
};
use natter_macro::{dto, endpoint};
use payment::GatewayName;
use service::{ledger, payments};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListAllPayments>(),
    EndpointDef::of::<RefundPayment>(),
    EndpointDef::of::<ReconcilePayment>(),
    EndpointDef::of::<SwitchGateway>(),
    EndpointDef::of::<GiveCredits>(),
];

#[dto(request)]
pub struct ListAllPaymentsRequest {
    /// Only these, such as `quarantined`.
    #[from(query)]
    pub status: Option<PaymentStatus>,
    #[from(page)]
    pub page: PageRequest,
}

/// List everybody's payments
///
/// The newest first.
#[endpoint(GET "/r1/admin/payments", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAllPayments {
    type Request = ListAllPaymentsRequest;
    type Response = Page<AdminPayment>;

    async fn handle(ctx: &Ctx, request: ListAllPaymentsRequest) -> Result<Reply<Page<AdminPayment>>, AppError> {
        Ok(Reply::of(payments::list_all(ctx.app(), request.status, request.page).await?))
    }
}

#[dto(request)]
pub struct RefundPaymentRequest {
    #[from(path)]
    pub id: PaymentId,
    /// In the currency's smallest unit. Left out: all that is left.
    pub amount: Option<i64>,
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// Give money back
///
/// The credits that go with it are taken back: what is unspent of them at once, the rest is owed.
#[endpoint(POST "/r1/admin/payments/{id}/refund", tag = "admin", access = Access::Admin, rate = RateGroup::Write, errors(WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for RefundPayment {
    type Request = RefundPaymentRequest;
    type Response = Payment;

    async fn handle(ctx: &Ctx, request: RefundPaymentRequest) -> Result<Reply<Payment>, AppError> {
        let RefundPaymentRequest { id, amount, reason } = request;
        Ok(Reply::of(payments::refund(ctx.app(), ctx.user()?, id.0, amount, reason).await?))
    }
}

#[dto(request)]
pub struct ReconcilePaymentRequest {
    #[from(path)]
    pub id: PaymentId,
}

/// Ask the gateway about a payment
#[endpoint(POST "/r1/admin/payments/{id}/reconcile", tag = "admin", access = Access::Admin, rate = RateGroup::Write, errors(GatewayOff, WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for ReconcilePayment {
    type Request = ReconcilePaymentRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ReconcilePaymentRequest) -> Result<Reply<NoData>, AppError> {
        payments::reconcile(ctx.app(), request.id.0).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct SwitchGatewayRequest {
    #[from(path)]
    pub name: String,
    pub enabled: bool,
}

/// Switch a way to pay on or off
///
/// For new payments, at once and on every instance. What was begun goes on.
#[endpoint(PATCH "/r1/admin/gateways/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for SwitchGateway {
    type Request = SwitchGatewayRequest;
    type Response = PaymentGateway;

    async fn handle(ctx: &Ctx, request: SwitchGatewayRequest) -> Result<Reply<PaymentGateway>, AppError> {
        let name: GatewayName = request.name.parse().map_err(|_| AppError::from(Code::NotFound))?;
        Ok(Reply::of(payments::switch(ctx.app(), ctx.user()?, name, request.enabled).await?))
    }
}

#[dto(request)]
pub struct GiveCreditsRequest {
    pub user_id: UserId,
    /// In micro-credits; less than nothing takes them away.
    pub amount: MicroCredits,
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// Give somebody credits by hand, or take some away
///
/// The reason stands in their account. What is taken away and isn't there any more is owed.
#[endpoint(POST "/r1/admin/credits", tag = "admin", access = Access::Admin, rate = RateGroup::Write, errors(NotFound, WrongState))]
impl Endpoint for GiveCredits {
    type Request = GiveCreditsRequest;
    type Response = Credits;

    async fn handle(ctx: &Ctx, request: GiveCreditsRequest) -> Result<Reply<Credits>, AppError> {
        let GiveCreditsRequest { user_id, amount, reason } = request;
        Ok(Reply::of(ledger::give(ctx.app(), ctx.user()?, user_id, amount, reason).await?))
    }
}
