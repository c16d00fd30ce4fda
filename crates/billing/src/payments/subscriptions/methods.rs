//! Saved payment methods. Of a card only the brand, the last digits and the expiry are known.

use ::payment::{GatewayName, SavedMethod, SubscriptionState};
use appcore::{
    AppError, Code, PaymentMethodId, Timestamp,
    page::{Page, PageRequest},
    view::PaymentMethod,
};
use dbcontext::{
    constraint::app_error,
    entity::{payment_method, subscription},
    query::{payment_methods as method_rows, payments as payment_rows, subscriptions as rows},
};
use jobs::{Job, JobContext, JobOutcome, JobPayload};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Payer, account, notify_payer, parse_state, reschedule, wrong_state};
use crate::{
    BillingService,
    payments::{self, known_payment, request_error},
};

/// Job that saves the payment method of a purchase for later periods.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SaveMethodJob {
    pub payment_id: Uuid,
}

impl JobPayload for SaveMethodJob {
    const KIND: &'static str = "keep_payment_method";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.payment_id)
    }

    fn subject(&self) -> Uuid {
        self.payment_id
    }
}

impl Job<BillingService> for SaveMethodJob {
    async fn run(self, work: JobContext<'_, BillingService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            kept = self.save_method(work.state) => kept.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

impl SaveMethodJob {
    /// Saves the payment method. Safe to repeat.
    pub(super) async fn save_method(self, service: &BillingService) -> Result<(), AppError> {
        let Some(payment) = payment_rows::by_id(service.db.writer(), self.payment_id).await? else { return Ok(()) };
        let Ok(gateway) = payments::gateway_of(service, &payment) else { return Ok(()) };
        let Some(recurring) = gateway.recurring() else { return Ok(()) };
        let Some(kept) = recurring.saved_method(&known_payment(service, &payment)?).await.map_err(request_error)?
        else {
            return Ok(());
        };
        let now = service.clock.now();
        let tx = service.db.begin().await.map_err(app_error)?;
        let held = rows::lock_of(&tx, account(&payment)).await?;
        let payer = Payer { user_id: payment.user_id, workspace_id: payment.workspace_id };
        let method = upsert(&tx, payer, &payment.gateway, kept, now).await?;
        if let Some(mut row) = held
            && row.payment_id == Some(payment.id)
            && !row.is_charging
        {
            method_rows::make_default(&tx, payer.account(), method.id).await?;
            row.method_id = Some(method.id);
            reschedule(service, &mut row, now)?;
            rows::store(&tx, row.clone()).await?;
            tx.commit().await.map_err(app_error)?;
            notify_payer(service, &row);
            return Ok(());
        }
        tx.commit().await.map_err(app_error)
    }
}

/// Saves a method, unless it is saved already. The first method of an account becomes its default. Runs in the caller's
/// transaction.
async fn upsert<C: ConnectionTrait>(
    txn: &C,
    payer: Payer,
    gateway: &str,
    kept: SavedMethod,
    now: Timestamp,
) -> Result<payment_method::Model, AppError> {
    let new = payment_method::Model {
        id: PaymentMethodId::new(),
        account_id: payer.account(),
        user_id: payer.user_id,
        gateway: gateway.to_owned(),
        customer: kept.customer,
        reference: kept.reference,
        brand: kept.brand,
        last4: kept.last4,
        exp_month: kept.exp_month,
        exp_year: kept.exp_year,
        created_at: now,
        is_default: false,
    };
    let mut method = method_rows::insert_or_find(txn, new).await?.ok_or(Code::Conflict)?;
    if method_rows::default_of(txn, payer.account()).await?.is_none() {
        method_rows::make_default(txn, payer.account(), method.id).await?;
        method.is_default = true;
    }
    Ok(method)
}

/// Saves a payment method without a purchase. If the account has a renewing subscription at that gateway without a
/// method, the new method will be charged, and the subscription is returned as well. Runs in the caller's transaction.
pub(in crate::payments) async fn save<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    payer: Payer,
    gateway: &str,
    kept: SavedMethod,
    now: Timestamp,
) -> Result<(payment_method::Model, Option<subscription::Model>), AppError> {
    let held = rows::lock_of(txn, payer.account()).await?;
    let method = upsert(txn, payer, gateway, kept, now).await?;
    let Some(mut row) = held else { return Ok((method, None)) };
    let is_without = row.method_id.is_none() && !row.is_charging && row.gateway.as_deref() == Some(gateway);
    if !is_without || !renews(&row)? {
        return Ok((method, None));
    }
    row.method_id = Some(method.id);
    reschedule(service, &mut row, now)?;
    rows::store(txn, row.clone()).await?;
    Ok((method, Some(row)))
}

/// True if the subscription will be charged for another period.
fn renews(row: &subscription::Model) -> Result<bool, AppError> {
    Ok(matches!(parse_state(row)?, SubscriptionState::Active | SubscriptionState::PastDue))
}

pub(in crate::payments) fn view(row: &payment_method::Model) -> PaymentMethod {
    PaymentMethod {
        id: row.id.0,
        gateway: row.gateway.clone(),
        brand: row.brand.clone(),
        last4: row.last4.clone(),
        exp_month: row.exp_month,
        exp_year: row.exp_year,
        is_default: row.is_default,
        created_at: row.created_at,
    }
}

/// Id of the payer at the gateway, if it already has one.
pub(in crate::payments) async fn customer_of(
    service: &BillingService,
    payer: Payer,
    gateway: GatewayName,
) -> Result<Option<String>, AppError> {
    let found = method_rows::newest(service.db.reader(), payer.account(), gateway.as_str()).await?;
    Ok(found.map(|method| method.customer))
}

/// Lists the payer's saved payment methods, newest first.
pub async fn methods(
    service: &BillingService,
    payer: Payer,
    page: PageRequest,
) -> Result<Page<PaymentMethod>, AppError> {
    let (found, total) = method_rows::list(service.db.writer(), payer.account(), page).await?;
    Ok(Page::new(found.iter().map(view).collect(), page, total))
}

/// Reads one of the payer's saved payment methods.
pub(in crate::payments) async fn find_own(
    service: &BillingService,
    payer: Payer,
    id: PaymentMethodId,
) -> Result<payment_method::Model, AppError> {
    let found = method_rows::by_id(service.db.writer(), id).await?.filter(|row| row.account_id == payer.account());
    found.ok_or_else(|| Code::NotFound.into())
}

fn charge_in_progress_error() -> AppError {
    wrong_state("A charge is in progress. Try again in a few minutes.")
}

/// Makes a method the default, for later charges and for the current plan.
pub async fn set_default(
    service: &BillingService,
    payer: Payer,
    id: PaymentMethodId,
) -> Result<PaymentMethod, AppError> {
    let mut method = find_own(service, payer, id).await?;
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let held = rows::lock_of(&tx, payer.account()).await?;
    method_rows::make_default(&tx, payer.account(), id).await?;
    method.is_default = true;
    let goes_on = |row: &subscription::Model| {
        Ok::<_, AppError>(renews(row)? || parse_state(row)? == SubscriptionState::Canceling)
    };
    let mut told = None;
    if let Some(mut row) = held
        && goes_on(&row)?
    {
        if row.is_charging {
            return Err(charge_in_progress_error());
        }
        row.gateway = Some(method.gateway.clone());
        row.method_id = Some(id);
        reschedule(service, &mut row, now)?;
        rows::store(&tx, row.clone()).await?;
        told = Some(row);
    }
    tx.commit().await.map_err(app_error)?;
    if let Some(row) = told {
        notify_payer(service, &row);
    }
    Ok(view(&method))
}

/// Removes a method, here and at the gateway. Another one becomes the default; the only method of a renewing plan can't
/// be removed.
pub async fn remove(service: &BillingService, payer: Payer, id: PaymentMethodId) -> Result<(), AppError> {
    let method = find_own(service, payer, id).await?;
    detach(service, payer, &method).await?;
    let name = method.gateway.parse().map_err(AppError::internal)?;
    if let Some(recurring) = service.payments.gateway(name).and_then(|gateway| gateway.recurring()) {
        recurring.delete_method(&method.reference).await.map_err(request_error)?;
    }
    method_rows::remove(service.db.writer(), id).await
}

/// Replaces a method by another one wherever it is used, before it is removed.
async fn detach(service: &BillingService, payer: Payer, method: &payment_method::Model) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let held = rows::lock_of(&tx, payer.account()).await?;
    let other = method_rows::newest_except(&tx, payer.account(), method.id).await?;
    let mut told = None;
    if let Some(mut row) = held.filter(|row| row.method_id == Some(method.id)) {
        if row.is_charging {
            return Err(charge_in_progress_error());
        }
        if other.is_none() && renews(&row)? {
            return Err(wrong_state(
                "Your plan renews with this payment method. Save another one first, or cancel your plan.",
            ));
        }
        row.method_id = other.as_ref().map(|other| other.id);
        if let Some(other) = &other {
            row.gateway = Some(other.gateway.clone());
        }
        reschedule(service, &mut row, now)?;
        rows::store(&tx, row.clone()).await?;
        told = Some(row);
    }
    if let Some(other) = other.filter(|_| method.is_default) {
        method_rows::make_default(&tx, payer.account(), other.id).await?;
    }
    tx.commit().await.map_err(app_error)?;
    if let Some(row) = told {
        notify_payer(service, &row);
    }
    Ok(())
}

/// Page of the gateway where the payer manages saved payment methods.
pub async fn portal(service: &BillingService, payer: Payer, return_url: Option<String>) -> Result<String, AppError> {
    let path =
        payments::checkout::own_path(service, return_url.as_deref().unwrap_or(payments::checkout::BILLING_PATH))?;
    let back = payments::absolute_url(&service.config, &path)?;
    for (name, gateway) in &service.payments.gateways {
        let Some(recurring) = gateway.recurring() else { continue };
        let Some(customer) = customer_of(service, payer, *name).await? else { continue };
        if let Some(url) = recurring.portal(&customer, &back).await.map_err(request_error)? {
            return Ok(url);
        }
    }
    Err(Code::GatewayOff.into())
}
