use appcore::{
    EventId, Timestamp,
    event::{Envelope, Gathered, ReadPosition, Topic},
    view::{Presence, PresenceStatus},
};
use conversations::{Followed, Following};
use proptest::prelude::*;
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use uuid::Uuid;

use super::{super::delivery::COPIED, gaps::GAP, *};
use crate::outbound::tests::{stream, stream_on};

const SMALL: u32 = 20;

fn subscriptions() -> Subscriptions {
    Subscriptions::new(Clock::stopped_at(Timestamp(0)), Ring::closed(), SMALL)
}

/// What the database says of somebody who is in these conversations, each of two people.
fn following(conversations: &[(ConversationId, i64)]) -> Following {
    sized(conversations, 2)
}

fn sized(conversations: &[(ConversationId, i64)], member_count: u32) -> Following {
    let followed = conversations.iter().map(|(id, last_seq)| Followed {
        conversation_id: *id,
        last_seq: *last_seq,
        reads_after: 0,
        member_count,
    });
    Following { conversations: followed.collect(), workspaces: Vec::new(), boards: HashMap::new() }
}

fn conversation(number: u128) -> ConversationId {
    ConversationId(Uuid::from_u128(number))
}

fn durable(conversation_id: ConversationId, seq: i64, effect: Effect) -> SharedEnvelope {
    Envelope {
        id: EventId::new(),
        kind: format!("event.{seq}"),
        timestamp: Timestamp(0),
        topic: Topic::Conversation(conversation_id),
        position: Some(Position { conversation_id, seq }),
        effect,
        payload: Bytes::from(format!("{{\"conversation\":\"{conversation_id}\",\"seq\":{seq}}}")),
    }
    .into()
}

fn passing(topic: Topic) -> SharedEnvelope {
    Envelope {
        id: EventId::new(),
        kind: "typing".into(),
        timestamp: Timestamp(0),
        topic,
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
    subscriptions.settle(user, &following(followed), Some(&out));
    out
}

#[tokio::test]
async fn somebody_is_connected_while_a_connection_is_opened_and_until_it_ends() {
    let (mut subscriptions, user) = (subscriptions(), UserId::new());
    assert!(!subscriptions.is_connected(user));
    subscriptions.arrive(user);
    assert!(subscriptions.is_connected(user));
    subscriptions.abandon(user);
    assert!(!subscriptions.is_connected(user));
    let out = join(&mut subscriptions, user, &[]);
    assert!(subscriptions.is_connected(user));
    subscriptions.leave(&out);
    assert!(!subscriptions.is_connected(user));
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
    created.topic = Topic::Users(vec![anna]);
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
    assert!(!subscriptions.is_outdated(user, &following(&[(left, 7)])));
    subscriptions.receive(&durable(joined, 4, Effect::Follow(vec![user])), now);
    assert!(subscriptions.is_outdated(user, &following(&[(left, 7)])));
    let out = stream(user, 1 << 20);
    assert_eq!(subscriptions.settle(user, &following(&[(left, 7), (joined, 4)]), Some(&out)), [(joined, 4)]);
    subscriptions.receive(&durable(left, 9, Effect::None), now);
    assert!(kinds(&out).is_empty());
}

#[tokio::test]
async fn an_old_leave_does_not_put_out_who_came_back() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    subscriptions.arrive(user);
    subscriptions.receive(&durable(id, 3, Effect::Unfollow(vec![user])), now);
    assert_eq!(subscriptions.settle(user, &following(&[(id, 5)]), Some(&stream(user, 1))), [(id, 5)]);
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
    subscriptions.settle(user, &following(&[(kept, 4), (found, 9)]), None);
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
    subscriptions.receive(&passing(Topic::Conversations(vec![one, two])), now);
    subscriptions.receive(&passing(Topic::Users(vec![user, UserId::new()])), now);
    subscriptions.receive(&passing(Topic::Conversation(two)), now);
    subscriptions.receive(&passing(Topic::Conversation(conversation(9))), now);
    assert_eq!(kinds(&first).len(), 3);
    assert_eq!(kinds(&second).len(), 3);
}

#[tokio::test]
async fn news_of_a_person_reaches_followers_and_watchers_once_and_no_others() {
    let (mut subscriptions, shared, other, now) = (subscriptions(), conversation(1), conversation(2), Instant::now());
    let (anna, ben, carl, eve) = (UserId::new(), UserId::new(), UserId::new(), UserId::new());
    let both = join(&mut subscriptions, ben, &[(shared, 0), (other, 0)]);
    let watcher = join(&mut subscriptions, carl, &[(other, 0)]);
    let stranger = join(&mut subscriptions, eve, &[(other, 0)]);
    for out in [&both, &watcher] {
        subscriptions.watch(out, vec![anna]);
    }
    subscriptions.watch(&stranger, vec![ben]);
    subscriptions.receive(&passing(Topic::Acquainted { user_id: anna, conversation_ids: vec![shared] }), now);
    assert_eq!((kinds(&both).len(), kinds(&watcher).len(), kinds(&stranger).len()), (1, 1, 0));
    subscriptions.receive(&passing(Topic::Acquainted { user_id: anna, conversation_ids: Vec::new() }), now);
    assert_eq!((kinds(&both).len(), kinds(&watcher).len(), kinds(&stranger).len()), (1, 1, 0));
}

/// A connection of somebody who is in a conversation of so many members.
fn join_large(subscriptions: &mut Subscriptions, user: UserId, id: ConversationId, members: u32) -> Rc<Outbound> {
    let out = stream(user, 1 << 20);
    subscriptions.arrive(user);
    subscriptions.settle(user, &sized(&[(id, 5)], members), Some(&out));
    out
}

#[tokio::test]
async fn in_a_larger_conversation_passing_events_are_for_those_who_show_it() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let viewer = join_large(&mut subscriptions, anna, id, SMALL + 1);
    let other = join_large(&mut subscriptions, anna, id, SMALL + 1);
    let reader = join_large(&mut subscriptions, ben, id, SMALL + 1);
    subscriptions.show(&viewer, vec![id, conversation(2), id]);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    subscriptions.receive(&durable(id, 6, Effect::None), now);
    assert_eq!(kinds(&viewer), ["typing", "event.6"]);
    assert_eq!((kinds(&other), kinds(&reader)), (vec!["event.6".to_owned()], vec!["event.6".to_owned()]));
    // The next list takes the place of the one before.
    subscriptions.show(&viewer, vec![conversation(2)]);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    assert!(kinds(&viewer).is_empty());
}

#[tokio::test]
async fn a_conversation_turns_large_and_small_with_its_members() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let out = join_large(&mut subscriptions, anna, id, SMALL);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    subscriptions.receive(&durable(id, 6, Effect::Follow(vec![ben])), now);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    assert_eq!(kinds(&out), ["typing", "event.6"]);
    // What is repeated, or was counted by the database already, is not counted again.
    subscriptions.receive(&durable(id, 6, Effect::Follow(vec![ben])), now);
    subscriptions.arrive(anna);
    subscriptions.settle(anna, &sized(&[(id, 7)], SMALL), None);
    subscriptions.receive(&durable(id, 7, Effect::Unfollow(vec![ben])), now);
    subscriptions.receive(&durable(id, 8, Effect::Follow(vec![ben])), now);
    assert!(!subscriptions.is_small(id));
    subscriptions.receive(&durable(id, 9, Effect::Unfollow(vec![ben])), now);
    assert!(subscriptions.is_small(id));
    subscriptions.gather(&Gathered::MemberCount { conversation_id: id, member_count: 10_000 });
    assert!(!subscriptions.is_small(id));
}

#[tokio::test]
async fn a_new_conversation_is_as_large_as_it_was_made() {
    let (mut subscriptions, id, now, anna) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    join(&mut subscriptions, anna, &[]);
    let members: Vec<UserId> = (0..SMALL).map(|_| UserId::new()).chain([anna]).collect();
    let created = Envelope::clone(&durable(id, 0, Effect::None)).created(&members).next().unwrap();
    subscriptions.receive(&created.clone().into(), now);
    subscriptions.receive(&created.into(), now);
    assert!(!subscriptions.is_small(id));
    subscriptions.receive(&durable(id, 1, Effect::Unfollow(vec![members[0]])), now);
    assert!(subscriptions.is_small(id), "it was counted once");
}

#[tokio::test]
async fn who_is_out_of_a_conversation_views_it_no_more_until_they_are_back() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    join_large(&mut subscriptions, anna, id, 50);
    let out = join_large(&mut subscriptions, ben, id, 50);
    subscriptions.show(&out, vec![id]);
    subscriptions.receive(&durable(id, 6, Effect::Unfollow(vec![ben])), now);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    subscriptions.show(&out, vec![id]);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    assert_eq!(kinds(&out), ["event.6"]);
    subscriptions.receive(&durable(id, 7, Effect::Follow(vec![ben])), now);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    assert_eq!(kinds(&out), ["event.7", "typing"]);
}

#[tokio::test]
async fn joins_and_leaves_without_a_number_take_effect_too() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let (of_anna, of_ben) = (join_large(&mut subscriptions, anna, id, 50), join(&mut subscriptions, ben, &[]));
    let told = |effect| -> SharedEnvelope { Envelope::clone(&passing(Topic::User(ben))).with_effect(effect).into() };
    subscriptions.receive(&told(Effect::Join { conversation_id: id, user_id: ben, last_seq: 5 }), now);
    subscriptions.receive(&durable(id, 6, Effect::None), now);
    subscriptions.receive(&told(Effect::Leave { user_id: ben, conversation_id: id }), now);
    subscriptions.receive(&durable(id, 7, Effect::None), now);
    assert_eq!(kinds(&of_ben), ["typing", "event.6", "typing"]);
    assert_eq!(kinds(&of_anna), ["event.6", "event.7"]);
    assert_eq!(subscriptions.take_joined(), [ben, ben], "the database decides in the end");
    // While somebody arrives, a leave is later than what was read before.
    subscriptions.arrive(ben);
    subscriptions.receive(&told(Effect::Leave { user_id: ben, conversation_id: id }), now);
    assert!(subscriptions.settle(ben, &sized(&[(id, 7)], 50), None).is_empty());
}

#[tokio::test]
async fn a_workspace_and_everyone_are_reached_on_each_connection_once() {
    let (mut subscriptions, now, workspace) = (subscriptions(), Instant::now(), WorkspaceId::new());
    let (anna, ben) = (UserId::new(), UserId::new());
    let of_ben = join(&mut subscriptions, ben, &[]);
    let of_anna = stream(anna, 1 << 20);
    subscriptions.arrive(anna);
    let member = Following { conversations: Vec::new(), workspaces: vec![workspace], boards: HashMap::new() };
    subscriptions.settle(anna, &member, Some(&of_anna));
    let told = |topic, effect| -> SharedEnvelope { Envelope::clone(&passing(topic)).with_effect(effect).into() };
    let in_it = || told(Topic::Workspace(workspace), Effect::None);
    subscriptions.receive(&in_it(), now);
    assert_eq!((kinds(&of_anna).len(), kinds(&of_ben).len()), (1, 0));
    subscriptions.receive(&told(Topic::Everyone, Effect::None), now);
    assert_eq!((kinds(&of_anna).len(), kinds(&of_ben).len()), (1, 1));
    let enters = Effect::EnterWorkspace { user_id: ben, workspace_id: workspace };
    subscriptions.receive(&told(Topic::User(ben), enters), now);
    subscriptions.receive(&in_it(), now);
    assert_eq!((kinds(&of_anna).len(), kinds(&of_ben).len()), (1, 2));
    let leaves = Effect::LeaveWorkspace { user_id: anna, workspace_id: workspace };
    subscriptions.receive(&told(Topic::User(anna), leaves), now);
    subscriptions.receive(&in_it(), now);
    assert_eq!((kinds(&of_anna).len(), kinds(&of_ben).len()), (1, 1));
    subscriptions.receive(&told(Topic::Workspace(workspace), Effect::EndWorkspace(workspace)), now);
    subscriptions.receive(&in_it(), now);
    assert_eq!(kinds(&of_ben).len(), 1);
    assert!(subscriptions.workspaces.is_empty());
}

#[tokio::test]
async fn receipts_and_presence_are_gathered_for_those_who_asked() {
    let (mut subscriptions, id) = (subscriptions(), conversation(1));
    let (anna, ben, eve) = (UserId::new(), UserId::new(), UserId::new());
    let (viewer, other) = (join_large(&mut subscriptions, anna, id, 50), join_large(&mut subscriptions, ben, id, 50));
    let receipts = |read_seq| Gathered::Receipts {
        conversation_id: id,
        items: vec![ReadPosition { user_id: ben, read_seq }, ReadPosition { user_id: eve, read_seq: 1 }],
    };
    subscriptions.gather(&receipts(1));
    assert!(!subscriptions.has_gathered(), "nobody shows it");
    subscriptions.show(&viewer, vec![id]);
    for read_seq in [2, 4, 3] {
        subscriptions.gather(&receipts(read_seq));
    }
    subscriptions.watch(&viewer, vec![ben, eve]);
    let is = |user_id, status| Presence { user_id, status, last_seen: None, custom_status: None };
    subscriptions.gather(&Gathered::Presence(vec![is(ben, PresenceStatus::Offline), is(anna, PresenceStatus::Away)]));
    subscriptions.gather(&Gathered::Presence(vec![is(ben, PresenceStatus::Online), is(eve, PresenceStatus::Dnd)]));
    subscriptions.tell_gathered();
    assert!(!subscriptions.has_gathered() && kinds(&other).is_empty());
    let told: Vec<String> =
        std::iter::from_fn(|| viewer.pop()).map(|chunk| String::from_utf8_lossy(&chunk).into_owned()).collect();
    assert!(told[0].starts_with("event: receipts") && told[0].contains("\"read_seq\":4"), "{}", told[0]);
    assert!(told[1].starts_with("event: presences") && told[1].contains("online"), "{}", told[1]);
    assert!(!told[1].contains("offline") && !told[1].contains("away"), "{}", told[1]);
    assert_eq!(told.len(), 2);
    // Whoever may see each other no more is looked at again.
    subscriptions.receive(&durable(id, 6, Effect::Unfollow(vec![ben])), Instant::now());
    assert_eq!(subscriptions.take_doubtful().len(), 1);
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
    subscriptions.show(&outs[0], vec![id]);
    subscriptions.watch(&outs[0], vec![UserId::new()]);
    for out in &outs {
        subscriptions.leave(out);
        // What was asked for before and is answered after the end changes nothing.
        subscriptions.show(out, vec![id]);
        subscriptions.watch(out, vec![user]);
    }
    subscriptions.arrive(user);
    subscriptions.receive(&durable(id, 1, Effect::Follow(vec![user])), Instant::now());
    subscriptions.abandon(user);
    subscriptions.flush();
    assert!(subscriptions.subscriptions.is_empty() && subscriptions.people.is_empty() && subscriptions.seen.is_empty());
    assert!(subscriptions.viewers.is_empty() && subscriptions.watchers.is_empty());
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
    subscriptions.settle(user, &following(&[(id, 0)]), Some(&out));
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
        let (mut subscriptions, id) =
            (Subscriptions::new(Clock::stopped_at(Timestamp(0)), ring, SMALL), conversation(1));
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
        let mut subscriptions = Subscriptions::new(Clock::stopped_at(Timestamp(0)), ring, SMALL);
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
