//! Mentions in messages of the main conversation. They are stored as rows, from which the numbers
//! of unread mentions are computed, and updated when the message is edited.

use std::collections::BTreeSet;

use appcore::{
    ConversationId, UserId,
    view::{Mention, MentionKind, MentionScope, Message},
};
use dbcontext::query::mentions::{MentionTarget, NewMention};

use super::batch::Batch;

/// Position of a message in the main conversation.
#[derive(Clone, Debug)]
pub(super) struct TimelinePosition {
    pub no: i64,
    /// Users who were notified by `@here`, if the message mentions it.
    pub here_recipients: Vec<UserId>,
}

/// Records the mentions of a new message, without duplicates.
pub(super) fn add(
    batch: &mut Batch<'_>,
    (conversation_id, no): (ConversationId, i64),
    mentions: &[Mention],
    here: &[UserId],
) {
    set(batch, (conversation_id, no), &BTreeSet::new(), &mentioned(mentions, here));
}

/// Replaces the mentions of a loaded message. `here` are the users whom a new `@here` notifies; an
/// `@here` that was there before keeps its recipients.
pub(super) fn replace(batch: &mut Batch<'_>, message: &Message, mentions: &[Mention], here: &[UserId]) {
    let Some(TimelinePosition { no, here_recipients: known }) = batch.edits.position(message.id) else { return };
    let before = mentioned(&message.mentions, &known);
    let is_same = MentionScope::from_mentions(mentions) == MentionScope::Here
        && MentionScope::from_mentions(&message.mentions) == MentionScope::Here;
    let here = if is_same { known } else { here.to_vec() };
    set(batch, (message.conversation_id, no), &before, &mentioned(mentions, &here));
    batch.edits.set_position(message.id, TimelinePosition { no, here_recipients: here });
}

/// Removes the mentions of a hidden message.
pub(super) fn remove_all(batch: &mut Batch<'_>, message: &Message) {
    replace(batch, message, &[], &[]);
}

/// Restores the mentions of a message that is shown again, except for `@here`: the users who were
/// online when it was sent are no longer known.
pub(super) fn restore(batch: &mut Batch<'_>, message: &Message) {
    if let Some(TimelinePosition { no, .. }) = batch.edits.position(message.id) {
        add(batch, (message.conversation_id, no), &message.mentions, &[]);
    }
}

/// Returns the users who are mentioned in `now` but not in `before`.
pub(super) fn newly_mentioned(before: &[Mention], now: &[Mention]) -> BTreeSet<UserId> {
    let before: BTreeSet<UserId> = mentioned_users(before).collect();
    mentioned_users(now).filter(|user| !before.contains(user)).collect()
}

fn mentioned_users(mentions: &[Mention]) -> impl Iterator<Item = UserId> {
    mentions.iter().filter(|mention| mention.kind == MentionKind::User).filter_map(|mention| mention.id.map(UserId))
}

fn mentioned(mentions: &[Mention], here: &[UserId]) -> BTreeSet<MentionTarget> {
    if MentionScope::from_mentions(mentions) == MentionScope::Everybody {
        return BTreeSet::from([MentionTarget::Everybody]);
    }
    mentioned_users(mentions).chain(here.iter().copied()).map(MentionTarget::Person).collect()
}

fn set(
    batch: &mut Batch<'_>,
    (conversation_id, no): (ConversationId, i64),
    before: &BTreeSet<MentionTarget>,
    now: &BTreeSet<MentionTarget>,
) {
    let row = |mentioned: &MentionTarget| NewMention { conversation_id, mentioned: *mentioned, no };
    batch.mentions.extend(before.difference(now).map(|gone| (row(gone), false)));
    batch.mentions.extend(now.difference(before).map(|new| (row(new), true)));
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn mention(kind: MentionKind, id: Option<u128>) -> Mention {
        Mention { kind, id: id.map(Uuid::from_u128) }
    }

    #[test]
    fn mention_of_everybody_replaces_single_mentions() {
        let (mai, tom) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let named = [mention(MentionKind::User, Some(1)), mention(MentionKind::Assistant, Some(9))];
        assert_eq!(mentioned(&named, &[]), BTreeSet::from([MentionTarget::Person(mai)]));
        assert_eq!(
            mentioned(&named, &[tom, mai]),
            BTreeSet::from([MentionTarget::Person(mai), MentionTarget::Person(tom)])
        );
        let all = [named[0], mention(MentionKind::Here, None), mention(MentionKind::All, None)];
        assert_eq!(mentioned(&all, &[tom]), BTreeSet::from([MentionTarget::Everybody]));
    }

    #[test]
    fn users_mentioned_before_are_not_newly_mentioned() {
        let mai = mention(MentionKind::User, Some(1));
        let tom = mention(MentionKind::User, Some(2));
        assert_eq!(newly_mentioned(&[mai], &[tom, mai]), BTreeSet::from([UserId(Uuid::from_u128(2))]));
        assert!(newly_mentioned(&[mai, tom], &[mai]).is_empty());
    }
}
