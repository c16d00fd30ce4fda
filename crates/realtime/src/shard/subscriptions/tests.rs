mod channel_tests;
mod membership_tests;
mod order_tests;
mod socket_tests;

use appcore::{
    EventId, Timestamp,
    event::{Coalesced, Envelope, ReadPosition, Topic},
    view::{Presence, PresenceStatus},
};
use conversations::{ConnectionSubscriptions, SubscribedConversation};
use proptest::prelude::*;
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use uuid::Uuid;

use super::{super::delivery::MAX_COPIED_BYTES, gaps::GAP_TOLERANCE, *};
use crate::connection_handle::tests::{stream, stream_on};

const SMALL: u32 = 20;

fn subscriptions() -> Subscriptions {
    Subscriptions::new(Clock::stopped_at(Timestamp(0)), SendRing::closed(), SMALL)
}

/// Result of the database for a user in these conversations, each with two members.
fn following(conversations: &[(ConversationId, i64)]) -> ConnectionSubscriptions {
    sized(conversations, 2)
}

fn sized(conversations: &[(ConversationId, i64)], member_count: u32) -> ConnectionSubscriptions {
    let followed = conversations.iter().map(|(id, last_seq)| SubscribedConversation {
        conversation_id: *id,
        last_seq: *last_seq,
        reads_after: 0,
        member_count,
    });
    ConnectionSubscriptions { conversations: followed.collect(), workspaces: Vec::new(), boards: HashMap::new() }
}

fn conversation(number: u128) -> ConversationId {
    ConversationId(Uuid::from_u128(number))
}

fn durable(conversation_id: ConversationId, seq: i64, effect: FollowChange) -> SharedEnvelope {
    Envelope {
        id: EventId::new(),
        kind: format!("event.{seq}"),
        timestamp: Timestamp(0),
        topic: Topic::Conversation(conversation_id),
        position: Some(LogPosition { conversation_id, seq }),
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
        effect: FollowChange::None,
        payload: "{}".into(),
    }
    .into()
}

/// Simulates a read of the log that returns these events.
fn fill(subscriptions: &mut Subscriptions, (id, last): (ConversationId, i64), logged: &[SharedEnvelope], now: Instant) {
    subscriptions.receive_logged(id, logged);
    subscriptions.finish_gap(id, last, now);
}

/// Returns the types of the frames queued for a connection.
fn kinds(out: &ConnectionHandle) -> Vec<String> {
    let chunks = std::iter::from_fn(|| out.pop());
    chunks
        .map(|chunk| {
            String::from_utf8_lossy(&chunk).lines().next().unwrap_or_default().trim_start_matches("event: ").to_owned()
        })
        .collect()
}

fn join(subscriptions: &mut Subscriptions, user: UserId, followed: &[(ConversationId, i64)]) -> Rc<ConnectionHandle> {
    let out = stream(user, 1 << 20);
    subscriptions.start_joining(user);
    subscriptions.merge_memberships(user, &following(followed), Some(&out));
    out
}

#[tokio::test]
async fn user_is_connected_from_opening_until_the_last_connection_ends() {
    let (mut subscriptions, user) = (subscriptions(), UserId::new());
    assert!(!subscriptions.is_connected(user));
    subscriptions.start_joining(user);
    assert!(subscriptions.is_connected(user));
    subscriptions.abandon(user);
    assert!(!subscriptions.is_connected(user));
    let out = join(&mut subscriptions, user, &[]);
    assert!(subscriptions.is_connected(user));
    subscriptions.leave(&out);
    assert!(!subscriptions.is_connected(user));
}

#[tokio::test]
async fn delivers_ephemeral_events_once_per_connection() {
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
async fn delivers_user_events_once_to_followers_and_watchers() {
    let (mut subscriptions, shared, other, now) = (subscriptions(), conversation(1), conversation(2), Instant::now());
    let (anna, ben, carl, eve) = (UserId::new(), UserId::new(), UserId::new(), UserId::new());
    let both = join(&mut subscriptions, ben, &[(shared, 0), (other, 0)]);
    let watcher = join(&mut subscriptions, carl, &[(other, 0)]);
    let stranger = join(&mut subscriptions, eve, &[(other, 0)]);
    for out in [&both, &watcher] {
        subscriptions.watch(out, vec![anna]);
    }
    subscriptions.watch(&stranger, vec![ben]);
    subscriptions.receive(&passing(Topic::Contacts { user_id: anna, conversation_ids: vec![shared] }), now);
    assert_eq!((kinds(&both).len(), kinds(&watcher).len(), kinds(&stranger).len()), (1, 1, 0));
    subscriptions.receive(&passing(Topic::Contacts { user_id: anna, conversation_ids: Vec::new() }), now);
    assert_eq!((kinds(&both).len(), kinds(&watcher).len(), kinds(&stranger).len()), (1, 1, 0));
}

/// Connects a user to a conversation with this number of members.
fn join_large(
    subscriptions: &mut Subscriptions,
    user: UserId,
    id: ConversationId,
    members: u32,
) -> Rc<ConnectionHandle> {
    let out = stream(user, 1 << 20);
    subscriptions.start_joining(user);
    subscriptions.merge_memberships(user, &sized(&[(id, 5)], members), Some(&out));
    out
}

#[tokio::test]
async fn delivers_workspace_and_global_events_once_per_connection() {
    let (mut subscriptions, now, workspace) = (subscriptions(), Instant::now(), WorkspaceId::new());
    let (anna, ben) = (UserId::new(), UserId::new());
    let of_ben = join(&mut subscriptions, ben, &[]);
    let of_anna = stream(anna, 1 << 20);
    subscriptions.start_joining(anna);
    let member =
        ConnectionSubscriptions { conversations: Vec::new(), workspaces: vec![workspace], boards: HashMap::new() };
    subscriptions.merge_memberships(anna, &member, Some(&of_anna));
    let told = |topic, effect| -> SharedEnvelope { Envelope::clone(&passing(topic)).with_follow_change(effect).into() };
    let in_it = || told(Topic::Workspace(workspace), FollowChange::None);
    subscriptions.receive(&in_it(), now);
    assert_eq!((kinds(&of_anna).len(), kinds(&of_ben).len()), (1, 0));
    subscriptions.receive(&told(Topic::Everyone, FollowChange::None), now);
    assert_eq!((kinds(&of_anna).len(), kinds(&of_ben).len()), (1, 1));
    let enters = FollowChange::EnterWorkspace { user_id: ben, workspace_id: workspace };
    subscriptions.receive(&told(Topic::User(ben), enters), now);
    subscriptions.receive(&in_it(), now);
    assert_eq!((kinds(&of_anna).len(), kinds(&of_ben).len()), (1, 2));
    let leaves = FollowChange::LeaveWorkspace { user_id: anna, workspace_id: workspace };
    subscriptions.receive(&told(Topic::User(anna), leaves), now);
    subscriptions.receive(&in_it(), now);
    assert_eq!((kinds(&of_anna).len(), kinds(&of_ben).len()), (1, 1));
    subscriptions.receive(&told(Topic::Workspace(workspace), FollowChange::EndWorkspace(workspace)), now);
    subscriptions.receive(&in_it(), now);
    assert_eq!(kinds(&of_ben).len(), 1);
    assert!(subscriptions.workspaces.is_empty());
}

#[tokio::test]
async fn coalesces_receipts_and_presence_for_subscribers() {
    let (mut subscriptions, id) = (subscriptions(), conversation(1));
    let (anna, ben, eve) = (UserId::new(), UserId::new(), UserId::new());
    let (viewer, other) = (join_large(&mut subscriptions, anna, id, 50), join_large(&mut subscriptions, ben, id, 50));
    let receipts = |read_seq| Coalesced::Receipts {
        conversation_id: id,
        items: vec![ReadPosition { user_id: ben, read_seq }, ReadPosition { user_id: eve, read_seq: 1 }],
    };
    subscriptions.coalesce(&receipts(1));
    assert!(!subscriptions.has_coalesced(), "no client displays it");
    subscriptions.set_displayed(&viewer, vec![id]);
    for read_seq in [2, 4, 3] {
        subscriptions.coalesce(&receipts(read_seq));
    }
    subscriptions.watch(&viewer, vec![ben, eve]);
    let is = |user_id, status| Presence { user_id, status, last_seen: None, custom_status: None };
    subscriptions
        .coalesce(&Coalesced::Presence(vec![is(ben, PresenceStatus::Offline), is(anna, PresenceStatus::Away)]));
    subscriptions.coalesce(&Coalesced::Presence(vec![is(ben, PresenceStatus::Online), is(eve, PresenceStatus::Dnd)]));
    subscriptions.deliver_coalesced();
    assert!(!subscriptions.has_coalesced() && kinds(&other).is_empty());
    let told: Vec<String> =
        std::iter::from_fn(|| viewer.pop()).map(|chunk| String::from_utf8_lossy(&chunk).into_owned()).collect();
    assert!(told[0].starts_with("event: receipts") && told[0].contains("\"read_seq\":4"), "{}", told[0]);
    assert!(told[1].starts_with("event: presences") && told[1].contains("online"), "{}", told[1]);
    assert!(!told[1].contains("offline") && !told[1].contains("away"), "{}", told[1]);
    assert_eq!(told.len(), 2);
    // The watches of users who may no longer see each other are checked again.
    subscriptions.receive(&durable(id, 6, FollowChange::Unfollow(vec![ben])), Instant::now());
    assert_eq!(subscriptions.take_unchecked_watchers().len(), 1);
}

#[tokio::test]
async fn delivers_nothing_live_during_a_catch_up() {
    let (mut subscriptions, id, now, user) = (subscriptions(), conversation(1), Instant::now(), UserId::new());
    let out = join(&mut subscriptions, user, &[(id, 5)]);
    assert_eq!(subscriptions.withhold(&out, id), CatchUp::Behind);
    subscriptions.receive(&durable(id, 6, FollowChange::None), now);
    assert!(kinds(&out).is_empty());
    assert_eq!(subscriptions.release(&out, id, 5), CatchUp::Behind);
    assert_eq!(subscriptions.release(&out, id, 7), CatchUp::CaughtUp, "the log may be ahead of the bus");
    subscriptions.receive(&durable(id, 7, FollowChange::None), now);
    subscriptions.receive(&durable(id, 8, FollowChange::None), now);
    assert_eq!(kinds(&out), ["event.8"]);
    assert_eq!(subscriptions.withhold(&out, conversation(2)), CatchUp::NotAMember);
    assert_eq!(subscriptions.release(&out, conversation(2), 1), CatchUp::NotAMember);
}

#[tokio::test]
async fn closes_connections_of_ended_sessions_only() {
    let mut subscriptions = subscriptions();
    let (ended, other) = (join(&mut subscriptions, UserId::new(), &[]), join(&mut subscriptions, UserId::new(), &[]));
    subscriptions.end(&[ended.credential].into());
    assert_eq!(ended.close_reason(), Some(Close::CREDENTIALS));
    assert!(other.is_open());
}

#[tokio::test]
async fn keeps_no_state_of_closed_connections() {
    let (mut subscriptions, id) = (subscriptions(), conversation(1));
    let user = UserId::new();
    let outs = [
        join(&mut subscriptions, user, &[(id, 0)]),
        join(&mut subscriptions, user, &[(id, 0)]),
        join(&mut subscriptions, UserId::new(), &[(id, 0)]),
    ];
    subscriptions.set_displayed(&outs[0], vec![id]);
    subscriptions.watch(&outs[0], vec![UserId::new()]);
    for out in &outs {
        subscriptions.leave(out);
        // Requests that are processed after the end of the connection change nothing.
        subscriptions.set_displayed(out, vec![id]);
        subscriptions.watch(out, vec![user]);
    }
    subscriptions.start_joining(user);
    subscriptions.receive(&durable(id, 1, FollowChange::Follow(vec![user])), Instant::now());
    subscriptions.abandon(user);
    subscriptions.flush();
    assert!(subscriptions.subscriptions.is_empty() && subscriptions.people.is_empty() && subscriptions.seen.is_empty());
    assert!(subscriptions.viewers.is_empty() && subscriptions.watchers.is_empty());
    assert!(outs.iter().all(|out| Rc::strong_count(out) == 1));
}
