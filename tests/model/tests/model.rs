//! Model checking of the delivery algorithm within small bounds. Also checks that versions of the
//! algorithm with a defect are rejected.

use std::collections::BTreeSet;

use delivery_model::{Bounds, Delivery, EVERYTHING, IN_ORDER, Mutation};
use stateright::{Checker as _, HasDiscoveries, Model as _};

const THREADS: usize = 2;

/// Bounds for the checks. They are small; each kind of fault occurs alone and in combination.
fn all_bounds() -> Vec<(&'static str, Bounds)> {
    vec![
        ("nothing goes wrong", Bounds { group: 2, ..Bounds::calm(3, 1) }),
        ("nothing goes wrong for two readers", Bounds::calm(2, 2)),
        ("a writer dies", Bounds { crashes: 1, group: 2, ..Bounds::calm(3, 1) }),
        ("a writer dies, and there are two readers", Bounds { crashes: 1, ..Bounds::calm(2, 2) }),
        ("two writers die", Bounds { crashes: 2, ..Bounds::calm(2, 1) }),
        ("a connection to redis breaks", Bounds { cuts: 1, ..Bounds::calm(3, 1) }),
        ("a connection to redis breaks and a writer dies", Bounds { cuts: 1, crashes: 1, ..Bounds::calm(2, 1) }),
        ("redis dies", Bounds { outages: 1, ..Bounds::calm(2, 1) }),
        ("redis dies and a writer too", Bounds { outages: 1, crashes: 1, ..Bounds::calm(2, 1) }),
        ("a reader drops off twice", Bounds { drops: 2, ..Bounds::calm(3, 1) }),
        ("one of two readers drops off", Bounds { drops: 1, ..Bounds::calm(2, 2) }),
        ("messages come again", Bounds { doubles: 2, ..Bounds::calm(3, 1) }),
        ("the log can't be read", Bounds { failures: 1, cuts: 1, ..Bounds::calm(3, 1) }),
        ("pages are short", Bounds { page: 1, group: 2, drops: 1, ..Bounds::calm(3, 1) }),
        ("pages are short and a connection to redis breaks", Bounds { page: 1, cuts: 1, ..Bounds::calm(3, 1) }),
        ("a stream drops off twice", Bounds { page: 1, margin: 2, drops: 2, ..Bounds::calm(3, 1) }),
        ("one of two streams drops off", Bounds { page: 1, margin: 2, drops: 1, ..Bounds::calm(2, 2) }),
        ("a message is edited twice", Bounds { edits: 2, page: 1, drops: 1, ..Bounds::calm(3, 1) }),
        ("a message that two read is edited", Bounds { edits: 1, ..Bounds::calm(2, 2) }),
        ("a writer that edits dies", Bounds { edits: 1, page: 1, crashes: 1, ..Bounds::calm(2, 1) }),
        ("a message is edited while a connection to redis breaks", Bounds { edits: 1, cuts: 1, ..Bounds::calm(2, 1) }),
        ("a channel opens", Bounds { channels: true, ..Bounds::calm(2, 1) }),
        ("a channel of two readers opens", Bounds { channels: true, ..Bounds::calm(1, 2) }),
        ("a channel opens and closes", Bounds { channels: true, drops: 2, ..Bounds::calm(3, 1) }),
        (
            "a channel opens while a connection to redis breaks",
            Bounds { channels: true, cuts: 1, drops: 1, ..Bounds::calm(2, 1) },
        ),
        ("a channel opens and a writer dies", Bounds { channels: true, crashes: 1, ..Bounds::calm(2, 1) }),
        ("a stream's writer dies", Bounds { page: 1, margin: 2, crashes: 1, ..Bounds::calm(3, 1) }),
    ]
}

fn check(mutation: Option<Mutation>, bounds: Bounds) -> (usize, BTreeSet<&'static str>, String) {
    let builder = Delivery { bounds, mutation }.checker().threads(THREADS);
    let builder = if mutation.is_some() { builder.finish_when(HasDiscoveries::AnyFailures) } else { builder };
    let checker = builder.spawn_dfs().join();
    let found = checker.discoveries();
    let names = found.keys().copied().collect();
    let paths = found
        .iter()
        .filter(|(name, _)| [IN_ORDER, EVERYTHING].contains(name))
        .map(|(name, path)| format!("{name}:\n{:?}\n{:?}", path.clone().into_actions(), path.last_state()))
        .collect();
    (checker.unique_state_count(), names, paths)
}

#[test]
fn delivers_every_event_once_and_in_order() {
    let mut total = 0;
    for (name, bounds) in all_bounds() {
        let start = std::time::Instant::now();
        let (states, found, paths) = check(None, bounds);
        eprintln!("{states:>9} states, {:>6.1} s: {name}", start.elapsed().as_secs_f64());
        assert!(paths.is_empty(), "{name}: {paths}");
        assert_eq!(found.len(), 1, "{name}: the expected final state was never reached");
        total += states;
    }
    eprintln!("{total:>9} states in all");
}

/// The check must find each defect within the bounds that expose it.
#[test]
fn finds_every_mutation_of_the_algorithm() {
    let needed = [
        (Mutation::NoRelay, "a writer dies"),
        (Mutation::NoGapFill, "a writer dies"),
        (Mutation::KeepsRepetitions, "nothing goes wrong"),
        (Mutation::HoldsNothingBack, "nothing goes wrong"),
        (Mutation::ReadsBeforeItFollows, "nothing goes wrong"),
        (Mutation::LooksBeforeItListens, "a connection to redis breaks"),
        (Mutation::ForgetsTheSecondLook, "a connection to redis breaks"),
        (Mutation::ArrivesWithOldNews, "a connection to redis breaks"),
        (Mutation::EndsSyncsTooEarly, "nothing goes wrong"),
        (Mutation::EndsWhereItsInstanceIs, "one of two streams drops off"),
        (Mutation::ForgetsNotesTooEarly, "a connection to redis breaks"),
        (Mutation::SkipsSilently, "the log can't be read"),
        (Mutation::LeavesEditedText, "a message is edited twice"),
        (Mutation::EmptiesItsOwnEvent, "a message is edited twice"),
        (Mutation::EditsWithoutEvent, "a message is edited twice"),
        (Mutation::OpensSilently, "a channel opens"),
        (Mutation::TrustsClosedChannels, "a channel opens"),
    ];
    for (mutation, name) in needed {
        let (_, bounds) = all_bounds().into_iter().find(|(other, _)| *other == name).unwrap();
        let (states, _, paths) = check(Some(mutation), bounds);
        assert!(!paths.is_empty(), "{mutation:?} is not detected where {name}");
        eprintln!("{mutation:?}: found after {states} states, where {name}");
    }
}
