//! Checks the record of a chaos run.
//!
//! The log is the source of truth. Every frame that a reader received and every acknowledgement that a writer received
//! is compared with it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

mod extras;
mod restarts;
mod texts;
mod times;

use crate::evidence::{Chat, Conversation, Did, Event, Evidence, Logged, Moment, Reader, Seen, Writer};

/// Time within which an online member must see an event even if Redis or the writing instance has
/// died (guarantee G3 of `docs/guarantees.md`), in milliseconds.
pub const PROMPT: i64 = 2_000;
/// Number of the visitor's visits from which on at least one must have been observed by a viewer.
const VISITS: usize = 5;
/// Kind of a violation that the checker finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lie {
    LogHasGap,
    /// Message numbers are not 1, 2, 3 ….
    Misnumbered,
    /// The unread count of a member differs from the messages after their position.
    Miscounted,
    /// A text that was edited or deleted is still readable.
    StillReadable,
    /// A reader has every event but not the current text of the message.
    OldText,
    /// Reactions, replies, votes or the pin of a message differ from the log.
    OtherExtras,
    /// An ephemeral event of a large conversation reached a user who isn't viewing it, or never
    /// reached those who are.
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

/// Result of checking a run.
#[derive(Debug, Default)]
pub struct Verdict {
    pub findings: Vec<Finding>,
    pub checks: u64,
    pub deliveries: u64,
    /// Longest delivery time while only Redis or instances failed, in milliseconds; `timed` is the
    /// number of deliveries that were timed.
    pub slowest: i64,
    /// Description of the event with the longest delivery time.
    pub slowest_was: String,
    pub timed: u64,
    /// Number of deliveries slower than [`PROMPT`].
    pub late: u64,
    /// Number of ephemeral events of large conversations that were delivered to viewers.
    pub passing: u64,
    /// Delay above which the delivery of an event is a violation, in milliseconds.
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

/// Checks a record. The delivery of an event is a violation if it took longer than `bound`
/// milliseconds.
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

/// Checks that the log and the history have no gaps and contain every message once.
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

/// State of a conversation as a reader sees it.
#[derive(Default)]
struct View {
    /// Sequence number up to which all events have arrived in order.
    cursor: i64,
    /// Highest sequence number that the reader has read from the log by a request; the stream may
    /// repeat these events.
    fetched: i64,
    /// True after a resync or a join: the reader must fetch earlier events by a sync.
    is_excused: bool,
    /// True if the reader was removed and has seen the removal.
    is_out: bool,
    /// True if the reader was removed from a conversation whose memberships have no sequence
    /// number. The removal may be older than a join; a resync resolves the order.
    has_left: bool,
    texts: texts::Texts,
}

/// Replays the frames that a reader has seen, one by one.
fn check_reader(evidence: &Evidence, reader: &Reader, verdict: &mut Verdict) {
    let mut views: BTreeMap<Chat, View> = BTreeMap::new();
    let absences: Vec<HashSet<i64>> =
        evidence.conversations.iter().map(|conversation| absence(conversation, &reader.user)).collect();
    let mut syncs: usize = 0;
    let mut is_connected = false;
    let mut shown: BTreeSet<Chat> = BTreeSet::new();
    // Time since which the reader has had all events on this connection.
    let mut settled: Option<Moment> = None;
    for (at, seen) in &reader.seen {
        match seen {
            Seen::Hello { heads, resumes } => {
                (is_connected, syncs, settled) = (true, usize::from(*resumes), None);
                shown = BTreeSet::new();
                for (chat, view) in &mut views {
                    // A large conversation that is missing in `hello` may have been joined while
                    // Redis was unavailable; a resync follows.
                    let (is_missing, is_large) = (!heads.contains_key(chat), evidence.conversations[*chat].is_large);
                    view.is_excused = false;
                    (view.is_out, view.has_left) = (is_missing && !is_large, is_missing && is_large);
                }
                let mut is_behind = false;
                for (chat, head) in heads {
                    let view = views.entry(*chat).or_default();
                    // Live events follow after the head. The reader fetches earlier events until it
                    // has them all.
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
                        // A reader that is no longer a member gets no missed events, but it may
                        // still see its removal.
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
                    // The reader fetches the events before this one.
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

/// Returns the sequence numbers of events that were committed while the user was not a member.
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

/// Checks that the log contains every acknowledged message as it was acknowledged, and that
/// acknowledgements arrive in the order of the messages.
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

/// Number of events per kind of conversation, for the report.
pub fn kinds(evidence: &Evidence) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for Event { kind, .. } in evidence.conversations.iter().flat_map(|chat| &chat.log).map(|row| &row.event) {
        *kinds.entry(*kind).or_default() += 1;
    }
    kinds
}

/// Returns the kinds of the violations that were found.
pub fn lies(verdict: &Verdict) -> BTreeSet<Lie> {
    verdict.findings.iter().map(|finding| finding.lie).collect()
}

#[cfg(test)]
mod tests;
