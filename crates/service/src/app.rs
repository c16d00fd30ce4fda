//! What every service works with. Built once, passed by reference.

use std::sync::Arc;

use appcore::{Clock, InstanceId, config::Config, event::EventBus};
use dbcontext::Database;

use crate::{events::Writer, receipts::Receipts};

/// One instance of the program.
pub struct App {
    pub config: Arc<Config>,
    pub instance_id: InstanceId,
    pub clock: Clock,
    pub db: Database,
    pub bus: Arc<dyn EventBus>,
    /// None: this instance is alone.
    pub redis: Option<deadpool_redis::Pool>,
    /// The one way to change a conversation.
    pub writer: Writer,
    pub receipts: Receipts,
}

impl App {
    /// Puts the instance together and starts its writer; the database is migrated already.
    pub async fn build(
        config: Arc<Config>, instance_id: InstanceId, clock: Clock, db: Database, bus: Arc<dyn EventBus>, redis: Option<deadpool_redis::Pool>,
    ) -> anyhow::Result<Arc<Self>> {
        let writer = Writer::start(db.clone(), Arc::clone(&bus), clock.clone(), redis.is_some());
        let receipts = Receipts::start(db.clone(), Arc::clone(&bus), clock.clone());
        Ok(Arc::new(Self { config, instance_id, clock, db, bus, redis, writer, receipts }))
    }
}
