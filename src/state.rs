//! Builds an instance from its configuration: database, bus and services.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use app::App;
use appcore::{
    Clock, InstanceId,
    config::Config,
    event::{EventBus, MemoryBus},
};
use dbcontext::Database;
use platform::{Core, redis::Redis};
use realtime::bus::RedisBus;
use rustix::fs::Mode;

use crate::{keys, schema, tls};

/// Timeout of a call to Redis, after which a request is handled without it.
const REDIS_TIMEOUT: Duration = Duration::from_secs(1);

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
    let db = Database::connect(config.database.url.expose(), config.database.max_connections);
    let db = db.await.map_err(tls::advised)?;
    if config.migrate_on_start() {
        schema::migrate(config.database.url.expose(), &db).await?;
    } else {
        schema::require_current(&db).await?;
    }
    let config = keys::prepare(config, &db).await?;
    let (bus, redis): (Arc<dyn EventBus>, _) = match &config.redis.url {
        None => (Arc::new(MemoryBus::new()), None),
        Some(url) => {
            let pool = deadpool_redis::Config::from_url(url.expose())
                .builder()
                .context("redis.url is not a valid address of a Redis server")?
                .wait_timeout(Some(REDIS_TIMEOUT))
                .create_timeout(Some(REDIS_TIMEOUT))
                .recycle_timeout(Some(REDIS_TIMEOUT))
                .runtime(deadpool_redis::Runtime::Tokio1)
                .build()
                .context("failed to create the Redis connection pool")?;
            (
                RedisBus::start(url.expose(), instance_id)
                    .context("redis.url is not a valid address of a Redis server")?,
                Some(Redis::new(pool)),
            )
        }
    };
    App::build(Core::build(Arc::new(config), instance_id, Clock::system(), db, bus, redis).await?).await
}
