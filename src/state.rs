//! Builds an instance from its configuration: database, bus and services.

use std::sync::Arc;

use anyhow::Context as _;
use app::App;
use appcore::{
    Clock, InstanceId,
    config::Config,
    event::{EventBus, MemoryBus},
};
use dbcontext::Database;
use platform::{Core, redis::Redis};
use realtime::bus::NetworkBus;
use rustix::fs::Mode;

use crate::{keys, schema, tls};

/// Connects to the configured database and bus, and builds the services. If Redis is unavailable,
/// the instance runs with reduced function until it is available again.
pub async fn build(config: Config, instance_id: InstanceId) -> anyhow::Result<Arc<App>> {
    // Everything that the server writes is for its own user only.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let config = config.with_key_file()?;
    if !config.is_embedded() && config.auth.key_encryption_secret.is_none() {
        tracing::warn!(
            "auth.key_encryption_secret not set: anyone with a copy of the database can sign in as any user. Set it to a long \
             random text, the same on all instances, and restart them to encrypt the stored secrets"
        );
    }
    let db = Database::open(&config.database, config.database.max_connections);
    let db = db.await.map_err(tls::advised)?.with_replica(&config.database).await?;
    if config.migrate_on_start() {
        schema::migrate(config.database.url.expose(), config.database.pooler, &db).await?;
    } else {
        schema::require_current(&db).await?;
    }
    let config = keys::prepare(config, &db).await?;
    let redis = config.redis.url.as_ref().map(Redis::open).transpose().context("redis.url can't be used")?;
    let bus: Arc<dyn EventBus> = match config.bus_url() {
        None => Arc::new(MemoryBus::new()),
        Some(url) => {
            let setting = if config.bus.url.is_some() { "bus.url" } else { "redis.url" };
            NetworkBus::start(url, instance_id).with_context(|| format!("{setting} can't be used"))?
        }
    };
    App::build(Core::build(Arc::new(config), instance_id, Clock::system(), db, bus, redis).await?).await
}
