//! The order of events, gaps, and greetings.

use super::*;

#[tokio::test]
async fn readers_get_events_in_order_whatever_order_they_come_in() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let out = join(&mut subscriptions, UserId::new(), &[(id, 5)]);
    for seq in [7, 6, 6, 5, 9, 8] {
        subscriptions.receive(&durable(id, seq, Effect::None), now);
    }
    assert_eq!(kinds(&out), ["event.6", "event.7", "event.8", "event.9"]);
}

#[tokio::test]
async fn a_gap_is_filled_from_the_log_after_a_while() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let out = join(&mut subscriptions, UserId::new(), &[(id, 5)]);
    subscriptions.receive(&durable(id, 8, Effect::None), now);
    assert!(subscriptions.due_gaps(now).is_empty());
    let later = subscriptions.next_gap().unwrap();
    assert_eq!(later, now + GAP);
    assert_eq!(subscriptions.due_gaps(later), [(id, 5)]);
    let logged: Vec<_> = (6..=9).map(|seq| durable(id, seq, Effect::None)).collect();
    fill(&mut subscriptions, (id, 5), &logged, later);
    assert_eq!(kinds(&out), ["event.6", "event.7", "event.8", "event.9"]);
    assert!(subscriptions.next_gap().is_none());
}

#[tokio::test]
async fn a_gap_that_closes_by_itself_asks_nobody() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    join(&mut subscriptions, UserId::new(), &[(id, 5)]);
    subscriptions.receive(&durable(id, 7, Effect::None), now);
    subscriptions.receive(&durable(id, 6, Effect::None), now);
    assert!(subscriptions.due_gaps(now + GAP).is_empty());
    subscriptions.receive(&durable(id, 9, Effect::None), now);
    assert_eq!(subscriptions.due_gaps(now + GAP), [(id, 7)], "the next gap is noted again");
}

#[tokio::test]
async fn before_a_jump_there_is_a_resync() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let out = join(&mut subscriptions, UserId::new(), &[(id, 5)]);
    subscriptions.receive(&durable(id, 8, Effect::None), now);
    subscriptions.due_gaps(now + GAP);
    fill(&mut subscriptions, (id, 5), &[], now + GAP);
    assert_eq!(kinds(&out), ["resync", "event.8"]);
    subscriptions.receive(&durable(id, 9, Effect::None), now);
    assert_eq!(kinds(&out), ["event.9"]);
}

#[tokio::test]
async fn a_page_of_the_log_that_is_not_all_is_followed_by_the_next_at_once() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let out = join(&mut subscriptions, UserId::new(), &[(id, 0)]);
    subscriptions.receive(&durable(id, 4, Effect::None), now);
    subscriptions.due_gaps(now + GAP);
    fill(&mut subscriptions, (id, 0), &[durable(id, 1, Effect::None)], now + GAP);
    assert_eq!(subscriptions.due_gaps(now + GAP), [(id, 1)]);
    fill(&mut subscriptions, (id, 1), &[durable(id, 2, Effect::None), durable(id, 3, Effect::None)], now + GAP);
    assert_eq!(kinds(&out), ["event.1", "event.2", "event.3", "event.4"]);
}

#[tokio::test]
async fn what_passes_by_while_somebody_arrives_is_in_the_greeting_and_not_live_as_well() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let other = join(&mut subscriptions, UserId::new(), &[(id, 3)]);
    let out = stream(user, 1 << 20);
    subscriptions.arrive(user);
    subscriptions.receive(&durable(id, 4, Effect::None), now);
    subscriptions.receive(&durable(id, 6, Effect::None), now);
    assert_eq!(subscriptions.settle(user, &following(&[(id, 3)]), Some(&out)), [(id, 6)]);
    subscriptions.receive(&durable(id, 5, Effect::None), now);
    subscriptions.receive(&durable(id, 7, Effect::None), now);
    assert_eq!(kinds(&out), ["event.7"]);
    assert_eq!(kinds(&other), ["event.4", "event.5", "event.6", "event.7"]);
}

#[tokio::test]
async fn a_room_that_nobody_had_starts_where_the_greeting_says() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let out = stream(user, 1 << 20);
    subscriptions.arrive(user);
    subscriptions.receive(&durable(id, 8, Effect::None), now);
    assert_eq!(subscriptions.settle(user, &following(&[(id, 7)]), Some(&out)), [(id, 8)]);
    subscriptions.receive(&durable(id, 9, Effect::None), now);
    assert_eq!(kinds(&out), ["event.9"]);
}

#[tokio::test]
async fn what_the_database_knows_and_the_bus_has_not_told_is_waited_for() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let other = join(&mut subscriptions, UserId::new(), &[(id, 3)]);
    join(&mut subscriptions, user, &[(id, 5)]);
    let due = subscriptions.next_gap().unwrap();
    assert_eq!(subscriptions.due_gaps(due), [(id, 3)]);
    fill(&mut subscriptions, (id, 3), &[durable(id, 4, Effect::None), durable(id, 5, Effect::None)], now);
    assert_eq!(kinds(&other), ["event.4", "event.5"]);
}

/// What a connection was promised and what it got: from the number in its greeting on, everything in order, unless told to resync.
struct Reader {
    out: Rc<Outbound>,
    at: i64,
}

impl Reader {
    fn check(&mut self) -> Result<(), TestCaseError> {
        for kind in kinds(&self.out) {
            if let Some(seq) = kind.strip_prefix("event.") {
                prop_assert_eq!(seq.parse::<i64>().unwrap(), self.at + 1);
                self.at += 1;
            }
        }
        Ok(())
    }
}

proptest! {
    /// A conversation goes on while people arrive and leave; its bus doubles, reorders and loses.
    #[test]
    fn every_reader_sees_everything_from_its_greeting_on(steps in proptest::collection::vec((0_u8..8, any::<u16>()), 1..150)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut subscriptions, id, mut now) = (subscriptions(), conversation(1), Instant::now());
            let mut log: Vec<SharedEnvelope> = Vec::new();
            let mut readers: Vec<Reader> = Vec::new();
            let mut arriving: Vec<(UserId, i64)> = Vec::new();
            let look = |subscriptions: &mut Subscriptions, log: &[SharedEnvelope], now: Instant| {
                for (id, last) in subscriptions.due_gaps(now) {
                    let page: Vec<_> = log.iter().skip(last as usize).take(3).cloned().collect();
                    fill(subscriptions, (id, last), &page, now);
                }
            };
            for (step, argument) in steps {
                match step {
                    0..=2 => log.push(durable(id, log.len() as i64 + 1, Effect::None)),
                    3..=4 if !log.is_empty() => {
                        let back = usize::from(argument) % log.len().min(4);
                        subscriptions.receive(&log[log.len() - 1 - back].clone(), now);
                    }
                    5 => {
                        let user = UserId::new();
                        subscriptions.arrive(user);
                        arriving.push((user, log.len() as i64));
                    }
                    6 => {
                        if let Some((user, last)) = arriving.pop() {
                            let out = stream(user, 1 << 20);
                            let greeting = subscriptions.settle(user, &following(&[(id, last)]), Some(&out));
                            prop_assert!(greeting[0].1 >= last);
                            readers.push(Reader { out, at: greeting[0].1 });
                        } else if !readers.is_empty() {
                            let gone = readers.swap_remove(usize::from(argument) % readers.len());
                            subscriptions.leave(&gone.out);
                        }
                    }
                    _ => {
                        now += GAP;
                        look(&mut subscriptions, &log, now);
                    }
                }
                for reader in &mut readers {
                    reader.check()?;
                }
            }
            // The relay repeats the last event in the end.
            if let Some(last) = log.last() {
                subscriptions.receive(&last.clone(), now);
            }
            while subscriptions.next_gap().is_some() {
                now += GAP;
                look(&mut subscriptions, &log, now);
            }
            for reader in &mut readers {
                reader.check()?;
                prop_assert_eq!(reader.at, log.len() as i64);
            }
            Ok(())
        })?;
    }
}
