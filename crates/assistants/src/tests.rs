//! Test instances with assistants on a [`Stage`].

use std::sync::Arc;

use appcore::config::SettingsTable;
use billing::BillingService;
use event_log::EventLogService;
use files::FilesService;
use gateway::GatewayService;
use identity::IdentityService;
use message_search::SearchService;
use stage::Stage;

use crate::AssistantsService;

pub(crate) async fn instance(stage: &Stage) -> Arc<AssistantsService> {
    let core = stage.core(stage.config(&SettingsTable::default(), &[])).await.unwrap();
    let identity = IdentityService::build(core).await.unwrap();
    let events = EventLogService::build(Arc::clone(&identity)).await.unwrap();
    let billing = BillingService::build(identity).await.unwrap();
    let files = FilesService::build(events, Arc::clone(&billing)).unwrap();
    let gateway = GatewayService::build(billing).await.unwrap();
    AssistantsService::build(SearchService::build(files, gateway).unwrap())
}
