//! Charges of saved payment methods.
//!
//! A payment is prepared at the gateway, its reference is stored, and then exactly this payment is charged. It is paid
//! once, however often the steps are repeated and wherever a process dies in between.

use ::payment::{
    ChargeAttempt, ChargeOrder, ChargeResult, GatewayError, KnownPayment, PayerPresence, PaymentUpdate, RemoteState,
    Snapshot, Stage,
};
use appcore::{AppError, Code};
use dbcontext::{
    constraint::app_error,
    entity::{payment, payment_method},
    query::{payments as rows, plans as plan_rows},
};
use url::Url;
use uuid::Uuid;

use super::{absolute_url, apply, gateway_of, known_payment, price, reconciler};
use crate::BillingService;

/// Parameters of a charge attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChargeOptions {
    pub presence: PayerPresence,
    /// Attempt number; repeating an attempt with the same number doesn't charge again.
    pub attempt: i64,
    /// True after an earlier attempt: its outcome is fetched first.
    pub fetch_first: bool,
}

impl ChargeOptions {
    /// The payer is present, and can confirm the charge.
    pub const PRESENT: Self = Self { presence: PayerPresence::Present, attempt: 1, fetch_first: false };
}

/// Charges a stored payment at the gateway. Returns `None` if the outcome is not known yet.
pub(super) async fn charge(
    service: &BillingService,
    payment: &payment::Model,
    method: &payment_method::Model,
    how: ChargeOptions,
) -> Result<Option<ChargeResult>, AppError> {
    let gateway = gateway_of(service, payment)?;
    let recurring = gateway.recurring().ok_or(Code::GatewayOff)?;
    let failed = |error: GatewayError| match error {
        GatewayError::Rejected(reason) => {
            tracing::warn!(reason, payment = %payment.id, "charge declined");
            Ok(Some(ChargeResult::new_declined()))
        }
        away @ GatewayError::OutcomeUnknown(_) => Err(AppError::unavailable(away)),
    };
    let mut payment = payment.clone();
    if payment.reference.is_none() {
        let plan = plan_rows::by_id(service.db.reader(), payment.plan_id).await?.ok_or(Code::NotFound)?;
        let order = ChargeOrder {
            payment_id: payment.id,
            price: price(&payment)?,
            title: &plan.name,
            customer: &method.customer,
            method: &method.reference,
            presence: how.presence,
        };
        let reference = match recurring.prepare(&order).await {
            Ok(reference) => reference,
            Err(error) => return failed(error),
        };
        let tx = service.db.begin().await.map_err(app_error)?;
        let mut locked = rows::lock(&tx, payment.id).await?.ok_or(Code::NotFound)?;
        // A concurrent call may have stored its reference first. Then the payment of that reference is charged, and the
        // one prepared here never.
        if locked.reference.is_none() {
            locked.reference = Some(reference);
            apply::advance_stage(&mut locked, Stage::Pending)?;
            rows::store(&tx, locked.clone()).await?;
        }
        tx.commit().await.map_err(app_error)?;
        payment = locked;
    }
    let asked: KnownPayment<'_> = known_payment(service, &payment)?;
    if how.fetch_first {
        match gateway.fetch(&asked).await {
            Ok(paid @ Snapshot { remote: RemoteState::Paid(_), .. }) => {
                return Ok(Some(ChargeResult::from_snapshot(paid)));
            }
            Ok(_) => {}
            // A failed fetch says nothing about the charge.
            Err(error) => return Err(AppError::unavailable(error)),
        }
    }
    let return_url = return_url(service, &payment)?;
    let attempt = ChargeAttempt {
        method: &method.reference,
        presence: how.presence,
        number: how.attempt,
        return_url: &return_url,
    };
    match recurring.charge(&asked, &attempt).await {
        Ok(ChargeResult {
            snapshot: Snapshot { remote: RemoteState::Open | RemoteState::Approved, .. },
            redirect_url: None,
        }) => Ok(None),
        Ok(charged) => Ok(Some(charged)),
        Err(error) => failed(error),
    }
}

/// URL to which the gateway sends the payer's browser back.
pub(super) fn return_url(service: &BillingService, row: &payment::Model) -> Result<Url, AppError> {
    absolute_url(&service.config, &format!("/r1/payments/callback/{}?payment={}", row.gateway, row.id))
}

/// Applies the gateway's answer, under the payment's lock.
pub(super) async fn apply_charge(
    service: &BillingService,
    payment_id: Uuid,
    snapshot: Snapshot,
) -> Result<(), AppError> {
    let news = match snapshot.remote {
        RemoteState::Paid(money) => PaymentUpdate::Paid { money, charge: snapshot.charge },
        RemoteState::Failed | RemoteState::Expired => PaymentUpdate::Failed,
        RemoteState::Open | RemoteState::Approved => return Ok(()),
    };
    reconciler::apply_update(service, payment_id, Some(&news)).await
}

/// Charges a payment while the payer is present, who may have to confirm it afterwards. Returns the current payment.
pub(super) async fn charge_present(
    service: &BillingService,
    row: &payment::Model,
    method: &payment_method::Model,
) -> Result<payment::Model, AppError> {
    if let Some(ChargeResult { snapshot, redirect_url }) = charge(service, row, method, ChargeOptions::PRESENT).await? {
        if let Some(url) = redirect_url {
            let tx = service.db.begin().await.map_err(app_error)?;
            let mut locked = rows::lock(&tx, row.id).await?.ok_or(Code::NotFound)?;
            locked.redirect_url = Some(url);
            rows::store(&tx, locked).await?;
            tx.commit().await.map_err(app_error)?;
        }
        apply_charge(service, row.id, snapshot).await?;
    }
    rows::by_id(service.db.writer(), row.id).await?.ok_or_else(|| Code::NotFound.into())
}
