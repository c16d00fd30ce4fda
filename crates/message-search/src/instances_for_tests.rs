//! Search instances on a [`Stage`].

use std::sync::Arc;

use appcore::config::SettingsTable;
use billing::BillingService;
use event_log::EventLogService;
use files::FilesService;
use gateway::GatewayService;
use identity::IdentityService;
use stage::Stage;

use crate::SearchService;

/// Starts another instance on a stage, with its indexer.
pub(crate) async fn instance(stage: &Stage) -> Arc<SearchService> {
    let core = stage.core(stage.config(&SettingsTable::default(), &[])).await.unwrap();
    let identity = IdentityService::build(core).await.unwrap();
    let events = EventLogService::build(Arc::clone(&identity)).await.unwrap();
    let billing = BillingService::build(identity).await.unwrap();
    let files = FilesService::build(events, Arc::clone(&billing)).unwrap();
    let gateway = GatewayService::build(billing).await.unwrap();
    let service = SearchService::build(files, gateway).unwrap();
    service.start();
    service
}
