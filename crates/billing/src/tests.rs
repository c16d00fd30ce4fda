//! Test instances with payments on a [`Stage`].

use std::sync::Arc;

use appcore::config::SettingsTable;
use identity::IdentityService;
use stage::Stage;

use crate::{BillingService, payments};

/// Builds another instance on the stage, with the demo payment gateway enabled.
pub(crate) async fn instance(stage: &Stage) -> Arc<BillingService> {
    let config = stage.config(&SettingsTable::with_settings(payments::settings()), &[("payment.demo.enabled", "true")]);
    let identity = IdentityService::build(stage.core(config).await.unwrap()).await.unwrap();
    let service = BillingService::build(identity).await.unwrap();
    service.start();
    service
}
