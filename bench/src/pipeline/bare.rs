//! Baseline handler: plain actix-web with the same services, but without logging, firewall,
//! headers, CORS, limits, guard and content negotiation.

use std::sync::Arc;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::header::AUTHORIZATION, web};
use anyhow::Context;
use appcore::{
    Clock, InstanceId,
    config::{self, SettingsTable},
    envelope::Success,
    event::MemoryBus,
};
use dbcontext::Database;
use identity::{IdentityService, accounts};
use platform::Core;

use super::PATH;

/// Command line flag with which this program serves the baseline handler.
pub const FLAG: &str = "--bare-handler";

pub fn arguments() -> Vec<String> {
    vec![FLAG.to_owned()]
}

/// Serves until the process is killed.
pub fn serve() -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let table = SettingsTable::with_settings(billing::payments::settings());
        let config = config::load(&table, None).context("the configuration")?.config;
        let address = (config.server.host.clone(), config.server.port);
        let db = Database::connect(config.database.url.expose(), config.database.max_connections).await?;
        let bus = Arc::new(MemoryBus::new());
        let core = Core::build(Arc::new(config), InstanceId::new(), Clock::system(), db, bus, None).await?;
        let identity = web::Data::from(IdentityService::build(core).await?);
        HttpServer::new(move || App::new().app_data(identity.clone()).route(PATH, web::get().to(me)))
            .workers(1)
            .bind(address)?
            .run()
            .await
            .context("failed to start the baseline handler")
    })
}

async fn me(http: HttpRequest, identity: web::Data<IdentityService>) -> HttpResponse {
    let header = http.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = header.and_then(|text| text.strip_prefix("Bearer ")) else {
        return HttpResponse::Unauthorized().finish();
    };
    let Ok(caller) = accounts::authenticate(&identity, token).await else {
        return HttpResponse::Unauthorized().finish();
    };
    match accounts::me(&identity, &caller).await {
        Ok(user) => HttpResponse::Ok().json(Success::new(&user)),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
