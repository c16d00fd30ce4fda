use appcore::{
    EventId, Timestamp,
    event::{Audience, Envelope},
};
use proptest::prelude::*;
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use uuid::Uuid;

use super::{super::delivery::COPIED, gaps::GAP, *};
use crate::outbound::tests::{stream, stream_on};

fn subscriptions() -> Subscriptions {
    Subscriptions::new(Clock::stopped_at(Timestamp(0)), Ring::closed())
}

fn conversation(number: u128) -> ConversationId {
    ConversationId(Uuid::from_u128(number))
}

fn durable(conversation_id: ConversationId, seq: i64, effect: Effect) -> SharedEnvelope {
    Envelope {
        id: EventId::new(),
        kind: format!("event.{seq}"),
        timestamp: Timestamp(0),
        audience: Audience::Conversation(conversation_id),
        position: Some(Position { conversation_id, seq }),
        effect,
        payload: Bytes::from(format!("{{\"conversation\":\"{conversation_id}\",\"seq\":{seq}}}")),
    }
    .into()
}

fn passing(audience: Audience) -> SharedEnvelope {
    Envelope {
        id: EventId::new(),
        kind: "typing".into(),
        timestamp: Timestamp(0),
        audience,
        position: None,
        effect: Effect::None,
        payload: "{}".into(),
    }
    .into()
}

/// A look at the log that found this.
fn fill(subscriptions: &mut Subscriptions, (id, last): (ConversationId, i64), logged: &[SharedEnvelope], now: Instant) {
    subscriptions.offer(id, logged);
    subscriptions.conclude(id, last, now);
}

/// The types of the frames that wait for a connection.
fn kinds(out: &Outbound) -> Vec<String> {
    let chunks = std::iter::from_fn(|| out.pop());
    chunks
        .map(|chunk| {
            String::from_utf8_lossy(&chunk).lines().next().unwrap_or_default().trim_start_matches("event: ").to_owned()
        })
        .collect()
}

fn join(subscriptions: &mut Subscriptions, user: UserId, followed: &[(ConversationId, i64)]) -> Rc<Outbound> {
    let out = stream(user, 1 << 20);
    subscriptions.arrive(user);
    subscriptions.settle(user, followed, Some(&out));
    out
}

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
    assert_eq!(subscriptions.settle(user, &[(id, 3)], Some(&out)), [(id, 6)]);
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
    assert_eq!(subscriptions.settle(user, &[(id, 7)], Some(&out)), [(id, 8)]);
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

#[tokio::test]
async fn a_join_takes_effect_before_its_event_and_a_leave_after() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let (of_anna, of_ben) = (join(&mut subscriptions, anna, &[(id, 0)]), join(&mut subscriptions, ben, &[]));
    subscriptions.receive(&durable(id, 1, Effect::None), now);
    subscriptions.receive(&durable(id, 2, Effect::Follow(vec![ben])), now);
    subscriptions.receive(&durable(id, 3, Effect::Unfollow(vec![ben])), now);
    subscriptions.receive(&durable(id, 4, Effect::None), now);
    assert_eq!(kinds(&of_anna), ["event.1", "event.2", "event.3", "event.4"]);
    assert_eq!(kinds(&of_ben), ["event.2", "event.3"]);
    assert_eq!(subscriptions.take_joined(), [ben]);
    subscriptions.receive(&durable(id, 5, Effect::UnfollowAll), now);
    subscriptions.receive(&durable(id, 6, Effect::None), now);
    assert_eq!(kinds(&of_anna), ["event.5"]);
    assert!(subscriptions.subscriptions.is_empty());
}

#[tokio::test]
async fn an_early_join_waits_for_its_turn() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let ben = UserId::new();
    join(&mut subscriptions, UserId::new(), &[(id, 0)]);
    let of_ben = join(&mut subscriptions, ben, &[]);
    subscriptions.receive(&durable(id, 2, Effect::Follow(vec![ben])), now);
    assert!(!subscriptions.follows(ben, id));
    subscriptions.receive(&durable(id, 1, Effect::None), now);
    assert_eq!(kinds(&of_ben), ["event.2"]);
}

#[tokio::test]
async fn a_new_conversation_is_followed_from_its_first_event() {
    let (mut subscriptions, id, now, anna) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let out = join(&mut subscriptions, anna, &[]);
    let mut created = Envelope::clone(&durable(id, 0, Effect::Follow(vec![anna])));
    created.audience = Audience::Users(vec![anna]);
    subscriptions.receive(&created.into(), now);
    subscriptions.receive(&durable(id, 2, Effect::None), now);
    subscriptions.receive(&durable(id, 1, Effect::None), now);
    assert_eq!(kinds(&out), ["event.0", "event.1", "event.2"]);
}

#[tokio::test]
async fn who_leaves_while_arriving_does_not_follow_and_who_joins_makes_the_answer_outdated() {
    let (mut subscriptions, left, joined, now, user) =
        (subscriptions(), conversation(1), conversation(2), Instant::now(), UserId::new());
    subscriptions.arrive(user);
    subscriptions.receive(&durable(left, 8, Effect::Unfollow(vec![user])), now);
    assert!(!subscriptions.is_outdated(user, &[(left, 7)]));
    subscriptions.receive(&durable(joined, 4, Effect::Follow(vec![user])), now);
    assert!(subscriptions.is_outdated(user, &[(left, 7)]));
    let out = stream(user, 1 << 20);
    assert_eq!(subscriptions.settle(user, &[(left, 7), (joined, 4)], Some(&out)), [(joined, 4)]);
    subscriptions.receive(&durable(left, 9, Effect::None), now);
    assert!(kinds(&out).is_empty());
}

#[tokio::test]
async fn an_old_leave_does_not_put_out_who_came_back() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    subscriptions.arrive(user);
    subscriptions.receive(&durable(id, 3, Effect::Unfollow(vec![user])), now);
    assert_eq!(subscriptions.settle(user, &[(id, 5)], Some(&stream(user, 1))), [(id, 5)]);
}

#[tokio::test]
async fn who_left_and_came_back_before_their_greeting_gets_nothing_again() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let behind = join(&mut subscriptions, ben, &[(id, 5)]);
    // The database is further than what has passed by here.
    let out = join(&mut subscriptions, anna, &[(id, 9)]);
    for (seq, effect) in [(6, Effect::Unfollow(vec![anna])), (7, Effect::Follow(vec![anna]))] {
        subscriptions.receive(&durable(id, seq, effect), now);
    }
    for seq in 8..=10 {
        subscriptions.receive(&durable(id, seq, Effect::None), now);
    }
    assert_eq!(kinds(&out), ["event.10"]);
    assert_eq!(kinds(&behind), ["event.6", "event.7", "event.8", "event.9", "event.10"]);
}

#[tokio::test]
async fn what_was_lost_is_found_when_memberships_are_read_again() {
    let (mut subscriptions, kept, gone, found, user) =
        (subscriptions(), conversation(1), conversation(2), conversation(3), UserId::new());
    let out = join(&mut subscriptions, user, &[(kept, 1), (gone, 1)]);
    subscriptions.arrive(user);
    subscriptions.settle(user, &[(kept, 4), (found, 9)], None);
    assert!(subscriptions.follows(user, found) && !subscriptions.follows(user, gone));
    assert_eq!(kinds(&out), ["resync"]);
    let due = subscriptions.next_gap().unwrap();
    assert_eq!(
        subscriptions.due_gaps(due),
        [(kept, 1)],
        "the missed events of what is still followed come from the log"
    );
}

#[tokio::test]
async fn passing_news_reaches_each_connection_once() {
    let (mut subscriptions, one, two, now, user) =
        (subscriptions(), conversation(1), conversation(2), Instant::now(), UserId::new());
    let (first, second) =
        (join(&mut subscriptions, user, &[(one, 0), (two, 0)]), join(&mut subscriptions, user, &[(one, 0), (two, 0)]));
    subscriptions.receive(&passing(Audience::Conversations(vec![one, two])), now);
    subscriptions.receive(&passing(Audience::Users(vec![user, UserId::new()])), now);
    subscriptions.receive(&passing(Audience::Conversation(two)), now);
    subscriptions.receive(&passing(Audience::Conversation(conversation(9))), now);
    assert_eq!(kinds(&first).len(), 3);
    assert_eq!(kinds(&second).len(), 3);
}

#[tokio::test]
async fn who_catches_up_gets_nothing_live_until_it_is_level() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let out = join(&mut subscriptions, user, &[(id, 5)]);
    assert_eq!(subscriptions.hold(&out, id), CatchUp::Behind);
    subscriptions.receive(&durable(id, 6, Effect::None), now);
    assert!(kinds(&out).is_empty());
    assert_eq!(subscriptions.release(&out, id, 5), CatchUp::Behind);
    assert_eq!(subscriptions.release(&out, id, 7), CatchUp::Up, "the log may be ahead of the bus");
    subscriptions.receive(&durable(id, 7, Effect::None), now);
    subscriptions.receive(&durable(id, 8, Effect::None), now);
    assert_eq!(kinds(&out), ["event.8"]);
    assert_eq!(subscriptions.hold(&out, conversation(2)), CatchUp::Out);
    assert_eq!(subscriptions.release(&out, conversation(2), 1), CatchUp::Out);
}

#[tokio::test]
async fn ended_sessions_are_put_out_and_the_others_stay() {
    let mut subscriptions = subscriptions();
    let (ended, other) = (join(&mut subscriptions, UserId::new(), &[]), join(&mut subscriptions, UserId::new(), &[]));
    subscriptions.end(&[ended.credential].into());
    assert_eq!(ended.closing(), Some(Close::CREDENTIALS));
    assert!(other.is_open());
}

#[tokio::test]
async fn nothing_remains_of_those_who_left() {
    let (mut subscriptions, id) = (subscriptions(), conversation(1));
    let user = UserId::new();
    let outs = [
        join(&mut subscriptions, user, &[(id, 0)]),
        join(&mut subscriptions, user, &[(id, 0)]),
        join(&mut subscriptions, UserId::new(), &[(id, 0)]),
    ];
    for out in &outs {
        subscriptions.leave(out);
    }
    subscriptions.arrive(user);
    subscriptions.receive(&durable(id, 1, Effect::Follow(vec![user])), Instant::now());
    subscriptions.abandon(user);
    subscriptions.flush();
    assert!(subscriptions.subscriptions.is_empty() && subscriptions.people.is_empty() && subscriptions.seen.is_empty());
    assert!(outs.iter().all(|out| Rc::strong_count(out) == 1));
}

/// A reader on a socket, and the client's end of it.
async fn connect(subscriptions: &mut Subscriptions, id: ConversationId) -> (Rc<Outbound>, TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    socket.writable().await.unwrap();
    let user = UserId::new();
    let out = stream_on(user, socket, 1 << 24);
    subscriptions.arrive(user);
    subscriptions.settle(user, &[(id, 0)], Some(&out));
    (out, client)
}

/// The numbers of the events that arrive, up to this one.
async fn read_until(out: &Outbound, client: &mut TcpStream, last: i64) -> Vec<i64> {
    let mut text = Vec::new();
    loop {
        let seen: Vec<i64> = String::from_utf8_lossy(&text)
            .split("event: event.")
            .skip(1)
            .filter_map(|event| event.split_once("\n\n")?.0.lines().next()?.parse().ok())
            .collect();
        if seen.last() == Some(&last) {
            return seen;
        }
        tokio::select! {
            read = client.read_buf(&mut text) => assert!(read.unwrap() > 0),
            writable = out.socket().unwrap().writable(), if out.is_blocked() => {
                writable.unwrap();
                out.unblock();
            }
        }
    }
}

#[tokio::test]
async fn in_one_system_call_or_in_many_everybody_reads_everything_in_order() {
    const EVENTS: i64 = 60;
    for ring in [Ring::for_test(), Ring::closed()] {
        let (mut subscriptions, id) = (Subscriptions::new(Clock::stopped_at(Timestamp(0)), ring), conversation(1));
        let mut readers = Vec::new();
        for place in 0..5 {
            let (out, client) = connect(&mut subscriptions, id).await;
            if place == 2 {
                // Takes only a part of what comes; the rest waits in its queue.
                socket2::SockRef::from(out.socket().unwrap()).set_send_buffer_size(4_096).unwrap();
                socket2::SockRef::from(&client).set_recv_buffer_size(4_096).unwrap();
            }
            readers.push((out, client));
        }
        let mut seq = 0;
        let mut next = || {
            seq += 1;
            let mut envelope = Envelope::clone(&durable(id, seq, Effect::None));
            envelope.payload = format!("{{\"text\":\"{}\"}}", "a".repeat(1_000)).into();
            SharedEnvelope::from(envelope)
        };
        // Alone, several together, and one alone in the queues.
        for _ in 0..EVENTS / 4 {
            subscriptions.receive_alone(&next(), Instant::now());
            subscriptions.receive(&next(), Instant::now());
            subscriptions.receive(&next(), Instant::now());
            subscriptions.flush();
            subscriptions.receive(&next(), Instant::now());
            subscriptions.flush();
        }
        assert!(readers[2].0.is_blocked() && readers[2].0.waiting() > 0);
        for (out, client) in &mut readers {
            assert_eq!(read_until(out, client, EVENTS).await, (1..=EVENTS).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn who_waits_for_what_nobody_else_does_gets_it_too() {
    const LENGTH: usize = 30_000;
    for ring in [Ring::for_test(), Ring::closed()] {
        let mut subscriptions = Subscriptions::new(Clock::stopped_at(Timestamp(0)), ring);
        let mut readers = Vec::new();
        // More than is copied at a time.
        for number in 0..=COPIED / LENGTH {
            let id = conversation(number as u128);
            readers.push(connect(&mut subscriptions, id).await);
            for seq in 1..=2 {
                let mut envelope = Envelope::clone(&durable(id, seq, Effect::None));
                envelope.payload = format!("{{\"text\":\"{}\"}}", "a".repeat(LENGTH)).into();
                subscriptions.receive(&envelope.into(), Instant::now());
            }
        }
        subscriptions.flush();
        for (out, client) in &mut readers {
            assert_eq!(read_until(out, client, 2).await, [1, 2]);
        }
    }
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
                            let greeting = subscriptions.settle(user, &[(id, last)], Some(&out));
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
