//! Whom messages of the main line mention: rows that are counted above what somebody has read. They come and go with what a message says.

use std::collections::BTreeSet;

use appcore::{
    ConversationId, UserId,
    view::{Mention, MentionKind, Message, Reach},
};
use dbcontext::query::mentions::{Mentioned, NewMention};

use super::batch::Batch;

/// Where a message stands in the main line.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub no: i64,
    /// Whom it mentions there, where it says `@here`.
    pub here: Vec<UserId>,
}

/// Notes whom a new message mentions, each once.
pub(super) fn add(
    batch: &mut Batch<'_>,
    (conversation_id, no): (ConversationId, i64),
    mentions: &[Mention],
    here: &[UserId],
) {
    set(batch, (conversation_id, no), &BTreeSet::new(), &meant(mentions, here));
}

/// Lets a message that was read with the batch mention others than it does. `here` are those whom a new `@here` means; one that stays means
/// whom it has meant.
pub(super) fn replace(batch: &mut Batch<'_>, message: &Message, mentions: &[Mention], here: &[UserId]) {
    let Some(Place { no, here: known }) = batch.edits.place(message.id) else { return };
    let before = meant(&message.mentions, &known);
    let is_same = Reach::of(mentions) == Reach::Here && Reach::of(&message.mentions) == Reach::Here;
    let here = if is_same { known } else { here.to_vec() };
    set(batch, (message.conversation_id, no), &before, &meant(mentions, &here));
    batch.edits.set_place(message.id, Place { no, here });
}

/// What is hidden mentions nobody.
pub(super) fn take_back(batch: &mut Batch<'_>, message: &Message) {
    replace(batch, message, &[], &[]);
}

/// What is shown again mentions whom it names; who was online when it was sent is not known any more.
pub(super) fn give_back(batch: &mut Batch<'_>, message: &Message) {
    if let Some(Place { no, .. }) = batch.edits.place(message.id) {
        add(batch, (message.conversation_id, no), &message.mentions, &[]);
    }
}

/// The people whom mentions name that were not named before.
pub(super) fn newly_named(before: &[Mention], now: &[Mention]) -> BTreeSet<UserId> {
    let before: BTreeSet<UserId> = named(before).collect();
    named(now).filter(|user| !before.contains(user)).collect()
}

fn named(mentions: &[Mention]) -> impl Iterator<Item = UserId> {
    mentions.iter().filter(|mention| mention.kind == MentionKind::User).filter_map(|mention| mention.id.map(UserId))
}

fn meant(mentions: &[Mention], here: &[UserId]) -> BTreeSet<Mentioned> {
    if Reach::of(mentions) == Reach::Everybody {
        return BTreeSet::from([Mentioned::Everybody]);
    }
    named(mentions).chain(here.iter().copied()).map(Mentioned::Person).collect()
}

fn set(
    batch: &mut Batch<'_>,
    (conversation_id, no): (ConversationId, i64),
    before: &BTreeSet<Mentioned>,
    now: &BTreeSet<Mentioned>,
) {
    let row = |mentioned: &Mentioned| NewMention { conversation_id, mentioned: *mentioned, no };
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
    fn everybody_takes_the_place_of_all_who_are_named() {
        let (mai, tom) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let named = [mention(MentionKind::User, Some(1)), mention(MentionKind::Assistant, Some(9))];
        assert_eq!(meant(&named, &[]), BTreeSet::from([Mentioned::Person(mai)]));
        assert_eq!(meant(&named, &[tom, mai]), BTreeSet::from([Mentioned::Person(mai), Mentioned::Person(tom)]));
        let all = [named[0], mention(MentionKind::Here, None), mention(MentionKind::All, None)];
        assert_eq!(meant(&all, &[tom]), BTreeSet::from([Mentioned::Everybody]));
    }

    #[test]
    fn who_was_named_before_is_not_named_anew() {
        let mai = mention(MentionKind::User, Some(1));
        let tom = mention(MentionKind::User, Some(2));
        assert_eq!(newly_named(&[mai], &[tom, mai]), BTreeSet::from([UserId(Uuid::from_u128(2))]));
        assert!(newly_named(&[mai, tom], &[mai]).is_empty());
    }
}
