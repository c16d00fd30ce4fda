//! Payments: checkout, return from a gateway, and webhooks.

use actix_web::http::StatusCode;
use appcore::{
    AppError, Code, PaymentId, PaymentMethodId, PlanId, Timestamp, WorkspaceId,
    page::{Page, PageRequest},
    view::{Payment, PaymentStatus, Price},
};
use billing::payments::{self, CheckoutRequest, StartedCheckout, subscriptions::Payer, webhook_inbox};
use bytes::Bytes;
use natter_macro::{dto, endpoint};
use payment::{Currency, DemoOutcome, GatewayName, PaymentWebhookTransport, WebhookRequest};

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
    /// Idempotency key. A repeated request returns the earlier payment.
    #[from(header)]
    pub idempotency_key: Option<String>,
    pub plan_id: PlanId,
    /// Name from `GET /r1/payment_gateways`. Defaults to the gateway of `payment_method_id`.
    pub gateway: Option<String>,
    /// Saved payment method to charge at once.
    pub payment_method_id: Option<PaymentMethodId>,
    /// Currency. Defaults to the plan's first one that the gateway supports.
    pub currency: Option<String>,
    /// Shown price for all seats. If it has changed, the request is refused with 409 `plan_changed`
    /// and the current plan in `details.plan`.
    pub price: Option<Price>,
    /// Page of this server to return to, with `payment` in its query; by default `/plans/result`.
    pub return_url: Option<String>,
    /// Workspace to buy for, owned or administered by the caller; by default for the caller.
    pub workspace_id: Option<WorkspaceId>,
    /// Number of seats, at least the workspace's members.
    pub seats: Option<i64>,
}

#[dto(response)]
pub struct BegunPayment {
    pub payment_id: PaymentId,
    /// Page on which the payer pays or confirms, or this server's page with the result.
    pub redirect_url: String,
    /// Time at which `redirect_url` expires.
    pub expires_at: Timestamp,
    /// `pending`, or `paid` or `failed` for a saved payment method.
    pub status: PaymentStatus,
}

impl From<StartedCheckout> for BegunPayment {
    fn from(begun: StartedCheckout) -> Self {
        let StartedCheckout { payment_id, redirect_url, expires_at, status } = begun;
        Self { payment_id: PaymentId(payment_id), redirect_url, expires_at, status }
    }
}

/// Start a payment
///
/// The browser must go to `redirect_url`. Its return does not prove success:
/// `GET /r1/payments/{id}` shows the result, and `quota.updated` announces changes. A
/// `payment_method_id` is charged at once; if the bank requires a confirmation, it takes place at
/// `redirect_url`.
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
        let unknown =
            |field: &'static str| AppError::field(field, "invalid", "This value isn't available on this server.");
        let order = CheckoutRequest {
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
        Ok(Reply::of(payments::start(ctx.billing(), *payer, order).await?.into()))
    }
}

#[dto(request)]
pub struct ListPaymentsRequest {
    /// Workspace owned or administered by the caller; by default the caller's own payments.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List your payments
///
/// Newest first.
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

/// Show a payment
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
    /// Result: `paid`, `failed`, or `paid_once` (the next charge is declined).
    pub outcome: String,
}

/// Complete a demo payment
///
/// Moves no real money. Available only for the caller's own payments with an enabled demo gateway,
/// and then like a real payment.
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
        Ok(Reply::of(payments::complete_demo(ctx.billing(), ctx.user()?, request.id.0, outcome).await?))
    }
}

#[dto(request)]
pub struct FinishPaymentRequest {
    #[from(path)]
    pub gateway: String,
    /// Id of the payment. The gateway may append parameters to it.
    #[from(query)]
    pub payment: Option<String>,
}

/// Return from a payment gateway
///
/// The result is read from the gateway, not from the request. The browser is redirected to a page
/// that waits for it.
#[endpoint(GET "/r1/payments/callback/{gateway}", tag = "payments", access = Access::Public, rate = RateGroup::Read, status = 303, deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for FinishPayment {
    type Request = FinishPaymentRequest;
    type Response = Redirect;

    async fn handle(ctx: &Ctx, request: FinishPaymentRequest) -> Result<Reply<Redirect>, AppError> {
        // Some gateways append their parameters with a second question mark.
        let id = request.payment.as_deref().and_then(|id| id.split('?').next()).and_then(|id| id.parse().ok());
        Ok(Reply::redirect(payments::finish(ctx.billing(), parse_gateway(&request.gateway)?, id).await?))
    }
}

#[dto(request)]
pub struct ReceivePaymentEventRequest {
    #[from(path)]
    pub gateway: String,
    #[from(bytes, "application/json")]
    pub body: Bytes,
}

/// Receive a gateway's webhook
///
/// An event without a valid signature is refused. A repeated event has no effect.
#[endpoint(POST "/r1/payments/webhooks/{gateway}", tag = "payments", access = Access::Public, rate = RateGroup::Write, content("application/json"), errors(NotFound), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)), max_body = crate::endpoint_trait::Bound::Fixed(webhook_inbox::MAX_EVENT_SIZE))]
impl Endpoint for ReceivePaymentEvent {
    type Request = ReceivePaymentEventRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ReceivePaymentEventRequest) -> Result<Reply<Raw>, AppError> {
        receive(ctx, &request.gateway, PaymentWebhookTransport::Body, &request.body).await
    }
}

#[dto(request)]
pub struct ReceivePaymentEventByQueryRequest {
    #[from(path)]
    pub gateway: String,
}

/// Receive a gateway's webhook by query
///
/// Always returns status 200 with a code in the body, even on errors.
#[endpoint(GET "/r1/payments/webhooks/{gateway}", tag = "payments", access = Access::Public, rate = RateGroup::Write, content("application/json"), errors(NotFound))]
impl Endpoint for ReceivePaymentEventByQuery {
    type Request = ReceivePaymentEventByQueryRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ReceivePaymentEventByQueryRequest) -> Result<Reply<Raw>, AppError> {
        receive(ctx, &request.gateway, PaymentWebhookTransport::Query, &[]).await
    }
}

fn parse_gateway(gateway: &str) -> Result<GatewayName, AppError> {
    gateway.parse().map_err(|_| Code::NotFound.into())
}

async fn receive(ctx: &Ctx, gateway: &str, by: PaymentWebhookTransport, body: &[u8]) -> Result<Reply<Raw>, AppError> {
    let gateway = parse_gateway(gateway)?;
    if webhook_inbox::webhook_transport(ctx.billing(), gateway)? != by {
        return Err(Code::NotFound.into());
    }
    // The headers are copied, because an actix request can't leave its thread, and this future may
    // be awaited on another one.
    let headers: Vec<(String, String)> = ctx
        .http()
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let header = |asked: &str| headers.iter().find(|(name, _)| name == asked).map(|(_, value)| value.clone());
    let query = ctx.http().query_string().to_owned();
    let delivery = WebhookRequest { header: &header, query: &query, body, now: ctx.app().clock.now() };
    let answer = webhook_inbox::receive(ctx.billing(), gateway, &delivery).await?;
    let status = StatusCode::from_u16(answer.status).map_err(AppError::internal)?;
    Ok(Reply::bytes(answer.content_type, Bytes::from(answer.body)).status(status))
}
