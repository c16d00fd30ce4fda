//! Tests of the channels of the bus that subscriptions need.

use appcore::event::channels::numbers;

use super::*;

fn with_channels() -> (Subscriptions, Arc<ChannelInterest>) {
    let interest = Arc::new(ChannelInterest::default());
    (subscriptions().with_channels(Some(Arc::clone(&interest))), interest)
}

/// Channels that have readers. The channel of a conversation is its number.
fn wanted(interest: &ChannelInterest) -> Vec<u8> {
    numbers(interest.wanted()).collect()
}

#[tokio::test]
async fn followed_conversations_keep_their_channels() {
    let (mut subscriptions, interest) = with_channels();
    let (one, two, now, anna, ben) = (conversation(1), conversation(2), Instant::now(), UserId::new(), UserId::new());
    let first = join(&mut subscriptions, anna, &[(one, 5), (two, 5)]);
    let second = join(&mut subscriptions, anna, &[(one, 5), (two, 5)]);
    let other = join(&mut subscriptions, ben, &[(one, 5)]);
    assert_eq!(wanted(&interest), [1, 2]);
    subscriptions.leave(&first);
    assert_eq!(wanted(&interest), [1, 2], "another connection reads them");
    subscriptions.leave(&second);
    assert_eq!(wanted(&interest), [1]);
    subscriptions.receive(&durable(one, 6, FollowChange::Unfollow(vec![ben])), now);
    assert!(wanted(&interest).is_empty());
    // A member who is added while connected.
    subscriptions.receive(&durable(two, 6, FollowChange::Follow(vec![ben])), now);
    assert_eq!(wanted(&interest), [2]);
    subscriptions.receive(&durable(two, 7, FollowChange::UnfollowAll), now);
    assert!(wanted(&interest).is_empty());
    subscriptions.leave(&other);
}

#[tokio::test]
async fn joins_and_leaves_without_a_number_change_the_channels() {
    let (mut subscriptions, interest) = with_channels();
    let (id, now, anna) = (conversation(9), Instant::now(), UserId::new());
    let _out = join(&mut subscriptions, anna, &[]);
    let change = |effect| SharedEnvelope::new(Envelope { effect, ..(*passing(Topic::Viewers(id))).clone() });
    let joined = FollowChange::Join { conversation_id: id, user_id: anna, last_seq: 3 };
    subscriptions.receive(&change(joined), now);
    assert_eq!(wanted(&interest), [9]);
    subscriptions.receive(&change(FollowChange::Leave { conversation_id: id, user_id: anna }), now);
    assert!(wanted(&interest).is_empty());
}

/// A reader whose channel was not open has missed events, of which the last one is the end of the conversation.
#[tokio::test]
async fn missed_events_are_read_from_the_log_at_once() {
    let (mut subscriptions, _) = with_channels();
    let (one, two, now) = (conversation(1), conversation(65), Instant::now());
    let out = join(&mut subscriptions, UserId::new(), &[(one, 5), (two, 2)]);
    assert_eq!(subscriptions.conversations_on(1 << 1).len(), 2, "both are on channel 1");
    assert!(subscriptions.conversations_on(1 << 2).is_empty());
    subscriptions.announce_lost(&[(one, 7), (two, 2), (conversation(3), 9)], now);
    assert_eq!(subscriptions.due_gaps(now), [(one, 5)]);
    let logged: Vec<_> = (6..=7).map(|seq| durable(one, seq, FollowChange::None)).collect();
    fill(&mut subscriptions, (one, 5), &logged, now);
    assert_eq!(kinds(&out), ["event.6", "event.7"]);
    subscriptions.announce_lost(&[(one, 7)], now);
    assert!(subscriptions.next_gap().is_none(), "nothing is missing");
}

#[tokio::test]
async fn resync_names_only_the_conversation_of_its_reader() {
    let (mut subscriptions, _) = with_channels();
    let (one, two) = (conversation(1), conversation(2));
    let (anna, ben) = (join(&mut subscriptions, UserId::new(), &[(one, 5)]), stream(UserId::new(), 1 << 20));
    subscriptions.start_joining(ben.user_id);
    subscriptions.merge_memberships(ben.user_id, &following(&[(two, 5)]), Some(&ben));
    subscriptions.resync(&[one]);
    assert_eq!((kinds(&anna), kinds(&ben)), (vec!["resync".to_owned()], Vec::new()));
}
