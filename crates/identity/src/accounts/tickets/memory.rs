//! In-memory ticket store of a single instance.

use async_trait::async_trait;
use moka::future::Cache;

use super::{TICKET_TTL, TicketHolder, TicketStore};

/// Maximum number of unused tickets; the oldest are evicted.
const MAX_TICKETS: u64 = 100_000;

pub struct MemoryTickets(Cache<Vec<u8>, TicketHolder>);

impl MemoryTickets {
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a default store would be misleading")]
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_TICKETS).time_to_live(TICKET_TTL).build())
    }
}

#[async_trait]
impl TicketStore for MemoryTickets {
    async fn store(&self, fingerprint: &[u8], holder: TicketHolder) {
        self.0.insert(fingerprint.to_vec(), holder).await;
    }

    async fn consume(&self, fingerprint: &[u8]) -> Option<TicketHolder> {
        self.0.remove(fingerprint).await
    }
}
