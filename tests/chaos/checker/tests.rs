//! Tests that the checker finds each kind of violation. Each changes one thing in a record of a
//! correct run.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::evidence::{Change, Extras, Fault, Kind, MARK, ReadPosition, Says, Stored};

const SENDER: &str = "sender";
const READER: &str = "reader";
/// Time between commits, in milliseconds.
const STEP: Moment = 1_000;

fn says(seq: i64) -> Says {
    let number = u64::try_from(seq).unwrap();
    Says { message: number, text: Some(number) }
}

fn event(seq: i64) -> Event {
    Event { kind: "message.created", digest: u64::try_from(seq).unwrap(), member: None, says: Some(says(seq)) }
}

fn member(kind: &'static str, seq: i64) -> Event {
    Event { kind, digest: u64::try_from(seq).unwrap(), member: Some(READER.into()), says: Some(says(seq)) }
}

fn row(seq: i64) -> Logged {
    let message = (format!("m{seq}"), SENDER.to_owned(), format!("c{seq}"));
    Logged { seq, event: event(seq), committed: seq * STEP, message: Some(message), no: Some(seq), change: None }
}

fn hello(head: i64) -> Seen {
    Seen::Hello { heads: BTreeMap::from([(0, head)]), resumes: false }
}

fn synced() -> Seen {
    Seen::Synced { refused: BTreeSet::new(), gone: BTreeSet::new() }
}

fn got(seq: i64) -> (Moment, Seen) {
    (seq * STEP + 50, Seen::Event(0, seq, event(seq)))
}

fn acknowledged(seq: i64) -> (Moment, Did) {
    let did = Did::Acknowledged { chat: 0, client_id: format!("c{seq}"), message: format!("m{seq}"), seq };
    (seq * STEP + 40, did)
}

/// Record of a correct run with six messages. The reader disconnects after three of them, syncs,
/// and is told once to resync.
fn truth() -> Evidence {
    let mut seen = vec![(1, hello(0))];
    seen.extend([1, 2, 3].map(got));
    seen.push((3_500, Seen::Lost(None)));
    seen.push((5_500, hello(5)));
    seen.push((5_500, Seen::Sync));
    seen.push((5_510, Seen::Event(0, 4, event(4))));
    seen.push((5_510, Seen::Event(0, 5, event(5))));
    seen.push((5_520, synced()));
    seen.push((5_600, Seen::Resync(None)));
    seen.push((5_600, Seen::Sync));
    seen.push((5_610, synced()));
    seen.push(got(6));
    let mut did = vec![(0, Did::Connected)];
    did.extend((1..=6).map(|seq| (seq * STEP, Did::Sent { client_id: format!("c{seq}") })));
    did.extend((1..=6).map(acknowledged));
    Evidence {
        conversations: vec![Conversation {
            name: "the room",
            log: (1..=6).map(row).collect(),
            is_large: true,
            history: (1..=6)
                .map(|seq| Stored {
                    sender: SENDER.into(),
                    client_id: format!("c{seq}"),
                    says: says(seq),
                    has: Extras::default(),
                })
                .collect(),
            members: BTreeSet::from([READER.to_owned()]),
            positions: vec![
                ReadPosition { user: READER.into(), read_seq: 4, unread: 2 },
                ReadPosition { user: SENDER.into(), read_seq: 0, unread: 0 },
            ],
        }],
        readers: vec![Reader { name: "Rita".into(), user: READER.into(), is_visitor: false, seen }],
        writers: vec![Writer { name: "Sam".into(), user: SENDER.into(), did }],
        removed: vec![format!("{MARK}{}", "1".repeat(36))],
        readable: vec![("the log", format!("says {MARK}{}.", "2".repeat(36)))],
        ..Evidence::default()
    }
}

fn place(evidence: &Evidence, seq: i64) -> usize {
    let is_it = |(_, seen): &(Moment, Seen)| matches!(seen, Seen::Event(0, other, _) if *other == seq);
    evidence.readers[0].seen.iter().position(is_it).unwrap()
}

#[track_caller]
fn finds(lie: Lie, tell: impl FnOnce(&mut Evidence)) {
    let mut evidence = truth();
    tell(&mut evidence);
    let verdict = check(&evidence, PROMPT);
    assert!(lies(&verdict).contains(&lie), "{lie:?} was not found: {:?}", verdict.findings);
}

#[track_caller]
fn finds_nothing(change: impl FnOnce(&mut Evidence)) {
    let mut evidence = truth();
    change(&mut evidence);
    let verdict = check(&evidence, PROMPT);
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
    assert!(verdict.checks > 20 && verdict.timed > 0);
}

fn fault(kind: Kind, from: Moment, to: Moment) -> Fault {
    Fault { kind, what: format!("{kind:?}"), from, to }
}

#[test]
fn accepts_a_correct_run() {
    finds_nothing(|_| {});
}

#[test]
fn finds_a_missing_event() {
    finds(Lie::Gap, |run| {
        let at = place(run, 2);
        run.readers[0].seen.remove(at);
    });
    finds(Lie::Missing, |run| {
        run.readers[0].seen.pop();
    });
    // The sync has left out an event.
    finds(Lie::Missing, |run| {
        let at = place(run, 4);
        run.readers[0].seen.remove(at);
    });
    finds(Lie::Missing, |run| run.readers[0].seen.push((7_000, Seen::Lost(None))));
}

#[test]
fn accepts_a_gap_only_after_a_resync() {
    let jump = |run: &mut Evidence| {
        let at = place(run, 2);
        run.readers[0].seen.remove(at);
    };
    finds_nothing(|run| {
        jump(run);
        let at = place(run, 3);
        let told = [
            Seen::Resync(Some(BTreeSet::from([0]))),
            Seen::Event(0, 3, event(3)),
            Seen::Sync,
            Seen::Event(0, 2, event(2)),
            Seen::Event(0, 3, event(3)),
            synced(),
        ];
        run.readers[0].seen.splice(at..=at, told.map(|seen| (3_060, seen)));
    });
    finds(Lie::Gap, |run| {
        jump(run);
        let at = place(run, 3);
        run.readers[0].seen.insert(at, (3_040, Seen::Resync(Some(BTreeSet::new()))));
    });
}

#[test]
fn requires_a_later_sync_after_a_refused_one() {
    // The reader is behind from the first frame on, and its sync is refused. Live events follow
    // after the announced head.
    let refused = |run: &mut Evidence, refused: &[usize], gone: &[usize]| {
        let [refused, gone] = [refused, gone].map(|some| some.iter().copied().collect());
        let (first, third) = (place(run, 1), place(run, 3));
        let told = [hello(2), Seen::Sync, Seen::Synced { refused, gone }, Seen::Event(0, 3, event(3))];
        run.readers[0].seen.splice(first..=third, told.map(|seen| (3_040, seen)));
    };
    let comes_later = |run: &mut Evidence| {
        let at = place(run, 3);
        let told = [
            Seen::Sync,
            Seen::Event(0, 1, event(1)),
            Seen::Event(0, 2, event(2)),
            Seen::Event(0, 3, event(3)),
            synced(),
        ];
        run.readers[0].seen.splice(at + 1..=at, told.map(|seen| (3_060, seen)));
    };
    finds_nothing(|run| {
        refused(run, &[0], &[]);
        comes_later(run);
    });
    finds_nothing(|run| {
        refused(run, &[], &[0]);
        comes_later(run);
    });
    finds(Lie::Gap, |run| refused(run, &[], &[]));
}

#[test]
fn finds_a_duplicate_event() {
    finds(Lie::Repetition, |run| {
        let at = place(run, 2);
        run.readers[0].seen.insert(at, got(2));
    });
}

#[test]
fn finds_events_out_of_order() {
    finds(Lie::Gap, |run| {
        let (one, other) = (place(run, 2), place(run, 3));
        run.readers[0].seen.swap(one, other);
    });
}

#[test]
fn finds_an_event_with_different_content() {
    finds(Lie::Falsified, |run| {
        let at = place(run, 2);
        run.readers[0].seen[at].1 = Seen::Event(0, 2, event(9));
    });
    finds(Lie::Falsified, |run| run.readers[0].seen.push((7_000, Seen::Event(0, 7, event(7)))));
}

#[test]
fn finds_a_lost_acknowledged_message() {
    finds(Lie::LostMessage, |run| {
        run.conversations[0].log.pop();
    });
    finds(Lie::LostMessage, |run| run.conversations[0].log[5].message = None);
    finds(Lie::LostMessage, |run| run.writers[0].user = "somebody else".into());
}

#[test]
fn finds_a_duplicate_message() {
    finds(Lie::Doubled, |run| {
        let first = run.conversations[0].log[0].message.clone();
        run.conversations[0].log[5].message = first;
    });
    finds(Lie::Doubled, |run| {
        let first = run.conversations[0].history[0].clone();
        run.conversations[0].history.push(first);
    });
    finds(Lie::Doubled, |run| {
        run.writers[0].did.push((7_000, Did::Sent { client_id: "c1".into() }));
        let again = Did::Acknowledged { chat: 0, client_id: "c1".into(), message: "m6".into(), seq: 6 };
        run.writers[0].did.push((7_000, again));
    });
}

#[test]
fn finds_a_gap_in_the_log() {
    finds(Lie::LogHasGap, |run| {
        run.conversations[0].log.remove(3);
    });
}

#[test]
fn finds_acknowledgements_out_of_order() {
    finds(Lie::AcknowledgedOutOfOrder, |run| {
        let last = run.writers[0].did.len() - 1;
        run.writers[0].did.swap(last, last - 1);
    });
}

#[test]
fn finds_a_late_event_unless_a_fault_excuses_it() {
    let late = |run: &mut Evidence| {
        let at = place(run, 6);
        run.readers[0].seen[at].0 = 6 * STEP + PROMPT + 1;
    };
    finds(Lie::Late, late);
    for kind in [Kind::KillRedis, Kind::KillInstance] {
        finds(Lie::Late, |run| {
            late(run);
            run.faults.push(fault(kind, 5_900, 8_000));
        });
    }
    finds_nothing(|run| {
        late(run);
        run.faults.push(fault(Kind::StopDatabase, 5_900, 8_000));
    });
    finds_nothing(|run| {
        late(run);
        run.stalls.push((6_500, 40));
    });
    // A member who was absent when the event was committed gets it after returning.
    finds_nothing(|run| {
        let at = place(run, 4);
        run.readers[0].seen[at].0 = 4 * STEP + PROMPT + 1;
    });
}

#[test]
fn does_not_count_events_before_a_join_as_late() {
    let absent = |run: &mut Evidence| {
        run.conversations[0].log[0].event = member("member.removed", 1);
        run.conversations[0].log[2].event = member("member.added", 3);
        let (first, second, third) = (place(run, 1), place(run, 2), place(run, 3));
        run.readers[0].seen[first].1 = Seen::Event(0, 1, member("member.removed", 1));
        let added = Seen::Event(0, 3, member("member.added", 3));
        let comes = [
            (3_050, added.clone()),
            (3_050, Seen::Sync),
            (4_300, Seen::Event(0, 2, event(2))),
            (4_300, added),
            (4_310, synced()),
        ];
        run.readers[0].seen.splice(second..=third, comes);
    };
    finds_nothing(absent);
    finds(Lie::Late, |run| {
        absent(run);
        run.conversations[0].log[0].event = event(1);
        run.conversations[0].log[2].event = event(3);
    });
}

#[test]
fn finds_events_delivered_after_a_removal() {
    let removed = |run: &mut Evidence| {
        run.conversations[0].log[1].event = member("member.removed", 2);
        let at = place(run, 2);
        run.readers[0].seen[at].1 = Seen::Event(0, 2, member("member.removed", 2));
    };
    finds(Lie::Intruder, removed);
    finds_nothing(|run| {
        removed(run);
        run.conversations[0].log[2].event = member("member.added", 3);
        let at = place(run, 3);
        run.readers[0].seen[at].1 = Seen::Event(0, 3, member("member.added", 3));
    });
}

#[test]
fn finds_a_visible_rolling_restart() {
    let restart = |run: &mut Evidence| run.faults.push(fault(Kind::RollingRestart, 3_000, 6_500));
    finds(Lie::RestartShows, restart);
    let goodbye = |run: &mut Evidence| {
        for (_, seen) in &mut run.readers[0].seen {
            if matches!(seen, Seen::Lost(_)) {
                *seen = Seen::Lost(Some(1012));
            }
        }
    };
    finds_nothing(|run| {
        restart(run);
        goodbye(run);
    });
    finds(Lie::RestartShows, |run| {
        restart(run);
        goodbye(run);
        run.writers[0].did.push((6_900, Did::Failed { what: "503".into() }));
    });
    // Effects of another fault must not be attributed to the restart.
    finds_nothing(|run| {
        restart(run);
        run.faults.push(fault(Kind::KillInstance, 1_000, 2_000));
    });
    // Effects of the next fault must not be attributed to the restart either, although a request to
    // the restarted instance could still be in progress.
    finds_nothing(|run| {
        restart(run);
        goodbye(run);
        run.faults.push(fault(Kind::CutClients, 6_800, 6_800));
        run.writers[0].did.push((6_900, Did::Failed { what: "cut".into() }));
    });
}

#[test]
fn reports_unhealed_components_at_the_end() {
    finds(Lie::Unhealed, |run| run.unhealed.push("redis is down".into()));
    finds(Lie::Surprise, |run| run.surprises.push("500".into()));
}

#[test]
fn finds_gaps_in_message_numbers() {
    finds(Lie::Misnumbered, |run| run.conversations[0].log[3].no = Some(5));
    finds(Lie::Misnumbered, |run| run.conversations[0].log[0].no = Some(0));
}

#[test]
fn finds_a_wrong_unread_count() {
    finds(Lie::Miscounted, |run| run.conversations[0].positions[0].unread = 3);
    finds(Lie::Miscounted, |run| run.conversations[0].positions[1].unread = 6);
    finds_nothing(|run| {
        let position = &mut run.conversations[0].positions[0];
        (position.read_seq, position.unread) = (6, 0);
    });
}

#[test]
fn finds_removed_text_that_is_still_readable() {
    finds(Lie::StillReadable, |run| {
        let removed = run.removed[0].clone();
        run.readable.push(("a stream", format!("edited {removed} in between")));
    });
}

#[test]
fn finds_a_reader_with_outdated_text() {
    let edited = |run: &mut Evidence| {
        run.conversations[0].history[1].says.text = Some(20);
    };
    finds(Lie::OldText, edited);
    finds(Lie::OldText, |run| run.conversations[0].history[1].says.text = None);
    // The event of the edit is itself the last event in the log.
    finds_nothing(|run| {
        edited(run);
        let last = |event: &mut Event| event.says = Some(Says { message: 2, text: Some(20) });
        run.conversations[0].history.pop();
        last(&mut run.conversations[0].log[5].event);
        let at = place(run, 6);
        if let Seen::Event(_, _, event) = &mut run.readers[0].seen[at].1 {
            last(event);
        }
    });
}

#[test]
fn finds_ephemeral_events_delivered_to_non_viewers() {
    let typing = || (6_500, Seen::Passing(0, "typing".into()));
    finds(Lie::Misdirected, |run| run.readers[0].seen.push(typing()));
    finds_nothing(|run| {
        run.readers[0].seen.push((6_400, Seen::Views(BTreeSet::from([0]))));
        run.readers[0].seen.push(typing());
    });
    // A client views a conversation only until the end of its connection.
    finds(Lie::Misdirected, |run| {
        run.readers[0].seen.insert(1, (2, Seen::Views(BTreeSet::from([0]))));
        run.readers[0].seen.push(typing());
    });
    finds_nothing(|run| {
        run.conversations[0].is_large = false;
        run.readers[0].seen.push(typing());
    });
    finds(Lie::Misdirected, |run| run.visits = VISITS);
}

#[test]
fn finds_events_delivered_after_leaving_a_channel() {
    let leaves = |run: &mut Evidence| {
        let at = place(run, 6);
        run.readers[0].seen.insert(at, (5_700, Seen::Left(0)));
    };
    finds(Lie::Intruder, leaves);
    for rejoin_clause in [Seen::Joined(0), Seen::Resync(Some(BTreeSet::from([0])))] {
        finds_nothing(|run| {
            leaves(run);
            let at = place(run, 6);
            run.readers[0].seen.insert(at, (5_800, rejoin_clause));
        });
    }
}

#[test]
fn accepts_a_large_channel_missing_from_hello_until_a_resync() {
    let lacks_it = |run: &mut Evidence| {
        let at = run.readers[0].seen.iter().rposition(|(_, seen)| matches!(seen, Seen::Hello { .. })).unwrap();
        run.readers[0].seen[at].1 = Seen::Hello { heads: BTreeMap::new(), resumes: false };
    };
    finds_nothing(lacks_it);
    finds(Lie::Intruder, |run| {
        lacks_it(run);
        run.readers[0].seen.retain(|(_, seen)| !matches!(seen, Seen::Resync(_)));
    });
    finds(Lie::Intruder, |run| {
        lacks_it(run);
        run.conversations[0].is_large = false;
    });
}

fn reacted(message: u64) -> Change {
    Change::Reacted { message, emoji: "+".into(), user: READER.into() }
}

#[test]
fn finds_reactions_that_differ_from_the_log() {
    let react = |run: &mut Evidence| {
        let conversation = &mut run.conversations[0];
        conversation.log[4].change = Some(reacted(2));
        conversation.history[1].has.reactions = BTreeMap::from([("+".into(), 1)]);
    };
    finds_nothing(react);
    finds(Lie::OtherExtras, |run| run.conversations[0].log[4].change = Some(reacted(2)));
    finds(Lie::OtherExtras, |run| run.conversations[0].history[1].has.reactions = BTreeMap::from([("+".into(), 1)]));
    finds(Lie::OtherExtras, |run| {
        react(run);
        run.conversations[0].log[5].change = Some(reacted(2));
    });
    let taken_back = Change::TookBack { message: 2, emoji: "+".into(), user: READER.into() };
    for gone in [taken_back.clone(), Change::Deleted { message: 2 }] {
        finds_nothing(|run| {
            react(run);
            run.conversations[0].log[5].change = Some(gone);
            run.conversations[0].history[1].has.reactions.clear();
        });
    }
    finds(Lie::OtherExtras, |run| run.conversations[0].log[5].change = Some(taken_back));
}

#[test]
fn finds_pins_that_differ_from_the_log() {
    let pinned = |is_pinned| Some(Change::Pinned { message: 2, is_pinned });
    let pin = |run: &mut Evidence| {
        run.conversations[0].log[4].change = pinned(true);
        run.conversations[0].history[1].has.is_pinned = true;
    };
    finds_nothing(pin);
    finds(Lie::OtherExtras, |run| run.conversations[0].log[4].change = pinned(true));
    finds(Lie::OtherExtras, |run| run.conversations[0].history[1].has.is_pinned = true);
    finds(Lie::OtherExtras, |run| run.conversations[0].log[4].change = pinned(false));
    finds(Lie::OtherExtras, |run| {
        pin(run);
        run.conversations[0].log[5].change = pinned(true);
    });
    for gone in [pinned(false), Some(Change::Deleted { message: 2 })] {
        finds_nothing(|run| {
            pin(run);
            run.conversations[0].log[5].change = gone;
            run.conversations[0].history[1].has.is_pinned = false;
        });
    }
}

#[test]
fn finds_replies_that_differ_from_the_log() {
    let reply = |run: &mut Evidence| {
        let conversation = &mut run.conversations[0];
        (conversation.log[5].no, conversation.log[5].change) = (None, Some(Change::Replied { root: 2, no: 1 }));
        conversation.history[1].has.replies = 1;
        conversation.positions[0].unread -= 1;
    };
    finds_nothing(reply);
    finds(Lie::Misnumbered, |run| {
        reply(run);
        run.conversations[0].log[5].change = Some(Change::Replied { root: 2, no: 2 });
    });
    finds(Lie::OtherExtras, |run| {
        reply(run);
        run.conversations[0].history[1].has.replies = 0;
    });
    let deleted = |run: &mut Evidence| {
        reply(run);
        let log = &mut run.conversations[0].log;
        (log[4].no, log[5].no) = (None, Some(5));
        (log[4].change, log[5].change) = (log[5].change.take(), Some(Change::ReplyDeleted { root: 2 }));
    };
    finds(Lie::OtherExtras, deleted);
    finds_nothing(|run| {
        deleted(run);
        run.conversations[0].history[1].has.replies = 0;
        run.conversations[0].positions[0].unread = 1;
    });
}

#[test]
fn finds_votes_that_differ_from_the_log() {
    finds(Lie::OtherExtras, |run| {
        run.conversations[0].log[4].change = Some(Change::Voted { message: 2, results: 7 });
        run.conversations[0].history[1].has.results = Some(8);
    });
    finds_nothing(|run| {
        run.conversations[0].log[4].change = Some(Change::Voted { message: 2, results: 7 });
        run.conversations[0].history[1].has.results = Some(7);
    });
}
