//! Changes of plan or seats, and manual payment of the next period.

use std::net::IpAddr;

use ::payment::{CalculatedPrice, Currency, Gateway, GatewayName, Money, PlanTerms, Stage, SubscriptionState};
use appcore::{
    AppError, Code, PaymentMethodId, PlanId, Timestamp,
    credits::MicroCredits,
    view::{ChangePreview, PlanChange, PlanKind, Price, PricingPlan, QuotaUse, Subscription},
};
use dbcontext::{
    constraint::app_error,
    entity::{payment, subscription},
    query::{payment_methods, payments as payment_rows, plans as plan_rows, subscriptions as rows},
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{
    MAX_SEATS, Payer, PaymentPurpose, interval_of, methods, notify_payer, parse_state, price_of, view, wrong_state,
};
use crate::{
    BillingService, entitlements,
    payments::{self, StartedCheckout, charges, checkout, plans},
};

/// Result of a change.
#[derive(Clone, Debug)]
pub struct ChangeResult {
    pub subscription: Subscription,
    pub payment_id: Option<Uuid>,
    /// URL to pay the difference at, if it is not paid yet.
    pub redirect_url: Option<String>,
}

/// A calculated change.
struct CalculatedChange {
    row: subscription::Model,
    plan: PricingPlan,
    seats: i64,
    /// Price of one period of the new plan, including seats.
    price: Price,
    change: CalculatedPrice,
    /// Number of members who would have no seat.
    missing: i64,
}

/// Calculates a change without applying it.
pub async fn preview(
    service: &BillingService,
    payer: Payer,
    plan_id: PlanId,
    seats: Option<i64>,
) -> Result<ChangePreview, AppError> {
    let now = service.clock.now();
    let row = rows::by_account(service.db.writer(), payer.account()).await?.ok_or(Code::NotFound)?;
    let planned = plan_change(service.db.writer(), row, plan_id, seats, now).await?;
    let CalculatedChange { row, plan, price, change, missing, .. } = planned;
    let money = |amount| Price { currency: price.currency.clone(), amount };
    let (kind, due, unused, at) = match change {
        CalculatedPrice::Upgrade { due, unused, .. } => (PlanChange::Upgrade, due, unused, None),
        CalculatedPrice::Downgrade => (PlanChange::Downgrade, 0, 0, Some(row.period_end)),
    };
    Ok(ChangePreview {
        kind,
        due_now: money(due),
        credit: money(unused),
        takes_effect_at: at,
        next: money(price.amount),
        excess: if row.workspace_id.is_none() { exceeded_quotas(service, &row, &plan, now).await? } else { Vec::new() },
        seats_missing: missing,
    })
}

/// Quotas exceeded today under the new plan.
async fn exceeded_quotas(
    service: &BillingService,
    row: &subscription::Model,
    plan: &PricingPlan,
    now: Timestamp,
) -> Result<Vec<QuotaUse>, AppError> {
    let uses = entitlements::quota_usage(service, row.user_id, &plan.quotas, now).await?;
    Ok(uses.into_iter().filter(|quota| quota.used > quota.limit).collect())
}

async fn plan_change<C: ConnectionTrait>(
    db: &C,
    row: subscription::Model,
    plan_id: PlanId,
    seats: Option<i64>,
    now: Timestamp,
) -> Result<CalculatedChange, AppError> {
    match parse_state(&row)? {
        SubscriptionState::Active if row.period_end > now => {}
        SubscriptionState::Canceling => return Err(wrong_state("Resume your plan first.")),
        SubscriptionState::Active | SubscriptionState::PastDue => return Err(wrong_state("Pay your plan first.")),
        SubscriptionState::Trialing | SubscriptionState::Ended => return Err(wrong_state("Buy a plan first.")),
    }
    let old = plans::view(plan_rows::by_id(db, row.plan_id).await?.ok_or(Code::NotFound)?)?;
    let plan = plan_rows::by_id(db, plan_id).await?.filter(|plan| plan.is_active || plan.id == row.plan_id);
    let plan = plans::view(plan.ok_or(Code::NotFound)?)?;
    let seats = checked_seats(&row, seats)?;
    let missing = match row.workspace_id {
        Some(id) => (rows::seated(db, id, MAX_SEATS + 1).await?.len() as i64 - seats).max(0),
        None => 0,
    };
    let refused = || AppError::field("plan_id", "invalid", "This plan can't be paid in your currency.");
    if plan.kind != PlanKind::Subscription {
        return Err(AppError::field("plan_id", "invalid", "Choose a plan for a month or a year."));
    }
    let price = price_of(&plan, &subscription::Model { seats, ..row.clone() }).ok_or_else(refused)?;
    let before = price_of(&old, &row).ok_or_else(refused)?;
    let terms = |plan: &PricingPlan, amount, seats| -> Result<PlanTerms, AppError> {
        Ok(PlanTerms { interval: interval_of(plan)?, amount, seats, credits: plan.credits.0 })
    };
    let (from, to) = (terms(&old, before.amount, row.seats)?, terms(&plan, price.amount, seats)?);
    let change = ::payment::change(from, to, row.starts_at, row.period_end, now);
    Ok(CalculatedChange { row, plan, seats, price, change, missing })
}

fn checked_seats(row: &subscription::Model, seats: Option<i64>) -> Result<i64, AppError> {
    let seats = seats.unwrap_or(row.seats);
    let most = if row.workspace_id.is_some() { MAX_SEATS } else { 1 };
    if (1..=most).contains(&seats) { Ok(seats) } else { Err(invalid_seats_error()) }
}

fn invalid_seats_error() -> AppError {
    AppError::field("seats", "invalid", "Choose 1 to 1,000 seats for a workspace, or 1 for a person.")
}

/// Changes a subscription: an upgrade applies at once after payment of the difference, a downgrade with the next
/// period. `shown` is the price per period shown to the payer.
pub async fn change(
    service: &BillingService,
    payer: Payer,
    plan_id: PlanId,
    seats: Option<i64>,
    shown: Option<Price>,
    address: Option<IpAddr>,
) -> Result<ChangeResult, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let row = rows::lock_of(&tx, payer.account()).await?.ok_or(Code::NotFound)?;
    if row.is_charging {
        return Err(wrong_state("A charge is in progress. Try again in a few minutes."));
    }
    // The plan is locked (shared), so that it doesn't change before the commit.
    plan_rows::lock_shared(&tx, plan_id).await?.ok_or(Code::NotFound)?;
    let planned = plan_change(&tx, row, plan_id, seats, now).await?;
    let CalculatedChange { mut row, plan, seats, price, change, missing } = planned;
    let currency = price.currency.parse().map_err(AppError::internal)?;
    plans::check_shown(&plan, &Money::new(price.amount, currency), shown.as_ref())?;
    if missing > 0 {
        return Err(wrong_state("There are more members than seats. Remove some, or add seats."));
    }
    let CalculatedPrice::Upgrade { due, credits, is_new_period, .. } = change else {
        let is_same = plan.id == row.plan_id && seats == row.seats;
        if is_same && row.next_plan_id.is_none() {
            return Err(wrong_state("You're already on this plan."));
        }
        (row.next_plan_id, row.next_seats) = if is_same { (None, None) } else { (Some(plan.id), Some(seats)) };
        row.updated_at = now;
        rows::store(&tx, row.clone()).await?;
        tx.commit().await.map_err(app_error)?;
        notify_payer(service, &row);
        return Ok(ChangeResult { subscription: view(service, row).await?, payment_id: None, redirect_url: None });
    };
    let purpose = if is_new_period { PaymentPurpose::Restart } else { PaymentPurpose::Change };
    if let Some(open) = rows::open_payment(&tx, row.id, now).await? {
        let is_same = (open.plan_id, open.seats, open.purpose.as_str()) == (plan.id, seats, purpose.as_str());
        if is_same && open.redirect_url.is_some() {
            let (payment_id, redirect_url) = (Some(open.id), open.redirect_url);
            return Ok(ChangeResult { subscription: view(service, row).await?, payment_id, redirect_url });
        }
        return Err(wrong_state("A payment for your plan is in progress. Finish it, or wait until it expires."));
    }
    let gateway = row.gateway.clone().ok_or(Code::WrongState)?;
    let money = Money::new(due, currency);
    let new = payment::Model {
        purpose: purpose.as_str().to_owned(),
        workspace_id: row.workspace_id,
        subscription_id: Some(row.id),
        period: Some(row.period),
        seats,
        credits: Some(MicroCredits(credits)),
        base_payment_id: row.payment_id,
        ..payments::new_payment(service, payer.user_id, plan.id, &gateway, money, now)
    };
    let new = payment::Model { idempotency_key: format!("change {}", new.id), ..new };
    let method = match row.method_id.filter(|_| super::is_automatic(service, &row)) {
        Some(id) => payment_methods::by_id(&tx, id).await?,
        None => None,
    };
    let new = payment::Model { method_id: method.as_ref().map(|method| method.id), ..new };
    payment_rows::insert(&tx, new.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    let payment_id = Some(new.id);
    let Some(method) = method else {
        let begun = checkout::create_checkout(service, new, &plan, address).await?;
        let redirect_url = Some(begun.redirect_url);
        return Ok(ChangeResult { subscription: view(service, row).await?, payment_id, redirect_url });
    };
    let charged = charges::charge_present(service, &new, &method).await?;
    let redirect_url = match payments::stage(&charged)? {
        Stage::Failed | Stage::Expired => {
            return Err(wrong_state("The charge was declined, so nothing has changed. Try another payment method."));
        }
        Stage::Paid => None,
        // At this URL the payer confirms the charge.
        Stage::Created | Stage::Pending => charged.redirect_url,
    };
    let row = rows::by_account(service.db.writer(), payer.account()).await?.ok_or(Code::NotFound)?;
    Ok(ChangeResult { subscription: view(service, row).await?, payment_id, redirect_url })
}

/// Manual payment of the next period.
#[derive(Clone, Debug, Default)]
pub struct PayRequest {
    /// Gateway to pay at; `None` selects the current one, or that of the saved method.
    pub gateway: Option<GatewayName>,
    /// Saved payment method to charge immediately.
    pub method_id: Option<PaymentMethodId>,
    pub return_url: Option<String>,
    pub address: Option<IpAddr>,
}

/// Starts a manual payment of the next period.
pub async fn pay_next_period(
    service: &BillingService,
    payer: Payer,
    order: PayRequest,
) -> Result<StartedCheckout, AppError> {
    let PayRequest { gateway, method_id, return_url, address } = order;
    let now = service.clock.now();
    let method = match method_id {
        Some(id) => Some(methods::find_own(service, payer, id).await?),
        None => None,
    };
    let gateway = checkout::gateway_of_method(method.as_ref(), gateway)?;
    let return_path = return_url.as_deref().map(|path| checkout::own_path(service, path)).transpose()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let row = rows::lock_of(&tx, payer.account()).await?.ok_or(Code::NotFound)?;
    if matches!(parse_state(&row)?, SubscriptionState::Trialing | SubscriptionState::Ended) {
        return Err(wrong_state("Buy a plan first."));
    }
    if row.is_charging {
        return Err(wrong_state("A charge is in progress. Try again in a few minutes."));
    }
    let name = match gateway {
        Some(name) => name,
        None => row.gateway.as_deref().unwrap_or_default().parse().map_err(|_| Code::GatewayOff)?,
    };
    if !service.payments.is_enabled(name) {
        return Err(Code::GatewayOff.into());
    }
    let way = service.payments.gateway(name).ok_or(Code::GatewayOff)?;
    if let Some(open) = rows::open_payment(&tx, row.id, now).await? {
        return match open.redirect_url {
            Some(_)
                if open.gateway == name.as_str()
                    && open.purpose == PaymentPurpose::Purchase.as_str()
                    && open.method_id == method_id =>
            {
                checkout::started_checkout(service, &open)
            }
            _ => Err(wrong_state("A payment for your plan is in progress. Finish it, or wait until it expires.")),
        };
    }
    let plan_id = row.next_plan_id.unwrap_or(row.plan_id);
    let plan = plans::view(plan_rows::by_id(&tx, plan_id).await?.ok_or(Code::NotFound)?)?;
    let seats = row.next_seats.unwrap_or(row.seats);
    let currency = row.currency.as_deref().and_then(|code| code.parse().ok());
    let price = match price_at(&plan, way.as_ref(), currency, seats) {
        Ok(price) => price,
        // Another gateway may accept other currencies only.
        Err(_) => price_at(&plan, way.as_ref(), None, seats)?,
    };
    let new = payment::Model {
        workspace_id: row.workspace_id,
        subscription_id: Some(row.id),
        seats,
        return_path,
        method_id,
        ..payments::new_payment(service, payer.user_id, plan.id, name.as_str(), price, now)
    };
    payment_rows::insert(&tx, new.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    match method {
        Some(method) => checkout::started_checkout(service, &charges::charge_present(service, &new, &method).await?),
        None => checkout::create_checkout(service, new, &plan, address).await,
    }
}

/// Price of a plan at a gateway, including seats: in the requested currency, or the first that the gateway accepts.
pub(in crate::payments) fn price_at(
    plan: &PricingPlan,
    gateway: &dyn Gateway,
    currency: Option<Currency>,
    seats: i64,
) -> Result<Money, AppError> {
    if !(1..=MAX_SEATS).contains(&seats) {
        return Err(invalid_seats_error());
    }
    let refused = || AppError::field("currency", "invalid", "This can't be paid in this currency here.");
    let mut prices = plan
        .prices
        .iter()
        .filter_map(|price| Some(Money::new(price.amount.checked_mul(seats)?, price.currency.parse().ok()?)));
    let fits = |price: &Money| gateway.limits(price.currency).is_some_and(|limits| limits.contains(&price.amount));
    prices.find(|price| currency.is_none_or(|asked| asked == price.currency) && fits(price)).ok_or_else(refused)
}
