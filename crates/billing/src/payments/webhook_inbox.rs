//! Webhook inbox: events are verified, then stored and applied in one transaction.

use ::payment::{
    Gateway, GatewayName, PaymentUpdate, PaymentWebhookEvent, PaymentWebhookTransport, VerifyError, WebhookOutcome,
    WebhookRequest, WebhookResponse, WebhookSubject,
};
use appcore::{AppError, Code, PaymentMethodSetupId};
use dbcontext::{constraint::app_error, entity::payment_event, query::payments as rows};

use super::{apply, reconciler, setups::FinishSetupJob};
use crate::BillingService;

/// Maximum size of an event, in bytes.
pub const MAX_EVENT_SIZE: usize = 256 * 1024;

/// Webhook transport of a gateway of this instance.
pub fn webhook_transport(service: &BillingService, name: GatewayName) -> Result<PaymentWebhookTransport, AppError> {
    service.payments.gateway(name).map(|gateway| gateway.webhook_transport()).ok_or_else(|| Code::NotFound.into())
}

/// Handles a webhook request, and returns the answer that the gateway expects. An internal failure is reported as such,
/// so that the gateway repeats the event.
pub async fn receive(
    service: &BillingService,
    name: GatewayName,
    delivery: &WebhookRequest<'_>,
) -> Result<WebhookResponse, AppError> {
    let gateway = service.payments.gateway(name).ok_or(Code::NotFound)?;
    let outcome = match process(service, gateway.as_ref(), delivery).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(%error, gateway = name.as_str(), "failed to apply gateway event");
            WebhookOutcome::OurFailure
        }
    };
    Ok(gateway.webhook_response(outcome))
}

async fn process(
    service: &BillingService,
    gateway: &dyn Gateway,
    delivery: &WebhookRequest<'_>,
) -> Result<WebhookOutcome, AppError> {
    let name = gateway.name().as_str();
    let verified = match gateway.verify(delivery).await {
        Ok(verified) => verified,
        Err(VerifyError::Signature(reason)) => {
            tracing::warn!(gateway = name, reason, "gateway event rejected: invalid signature");
            return Ok(WebhookOutcome::BadSignature);
        }
        Err(VerifyError::Unverifiable(error)) => return Err(AppError::unavailable(error)),
    };
    let (Ok(notice), Ok(raw)) = (gateway.parse_event(&verified), std::str::from_utf8(verified.raw())) else {
        tracing::error!(gateway = name, "failed to parse signed gateway event");
        return Ok(WebhookOutcome::BadSignature);
    };
    if raw.len() > MAX_EVENT_SIZE || raw.contains('\0') {
        tracing::error!(gateway = name, event = notice.event_id, "gateway event too large to store");
        return Ok(WebhookOutcome::BadSignature);
    }
    let raw = raw.to_owned();
    store(service, gateway, notice, raw).await
}

/// Stores and applies an event atomically.
pub(super) async fn store(
    service: &BillingService,
    gateway: &dyn Gateway,
    notice: PaymentWebhookEvent,
    raw: String,
) -> Result<WebhookOutcome, AppError> {
    let (name, now) = (gateway.name().as_str(), service.clock.now());
    // Requests to the gateway are made before anything is locked.
    let notice = gateway.confirm(notice, now).await.map_err(AppError::unavailable)?;
    let captured = match (&notice.news, &notice.about) {
        (PaymentUpdate::Approved, WebhookSubject::Reference(reference)) => {
            match rows::by_reference(service.db.writer(), name, reference).await? {
                Some(row) => reconciler::capture(service, &row).await?,
                None => None,
            }
        }
        _ => None,
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    let event = payment_event::Model {
        gateway: name.to_owned(),
        event_id: notice.event_id.clone(),
        kind: notice.kind.clone(),
        raw,
        notice: serde_json::to_string(&notice).map_err(AppError::internal)?,
        awaited_subject: None,
        payment_id: None,
        verified_at: now,
        applied_at: Some(now),
        charge: None,
    };
    if !rows::insert_event(&tx, event).await? {
        return Ok(WebhookOutcome::AppliedBefore);
    }
    if let WebhookSubject::Setup(id) = notice.about {
        if notice.is_ours {
            let setup_id = PaymentMethodSetupId(id);
            jobs::enqueue(&tx, now, &FinishSetupJob { setup_id }).await?;
        }
        rows::mark_event(&tx, name, &notice.event_id, None, None, Some(now)).await?;
        tx.commit().await.map_err(app_error)?;
        return Ok(WebhookOutcome::Applied);
    }
    let id = match &notice.about {
        WebhookSubject::Payment(id) => rows::by_id(&tx, *id).await?.filter(|row| row.gateway == name).map(|row| row.id),
        WebhookSubject::Reference(reference) => rows::by_reference(&tx, name, reference).await?.map(|row| row.id),
        WebhookSubject::Charge(charge) => rows::by_charge(&tx, name, charge).await?.map(|row| row.id),
        WebhookSubject::Setup(_) | WebhookSubject::Nothing => None,
    };
    let locked = match id {
        Some(id) => rows::lock(&tx, id).await?,
        None => None,
    };
    let Some(mut row) = locked else {
        let awaited_subject = match &notice.about {
            WebhookSubject::Charge(charge) if notice.news != PaymentUpdate::Other => Some(format!("charge:{charge}")),
            _ => None,
        };
        let applied_at = awaited_subject.is_none().then_some(now);
        rows::mark_event(&tx, name, &notice.event_id, None, awaited_subject.as_deref(), applied_at).await?;
        tx.commit().await.map_err(app_error)?;
        let is_known = matches!(notice.about, WebhookSubject::Nothing)
            || notice.news == PaymentUpdate::Other
            || awaited_subject.is_some();
        return Ok(if is_known { WebhookOutcome::Applied } else { WebhookOutcome::UnknownPayment });
    };
    let payment_id = row.id;
    let before = row.clone();
    let notice = match captured {
        Some(news) => PaymentWebhookEvent { news, ..notice },
        None => notice,
    };
    let applied = apply::apply(service, &tx, &mut row, &notice, now).await?;
    let awaited_subject = (applied == apply::Applied::Deferred).then(|| format!("payment:{payment_id}"));
    let applied_at = awaited_subject.is_none().then_some(now);
    rows::mark_event(&tx, name, &notice.event_id, Some(payment_id), awaited_subject.as_deref(), applied_at).await?;
    if applied == apply::Applied::Done {
        apply::apply_deferred(service, &tx, &mut row, now).await?;
    }
    rows::store(&tx, row.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    apply::notify_payer(service, &before, &row);
    Ok(if applied == apply::Applied::WrongAmount { WebhookOutcome::WrongAmount } else { WebhookOutcome::Applied })
}
