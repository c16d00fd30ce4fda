//! Reactions and pins. They are batched like messages.

use std::collections::{BTreeMap, HashMap, HashSet};

use appcore::{
    AppError, Code, MessageId, UserId,
    event::DurableBody,
    view::{Message, Reaction},
};
use dbcontext::query::{self, Piece, reactions::ReactionKey};
use sea_orm::ConnectionTrait;

use super::{
    batch::Batch,
    change::{Actor, Change, MemberAction, Outcome, Pin, React, member_actions},
    messages::{require_may_write, require_not_archived},
};

/// Maximum number of different emoji per message.
const MAX_EMOJI: usize = 50;
/// Maximum number of users listed per reaction.
const MAX_LISTED_USERS: usize = 20;
/// Number of users to load for a reaction if listed users may be removed from it.
const LOADED_USERS: usize = 2 * MAX_LISTED_USERS;
/// Maximum number of pinned messages per conversation.
const MAX_PINS: i64 = 100;

/// Reactions that a batch changes.
#[derive(Default)]
pub(super) struct Reactions {
    stored: HashSet<ReactionKey>,
    /// Reactions whose state differs from the stored one, with the sequence number of the event.
    changed: BTreeMap<ReactionKey, (bool, i64)>,
    /// First users of each reaction from which a listed user is removed and which has more users
    /// than are listed.
    first: HashMap<(MessageId, String), Vec<UserId>>,
}

impl Reactions {
    /// Loads which of the reactions that the batch changes exist.
    pub async fn load<C: ConnectionTrait>(
        &mut self,
        db: &C,
        messages: &HashMap<MessageId, Message>,
        changes: &[Change],
    ) -> Result<(), AppError> {
        let asked: Vec<(UserId, &React)> = member_actions(changes)
            .filter_map(
                |(by, action)| if let MemberAction::React(react) = action { Some((by.user_id, react)) } else { None },
            )
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let keys: HashSet<ReactionKey> = asked.iter().map(|(user_id, react)| key(*user_id, react)).collect();
        self.stored.extend(query::reactions::existing(db, keys.into_iter().collect()).await?);
        let has_many = |react: &&React| {
            let shown = messages.get(&react.message_id).and_then(|message| find_reaction(message, &react.emoji));
            !react.is_added && shown.is_some_and(|reaction| reaction.count > MAX_LISTED_USERS as u64)
        };
        let many: HashSet<(MessageId, String)> = asked
            .into_iter()
            .map(|(_, react)| react)
            .filter(has_many)
            .map(|react| (react.message_id, react.emoji.clone()))
            .collect();
        if !many.is_empty() {
            for one in query::reactions::first_users(db, many.into_iter().collect(), LOADED_USERS).await? {
                self.first.entry((one.message_id, one.emoji)).or_default().push(one.user_id);
            }
        }
        Ok(())
    }

    fn is_there(&self, reacted: &ReactionKey) -> bool {
        self.changed.get(reacted).map_or_else(|| self.stored.contains(reacted), |(is_there, _)| *is_there)
    }

    /// Drops the pending changes of reactions to a deleted message.
    pub fn discard(&mut self, message: MessageId) {
        self.changed.retain(|reacted, _| reacted.message_id != message);
    }

    pub fn take_statements(&mut self) -> Vec<Piece> {
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        for (reacted, (is_there, seq)) in std::mem::take(&mut self.changed) {
            match (self.stored.contains(&reacted), is_there) {
                (false, true) => {
                    self.stored.insert(reacted.clone());
                    new.push((reacted, seq));
                }
                (true, false) => {
                    self.stored.remove(&reacted);
                    gone.push(reacted);
                }
                _ => {}
            }
        }
        let mut pieces = Vec::new();
        if !new.is_empty() {
            pieces.push(query::reactions::insert(new));
        }
        if !gone.is_empty() {
            pieces.push(query::reactions::remove(gone));
        }
        pieces
    }
}

fn key(user_id: UserId, react: &React) -> ReactionKey {
    ReactionKey { message_id: react.message_id, emoji: react.emoji.clone(), user_id }
}

fn find_reaction<'a>(message: &'a Message, emoji: &str) -> Option<&'a Reaction> {
    message.reactions.iter().find(|reaction| reaction.emoji == emoji)
}

pub(super) fn react(batch: &mut Batch<'_>, by: Actor, react: &React) -> Result<Outcome, AppError> {
    let conversation_id = by.conversation_id;
    batch.acting_member(conversation_id, by.user_id)?;
    require_not_archived(batch, conversation_id)?;
    let mut message = batch.edits.message(conversation_id, react.message_id).ok_or(Code::NotFound)?;
    let reacted = key(by.user_id, react);
    if batch.edits.reactions.is_there(&reacted) == react.is_added {
        return Ok(Outcome::Message(Box::new(message)));
    }
    if react.is_added && find_reaction(&message, &react.emoji).is_none() && message.reactions.len() >= MAX_EMOJI {
        return Err(AppError::refused(
            Code::TooMany,
            format!("A message can have up to {MAX_EMOJI} different reactions."),
        ));
    }
    let ReactionKey { message_id, emoji, user_id } = reacted.clone();
    let body = if react.is_added {
        DurableBody::ReactionAdded { message_id, emoji, user_id }
    } else {
        DurableBody::ReactionRemoved { message_id, emoji, user_id }
    };
    let seq = batch.emit(conversation_id, body)?;
    let reactions = &mut batch.edits.reactions;
    reactions.changed.insert(reacted, (react.is_added, seq));
    if react.is_added {
        add(&mut message.reactions, by.user_id, react);
    } else {
        let others = reactions.first.get(&(react.message_id, react.emoji.clone())).cloned().unwrap_or_default();
        // For users without a change in this batch, the stored state applies.
        let is_there = |user: &UserId| reactions.changed.get(&key(*user, react)).is_none_or(|(is_there, _)| *is_there);
        remove(&mut message.reactions, by.user_id, react, others.into_iter().filter(is_there));
    }
    batch.edits.update_metadata(message.clone());
    Ok(Outcome::Message(Box::new(message)))
}

fn add(reactions: &mut Vec<Reaction>, user_id: UserId, react: &React) {
    let known = reactions.iter_mut().find(|reaction| reaction.emoji == react.emoji);
    let Some(reaction) = known else {
        reactions.push(Reaction { emoji: react.emoji.clone(), count: 1, user_ids: vec![user_id] });
        return;
    };
    reaction.count += 1;
    if reaction.user_ids.len() < MAX_LISTED_USERS {
        reaction.user_ids.push(user_id);
    }
}

/// Removes a user's reaction. If more users have reacted than are listed, `others` fill up the
/// list.
fn remove(reactions: &mut Vec<Reaction>, user_id: UserId, react: &React, others: impl Iterator<Item = UserId>) {
    let Some(at) = reactions.iter().position(|reaction| reaction.emoji == react.emoji) else { return };
    let reaction = &mut reactions[at];
    reaction.count = reaction.count.saturating_sub(1);
    if reaction.count == 0 {
        reactions.remove(at);
        return;
    }
    reaction.user_ids.retain(|user| *user != user_id);
    for user in others {
        if reaction.user_ids.len() >= MAX_LISTED_USERS.min(usize::try_from(reaction.count).unwrap_or(MAX_LISTED_USERS))
        {
            break;
        }
        if !reaction.user_ids.contains(&user) {
            reaction.user_ids.push(user);
        }
    }
}

/// Pins or unpins a message.
pub(super) fn pin(batch: &mut Batch<'_>, by: Actor, pin: &Pin) -> Result<Outcome, AppError> {
    require_may_write(batch, by)?;
    let Actor { conversation_id, user_id } = by;
    let message_id = pin.message_id;
    let mut message = batch.edits.message(conversation_id, message_id).ok_or(Code::NotFound)?;
    if message.pinned_at.is_some() == pin.is_pinned {
        return Ok(Outcome::Message(Box::new(message)));
    }
    let now = batch.now;
    let pins = batch.edits.pins.entry(conversation_id).or_default();
    if pin.is_pinned && *pins >= MAX_PINS {
        return Err(AppError::refused(
            Code::TooMany,
            format!("A conversation can have up to {MAX_PINS} pinned messages. Unpin one first."),
        ));
    }
    *pins += if pin.is_pinned { 1 } else { -1 };
    let body = if pin.is_pinned {
        DurableBody::MessagePinned { message_id, user_id, pinned_at: now }
    } else {
        DurableBody::MessageUnpinned { message_id, user_id }
    };
    batch.emit(conversation_id, body)?;
    message.pinned_at = pin.is_pinned.then_some(now);
    batch.edits.update_metadata(message.clone());
    Ok(Outcome::Message(Box::new(message)))
}
