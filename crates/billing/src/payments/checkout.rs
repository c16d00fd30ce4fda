//! Checkout: from a plan to the gateway's payment page, and back.

use std::{net::IpAddr, time::Duration};

use ::payment::{Currency, GatewayError, GatewayName, MethodOwner, Money, Stage, SubscriptionState};
use appcore::{
    AppError, Code, PaymentMethodId, PlanId, Timestamp, UserId,
    view::{PaymentStatus, PlanKind, Price, PricingPlan},
};
use dbcontext::{
    constraint::app_error,
    entity::{payment, payment_method, pricing_plan},
    query::{payments as rows, plans as plan_rows, subscriptions as subscription_rows, users},
};
use platform::urls;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{
    absolute_url, apply,
    charges::{self, return_url},
    plans, price, reconciler, request_error, stage,
    subscriptions::{self, Payer, PaymentPurpose, price_at, wrong_state},
};
use crate::BillingService;

/// Time in which a payer must pay. Stripe requires at least 30 minutes.
const PAYMENT_TIMEOUT: Duration = Duration::from_secs(35 * 60);
const MAX_KEY_LEN: usize = 200;
/// Maximum length of a return path, in bytes.
const MAX_PATH_LEN: usize = 500;
/// Path of the page on which the payer's browser ends up.
const RESULT_PATH: &str = "/plans/result";
/// Path of the page with saved payment methods and the next charges.
pub(super) const BILLING_PATH: &str = "/plans/billing";

/// Checkout request.
#[derive(Clone, Debug)]
pub struct CheckoutRequest {
    pub plan_id: PlanId,
    /// Gateway to pay at; `None` selects the gateway of the saved method.
    pub gateway: Option<GatewayName>,
    /// Saved payment method to charge immediately.
    pub method_id: Option<PaymentMethodId>,
    /// Currency; `None` selects the plan's first currency that the gateway accepts.
    pub currency: Option<Currency>,
    /// Total price shown to the payer, including seats.
    pub shown: Option<Price>,
    /// Path on this server to which the browser returns.
    pub return_url: Option<String>,
    /// Idempotency key: a repeated request with this key returns the same payment.
    pub key: Option<String>,
    pub address: Option<IpAddr>,
    /// Seats for a workspace; `None` is one.
    pub seats: Option<i64>,
}

/// Started checkout, with the URL to pay at or the result page.
#[derive(Clone, Debug)]
pub struct StartedCheckout {
    pub payment_id: Uuid,
    pub redirect_url: String,
    pub expires_at: Timestamp,
    pub status: PaymentStatus,
}

/// Returns the checkout of a payment. If it can't be paid any more, the URL is its result page.
pub(super) fn started_checkout(service: &BillingService, row: &payment::Model) -> Result<StartedCheckout, AppError> {
    let place = row.redirect_url.clone().filter(|_| stage(row).is_ok_and(Stage::is_open));
    let redirect_url = match place {
        Some(url) => url,
        None => absolute_url(&service.config, &result_path(row))?.to_string(),
    };
    Ok(StartedCheckout { payment_id: row.id, redirect_url, expires_at: row.expires_at, status: row.status })
}

/// Path of the payment's result page.
fn result_path(row: &payment::Model) -> String {
    return_location(row.return_path.as_deref(), RESULT_PATH, "payment", row.id)
}

/// Path to which the browser returns: the requested one, else `usual`, with the id as query parameter `about`.
pub(super) fn return_location(asked: Option<&str>, usual: &str, about: &str, id: Uuid) -> String {
    // Paths stored by earlier versions were validated less strictly.
    let path = asked.and_then(urls::own_path).unwrap_or_else(|| usual.to_owned());
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{about}={id}")
}

/// Returns the gateway of the request. If a saved method is given, it is the gateway of that method.
pub(super) fn gateway_of_method(
    method: Option<&payment_method::Model>,
    asked: Option<GatewayName>,
) -> Result<Option<GatewayName>, AppError> {
    let Some(method) = method else { return Ok(asked) };
    let name = method.gateway.parse().map_err(AppError::internal)?;
    if asked.is_some_and(|asked| asked != name) {
        return Err(AppError::field("gateway", "invalid", "This payment method was saved at another gateway."));
    }
    Ok(Some(name))
}

/// A new payment that isn't stored yet.
pub(super) fn new_payment(
    service: &BillingService,
    user_id: UserId,
    plan_id: PlanId,
    gateway: &str,
    price: Money,
    now: Timestamp,
) -> payment::Model {
    let id = Uuid::now_v7();
    payment::Model {
        id,
        user_id,
        plan_id,
        gateway: gateway.to_owned(),
        amount: price.amount,
        currency: price.currency.code().to_owned(),
        stage: Stage::Created.as_str().to_owned(),
        status: PaymentStatus::Created,
        // Clients can't send such a key, because it contains a space.
        idempotency_key: format!("own {id}"),
        return_path: None,
        reference: None,
        charge: None,
        redirect_url: None,
        refunded: 0,
        is_disputed: false,
        quarantine: None,
        receipt_year: None,
        receipt_number: None,
        created_at: now,
        expires_at: now.plus(PAYMENT_TIMEOUT),
        paid_at: None,
        check_at: Some(now.plus(service.config.payment.reconcile_after)),
        workspace_id: None,
        purpose: PaymentPurpose::Purchase.as_str().to_owned(),
        subscription_id: None,
        period: None,
        seats: 1,
        credits: None,
        paid_amount: None,
        paid_currency: None,
        period_start: None,
        period_end: None,
        buyer: None,
        method_id: None,
        refused_at: None,
        base_payment_id: None,
    }
}

/// Starts a payment, or returns the one started with the same idempotency key.
pub async fn start(
    service: &BillingService,
    payer: Payer,
    order: CheckoutRequest,
) -> Result<StartedCheckout, AppError> {
    let method = match order.method_id {
        Some(id) => Some(subscriptions::own_method(service, payer, id).await?),
        None => None,
    };
    let name = gateway_of_method(method.as_ref(), order.gateway)?;
    let name = name.ok_or_else(|| AppError::field("gateway", "required", "Choose a payment method."))?;
    if !service.payments.is_enabled(name) {
        return Err(Code::GatewayOff.into());
    }
    let gateway = service.payments.gateway(name).ok_or(Code::GatewayOff)?;
    let key = order.key.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    if key.is_empty() || key.len() > MAX_KEY_LEN || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AppError::field(
            "idempotency-key",
            "invalid",
            "The key must have 1 to 200 letters, digits and symbols.",
        ));
    }
    let now = service.clock.now();
    let return_path = order.return_url.as_deref().map(|path| own_path(service, path)).transpose()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let offered = plans::find_offered(&tx, order.plan_id).await?;
    let plan = plans::view(offered.clone())?;
    let seats = order.seats.unwrap_or(1);
    let is_subscription = plan.kind == PlanKind::Subscription;
    if seats != 1 && !(is_subscription && payer.workspace_id.is_some()) {
        return Err(AppError::field("seats", "invalid", "Only plans of workspaces have seats."));
    }
    let price = price_at(&plan, gateway.as_ref(), order.currency, seats)?;
    plans::check_shown(&plan, &price, order.shown.as_ref())?;
    let row = payment::Model {
        idempotency_key: key.clone(),
        return_path,
        workspace_id: payer.workspace_id,
        seats,
        method_id: order.method_id,
        credits: Some(plan.credits),
        ..new_payment(service, payer.user_id, plan.id, name.as_str(), price, now)
    };
    let held = if is_subscription { extended_subscription(&tx, payer, &offered, seats, now).await? } else { None };
    let row = payment::Model { subscription_id: held, ..row };
    let row = if rows::insert(&tx, row.clone()).await? {
        row
    } else {
        let begun = rows::by_key(&tx, payer.user_id, &key).await?.ok_or(Code::Conflict)?;
        let is_same = (begun.plan_id, &begun.gateway, &begun.currency) == (row.plan_id, &row.gateway, &row.currency)
            && (begun.workspace_id, begun.seats, begun.method_id) == (row.workspace_id, row.seats, row.method_id);
        if !is_same {
            return Err(AppError::refused(Code::Conflict, "This Idempotency-Key belongs to another payment."));
        }
        begun
    };
    tx.commit().await.map_err(app_error)?;
    if row.redirect_url.is_some() {
        return started_checkout(service, &row);
    }
    if let Some(method) = method {
        let is_over = !stage(&row)?.is_open() || now >= row.expires_at;
        let row = if is_over { row } else { charges::charge_present(service, &row, &method).await? };
        return started_checkout(service, &row);
    }
    if stage(&row)? != Stage::Created || now >= row.expires_at {
        return Err(AppError::refused(Code::Conflict, "This payment has already ended. Start a new one."));
    }
    create_checkout(service, row, &plan, order.address).await
}

/// Returns the current subscription that this purchase extends; it may be to another version of the same plan. Another
/// plan can't be purchased while a subscription is current: that is a change of plan.
async fn extended_subscription<C: ConnectionTrait>(
    txn: &C,
    payer: Payer,
    plan: &pricing_plan::Model,
    seats: i64,
    now: Timestamp,
) -> Result<Option<Uuid>, AppError> {
    if let Some(id) = payer.workspace_id {
        let members = subscription_rows::seated(txn, id, subscriptions::MAX_SEATS + 1).await?;
        if i64::try_from(members.len()).is_ok_and(|members| members > seats) {
            return Err(AppError::field("seats", "invalid", "The workspace has more members than that."));
        }
    }
    let Some(row) = subscription_rows::by_account(txn, payer.account()).await? else { return Ok(None) };
    let state = subscriptions::parse_state(&row)?;
    if state == SubscriptionState::Ended || row.ends_at <= now {
        return Ok(None);
    }
    if row.is_charging {
        return Err(wrong_state("A charge is in progress. Try again in a few minutes."));
    }
    let had = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?;
    if plans::family(&had) == plans::family(plan) && row.seats == seats {
        return Ok(Some(row.id));
    }
    match state {
        SubscriptionState::Trialing => Ok(None),
        SubscriptionState::PastDue => Err(wrong_state("Pay your plan first, or cancel it.")),
        _ => Err(wrong_state("You already have a plan. Change it instead.")),
    }
}

/// Creates the checkout at the gateway. Repeating it returns the same checkout.
pub(super) async fn create_checkout(
    service: &BillingService,
    row: payment::Model,
    plan: &PricingPlan,
    address: Option<IpAddr>,
) -> Result<StartedCheckout, AppError> {
    let gateway = super::gateway_of(service, &row)?;
    let return_url = return_url(service, &row)?;
    let notify_url = absolute_url(&service.config, &format!("/r1/payments/webhooks/{}", row.gateway))?;
    // The payment method of a subscription is saved for later charges, if the gateway supports it.
    let keeps = plan.kind == PlanKind::Subscription && gateway.recurring().is_some();
    let (customer, email) = if keeps {
        let payer = Payer { user_id: row.user_id, workspace_id: row.workspace_id };
        let user = users::by_id(service.db.reader(), row.user_id).await?.ok_or(Code::Unauthenticated)?;
        (subscriptions::customer_of(service, payer, gateway.name()).await?, user.email)
    } else {
        (None, String::new())
    };
    let order = ::payment::CheckoutOrder {
        payment_id: row.id,
        price: price(&row)?,
        title: &plan.name,
        return_url: &return_url,
        notify_url: &notify_url,
        created_at: row.created_at,
        expires_at: row.expires_at,
        address,
        save_for: keeps.then_some(MethodOwner { customer: customer.as_deref(), email: &email }),
    };
    let made = gateway.create_checkout(&order).await;
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut locked = rows::lock(&tx, row.id).await?.ok_or(Code::NotFound)?;
    match made {
        Ok(made) => {
            // A webhook may have advanced the payment already.
            apply::advance_stage(&mut locked, Stage::Pending)?;
            locked.reference = Some(made.reference);
            locked.redirect_url = Some(made.redirect_url);
            rows::store(&tx, locked.clone()).await?;
            tx.commit().await.map_err(app_error)?;
            started_checkout(service, &locked)
        }
        Err(error) => {
            // The payer got no URL and can't pay. If it is unknown whether the gateway created the checkout, the
            // payment stays open until it expires.
            if matches!(error, GatewayError::Rejected(_)) {
                apply::advance_stage(&mut locked, Stage::Failed)?;
                rows::store(&tx, locked).await?;
                tx.commit().await.map_err(app_error)?;
            }
            tracing::warn!(%error, payment = %row.id, "failed to create checkout");
            Err(request_error(error))
        }
    }
}

/// Returns the path of a URL on this server; other URLs are rejected.
pub(super) fn own_path(service: &BillingService, url: &str) -> Result<String, AppError> {
    let refused = || AppError::field("return_url", "invalid", "This must be a page of this server.");
    let path = url.strip_prefix(&service.config.server.public_url()).unwrap_or(url);
    urls::own_path(path).filter(|path| path.len() <= MAX_PATH_LEN).ok_or_else(refused)
}

/// Handles the return of the payer's browser. The return proves nothing: the gateway is queried, and the browser goes
/// to a page that waits for the outcome.
pub async fn finish(
    service: &BillingService,
    gateway: GatewayName,
    payment_id: Option<Uuid>,
) -> Result<String, AppError> {
    let row = match payment_id {
        Some(id) => rows::by_id(service.db.reader(), id).await?.filter(|row| row.gateway == gateway.as_str()),
        None => None,
    };
    let Some(row) = row else { return Ok(RESULT_PATH.to_owned()) };
    let (path, id) = (result_path(&row), row.id);
    if stage(&row)?.is_open()
        && let Err(error) = reconciler::fetch_and_apply(service, row).await
    {
        tracing::info!(%error, payment = %id, "failed to fetch payment on the payer's return");
    }
    Ok(path)
}
