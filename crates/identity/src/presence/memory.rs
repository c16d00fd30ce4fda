//! In-memory presence store of a single process.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use appcore::{
    InstanceId, Timestamp, UserId,
    view::{Presence, PresenceStatus},
};
use futures_util::{FutureExt, future::BoxFuture};

use super::{PresenceStore, RETENTION, reported::most_active};

#[derive(Debug, Default)]
pub struct MemoryPresence {
    people: Mutex<HashMap<UserId, Person>>,
}

#[derive(Debug, Default)]
struct Person {
    chosen: Option<PresenceStatus>,
    /// Expiry of the lease of each instance that has connections of the user. There is nearly
    /// always one instance.
    leases: Vec<(InstanceId, Timestamp)>,
    /// Presence reported by each instance.
    reports: Vec<(InstanceId, PresenceStatus)>,
    /// True if the user was last announced as online.
    is_online: bool,
    last_seen: Option<Timestamp>,
}

impl Person {
    fn presence(&self, user_id: UserId) -> Presence {
        let status =
            if self.is_online { self.chosen.unwrap_or(PresenceStatus::Online) } else { PresenceStatus::Offline };
        Presence { user_id, status, last_seen: self.last_seen, custom_status: None }
    }
}

impl MemoryPresence {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn people(&self) -> MutexGuard<'_, HashMap<UserId, Person>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn renew_leases_now(&self, people: &[UserId], instance: InstanceId, until: Timestamp) -> Vec<Presence> {
        let mut known = self.people();
        let mut came = Vec::new();
        for id in people {
            let person = known.entry(*id).or_default();
            match person.leases.iter_mut().find(|(holder, _)| *holder == instance) {
                Some((_, known)) => *known = until,
                None => {
                    person.leases.reserve_exact(1);
                    person.leases.push((instance, until));
                }
            }
            if !std::mem::replace(&mut person.is_online, true) {
                came.push(person.presence(*id));
            }
        }
        came
    }

    pub(super) fn report_now(
        &self,
        id: UserId,
        instance: InstanceId,
        status: Option<PresenceStatus>,
        now: Timestamp,
    ) -> Option<Presence> {
        let mut known = self.people();
        let person = known.entry(id).or_default();
        let before = person.presence(id);
        let held = &person.leases;
        person.reports.retain(|(other, _)| {
            *other != instance && held.iter().any(|(holder, until)| holder == other && *until > now)
        });
        person.reports.extend(status.map(|status| (instance, status)));
        person.chosen = most_active(person.reports.iter().map(|(_, status)| *status)).or(person.chosen);
        let after = person.presence(id);
        (before != after).then_some(after)
    }

    pub(super) fn collect_offline_now(&self, now: Timestamp) -> Vec<Presence> {
        let mut gone = Vec::new();
        self.people().retain(|id, person| {
            person.leases.retain(|(_, until)| *until > now);
            if person.is_online && person.leases.is_empty() {
                person.is_online = false;
                person.last_seen = Some(now);
                gone.push(person.presence(*id));
            }
            person.is_online || person.last_seen.is_some_and(|seen| seen.plus(RETENTION) > now)
        });
        gone
    }

    pub(super) fn remove_now(&self, person: UserId) {
        self.people().remove(&person);
    }

    pub(super) fn online_now(&self, skip: usize, most: usize) -> Vec<UserId> {
        let mut here: Vec<UserId> =
            self.people().iter().filter(|(_, person)| person.is_online).map(|(id, _)| *id).collect();
        here.sort_unstable();
        here.into_iter().skip(skip).take(most).collect()
    }

    pub(super) fn of_now(&self, people: &[UserId]) -> Vec<Presence> {
        let known = self.people();
        let unknown = Person::default();
        people.iter().map(|id| known.get(id).unwrap_or(&unknown).presence(*id)).collect()
    }
}

impl PresenceStore for MemoryPresence {
    fn renew_leases<'a>(
        &'a self,
        people: &'a [UserId],
        instance: InstanceId,
        until: Timestamp,
    ) -> BoxFuture<'a, Vec<Presence>> {
        async move { self.renew_leases_now(people, instance, until) }.boxed()
    }

    fn report(
        &self,
        person: UserId,
        instance: InstanceId,
        status: Option<PresenceStatus>,
        now: Timestamp,
    ) -> BoxFuture<'_, Option<Presence>> {
        async move { self.report_now(person, instance, status, now) }.boxed()
    }

    fn collect_offline(&self, now: Timestamp) -> BoxFuture<'_, Vec<Presence>> {
        async move { self.collect_offline_now(now) }.boxed()
    }

    fn remove(&self, person: UserId) -> BoxFuture<'_, ()> {
        async move { self.remove_now(person) }.boxed()
    }

    fn online(&self, skip: usize, most: usize) -> BoxFuture<'_, Vec<UserId>> {
        async move { self.online_now(skip, most) }.boxed()
    }

    fn presences<'a>(&'a self, people: &'a [UserId]) -> BoxFuture<'a, Vec<Presence>> {
        async move { self.of_now(people) }.boxed()
    }
}
