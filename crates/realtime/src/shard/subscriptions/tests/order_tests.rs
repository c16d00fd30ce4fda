//! Tests of event order, gaps and `hello`.

use super::*;

#[tokio::test]
async fn delivers_events_in_order_whatever_order_they_arrive_in() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let out = join(&mut subscriptions, UserId::new(), &[(id, 5)]);
    for seq in [7, 6, 6, 5, 9, 8] {
        subscriptions.receive(&durable(id, seq, FollowChange::None), now);
    }
    assert_eq!(kinds(&out), ["event.6", "event.7", "event.8", "event.9"]);
}

#[tokio::test]
async fn fills_a_persistent_gap_from_the_log() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let out = join(&mut subscriptions, UserId::new(), &[(id, 5)]);
    subscriptions.receive(&durable(id, 8, FollowChange::None), now);
    assert!(subscriptions.due_gaps(now).is_empty());
    let later = subscriptions.next_gap().unwrap();
    assert_eq!(later, now + GAP_TOLERANCE);
    assert_eq!(subscriptions.due_gaps(later), [(id, 5)]);
    let logged: Vec<_> = (6..=9).map(|seq| durable(id, seq, FollowChange::None)).collect();
    fill(&mut subscriptions, (id, 5), &logged, later);
    assert_eq!(kinds(&out), ["event.6", "event.7", "event.8", "event.9"]);
    assert!(subscriptions.next_gap().is_none());
}

#[tokio::test]
async fn a_gap_that_closes_by_itself_needs_no_log_read() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    join(&mut subscriptions, UserId::new(), &[(id, 5)]);
    subscriptions.receive(&durable(id, 7, FollowChange::None), now);
    subscriptions.receive(&durable(id, 6, FollowChange::None), now);
    assert!(subscriptions.due_gaps(now + GAP_TOLERANCE).is_empty());
    subscriptions.receive(&durable(id, 9, FollowChange::None), now);
    assert_eq!(subscriptions.due_gaps(now + GAP_TOLERANCE), [(id, 7)], "the next gap is recorded again");
}

#[tokio::test]
async fn sends_resync_before_skipping_a_gap() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let out = join(&mut subscriptions, UserId::new(), &[(id, 5)]);
    subscriptions.receive(&durable(id, 8, FollowChange::None), now);
    subscriptions.due_gaps(now + GAP_TOLERANCE);
    fill(&mut subscriptions, (id, 5), &[], now + GAP_TOLERANCE);
    assert_eq!(kinds(&out), ["resync", "event.8"]);
    subscriptions.receive(&durable(id, 9, FollowChange::None), now);
    assert_eq!(kinds(&out), ["event.9"]);
}

#[tokio::test]
async fn reads_the_next_page_of_the_log_immediately() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let out = join(&mut subscriptions, UserId::new(), &[(id, 0)]);
    subscriptions.receive(&durable(id, 4, FollowChange::None), now);
    subscriptions.due_gaps(now + GAP_TOLERANCE);
    fill(&mut subscriptions, (id, 0), &[durable(id, 1, FollowChange::None)], now + GAP_TOLERANCE);
    assert_eq!(subscriptions.due_gaps(now + GAP_TOLERANCE), [(id, 1)]);
    fill(
        &mut subscriptions,
        (id, 1),
        &[durable(id, 2, FollowChange::None), durable(id, 3, FollowChange::None)],
        now + GAP_TOLERANCE,
    );
    assert_eq!(kinds(&out), ["event.1", "event.2", "event.3", "event.4"]);
}

#[tokio::test]
async fn events_during_connecting_are_in_hello_and_not_repeated_live() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let other = join(&mut subscriptions, UserId::new(), &[(id, 3)]);
    let out = stream(user, 1 << 20);
    subscriptions.start_joining(user);
    subscriptions.receive(&durable(id, 4, FollowChange::None), now);
    subscriptions.receive(&durable(id, 6, FollowChange::None), now);
    assert_eq!(subscriptions.merge_memberships(user, &following(&[(id, 3)]), Some(&out)), [(id, 6)]);
    subscriptions.receive(&durable(id, 5, FollowChange::None), now);
    subscriptions.receive(&durable(id, 7, FollowChange::None), now);
    assert_eq!(kinds(&out), ["event.7"]);
    assert_eq!(kinds(&other), ["event.4", "event.5", "event.6", "event.7"]);
}

#[tokio::test]
async fn new_subscription_starts_at_the_position_in_hello() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let out = stream(user, 1 << 20);
    subscriptions.start_joining(user);
    subscriptions.receive(&durable(id, 8, FollowChange::None), now);
    assert_eq!(subscriptions.merge_memberships(user, &following(&[(id, 7)]), Some(&out)), [(id, 8)]);
    subscriptions.receive(&durable(id, 9, FollowChange::None), now);
    assert_eq!(kinds(&out), ["event.9"]);
}

#[tokio::test]
async fn waits_for_events_known_from_the_database_only() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let other = join(&mut subscriptions, UserId::new(), &[(id, 3)]);
    join(&mut subscriptions, user, &[(id, 5)]);
    let due = subscriptions.next_gap().unwrap();
    assert_eq!(subscriptions.due_gaps(due), [(id, 3)]);
    fill(&mut subscriptions, (id, 3), &[durable(id, 4, FollowChange::None), durable(id, 5, FollowChange::None)], now);
    assert_eq!(kinds(&other), ["event.4", "event.5"]);
}

/// Checks what a connection receives: all events in order from the position in its `hello` on,
/// unless it is told to resync.
struct Reader {
    out: Rc<ConnectionHandle>,
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
    /// Users connect and disconnect during a conversation; the bus duplicates, reorders and loses
    /// events.
    #[test]
    fn every_reader_gets_all_events_after_hello(steps in proptest::collection::vec((0_u8..8, any::<u16>()), 1..150)) {
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
                    0..=2 => log.push(durable(id, log.len() as i64 + 1, FollowChange::None)),
                    3..=4 if !log.is_empty() => {
                        let back = usize::from(argument) % log.len().min(4);
                        subscriptions.receive(&log[log.len() - 1 - back].clone(), now);
                    }
                    5 => {
                        let user = UserId::new();
                        subscriptions.start_joining(user);
                        arriving.push((user, log.len() as i64));
                    }
                    6 => {
                        if let Some((user, last)) = arriving.pop() {
                            let out = stream(user, 1 << 20);
                            let greeting = subscriptions.merge_memberships(user, &following(&[(id, last)]), Some(&out));
                            prop_assert!(greeting[0].1 >= last);
                            readers.push(Reader { out, at: greeting[0].1 });
                        } else if !readers.is_empty() {
                            let gone = readers.swap_remove(usize::from(argument) % readers.len());
                            subscriptions.leave(&gone.out);
                        }
                    }
                    _ => {
                        now += GAP_TOLERANCE;
                        look(&mut subscriptions, &log, now);
                    }
                }
                for reader in &mut readers {
                    reader.check()?;
                }
            }
            // In the end, the outbox publisher repeats the last event.
            if let Some(last) = log.last() {
                subscriptions.receive(&last.clone(), now);
            }
            while subscriptions.next_gap().is_some() {
                now += GAP_TOLERANCE;
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
