//! Conformance tests for all ticket stores.

use std::sync::Arc;

use appcore::{SessionId, Timestamp, UserId};
use deadpool_redis::redis::cmd;
use platform::redis::Redis;

use super::*;

fn holder() -> TicketHolder {
    TicketHolder { user_id: UserId::new(), credential: Credential::Session(SessionId::new()), expires_at: Timestamp(1) }
}

/// Fingerprint that no other run has used.
fn fingerprint() -> Vec<u8> {
    token::hash_token(&token::random_token().unwrap())
}

async fn keeps_what_a_store_of_tickets_promises(store: Arc<dyn TicketStore>) {
    let (known, holder) = (fingerprint(), holder());
    store.store(&known, holder.clone()).await;
    assert_eq!(store.consume(&fingerprint()).await, None, "unknown");
    assert_eq!(store.consume(&known).await, Some(holder));
    assert_eq!(store.consume(&known).await, None, "rejected the second time");

    let contested = fingerprint();
    store.store(&contested, self::holder()).await;
    let takers: Vec<_> = (0..16)
        .map(|_| {
            let (store, contested) = (Arc::clone(&store), contested.clone());
            tokio::spawn(async move { store.consume(&contested).await })
        })
        .collect();
    let mut taken = 0;
    for taker in takers {
        taken += usize::from(taker.await.unwrap().is_some());
    }
    assert_eq!(taken, 1, "of sixteen concurrent calls, one succeeds");
}

#[tokio::test]
async fn memory_store_conforms() {
    keeps_what_a_store_of_tickets_promises(Arc::new(MemoryTickets::new())).await;
}

#[tokio::test]
async fn redis_store_conforms() {
    let Some(pool) = stage::redis_pool() else { return };
    keeps_what_a_store_of_tickets_promises(Arc::new(RedisTickets::new(Redis::new(pool.clone())))).await;

    // Two instances share the tickets, and tickets expire.
    let (one, other) = (RedisTickets::new(Redis::new(pool.clone())), RedisTickets::new(Redis::new(pool.clone())));
    let (shared, holder) = (fingerprint(), holder());
    one.store(&shared, holder.clone()).await;
    let key = [b"natter:ticket:".as_slice(), &shared].concat();
    let ttl: i64 = cmd("PTTL").arg(key).query_async(&mut pool.get().await.unwrap()).await.unwrap();
    assert!((1..=30_000).contains(&ttl), "{ttl}");
    assert_eq!(other.consume(&shared).await, Some(holder));
    assert_eq!(one.consume(&shared).await, None);
}

#[tokio::test]
async fn unavailable_redis_conforms() {
    keeps_what_a_store_of_tickets_promises(Arc::new(RedisTickets::new(Redis::new(stage::unreachable_redis())))).await;
}
