//! Conformance tests for all presence stores. Redis is included if `NATTER_TEST_REDIS` names a
//! server.

use std::sync::Arc;

use appcore::{
    InstanceId, Timestamp, UserId,
    view::{Presence, PresenceStatus},
};

use super::{MemoryPresence, PresenceStore, RedisPresence};

fn stores() -> Vec<Arc<dyn PresenceStore>> {
    let mut stores: Vec<Arc<dyn PresenceStore>> = vec![Arc::new(MemoryPresence::new())];
    if let Some(pool) = stage::redis_pool() {
        stores.push(Arc::new(RedisPresence::with_prefix(
            &format!("test:{}", UserId::new()),
            platform::redis::Redis::new(pool),
        )));
    }
    stores
}

fn only(person: UserId, envelope: Vec<Presence>) -> Vec<PresenceStatus> {
    envelope.into_iter().filter(|presence| presence.user_id == person).map(|presence| presence.status).collect()
}

async fn status(store: &dyn PresenceStore, person: UserId) -> Presence {
    store.presences(&[person]).await.remove(0)
}

#[tokio::test]
async fn online_and_offline_are_reported_once_and_last_seen_is_stored() {
    for store in stores() {
        let (person, instance) = (UserId::new(), InstanceId::new());
        assert_eq!(status(&*store, person).await.status, PresenceStatus::Offline);
        assert_eq!(
            only(person, store.renew_leases(&[person], instance, Timestamp(1_000)).await),
            [PresenceStatus::Online]
        );
        assert!(
            store.renew_leases(&[person], instance, Timestamp(2_000)).await.is_empty(),
            "a renewal reports nothing"
        );
        assert!(only(person, store.collect_offline(Timestamp(1_500)).await).is_empty());
        assert_eq!(only(person, store.collect_offline(Timestamp(2_000)).await), [PresenceStatus::Offline]);
        assert!(only(person, store.collect_offline(Timestamp(2_001)).await).is_empty());
        let last = status(&*store, person).await;
        assert_eq!((last.status, last.last_seen), (PresenceStatus::Offline, Some(Timestamp(2_000))));
    }
}

#[tokio::test]
async fn user_is_online_while_any_instance_has_a_lease() {
    for store in stores() {
        let (person, first, second) = (UserId::new(), InstanceId::new(), InstanceId::new());
        store.renew_leases(&[person], first, Timestamp(60_000)).await;
        assert!(store.renew_leases(&[person], second, Timestamp(70_000)).await.is_empty());
        store.renew_leases(&[person], first, Timestamp(5_000)).await;
        assert!(only(person, store.collect_offline(Timestamp(60_000)).await).is_empty());
        assert_eq!(only(person, store.collect_offline(Timestamp(70_000)).await), [PresenceStatus::Offline]);
    }
}

#[tokio::test]
async fn return_within_the_grace_period_changes_nothing() {
    for store in stores() {
        let (person, instance) = (UserId::new(), InstanceId::new());
        store.renew_leases(&[person], instance, Timestamp(60_000)).await;
        store.renew_leases(&[person], instance, Timestamp(4_000)).await;
        assert!(store.renew_leases(&[person], instance, Timestamp(62_000)).await.is_empty());
        assert!(only(person, store.collect_offline(Timestamp(5_000)).await).is_empty());
    }
}

#[tokio::test]
async fn reported_presence_is_announced_once_and_kept() {
    let now = Timestamp(500);
    for store in stores() {
        let (person, instance) = (UserId::new(), InstanceId::new());
        store.renew_leases(&[person], instance, Timestamp(1_000)).await;
        assert_eq!(
            store.report(person, instance, Some(PresenceStatus::Dnd), now).await.map(|presence| presence.status),
            Some(PresenceStatus::Dnd)
        );
        assert_eq!(store.report(person, instance, Some(PresenceStatus::Dnd), now).await, None);
        store.collect_offline(Timestamp(1_000)).await;
        let word = Some(PresenceStatus::Away);
        assert_eq!(store.report(person, instance, word, now).await, None, "an offline user stays offline");
        assert_eq!(
            only(person, store.renew_leases(&[person], instance, Timestamp(3_000)).await),
            [PresenceStatus::Away]
        );
        assert_eq!(status(&*store, person).await.status, PresenceStatus::Away);
    }
}

#[tokio::test]
async fn most_active_report_of_all_instances_wins() {
    use PresenceStatus::{Away, Dnd, Online};

    for store in stores() {
        let (person, first, second) = (UserId::new(), InstanceId::new(), InstanceId::new());
        store.renew_leases(&[person], first, Timestamp(60_000)).await;
        store.renew_leases(&[person], second, Timestamp(5_000)).await;
        let say = async |instance, status, now| {
            store.report(person, instance, status, Timestamp(now)).await.map(|presence| presence.status)
        };
        assert_eq!(say(first, Some(Away), 1).await, Some(Away));
        assert_eq!(say(second, Some(Online), 2).await, Some(Online));
        assert_eq!(say(first, Some(Away), 3).await, None);
        assert_eq!(say(first, Some(Dnd), 4).await, Some(Dnd));
        assert_eq!(say(first, None, 5).await, Some(Online));
        assert_eq!(say(first, Some(Away), 6).await, None);
        assert_eq!(say(first, Some(Away), 5_000).await, Some(Away), "the other's lease has expired");
        assert_eq!(say(first, None, 5_001).await, None, "the last report is kept");
        assert_eq!(status(&*store, person).await.status, Away);
    }
}

#[tokio::test]
async fn leases_many_users_at_once() {
    for store in stores() {
        let people: Vec<UserId> = (0..250).map(|_| UserId::new()).collect();
        assert_eq!(store.renew_leases(&people, InstanceId::new(), Timestamp(1_000)).await.len(), 250);
        let shown = store.presences(&people).await;
        assert!(
            shown
                .iter()
                .zip(&people)
                .all(|(presence, id)| presence.user_id == *id && presence.status == PresenceStatus::Online)
        );
    }
}

#[tokio::test]
async fn removes_all_data_of_a_user() {
    for store in stores() {
        let (person, instance) = (UserId::new(), InstanceId::new());
        store.renew_leases(&[person], instance, Timestamp(1_000)).await;
        store.report(person, instance, Some(PresenceStatus::Dnd), Timestamp(500)).await;
        store.collect_offline(Timestamp(1_000)).await;
        assert_eq!(status(&*store, person).await.last_seen, Some(Timestamp(1_000)));
        store.remove(person).await;
        let known = status(&*store, person).await;
        assert_eq!((known.status, known.last_seen), (PresenceStatus::Offline, None));
        assert_eq!(
            only(person, store.renew_leases(&[person], instance, Timestamp(2_000)).await),
            [PresenceStatus::Online]
        );
    }
}
