//! The log of a conversation and those who follow it: the writer of durable events, receipts, typing, notifications and push.
//!
//! Owns the rows of events, messages as they are written, read positions, notifications and push registrations. Every change of a conversation
//! goes through its [`Writer`](events::Writer). Uses `identity` and what stands below it; nothing here knows why a conversation is changed.

pub mod access;
pub mod events;
pub mod notifications;
pub mod push;
pub mod receipts;
#[cfg(test)]
mod tests;
pub mod typing;

use std::{ops::Deref, sync::Arc};

use identity::IdentityService;
use platform::Core;

use crate::{
    events::{Relay, Writer, WriterLimits, retention},
    push::Push,
    receipts::Receipts,
};

/// State of the event log and of notifications of an instance. Dereferences to [`Core`].
pub struct EventLogService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    /// Commits changes of conversations. Nothing else writes events.
    pub writer: Writer,
    pub receipts: Receipts,
    pub push: Push,
}

impl EventLogService {
    /// Starts the writer, and reads the keys of Web Push, making them if there are none.
    pub async fn build(identity: Arc<IdentityService>) -> anyhow::Result<Arc<Self>> {
        let core = Arc::clone(&identity.core);
        let Core { db, bus, clock, config, .. } = &*core;
        let writer =
            Writer::start(db.clone(), Arc::clone(bus), clock.clone(), WriterLimits::of(config), Self::has_relay(&core));
        let receipts = Receipts::start(db.clone(), Arc::clone(bus), clock.clone(), config.realtime.small_conversation);
        let push = Push::load(db, config).await?;
        Ok(Arc::new(Self { core, identity, writer, receipts, push }))
    }

    /// Starts what runs until the instance stops: the relay, retention of events, and the notifier.
    pub fn start(self: &Arc<Self>) {
        if Self::has_relay(&self.core) {
            tokio::spawn(Relay::run(Arc::clone(self)));
        }
        let retention_days = self.config.messages.event_retention_days;
        if retention_days > 0 {
            tokio::spawn(retention::keep(Arc::clone(self), retention_days));
        }
        notifications::start(self);
    }

    /// Whether committed events may be unpublished after a crash. On SQLite this process is the only one: nobody was connected then.
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
