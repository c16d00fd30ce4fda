//! Presence: an entry that expires, is renewed by every instance that holds a connection of the person, and is told when it changes.
//!
//! There is no counter that could go wrong: each instance says until when it holds somebody, and renews that while it does.
//! When the last connection goes the instance only shortens its time to [`GRACE`], so a page that is loaded again changes
//! nothing; an instance that dies stops renewing. A person whose entry nobody renews is offline, and [`PresenceStore::settle`] tells
//! each of them once, whichever instance asks first.

mod rate_limit;
mod custom_status;
mod memory;
mod redis;
mod reported;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use appcore::{
    AppError, ConversationId, InstanceId, Timestamp, UserId,
    event::{BusMessage, Envelope, Event, Coalesced, MAX_NAMED, Topic},
    view::{Presence, PresenceStatus},
};
use dbcontext::query;
use futures_util::future::BoxFuture;

pub use rate_limit::PresenceRateLimit;
pub use custom_status::{StatusChange, set_custom};
pub use memory::MemoryPresence;
pub use redis::RedisPresence;
pub use reported::{PresenceReporter, ReportedPresence};

use crate::IdentityService;

/// How long an instance's word counts unless it renews it.
pub const HOLD: Duration = Duration::from_secs(60);
/// How often an instance renews.
pub const RENEWAL: Duration = Duration::from_secs(20);
/// How long after the last connection a person counts as here.
pub const GRACE: Duration = Duration::from_secs(4);
/// People whose conversations are read in one query.
const ANNOUNCED: usize = 100;
/// How long it is remembered when somebody was last here, and what they had chosen.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Stores presence. It is best effort: a store that can't reach its backend answers from what this instance knows.
pub trait PresenceStore: Send + Sync + 'static {
    /// `instance` holds these people until then. Answers who came online by it.
    fn hold<'a>(&'a self, people: &'a [UserId], instance: InstanceId, until: Timestamp)
    -> BoxFuture<'a, Vec<Presence>>;

    /// What the connections of a person to `instance` say of them; nothing once they are over. Of all instances that hold the person
    /// the most active word counts, and is kept for their next visit. Answers their presence if it changed.
    fn choose(
        &self,
        person: UserId,
        instance: InstanceId,
        status: Option<PresenceStatus>,
        now: Timestamp,
    ) -> BoxFuture<'_, Option<Presence>>;

    /// Answers who went offline since, each once among all instances.
    fn settle(&self, now: Timestamp) -> BoxFuture<'_, Vec<Presence>>;

    /// Removes the entry of a person of whom no instance holds a connection.
    fn forget(&self, person: UserId) -> BoxFuture<'_, ()>;

    /// Those who are here, a part of them: about `most` after the first `skip`.
    fn here(&self, skip: usize, most: usize) -> BoxFuture<'_, Vec<UserId>>;

    /// The presence of these people, in their order.
    fn of<'a>(&'a self, people: &'a [UserId]) -> BoxFuture<'a, Vec<Presence>>;
}

/// Tells everyone who shares a small conversation with one of them, and those who watch them.
pub async fn announce(service: &IdentityService, changes: &[Presence]) -> Result<(), AppError> {
    let small = service.config.realtime.small_conversation;
    for changes in changes.chunks(ANNOUNCED) {
        let changes = custom_status::filled_in(service, changes.to_vec()).await;
        let mut messages = vec![BusMessage::Coalesced(Coalesced::Presence(changes.to_vec()).into())];
        let people: Vec<UserId> = changes.iter().map(|presence| presence.user_id).collect();
        let mut shared: HashMap<UserId, Vec<ConversationId>> = HashMap::new();
        for (user, conversation) in query::following::small_conversations(service.db.reader(), &people, small).await? {
            shared.entry(user).or_default().push(conversation);
        }
        for presence in &changes {
            for conversations in shared.remove(&presence.user_id).unwrap_or_default().chunks(MAX_NAMED) {
                let topic = Topic::Conversations(conversations.to_vec());
                let envelope = Envelope::seal(&Event::Presence(presence.clone()), topic, service.clock.now());
                messages.push(BusMessage::Envelope(envelope.map_err(AppError::internal)?.into()));
            }
        }
        // Not awaited: a missed change is superseded by the next one.
        drop(service.bus.publish(messages));
    }
    Ok(())
}

/// The presence of these people, in their order, as they want to be seen: with what they say of themselves and what they chose by hand.
pub async fn of(service: &IdentityService, people: &[UserId]) -> Vec<Presence> {
    custom_status::filled_in(service, service.presence.of(people).await).await
}

/// Those of these people whom `by` may see: members of a common workspace or conversation.
pub async fn visible(service: &IdentityService, by: UserId, people: &[UserId]) -> Result<Vec<UserId>, AppError> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    query::users::visible(service.db.reader(), by, people).await
}

/// A connection that may say what its person is to be shown as.
#[must_use]
pub fn speaker(service: &IdentityService) -> PresenceReporter {
    service.reported_presence.speaker()
}

/// Takes what a connection says of its person, who is shown as the most active of theirs, and tells the others.
pub async fn say(
    service: &Arc<IdentityService>,
    person: UserId,
    speaker: PresenceReporter,
    status: PresenceStatus,
) -> Result<(), AppError> {
    service.reported_presence.say(person, speaker, status);
    choose(service, person).await
}

/// A connection that has said something is over. Its word counts for [`GRACE`], so that a page that is loaded again changes nothing.
pub async fn leave(service: Arc<IdentityService>, person: UserId, speaker: PresenceReporter) {
    tokio::time::sleep(GRACE).await;
    if service.reported_presence.leave(person, speaker)
        && let Err(error) = choose(&service, person).await
    {
        tracing::debug!(%error, "a change of presence could not be told");
    }
}

/// Tells the others what is said of a person: at most once a second, the last word in any case.
async fn choose(service: &Arc<IdentityService>, person: UserId) -> Result<(), AppError> {
    let status = service.reported_presence.of(person);
    let apply = {
        let service = Arc::clone(service);
        move |status| {
            let service = Arc::clone(&service);
            async move {
                match service.presence.choose(person, service.instance_id, status, service.clock.now()).await {
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
