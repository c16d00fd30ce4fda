//! Checks message texts, message numbers and unread counts, and that removed text can no longer be
//! read.

use std::collections::{HashMap, HashSet};

use super::{Lie, Verdict};
use crate::evidence::{Conversation, Evidence, MARK, Says};

/// Number of characters in a mark after the prefix [`MARK`].
const ID: usize = "00000000-0000-0000-0000-000000000000".len();

/// Digests of the current texts of a conversation's messages, as a reader sees them; `None` for
/// deleted messages.
#[derive(Default)]
pub(super) struct Texts(HashMap<u64, Option<u64>>);

impl Texts {
    /// Applies an event as a client does: the last text of a message counts.
    pub(super) fn take(&mut self, says: Option<Says>) {
        if let Some(Says { message, text }) = says {
            self.0.insert(message, text);
        }
    }

    /// Checks that a reader that has received every event has the current texts.
    pub(super) fn check(&self, conversation: &Conversation, reader: &str, verdict: &mut Verdict) {
        for message in &conversation.history {
            let has = self.0.get(&message.says.message);
            verdict.check(has == Some(&message.says.text), Lie::OldText, 0, || {
                format!("{reader} has another text of {} in {}: {has:?}", message.client_id, conversation.name)
            });
        }
    }
}

/// Checks that message numbers have no gaps, and that unread counts equal the number of messages
/// after the read position.
pub(super) fn check_numbers(evidence: &Evidence, verdict: &mut Verdict) {
    for conversation in &evidence.conversations {
        let messages = || conversation.log.iter().filter(|row| row.no.is_some());
        for (expected, row) in (1..).zip(messages()) {
            verdict.check(row.no == Some(expected), Lie::Misnumbered, row.committed, || {
                format!(
                    "message {:?} of {} has the number {:?}, not {expected}",
                    row.message, conversation.name, row.no
                )
            });
        }
        for position in &conversation.positions {
            let is_own = |row: &&crate::evidence::Logged| {
                row.message.as_ref().is_some_and(|(_, sender, _)| *sender == position.user)
            };
            let written = messages().filter(is_own).map(|row| row.seq).max().unwrap_or(0);
            let read = written.max(position.read_seq);
            let unread = i64::try_from(messages().filter(|row| row.seq > read).count()).unwrap_or(i64::MAX);
            verdict.check(position.unread == unread, Lie::Miscounted, 0, || {
                format!("{position:?} of {} has {unread} messages after {read}", conversation.name)
            });
        }
    }
}

/// Checks that text that was edited away or deleted can no longer be read.
pub(super) fn check_removed(evidence: &Evidence, verdict: &mut Verdict) {
    let removed: HashSet<&str> = evidence.removed.iter().map(String::as_str).collect();
    for (place, text) in &evidence.readable {
        let marks = text.match_indices(MARK).filter_map(|(at, mark)| text.get(at..at + mark.len() + ID));
        let left: HashSet<&str> = marks.filter(|mark| removed.contains(mark)).collect();
        verdict.check(left.is_empty(), Lie::StillReadable, 0, || format!("{place} still has {left:?}"));
    }
}
