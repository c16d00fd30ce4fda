//! Charging what a payer has saved.
//!
//! A payment is prepared at the gateway, its reference is stored, and then that very payment is charged: however often this is done, and whatever
//! dies in between, it is paid once.

use ::payment::{ChargeAttempt, ChargeOrder, ChargeResult, GatewayError, KnownPayment, PaymentUpdate, PayerPresence, RemoteState, Snapshot, Stage};
use appcore::{AppError, Code};
use dbcontext::{
    constraint::app_error,
    entity::{payment, payment_method},
    query::{payments as rows, plans as plan_rows},
};
use url::Url;
use uuid::Uuid;

use super::{address_of, apply, gateway_of, known, price, reconciler};
use crate::BillingService;

/// How something is charged.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChargeOptions {
    pub presence: PayerPresence,
    /// Another try with this number is no other charge.
    pub attempt: i64,
    /// It was tried before: what became of that is asked first.
    pub fetch_first: bool,
}

impl ChargeOptions {
    /// The payer is there, and can confirm it.
    pub const PRESENT: Self = Self { presence: PayerPresence::Present, attempt: 1, fetch_first: false };
}

/// Has the gateway charge a payment that is written down. None: the gateway doesn't know yet.
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
            tracing::warn!(reason, payment = %payment.id, "a charge is refused");
            Ok(Some(ChargeResult::declined()))
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
        // Somebody may have been faster: theirs is charged, and ours never.
        if locked.reference.is_none() {
            locked.reference = Some(reference);
            apply::step(&mut locked, Stage::Pending)?;
            rows::store(&tx, locked.clone()).await?;
        }
        tx.commit().await.map_err(app_error)?;
        payment = locked;
    }
    let asked: KnownPayment<'_> = known(service, &payment)?;
    if how.fetch_first {
        match gateway.fetch(&asked).await {
            Ok(paid @ Snapshot { remote: RemoteState::Paid(_), .. }) => return Ok(Some(ChargeResult::known(paid))),
            Ok(_) => {}
            // That it won't tell is nothing about the charge.
            Err(error) => return Err(AppError::unavailable(error)),
        }
    }
    let return_url = return_url(service, &payment)?;
    let attempt =
        ChargeAttempt { method: &method.reference, presence: how.presence, number: how.attempt, return_url: &return_url };
    match recurring.charge(&asked, &attempt).await {
        Ok(ChargeResult { snapshot: Snapshot { remote: RemoteState::Open | RemoteState::Approved, .. }, redirect_url: None }) => {
            Ok(None)
        }
        Ok(charged) => Ok(Some(charged)),
        Err(error) => failed(error),
    }
}

/// Where a gateway sends the payer's browser back to.
pub(super) fn return_url(service: &BillingService, row: &payment::Model) -> Result<Url, AppError> {
    address_of(&service.config, &format!("/r1/payments/callback/{}?payment={}", row.gateway, row.id))
}

/// What the gateway said, under the payment's lock.
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
    reconciler::apply_news(service, payment_id, Some(&news)).await
}

/// Charges a payment whose payer is there. What the payer has to confirm is then waited for. Answers the payment as it is now.
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
