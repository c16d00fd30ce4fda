//! Tickets in Redis, which any instance of a cluster accepts. While Redis is unavailable, an
//! instance stores the tickets that it issues. A client that then reaches another instance has to
//! request a new ticket.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::cmd;
use platform::redis::Redis;

use super::{MemoryTickets, TICKET_TTL, TicketHolder, TicketStore};

/// Timeout of a Redis request.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

pub struct RedisTickets {
    redis: Redis,
    own: MemoryTickets,
}

impl RedisTickets {
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, own: MemoryTickets::new() }
    }

    async fn set(&self, fingerprint: &[u8], holder: &TicketHolder) -> anyhow::Result<()> {
        let value = serde_json::to_vec(holder)?;
        let mut connection = self.redis.connection().await?;
        let mut command = cmd("SET");
        command.arg(key(fingerprint)).arg(value).arg("PX").arg(TICKET_TTL.as_millis() as u64);
        command.query_async::<()>(&mut connection).await?;
        Ok(())
    }

    async fn get_and_delete(&self, fingerprint: &[u8]) -> anyhow::Result<Option<TicketHolder>> {
        let mut connection = self.redis.connection().await?;
        let value: Option<Vec<u8>> = cmd("GETDEL").arg(key(fingerprint)).query_async(&mut connection).await?;
        Ok(value.map(|value| serde_json::from_slice(&value)).transpose()?)
    }
}

fn key(fingerprint: &[u8]) -> Vec<u8> {
    [b"natter:ticket:", fingerprint].concat()
}

#[async_trait]
impl TicketStore for RedisTickets {
    async fn store(&self, fingerprint: &[u8], holder: TicketHolder) {
        let kept = self.redis.execute(REDIS_TIMEOUT, self.set(fingerprint, &holder)).await;
        if kept.is_err() {
            tracing::debug!("Redis unavailable, storing ticket locally");
            self.own.store(fingerprint, holder).await;
        }
    }

    async fn consume(&self, fingerprint: &[u8]) -> Option<TicketHolder> {
        if let Some(holder) = self.own.consume(fingerprint).await {
            return Some(holder);
        }
        self.redis.execute(REDIS_TIMEOUT, self.get_and_delete(fingerprint)).await.ok()?
    }
}
