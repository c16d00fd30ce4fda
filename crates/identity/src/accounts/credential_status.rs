//! Cache of the status of sessions and API keys.
//!
//! Looking up a session for every request would double the cost of most requests, so the result is
//! cached for five seconds. The end of a session takes effect at once: ended sessions are in a
//! second list that is checked first. They stay there for longer than a concurrent look-up could
//! cache the old state.

use std::{hash::Hash, sync::Arc, time::Duration};

use appcore::{
    ApiKeyId, SessionId, Timestamp, UserId,
    auth::Scopes,
    event::{BusMessage, Envelope, EventBus, FollowChange, Listener, Signal},
    view::UserRole,
};
use moka::{future::Cache, sync};
use tokio::time::Instant;
use uuid::Uuid;

use super::key_policy::KeyPolicy;

/// Lifetime of a cached look-up if no change event invalidates it earlier.
const LOOKUP_TTL: Duration = Duration::from_secs(5);
/// Lifetime of an entry in the list of ended sessions and revoked keys. It is longer than the
/// slowest look-up plus the lifetime of its cached result.
const ENDED_TTL: Duration = Duration::from_secs(60);
const MAX_SESSIONS: u64 = 100_000;
const MAX_LIVE: u64 = 100_000;

/// Session that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct CachedSession {
    pub(super) user_id: UserId,
    pub(super) role: UserRole,
    pub(super) expires_at: Timestamp,
}

/// SHA-256 of an API key.
pub(super) type Fingerprint = [u8; 32];

/// API key that is neither revoked nor expired.
#[derive(Clone, Debug)]
pub(super) struct CachedKey {
    pub(super) id: ApiKeyId,
    pub(super) user_id: UserId,
    pub(super) role: UserRole,
    pub(super) scopes: Scopes,
    pub(super) expires_at: Timestamp,
    pub(super) policy: Arc<KeyPolicy>,
}

impl CachedKey {
    /// True if `id` is the id of the key, its owner or its workspace.
    fn relates_to(&self, id: Uuid) -> bool {
        self.id.0 == id || self.user_id.0 == id || self.policy.workspace_id.is_some_and(|workspace| workspace.0 == id)
    }

    fn related_ids(&self) -> impl Iterator<Item = Uuid> {
        [self.id.0, self.user_id.0].into_iter().chain(self.policy.workspace_id.map(|id| id.0))
    }
}

#[derive(Clone)]
pub(super) struct CredentialStatusCache {
    live: sync::Cache<SessionId, CachedSession>,
    ended: Cache<SessionId, ()>,
    live_keys: sync::Cache<Fingerprint, CachedKey>,
    revoked_keys: Cache<ApiKeyId, ()>,
    /// Time of the last permission change per key, owner or workspace. A look-up that started
    /// earlier is not cached.
    changed: Cache<Uuid, Instant>,
}

/// Cached status of a session.
pub(super) enum CachedStatus {
    Live(CachedSession),
    Ended,
    Unknown,
}

impl CredentialStatusCache {
    /// Starts with empty caches, and subscribes to invalidations on the bus.
    pub(super) fn start(bus: &dyn EventBus) -> Self {
        let standings = Self {
            live: lookup_cache(),
            ended: Cache::builder().max_capacity(MAX_SESSIONS).time_to_live(ENDED_TTL).build(),
            live_keys: lookup_cache(),
            revoked_keys: Cache::builder().max_capacity(MAX_SESSIONS).time_to_live(ENDED_TTL).build(),
            changed: Cache::builder().max_capacity(MAX_SESSIONS).time_to_live(ENDED_TTL).build(),
        };
        tokio::spawn(standings.clone().follow(bus.subscribe()));
        standings
    }

    async fn follow(self, mut envelope: Listener) {
        let mut tidying = tokio::time::interval(LOOKUP_TTL);
        tidying.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                message = envelope.recv() => message,
                _ = tidying.tick() => {
                    // An idle cache doesn't remove expired entries on its own.
                    self.live.run_pending_tasks();
                    self.live_keys.run_pending_tasks();
                    continue;
                }
            };
            let Some(message) = message else { return };
            match message {
                BusMessage::Signal(Signal::SessionsEnded(sessions)) => self.mark_ended(&sessions).await,
                BusMessage::Signal(Signal::ApiKeysRevoked(keys)) => self.revoke(&keys).await,
                BusMessage::Signal(Signal::UserChanged(user_id)) => self.invalidate_user(user_id).await,
                BusMessage::Signal(Signal::KeysChanged(ids)) => {
                    // A user may have been restored, so their keys leave the revoked list. The
                    // database decides whether they are valid.
                    self.clear_revoked(&ids).await;
                    self.invalidate_keys(&ids).await;
                }
                // The message that a session or key has ended may have been lost.
                BusMessage::Signal(Signal::Gap) => {
                    self.live.invalidate_all();
                    self.live_keys.invalidate_all();
                }
                BusMessage::Envelope(envelope) => self.invalidate_keys(&affected_ids(&envelope)).await,
                BusMessage::Signal(_) | BusMessage::Coalesced(_) => {}
            }
        }
    }

    pub(super) async fn get(&self, id: SessionId) -> CachedStatus {
        if self.ended.get(&id).await.is_some() {
            return CachedStatus::Ended;
        }
        self.live.get(&id).map_or(CachedStatus::Unknown, CachedStatus::Live)
    }

    /// Caches the result of a look-up that started at `asked`.
    pub(super) async fn insert(&self, id: SessionId, standing: CachedSession, asked: Instant) {
        if !self.has_changed(standing.user_id.0, asked).await {
            self.live.insert(id, standing);
        }
    }

    /// Invalidates the cached sessions and keys of a user.
    pub(super) async fn invalidate_user(&self, id: UserId) {
        self.invalidate_keys(&[id.0]).await;
        invalidate_if(&self.live, move |standing| standing.user_id == id);
    }

    async fn has_changed(&self, id: Uuid, since: Instant) -> bool {
        self.changed.get(&id).await.is_some_and(|changed| changed >= since)
    }

    pub(super) async fn mark_ended(&self, ids: &[SessionId]) {
        for id in ids {
            self.ended.insert(*id, ()).await;
            self.live.invalidate(id);
        }
    }

    pub(super) fn get_key(&self, fingerprint: &Fingerprint) -> Option<CachedKey> {
        self.live_keys.get(fingerprint)
    }

    /// Caches the result of a look-up that started at `asked`.
    pub(super) async fn insert_key(&self, fingerprint: Fingerprint, standing: CachedKey, asked: Instant) {
        for id in standing.related_ids() {
            if self.has_changed(id, asked).await {
                return;
            }
        }
        self.live_keys.insert(fingerprint, standing);
    }

    /// Invalidates the keys with one of these ids, or with such an owner or workspace.
    pub(super) async fn invalidate_keys(&self, ids: &[Uuid]) {
        for id in ids {
            self.changed.insert(*id, Instant::now()).await;
        }
        if !ids.is_empty() {
            let ids = ids.to_vec();
            invalidate_if(&self.live_keys, move |standing| ids.iter().any(|id| standing.relates_to(*id)));
        }
    }

    /// True if the key was revoked so recently that a concurrent look-up might not have seen it.
    pub(super) async fn is_revoked(&self, id: ApiKeyId) -> bool {
        self.revoked_keys.get(&id).await.is_some()
    }

    /// Removes keys from the revoked list, so that the next look-up decides.
    pub(super) async fn clear_revoked(&self, ids: &[Uuid]) {
        for id in ids {
            self.revoked_keys.invalidate(&ApiKeyId(*id)).await;
        }
    }

    pub(super) async fn revoke(&self, ids: &[ApiKeyId]) {
        for id in ids {
            self.revoked_keys.insert(*id, ()).await;
        }
    }
}

/// Cache of look-ups, with a lifetime of [`LOOKUP_TTL`].
fn lookup_cache<K, V>() -> sync::Cache<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    sync::Cache::builder().max_capacity(MAX_LIVE).time_to_live(LOOKUP_TTL).support_invalidation_closures().build()
}

fn invalidate_if<K, V>(cache: &sync::Cache<K, V>, is_stale: impl Fn(&V) -> bool + Send + Sync + 'static)
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    // Invalidation fails only on a cache that doesn't support closures, and this one does.
    drop(cache.invalidate_entries_if(move |_, value| is_stale(value)));
}

/// Ids of the user who left a workspace, or of the workspace that ended. Cached workspace keys with
/// one of them are outdated.
fn affected_ids(envelope: &Envelope) -> Vec<Uuid> {
    match &envelope.effect {
        FollowChange::LeaveWorkspace { user_id, .. } => vec![user_id.0],
        FollowChange::EndWorkspace(workspace_id) => vec![workspace_id.0],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use appcore::event::MemoryBus;
    use stage::until;

    use super::*;

    fn standing(user_id: UserId) -> CachedSession {
        CachedSession { user_id, role: UserRole::User, expires_at: Timestamp(i64::MAX) }
    }

    #[tokio::test]
    async fn ended_session_stays_ended_after_late_look_ups() {
        let bus = MemoryBus::new();
        let standings = CredentialStatusCache::start(&bus);
        let id = SessionId::new();
        standings.insert(id, standing(UserId::new()), Instant::now()).await;
        assert!(matches!(standings.get(id).await, CachedStatus::Live(_)));
        drop(bus.publish(vec![BusMessage::Signal(Signal::SessionsEnded(vec![id]))]));
        until(async || matches!(standings.get(id).await, CachedStatus::Ended)).await;
        standings.insert(id, standing(UserId::new()), Instant::now()).await;
        assert!(matches!(standings.get(id).await, CachedStatus::Ended));
    }

    #[tokio::test]
    async fn changed_user_and_gap_are_looked_up_again() {
        let bus = MemoryBus::new();
        let standings = CredentialStatusCache::start(&bus);
        let (user, other) = (UserId::new(), UserId::new());
        let (id, others_id) = (SessionId::new(), SessionId::new());
        let asked = Instant::now();
        standings.insert(id, standing(user), asked).await;
        standings.insert(others_id, standing(other), asked).await;
        drop(bus.publish(vec![BusMessage::Signal(Signal::UserChanged(user))]));
        until(async || matches!(standings.get(id).await, CachedStatus::Unknown)).await;
        assert!(matches!(standings.get(others_id).await, CachedStatus::Live(_)));
        standings.insert(id, standing(user), asked).await;
        assert!(
            matches!(standings.get(id).await, CachedStatus::Unknown),
            "a look-up from before the change is not cached"
        );
        drop(bus.publish(vec![BusMessage::Signal(Signal::Gap)]));
        until(async || matches!(standings.get(others_id).await, CachedStatus::Unknown)).await;
    }
}
