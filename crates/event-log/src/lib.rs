//! Event log of conversations and its consumers: the writer of durable events, receipts, typing
//! indicators, notifications and push.
//!
//! Owns the tables of events, messages, read positions, notifications and push subscriptions. All
//! changes of a conversation go through its [`Writer`](events::Writer). Depends on the crate
//! `identity` and the layers below it, but not on the features that change conversations.

pub mod access;
pub mod events;
pub mod notifications;
pub mod pending_events;
pub mod push;
pub mod receipts;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod typing;

use std::{ops::Deref, sync::Arc};

use identity::IdentityService;
use platform::Core;

use crate::{
    events::{MessagePartitions, OutboxPublisher, Outboxes, Writer, WriterLimits, partitions, retention},
    push::Push,
    receipts::Receipts,
};

/// Event log and notification services of an instance. Dereferences to [`Core`].
pub struct EventLogService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    /// Commits changes of conversations; the only writer of events.
    pub writer: Writer,
    pub receipts: Receipts,
    pub push: Push,
}

impl EventLogService {
    /// Starts the writer and loads the Web Push keys. On the first start, generates these keys.
    pub async fn build(identity: Arc<IdentityService>) -> anyhow::Result<Arc<Self>> {
        let partitions = MessagePartitions::load(&identity.db, identity.config.database.partitions).await?;
        let core = Arc::clone(&identity.core);
        let Core { db, bus, clock, config, .. } = &*core;
        stream::check_support(&config.events)?;
        let writer = Writer::start(
            db.clone(),
            Arc::clone(bus),
            clock.clone(),
            WriterLimits::from_config(config),
            Outboxes { bus: Self::has_relay(&core), stream: config.events.url.is_some() },
            partitions,
        );
        let receipts = Receipts::start(db.clone(), Arc::clone(bus), clock.clone(), config.realtime.small_conversation);
        let push = Push::load(db, config).await?;
        stream::record_user_events(&core).await?;
        Ok(Arc::new(Self { core, identity, writer, receipts, push }))
    }

    /// Starts the background tasks: outbox publisher, partitions, event retention and notifier.
    pub fn start(self: &Arc<Self>) {
        if Self::has_relay(&self.core) {
            tokio::spawn(OutboxPublisher::run(Arc::clone(self)));
        }
        stream::start(self);
        if !self.db.is_sqlite() {
            tokio::spawn(partitions::run(Arc::clone(self)));
        }
        let retention_days = self.config.messages.event_retention_days;
        if retention_days > 0 {
            tokio::spawn(retention::run(Arc::clone(self), retention_days));
        }
        notifications::start(self);
    }

    /// True if committed events may remain unpublished after a crash. On SQLite they can't: this
    /// process is the only instance, so after a crash no client is connected.
    fn has_relay(core: &Core) -> bool {
        !core.db.is_sqlite()
    }
}

impl Deref for EventLogService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}
