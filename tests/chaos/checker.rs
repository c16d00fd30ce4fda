//! Judges what a run left behind.
//!
//! The log is the truth. What is compared with it: every frame that a reader got, every acknowledgement that a writer got.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

mod extras;
mod restarts;
mod texts;
mod times;

use crate::evidence::{Chat, Conversation, Did, Event, Evidence, Logged, Moment, Reader, Seen, Writer};

/// Within this an online member sees an event, even when Redis or the writing instance died (G3).
pub const PROMPT: i64 = 2_000;
/// So many visits that a viewer must have been told of one.
const VISITS: usize = 5;
/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lie {
    LogHasGap,
    /// Messages are not numbered 1, 2, 3 ….
    Misnumbered,
    /// A member's unread count is not what is after their position.
    Miscounted,
    /// A text that was edited away or deleted can still be read.
    StillReadable,
    /// A reader has every event, and not the text that the message has.
    OldText,
    /// A message has other reactions, replies, votes or another pin than the log says.
    OtherExtras,
    /// A passing event of a large conversation came to somebody who does not view it, or never to those who do.
    Misdirected,
    Gap,
    Repetition,
    Falsified,
    Missing,
    Intruder,
    LostMessage,
    Doubled,
    AcknowledgedOutOfOrder,
    Late,
    RestartShows,
    Unhealed,
    Surprise,
}

#[derive(Clone, Debug)]
pub struct Finding {
    pub lie: Lie,
    pub at: Moment,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}: {}", self.at, self.lie, self.what)
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Verdict {
    pub findings: Vec<Finding>,
    pub checks: u64,
    pub deliveries: u64,
    /// The longest that an event took while nothing but Redis or instances died, and how many were timed.
    pub slowest: i64,
    /// Which one that was.
    pub slowest_was: String,
    pub timed: u64,
    /// How many of them took longer than [`PROMPT`].
    pub late: u64,
    /// Passing events of large conversations that came to viewers.
    pub passing: u64,
    /// After how many milliseconds a late one is a finding.
    bound: i64,
}

impl Verdict {
    fn find(&mut self, lie: Lie, at: Moment, what: impl Into<String>) {
        self.findings.push(Finding { lie, at, what: what.into() });
    }

    fn check(&mut self, holds: bool, lie: Lie, at: Moment, what: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            self.find(lie, at, what());
        }
    }
}

/// Checks a record. An event that took longer than `bound` milliseconds is a finding.
pub fn check(evidence: &Evidence, bound: i64) -> Verdict {
    let mut verdict = Verdict { bound, ..Verdict::default() };
    check_logs(evidence, &mut verdict);
    texts::check_numbers(evidence, &mut verdict);
    texts::check_removed(evidence, &mut verdict);
    extras::check(evidence, &mut verdict);
    for reader in &evidence.readers {
        check_reader(evidence, reader, &mut verdict);
    }
    for writer in &evidence.writers {
        check_writer(evidence, writer, &mut verdict);
    }
    restarts::check(evidence, &mut verdict);
    let (visits, passing) = (evidence.visits, verdict.passing);
    verdict.check(passing > 0 || visits < VISITS, Lie::Misdirected, 0, || {
        format!("nobody who views the channel was told of any of {visits} visits")
    });
    for what in &evidence.unhealed {
        verdict.find(Lie::Unhealed, 0, what.clone());
    }
    for what in &evidence.surprises {
        verdict.find(Lie::Surprise, 0, what.clone());
    }
    verdict
}

/// The log has no gap, and each message once; so has the history.
fn check_logs(evidence: &Evidence, verdict: &mut Verdict) {
    for conversation in &evidence.conversations {
        let mut once = HashSet::new();
        for (expected, row) in (1..).zip(&conversation.log) {
            verdict.check(row.seq == expected, Lie::LogHasGap, row.committed, || {
                format!("the log of {} has {} where {expected} is due", conversation.name, row.seq)
            });
            if let Some((_, sender, client_id)) = &row.message {
                verdict.check(once.insert((sender, client_id)), Lie::Doubled, row.committed, || {
                    format!("{client_id} stands twice in the log of {}, again at {}", conversation.name, row.seq)
                });
            }
        }
        let mut once = HashSet::new();
        for message in &conversation.history {
            verdict.check(once.insert((&message.sender, &message.client_id)), Lie::Doubled, 0, || {
                format!("{} is twice in the history of {}", message.client_id, conversation.name)
            });
        }
    }
}

/// One conversation as a reader has it.
#[derive(Default)]
struct View {
    /// Everything up to here has come, in order.
    cursor: i64,
    /// What was read from the log by a request may come on the stream as well.
    fetched: i64,
    /// A resync was told, or the reader was let in: what came before must be asked for.
    is_excused: bool,
    /// The reader was removed, and saw it.
    is_out: bool,
    /// The reader was removed where memberships take no number: a leave may have been older than a join, and then a resync says so.
    has_left: bool,
    /// What the messages say.
    texts: texts::Texts,
}

/// Goes through what a reader saw, frame by frame.
fn check_reader(evidence: &Evidence, reader: &Reader, verdict: &mut Verdict) {
    let mut views: BTreeMap<Chat, View> = BTreeMap::new();
    let absences: Vec<HashSet<i64>> =
        evidence.conversations.iter().map(|conversation| absence(conversation, &reader.user)).collect();
    let mut syncs: usize = 0;
    let mut is_connected = false;
    let mut shown: BTreeSet<Chat> = BTreeSet::new();
    // Since when it has had all there was on this connection.
    let mut settled: Option<Moment> = None;
    for (at, seen) in &reader.seen {
        match seen {
            Seen::Hello { heads, resumes } => {
                (is_connected, syncs, settled) = (true, usize::from(*resumes), None);
                shown = BTreeSet::new();
                for (chat, view) in &mut views {
                    // What a hello of a large conversation lacks may be entered while nothing can be told: then a resync says so.
                    let (is_missing, is_large) = (!heads.contains_key(chat), evidence.conversations[*chat].is_large);
                    view.is_excused = false;
                    (view.is_out, view.has_left) = (is_missing && !is_large, is_missing && is_large);
                }
                let mut is_behind = false;
                for (chat, head) in heads {
                    let view = views.entry(*chat).or_default();
                    // What comes live comes after the head; what is before it the reader asks for, until it gets it.
                    view.is_excused = view.cursor < *head;
                    is_behind |= view.is_excused;
                }
                if !is_behind && !resumes {
                    settled = Some(*at);
                }
            }
            Seen::Sync => syncs += 1,
            Seen::Synced { refused, gone } => {
                syncs = syncs.saturating_sub(1);
                if syncs == 0 {
                    for (chat, view) in &mut views {
                        // Who is not in a conversation any more gets nothing of what it lacks there, but may still be told that it was removed.
                        view.is_excused = gone.contains(chat) || (view.is_excused && refused.contains(chat));
                    }
                    if refused.is_empty() {
                        settled.get_or_insert(*at);
                    }
                }
            }
            Seen::Resync(chats) => {
                for (chat, view) in &mut views {
                    let is_named = chats.as_ref().is_none_or(|chats| chats.contains(chat));
                    view.is_excused |= is_named;
                    view.has_left &= !is_named;
                }
            }
            Seen::Views(chats) => shown.clone_from(chats),
            Seen::Passing(chat, kind) => {
                let conversation = &evidence.conversations[*chat];
                let is_for_it = !conversation.is_large || shown.contains(chat);
                verdict.passing += u64::from(conversation.is_large && is_for_it);
                verdict.check(is_for_it, Lie::Misdirected, *at, || {
                    format!("{} got {kind} of {}, which it does not view", reader.name, conversation.name)
                });
            }
            Seen::Joined(chat) => {
                let view = views.entry(*chat).or_default();
                (view.is_excused, view.is_out, view.has_left) = (true, false, false);
            }
            Seen::Left(chat) => views.entry(*chat).or_default().has_left = true,
            Seen::Lost(_) => (is_connected, settled) = (false, None),
            Seen::Event(chat, seq, event) | Seen::Fetched(chat, seq, event) => {
                verdict.deliveries += 1;
                let is_live = matches!(seen, Seen::Event(..));
                let name = || format!("{} in {}", reader.name, evidence.conversations[*chat].name);
                let row = usize::try_from(*seq - 1).ok().and_then(|place| evidence.conversations[*chat].log.get(place));
                verdict.check(row.is_some_and(|row| row.event == *event), Lie::Falsified, *at, || {
                    format!("{} got {seq} ({}), which is not what the log has: {row:?}", name(), event.kind)
                });
                let concerns_self = event.member.as_deref() == Some(&reader.user);
                let view = views.entry(*chat).or_default();
                if concerns_self && event.kind == "member.added" && *seq > view.cursor {
                    // What came before it, the reader asks for.
                    view.is_excused |= *seq > view.cursor + 1;
                    view.is_out = false;
                }
                verdict.check(
                    !(is_live && syncs == 0 && (view.is_out || view.has_left) && *seq > view.cursor),
                    Lie::Intruder,
                    *at,
                    || format!("{} got {seq} after it had been removed", name()),
                );
                let may_differ = !is_live || syncs > 0 || view.is_excused;
                if !is_live {
                    view.fetched = view.fetched.max(*seq);
                }
                match *seq - view.cursor {
                    1 => {
                        view.cursor = *seq;
                        view.texts.take(event.says);
                        if let (Some(settled), Some(row)) = (settled.filter(|_| !reader.is_visitor), row)
                            && !absences[*chat].contains(seq)
                        {
                            let comes_and_goes = !absences[*chat].is_empty();
                            times::check(evidence, verdict, row, settled, *at, comes_and_goes, name);
                        }
                    }
                    2.. => verdict.check(may_differ, Lie::Gap, *at, || {
                        format!("{} got {seq} after {} without a resync", name(), view.cursor)
                    }),
                    _ => verdict.check(may_differ || *seq <= view.fetched, Lie::Repetition, *at, || {
                        format!("{} got {seq} again after {}", name(), view.cursor)
                    }),
                }
                if concerns_self && event.kind == "member.removed" && *seq == view.cursor {
                    view.is_out = true;
                }
            }
        }
    }
    let at = reader.seen.last().map_or(0, |(at, _)| *at);
    verdict.check(is_connected, Lie::Missing, at, || format!("{} has no connection at the end", reader.name));
    for (chat, conversation) in evidence.conversations.iter().enumerate() {
        if conversation.members.contains(&reader.user) {
            let cursor = views.get(&chat).map_or(0, |view| view.cursor);
            let head = conversation.log.last().map_or(0, |row| row.seq);
            verdict.check(cursor == head, Lie::Missing, at, || {
                format!("{} has {} up to {cursor} of {head}", reader.name, conversation.name)
            });
            if let Some(view) = views.get(&chat).filter(|_| cursor == head) {
                view.texts.check(conversation, &reader.name, verdict);
            }
        }
    }
}

/// What was committed while somebody was not in the conversation.
fn absence(conversation: &Conversation, user: &str) -> HashSet<i64> {
    let changes = |row: &&Logged| row.event.member.as_deref() == Some(user);
    let first = conversation.log.iter().find(changes);
    let mut is_in = first.is_none_or(|row| row.event.kind == "member.removed");
    let mut missed = HashSet::new();
    for row in &conversation.log {
        let is_change = changes(&row);
        if is_change && row.event.kind == "member.added" {
            is_in = true;
        }
        if !is_in {
            missed.insert(row.seq);
        }
        if is_change && row.event.kind == "member.removed" {
            is_in = false;
        }
    }
    missed
}

/// What was acknowledged is in the log, as it was acknowledged; and acknowledgements come in the order of the messages.
fn check_writer(evidence: &Evidence, writer: &Writer, verdict: &mut Verdict) {
    let mut waiting: std::collections::VecDeque<&str> = std::collections::VecDeque::new();
    let mut acknowledged: HashMap<&str, &str> = HashMap::new();
    for (at, did) in &writer.did {
        let mut answered = |client_id: &str, verdict: &mut Verdict| {
            let due = waiting.pop_front();
            verdict.check(due == Some(client_id), Lie::AcknowledgedOutOfOrder, *at, || {
                format!("{} got the answer to {client_id} where the one to {due:?} was due", writer.name)
            });
        };
        match did {
            Did::Connected => waiting.clear(),
            Did::Sent { client_id } => waiting.push_back(client_id),
            Did::PutOff { client_id } => answered(client_id, verdict),
            Did::Failed { .. } => {}
            Did::Acknowledged { chat, client_id, message, seq } => {
                answered(client_id, verdict);
                let conversation = &evidence.conversations[*chat];
                let row = usize::try_from(*seq - 1).ok().and_then(|place| conversation.log.get(place));
                let stored = row.and_then(|row| row.message.as_ref());
                let is_there = stored
                    .is_some_and(|(id, sender, stored)| id == message && sender == &writer.user && stored == client_id);
                verdict.check(is_there, Lie::LostMessage, *at, || {
                    format!(
                        "{} was told that {client_id} is {seq} of {}, where the log has {row:?}",
                        writer.name, conversation.name
                    )
                });
                let first = acknowledged.entry(client_id).or_insert(message);
                verdict.check(first == message, Lie::Doubled, *at, || {
                    format!("{client_id} of {} was acknowledged as {first} and as {message}", writer.name)
                });
            }
        }
    }
}

/// The kinds of events that a set of chats holds: for the report.
pub fn kinds(evidence: &Evidence) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for Event { kind, .. } in evidence.conversations.iter().flat_map(|chat| &chat.log).map(|row| &row.event) {
        *kinds.entry(*kind).or_default() += 1;
    }
    kinds
}

/// Which lies were found.
pub fn lies(verdict: &Verdict) -> BTreeSet<Lie> {
    verdict.findings.iter().map(|finding| finding.lie).collect()
}

#[cfg(test)]
mod tests;
