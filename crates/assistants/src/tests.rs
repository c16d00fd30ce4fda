//! Instances with assistants on a [`Stage`].

use std::sync::Arc;

use appcore::config::Table;
use billing::BillingService;
use event_log::EventLogService;
use files::FilesService;
use gateway::GatewayService;
use identity::IdentityService;
use message_search::SearchService;
use stage::Stage;

use crate::AssistantsService;

pub(crate) async fn instance(stage: &Stage) -> Arc<AssistantsService> {
    let core = stage.core(stage.config(&Table::default(), &[])).await.unwrap();
    let identity = IdentityService::build(Arc::clone(&core)).await.unwrap();
    let events = EventLogService::build(Arc::clone(&core), Arc::clone(&identity)).await.unwrap();
    let billing = BillingService::build(Arc::clone(&core), Arc::clone(&identity)).await.unwrap();
    let files = FilesService::build(Arc::clone(&core), Arc::clone(&events), Arc::clone(&billing)).unwrap();
    let gateway = GatewayService::build(Arc::clone(&core), Arc::clone(&identity), Arc::clone(&billing)).await.unwrap();
    let (index_core, people, log) = (Arc::clone(&core), Arc::clone(&identity), Arc::clone(&events));
    let search = SearchService::build(index_core, people, log, Arc::clone(&files), Arc::clone(&gateway)).unwrap();
    AssistantsService::build(core, identity, events, billing, files, gateway, search)
}
