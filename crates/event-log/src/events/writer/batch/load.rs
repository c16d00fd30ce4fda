//! Loads the state that the changes of a batch need, before any of them is applied.

use std::collections::{BTreeSet, HashMap};

use appcore::{AppError, ConversationId, UserId};
use dbcontext::query;
use sea_orm::DatabaseTransaction;

use super::{
    super::{
        change::Change,
        conversation_cache::{CachedConversation, ConversationCache},
        messages,
    },
    ActingMember, Batch,
};

impl Batch<'_> {
    /// Locks the conversations and loads the state that the changes need, with one statement per
    /// kind of state.
    pub async fn lock(mut self, txn: &DatabaseTransaction, changes: &[Change]) -> Result<Self, AppError> {
        let ids: BTreeSet<ConversationId> = changes.iter().filter_map(Change::conversation_id).collect();
        if ids.is_empty() {
            return Ok(self);
        }
        self.conversations = query::batches::lock(txn, ids)
            .await?
            .into_iter()
            .map(|row| (row.id, CachedConversation::new(row)))
            .collect();
        let people = people(changes);
        if !people.is_empty() {
            for row in query::batches::memberships(self.db, &people).await? {
                let standing = ActingMember { role: row.role, display_name: row.display_name };
                self.set_acting_member(row.conversation_id, row.user_id, Some(standing));
            }
        }
        messages::load_resent(&mut self, changes).await?;
        messages::load(&mut self, changes).await?;
        Ok(self)
    }

    /// Loads, without locks, the state that messages need and that isn't cached.
    pub async fn load_unlocked(mut self, changes: &[Change], memory: &mut ConversationCache) -> Result<Self, AppError> {
        let mut unknown = Vec::new();
        let mut half_known = HashMap::new();
        for people in people(changes).chunk_by(|(one, _), (next, _)| one == next) {
            let id = people[0].0;
            let Some(known) = memory.remove(id) else {
                unknown.extend_from_slice(people);
                continue;
            };
            if people.iter().all(|(_, user)| known.members.contains_key(user)) {
                self.used_cache = true;
                self.conversations.insert(id, known);
            } else {
                unknown.extend_from_slice(people);
                half_known.insert(id, known);
            }
        }
        if !unknown.is_empty() {
            for row in query::batches::snapshots(self.db, &unknown).await? {
                let id = row.conversation.id;
                let seq = row.conversation.last_seq;
                self.conversations.entry(id).or_insert_with(|| {
                    let unmoved =
                        half_known.remove(&id).filter(|known: &CachedConversation| known.state.last_seq == seq);
                    unmoved.unwrap_or_else(|| CachedConversation::new(row.conversation))
                });
                let standing = match (row.role, row.display_name) {
                    (Some(role), Some(display_name)) => Some(ActingMember { role, display_name }),
                    _ => None,
                };
                self.set_acting_member(id, row.user_id, standing);
            }
        }
        messages::load(&mut self, changes).await?;
        Ok(self)
    }
}

/// Returns the members whose role the changes depend on.
fn people(changes: &[Change]) -> Vec<(ConversationId, UserId)> {
    let people: BTreeSet<(ConversationId, UserId)> = changes
        .iter()
        .filter_map(|change| change.conversation_id().map(|id| change.people().into_iter().map(move |user| (id, user))))
        .flatten()
        .collect();
    people.into_iter().collect()
}
