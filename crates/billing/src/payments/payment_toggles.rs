//! Gateway switches: stored in the database, cached on every instance.

use std::sync::{Arc, PoisonError, Weak};

use ::payment::{Currency, Gateway, GatewayName};
use appcore::{
    AppError, Code,
    auth::Principal,
    event::{BusMessage, Listener, Signal},
    view::PaymentGateway,
};
use dbcontext::{constraint::app_error, query::payments as rows};
use jobs::catch_panic;
use platform::audit::{self, Action, NewAuditEntry};

use crate::{BillingService, entitlements};

/// Lists the payment gateways of this installation.
#[must_use]
pub fn gateways(service: &BillingService) -> Vec<PaymentGateway> {
    let payments = &service.payments;
    let view = |(name, gateway): (&GatewayName, &Arc<dyn Gateway>)| {
        let taken = Currency::ALL.iter().filter(|one| gateway.limits(**one).is_some());
        PaymentGateway {
            name: name.as_str().to_owned(),
            enabled: payments.is_enabled(*name),
            saves_methods: gateway.recurring().is_some(),
            currencies: taken.map(|one| one.code().to_owned()).collect(),
            is_demo: gateway.demo().is_some(),
        }
    };
    payments.gateways.iter().map(view).collect()
}

/// Switches a gateway on or off, on all instances.
pub async fn set_enabled(
    service: &BillingService,
    by: &Principal,
    name: GatewayName,
    enabled: bool,
) -> Result<PaymentGateway, AppError> {
    service.payments.gateway(name).ok_or(Code::NotFound)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::set_toggle(&tx, name.as_str(), enabled).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::GatewaySwitched, Some(format!("{name}:{enabled}"))))
        .await?;
    tx.commit().await.map_err(app_error)?;
    reload(service).await?;
    drop(service.bus.publish(vec![BusMessage::Signal(Signal::PaymentSwitchesChanged)]));
    gateways(service).into_iter().find(|gateway| gateway.name == name.as_str()).ok_or_else(|| Code::NotFound.into())
}

/// Reloads the switches.
pub(crate) async fn reload(service: &BillingService) -> Result<(), AppError> {
    let found = rows::toggles(service.db.writer()).await?;
    let switches = found.into_iter().filter_map(|(name, enabled)| Some((name.parse().ok()?, enabled))).collect();
    *service.payments.switches.write().unwrap_or_else(PoisonError::into_inner) = switches;
    Ok(())
}

/// Handles bus messages: reloads the switches when they change, and passes answers about connected users to the
/// entitlement notifier.
pub(crate) async fn handle_bus_messages(service: Weak<BillingService>, mut listener: Listener) {
    loop {
        {
            let Some(service) = service.upgrade() else { return };
            if let Err(error) = catch_panic(reload(&service)).await {
                tracing::warn!(%error, "failed to read payment gateway switches");
            }
        }
        loop {
            match tokio::time::timeout(super::reconciler::RELOAD_INTERVAL, listener.recv()).await {
                Ok(Some(BusMessage::Signal(Signal::PaymentSwitchesChanged | Signal::Gap))) | Err(_) => break,
                Ok(Some(BusMessage::Signal(Signal::ConnectionReply { asked_by, user_id }))) => {
                    if let Some(service) = service.upgrade().filter(|service| service.instance_id == asked_by) {
                        entitlements::handle_connected(service, user_id);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
            }
        }
    }
}
