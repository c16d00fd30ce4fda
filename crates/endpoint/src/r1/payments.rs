//! Payments: buying, coming back from a gateway, and what gateways tell.

use actix_web::http::StatusCode;
use appcore::{
    AppError, Code, PaymentId, PaymentMethodId, PlanId, Timestamp, WorkspaceId,
    page::{Page, PageRequest},
    view::{Payment, PaymentStatus, Price},
};
use billing::payments::{self, Begun, Order, inbox, subscriptions::Payer};
use bytes::Bytes;
use natter_macro::{dto, endpoint};
use payment::{Currency, Delivery, DemoOutcome, GatewayName, Telling};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Raw, Redirect, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<BeginPayment>(),
    EndpointDef::of::<ListPayments>(),
    EndpointDef::of::<ReadPayment>(),
    EndpointDef::of::<EndDemoPayment>(),
    EndpointDef::of::<FinishPayment>(),
    EndpointDef::of::<ReceivePaymentEvent>(),
    EndpointDef::of::<ReceivePaymentEventByQuery>(),
];

#[dto(request)]
pub struct BeginPaymentRequest {
    /// The same key again is the same payment.
    #[from(header)]
    pub idempotency_key: Option<String>,
    pub plan_id: PlanId,
    /// As `GET /r1/payment_gateways` names it. Left out: that of `payment_method_id`.
    pub gateway: Option<String>,
    /// A saved payment method, which is charged at once.
    pub payment_method_id: Option<PaymentMethodId>,
    /// Left out: the plan's first that the gateway takes.
    pub currency: Option<String>,
    /// What it costs as the payer was shown, seats counted. Where that is something else now: 409 `plan_changed`, with the plan as it is in `details.plan`.
    pub price: Option<Price>,
    /// The page of this server to which the browser goes in the end, with `payment` in its query. Left out: `/plans/result`.
    pub return_url: Option<String>,
    /// For a workspace whose owner or administrator one is, not for oneself.
    pub workspace_id: Option<WorkspaceId>,
    /// Of a workspace: no fewer than it has members.
    pub seats: Option<i64>,
}

#[dto(response)]
pub struct BegunPayment {
    pub payment_id: PaymentId,
    /// Where it is paid or confirmed. Where nothing is left to do: the page of this server that tells what became of it.
    pub redirect_url: String,
    /// How long it can be.
    pub expires_at: Timestamp,
    /// `pending`, or at once `paid` or `failed` where a saved payment method was charged.
    pub status: PaymentStatus,
}

impl From<Begun> for BegunPayment {
    fn from(begun: Begun) -> Self {
        let Begun { payment_id, redirect_url, expires_at, status } = begun;
        Self { payment_id: PaymentId(payment_id), redirect_url, expires_at, status }
    }
}

/// Begin a payment
///
/// Send the browser to `redirect_url`. That it comes back proves nothing: what became of the payment stands in it, and `quota.updated` tells when it
/// has changed. With `payment_method_id` it is charged at once; where the payer's bank wants that they confirm it, that is done at `redirect_url`.
#[endpoint(POST "/r1/payments/checkout", tag = "payments", access = Access::User, rate = RateGroup::Write, status = 201, requires = Payer(workspace_id), errors(NotFound, GatewayOff, Conflict, PlanChanged, WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for BeginPayment {
    type Request = BeginPaymentRequest;
    type Response = BegunPayment;

    async fn handle(ctx: &Ctx, request: BeginPaymentRequest, payer: &Payer) -> Result<Reply<BegunPayment>, AppError> {
        let BeginPaymentRequest {
            idempotency_key,
            plan_id,
            gateway,
            payment_method_id,
            currency,
            price,
            return_url,
            workspace_id: _,
            seats,
        } = request;
        let unknown = |field: &'static str| AppError::field(field, "invalid", "This isn't known here.");
        let order = Order {
            plan_id,
            gateway: gateway.map(|name| name.parse::<GatewayName>()).transpose().map_err(|_| unknown("gateway"))?,
            method_id: payment_method_id,
            currency: currency
                .map(|currency| currency.parse::<Currency>())
                .transpose()
                .map_err(|_| unknown("currency"))?,
            shown: price,
            return_url,
            key: idempotency_key,
            address: ctx.address(),
            seats,
        };
        Ok(Reply::of(payments::begin(ctx.billing(), *payer, order).await?.into()))
    }
}

#[dto(request)]
pub struct ListPaymentsRequest {
    /// Those of a workspace whose owner or administrator one is. Left out: one's own.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List one's payments
///
/// The newest first.
#[endpoint(GET "/r1/payments", tag = "payments", access = Access::User, rate = RateGroup::Read, requires = Payer(workspace_id))]
impl Endpoint for ListPayments {
    type Request = ListPaymentsRequest;
    type Response = Page<Payment>;

    async fn handle(ctx: &Ctx, request: ListPaymentsRequest, payer: &Payer) -> Result<Reply<Page<Payment>>, AppError> {
        Ok(Reply::of(payments::list(ctx.billing(), *payer, request.page).await?))
    }
}

#[dto(request)]
pub struct PaymentRequest {
    #[from(path)]
    pub id: PaymentId,
}

/// Read a payment of one's own
#[endpoint(GET "/r1/payments/{id}", tag = "payments", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ReadPayment {
    type Request = PaymentRequest;
    type Response = Payment;

    async fn handle(ctx: &Ctx, request: PaymentRequest) -> Result<Reply<Payment>, AppError> {
        Ok(Reply::of(payments::read(ctx.billing(), ctx.user()?, request.id.0).await?))
    }
}

#[dto(request)]
pub struct EndDemoPaymentRequest {
    #[from(path)]
    pub id: PaymentId,
    /// `paid`, `failed`, or `paid_once`: paid now, and declined when it is to be charged again.
    pub outcome: String,
}

/// Choose how a demo payment ends
///
/// No real money: only where the demo gateway is on, and only one's own payments. What follows takes the way of a real payment.
#[endpoint(POST "/r1/payments/{id}/demo", tag = "payments", access = Access::User, rate = RateGroup::Write, errors(GatewayOff, WrongState))]
impl Endpoint for EndDemoPayment {
    type Request = EndDemoPaymentRequest;
    type Response = Payment;

    async fn handle(ctx: &Ctx, request: EndDemoPaymentRequest) -> Result<Reply<Payment>, AppError> {
        let outcome = match request.outcome.as_str() {
            "paid" => DemoOutcome::Paid,
            "paid_once" => DemoOutcome::PaidOnce,
            "failed" => DemoOutcome::Failed,
            _ => return Err(AppError::field("outcome", "invalid", "This must be paid, paid_once or failed.")),
        };
        Ok(Reply::of(payments::end_demo(ctx.billing(), ctx.user()?, request.id.0, outcome).await?))
    }
}

#[dto(request)]
pub struct FinishPaymentRequest {
    #[from(path)]
    pub gateway: String,
    /// Which payment; gateways add more.
    #[from(query)]
    pub payment: Option<String>,
}

/// Come back from a gateway
///
/// The browser's way back. It proves nothing: the gateway is asked, and the browser goes on to a page that waits for the truth.
#[endpoint(GET "/r1/payments/callback/{gateway}", tag = "payments", access = Access::Public, rate = RateGroup::Read, status = 303, deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for FinishPayment {
    type Request = FinishPaymentRequest;
    type Response = Redirect;

    async fn handle(ctx: &Ctx, request: FinishPaymentRequest) -> Result<Reply<Redirect>, AppError> {
        // Some gateways add their own fields with a second question mark.
        let id = request.payment.as_deref().and_then(|id| id.split('?').next()).and_then(|id| id.parse().ok());
        Ok(Reply::to(payments::finish(ctx.billing(), named(&request.gateway)?, id).await?))
    }
}

#[dto(request)]
pub struct ReceivePaymentEventRequest {
    #[from(path)]
    pub gateway: String,
    #[from(bytes, "application/json")]
    pub body: Bytes,
}

/// Take an event of a gateway
///
/// For gateways: what is not signed by them is refused and not kept; the same event again changes nothing.
#[endpoint(POST "/r1/payments/webhooks/{gateway}", tag = "payments", access = Access::Public, rate = RateGroup::Write, content("application/json"), errors(NotFound), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)), max_body = crate::endpoint_trait::Bound::Fixed(inbox::MAX_EVENT))]
impl Endpoint for ReceivePaymentEvent {
    type Request = ReceivePaymentEventRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ReceivePaymentEventRequest) -> Result<Reply<Raw>, AppError> {
        receive(ctx, &request.gateway, Telling::Body, &request.body).await
    }
}

#[dto(request)]
pub struct ReceivePaymentEventByQueryRequest {
    #[from(path)]
    pub gateway: String,
}

/// Take an event of a gateway that tells by a query
///
/// VNPay does, and is answered 200 with a code, whatever is wrong.
#[endpoint(GET "/r1/payments/webhooks/{gateway}", tag = "payments", access = Access::Public, rate = RateGroup::Write, content("application/json"), errors(NotFound))]
impl Endpoint for ReceivePaymentEventByQuery {
    type Request = ReceivePaymentEventByQueryRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ReceivePaymentEventByQueryRequest) -> Result<Reply<Raw>, AppError> {
        receive(ctx, &request.gateway, Telling::Query, &[]).await
    }
}

fn named(gateway: &str) -> Result<GatewayName, AppError> {
    gateway.parse().map_err(|_| Code::NotFound.into())
}

async fn receive(ctx: &Ctx, gateway: &str, by: Telling, body: &[u8]) -> Result<Reply<Raw>, AppError> {
    let gateway = named(gateway)?;
    if inbox::telling(ctx.billing(), gateway)? != by {
        return Err(Code::NotFound.into());
    }
    // A request of actix stays on its thread, and this is awaited elsewhere.
    let headers: Vec<(String, String)> = ctx
        .http()
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let header = |asked: &str| headers.iter().find(|(name, _)| name == asked).map(|(_, value)| value.clone());
    let query = ctx.http().query_string().to_owned();
    let delivery = Delivery { header: &header, query: &query, body, now: ctx.app().clock.now() };
    let answer = inbox::receive(ctx.billing(), gateway, &delivery).await?;
    let status = StatusCode::from_u16(answer.status).map_err(AppError::internal)?;
    Ok(Reply::bytes(answer.content_type, Bytes::from(answer.body)).status(status))
}
