//! Completion of a demo payment: the payer chooses the outcome, which is delivered like a real event.

use ::payment::{DemoOutcome, Gateway as _, WebhookRequest};
use appcore::{AppError, Code, auth::Principal, view::Payment};
use uuid::Uuid;

use super::{find_visible, price, read, webhook_inbox};
use crate::BillingService;

/// Completes a demo payment of the caller.
pub async fn complete_demo(
    service: &BillingService,
    by: &Principal,
    id: Uuid,
    outcome: DemoOutcome,
) -> Result<Payment, AppError> {
    let row = find_visible(service, by, id).await?;
    let demo = service.payments.demo().ok_or(Code::GatewayOff)?;
    if row.gateway != demo.name().as_str() {
        return Err(AppError::refused(Code::WrongState, "This isn't a demo payment."));
    }
    let (body, (name, signature)) = demo.event(id, outcome, price(&row)?);
    let header = move |asked: &str| (asked == name).then(|| signature.clone());
    let delivery = WebhookRequest { header: &header, query: "", body: &body, now: service.clock.now() };
    let answer = webhook_inbox::receive(service, demo.name(), &delivery).await?;
    if answer.status >= 500 {
        return Err(AppError::unavailable(anyhow::anyhow!("failed to apply demo event")));
    }
    read(service, by, id).await
}
