//! Instances of the event log on a [`Stage`], and people on them.

use std::sync::Arc;

use appcore::{Language, RequestSource, UserId, config::Table};
use identity::{
    IdentityService,
    accounts::{self, Device, SignUp},
};
use platform::Core;
use stage::Stage;

use crate::EventLogService;

pub(crate) async fn on(core: Arc<Core>) -> Arc<EventLogService> {
    let identity = IdentityService::build(Arc::clone(&core)).await.unwrap();
    EventLogService::build(core, identity).await.unwrap()
}

pub(crate) async fn instance(stage: &Stage) -> Arc<EventLogService> {
    on(stage.core(stage.config(&Table::default(), &[])).await.unwrap()).await
}

pub(crate) async fn sign_up(service: &EventLogService, name: &str) -> UserId {
    let request = SignUp {
        email: format!("{}@example.com", name.to_lowercase()),
        password: "Tr1ckyHorse".to_owned(),
        display_name: name.to_owned(),
        invitation: None,
        setup_token: None,
        language: Language::En,
    };
    let here = RequestSource { address: None, is_foreign_page: false, is_local: true, country: None };
    let pair = accounts::signup(&service.identity, request, Device::default().sent_by(here)).await.unwrap();
    accounts::authenticate(&service.identity, pair.access_token.expose()).await.unwrap().user_id
}
