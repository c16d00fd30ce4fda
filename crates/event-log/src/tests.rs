//! Test instances of the event log on a [`Stage`], with users.

use std::sync::Arc;

use appcore::{UserId, config::SettingsTable};
use identity::IdentityService;
use platform::Core;
use stage::Stage;

use crate::EventLogService;

pub(crate) async fn on(core: Arc<Core>) -> Arc<EventLogService> {
    EventLogService::build(IdentityService::build(core).await.unwrap()).await.unwrap()
}

pub(crate) async fn instance(stage: &Stage) -> Arc<EventLogService> {
    on(stage.core(stage.config(&SettingsTable::default(), &[])).await.unwrap()).await
}

pub(crate) async fn sign_up(service: &EventLogService, name: &str) -> UserId {
    let pair = stage::sign_up(&service.identity, name).await;
    stage::principal(&service.identity, &pair).await.user_id
}
