//! Automatic top-ups: an account buys credits with a saved payment method when its balance falls below a threshold, one
//! purchase at a time, up to a monthly limit.
//!
//! The chosen plan, method and currency are never replaced: if one is no longer available, the top-up stops and its
//! holder is e-mailed. The payment is stored before it is charged under its own id, so it is charged once, however
//! often an instance tries and wherever it dies.

use ::payment::{Currency, Stage};
use appcore::{
    AppError, Code, PaymentMethodId, PlanId, Timestamp,
    credits::MicroCredits,
    view::{CreditSettings, LowBalance as LowBalanceView, PlanKind, StoppedTopUp, TopUp},
};
use dbcontext::{
    constraint::app_error,
    entity::{credit_top_up, payment},
    query::{balances as rows, payment_methods as method_rows, payments as payment_rows, plans as plan_rows, users},
};
use identity::mail::{self, MailContent, Recipient};
use sea_orm::ConnectionTrait;
use time::{Date, OffsetDateTime};

use super::{
    balances::{self, LowBalance, MAX_CREDITS},
    charges, plans, stage,
    subscriptions::{self, Payer, PaymentPurpose, price_at},
};
use crate::BillingService;

/// Result of [`advance`].
#[derive(Debug, Default)]
pub(super) struct TopUpStep {
    pub watch_at: Option<MicroCredits>,
    pub to_charge: Option<payment::Model>,
}

/// Settings of a top-up.
#[derive(Clone, Debug)]
pub struct TopUpRequest {
    pub plan_id: PlanId,
    pub method_id: PaymentMethodId,
    /// Currency; `None` selects the plan's first currency that the method's gateway accepts.
    pub currency: Option<Currency>,
    pub threshold: MicroCredits,
    pub monthly_limit: i64,
}

/// Advances the top-up, under the locks of the account and of its row. The caller commits.
pub(super) async fn advance<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    mut row: credit_top_up::Model,
    balance: MicroCredits,
    now: Timestamp,
) -> Result<TopUpStep, AppError> {
    let before = row.clone();
    let mut to_charge = None;
    if let Some(id) = row.payment_id {
        let payment = payment_rows::by_id(txn, id).await?.ok_or(Code::NotFound)?;
        match stage(&payment)? {
            // A new purchase starts only when this one can't be paid any more.
            Stage::Created | Stage::Pending => to_charge = Some(payment).filter(|payment| now < payment.expires_at),
            Stage::Failed => {
                row.payment_id = None;
                stop(txn, &mut row, StoppedTopUp::Declined, now).await?;
            }
            Stage::Paid | Stage::Expired => row.payment_id = None,
        }
    }
    if row.stopped == Some(StoppedTopUp::MonthlyLimit) {
        // A top-up that was stopped by its monthly limit continues in the next month.
        row.stopped = None;
    }
    if row.is_on && row.payment_id.is_none() && balance < row.threshold {
        to_charge = start_purchase(service, txn, &mut row, now).await?;
    }
    row.check_at = if row.payment_id.is_some() {
        Some(now.plus(service.config.payment.reconcile_after))
    } else if row.stopped == Some(StoppedTopUp::MonthlyLimit) {
        month(now).map(|(_, end)| end)
    } else if row.is_on && balance < row.threshold {
        // No purchase was started although the balance is low: the gateway is switched off.
        Some(now.plus(service.config.payment.reconcile_after))
    } else {
        None
    };
    let watch_at = Some(row.threshold).filter(|_| row.is_on && balance >= row.threshold);
    if row != before {
        row.updated_at = now;
        rows::put_top_up(txn, row).await?;
    }
    Ok(TopUpStep { watch_at, to_charge })
}

/// Stores the purchase to charge, if all settings are still valid. Returns `None` if nothing can be bought now.
async fn start_purchase<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut credit_top_up::Model,
    now: Timestamp,
) -> Result<Option<payment::Model>, AppError> {
    let method = method_rows::by_id(txn, row.method_id).await?.filter(|method| method.account_id == row.id);
    let payer = users::by_id(txn, row.user_id).await?;
    let (Some(method), Some(_)) = (method, payer) else {
        stop(txn, row, StoppedTopUp::MethodRemoved, now).await?;
        return Ok(None);
    };
    let name = method.gateway.parse().map_err(AppError::internal)?;
    let Some(gateway) = service.payments.gateway(name).filter(|_| service.payments.is_enabled(name)) else {
        return Ok(None);
    };
    let plan = plan_rows::by_id(txn, row.plan_id).await?.filter(|plan| plan.is_active).map(plans::view);
    let plan = plan.transpose()?.filter(|plan| plan.kind == PlanKind::Credits);
    let currency: Currency = row.currency.parse().map_err(AppError::internal)?;
    let price = plan.as_ref().and_then(|plan| price_at(plan, gateway.as_ref(), Some(currency), 1).ok());
    let (Some(plan), Some(price)) = (plan, price) else {
        stop(txn, row, StoppedTopUp::PlanWithdrawn, now).await?;
        return Ok(None);
    };
    let (since, _) = month(now).ok_or_else(|| AppError::internal(anyhow::anyhow!("month out of range")))?;
    let spent = rows::topped_up_since(txn, row, since).await?;
    if spent.saturating_add(price.amount) > row.monthly_limit {
        stop(txn, row, StoppedTopUp::MonthlyLimit, now).await?;
        return Ok(None);
    }
    let begun = super::new_payment(service, row.user_id, plan.id, &method.gateway, price, now);
    let payment = payment::Model {
        purpose: PaymentPurpose::TopUp.as_str().to_owned(),
        workspace_id: row.workspace_id,
        // Clients can't send such a key, because it contains spaces.
        idempotency_key: format!("top-up {} {}", row.id, begun.id),
        ..begun
    };
    payment_rows::insert(txn, payment.clone()).await?;
    row.payment_id = Some(payment.id);
    Ok(Some(payment))
}

/// Stops the top-up, and e-mails its holder. The monthly limit only pauses it, with one e-mail a month.
async fn stop<C: ConnectionTrait>(
    txn: &C,
    row: &mut credit_top_up::Model,
    why: StoppedTopUp,
    now: Timestamp,
) -> Result<(), AppError> {
    if why != StoppedTopUp::MonthlyLimit {
        row.is_on = false;
    }
    row.stopped = Some(why);
    let letter = MailContent::TopUpStopped { why, page: balances::page_path(Payer::from(&*row).holder()) };
    mail::enqueue(txn, now, Recipient::User(row.user_id), letter).await
}

/// Charges a stored purchase at the gateway.
pub(super) async fn charge(service: &BillingService, payment: &payment::Model) -> Result<(), AppError> {
    let account = subscriptions::account(payment);
    let method = match rows::top_up(service.db.writer(), account).await? {
        Some(row) => method_rows::by_id(service.db.writer(), row.method_id).await?,
        None => None,
    };
    // The method was removed in the meantime; unless it was charged before, the payment expires.
    let Some(method) = method else { return Ok(()) };
    let asks = payment.reference.is_some();
    if let Some(snapshot) = subscriptions::charge_unattended(service, payment, &method, 1, asks).await? {
        charges::apply_charge(service, payment.id, snapshot).await?;
        // The account is swept again after the outcome.
        rows::mark_due(service.db.writer(), account).await?;
        balances::wake_sweep(service);
    }
    Ok(())
}

/// Start and end of the current month (UTC).
fn month(now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let date = OffsetDateTime::from_unix_timestamp(now.seconds()).ok()?.date();
    let first = date.replace_day(1).ok()?;
    let (year, next) = match date.month() {
        time::Month::December => (date.year() + 1, time::Month::January),
        other => (date.year(), other.next()),
    };
    let start = |date: Date| Timestamp(date.midnight().assume_utc().unix_timestamp() * 1_000);
    Some((start(first), start(Date::from_calendar_date(year, next, 1).ok()?)))
}

/// Reads the low-balance and top-up settings.
pub async fn settings(service: &BillingService, payer: Payer) -> Result<CreditSettings, AppError> {
    let db = service.db.writer();
    let LowBalance { threshold, is_chosen, is_low } = balances::low_balance(service, payer.holder()).await?;
    let low_balance = LowBalanceView { threshold, is_chosen, is_low };
    let Some(row) = rows::top_up(db, payer.account()).await? else {
        return Ok(CreditSettings { low_balance, top_up: None });
    };
    let (since, _) = month(service.clock.now()).unwrap_or((Timestamp(0), Timestamp(0)));
    let plan = plan_rows::by_id(db, row.plan_id).await?.map(plans::view).transpose()?;
    let price = plan.and_then(|plan| plan.prices.into_iter().find(|price| price.currency == row.currency));
    let method = method_rows::by_id(db, row.method_id).await?.filter(|method| method.account_id == row.id);
    let top_up = TopUp {
        plan_id: row.plan_id.0,
        method_id: method.map(|method| method.id.0),
        price: price.map_or(0, |price| price.amount),
        threshold: row.threshold,
        monthly_limit: row.monthly_limit,
        spent_this_month: rows::topped_up_since(db, &row, since).await?,
        is_on: row.is_on,
        stopped: row.stopped,
        pending: row.payment_id.is_some(),
        currency: row.currency,
    };
    Ok(CreditSettings { low_balance, top_up: Some(top_up) })
}

/// Sets the balance below which the account holder is warned.
pub async fn set_low_balance(
    service: &BillingService,
    payer: Payer,
    threshold: Option<MicroCredits>,
) -> Result<CreditSettings, AppError> {
    balances::set_threshold(service, payer.holder(), threshold).await?;
    settings(service, payer).await
}

/// Turns the automatic top-up on, also if it had stopped.
pub async fn set_top_up(
    service: &BillingService,
    payer: Payer,
    order: TopUpRequest,
) -> Result<CreditSettings, AppError> {
    let plan = plan_rows::by_id(service.db.reader(), order.plan_id).await?.filter(|plan| plan.is_active);
    let plan = plan.map(plans::view).transpose()?.filter(|plan| plan.kind == PlanKind::Credits);
    let plan = plan.ok_or_else(|| AppError::field("plan_id", "invalid", "Choose one of the credit packs."))?;
    let method = method_rows::by_id(service.db.writer(), order.method_id).await?;
    let method = method.filter(|method| method.account_id == payer.account());
    let refused = || AppError::field("method_id", "invalid", "Choose one of the saved payment methods.");
    let name = method.as_ref().ok_or_else(refused)?.gateway.parse().map_err(AppError::internal)?;
    let gateway = service.payments.gateway(name).filter(|gateway| gateway.recurring().is_some()).ok_or_else(refused)?;
    let price = price_at(&plan, gateway.as_ref(), order.currency, 1)?;
    if !(1..=MAX_CREDITS).contains(&order.threshold.0) {
        return Err(AppError::field("threshold", "invalid", "Enter an amount above 0."));
    }
    if order.monthly_limit < price.amount {
        return Err(AppError::field("monthly_limit", "invalid", "This must be enough for one purchase."));
    }
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut account = balances::open_account(&tx, payer.holder(), now).await?;
    let before = rows::lock_top_up(&tx, account.id).await?;
    let row = credit_top_up::Model {
        id: account.id,
        workspace_id: payer.workspace_id,
        user_id: payer.user_id,
        plan_id: plan.id,
        method_id: order.method_id,
        currency: price.currency.code().to_owned(),
        threshold: order.threshold,
        monthly_limit: order.monthly_limit,
        is_on: true,
        stopped: None,
        payment_id: before.and_then(|row| row.payment_id),
        check_at: None,
        updated_at: now,
    };
    rows::put_top_up(&tx, row).await?;
    account.is_due = true;
    rows::update_alerts(&tx, &account).await?;
    tx.commit().await.map_err(app_error)?;
    balances::wake_sweep(service);
    settings(service, payer).await
}

/// Turns the automatic top-up off. A charge in progress may still be paid.
pub async fn remove_top_up(service: &BillingService, payer: Payer) -> Result<CreditSettings, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut account = balances::open_account(&tx, payer.holder(), service.clock.now()).await?;
    rows::remove_top_up(&tx, account.id).await?;
    account.is_due = true;
    rows::update_alerts(&tx, &account).await?;
    tx.commit().await.map_err(app_error)?;
    settings(service, payer).await
}

impl From<&credit_top_up::Model> for Payer {
    fn from(row: &credit_top_up::Model) -> Self {
        Self { user_id: row.user_id, workspace_id: row.workspace_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn month_is_in_utc() {
        for (now, start, end) in [
            ("2026-11-23T12:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-12-31T23:59:59.999Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ] {
            let at = |text| Timestamp::parse(text).unwrap();
            assert_eq!(month(at(now)), Some((at(start), at(end))));
        }
    }
}
