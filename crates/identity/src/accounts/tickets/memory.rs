//! Tickets of an instance that is alone.

use async_trait::async_trait;
use moka::future::Cache;

use super::{TicketHolder, TICKET_TTL, TicketStore};

/// The most unused tickets of one person; the oldest are dropped.
const MAX_TICKETS: u64 = 100_000;

pub struct MemoryTickets(Cache<Vec<u8>, TicketHolder>);

impl MemoryTickets {
    #[must_use]
    #[allow(clippy::new_without_default, reason = "an empty store is no default value")]
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_TICKETS).time_to_live(TICKET_TTL).build())
    }
}

#[async_trait]
impl TicketStore for MemoryTickets {
    async fn put(&self, fingerprint: &[u8], holder: TicketHolder) {
        self.0.insert(fingerprint.to_vec(), holder).await;
    }

    async fn take(&self, fingerprint: &[u8]) -> Option<TicketHolder> {
        self.0.remove(fingerprint).await
    }
}
