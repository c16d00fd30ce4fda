//! Health of the payment gateways, and their last events.

use std::time::{Duration, Instant};

use ::payment::GatewayName;
use appcore::{
    AppError, Code,
    view::{AdminPaymentGateway, ProviderTest},
};
use dbcontext::query::payments as rows;

use super::payment_toggles;
use crate::BillingService;

/// Age of an open payment from which it counts as waiting.
const WAITING_AGE: Duration = Duration::from_secs(10 * 60);

/// Lists the payment gateways with their last events.
pub async fn health(service: &BillingService) -> Result<Vec<AdminPaymentGateway>, AppError> {
    let before = service.clock.now().minus(WAITING_AGE);
    let mut found = Vec::new();
    for gateway in payment_toggles::gateways(service) {
        let heard = rows::gateway_health(service.db.reader(), &gateway.name, before).await?;
        found.push(AdminPaymentGateway {
            gateway,
            last_event_at: heard.last_event_at,
            last_paid_at: heard.last_paid_at,
            waiting: heard.waiting,
            refunds_waiting: heard.refunds_waiting,
            refunds_stuck: heard.refunds_stuck,
        });
    }
    Ok(found)
}

/// Tests a gateway with a request without side effects.
pub async fn test(service: &BillingService, name: GatewayName) -> Result<ProviderTest, AppError> {
    let gateway = service.payments.gateway(name).ok_or(Code::NotFound)?;
    let asked = Instant::now();
    Ok(match gateway.probe(service.clock.now()).await {
        Ok(()) => {
            let latency_ms = Some(u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX));
            ProviderTest { ok: true, latency_ms, error: None }
        }
        Err(error) => ProviderTest { ok: false, latency_ms: None, error: Some(error.to_string()) },
    })
}
