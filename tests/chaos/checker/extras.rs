//! Checks what users add to messages: reactions, replies, votes and pins.
//!
//! Each event contains these additions, so a reader that has received every event knows all of
//! them. Therefore only the log is compared with the current messages.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Lie, Verdict};
use crate::evidence::{Change, Conversation, Evidence, Extras};

/// Checks that the reactions, replies, votes and pin of each message are those that follow from the
/// events in the log, and that the numbers of replies have no gaps.
pub(super) fn check(evidence: &Evidence, verdict: &mut Verdict) {
    for conversation in &evidence.conversations {
        let told = add_up(conversation, verdict);
        for message in &conversation.history {
            let mut told = told.get(&message.says.message).cloned().unwrap_or_default();
            if told.results.is_none() {
                // No event contains the results of a poll without votes, so these results are not
                // compared.
                told.results = message.has.results;
            }
            verdict.check(told == message.has, Lie::OtherExtras, 0, || {
                format!("{} in {} has {:?}, the log says {told:?}", message.client_id, conversation.name, message.has)
            });
        }
    }
}

/// Computes the additions to each message from the events in the log.
fn add_up(conversation: &Conversation, verdict: &mut Verdict) -> HashMap<u64, Extras> {
    let mut reactions: HashMap<u64, BTreeSet<(&str, &str)>> = HashMap::new();
    let mut extras: HashMap<u64, Extras> = HashMap::new();
    let mut numbers: HashMap<u64, i64> = HashMap::new();
    for row in &conversation.log {
        match &row.change {
            Some(Change::Reacted { message, emoji, user }) => {
                let is_new = reactions.entry(*message).or_default().insert((emoji, user));
                verdict.check(is_new, Lie::OtherExtras, row.committed, || {
                    format!("{user} reacted twice with {emoji} at {} of {}", row.seq, conversation.name)
                });
            }
            Some(Change::TookBack { message, emoji, user }) => {
                let was_there = reactions.entry(*message).or_default().remove(&(emoji, user));
                verdict.check(was_there, Lie::OtherExtras, row.committed, || {
                    format!("{user} took back a {emoji} that was not there at {} of {}", row.seq, conversation.name)
                });
            }
            Some(Change::Replied { root, no }) => {
                let last = numbers.entry(*root).or_default();
                verdict.check(*no == *last + 1, Lie::Misnumbered, row.committed, || {
                    format!("the reply {} of {} has the number {no} after {last}", row.seq, conversation.name)
                });
                *last = *no;
                extras.entry(*root).or_default().replies += 1;
            }
            Some(Change::ReplyDeleted { root }) => {
                let replies = &mut extras.entry(*root).or_default().replies;
                *replies = replies.saturating_sub(1);
            }
            Some(Change::Voted { message, results }) => {
                extras.entry(*message).or_default().results = Some(*results);
            }
            Some(Change::Pinned { message, is_pinned }) => {
                let was_pinned = std::mem::replace(&mut extras.entry(*message).or_default().is_pinned, *is_pinned);
                verdict.check(was_pinned != *is_pinned, Lie::OtherExtras, row.committed, || {
                    format!("the event {} of {} changes no pin", row.seq, conversation.name)
                });
            }
            Some(Change::Deleted { message }) => {
                reactions.remove(message);
                extras.entry(*message).or_default().is_pinned = false;
            }
            None => {}
        }
    }
    for (message, given) in reactions {
        let counts = given.into_iter().fold(BTreeMap::new(), |mut counts, (emoji, _)| {
            *counts.entry(emoji.to_owned()).or_default() += 1;
            counts
        });
        extras.entry(message).or_default().reactions = counts;
    }
    extras
}
