//! One instance, put together from its configuration: database, bus, services.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use appcore::{
    Clock, InstanceId,
    config::Config,
    event::{EventBus, MemoryBus},
};
use dbcontext::Database;
use realtime::bus::RedisBus;
use service::{App, redis::Redis};

use crate::schema;

/// How long a request waits for Redis before it goes on without.
const REDIS_PATIENCE: Duration = Duration::from_secs(1);

/// Opens what the configuration names and starts the services on it. Redis may be away: the instance then serves what it can, and heals.
pub async fn build(config: Config) -> anyhow::Result<Arc<App>> {
    let instance_id = InstanceId::new();
    let db = Database::connect(config.database.url.expose(), config.database.max_connections).await?;
    if config.migrate_on_start() {
        schema::migrate_up(&db).await?;
    } else {
        schema::require_current(&db).await?;
    }
    let (bus, redis): (Arc<dyn EventBus>, _) = match &config.redis.url {
        None => (Arc::new(MemoryBus::new()), None),
        Some(url) => {
            let pool = deadpool_redis::Config::from_url(url.expose())
                .builder()
                .context("redis.url is not a valid address of a Redis server")?
                .wait_timeout(Some(REDIS_PATIENCE))
                .create_timeout(Some(REDIS_PATIENCE))
                .recycle_timeout(Some(REDIS_PATIENCE))
                .runtime(deadpool_redis::Runtime::Tokio1)
                .build()
                .context("the pool of Redis connections can't be made")?;
            (
                RedisBus::start(url.expose(), instance_id)
                    .context("redis.url is not a valid address of a Redis server")?,
                Some(Redis::new(pool)),
            )
        }
    };
    App::build(Arc::new(config), instance_id, Clock::system(), db, bus, redis).await
}
