//! Tests of joins, leaves and conversation sizes.

use super::*;

#[tokio::test]
async fn join_takes_effect_before_its_event_and_leave_after() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let (of_anna, of_ben) = (join(&mut subscriptions, anna, &[(id, 0)]), join(&mut subscriptions, ben, &[]));
    subscriptions.receive(&durable(id, 1, FollowChange::None), now);
    subscriptions.receive(&durable(id, 2, FollowChange::Follow(vec![ben])), now);
    subscriptions.receive(&durable(id, 3, FollowChange::Unfollow(vec![ben])), now);
    subscriptions.receive(&durable(id, 4, FollowChange::None), now);
    assert_eq!(kinds(&of_anna), ["event.1", "event.2", "event.3", "event.4"]);
    assert_eq!(kinds(&of_ben), ["event.2", "event.3"]);
    assert_eq!(subscriptions.take_joined(), [ben]);
    subscriptions.receive(&durable(id, 5, FollowChange::UnfollowAll), now);
    subscriptions.receive(&durable(id, 6, FollowChange::None), now);
    assert_eq!(kinds(&of_anna), ["event.5"]);
    assert!(subscriptions.subscriptions.is_empty());
}

#[tokio::test]
async fn early_join_waits_for_its_turn() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let ben = UserId::new();
    join(&mut subscriptions, UserId::new(), &[(id, 0)]);
    let of_ben = join(&mut subscriptions, ben, &[]);
    subscriptions.receive(&durable(id, 2, FollowChange::Follow(vec![ben])), now);
    assert!(!subscriptions.follows(ben, id));
    subscriptions.receive(&durable(id, 1, FollowChange::None), now);
    assert_eq!(kinds(&of_ben), ["event.2"]);
}

#[tokio::test]
async fn new_conversation_is_followed_from_its_first_event() {
    let (mut subscriptions, id, now, anna) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let out = join(&mut subscriptions, anna, &[]);
    let mut created = Envelope::clone(&durable(id, 0, FollowChange::Follow(vec![anna])));
    created.topic = Topic::Users(vec![anna]);
    subscriptions.receive(&created.into(), now);
    subscriptions.receive(&durable(id, 2, FollowChange::None), now);
    subscriptions.receive(&durable(id, 1, FollowChange::None), now);
    assert_eq!(kinds(&out), ["event.0", "event.1", "event.2"]);
}

#[tokio::test]
async fn merges_joins_and_leaves_during_connecting() {
    let (mut subscriptions, left, joined, now, user) =
        (subscriptions(), conversation(1), conversation(2), Instant::now(), UserId::new());
    subscriptions.start_joining(user);
    subscriptions.receive(&durable(left, 8, FollowChange::Unfollow(vec![user])), now);
    assert!(!subscriptions.is_outdated(user, &following(&[(left, 7)])));
    subscriptions.receive(&durable(joined, 4, FollowChange::Follow(vec![user])), now);
    assert!(subscriptions.is_outdated(user, &following(&[(left, 7)])));
    let out = stream(user, 1 << 20);
    assert_eq!(subscriptions.merge_memberships(user, &following(&[(left, 7), (joined, 4)]), Some(&out)), [(joined, 4)]);
    subscriptions.receive(&durable(left, 9, FollowChange::None), now);
    assert!(kinds(&out).is_empty());
}

#[tokio::test]
async fn old_leave_does_not_remove_a_member_who_rejoined() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    subscriptions.start_joining(user);
    subscriptions.receive(&durable(id, 3, FollowChange::Unfollow(vec![user])), now);
    assert_eq!(subscriptions.merge_memberships(user, &following(&[(id, 5)]), Some(&stream(user, 1))), [(id, 5)]);
}

#[tokio::test]
async fn member_who_rejoined_before_hello_gets_nothing_twice() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let behind = join(&mut subscriptions, ben, &[(id, 5)]);
    // The result of the database is more recent than the events that are delivered now.
    let out = join(&mut subscriptions, anna, &[(id, 9)]);
    for (seq, effect) in [(6, FollowChange::Unfollow(vec![anna])), (7, FollowChange::Follow(vec![anna]))] {
        subscriptions.receive(&durable(id, seq, effect), now);
    }
    for seq in 8..=10 {
        subscriptions.receive(&durable(id, seq, FollowChange::None), now);
    }
    assert_eq!(kinds(&out), ["event.10"]);
    assert_eq!(kinds(&behind), ["event.6", "event.7", "event.8", "event.9", "event.10"]);
}

#[tokio::test]
async fn reloading_memberships_recovers_lost_changes() {
    let (mut subscriptions, kept, gone, found, user) =
        (subscriptions(), conversation(1), conversation(2), conversation(3), UserId::new());
    let out = join(&mut subscriptions, user, &[(kept, 1), (gone, 1)]);
    subscriptions.start_joining(user);
    subscriptions.merge_memberships(user, &following(&[(kept, 4), (found, 9)]), None);
    assert!(subscriptions.follows(user, found) && !subscriptions.follows(user, gone));
    assert_eq!(kinds(&out), ["resync"]);
    let due = subscriptions.next_gap().unwrap();
    assert_eq!(subscriptions.due_gaps(due), [(kept, 1)], "missed events of followed conversations come from the log");
}

#[tokio::test]
async fn large_conversations_deliver_ephemeral_events_to_viewers_only() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let viewer = join_large(&mut subscriptions, anna, id, SMALL + 1);
    let other = join_large(&mut subscriptions, anna, id, SMALL + 1);
    let reader = join_large(&mut subscriptions, ben, id, SMALL + 1);
    subscriptions.set_displayed(&viewer, vec![id, conversation(2), id]);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    subscriptions.receive(&durable(id, 6, FollowChange::None), now);
    assert_eq!(kinds(&viewer), ["typing", "event.6"]);
    assert_eq!((kinds(&other), kinds(&reader)), (vec!["event.6".to_owned()], vec!["event.6".to_owned()]));
    // A list replaces the previous one.
    subscriptions.set_displayed(&viewer, vec![conversation(2)]);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    assert!(kinds(&viewer).is_empty());
}

#[tokio::test]
async fn conversation_size_follows_joins_and_leaves() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let out = join_large(&mut subscriptions, anna, id, SMALL);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    subscriptions.receive(&durable(id, 6, FollowChange::Follow(vec![ben])), now);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    assert_eq!(kinds(&out), ["typing", "event.6"]);
    // Events that are repeated, or whose members the database has counted already, don't change the
    // number of members.
    subscriptions.receive(&durable(id, 6, FollowChange::Follow(vec![ben])), now);
    subscriptions.start_joining(anna);
    subscriptions.merge_memberships(anna, &sized(&[(id, 7)], SMALL), None);
    subscriptions.receive(&durable(id, 7, FollowChange::Unfollow(vec![ben])), now);
    subscriptions.receive(&durable(id, 8, FollowChange::Follow(vec![ben])), now);
    assert!(!subscriptions.is_small(id));
    subscriptions.receive(&durable(id, 9, FollowChange::Unfollow(vec![ben])), now);
    assert!(subscriptions.is_small(id));
    subscriptions.coalesce(&Coalesced::MemberCount { conversation_id: id, member_count: 10_000 });
    assert!(!subscriptions.is_small(id));
}

#[tokio::test]
async fn new_conversation_has_the_size_of_its_creation() {
    let (mut subscriptions, id, now, anna) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    join(&mut subscriptions, anna, &[]);
    let members: Vec<UserId> = (0..SMALL).map(|_| UserId::new()).chain([anna]).collect();
    let created = Envelope::clone(&durable(id, 0, FollowChange::None)).creation_envelopes(&members).next().unwrap();
    subscriptions.receive(&created.clone().into(), now);
    subscriptions.receive(&created.into(), now);
    assert!(!subscriptions.is_small(id));
    subscriptions.receive(&durable(id, 1, FollowChange::Unfollow(vec![members[0]])), now);
    assert!(subscriptions.is_small(id), "the member was counted once");
}

#[tokio::test]
async fn removed_member_stops_viewing_until_they_rejoin() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    join_large(&mut subscriptions, anna, id, 50);
    let out = join_large(&mut subscriptions, ben, id, 50);
    subscriptions.set_displayed(&out, vec![id]);
    subscriptions.receive(&durable(id, 6, FollowChange::Unfollow(vec![ben])), now);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    subscriptions.set_displayed(&out, vec![id]);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    assert_eq!(kinds(&out), ["event.6"]);
    subscriptions.receive(&durable(id, 7, FollowChange::Follow(vec![ben])), now);
    subscriptions.receive(&passing(Topic::Viewers(id)), now);
    assert_eq!(kinds(&out), ["event.7", "typing"]);
}

#[tokio::test]
async fn joins_and_leaves_without_sequence_number_take_effect() {
    let (mut subscriptions, id, now) = (subscriptions(), conversation(1), Instant::now());
    let (anna, ben) = (UserId::new(), UserId::new());
    let (of_anna, of_ben) = (join_large(&mut subscriptions, anna, id, 50), join(&mut subscriptions, ben, &[]));
    let told =
        |effect| -> SharedEnvelope { Envelope::clone(&passing(Topic::User(ben))).with_follow_change(effect).into() };
    subscriptions.receive(&told(FollowChange::Join { conversation_id: id, user_id: ben, last_seq: 5 }), now);
    subscriptions.receive(&durable(id, 6, FollowChange::None), now);
    subscriptions.receive(&told(FollowChange::Leave { user_id: ben, conversation_id: id }), now);
    subscriptions.receive(&durable(id, 7, FollowChange::None), now);
    assert_eq!(kinds(&of_ben), ["typing", "event.6", "typing"]);
    assert_eq!(kinds(&of_anna), ["event.6", "event.7"]);
    assert_eq!(subscriptions.take_joined(), [ben, ben], "the database is authoritative");
    // A leave that arrives while the user is connecting is later than the data read before.
    subscriptions.start_joining(ben);
    subscriptions.receive(&told(FollowChange::Leave { user_id: ben, conversation_id: id }), now);
    assert!(subscriptions.merge_memberships(ben, &sized(&[(id, 7)], 50), None).is_empty());
}
