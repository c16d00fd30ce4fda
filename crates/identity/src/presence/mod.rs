//! Presence of users. An instance that has connections of a user holds a lease for the user, and
//! renews it. Changes are announced.
//!
//! There is no counter that could become inconsistent. When the last connection of a user closes,
//! the instance only shortens its lease to [`OFFLINE_GRACE`], so that reloading a page changes
//! nothing. An instance that crashes stops renewing. A user without a lease is offline.
//! [`PresenceStore::settle`] reports each user who goes offline once, to the instance that calls it
//! first.

mod custom_status;
mod memory;
mod rate_limit;
mod redis;
mod reported;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use appcore::{
    AppError, ConversationId, InstanceId, Timestamp, UserId,
    event::{BusMessage, Coalesced, Envelope, Event, MAX_BATCHED_IDS, Topic},
    view::{Presence, PresenceStatus},
};
use dbcontext::query;
use futures_util::future::BoxFuture;

pub use custom_status::{StatusChange, set_custom};
pub use memory::MemoryPresence;
pub use rate_limit::PresenceRateLimit;
pub use redis::RedisPresence;
pub use reported::{PresenceReporter, ReportedPresence};

use crate::IdentityService;

/// Duration of a lease.
pub const LEASE: Duration = Duration::from_secs(60);
/// Renewal interval of leases.
pub const RENEWAL_INTERVAL: Duration = Duration::from_secs(20);
/// Time for which a user counts as online after the last connection has closed.
pub const OFFLINE_GRACE: Duration = Duration::from_secs(4);
/// Number of users whose conversations are read in one query.
const ANNOUNCE_BATCH: usize = 100;
/// Time for which the last activity and the reported presence are kept.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Store of presence. If its backend is unavailable, it answers from what this instance knows.
pub trait PresenceStore: Send + Sync + 'static {
    /// Gives `instance` a lease on these users until this time. Returns the users who came online
    /// by it.
    fn renew_leases<'a>(
        &'a self,
        people: &'a [UserId],
        instance: InstanceId,
        until: Timestamp,
    ) -> BoxFuture<'a, Vec<Presence>>;

    /// Sets the presence that the user's connections to `instance` report; `None` if none of them
    /// reports any more. Of the reports of all instances with a lease, the most active counts. It
    /// is stored for the user's next visit. Returns the user's presence if it has changed.
    fn report(
        &self,
        person: UserId,
        instance: InstanceId,
        status: Option<PresenceStatus>,
        now: Timestamp,
    ) -> BoxFuture<'_, Option<Presence>>;

    /// Returns users who have gone offline. Each is reported to only one instance.
    fn collect_offline(&self, now: Timestamp) -> BoxFuture<'_, Vec<Presence>>;

    /// Removes the entry of a user who has no connections.
    fn remove(&self, person: UserId) -> BoxFuture<'_, ()>;

    /// Returns a page of the online users: about `most` of them, without the first `skip`.
    fn online(&self, skip: usize, most: usize) -> BoxFuture<'_, Vec<UserId>>;

    /// Returns the presence of these users, in the given order.
    fn presences<'a>(&'a self, people: &'a [UserId]) -> BoxFuture<'a, Vec<Presence>>;
}

/// Announces changes of presence to the members of common small conversations, and to those who
/// watch the users.
pub async fn announce(service: &IdentityService, changes: &[Presence]) -> Result<(), AppError> {
    let small = service.config.realtime.small_conversation;
    for changes in changes.chunks(ANNOUNCE_BATCH) {
        let changes = custom_status::with_custom(service, changes.to_vec()).await;
        let mut messages = vec![BusMessage::Coalesced(Coalesced::Presence(changes.to_vec()).into())];
        let people: Vec<UserId> = changes.iter().map(|presence| presence.user_id).collect();
        let mut shared: HashMap<UserId, Vec<ConversationId>> = HashMap::new();
        for (user, conversation) in query::following::small_conversations(service.db.reader(), &people, small).await? {
            shared.entry(user).or_default().push(conversation);
        }
        for presence in &changes {
            for conversations in shared.remove(&presence.user_id).unwrap_or_default().chunks(MAX_BATCHED_IDS) {
                let topic = Topic::Conversations(conversations.to_vec());
                let envelope = Envelope::seal(&Event::Presence(presence.clone()), topic, service.clock.now());
                messages.push(BusMessage::Envelope(envelope.map_err(AppError::internal)?.into()));
            }
        }
        // The publication is not awaited, because the next change supersedes a lost one.
        drop(service.bus.publish(messages));
    }
    Ok(())
}

/// Returns the presence of these users in the given order, with custom status and chosen presence.
pub async fn presences(service: &IdentityService, people: &[UserId]) -> Vec<Presence> {
    custom_status::with_custom(service, service.presence.presences(people).await).await
}

/// Returns those of `people` whom `by` may see: members of a common workspace or conversation.
pub async fn visible_among(service: &IdentityService, by: UserId, people: &[UserId]) -> Result<Vec<UserId>, AppError> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    query::users::visible_among(service.db.reader(), by, people).await
}

/// Registers a connection that may report presence.
#[must_use]
pub fn new_reporter(service: &IdentityService) -> PresenceReporter {
    service.reported_presence.new_reporter()
}

/// Sets the presence that a connection reports, and announces the most active one of the user's
/// connections.
pub async fn report_presence(
    service: &Arc<IdentityService>,
    person: UserId,
    speaker: PresenceReporter,
    status: PresenceStatus,
) -> Result<(), AppError> {
    service.reported_presence.report(person, speaker, status);
    announce_reported(service, person).await
}

/// Removes the report of a closed connection after [`OFFLINE_GRACE`], so that reloading a page
/// changes nothing.
pub async fn remove_reporter(service: Arc<IdentityService>, person: UserId, speaker: PresenceReporter) {
    tokio::time::sleep(OFFLINE_GRACE).await;
    if service.reported_presence.remove(person, speaker)
        && let Err(error) = announce_reported(&service, person).await
    {
        tracing::debug!(%error, "failed to announce presence change");
    }
}

/// Announces the presence reported for a user, at most once a second. The last report is always
/// announced.
async fn announce_reported(service: &Arc<IdentityService>, person: UserId) -> Result<(), AppError> {
    let status = service.reported_presence.status_of(person);
    let apply = {
        let service = Arc::clone(service);
        move |status| {
            let service = Arc::clone(&service);
            async move {
                match service.presence.report(person, service.instance_id, status, service.clock.now()).await {
                    Some(presence) => announce(&service, &[presence]).await,
                    None => Ok(()),
                }
            }
        }
    };
    if service.config.rate_limit.enabled {
        service.presence_rate_limit.run(person, status, apply).await
    } else {
        apply(status).await
    }
}
