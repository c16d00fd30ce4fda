//! Presence that the connections to this instance report. Of a user's connections, the most active
//! one counts.

use std::{
    collections::HashMap,
    num::NonZeroU64,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use appcore::{UserId, view::PresenceStatus};

/// Connection that reports presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceReporter(NonZeroU64);

#[derive(Debug, Default)]
pub struct ReportedPresence {
    people: Mutex<HashMap<UserId, Vec<(PresenceReporter, PresenceStatus)>>>,
    next_reporter: AtomicU64,
}

impl ReportedPresence {
    pub(super) fn new_reporter(&self) -> PresenceReporter {
        PresenceReporter(NonZeroU64::MIN.saturating_add(self.next_reporter.fetch_add(1, Ordering::Relaxed)))
    }

    pub(super) fn report(&self, person: UserId, speaker: PresenceReporter, status: PresenceStatus) {
        let mut people = self.people();
        let said = people.entry(person).or_default();
        match said.iter_mut().find(|(one, _)| *one == speaker) {
            Some((_, known)) => *known = status,
            None => said.push((speaker, status)),
        }
    }

    /// Removes a closed connection. Returns true if the user's presence changed.
    pub(super) fn remove(&self, person: UserId, speaker: PresenceReporter) -> bool {
        let mut people = self.people();
        let Some(said) = people.get_mut(&person) else { return false };
        let before = most_active(said.iter().map(|(_, status)| *status));
        said.retain(|(one, _)| *one != speaker);
        let after = most_active(said.iter().map(|(_, status)| *status));
        if said.is_empty() {
            people.remove(&person);
        }
        before != after
    }

    /// Most active presence that the user's connections report; `None` if there is no report.
    pub(super) fn status_of(&self, person: UserId) -> Option<PresenceStatus> {
        most_active(self.people().get(&person)?.iter().map(|(_, status)| *status))
    }

    fn people(&self) -> MutexGuard<'_, HashMap<UserId, Vec<(PresenceReporter, PresenceStatus)>>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most active of these presences. Do not disturb on one connection applies to all of them. Away on
/// one connection doesn't matter while another is active.
pub(super) fn most_active(said: impl Iterator<Item = PresenceStatus>) -> Option<PresenceStatus> {
    said.max_by_key(|status| match status {
        PresenceStatus::Offline => 0,
        PresenceStatus::Away => 1,
        PresenceStatus::Online => 2,
        PresenceStatus::Dnd => 3,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_active_connection_wins() {
        let (spoken, person) = (ReportedPresence::default(), UserId::new());
        let (one, two) = (spoken.new_reporter(), spoken.new_reporter());
        assert_eq!(spoken.status_of(person), None);
        spoken.report(person, one, PresenceStatus::Away);
        assert_eq!(spoken.status_of(person), Some(PresenceStatus::Away));
        spoken.report(person, two, PresenceStatus::Online);
        spoken.report(person, one, PresenceStatus::Away);
        assert_eq!(spoken.status_of(person), Some(PresenceStatus::Online));
        spoken.report(person, one, PresenceStatus::Dnd);
        assert_eq!(spoken.status_of(person), Some(PresenceStatus::Dnd));
        assert!(spoken.remove(person, one));
        assert_eq!(spoken.status_of(person), Some(PresenceStatus::Online));
        assert!(!spoken.remove(person, one), "already left");
        assert!(spoken.remove(person, two));
        assert_eq!(spoken.status_of(person), None);
        assert!(spoken.people().is_empty(), "entries end with their connections");
    }
}
